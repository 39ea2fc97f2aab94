"""The command that looks into a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsewire.cli.choices import outputs
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import console, give_json, say
from sparsewire.errors import FileError, RequestError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from sparsewire.lab.checkpointing.inspection import Inspection
    from sparsewire.lab.reporting.findings import Block, Grid, Report

FILE = click.Path(path_type=Path)
PICTURES = (".svg", ".png", ".pdf")
_BAR = 30  # characters of a full bar


@click.command(
    cls=Command,
    example="sparsewire inspect model.safetensors\nsparsewire inspect last.ckpt --picture network.svg",
)
@click.argument("checkpoint", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", type=FILE, metavar="FILE", help="Write one HTML page with the tables and the picture.")
@click.option("--picture", type=FILE, metavar="FILE", help="Draw the network's strongest edges (.svg, .png or .pdf).")
@click.option("--edges", type=click.IntRange(min=1), default=600, show_default=True, help="How many of them to draw.")
def inspect(checkpoint: Path, as_json: bool, html: Path | None, picture: Path | None, edges: int) -> None:
    """Show what a checkpoint holds and how it is wired.

    That is: its layers, their densities, dead neurons, and how many of its edges lie on complete paths.
    CHECKPOINT is any safetensors file or torch checkpoint that needs no code to be opened; nothing in it is ever run.
    Neurons and paths are those of the dense layers, where these form a chain.
    """
    if picture is not None and picture.suffix not in PICTURES:
        raise RequestError(f"--picture: found the suffix {picture.suffix!r}, expected one of {', '.join(PICTURES)}")
    outputs({"--picture": picture, "--html": html}, checkpoint)

    from sparsewire.lab import report as reports
    from sparsewire.lab.checkpointing.inspection import inspect_weights
    from sparsewire.lab.checkpoints import read_checkpoint

    tensors = read_checkpoint(checkpoint)
    found = inspect_weights(tensors)
    if picture is not None:
        _save(_drawn(tensors, found, edges), picture)
    if html is not None:
        drawn = None if found.no_chain or not found.curve else _drawn(tensors, found, edges)
        reports.write_html(_report(checkpoint, found, drawn), html)
    if as_json:
        give_json(_as_dict(checkpoint, found))
        return
    reports.print_report(_report(checkpoint, found), console())
    for path in (picture, html):
        if path is not None:
            say(f"written: {path}")


def _report(checkpoint: Path, found: "Inspection", drawn: "Figure | None" = None) -> "Report":
    from sparsewire.lab.reporting.findings import Note, Picture, Report, Section

    blocks: list[Block] = [_layers(found)] if found.layers else []
    blocks += [
        Note(f"Warning: {layer.name} holds {layer.not_finite:,} numbers that are NaN or infinite.")
        for layer in found.layers
        if layer.not_finite
    ]
    blocks += (
        [*_paths(found)] if found.no_chain is None else [Note(f"Neurons and paths are not shown: {found.no_chain}.")]
    )
    if drawn is not None:
        from sparsewire.analysis.draw import to_svg

        blocks.append(Picture("The network", "Its strongest edges.", to_svg(drawn)))
    facts = (
        ("weights", f"{found.weights:,}"),
        ("live", f"{found.live:,}"),
        ("density", f"{found.density:.4g}"),
        ("multiply-adds of the dense layers, live", f"{found.multiply_adds:,}"),
        ("other tensors", f"{found.other_tensors} of {found.other_numbers:,} numbers"),
        ("bytes", f"{found.stored_bytes:,}"),
    )
    return Report(str(checkpoint), "", facts, (Section("What it holds", "", "", tuple(blocks)),))


def _layers(found: "Inspection") -> "Grid":
    from sparsewire.lab.reporting.findings import Grid

    rows: list[tuple[str | int | float | None, ...]] = [
        ("×".join(map(str, layer.shape)), layer.weights, layer.live, layer.density, layer.silent, layer.unread)
        for layer in found.layers
    ]
    named = [(layer.name, *row) for layer, row in zip(found.layers, rows, strict=True)]
    if len(named) > 1:
        named.append(("in all", "", found.weights, found.live, found.density, None, None))
    note = "Silent: no live weight leads into the neuron. Unread: no live weight reads the input."
    columns = ("weight", "out×in×…", "weights", "live", "density", "silent neurons", "unread inputs")
    return Grid("Layers", columns, tuple(named), note)


def _paths(found: "Inspection") -> "tuple[Grid, Grid]":
    from sparsewire.lab.reporting.findings import Grid

    last = len(found.neurons) - 1
    names = ["input", *(f"hidden {layer}" for layer in range(1, last)), "output"]
    neurons = tuple(
        (name, layer.size, layer.alive, layer.constant, layer.unread)
        for name, layer in zip(names, found.neurons, strict=True)
    )
    curve = tuple((edges, 100 * share, "█" * round(_BAR * share)) for edges, share in found.curve)
    return (
        Grid(
            "Neurons",
            ("layer", "neurons", "on a complete path", "constant: no path in", "dead end: no path out"),
            neurons,
        ),
        Grid("Complete paths", ("strongest edges", "on complete paths, %", ""), curve),
    )


def _as_dict(checkpoint: Path, found: "Inspection") -> dict[str, Any]:
    import dataclasses

    facts = dataclasses.asdict(found)
    layers = [layer | {"density": one.density} for layer, one in zip(facts.pop("layers"), found.layers, strict=True)]
    curve = [{"edges": edges, "fraction": share} for edges, share in facts.pop("curve")]
    total = {"weights": found.weights, "live": found.live, "density": found.density}
    return {"checkpoint": str(checkpoint), **total, "layers": layers, **facts, "complete_paths": curve}


def _drawn(tensors: "dict[str, Tensor]", found: "Inspection", edges: int) -> "Figure":
    from sparsewire.analysis import draw

    if found.no_chain is not None:
        raise RequestError(f"--picture: there is no network to draw: {found.no_chain}")
    live = found.curve[-1][0] if found.curve else 0
    return draw.network({name: tensors[name] for name in found.chain}, edges=min(edges, live))


def _save(figure: "Figure", picture: Path) -> None:
    from sparsewire.files import write_aside

    write_aside(picture, lambda aside: figure.savefig(aside, format=picture.suffix[1:], dpi=200), FileError)

"""The command that prunes a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsewire.cli.choices import SCOPES, SCORES, Density, OneOf, writable
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import give_json, say, table
from sparsewire.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor

    from sparsewire.structure.masks import Masks

FILE = click.Path(path_type=Path)
PATTERNS = "weights, neurons, 2:4 (any N:M), block:4x4 (any ROWSxCOLUMNS), fan-in"


@click.command(
    cls=Command,
    example="""sparsewire prune model.safetensors --density 0.1 --output pruned.safetensors
sparsewire prune model.pt --density 0.5 --pattern 2:4 --only '*.weight' --output half.pt""",
)
@click.argument("checkpoint", type=FILE)
@click.option("--density", type=Density(), required=True, help="The fraction of the weights that is kept, 0 to 1.")
@click.option("--output", type=FILE, required=True, metavar="FILE", help="Where to; its suffix says in which format.")
@click.option("--score", type=OneOf("score", lambda: SCORES), default="magnitude", show_default=True)
@click.option("--scope", type=OneOf("scope", lambda: SCOPES), default="blind", show_default=True,
              help="How the density is shared among the layers.")  # fmt: skip
@click.option("--only", multiple=True, metavar="PATTERN", help="Which weights, such as 'encoder.*'; may be repeated.")
@click.option(
    "--pattern", default="weights", show_default=True, metavar="SHAPE", help=f"What is kept together: {PATTERNS}."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="For the score 'random'.")
@click.option("--force", is_flag=True, help="Replace the output file if there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def prune(
    checkpoint: Path, density: float, output: Path, score: str, scope: str, only: tuple[str, ...], pattern: str,
    seed: int, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write a copy of a checkpoint with fewer live weights.

    Only the best weights stay as they are, all others become zero: exactly the asked-for number (of neurons or blocks,
    where --pattern says so), ties go to the lower index. Names and shapes stay, so the copy loads wherever the original
    did. Written is the state dict alone, without what a training program may have kept beside it.

    Without the model's code, a weight is what is called so and has two or more dimensions, an embedding too: name those
    that you mean with --only where that is not all.
    """
    _check_output(checkpoint, output, force)

    import torch

    from sparsewire.lab.checkpointing.inspection import live_entries
    from sparsewire.lab.checkpoints import check_suffix, read_checkpoint, write_checkpoint
    from sparsewire.structure.pattern_names import pattern_of
    from sparsewire.structure.select import prune as decide

    shape = pattern_of(pattern)
    check_suffix(output)
    tensors = read_checkpoint(checkpoint)
    generator = torch.Generator().manual_seed(seed)
    masks = decide(
        tensors, score=score, density=density, scope=scope, pattern=shape, only=only or None, generator=generator
    )
    pruned = _applied(tensors, masks)
    write_checkpoint(output, pruned, like=checkpoint)
    rows = [
        {
            "name": name,
            "shape": tuple(mask.shape),
            "weights": mask.numel(),
            "live_before": int(live_entries(tensors[name]).sum()),
            "live_after": int(live_entries(pruned[name]).sum()),
        }
        for name, mask in masks.items()
    ]
    _tell(checkpoint, output, rows, as_json)


def _check_output(checkpoint: Path, output: Path, force: bool) -> None:
    writable(output, "--output")
    if output.exists():
        if checkpoint.exists() and output.samefile(checkpoint):
            raise RequestError(f"--output: {output} is the checkpoint itself; name another file")
        if not force:
            raise RequestError(f"--output: {output} exists; name another file, or replace it with --force")


def _applied(tensors: "dict[str, Tensor]", masks: "Masks") -> "dict[str, Tensor]":
    """The tensors with zeros outside the masks; weights that are tied stay one, under all of their names."""
    from sparsewire.lab.checkpoints import identity

    decided = {identity(tensors[name]): _masked(tensors[name], mask) for name, mask in masks.items()}
    return {name: decided.get(identity(tensor), tensor) for name, tensor in tensors.items()}


def _masked(weight: "Tensor", mask: "Tensor") -> "Tensor":
    if weight.element_size() > 1:
        return weight.masked_fill(~mask, 0)
    import torch

    return weight.view(torch.uint8).masked_fill(~mask, 0).view(weight.dtype)  # torch cannot fill float8


def _tell(checkpoint: Path, output: Path, rows: list[dict[str, Any]], as_json: bool) -> None:
    weights, before, after = (sum(row[key] for row in rows) for key in ("weights", "live_before", "live_after"))
    if as_json:
        total = {"weights": weights, "live_before": before, "live_after": after, "density": after / max(1, weights)}
        give_json({"checkpoint": str(checkpoint), "output": str(output), **total, "layers": rows})
        return
    columns = ("weight", "shape", "weights", "live before", "live after", "density")
    table(
        columns,
        [
            (row["name"], "×".join(map(str, row["shape"])), row["weights"], row["live_before"], row["live_after"],
             row["live_after"] / max(1, row["weights"]))
            for row in rows
        ]
        + [("in all", "", weights, before, after, after / max(1, weights))],
    )  # fmt: skip
    empty = [row["name"] for row in rows if row["live_before"] and not row["live_after"]]
    if empty and after:
        say(f"note: nothing is left of {', '.join(empty)}; --scope erk or --scope uniform keeps some of every layer")
    say(f"written: {output}")

"""The command that helps to choose how densely the layers of a network are connected."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import click

from sparsewire.cli.choices import Density, OneOf, Sizes
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import give_json, progress, say, table
from sparsewire.errors import RequestError

if TYPE_CHECKING:
    from sparsewire.analysis.configurations import Configuration
    from sparsewire.execution.planning import Measure
    from sparsewire.structure.splits import Split

SORTS = ("density", "scatter", "speed", "parameters")
PATTERNS = ("fixed_degree", "random", "interleaved", "planned", "clustered")
DRAWS = 3
COLUMNS = ("fan-outs", "densities %", "all %", "parameters", "bytes", "scatter", "planned", "speed", "sparse")
_ROUNDING = 1e-12
_ALMOST = 0.01  # of the density: nearer than that, other sizes need not be thought of


@click.command(
    cls=Command,
    example="""sparsewire design --sizes 784,100,10 --density 0.1
sparsewire design --sizes 64,1024,64 --density 0.25 --at-most 5 --no-speed
sparsewire design --sizes 784,112,10 --density 0.2 --tolerance 0.02 --batch 256 --sort speed --json""",
)
@click.option("--sizes", type=Sizes(), required=True, help="Neurons per layer, inputs first, such as 784,100,10.")
@click.option("--density", type=Density(), required=True, help="The fraction of all weights that is kept, up to 1.")
@click.option("--tolerance", type=click.FloatRange(0, 1), default=0.0, show_default=True, metavar="FRACTION",
              help="How far the density may be from it.")  # fmt: skip
@click.option("--at-most", type=click.IntRange(1, 1000), default=8, show_default=True, metavar="N",
              help="How many configurations to show.")  # fmt: skip
@click.option("--pattern", type=OneOf("pattern", lambda: PATTERNS), default="fixed_degree", show_default=True,
              help="What the scatter is of, beside that of a planned pattern.")  # fmt: skip
@click.option("--batch", type=click.IntRange(1, 1 << 20), default=32, show_default=True, metavar="N",
              help="Samples in a batch, for the speed.")  # fmt: skip
@click.option("--training/--inference", default=True, show_default=True, help="The speed of which of the two.")
@click.option("--no-speed", is_flag=True, help="Do not measure layers that this machine does not know yet.")
@click.option("--sort", type=OneOf("order", lambda: SORTS), default="density", show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="For the patterns.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def design(
    sizes: tuple[int, ...], density: float, tolerance: float, at_most: int, pattern: str, batch: int, training: bool,
    no_speed: bool, sort: str, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Show ways to connect dense layers at a density, and what each costs.

    All are regular: each neuron of a layer has as many connections as the others. Where no such way has exactly the
    density, the nearest below and above are shown. Scatter says how evenly connections spread, 1 is the most; it is the
    median of three patterns, and beside it the most that planned ones can reach. The speed is that of the whole chain
    against all dense, where each layer runs sparse if that is faster; layers are measured once on this machine.
    """
    if not density:
        raise RequestError("--density: found 0, expected a fraction above 0, such as 0.1 to keep a tenth")
    if math.isnan(tolerance):
        raise RequestError("--tolerance: found nan, expected a fraction from 0 to 1, such as 0.01")

    from sparsewire.analysis.configurations import SORTS as KEYS
    from sparsewire.analysis.configurations import candidates
    from sparsewire.analysis.expected_speed import measured_here

    splits = candidates(sizes, density, tolerance=tolerance, at_most=at_most)
    measure = None if no_speed else measured_here()
    found = sorted(_looked_at(splits, pattern, batch, training, measure, seed), key=KEYS[sort])
    met = any(abs(one.density - density) <= tolerance + _ROUNDING for one in found)
    if as_json:
        speed = None if no_speed else {"batch": batch, "pass": "training" if training else "inference"}
        asked = {"density": density, "tolerance": tolerance, "pattern": pattern, "speed": speed}
        give_json({"asked": asked, "met": met, "configurations": [one.as_dict() for one in found]})
        return
    _tell_sizes(found[0])
    if not met:
        _tell_nearest(found, density, tolerance)
    elif len(found) < at_most:
        _tell_few(found, density, tolerance)
    _show(found, pattern, "" if no_speed else f"{'a training step' if training else 'a forward pass'} of {batch:,}")


def _looked_at(
    splits: "Sequence[Split]", pattern: str, batch: int, training: bool, measure: "Measure | None", seed: int
) -> "list[Configuration]":
    import torch

    from sparsewire.analysis.configurations import configuration_of

    generator = torch.Generator().manual_seed(seed)
    found = []
    with progress("design") as tell:
        for done, split in enumerate(splits):
            tell(done / len(splits), f"fan-outs {_listed(split.fan_outs)}", False)
            found.append(
                configuration_of(
                    split, pattern=pattern, draws=DRAWS, batch=None if measure is None else batch, training=training,
                    measure=measure, generator=generator,
                )
            )  # fmt: skip
    return found


def _tell_sizes(one: "Configuration") -> None:
    split = one.split
    parameters = sum(split.places) + sum(split.sizes[1:])
    say(f"{'-'.join(map(str, split.sizes))}: all dense it has {parameters:,} parameters, {one.bytes_dense:,} bytes.")


def _tell_few(found: "Sequence[Configuration]", density: float, tolerance: float) -> None:
    """Why there are no more rows, which looks like a fault where it is arithmetic."""
    from sparsewire.structure.split_choices import split_choices

    ways = "Only one regular split has" if len(found) == 1 else f"Only {len(found)} regular splits have"
    sizes = found[0].split.sizes
    say(f"{ways} {_asked(density, tolerance)}: {_steps(sizes)}.")
    near = split_choices(sizes, density, tolerance=max(tolerance, _ALMOST), at_most=len(found) + 1)
    if len(near) > len(found):
        say(f"More of them are near: --tolerance {_ALMOST:g}")


def _asked(density: float, tolerance: float) -> str:
    return f"density {density:g}{f' ± {tolerance:g}' if tolerance else ''}"


def _steps(sizes: tuple[int, ...]) -> str:
    from sparsewire.structure.degrees import fan_out_step

    steps = " and ".join(f"{fan_out_step(a, b)} ({a}→{b})" for a, b in pairwise(sizes))
    return f"fan-outs are multiples of {steps}, as neurons × fan-out must divide evenly among the next layer"


def _tell_nearest(found: "Sequence[Configuration]", density: float, tolerance: float) -> None:
    from sparsewire.structure.split_choices import nearest_densities, sizes_nearby

    sizes = found[0].split.sizes
    say(f"No regular split has {_asked(density, tolerance)}: {_steps(sizes)}.")
    below, above = ("none" if one is None else f"{one:.6g}" for one in nearest_densities(sizes, density))
    say(f"Nearest below: {below}, above: {above}.")
    if min(abs(one.density - density) for one in found) > _ALMOST * density:
        nearby = sizes_nearby(sizes, density)
        if nearby is not None:
            say(f"Nearer to it with other sizes: --sizes {','.join(map(str, nearby))}")


def _show(found: "Sequence[Configuration]", pattern: str, speed_of: str) -> None:
    first = found[0]
    cells = [_cells(one) for one in found]
    shown = [column for column in range(len(COLUMNS)) if any(row[column] != "" for row in cells)]
    table([COLUMNS[column] for column in shown], [[row[column] for column in shown] for row in cells])
    say("Parameters and bytes are with biases; bytes where the live weights of each layer are stored alone.")
    if first.scatter is not None:
        draws = "one draw" if pattern == "planned" else f"the median of {DRAWS} draws"
        say(f"Scatter: of {pattern!r}, {draws}; 1 is full reach.")
    say("Planned: the most scatter that regular patterns can have; 'planned' ones reach it or come near.")
    if speed_of:
        say(f"Speed: {speed_of} samples, times as fast as all dense, and which layers run sparse for that.")
    if pattern == "fixed_degree":
        pattern = "planned"  # nobody asked for another one, and none spreads further
    say(f"To use the first: sw.predefined(model, fan_outs={first.split.fan_outs}, pattern={pattern!r}, "
        "generator=torch.Generator().manual_seed(0))")  # fmt: skip


def _cells(one: "Configuration") -> tuple[object, ...]:
    sparse = [str(place + 1) for place, runs in enumerate(one.runs_sparse) if runs]
    return (
        _listed(one.split.fan_outs),
        _listed(f"{100 * density:.3g}" for density in one.split.densities),
        100 * one.density,
        one.parameters,
        one.bytes_sparse,
        "" if one.scatter is None else f"{one.scatter:.3f}",
        f"{one.scatter_planned:.3f}",
        "" if one.speed is None else f"{one.speed:.2f}",
        _listed(sparse) if sparse or one.speed is None else "none",
    )


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))

"""The command that says what a user's own layers gain by running sparse."""

import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparsewire.cli.choices import Density, outputs
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import give_json, progress, say, table
from sparsewire.errors import FileError, RequestError, UnknownNameError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sparsewire.execution.gains import Gain
    from sparsewire.execution.roofline import Limits

FILE = click.Path(path_type=Path)
Shape = tuple[int, int]
SHAPES: tuple[Shape, ...] = ((784, 300), (4096, 512), (3072, 768), (4096, 4096))
DENSITIES = (0.5, 0.2, 0.1, 0.05, 0.01)
_SIZES = re.compile(r"([1-9]\d{0,8})[x×]([1-9]\d{0,8})")
_MOST_CURVES = 15  # that can be told apart
_LARGEST = 1 << 28  # weights: a gibibyte as float32
COLUMNS = ("inputs × outputs", "density", "batch", "dense ms", "sparse ms", "ratio", "% of limit", "verdict")


@click.command(
    cls=Command,
    example="""sparsewire bench
sparsewire bench --layer 784x300 --density 0.1 --density 0.05 --batch 32 --threads 1 --inference
sparsewire bench model.safetensors --html gains.html""",
)
@click.argument("checkpoint", type=FILE, required=False)
@click.option("--layer", "layers", multiple=True, metavar="INxOUT", help="Inputs x outputs of a layer; repeatable.")
@click.option("--model", metavar="NAME", help="The dense layers of a network of the zoo, such as lenet_300_100.")
@click.option("--density", "densities", type=Density(), multiple=True,
              help="The fraction of live weights, repeatable; unless told 0.5, 0.2, 0.1, 0.05 and 0.01.")  # fmt: skip
@click.option("--batch", "batches", type=click.IntRange(1, 1 << 20), multiple=True, default=(32,), show_default=True,
              help="Samples in a batch; repeatable.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024), help="How many to use; unless told, as many as torch takes.")
@click.option("--training/--inference", default=True, show_default=True, help="Forward and backward, or forward alone.")
@click.option("--seconds", type=click.FloatRange(0.001, 600), default=0.25, show_default=True,
              help="How long each comparison may take.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--svg", type=FILE, metavar="FILE", help="Draw the ratio against the density.")
@click.option("--html", type=FILE, metavar="FILE", help="Write one HTML page with the table and the picture.")
def bench(
    checkpoint: Path | None, layers: tuple[str, ...], model: str | None, densities: tuple[float, ...],
    batches: tuple[int, ...], threads: int | None, training: bool, seconds: float, as_json: bool, svg: Path | None,
    html: Path | None,
) -> None:  # fmt: skip
    """Measure what layers gain by running sparse on this machine.

    Each linear layer of torch and the sparse one in its place take turns, so that a slow moment meets both; the ratio
    says how many times faster the sparse one is. Where dense is faster, or as fast but for a tenth, the verdict is to
    use dense. The limit is what this machine needs at least, by its measured multiply-adds and bandwidths.

    With CHECKPOINT the layers are the matrices of a file, each at its own density if it has zeros. Without any the
    layers are 784x300, 4096x512, 3072x768 and 4096x4096.
    """
    if (checkpoint is not None) + bool(layers) + (model is not None) > 1:
        raise RequestError("bench: found two of CHECKPOINT, --layer and --model, expected one of them")
    shapes = [_shape(text) for text in layers] or list(SHAPES)
    outputs({"--svg": svg, "--html": html}, checkpoint)

    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    if checkpoint is not None:
        cases = list(_of_checkpoint(checkpoint, densities))
    else:
        shapes = shapes if model is None else _of_zoo(model)
        cases = [(shape, density) for shape in shapes for density in densities or DENSITIES]
    if svg is not None or html is not None:
        _check_drawing(len({shape for shape, _ in cases}) * len(set(batches)))
    limits, gains = _measure(cases, batches, training, seconds)
    _write(limits, gains, svg, html)
    if as_json:
        give_json({"limits": _limits_as_dict(limits), "layers": [gain.as_dict() for gain in gains]})
        return
    say(f"{_what(training)}, float32, {limits}")
    table(COLUMNS, [_cells(gain) for gain in gains])
    for path in (svg, html):
        if path is not None:
            say(f"written: {path}")


def _check_drawing(curves: int) -> None:
    """Asked before anything is measured, which may take minutes."""
    if importlib.util.find_spec("matplotlib") is None:
        raise RequestError("--svg, --html: matplotlib is missing; install it with: pip install 'sparsewire[report]'")
    if curves > _MOST_CURVES:
        raise RequestError(
            f"--svg, --html: found {curves} layers and batches, expected at most {_MOST_CURVES}; name fewer"
        )


def _shape(text: str) -> Shape:
    found = _SIZES.fullmatch(text)
    if found is None or int(found[1]) * int(found[2]) > _LARGEST:
        raise RequestError(f"--layer: found {text!r}, expected INPUTSxOUTPUTS, such as 784x300, of at most 2²⁸ weights")
    return int(found[1]), int(found[2])


def _of_zoo(name: str) -> list[Shape]:
    from torch import nn

    from sparsewire.models import zoo

    known = {one: make for one, make in inspect.getmembers(zoo, inspect.isfunction) if one not in ("mlp", "residual")}
    if name not in known:
        raise UnknownNameError("model of the zoo", name, known)
    network: nn.Module = known[name]()
    found = [(layer.in_features, layer.out_features) for layer in network.modules() if isinstance(layer, nn.Linear)]
    return list(dict.fromkeys(found))


def _of_checkpoint(path: Path, densities: tuple[float, ...]) -> Iterator[tuple[Shape, float]]:
    """The shapes of a file's matrices, each once a density: the ones asked for, else its own if it has zeros."""
    from sparsewire.lab.checkpointing.inspection import inspect_weights
    from sparsewire.lab.checkpoints import read_checkpoint

    known = set()
    for layer in inspect_weights(read_checkpoint(path)).layers:
        if len(layer.shape) != 2 or not 0 < layer.weights <= _LARGEST:
            continue
        own = (layer.density,) if layer.live < layer.weights else DENSITIES
        for density in densities or own:
            case = (layer.shape[1], layer.shape[0]), round(density, 4)
            if case not in known:
                known.add(case)
                yield case
    if not known:
        raise FileError(f"{path} holds no matrix of a linear layer; name shapes with --layer")


def _measure(
    cases: list[tuple[Shape, float]], batches: tuple[int, ...], training: bool, seconds: float
) -> "tuple[Limits, list[Gain]]":
    from sparsewire.execution.gains import gains_of
    from sparsewire.execution.roofline import measure_limits

    gains: list[Gain] = []
    with progress("bench") as tell:
        limits = measure_limits(seconds=min(seconds, 0.1))
        for done, (shape, density) in enumerate(cases):
            tell(done / len(cases), f"{shape[0]}x{shape[1]}, density {density:g}", False)
            gains += gains_of(shape, density, tuple(dict.fromkeys(batches)), training, limits, seconds)
    return limits, gains


def _what(training: bool) -> str:
    return "Training step (forward and backward)" if training else "Inference (forward)"


def _cells(gain: "Gain") -> tuple[str | int | float, ...]:
    timing = gain.timing
    share = round(100 * gain.fraction)
    shape = f"{gain.inputs}×{gain.outputs}"
    return (
        shape,
        gain.density,
        timing.batch,
        timing.dense * 1e3,
        timing.sparse * 1e3,
        round(timing.ratio, 2),
        share,
        gain.verdict,
    )


def _limits_as_dict(limits: "Limits") -> dict[str, object]:
    return {
        "threads": limits.threads,
        "native": limits.native,
        "multiply_adds_per_second": limits.peak / 2,
        "row_multiply_adds_per_second": limits.rows / 2,
        "bytes_per_second": [{"buffer": size, "rate": rate} for size, rate in limits.bandwidth],
    }


def _write(limits: "Limits", gains: "list[Gain]", svg: Path | None, html: Path | None) -> None:
    if svg is None and html is None:
        return
    from sparsewire.analysis.draw import to_svg
    from sparsewire.lab import report as reports
    from sparsewire.lab.reporting.findings import Grid, Picture, Report, Section

    figure = _drawn(gains)
    if svg is not None:
        from sparsewire.files import write_aside

        write_aside(svg, lambda aside: figure.savefig(aside, format="svg"), FileError)
    if html is not None:
        picture = Picture("Ratio", "How many times faster the sparse layer is; at 1 both are as fast.", to_svg(figure))
        grid = Grid("Layers", COLUMNS, tuple(_cells(gain) for gain in gains))
        blocks = Section(_what(gains[0].training), "", "", (grid, picture))
        reports.write_html(
            Report("What layers gain by running sparse", "", (("limits", str(limits)),), (blocks,)), html
        )


def _drawn(gains: "list[Gain]") -> "Figure":
    from sparsewire.analysis.draw import curves

    series: dict[str, tuple[list[float], list[float]]] = {}
    for gain in sorted(gains, key=lambda one: one.density):
        xs, ys = series.setdefault(f"{gain.inputs}×{gain.outputs}, batch {gain.timing.batch}", ([], []))
        if gain.density > 0:  # the axis is logarithmic
            xs.append(100 * gain.density)
            ys.append(gain.timing.ratio)
    lines = {name: [pair] for name, pair in series.items() if pair[0]}
    return curves(
        lines, x_label="density, %", y_label="times faster than dense", log_x=True, log_y=True,
        published={"as fast as dense": 1.0},
    )  # fmt: skip

"""What Figure 2 of the K-starts paper shows, and the claims of its text, judged over seeds and over sparsities."""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, stdev
from typing import Any, Final

from sparsewire.experiments.comparable import as_published, families
from sparsewire.experiments.initial_pruning.setup import WORDS, accuracy, loss
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Chart, series
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid

NAMES: Final = {
    "random": "random",
    "k_starts": "K-starts",
    "dissipating": "dissipating gradients",
    "combination": "combination",
}
# Who is said to be ahead of whom (section 5.1 and the conclusion).
AHEAD: Final = (
    ("combination", "random"),
    ("combination", "k_starts"),
    ("combination", "dissipating"),
    ("k_starts", "random"),
    ("dissipating", "random"),
)
ABOUT: Final = (
    "The paper prints no numbers. Each difference is the mean over all sparsities of one seed, whose networks share "
    "their start and their batches, and is judged by the 95 % interval over the seeds; positive: the first is better."
)
ABOUT_SPREAD: Final = (
    "At each sparsity the sample standard deviation over the seeds of another method less that of dissipating "
    "gradients; judged by the 95 % interval over the sparsities."
)

Cells = dict[str, dict[float, dict[int, float]]]  # method → removed → seed → accuracy, or −error


def figure(outcomes: Sequence[Outcome]) -> list[Block]:
    """For each network on each set of images the curves, a table, and the claims."""
    blocks: list[Block] = []
    for label, family in families(outcomes, "method", "removed", name=_label).items():
        cells = cells_of(family)
        if not cells:
            continue
        reader = Reader(family[0].spec)
        blocks += [_curves(label, cells, family, reader), _table(label, cells, reader)]
        tables = (
            ClaimTable(f"Who is ahead: {label}", tuple(_ahead(cells, reader)), ABOUT),
            ClaimTable(f"Who is most reliable: {label}", tuple(_reliable(cells, reader)), ABOUT_SPREAD),
        )
        blocks += [table for table in tables if table.claims]
    return blocks


class Reader:
    """How the numbers of a family are read and written: accuracies in percent, or errors, of which less is better."""

    def __init__(self, spec: Any) -> None:
        self.is_error = spec.network == "autoencoder"
        self.what = "reconstruction error" if self.is_error else "test accuracy, %"
        self.unit, self.digits = ("", 5) if self.is_error else ("points", 2)
        free = ("network", "hidden", "data", "method", "removed", "epochs", "std")
        self.zero = 0.0 if spec.data != "digits" and as_published(spec, *free) else None

    def shown(self, value: float) -> float:
        """An error is kept as its negative, so that more is better everywhere."""
        return -value if self.is_error else value


def cells_of(family: Sequence[Outcome]) -> Cells:
    """Method → removed → seed → how good: accuracy in percent, or −error; dense networks are left out."""
    cells: Cells = {}
    for outcome in family:
        spec: Any = outcome.spec
        if spec.removed:
            good = -loss(outcome) if spec.network == "autoencoder" else accuracy(outcome)
            cells.setdefault(spec.method, {}).setdefault(spec.removed, {})[outcome.seed] = good
    return {method: dict(sorted(cells[method].items())) for method in NAMES if method in cells}


def _curves(label: str, cells: Cells, family: Sequence[Outcome], reader: Reader) -> Chart:
    lines = []
    for method, levels in cells.items():
        seeds = sorted({seed for level in levels.values() for seed in level})
        runs = [[(100 * level, reader.shown(of[seed])) for level, of in levels.items() if seed in of] for seed in seeds]
        lines.append(series(NAMES[method], [([x for x, _ in run], [y for _, y in run]) for run in runs], band="std"))
    dense = _dense(family, reader)
    ends = [100 * level for levels in cells.values() for level in levels]
    if dense:
        lines.append(series("dense", [([min(ends), max(ends)], [value, value]) for value in dense], band="std"))
    return Chart(
        f"Figure 2, {label}",
        "After the last epoch.",
        "weights removed, %",
        reader.what,
        tuple(lines),
        band="std",
        log_y=reader.is_error,
    )


def _dense(family: Sequence[Outcome], reader: Reader) -> list[float]:
    read: Callable[[Outcome], float] = loss if reader.is_error else accuracy
    return [read(outcome) for outcome in family if not outcome.spec.removed]  # type: ignore[attr-defined]


def _table(label: str, cells: Cells, reader: Reader) -> Grid:
    levels = sorted({level for of in cells.values() for level in of})
    rows = [
        (f"{100 * level:g}", *(_cell(list(of.get(level, {}).values()), reader) for of in cells.values()))
        for level in levels
    ]
    columns = ("removed, %", *(NAMES[method] for method in cells))
    return Grid(f"{reader.what.capitalize()}: {label}", columns, tuple(rows), "Mean ± sample standard deviation.")


def _cell(values: Sequence[float], reader: Reader) -> str | None:
    if not values:
        return None
    spread = f" ± {stdev(values):.{reader.digits}f}" if len(values) > 1 else ""
    return f"{reader.shown(fmean(values)):.{reader.digits}f}{spread}"


def _ahead(cells: Cells, reader: Reader) -> Iterator[Claim]:
    for first, second in AHEAD:
        ours = tuple(_leads(cells.get(first, {}), cells.get(second, {})))
        if ours:
            label = f"{NAMES[first]} ahead of {NAMES[second]}"
            yield Claim(label, reader.zero, ours, 0.0, reader.unit, reader.digits, "at_least", True)
    falls = tuple(_falls(cells))
    if falls:
        label = "every method: least removed ahead of most removed"
        yield Claim(label, reader.zero, falls, 0.0, reader.unit, reader.digits, "at_least", True)


def _leads(first: dict[float, dict[int, float]], second: dict[float, dict[int, float]]) -> Iterator[float]:
    """How far the first is ahead, one mean over the sparsities for each seed that has all of them on both sides."""
    levels = first.keys() & second.keys()
    for seed in sorted({seed for level in levels for seed in first[level]}):
        if all(seed in of[level] for of in (first, second) for level in levels):
            yield fmean(first[level][seed] - second[level][seed] for level in levels)


def _falls(cells: Cells) -> Iterator[float]:
    """Best less worst end of the sparsities, one mean over the methods for each seed that has both ends of all."""
    ends = [(of[min(of)], of[max(of)]) for of in cells.values() if len(of) > 1]
    seeds = [low.keys() & high.keys() for low, high in ends]
    for seed in sorted(set.intersection(*map(set, seeds)) if seeds else ()):
        yield fmean(low[seed] - high[seed] for low, high in ends)


def _reliable(cells: Cells, reader: Reader) -> Iterator[Claim]:
    """How much more the seeds of the others differ than those of dissipating gradients."""
    steady = cells.get("dissipating", {})
    for method, levels in cells.items():
        ours = tuple(
            stdev(of.values()) - stdev(steady[level].values())
            for level, of in levels.items()
            if method != "dissipating" and len(of) > 1 and len(steady.get(level, {})) == len(of)
        )
        if ours:
            label = f"spread of {NAMES[method]} above that of {NAMES['dissipating']}"
            yield Claim(label, reader.zero, ours, 0.0, reader.unit, reader.digits, "at_least", True)


def _label(spec: Any) -> str:
    layers = "-".join(map(str, spec.hidden))
    start = "" if spec.std == 1 else f", start of deviation {spec.std:g}"
    return f"{spec.network} {layers} on {WORDS[spec.data]}{start}"

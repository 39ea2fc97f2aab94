"""What the ranking shows: accuracies by density, mean ranks with their intervals, and claims on single methods."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any, Final, NamedTuple

from sparsewire.experiments.comparable import families
from sparsewire.experiments.initial_pruning.contenders import NAMES, WHEN
from sparsewire.experiments.initial_pruning.ranking_claims import claims_of
from sparsewire.experiments.initial_pruning.ranks import critical_difference, mean_ranks, ranks_of
from sparsewire.experiments.initial_pruning.setup import WORDS, accuracy
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Chart, Series, heat_rows, series
from sparsewire.lab.reporting.findings import Block, ClaimTable, Grid
from sparsewire.lab.reporting.intervals import mean_interval

REFERENCES: Final = ("dense", "magnitude_after")  # beside the budget: not ranked
USUAL: Final = "random_erk"  # what every other method must beat to be worth its while
ABOUT: Final = (
    "A block is one seed at one density on one set of images; in each the methods are ranked by accuracy, 1 is the "
    "best. Intervals: Student's 95 % over the seeds, of a seed's mean over its blocks; differences are of one seed, "
    "whose networks share their start and their batches. Not ranked: the dense network, and magnitude pruning after a "
    "whole training, which has twice the epochs."
)
ABOUT_CLAIMS: Final = "Judged by the 95 % interval over the seeds."

Place = tuple[str, float]  # images, density
Cells = dict[Place, dict[str, dict[int, float]]]  # place → method → seed → accuracy


class Contest(NamedTuple):
    """Who is compared where.

    Args:
        methods: that are ranked.
        blocks: (place, seed) in which all of them have been run.
    """

    methods: tuple[str, ...]
    blocks: tuple[tuple[Place, int], ...]


def blocks_of(outcomes: Sequence[Outcome]) -> list[Block]:
    """The report of all networks of one size and one length of training, and of the next."""
    blocks: list[Block] = []
    for label, family in families(outcomes, "method", "density", "data").items():
        cells = cells_of(family)
        contest = contest_of(cells)
        order = ranked_first(cells, contest)
        if contest.blocks:
            blocks.append(ranking(label, cells, contest))
        for data in dict.fromkeys(data for data, _ in cells):
            title = f"{WORDS[data]}{label and f', {label}'}"
            blocks += [_map(title, data, cells, order), *_curves(title, data, cells)]
            claims = tuple(claims_of([one for one in family if one.spec.data == data]))  # type: ignore[attr-defined]
            if claims:
                blocks.append(ClaimTable(f"What single methods must show: {title}", claims, ABOUT_CLAIMS))
    return blocks


def cells_of(family: Sequence[Outcome]) -> Cells:
    """The accuracies after the last epoch, in percent; places with high density first."""
    cells: Cells = {}
    for outcome in family:
        spec: Any = outcome.spec
        cells.setdefault((spec.data, spec.density), {}).setdefault(spec.method, {})[outcome.seed] = accuracy(outcome)
    return dict(sorted(cells.items(), key=lambda item: (list(WORDS).index(item[0][0]), -item[0][1])))


def contest_of(cells: Cells) -> Contest:
    """All methods that were run where most were run, and the blocks where all of them were."""
    rivals = {place: [name for name in NAMES if name in of and name not in REFERENCES] for place, of in cells.items()}
    most = max(map(len, rivals.values()), default=0)
    if most < 2:
        return Contest((), ())
    methods = tuple(name for name in NAMES if any(name in of for of in rivals.values() if len(of) == most))
    blocks = [
        (place, seed)
        for place, of in cells.items()
        if set(methods) <= of.keys()
        for seed in sorted(set.intersection(*(set(of[name]) for name in methods)))
    ]
    return Contest(methods, tuple(blocks))


def ranked_first(cells: Cells, contest: Contest) -> list[str]:
    """All methods, the best mean rank first, then those that are not ranked."""
    everyone = [name for name in NAMES if any(name in of for of in cells.values())]
    ranked = list(mean_ranks(_table(cells, contest)))
    return [*ranked, *(name for name in everyone if name not in ranked)]


def ranking(label: str, cells: Cells, contest: Contest) -> Grid:
    """Mean ranks and differences with their intervals, from the best mean rank to the worst."""
    table = _table(cells, contest)
    ranks = ranks_of(table)
    rows = []
    for place, (name, mean) in enumerate(mean_ranks(table).items(), start=1):
        each = _by_seed(ranks[name], contest)
        lead = _differences(cells, contest, name, USUAL)
        behind = _differences(cells, contest, name, "dense")
        reach = _interval(each, len(contest.methods))
        rows.append((place, NAMES[name], _when(name), f"{mean:.2f}", reach, _mean(lead), _mean(behind)))
    gap = critical_difference(len(contest.methods), len(contest.blocks))
    note = (
        f"{ABOUT} Two mean ranks that differ by less than {gap:.2f} are not told apart at the level of 5 % (Nemenyi; "
        f"{len(contest.blocks)} blocks, taken as independent, which densities of one seed are not quite)."
    )
    columns = (
        "place", "method", "decides", "mean rank", "95 %", f"ahead of {NAMES[USUAL]}, points", "ahead of dense, points",
    )  # fmt: skip
    return Grid(f"Ranking{label and f', {label}'}", columns, tuple(rows), note)


def _table(cells: Cells, contest: Contest) -> dict[str, tuple[float, ...]]:
    return {name: tuple(cells[place][name][seed] for place, seed in contest.blocks) for name in contest.methods}


def _by_seed(values: Sequence[float], contest: Contest) -> list[float]:
    """The mean over the blocks of each seed that is in as many blocks as any."""
    found: dict[int, list[float]] = {}
    for (_, seed), value in zip(contest.blocks, values, strict=True):
        found.setdefault(seed, []).append(value)
    most = max(map(len, found.values()), default=0)
    return [fmean(of) for of in found.values() if len(of) == most]


def _differences(cells: Cells, contest: Contest, name: str, other: str) -> list[float]:
    """Accuracy ahead of another method's, which may be the dense network of the same seed and images; one a seed."""
    if name == other:
        return []
    known: list[tuple[tuple[Place, int], float]] = []
    for (data, density), seed in contest.blocks:
        place = (data, 1.0) if other == "dense" else (data, density)
        rival = cells.get(place, {}).get(other, {}).get(seed)
        if rival is not None:
            known.append((((data, density), seed), cells[data, density][name][seed] - rival))
    return _by_seed([value for _, value in known], Contest((), tuple(block for block, _ in known)))


def _interval(ranks: Sequence[float], last: int) -> str:
    """Student's interval, within the ranks that there are."""
    found = mean_interval(ranks)
    return "" if found is None else f"{max(1, found[0]):.2f} to {min(last, found[1]):.2f}"


def _mean(values: Sequence[float]) -> str:
    """A mean with its interval, with signs."""
    found = mean_interval(values)
    return (f"{fmean(values):+.2f}" if values else "") + (
        "" if found is None else f" ({found[0]:+.2f} … {found[1]:+.2f})"
    )


def _when(name: str) -> str:
    return next(when for when, names in WHEN.items() if name in names)


def _map(title: str, data: str, cells: Cells, order: Sequence[str]) -> Chart:
    """Mean accuracies as cells, methods from the best down."""
    places = [place for place in cells if place[0] == data and place[1] < 1]
    names = [name for name in order if any(name in cells[place] for place in places)]
    means = [[_mean_accuracy(cells[place].get(name, {})) for place in places] for name in names]
    return Chart(
        f"Accuracy by method and density: {title}", "Mean test accuracy over the seeds; best mean rank on top.",
        "density, %", "method", heat_rows([NAMES[name] for name in names], means), kind="heat",
        x_ticks=tuple(f"{100 * density:g}" for _, density in places), value_label="test accuracy, %",
    )  # fmt: skip


def _mean_accuracy(seeds: Mapping[int, float]) -> float:
    return fmean(seeds.values()) if seeds else float("nan")


def _curves(title: str, data: str, cells: Cells) -> Iterator[Chart]:
    """Accuracy by density, a chart for each moment at which methods decide, with ERK's masks and dense in all."""
    for when, names in WHEN.items():
        shown = (*names, *(name for name in (USUAL, "dense") if name not in names))
        lines = tuple(line for name in shown for line in _line(name, data, cells))
        if any(line.name == NAMES[name] for line, name in product(lines, names)):
            yield Chart(
                f"Choosing {when}: {title}", "Test accuracy after the last epoch.", "density, %", "test accuracy, %",
                lines, log_x=True, band="std",
            )  # fmt: skip


def _line(name: str, data: str, cells: Cells) -> Iterator[Series]:
    own = {place[1]: of[name] for place, of in cells.items() if place[0] == data and name in of}
    if name == "dense" and own:  # from end to end
        densities = [density for place, density in cells if place == data and density < 1]
        own = dict.fromkeys((min(densities), max(densities)), own[1.0]) if densities else own
    seeds = sorted({seed for of in own.values() for seed in of})
    runs = [[(100 * density, of[seed]) for density, of in own.items() if seed in of] for seed in seeds]
    if own:
        pairs = [([x for x, _ in run], [y for _, y in run]) for run in runs]
        yield series(NAMES[name], pairs, band="std", log_x=True)

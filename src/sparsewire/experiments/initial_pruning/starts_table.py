"""The paper's Table 1: a single layer on MNIST, dense, with a random mask, and with 10, 50, 100 masks that compete."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, by_spec
from sparsewire.experiments.initial_pruning.setup import load
from sparsewire.experiments.initial_pruning.single_layer_setup import (
    Removed,
    SingleLayerSpec,
    Starts,
    Way,
    accuracy_at,
    looked_at,
    mean_and_deviation,
    run_ways,
)
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart, series
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid, Kind, Note, Section
from sparsewire.lab.spec import Spec

NAME: Final = "initial_pruning.starts"
MARKS: Final = (10, 32, 100, 316, 1_000, 3_162, 10_000)  # four of them are the paper's

# K → iterations → mean and deviation of the accuracy over ten runs, in percent; K = 0 stands for p = 0.
PUBLISHED: Final[dict[int, dict[int, tuple[float, float]]]] = {
    0: {10: (12.29, 3.79), 100: (28.41, 7.42), 1_000: (60.71, 8.77), 10_000: (82.49, 4.3)},
    1: {10: (13.36, 4.17), 100: (28.96, 3.03), 1_000: (63.39, 6.94), 10_000: (88.40, 0.51)},
    10: {10: (13.94, 3.52), 100: (50.53, 10.7), 1_000: (82.11, 2.97), 10_000: (89.07, 0.4)},
    50: {10: (9.71, 4.04), 100: (46.19, 10.10), 1_000: (81.77, 4.27), 10_000: (89.08, 0.38)},
    100: {10: (10.14, 0.63), 100: (14.83, 6.17), 1_000: (82.13, 3.63), 10_000: (89.21, 0.38)},
}
# Below 1,000 iterations single runs of one network differ by ten points, in the paper as here.
TOLERANCES: Final = {10: 10.0, 100: 10.0, 1_000: 5.0, 10_000: 2.0}

# (iterations, K, K of the network it is compared with, the difference claimed, how, what may be missing).
PATTERN: Final[tuple[tuple[int, int, int, float, Kind, float], ...]] = (
    (100, 10, 0, 10.0, "at_least", 0.0),
    (100, 10, 1, 10.0, "at_least", 0.0),
    (100, 10, 100, 10.0, "at_least", 0.0),
    (100, 50, 100, 0.0, "at_least", 0.0),
    (100, 100, 0, 0.0, "at_most", 0.0),
    (1_000, 10, 0, 0.0, "at_least", 0.0),
    (1_000, 50, 0, 0.0, "at_least", 0.0),
    (1_000, 100, 0, 0.0, "at_least", 0.0),
    (1_000, 100, 10, 0.0, "equal", 4.0),
    (10_000, 1, 0, 0.0, "at_least", 0.0),
    (10_000, 10, 0, 0.0, "at_least", 0.0),
    (10_000, 50, 0, 0.0, "at_least", 0.0),
    (10_000, 100, 0, 0.0, "at_least", 0.0),
)


class StartsSpec(SingleLayerSpec):
    """The five networks of the table, side by side.

    Args:
        removed: by each mask.
        starts: K of each network; 0 for the dense one.
    """

    experiment: Literal["initial_pruning.starts"] = NAME
    removed: Removed = 0.5
    starts: Annotated[tuple[Starts, ...], Field(min_length=1)] = (0, 1, 10, 50, 100)


def specs(scale: Scale) -> Sequence[StartsSpec]:
    """Five networks, 10,000 iterations, ten runs: the paper's own size at desk and at full scale alike.

    The paper names no loss. With a softmax K = 10 is far ahead after 100 iterations, as in the table; with sigmoid
    outputs, which its other networks have, the sparse networks end ahead of the dense one, as in the table. A trial
    takes some seconds on one thread.
    """
    if scale == "smoke":
        return [StartsSpec(data="digits", iterations=100, starts=(0, 1, 5))]
    return [StartsSpec(), StartsSpec(output="sigmoid")]


def run(spec: StartsSpec, trial: Trial) -> None:
    """One run of every column."""
    run_ways(_ways(spec), spec, trial, load(spec.data).train, MARKS)


def findings(outcomes: Sequence[Outcome]) -> Section:
    """The table, its pattern by interval, and its cells one by one."""
    found = [block for label, group in by_spec(outcomes, _label).items() for block in _blocks(label, group)]
    intro = "Every mask removes p of the connections; after every step the fittest of K masks is worn."
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, tuple(found))


def _blocks(label: str, outcomes: Sequence[Outcome]) -> Iterator[Block]:
    spec: StartsSpec = outcomes[0].spec  # type: ignore[assignment]
    ways, ending = _ways(spec), f", {label}"
    yield Chart(
        f"Accuracy by iterations{ending}",
        "Mean and deviation of the test accuracy over the runs; every fifth iteration drops a mask.",
        "iterations",
        "test accuracy, %",
        tuple(
            series(way.label, [_curve(outcome, way.label) for outcome in outcomes], band="std", log_x=True)
            for way in ways
        ),
        log_x=True,
        band="std",
    )
    yield _table(f"Table 1{ending}", outcomes, ways)
    yield ClaimTable(
        f"The pattern of Table 1{ending}",
        tuple(_pattern(outcomes, ways)),
        "Differences seed by seed, in points, judged by the 95 % interval of their mean. Ten points are the least that "
        "we call far ahead.",
    )
    if _is_published(spec):
        yield ClaimTable(f"Table 1, cell by cell{ending}", tuple(_cells(outcomes, ways)), "Means over the runs.")
    changes = ", ".join(f"{way.label}: {_changes(outcomes, way):.0f}" for way in ways if way.k)
    yield Note(f"How often a network put on another mask, on average: {changes}.")


def _table(title: str, outcomes: Sequence[Outcome], ways: Sequence[Way]) -> Grid:
    rows = []
    for mark in _marks(outcomes, ways):
        for way in ways:
            ours = mean_and_deviation(_values(outcomes, way, mark))
            there = PUBLISHED.get(way.k, {}).get(mark) if _is_published(outcomes[0].spec) else None
            rows.append((f"{mark:,}", way.label, ours, there and f"{there[0]:.2f} ± {there[1]:.2f}"))
    note = f"Test accuracy in percent, mean ± sample deviation over {len(outcomes)} runs; the paper's over ten."
    return Grid(title, ("iterations", "network", "ours", "published"), tuple(rows), note)


def _pattern(outcomes: Sequence[Outcome], ways: Sequence[Way]) -> Iterator[Claim]:
    by_k = {way.k: way for way in ways}
    for mark, k, other, least, kind, tolerance in PATTERN:
        if k in by_k and other in by_k and mark in _marks(outcomes, ways):
            ours = tuple(
                one - rival
                for one, rival in zip(
                    _values(outcomes, by_k[k], mark), _values(outcomes, by_k[other], mark), strict=True
                )
            )
            claimed = least if _is_published(outcomes[0].spec) else None
            label = f"{mark:,} iterations: {_word(k)} − {_word(other)}"
            yield Claim(label, claimed, ours, tolerance, "points", 2, kind, by_interval=True)


def _cells(outcomes: Sequence[Outcome], ways: Sequence[Way]) -> Iterator[Claim]:
    for way in ways:
        for mark, (mean, _) in PUBLISHED.get(way.k, {}).items():
            if mark in _marks(outcomes, ways):
                ours = tuple(_values(outcomes, way, mark))
                yield Claim(f"{_word(way.k)}, {mark:,} iterations", mean, ours, TOLERANCES[mark], "%")


def _ways(spec: StartsSpec) -> list[Way]:
    return [Way(spec.removed if k else 0.0, k) for k in dict.fromkeys(spec.starts)]


def _label(spec: Spec) -> str:
    return f"{spec.output} outputs"  # type: ignore[attr-defined]


def _is_published(spec: object) -> bool:
    return as_published(spec, "starts", "output")  # type: ignore[arg-type]


def _marks(outcomes: Sequence[Outcome], ways: Sequence[Way]) -> list[int]:
    """The paper's, as far as the trials came."""
    return [mark for mark in looked_at(outcomes[0], ways[0].label) if mark in PUBLISHED[0]]


def _values(outcomes: Sequence[Outcome], way: Way, mark: int) -> list[float]:
    return [accuracy_at(outcome, way.label, mark) for outcome in outcomes]


def _curve(outcome: Outcome, name: str) -> tuple[list[int], list[float]]:
    points = outcome.series[name]
    return [mark for mark, _ in points], [accuracy for _, accuracy in points]


def _changes(outcomes: Sequence[Outcome], way: Way) -> float:
    counts = [outcome.metrics[f"changes of mask, {way.label}"] for outcome in outcomes]
    return sum(counts) / len(counts)


def _word(k: int) -> str:
    return f"K = {k}" if k else "dense"


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=StartsSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 10, "full": 10},
    trial=run,
    findings=findings,
)

"""The paper's Figure 3 (a, b): a single layer that sees only some images, dense and at several sparsities."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Annotated, Final, Literal

from pydantic import Field

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, by_spec
from sparsewire.experiments.initial_pruning.setup import WORDS, Count, load, missing
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
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid, Section

NAME: Final = "initial_pruning.subsets"
SHOWN: Final = 2_500  # iterations in the figure
LATER: Final = 10_000  # where the dense network shall have caught up
_STARTS: Final = 10
_USUAL: Final = 0.5  # the p that the paper recommends


class SubsetsSpec(SingleLayerSpec):
    """Networks for each number of training images; which numbers and which p the figure shows is not said.

    Args:
        sizes: numbers of training images.
        removed: p of each network, with a static mask and with masks that compete.
        starts: K of the latter.
    """

    experiment: Literal["initial_pruning.subsets"] = NAME
    iterations: Count = LATER
    sizes: Annotated[tuple[Count, ...], Field(min_length=1)] = (100, 250, 500, 1_000, 2_500)
    removed: Annotated[tuple[Removed, ...], Field(min_length=1)] = (0.3, 0.5, 0.7, 0.9)
    starts: Starts = _STARTS


def specs(scale: Scale) -> Sequence[SubsetsSpec]:
    """Each set of images whose files are at hand; ten runs as in the paper, for 10,000 iterations instead of 2,500.

    A trial trains 45 networks, nine at a time, which takes about half a minute on one thread. Desk: three of
    the five sizes.
    """
    if scale == "smoke":
        return [SubsetsSpec(data="digits", iterations=60, sizes=(50, 200), removed=(0.5,), starts=3)]
    sizes = (100, 500, 2_500) if scale == "desk" else SubsetsSpec.model_fields["sizes"].default
    fashion = [] if missing("fashion_mnist") else [SubsetsSpec(data="fashion_mnist", sizes=sizes)]
    return [SubsetsSpec(sizes=sizes), *fashion]


def run(spec: SubsetsSpec, trial: Trial) -> None:
    """Draws an order of the images, takes the first of them, trains all networks on these; the next size."""
    data = load(spec.data)
    shuffled = data.train.shuffled(generator=trial.generator("subset"))
    marks = sorted({min(SHOWN, spec.iterations), spec.iterations})
    for size in dict.fromkeys(min(size, len(data.train.labels)) for size in spec.sizes):
        run_ways(_ways(spec), spec, trial, shuffled.take(size), marks, f"{size} images,")


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Accuracy by the number of images, and what the paper says of sparse and dense networks."""
    groups = by_spec(outcomes, lambda spec: WORDS[spec.data])  # type: ignore[attr-defined]
    found = [block for label, group in groups.items() for block in _blocks(label, group)]
    intro = "A single layer, trained on N images again and again, tested on all test images."
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, tuple(found))


def _blocks(label: str, outcomes: Sequence[Outcome]) -> Iterator[Block]:
    spec: SubsetsSpec = outcomes[0].spec  # type: ignore[assignment]
    ways, sizes = _ways(spec), _sizes(outcomes, _ways(spec))
    shown = looked_at(outcomes[0], _name(sizes[0], ways[0]))[0]
    yield Chart(
        f"Figure 3, {label}, after {shown:,} iterations",
        "Mean and deviation of the test accuracy over the runs.",
        "training images",
        "test accuracy, %",
        tuple(
            series(
                way.label,
                [(sizes, [accuracy_at(one, _name(size, way), shown) for size in sizes]) for one in outcomes],
                log_x=True,
                band="std",
            )
            for way in ways
            if way.k != 1
        ),
        log_x=True,
        band="std",
    )
    rows = tuple(
        (way.label, *(mean_and_deviation(_values(outcomes, _name(size, way), shown)) for size in sizes)) for way in ways
    )
    columns = ("network", *(f"{size:,} images" for size in sizes))
    yield Grid(f"Test accuracy, {label}, after {shown:,} iterations, %", columns, rows)
    claims = tuple(claim for size in sizes for claim in _claims(outcomes, size, shown))
    if claims:
        yield ClaimTable(
            f"Sparse and dense, {label}",
            claims,
            "K-starts at p = 0.5, seed by seed, in points, judged by the 95 % interval of the mean. Spread is the "
            "distance from the median of the runs. The figure is a picture; the claims are the text's (section 5.2).",
        )


def _claims(outcomes: Sequence[Outcome], size: int, shown: int) -> Iterator[Claim]:
    """Sparse is ahead, varies less, and its lead shrinks when both are trained on."""
    spec: SubsetsSpec = outcomes[0].spec  # type: ignore[assignment]
    is_ours = as_published(spec, "data", "sizes", "removed", "iterations") and shown == SHOWN and spec.data != "digits"
    zero = 0.0 if is_ours else None
    if _USUAL not in spec.removed or not spec.starts:
        return
    dense, sparse = (_name(size, way) for way in (Way(0.0, 0), Way(_USUAL, spec.starts)))
    early = {name: _values(outcomes, name, shown) for name in (dense, sparse)}
    lead = tuple(a - b for a, b in zip(early[sparse], early[dense], strict=True))
    yield Claim(f"{size:,} images: sparse − dense", zero, lead, 0.0, "points", 2, "at_least", True)
    off = {name: [abs(one - median(values)) for one in values] for name, values in early.items()}
    less = tuple(a - b for a, b in zip(off[dense], off[sparse], strict=True))
    yield Claim(f"{size:,} images: spread, dense − sparse", zero, less, 0.0, "points", 2, "at_least", True)
    if spec.iterations > shown:
        late = {name: _values(outcomes, name, spec.iterations) for name in (dense, sparse)}
        caught = tuple(a - b + c for a, b, c in zip(lead, late[sparse], late[dense], strict=True))
        label = f"{size:,} images: lead after {shown:,} − lead after {spec.iterations:,}"
        yield Claim(label, zero, caught, 0.0, "points", 2, "at_least", True)


def _ways(spec: SubsetsSpec) -> list[Way]:
    return [Way(0.0, 0), *(Way(removed, k) for k in dict.fromkeys((1, spec.starts)) if k for removed in spec.removed)]


def _sizes(outcomes: Sequence[Outcome], ways: Sequence[Way]) -> list[int]:
    """Those that every trial has: a set of images may have fewer than were asked for."""
    found = (
        int(name.split(" images,")[0])
        for name in outcomes[0].series
        if " images, " in name and name.endswith(ways[0].label)
    )
    return sorted(set(found))


def _values(outcomes: Sequence[Outcome], name: str, iteration: int) -> list[float]:
    return [accuracy_at(outcome, name, iteration) for outcome in outcomes]


def _name(size: int, way: Way) -> str:
    return f"{size} images, {way.label}"


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=SubsetsSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 5, "full": 10},
    trial=run,
    findings=findings,
)

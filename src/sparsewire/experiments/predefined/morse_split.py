"""The paper on pre-defined sparsity, Figure 3 (b, c) and Appendix 5.1: which junction wants the connections more?"""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, families, paired
from sparsewire.experiments.predefined.morse_density import run
from sparsewire.experiments.predefined.morse_setup import SHORTER, MorseSpec, shortened
from sparsewire.experiments.predefined.published import FIRST_SPARSE, SECOND_SPARSE
from sparsewire.experiments.predefined.readings import best, by_density, density
from sparsewire.experiments.predefined.setup import FREE
from sparsewire.lab.experiment import Experiment, Outcome, Scale
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Note, Section

NAME: Final = "predefined.morse_split"
FIRST: Final = "density of junction 1"
# Fan-outs 16 a and b have the overall density (a + b) / 128: here a for each sum a + b.
SPLITS: Final = {32: (1, 2, 4, 8, 12, 16, 20, 24, 28, 31), 64: (1, 2, 8, 16, 24, 32, 40, 48, 56, 63)}
AT_A_DESK: Final = {32: (1, 4, 8, 12, 16, 24, 31), 64: (1, 8, 16, 24, 32, 48, 63)}
_SMALL: Final = ((2, 28), (8, 16), (14, 4), (8, 48), (16, 32), (24, 16))  # of 64-32-64: at 25 %, at 50 %
PUBLISHED_MARGIN: Final = 5.0  # points; the appendix says "about", of single runs


class MorseSplitSpec(MorseSpec):
    """64-1024-64 with one split of its connections between the two junctions."""

    experiment: Literal["predefined.morse_split"] = NAME
    fan_outs: tuple[int, ...] = (256, 48)


def specs(scale: Scale) -> Sequence[MorseSplitSpec]:
    """Splits at 25 % and at 50 %, the extremes among them; full: ten of each; desk: seven, and 2,000 frames a class.

    On one thread a trial of 2,000 frames takes about 25 s at 25 % and 50 s at 50 %, so three seeds of 14 splits take 13
    minutes on two cores.
    """
    if scale == "smoke":
        small = MorseSplitSpec(per_class=8, test_per_class=2, sizes=(64, 32, 64), epochs=1, execution="masked")
        return [small.model_copy(update={"fan_outs": fan_outs}) for fan_outs in _SMALL]
    whole, splits = (MorseSplitSpec(), SPLITS) if scale == "full" else (MorseSplitSpec(per_class=2000), AT_A_DESK)
    return [
        whole.model_copy(update={"fan_outs": (16 * a, total - a)}) for total, firsts in splits.items() for a in firsts
    ]


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figure 3 (b, c): accuracy by the density of the first junction; whether the peak is left of the middle."""
    blocks: list[Block] = []
    for label, family in families(outcomes, "fan_outs", *FREE).items():
        suffix = f", {label}" if label else ""
        overall = _by_overall(family)
        for share, group in overall.items():
            letter = {25.0: "b", 50.0: "c"}.get(share, "b, c")
            blocks.append(
                Chart(
                    f"Figure 3 ({letter}): {share} % of all connections{suffix}",
                    f"Best test accuracy of any epoch; both junctions are equally dense at {share} %, and left of it "
                    "the second one is denser.",
                    "density of junction 1, %",
                    "test accuracy, %",
                    (by_density(f"{share} % overall", group, FIRST),),
                )
            )
        blocks.append(ClaimTable(f"Does the later junction want more?{suffix}", tuple(_claims(overall)), ABOUT))
        if text := shortened(family[0].spec):  # type: ignore[arg-type]
            blocks.append(Note(text))
    intro = "All connections of the network on Morse code are as many, and are shared out between its two junctions."
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, tuple(blocks))


ABOUT: Final = (
    "Differences and peaks of one seed each, judged by their 95 % interval. “Sparsest first”: as few connections as "
    "possible in junction 1 and as many in junction 2; “sparsest last” the other way round."
)


def _claims(overall: dict[float, list[Outcome]]) -> list[Claim]:
    claims: list[Claim] = []
    last: dict[float, list[Outcome]] = {}
    for share, group in overall.items():
        splits = _by_first(group)
        densities = sorted(splits)
        middle, first, last[share] = splits.get(float(share)), splits[densities[0]], splits[densities[-1]]
        zero = _zero(group)
        if middle is not None:
            claims += _around(share, group, middle, zero)
        claims.append(_above(f"{share} %: sparsest last − sparsest first", zero, first, last[share]))
        if _is_full(group):
            claims += [
                Claim(f"{share} %: {what}", known.get(share), tuple(map(best, of)), PUBLISHED_MARGIN, "%", 1)
                for what, known, of in (
                    ("sparsest first", FIRST_SPARSE, first),
                    ("sparsest last", SECOND_SPARSE, last[share]),
                )
            ]
    if {25, 50} <= last.keys():
        claims.append(_above("sparsest last: 50 % − 25 %", _zero(last[25]), last[25], last[50]))
    return [claim for claim in claims if claim.ours]


def _around(share: float, group: Sequence[Outcome], middle: Sequence[Outcome], zero: float | None) -> list[Claim]:
    """Where the peak is, and the split in the middle of the left half, which the text names, against its mirror."""
    splits = _by_first(group)
    # A seed with a split missing may have its peak there.
    whole = set.intersection(*({outcome.seed for outcome in of} for of in splits.values()))
    peaks = tuple(
        max((outcome for outcome in group if outcome.seed == seed), key=best).metrics[FIRST] for seed in sorted(whole)
    )
    # The equal split is not left of itself: what is claimed is the next one below it that was tried, or less.
    below = max((density for density in splits if density < share), default=None) if zero is not None else None
    claims = [Claim(f"{share} %: density of junction 1 at the peak", below, peaks, 0.0, "%", 1, "at_most", True)]
    left, right = splits.get(share / 2), splits.get(1.5 * share)
    if left:
        claims.append(_above(f"{share} %: {share / 2:g}/{1.5 * share:g} − equal", zero, middle, left))
    if left and right:
        claims.append(
            _above(f"{share} %: {share / 2:g}/{1.5 * share:g} − {1.5 * share:g}/{share / 2:g}", zero, right, left)
        )
    return claims


def _above(label: str, zero: float | None, low: Sequence[Outcome], high: Sequence[Outcome]) -> Claim:
    return Claim(label, zero, paired(low, high, best), 0.0, "points", 2, "at_least", True)


def _by_overall(outcomes: Sequence[Outcome]) -> dict[float, list[Outcome]]:
    return _grouped(outcomes, lambda outcome: round(density(outcome)))


def _by_first(outcomes: Sequence[Outcome]) -> dict[float, list[Outcome]]:
    return _grouped(outcomes, lambda outcome: round(outcome.metrics[FIRST], 4))


def _grouped(outcomes: Sequence[Outcome], key: Callable[[Outcome], float]) -> dict[float, list[Outcome]]:
    groups: dict[float, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return dict(sorted(groups.items()))


def _zero(outcomes: Sequence[Outcome]) -> float | None:
    return 0.0 if all(as_published(outcome.spec, "fan_outs", *SHORTER, *FREE) for outcome in outcomes) else None


def _is_full(outcomes: Sequence[Outcome]) -> bool:
    """Whether the trials are the paper's in length too, so that its accuracies may be compared."""
    return all(as_published(outcome.spec, "fan_outs", *FREE) for outcome in outcomes)


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=MorseSplitSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 3, "full": 5},
    trial=run,
    findings=findings,
)

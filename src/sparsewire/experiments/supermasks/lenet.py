"""Sándor 2020, section 3.1: LeNet-300-100, untrained, loses units by four methods."""

import math
from collections.abc import Sequence
from typing import Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, by_spec
from sparsewire.experiments.supermasks.readings import charts, curve, each, table
from sparsewire.experiments.supermasks.setup import WORDS, SupermaskSpec, run
from sparsewire.experiments.supermasks.sizes import Printed, iteration_of, sizes
from sparsewire.lab.experiment import Experiment, Outcome, Scale
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Note, Section

NAME: Final = "supermasks.lenet"
PRINTED: Final = (Printed(35.34, (108, 36)), Printed(1.77, (6, 2)))
ONE_SHOT_SIZE: Final = 20.0  # "80 % of the parameters are removed"
CHANCE, CHANCE_TOLERANCE = 10.0, 3.0
UNIFORM: Final = math.log(10)
FREE: Final = ("ensembles", "per_unit", "samples", "share", "draw")  # the paper does not tell them

NOTE: Final = (
    "The paper tells neither how many masks there are nor how they are drawn, how the score follows from the loss, "
    "which images it is taken of, or whether both layers are scored on one network. Here: exactly half of the units "
    "on, three masks for each unit and at least 1,000, s = −loss on 1,000 training images with pixels in [0, 1], both "
    "layers on the same network. An accuracy above the printed one comes from these choices; the method is the same."
)


class LenetSpec(SupermaskSpec):
    """784-300-100-10, 49 iterations of 6 and 2 units down to (6, 2)."""

    experiment: Literal["supermasks.lenet"] = NAME


def specs(scale: Scale) -> Sequence[LenetSpec]:
    """The paper's own run at desk and at full scale: a seed takes some 40 s on one thread, an estimate."""
    if scale == "smoke":
        return [
            LenetSpec(data="digits", hidden=(30, 16), removed=(6, 3), iterations=4, ensembles=60, samples=200)
        ]  # fmt: skip
    return [LenetSpec()]


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figures 1 and 2, and what the text says of them."""
    intro = "Units are taken from a network that is never trained; accuracy and loss are those of the test images."
    found = tuple(block for label, group in by_spec(outcomes).items() for block in _blocks(label, group))
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, found)


def _blocks(label: str, outcomes: Sequence[Outcome]) -> list[Block]:
    spec: LenetSpec = outcomes[0].spec  # type: ignore[assignment]
    more = label and f", {label}"
    if not as_published(spec, *FREE):
        return [*charts(outcomes, f"Figure 1{more}", f"Figure 2{more}"), table(outcomes, (0, spec.iterations))]
    at = (0, *(iteration_of(units, spec.hidden, spec.removed) for units in ((114, 38), (108, 36))), spec.iterations)
    return [
        ClaimTable(f"Accuracy{more}", tuple(_accuracies(outcomes)), "By the 95 % interval over the seeds."),
        ClaimTable(f"Loss{more}", tuple(_losses(outcomes)), "By the 95 % interval; 0.05 and 0.02 nats are our bounds."),
        sizes(PRINTED, spec.hidden, spec.removed, spec.iterations),
        *charts(outcomes, f"Figure 1: accuracy{more}", f"Figure 2: loss{more}"),
        table(outcomes, at),
        Note(NOTE),
    ]


def _accuracies(outcomes: Sequence[Outcome]) -> list[Claim]:
    spec: LenetSpec = outcomes[0].spec  # type: ignore[assignment]
    first = each(outcomes, "lfe", "accuracy", 0)
    claims = [Claim("whole network", CHANCE, first, CHANCE_TOLERANCE, "%", by_interval=True)]
    for way in ("random", "magnitude"):
        means = tuple(sum(one) / len(one) for run in outcomes if (one := curve(run, way, "accuracy")))
        label = f"{WORDS[way]}: mean over all sizes"
        claims.append(Claim(label, CHANCE, means, CHANCE_TOLERANCE, "%", by_interval=True))
    for units, size in (((114, 38), "35.34 %, as printed"), ((108, 36), "33.40 %, the printed units")):
        ours = each(outcomes, "lfe", "accuracy", iteration_of(units, spec.hidden, spec.removed))
        label = f"{WORDS['lfe']}: {units[0]} and {units[1]} units ({size})"
        claims.append(Claim(label, 37.0, ours, 4.0, "%", 1, kind="at_least", by_interval=True))
    peaks = [_peak(one, "lfe_one_shot") for one in outcomes]
    label = f"{WORDS['lfe_one_shot']}: peak"
    claims.append(Claim(label, 29.0, tuple(peak for peak, _ in peaks), 4.0, "%", 1, kind="at_least", by_interval=True))
    where = tuple(size for _, size in peaks)
    claims.append(Claim(f"{label}, size", ONE_SHOT_SIZE, where, 10.0, "%", 1, by_interval=True))
    last = each(outcomes, "lfe", "accuracy", spec.iterations)
    claims.append(Claim(f"{WORDS['lfe']}: 6 and 2 units (1.78 %)", 11.9, last, 4.0, "%", 1, by_interval=True))
    return [claim for claim in claims if claim.ours]


def _losses(outcomes: Sequence[Outcome]) -> list[Claim]:
    claims = []
    for way in ("random", "magnitude"):
        last = each(outcomes, way, "loss", -1)
        claims.append(Claim(f"{WORDS[way]}: at the end", UNIFORM, last, 0.02, digits=4, by_interval=True))
        fall = tuple(one[0] - one[-1] for run in outcomes if (one := curve(run, way, "loss")))
        claims.append(Claim(f"{WORDS[way]}: start − end", 0.0, fall, kind="at_least", by_interval=True))
    for way in ("lfe", "lfe_one_shot"):
        curves = [one for run in outcomes if (one := curve(run, way, "loss"))]
        for label, place in (("start", 0), ("end", -1)):
            gaps = tuple(one[place] - min(one) for one in curves)
            claims.append(Claim(f"{WORDS[way]}: {label} − minimum", 0.05, gaps, kind="at_least", by_interval=True))
    return [claim for claim in claims if claim.ours]


def _peak(outcome: Outcome, way: str) -> tuple[float, float]:
    """The highest accuracy of a way, and at which size."""
    pairs = zip(curve(outcome, way, "accuracy"), curve(outcome, way, "size"), strict=True)
    return max(pairs, default=(math.nan, math.nan))


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=LenetSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 5, "full": 5},
    trial=run,
    findings=findings,
)

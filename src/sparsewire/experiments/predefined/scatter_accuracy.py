"""Does scatter tell which pattern learns better? Our own experiment: section 3.2 of the paper is lost.

Networks of equal size and equal density differ in nothing but which of the possible connections they have: from
clustered patterns (all connections of a neuron in as few windows as possible) over ones that are mixed ever more, and
random ones, to planned ones (one connection in every window).
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Final, Literal

import torch
from pydantic import Field
from torch import nn

from sparsewire.analysis.scatter_metric import scatter
from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import families, paired
from sparsewire.experiments.predefined.correlation import correlation, pearson, spearman
from sparsewire.experiments.predefined.morse_setup import MorseSpec, frames
from sparsewire.experiments.predefined.readings import best, mean_and_spread
from sparsewire.experiments.predefined.setup import FREE, Counts, Some, run_training
from sparsewire.experiments.predefined.sources import Source, images
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart, Series
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid, Note, Section
from sparsewire.models.zoo import mlp
from sparsewire.structure.masks import Masks
from sparsewire.structure.predefined_masks import predefined
from sparsewire.structure.priors.rewiring import rewired
from sparsewire.structure.windows import Layout

NAME: Final = "predefined.scatter"
Pattern = Literal["clustered", "fixed_degree", "planned"]
# From the least scatter to the most: which pattern, and the fraction of its edges that is swapped.
STEPS: Final[tuple[tuple[Pattern, float], ...]] = (
    ("clustered", 0.0),
    ("clustered", 0.1),
    ("clustered", 0.25),
    ("clustered", 0.5),
    ("fixed_degree", 0.0),
    ("planned", 0.25),
    ("planned", 0.0),
)
WORDS: Final = {"clustered": "clustered", "fixed_degree": "random", "planned": "planned"}
LOST: Final = (
    "The paper's own experiments with scatter (section 3.2) and their numbers are not in the text that we have. This "
    "is our design; the paper's claim that is judged is its sentence that any low value of scatter leads to bad "
    "performance, read as: accuracy rises with scatter."
)


class ScatterSpec(MorseSpec):
    """One network with one kind of pattern; data "morse" is drawn, the others are images in rows of pixels.

    Args:
        data: "morse", or a set of images.
        images: of the training images so many; 0: all.
        pattern: "clustered", "fixed_degree" (random) or "planned".
        fraction: of its edges that are swapped for others, with all degrees kept.
    """

    experiment: Literal["predefined.scatter"] = NAME
    data: Source | Literal["morse"] = "morse"
    images: Some = 0
    fan_outs: Counts = (128, 8)
    pattern: Pattern = "fixed_degree"
    fraction: float = Field(default=0.0, ge=0, le=1)


def specs(scale: Scale) -> Sequence[ScatterSpec]:
    """Morse code with the fan-outs of Appendix 5.2, and 784-196-10 on MNIST with the 16 windows of Figure 5 (a).

    Seven patterns each, at full and at desk scale alike with the paper's 5,000 frames a class. On one thread a trial of
    Morse code takes about 30 s and one of MNIST 8 s, so five seeds take 12 minutes on two cores.
    """
    if scale == "smoke":
        small = ScatterSpec(
            per_class=8, test_per_class=2, sizes=(64, 32, 64), fan_outs=(4, 8), epochs=1, execution="masked"
        )
        digits = ScatterSpec(
            data="digits", sizes=(64, 16, 10), fan_outs=(1, 10), epochs=1, optimizer="adam", rate=1e-3,
            execution="masked",
        )  # fmt: skip
        return [_with(one, *step) for one in (small, digits) for step in STEPS[::3]]
    mnist = ScatterSpec(
        data="mnist", sizes=(784, 196, 10), fan_outs=(4, 10), optimizer="adam", rate=1e-3, penalty=8e-5
    )  # fmt: skip
    return [_with(one, *step) for one in (ScatterSpec(), mnist) for step in STEPS]


def run(spec: ScatterSpec, trial: Trial) -> None:
    """Draws the pattern, measures its scatter, trains."""
    data = frames(spec, trial) if spec.data == "morse" else images(spec.data, spec.images).flat()
    model, layouts = mlp(spec.sizes), _layouts(spec)
    masks = _masks(model, spec, layouts, trial.generator("pattern"))
    found = scatter(masks, layouts)
    for name, value in zip(found.names, found.vector, strict=True):
        trial.record(f"scatter {name}", value)
    trial.record("scatter", found.minimum)
    run_training(model, masks, data, spec, trial, _word(spec))


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Accuracy against scatter, and what their correlation says."""
    blocks: list[Block] = []
    for label, family in families(outcomes, "pattern", "fraction", *FREE, name=_network).items():
        groups = _by_pattern(family)
        blocks += [
            Chart(
                f"Accuracy by scatter: {label}",
                "A point a trial, a marker a pattern; all have as many connections. Best test accuracy of any epoch.",
                "scatter S, the smallest number of the vector",
                "test accuracy, %",
                tuple(_points(name, group) for name, group in groups.items()),
                kind="points",
                value_label="seed",
            ),
            _patterns(label, groups),
            ClaimTable(f"Does accuracy rise with scatter? {label}", tuple(_claims(family, groups)), ABOUT),
            _pooled(label, family),
        ]
    intro = "Equal sizes, equal density, equal degrees; only where the connections lie differs."
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, (*blocks, Note(LOST)))


ABOUT: Final = (
    "Correlations over the patterns of one seed, and differences of one seed; judged by their 95 % interval over the "
    "seeds."
)


def _with(spec: ScatterSpec, pattern: Pattern, fraction: float) -> ScatterSpec:
    return spec.model_copy(update={"pattern": pattern, "fraction": fraction})


def _layouts(spec: ScatterSpec) -> list[Layout | None]:
    """The inputs are a row of samples in time, or an image; all other layers have no order but their own."""
    side = round(spec.sizes[0] ** 0.5)
    inputs = None if spec.data == "morse" else Layout((side, side))
    return [inputs, *(None for _ in spec.sizes[1:])]


def _masks(model: nn.Module, spec: ScatterSpec, layouts: list[Layout | None], generator: torch.Generator) -> Masks:
    masks = predefined(model, fan_outs=spec.fan_outs, pattern=spec.pattern, layouts=layouts, generator=generator)
    if not spec.fraction:
        return masks
    return Masks({name: rewired(mask, spec.fraction, generator=generator) for name, mask in masks.items()})


def _by_pattern(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """The outcomes of each kind of pattern, from the least mean scatter to the most."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(_word(outcome.spec), []).append(outcome)  # type: ignore[arg-type]
    return dict(sorted(groups.items(), key=lambda item: fmean(map(_scatter, item[1]))))


def _claims(family: Sequence[Outcome], groups: dict[str, list[Outcome]]) -> list[Claim]:
    zero = 0.0 if all(_is_meant(outcome.spec) for outcome in family) else None  # type: ignore[arg-type]
    seeds: dict[int, list[Outcome]] = {}
    for outcome in family:
        seeds.setdefault(outcome.seed, []).append(outcome)
    # A seed with a pattern missing would be measured over another range of scatter.
    whole = [of for of in seeds.values() if len(of) == len(groups) and len(of) > 2]
    claims = [
        Claim(f"{word} correlation", zero, tuple(kind(_scatters(of), list(map(best, of))) for of in whole), 0.0, "",
              2, "at_least", True)
        for word, kind in (("Pearson", pearson), ("Spearman", spearman))
    ]  # fmt: skip
    for low, high in (("clustered", "random"), ("random", "planned"), ("clustered", "planned")):
        ours = paired(groups.get(low, []), groups.get(high, []), best)
        claims.append(Claim(f"{high} − {low}", zero, ours, 0.0, "points", 2, "at_least", True))
    return [claim for claim in claims if claim.ours]


def _pooled(label: str, family: Sequence[Outcome]) -> Grid:
    """The correlation of all trials together."""
    found = correlation(_scatters(family), list(map(best, family)))
    rows = [
        (word, found.count, f"{value:.2f}", "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}")
        for word, value, interval in (
            ("Pearson", found.pearson, found.pearson_interval),
            ("Spearman", found.spearman, found.spearman_interval),
        )
    ]
    note = f"By the interval of Pearson's: {found.verdict}. Intervals by resampling the trials."
    return Grid(f"All trials together, {label}", ("correlation", "trials", "value", "95 %"), tuple(rows), note)


def _patterns(label: str, groups: dict[str, list[Outcome]]) -> Grid:
    rows = []
    for name, group in groups.items():
        vector = [key for key in group[0].metrics if key.startswith("scatter S")]
        means = ", ".join(f"{fmean(outcome.metrics[key] for outcome in group):.2f}" for key in vector)
        rows.append((name, f"{fmean(map(_scatter, group)):.3f}", means, mean_and_spread([best(o) for o in group])))
    columns = ("pattern", "scatter", "vector S1f, S1b, …, Sf, Sb", "best accuracy, %")
    return Grid(f"By pattern, {label}", columns, tuple(rows), "Mean over seeds.")


def _points(name: str, outcomes: Sequence[Outcome]) -> Series:
    moments = tuple(outcome.seed for outcome in outcomes)
    return Series(name, tuple(_scatters(outcomes)), tuple(map(best, outcomes)), moments=moments)


def _scatter(outcome: Outcome) -> float:
    return outcome.metrics["scatter"]


def _scatters(outcomes: Sequence[Outcome]) -> list[float]:
    return list(map(_scatter, outcomes))


def _is_meant(spec: ScatterSpec) -> bool:
    """Whether a trial is large enough for patterns to show; those of the smoke scale are not."""
    return spec.data == "mnist" or (spec.data == "morse" and spec.per_class >= 100)


def _word(spec: ScatterSpec) -> str:
    return WORDS[spec.pattern] + (f", {100 * spec.fraction:g} % mixed" if spec.fraction else "")


def _network(spec: ScatterSpec) -> str:
    data = {"morse": "Morse code", "mnist": "MNIST"}.get(spec.data, spec.data)
    sizes, fan_outs = "-".join(map(str, spec.sizes)), ",".join(map(str, spec.fan_outs))
    return f"{data}, {sizes}, fan-outs {fan_outs}"


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=ScatterSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 5, "full": 10},
    trial=run,
    findings=findings,
)

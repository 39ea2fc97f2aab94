"""The paper on pre-defined sparsity, Figure 3 (a): Morse code, accuracy by density, both junctions equally dense."""

from collections.abc import Sequence
from typing import Final, Literal

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, families, paired
from sparsewire.experiments.predefined.morse_setup import SHORTER, MorseSpec, frames, shortened
from sparsewire.experiments.predefined.readings import best, by_density, density
from sparsewire.experiments.predefined.setup import FREE, connected, run_training
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Note, Section
from sparsewire.models.zoo import mlp

NAME: Final = "predefined.morse"
MARGIN: Final = 1.0  # points of accuracy that count as nothing
# Fan-outs 16 a and a, density a / 64: 3.1 % to 75 %, and beyond them the full network.
SIXTYFOURTHS: Final = (2, 4, 8, 16, 24, 32, 48)


class MorseDensitySpec(MorseSpec):
    """64-1024-64 at one density."""

    experiment: Literal["predefined.morse"] = NAME


def specs(scale: Scale) -> Sequence[MorseDensitySpec]:
    """Eight densities; desk and full: the paper's 5,000 frames a class and 30 epochs.

    On one thread a trial takes about 20 s at 3 %, 27 s at 12.5 %, 55 s at 25 % and 130 s from 37.5 % on, so three
    seeds take 18 minutes on two cores.
    """
    if scale == "smoke":
        small = MorseDensitySpec(per_class=8, test_per_class=2, sizes=(64, 32, 64), epochs=1, execution="masked")
        return [small.model_copy(update={"fan_outs": fan_outs}) for fan_outs in ((), (16, 32), (4, 8))]
    return [MorseDensitySpec(fan_outs=fan_outs) for fan_outs in (*((16 * a, a) for a in SIXTYFOURTHS), ())]


def run(spec: MorseSpec, trial: Trial) -> None:
    """Trains one network; its best accuracy is what counts."""
    model = mlp(spec.sizes)
    run_training(model, connected(model, spec, trial), frames(spec, trial), spec, trial, "Morse")


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figure 3 (a)."""
    blocks: list[Block] = []
    for label, family in families(outcomes, "fan_outs", *FREE).items():
        suffix = f", {label}" if label else ""
        blocks += [
            Chart(
                f"Figure 3 (a){suffix}",
                "Best test accuracy of any epoch. Two of the 64 classes have one code, so that 98.44 % is the most.",
                "density, %",
                "test accuracy, %",
                (by_density("64-1024-64" if _is_paper(family) else "network", family),),
            ),
            ClaimTable(
                f"How many connections does it take?{suffix}",
                tuple(_claims(family)),
                f"Seed by seed, judged by the 95 % interval; {MARGIN:g} point counts as nothing.",
            ),
        ]
        if text := shortened(family[0].spec):  # type: ignore[arg-type]
            blocks.append(Note(text))
    intro = "Which of 64 symbols is this piece of Morse code? Every input matters, so that connections are soon missed."
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, tuple(blocks))


def _claims(outcomes: Sequence[Outcome]) -> list[Claim]:
    at: dict[float, list[Outcome]] = {}
    for outcome in outcomes:
        at.setdefault(round(density(outcome), 3), []).append(outcome)
    zero = 0.0 if _is_paper(outcomes) else None
    full, half, eighth = (at.get(share, []) for share in (100.0, 50.0, 12.5))
    claims = [
        Claim("FC − 50 %", zero, paired(half, full, best), MARGIN, "points", 2, "at_most", True),
        Claim("50 % − 12.5 %", zero, paired(eighth, half, best), 0.0, "points", 2, "at_least", True),
    ]
    return [claim for claim in claims if claim.ours]


def _is_paper(outcomes: Sequence[Outcome]) -> bool:
    return all(as_published(outcome.spec, "fan_outs", *SHORTER, *FREE) for outcome in outcomes)


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=MorseDensitySpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 3, "full": 5},
    trial=run,
    findings=findings,
)

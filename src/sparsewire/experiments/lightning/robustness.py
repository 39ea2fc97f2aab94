"""The lightning paper, Figure 7: how much do the number and the strength of the lightnings matter?"""

from collections.abc import Sequence
from statistics import fmean
from typing import Final, Literal

from pydantic import Field

from sparsewire.execution.shrinking import shrink
from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.lightning.setup import (
    SOURCE,
    Hidden,
    Lightnings,
    Source,
    as_published,
    load,
    network,
    train,
)
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart, heat_rows
from sparsewire.lab.reporting.findings import Claim, ClaimTable, Note, Section
from sparsewire.lab.spec import Spec
from sparsewire.models.initialize import lightning_

NAME: Final = "lightning.robustness"

# The paper gives neither the sizes nor the grid, only that each parameter spans a factor of 100 and is robust over it.
SIZES = ((150, 50), (300, 100), (600, 200))


class RobustnessSpec(Spec):
    """One network with one number and one strength of lightnings."""

    experiment: Literal["lightning.robustness"] = NAME
    data: Source = "mnist"
    hidden: Hidden = (300, 100)
    lightnings: Lightnings = 1000
    strength: float = Field(default=0.1, gt=0)
    epochs: int = Field(default=100, ge=1)
    rate: float = Field(default=0.05, gt=0)


def specs(scale: Scale) -> Sequence[RobustnessSpec]:
    """Sizes × numbers × strengths: 3 × 5 × 5 at 100 epochs; at desk scale 3 × 3 × 3 at 20; at smoke scale 2 × 2."""
    if scale == "smoke":
        return [
            RobustnessSpec(data=SOURCE[scale], hidden=(30, 20), lightnings=number, strength=strength, epochs=1)
            for number in (30, 300)
            for strength in (0.1, 0.5)
        ]
    desk = scale == "desk"
    numbers = (100, 1_000, 10_000) if desk else (100, 300, 1_000, 3_000, 10_000)
    strengths = (0.01, 0.1, 1.0) if desk else (0.01, 0.03, 0.1, 0.3, 1.0)
    return [
        RobustnessSpec(hidden=hidden, lightnings=number, strength=strength, epochs=20 if desk else 100)
        for hidden in SIZES
        for number in numbers
        for strength in strengths
    ]


def run(spec: RobustnessSpec, trial: Trial) -> None:
    """Trains one network; its best accuracy is what counts.

    Neurons that no lightning has touched have no weight but zeros, in front and behind: their activations are 0, and
    so are all gradients around them, for ever. So they are left out, which changes nothing but rounding and saves up to
    three quarters of the time.
    """
    model = network(spec.data, spec.hidden)
    lightning_(model, spec.lightnings, spec.strength, generator=trial.generator("weights"))
    train(
        shrink(model),
        load(spec.data),
        spec.epochs,
        trial,
        rate=spec.rate,
        on_epoch=lambda epoch, *_: trial.report(
            epoch / spec.epochs, f"{spec.lightnings} × {spec.strength}, epoch {epoch}"
        ),
    )


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figure 7: a map for each size, errors clipped at 10 %."""
    cells: dict[tuple[int, ...], dict[tuple[int, float], list[float]]] = {}
    for outcome in outcomes:
        spec: RobustnessSpec = outcome.spec  # type: ignore[assignment]
        of_size = cells.setdefault(spec.hidden, {})
        of_size.setdefault((spec.lightnings, spec.strength), []).append(100 - outcome.metrics["best_accuracy"])
    comparable = all(as_published(o.spec, "hidden", "lightnings", "strength", "epochs") for o in outcomes)
    charts, claims = [], []
    for hidden, of_size in cells.items():
        numbers, strengths = sorted({n for n, _ in of_size}), sorted({s for _, s in of_size})
        values = [
            [fmean(of_size.get((number, strength), [float("nan")])) for strength in strengths] for number in numbers
        ]
        size = "-".join(map(str, hidden))
        charts.append(
            Chart(
                f"Figure 7: {size}",
                "Mean over seeds, clipped at 10 %.",
                "strength",
                "lightnings",
                heat_rows(
                    [f"{number:,}" for number in numbers], [[min(value, 10.0) for value in row] for row in values]
                ),
                log_y=True,
                kind="heat",
                x_ticks=tuple(f"{strength:g}" for strength in strengths),
                value_label="test error of the best epoch, %",
            )
        )
        finite = [value for row in values for value in row if value == value]
        limit = 10.0 if comparable else None
        claims.append(Claim(f"worst cell, {size}", limit, (max(finite),), 0.0, unit="%", kind="at_most"))
        claims.append(Claim(f"best cell, {size}", None, (min(finite),), unit="%"))
    note = Note(
        "The paper shows the figure without numbers and clips the error at 10 %; “robust” is read here as: no cell of "
        "the grid, a factor of 100 in each direction, is clipped."
    )
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        "Every cell is a network that started with so many lightnings of such a strength.",
        (*charts, ClaimTable("Is any cell clipped?", tuple(claims)), note),
    )


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=RobustnessSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 2, "full": 5},
    trial=run,
    findings=findings,
)

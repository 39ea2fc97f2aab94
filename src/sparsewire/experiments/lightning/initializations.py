"""The lightning paper, Figures 5 and 6: does a start with complete paths learn faster, what becomes of weights?"""

from collections.abc import Sequence
from statistics import fmean
from typing import Final, Literal

import numpy as np
from pydantic import Field
from torch import nn

from sparsewire.analysis.paths import complete_path_fraction
from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.lightning.path_curves import initialize_
from sparsewire.experiments.lightning.setup import (
    SOURCE,
    Hidden,
    Lightnings,
    Source,
    as_published,
    load,
    network,
    places,
    train,
)
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart, distributions, series
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid, Section
from sparsewire.lab.spec import Spec
from sparsewire.models.initialize import lightning_

NAME: Final = "lightning.initializations"
# The figure's legend is lost with its image. The text names the truncated normal and the lightning; the others are
# those that the paper cites: LeCun, Glorot, He.
Initialization = Literal["lightning", "truncated_normal", "glorot_uniform", "he_uniform", "lecun_uniform"]
OTHERS: tuple[Initialization, ...] = ("truncated_normal", "glorot_uniform", "he_uniform", "lecun_uniform")
ABOUT = (
    "Below the others' mean: 1 - error of lightning / mean error of the others, seed by seed. Path share: of the "
    "strongest edges (10,000 in the paper), the smallest after any epoch."
)
QUANTILES = np.linspace(0, 1, 501)


class InitializationSpec(Spec):
    """One network from one start; "lightning" takes `lightnings` and `strength`."""

    experiment: Literal["lightning.initializations"] = NAME
    data: Source = "mnist"
    hidden: Hidden = (300, 100)
    initialization: Initialization = "lightning"
    lightnings: Lightnings = 1000
    strength: float = Field(default=0.5, gt=0)
    epochs: int = Field(default=30, ge=1)
    rate: float = Field(default=0.05, gt=0)
    edges: int = Field(default=10_000, ge=1)


def specs(scale: Scale) -> Sequence[InitializationSpec]:
    """The paper's own setup; at smoke scale two starts of a small network on digits."""
    if scale == "smoke":
        return [
            InitializationSpec(
                data=SOURCE[scale], hidden=(30, 20), initialization=name, epochs=2, lightnings=100, edges=200
            )
            for name in ("lightning", "glorot_uniform")
        ]
    return [InitializationSpec(initialization=name) for name in ("lightning", *OTHERS)]


def run(spec: InitializationSpec, trial: Trial) -> None:
    """Trains; records accuracy and path share after every epoch, keeps the final weights' distribution."""
    model = network(spec.data, spec.hidden)
    if spec.initialization == "lightning":
        lightning_(model, spec.lightnings, spec.strength, generator=trial.generator("weights"))
    else:
        initialize_(model, spec.initialization, trial.generator("weights"))

    def record(epoch: int) -> None:
        trial.record("share", float(complete_path_fraction(model, [spec.edges])[0]), step=epoch)
        trial.report(epoch / spec.epochs, f"{spec.initialization}, epoch {epoch}")

    record(0)
    train(model, load(spec.data), spec.epochs, trial, rate=spec.rate, on_epoch=lambda epoch, *_: record(epoch))
    layers = [module for module in model if isinstance(module, nn.Linear)]
    trial.keep(
        "quantiles",
        {
            place: np.quantile(layer.weight.detach().abs().numpy(), QUANTILES).astype(np.float32)
            for place, layer in zip(places(spec.hidden), layers, strict=False)
        },
    )


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Figures 5 and 6 and what the text says of them."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.spec.initialization, []).append(outcome)  # type: ignore[attr-defined]
    errors = tuple(series(_plain(name), [_errors(outcome) for outcome in group]) for name, group in groups.items())
    blocks: list[Block] = [
        Chart("Figure 5", "Test error after each epoch.", "epoch", "test error, %", errors, log_y=True),
        ClaimTable(
            "What the text says of Figures 5 and 6",
            _claims(groups),
            ABOUT,
        ),
        _distributions(groups),
    ]
    rows = tuple(
        (
            _plain(name),
            fmean(_error(o, 0) for o in group),
            fmean(_error(o, -1) for o in group),
            fmean(o.series["share"][-1][1] for o in group),
        )
        for name, group in groups.items()
    )
    blocks.append(
        Grid(
            "By initialisation, mean over seeds",
            ("initialisation", "error after epoch 1, %", "error at the end, %", "path share at the end"),
            rows,
        )
    )
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        "Complete paths at the start (in the paper a thousand, of strength 0.5), against random weights.",
        tuple(blocks),
    )


def _claims(groups: dict[str, list[Outcome]]) -> tuple[Claim, ...]:
    everyone = [outcome for group in groups.values() for outcome in group]
    paper = all(as_published(outcome.spec, "initialization") for outcome in everyone)
    lightning = {outcome.seed: outcome for outcome in groups.get("lightning", [])}
    others = {
        seed: {name: o for name, group in groups.items() if name != "lightning" for o in group if o.seed == seed}
        for seed in lightning
    }
    # The published comparison is with all the others: a run that is half done must not be judged by some of them.
    full = {seed: list(of.values()) for seed, of in others.items() if of and (not paper or len(of) == len(OTHERS))}
    gains: dict[int, tuple[float, ...]] = {}
    for epoch in (0, -1):
        gains[epoch] = tuple(
            100 * (1 - _error(lightning[seed], epoch) / fmean(_error(o, epoch) for o in rest))
            for seed, rest in full.items()
        )
    worst = max(fmean(_error(o, 0) for o in group) for group in groups.values())
    accuracies = (100 - worst,) if not paper or len(groups) == 1 + len(OTHERS) else ()
    # Not of the start: there only some 2,600 weights are not zero, and which zeros come next is chance.
    shares = tuple(min(share for epoch, share in of.series["share"] if epoch > 0) for of in lightning.values())

    def published(value: float) -> float | None:
        return value if paper else None

    return (
        Claim("accuracy after epoch 1, the worst start", published(90.0), accuracies, 0.0, unit="%", kind="at_least"),
        Claim(
            "error after epoch 1, lightning below the others' mean", published(32.0), gains[0], 7.0, unit="%", digits=1
        ),
        Claim(
            "error after the last epoch, lightning below the others' mean",
            published(13.0),
            gains[-1],
            7.0,
            unit="%",
            digits=1,
        ),
        Claim(
            "lightning: smallest path share of the strongest edges after any epoch",
            published(1.0),
            shares,
            0.01,
            digits=3,
        ),
    )


def _distributions(groups: dict[str, list[Outcome]]) -> Chart:
    """Figure 6 from the first seed's weights, as in the paper."""
    quantiles = {_plain(name): group[0].arrays("quantiles") for name, group in groups.items()}
    # an artefact does not keep the order of its entries
    layers = dict.fromkeys(
        place
        for group in groups.values()
        for place in places(group[0].spec.hidden)  # type: ignore[attr-defined]
        if all(place in of for of in quantiles.values())
    )
    by_layer = {place: {name: (of[place], QUANTILES) for name, of in quantiles.items()} for place in layers}
    return Chart(
        "Figure 6",
        "Cumulative distribution of the weights' magnitudes after training, layer by layer.",
        "|weight|",
        "cumulative share",
        distributions(by_layer),
        kind="steps",
    )


def _errors(outcome: Outcome) -> tuple[list[int], list[float]]:
    return [step for step, _ in outcome.series["accuracy"]], [100 - value for _, value in outcome.series["accuracy"]]


def _error(outcome: Outcome, epoch: int) -> float:
    return 100 - outcome.series["accuracy"][epoch][1]


def _plain(name: str) -> str:
    return name.replace("_", " ")


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=InitializationSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 3, "full": 5},
    trial=run,
    findings=findings,
)

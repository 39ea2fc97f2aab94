"""Stier, Darji, Granitzer 2021, section 4.1: is pruning better than the usual ways against overfitting?

A pruned network, trained on and started anew, beside dense ones with weight decay and with dropout.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Annotated, Final, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, by_spec
from sparsewire.experiments.hidden_structures.claims import shown
from sparsewire.experiments.hidden_structures.descents import Descent, percent, share_removed, steps
from sparsewire.experiments.hidden_structures.readings import mean_and_spread, percent_label
from sparsewire.experiments.hidden_structures.setup import (
    SMOKE,
    Count,
    PruningSpec,
    Share,
    load,
    network,
    train_base,
)
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart, Series
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid, Section
from sparsewire.structure.masks import Masks

NAME: Final = "hidden_structures.baselines"
PLAIN: Final = "plain"
TUNED: Final = "pruned, trained on"
ANEW: Final = "pruned, started anew"
LONGER: Final = "plain, trained on"
ABOUT: Final = (
    "Of one seed; the best weight decay and the best dropout are those of the best validation accuracy. Judged by the "
    "95 % interval. Published is the sentence that pruning can outperform other regularisation techniques. The pruned "
    "network was trained twice; so was the plain network that is trained on: that compares equals."
)

Decay = Annotated[float, Field(gt=0)]


class BaselinesSpec(PruningSpec):
    """Networks of one size, dense and pruned, each trained until its validation accuracy rises no more.

    Args:
        decays: weight decays, one dense network each.
        dropouts: shares of hidden outputs that are dropped, one dense network each.
        removed: what each step of the pruning removes; it is class-blind.
        prunings: how many steps.
    """

    experiment: Literal["hidden_structures.baselines"] = NAME
    decays: tuple[Decay, ...] = (0.05, 0.005, 0.0005, 0.00008)
    dropouts: tuple[Share, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    removed: Share = 0.5
    prunings: Count = 3


def specs(scale: Scale) -> Sequence[BaselinesSpec]:
    """784-100-10; full: thirteen trainings; desk: eight, with two weight decays and two shares of dropout.

    Which of its pruned networks the paper trains is not said; here it is pruned to an eighth, in three halvings.
    On one thread a trial takes about 105 s at desk scale, so three seeds take 3 minutes on two cores.
    """
    if scale == "smoke":
        return [BaselinesSpec(**SMOKE, decays=(0.0005,), dropouts=(0.2,), prunings=1)]
    return [BaselinesSpec() if scale == "full" else BaselinesSpec(decays=(0.0005, 0.00008), dropouts=(0.2, 0.5))]


def run(spec: BaselinesSpec, trial: Trial) -> None:
    """Trains all of them; records accuracies of training, validation and test set, in percent."""
    for done, decay in enumerate(spec.decays):
        _train(network(spec, trial), _decay_name(decay), spec, trial, decay=decay)
        trial.report((done + 1) / 12, _decay_name(decay))
    for done, share in enumerate(spec.dropouts):
        dropped = _with_dropout(network(spec, trial), share, trial.generator("dropout"))
        _train(dropped, _dropout_name(share), spec, trial)
        trial.report((done + 5) / 12, _dropout_name(share))
    base = network(spec, trial)
    _train(base, PLAIN, spec, trial)
    _train(copy.deepcopy(base), LONGER, spec, trial)
    masks = _pruned(base, spec, trial)
    trial.record("density", 100 * masks.density)
    _train(base, TUNED, spec, trial, masks)
    _train(masks.apply_(network(spec, trial)), ANEW, spec, trial, masks)


def findings(outcomes: Sequence[Outcome]) -> Section:
    """The table of all, and pruning against each of the others."""
    intro = "784-100-10: dense with weight decay or dropout, or pruned to an eighth of its weights."
    found = tuple(block for label, group in by_spec(outcomes).items() for block in _blocks(label, group))
    return Section(CATALOGUE[NAME].title, CATALOGUE[NAME].source, intro, found)


def _train(
    model: nn.Module, name: str, spec: BaselinesSpec, trial: Trial, masks: Masks | None = None, decay: float = 0.0
) -> None:
    """One training by the falling rate, without momentum, as the paper's code has it here."""
    history = train_base(model, spec, trial, name=name, masks=masks, momentum=0.0, decay=decay)
    data = load(spec.data)
    trial.record(f"{name} epochs", len(history))
    for part, samples in zip(data._fields, data, strict=True):
        trial.record(f"{name} {part} accuracy", percent(model, samples))


def _pruned(model: nn.Module, spec: BaselinesSpec, trial: Trial) -> Masks:
    """Prunes in place, with a short retraining after every step."""
    descent = Descent("blind", "blind", share_removed(spec.removed), spec.retraining)
    walk = steps(model, descent, spec, trial)
    found = [step.masks for _, step in zip(range(spec.prunings), walk, strict=False)]
    return found[-1]


class _Dropout(nn.Module):
    """As `nn.Dropout`, which draws from the global seed."""

    def __init__(self, share: float, generator: torch.Generator) -> None:
        super().__init__()
        self.share, self.generator = share, generator

    def forward(self, x: Tensor) -> Tensor:
        """In training a share of the numbers is zero, and the others are so much larger; else they stay."""
        if not self.training:
            return x
        kept = torch.rand(x.shape, generator=self.generator) >= self.share
        return x * kept / (1 - self.share)


def _with_dropout(model: nn.Sequential, share: float, generator: torch.Generator) -> nn.Sequential:
    """The network with dropout behind every activation."""
    layers: list[nn.Module] = []
    for layer in model:
        layers += [layer, _Dropout(share, generator)] if isinstance(layer, nn.ReLU) else [layer]
    return nn.Sequential(*layers)


def _blocks(label: str, outcomes: Sequence[Outcome]) -> list[Block]:
    spec: BaselinesSpec = outcomes[0].spec  # type: ignore[assignment]
    rivals: dict[str, Callable[[Outcome], str]] = {
        "the plain network": lambda _: PLAIN,
        "the plain network, trained on": lambda _: LONGER,
        "the best weight decay": _best(map(_decay_name, spec.decays)),
        "the best dropout": _best(map(_dropout_name, spec.dropouts)),
        "the pruned network, started anew": lambda _: ANEW,
    }
    claims = [
        Claim(f"pruned − {words}", 0.0, tuple(_test(one, TUNED) - _test(one, rival(one)) for one in outcomes), 0.0,
              "points", kind="at_least", by_interval=True)
        for words, rival in rivals.items()
    ]  # fmt: skip
    title = f"Baselines{label and f', {label}'}"
    compared = as_published(spec, "decays", "dropouts", "removed", "prunings")
    return [ClaimTable(f"{title}: pruned against dense", shown(claims, compared), ABOUT),
            _chart(title, spec, outcomes), _table(title, spec, outcomes)]  # fmt: skip


def _best(names: Iterable[str]) -> Callable[[Outcome], str]:
    found = list(names)
    return lambda outcome: max(found, key=lambda name: outcome.metrics[f"{name} validation accuracy"])


def _test(outcome: Outcome, name: str) -> float:
    return outcome.metrics[f"{name} test accuracy"]


def _names(spec: BaselinesSpec) -> list[str]:
    dense = [*map(_decay_name, spec.decays), *map(_dropout_name, spec.dropouts)]
    return [PLAIN, LONGER, *dense, ANEW, TUNED]


def _chart(title: str, spec: BaselinesSpec, outcomes: Sequence[Outcome]) -> Chart:
    """Overfitting: a point for every network and seed."""
    points = []
    for name in _names(spec):
        gaps = [one.metrics[f"{name} train accuracy"] - _test(one, name) for one in outcomes]
        points.append(Series(name, tuple(gaps), tuple(_test(one, name) for one in outcomes)))
    caption = "Each point a network of one seed; further left is less overfitting."
    label = "training − test accuracy, points"
    return Chart(f"{title}: overfitting", caption, label, "test accuracy, %", tuple(points), kind="points")


def _table(title: str, spec: BaselinesSpec, outcomes: Sequence[Outcome]) -> Grid:
    rows = []
    for name in _names(spec):
        test = [_test(one, name) for one in outcomes]
        gaps = [one.metrics[f"{name} train accuracy"] - _test(one, name) for one in outcomes]
        epochs = fmean(one.metrics[f"{name} epochs"] for one in outcomes)
        rows.append((name, mean_and_spread(test), mean_and_spread(gaps), f"{epochs:.1f}"))
    columns = ("network", "test accuracy, %", "training − test, points", "epochs of the last training")
    return Grid(f"{title}: all networks", columns, tuple(rows), "Mean over seeds ± sample standard deviation.")


def _decay_name(decay: float) -> str:
    return f"weight decay {decay:g}"


def _dropout_name(share: float) -> str:
    return f"dropout {percent_label(share)}"


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=BaselinesSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 3, "full": 10},
    trial=run,
    findings=findings,
)

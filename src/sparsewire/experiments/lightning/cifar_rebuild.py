"""The lightning paper, Tables 5 to 8: what of a trained LeNet-5 is in the signs of its dense layers' strongest edges?

As Tables 1 and 2, with convolutions before the dense layers. They come from the parent and are either frozen, or
trained on. The captions of Tables 6 and 8 say that the parent starts from He's uniform numbers, those of 5 and 7 from
He's, and so does Table 4; all four are of one parent. Here they are normal, as everywhere else.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final, Literal

from pydantic import Field
from torch import nn

from sparsewire.analysis.paths import sparse_graph
from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.comparable import as_published, by_spec
from sparsewire.experiments.lightning.cifar_setup import SMOKE, CifarSpec, constant, train
from sparsewire.experiments.lightning.rebuilding import ABOUT_CHANGES, Published, Tables, rebuild_, record_measures
from sparsewire.experiments.lightning.setup import places
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid, Section
from sparsewire.models.initialize import he_normal_
from sparsewire.models.zoo import lenet_5

NAME: Final = "lightning.cifar_rebuild"
Convolutions = Literal["frozen", "trained"]
PLACES = places((120, 84))
TITLES: dict[Convolutions, tuple[str, str]] = {
    "frozen": (
        "Table 5: changed connections, convolutions frozen",
        "Table 6: Pearson correlation, convolutions frozen",
    ),
    "trained": (
        "Table 7: changed connections, convolutions trained",
        "Table 8: Pearson correlation, convolutions trained",
    ),
}
ABOUT = (
    ABOUT_CHANGES + "Tolerance: three percentage points, or half of the published rate where that is more.",
    "Of the types +1, 0, -1, as in Table 2: the paper's figures are near √(1 - f) of the rates f, and a little below, "
    "since here some edges change their sign. Tolerance: 0.05.",
    "Tolerance: one point; the paper's are single runs.",
)
TRENDS_TITLE = "What the text says of Tables 5 to 8"
ABOUT_TRENDS = (
    "Differences within each seed, of shares over all dense layers and of best accuracies; at least 0 is what the text "
    "says. Judged by the 95 % interval of their mean over seeds. After a short training of the parent its convolutions "
    "have something left to learn, which is in favour of the children that train them."
)
# Convolutions → the numbers of their two tables, as in `rebuild`.
PUBLISHED: dict[Convolutions, Published] = {
    "frozen": Published(
        75.44,
        {0.1: 70.26, 0.2: 72.71, 0.3: 73.69, 0.4: 73.54, 0.5: 73.41},
        {
            0.1: (37.00, 33.52, 12.05, 34.80),
            0.2: (18.41, 18.13, 7.80, 17.98),
            0.3: (8.88, 10.37, 6.60, 9.09),
            0.4: (4.96, 5.97, 6.01, 5.16),
            0.5: (2.86, 5.01, 6.04, 3.28),
        },
        {
            0.1: (0.793, 0.812, 0.936, 0.806),
            0.2: (0.903, 0.905, 0.954, 0.905),
            0.3: (0.954, 0.946, 0.965, 0.953),
            0.4: (0.975, 0.969, 0.968, 0.974),
            0.5: (0.985, 0.971, 0.966, 0.983),
        },
        1.0,
        3.0,
        0.05,
    ),
    "trained": Published(
        75.44,
        {0.1: 66.46, 0.2: 68.33, 0.3: 70.36, 0.4: 71.77, 0.5: 70.25},
        {
            0.1: (44.59, 39.23, 13.36, 41.58),
            0.2: (27.73, 23.84, 6.34, 26.16),
            0.3: (19.17, 14.52, 4.74, 17.90),
            0.4: (11.45, 12.78, 6.01, 11.55),
            0.5: (10.14, 12.85, 6.03, 10.50),
        },
        {
            0.1: (0.737, 0.772, 0.929, 0.758),
            0.2: (0.846, 0.872, 0.964, 0.856),
            0.3: (0.896, 0.923, 0.975, 0.903),
            0.4: (0.938, 0.923, 0.958, 0.936),
            0.5: (0.937, 0.908, 0.955, 0.933),
        },
        1.0,
        3.0,
        0.05,
    ),
}


class CifarRebuildSpec(CifarSpec):
    """One parent, and for each treatment of the convolutions a child for each active fraction.

    The paper does not say for how many epochs the children are trained; here for as many as the parent.
    """

    experiment: Literal["lightning.cifar_rebuild"] = NAME
    convolutions: tuple[Convolutions, ...] = Field(default=("frozen", "trained"), min_length=1)
    active: tuple[float, ...] = Field(default=(0.1, 0.2, 0.3, 0.4, 0.5), min_length=1)
    constant: float = Field(default=0.1, gt=0)


def specs(scale: Scale) -> Sequence[CifarRebuildSpec]:
    """The paper's setup: eleven trainings of 200 epochs, some 7 hours on one thread.

    At desk scale seven of 10 epochs on half of the images: with four seeds 4 trials of 420 s on one thread (6.4 s for
    an epoch of the parent, 4.6 s with frozen convolutions, 7.2 s with others), 14 minutes on two cores.
    """
    if scale == "smoke":
        return [CifarRebuildSpec(**SMOKE, active=(0.2, 0.5))]
    if scale == "desk":
        return [CifarRebuildSpec(images=25_000, epochs=10, active=(0.1, 0.3, 0.5))]
    return [CifarRebuildSpec()]


def run(spec: CifarRebuildSpec, trial: Trial) -> None:
    """Trains the parent, then rebuilds and trains the children."""
    trainings = 1 + len(spec.convolutions) * len(spec.active)
    parent = he_normal_(lenet_5(), generator=trial.generator("weights"))
    train(parent, spec, trial, "parent ", told=_progress(spec, trial, 0, trainings, "parent"))
    done = 1
    for convolutions in spec.convolutions:
        for active in spec.active:
            name = f"{convolutions} {active:.0%}"
            strong = sparse_graph(parent, active)
            child = _with_features(parent, frozen=convolutions == "frozen")
            masks = rebuild_(child, strong, spec.constant)
            told = _progress(spec, trial, done, trainings, f"{name} of the edges")
            train(child, spec, trial, f"{name} ", rate=constant, masks=masks, told=told)
            record_measures(trial, name, strong, child, PLACES)
            done += 1


def _with_features(parent: nn.Module, frozen: bool) -> nn.Module:
    """A LeNet-5 with the parent's convolutions; frozen ones are no part of the optimizer, nor of the penalty."""
    child = lenet_5()
    child.load_state_dict(parent.state_dict())
    child.features.requires_grad_(not frozen)
    return child


def _progress(spec: CifarRebuildSpec, trial: Trial, done: int, trainings: int, note: str) -> Callable[[int], None]:
    return lambda epoch: trial.report((done + epoch / spec.epochs) / trainings, f"{note}, epoch {epoch}")


def findings(outcomes: Sequence[Outcome]) -> Section:
    """Tables 5 to 8 with the paper's numbers, what the text says of them, and the accuracies over the epochs."""
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        "Of a trained parent the convolutions are kept, and of its dense layers only the signs of the strongest edges. "
        "A child grows from them and is trained at the parent's first learning rate.",
        tuple(block for label, group in by_spec(outcomes).items() for block in _blocks(label, group)),
    )


def _blocks(label: str, outcomes: Sequence[Outcome]) -> list[Block]:
    """The findings of one spec; `label` tells it from others of the same report."""
    spec: CifarRebuildSpec = outcomes[0].spec  # type: ignore[assignment]
    compared = as_published(spec, "active", "convolutions", "device")
    trends = _trends(spec, outcomes)
    blocks: list[ClaimTable | Grid | Chart] = [ClaimTable(TRENDS_TITLE, trends, ABOUT_TRENDS)] if trends else []
    for kind in spec.convolutions:
        tables = Tables(PLACES, spec.active, TITLES[kind], ABOUT, PUBLISHED[kind], compared, f"{kind} ")
        for block in tables.blocks(outcomes):
            own = block.title in TITLES[kind]
            blocks.append(block if own else replace(block, title=f"{block.title}, convolutions {kind}"))
    return [replace(block, title=f"{block.title}, {label}" if label else block.title) for block in blocks]


def _trends(spec: CifarRebuildSpec, outcomes: Sequence[Outcome]) -> tuple[Claim, ...]:
    """The rates fall where more edges stay; with frozen convolutions they are lower, and the children better."""
    fewest, most = min(spec.active), max(spec.active)

    def rate(outcome: Outcome, kind: str, *active: float) -> float:
        return 100 * fmean(outcome.metrics[f"{kind} {each:.0%} changes over all"] for each in active)

    def accuracy(outcome: Outcome, kind: str) -> float:
        return fmean(outcome.metrics[f"{kind} {each:.0%} best_accuracy"] for each in spec.active)

    differences: dict[str, tuple[float, ...]] = {}
    if fewest < most:
        for kind in spec.convolutions:
            label = f"changed connections, {kind} convolutions: {fewest:.0%} active − {most:.0%}"
            differences[label] = tuple(rate(o, kind, fewest) - rate(o, kind, most) for o in outcomes)
    if {"frozen", "trained"} <= {*spec.convolutions}:
        differences["changed connections, mean over active fractions: trained convolutions - frozen"] = tuple(
            rate(o, "trained", *spec.active) - rate(o, "frozen", *spec.active) for o in outcomes
        )
        differences["accuracy of the children, mean over active fractions: frozen convolutions - trained"] = tuple(
            accuracy(o, "frozen") - accuracy(o, "trained") for o in outcomes
        )
    said = 0.0 if spec.data == "cifar10" else None
    return tuple(
        Claim(label, said, values, 0.0, unit="points", kind="at_least", by_interval=True)
        for label, values in differences.items()
    )


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=CifarRebuildSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 4, "full": 3},
    trial=run,
    findings=findings,
)

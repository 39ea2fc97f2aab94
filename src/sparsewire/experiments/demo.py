"""The main job in two minutes: dense and sparse networks on handwritten digits, from data to report."""

import time
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import Final, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sparsewire.data import DataSet
from sparsewire.errors import DataError
from sparsewire.execution.shrinking import shrink
from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.demo_charts import connection_charts
from sparsewire.experiments.lightning.setup import Hidden, Lightnings, Source, glorot, load, network
from sparsewire.lab.experiment import Experiment, Outcome, Scale, Trial
from sparsewire.lab.reporting.charts import Chart, series
from sparsewire.lab.reporting.findings import Block, Grid, Note, Picture, Section
from sparsewire.lab.spec import Spec
from sparsewire.models.initialize import lightning_
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks, maskable
from sparsewire.structure.patterns import FixedFanIn, Neurons
from sparsewire.structure.select import prune
from sparsewire.training.history import History
from sparsewire.training.loop import fit

NAME: Final = "demo"
SHOWN = 600  # edges in a drawing of a network
Kind = Literal["dense", "lightning", "random", "fixed fan-in", "pruned", "fewer neurons"]
KINDS: dict[Kind, str] = {
    "dense": "Every connection, Glorot-uniform start",
    "lightning": "Every connection, and a start of 1,000 complete paths",
    "random": "A random mask, fixed before training",
    "fixed fan-in": "As random, but every neuron has equally many inputs",
    "pruned": "Trained, the weakest connections removed, trained on",
    "fewer neurons": "Trained, the weakest hidden neurons removed, trained on",
}


class DemoSpec(Spec):
    """One network; the sparse kinds keep `density` of the weights, or `neurons` of the hidden neurons."""

    experiment: Literal["demo"] = NAME
    data: Source = "digits"
    kind: Kind = "dense"
    hidden: Hidden = (300, 100)
    density: float = Field(default=0.05, gt=0, le=1)
    neurons: float = Field(default=0.2, gt=0, le=1)
    lightnings: Lightnings = 1000
    strength: float = Field(default=0.5, gt=0)
    epochs: int = Field(default=100, ge=2)
    rate: float = Field(default=0.1, gt=0)


def specs(scale: Scale) -> Sequence[DemoSpec]:
    """MNIST where it is at hand, the embedded digits otherwise; at smoke scale small and short."""
    if scale == "smoke":
        return [DemoSpec(kind=kind, hidden=(30, 20), density=0.2, lightnings=50, epochs=4) for kind in KINDS]
    try:
        load("mnist")
    except DataError:
        return [DemoSpec(kind=kind) for kind in KINDS]
    return [DemoSpec(data="mnist", kind=kind, epochs=6) for kind in KINDS]


def run(spec: DemoSpec, trial: Trial) -> None:
    """Trains the network of its kind, keeps its weights, and measures what its structure is worth."""
    data, model = load(spec.data), glorot(network(spec.data, spec.hidden), trial)
    if spec.kind == "lightning":
        lightning_(model, spec.lightnings, spec.strength, generator=trial.generator("weights"))
    late = spec.kind in ("pruned", "fewer neurons")
    before = spec.epochs // 2 if late else 0
    if late:
        _train(model, data, before, 0, None, spec, trial)
    masks = _masks(spec, model, trial)
    if masks is not None:
        masks.apply_(model)
        if not late:
            _strengthen(model, spec.density)
    _train(model, data, spec.epochs - before, before, masks, spec, trial)
    trial.keep("weights", {name: value.detach() for name, value in model.named_parameters()})
    _measure(model, masks or Masks.from_model(model), data.test.inputs, trial)


def _train(
    model: nn.Module, data: DataSet, epochs: int, done: int, masks: Masks | None, spec: DemoSpec, trial: Trial
) -> None:
    def tell(epoch: int, model: nn.Module, history: History) -> None:
        trial.record("accuracy", 100 * history.validation[-1].accuracy, step=done + epoch)
        trial.show(NetGraph.from_model(model, masks))
        trial.report((done + epoch) / spec.epochs, f"{spec.kind}, epoch {done + epoch}")

    fit(
        model,
        data.train,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=spec.rate),
        epochs=epochs,
        masks=masks,
        validation=data.test,
        generator=trial.generator(f"order from epoch {done}"),
        on_epoch=tell,
        checkpoints=trial.checkpoints(f"from-epoch-{done}"),
    )


def _masks(spec: DemoSpec, model: nn.Module, trial: Trial) -> Masks | None:
    """The structure of its kind; None for the kinds that have every connection."""
    generator = trial.generator("masks")
    if spec.kind == "random":
        return prune(model, score="random", scope="uniform", density=spec.density, generator=generator)
    if spec.kind == "fixed fan-in":
        return prune(
            model,
            score="random",
            scope="uniform",
            density=spec.density,
            pattern=FixedFanIn(nearest=True),
            generator=generator,
        )
    if spec.kind == "pruned":
        return prune(model, score="magnitude", density=spec.density)
    if spec.kind == "fewer neurons":
        hidden = list(Masks.from_model(model))[:-1]  # the ten outputs stay
        return prune(model, score="magnitude", scope="uniform", density=spec.neurons, pattern=Neurons(), only=hidden)
    return None


def _strengthen(model: nn.Module, density: float) -> None:
    """Glorot's variance is for all inputs of a neuron; where few are left, signals fade unless each is stronger."""
    with torch.no_grad():
        for weight in maskable(model).values():
            weight.div_(density**0.5)


def _measure(model: nn.Sequential, masks: Masks, images: Tensor, trial: Trial) -> None:
    """What the structure costs, what `shrink` makes of it, and how long both take for the whole test set."""
    small = shrink(model, masks)
    with torch.no_grad():
        expected, found = model(images), small(images)
    trial.record("live weights", masks.count)
    trial.record("weights after shrink", Masks.from_model(small).total)
    trial.record(
        "neurons after shrink", sum(layer.out_features for layer in small.modules() if isinstance(layer, nn.Linear))
    )
    trial.record("largest difference", float((expected - found).abs().max() / expected.abs().max()))
    whole, shrunk = _interleaved(lambda: model(images), lambda: small(images))
    trial.record("dense seconds", whole)
    trial.record("shrunk seconds", shrunk)


def _interleaved(*calls: Callable[[], Tensor], rounds: int = 15) -> list[float]:
    """The median time of each call; they take turns, so that a slow moment of the machine meets them all."""
    times: list[list[float]] = [[] for _ in calls]
    with torch.no_grad():
        for _ in range(rounds):
            for of_call, call in zip(times, calls, strict=True):
                start = time.perf_counter()
                call()
                of_call.append(time.perf_counter() - start)
    return [median(of_call) for of_call in times]


def findings(outcomes: Sequence[Outcome]) -> Section:
    """What was learned, what the structures look like, and what they save."""
    by_kind: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_kind.setdefault(outcome.spec.kind, []).append(outcome)  # type: ignore[attr-defined]
    spec: DemoSpec = outcomes[0].spec  # type: ignore[assignment]
    graphs = {kind: _graph(group[0]) for kind, group in by_kind.items()}
    sizes = next(iter(graphs.values())).sizes
    return Section(
        CATALOGUE[NAME].title,
        CATALOGUE[NAME].source,
        f"{'MNIST' if spec.data == 'mnist' else 'Embedded digits'}; networks of {'-'.join(map(str, sizes))} neurons, "
        f"{spec.epochs} epochs each. The sparse ones keep {spec.density:.0%} of the weights, or {spec.neurons:.0%} of "
        "the hidden neurons. Tables hold means over seeds; networks are drawn as the first seed left them.",
        (*_learned(by_kind), *_pictures(graphs), *_costs(by_kind)),
    )


def _graph(outcome: Outcome) -> NetGraph:
    arrays = outcome.arrays("weights")  # an artefact does not keep the order of its entries
    return NetGraph.from_model({name: torch.from_numpy(arrays[name]) for name in sorted(arrays, key=_place)})


def _place(name: str) -> int:
    return int(name.partition(".")[0])  # "10.weight" comes after "2.weight"


def _mean(outcomes: Sequence[Outcome], metric: str) -> float:
    return fmean(outcome.metrics[metric] for outcome in outcomes)


def _learned(by_kind: dict[str, list[Outcome]]) -> list[Block]:
    curves = tuple(series(kind, [_errors(outcome) for outcome in group]) for kind, group in by_kind.items())
    rows = tuple(
        (
            kind,
            _mean(group, "accuracy"),
            fmean(outcome.series["accuracy"][0][1] for outcome in group),
            round(_mean(group, "live weights")),
        )
        for kind, group in by_kind.items()
    )
    return [
        Grid("What they learned", ("network", "test accuracy, %", "after epoch 1, %", "live weights"), rows),
        Chart(
            "Test error while training",
            "The two that are pruned are dense in the first half of their training.",
            "epoch",
            "test error, %",
            curves,
            log_y=True,
        ),
    ]


def _errors(outcome: Outcome) -> tuple[list[int], list[float]]:
    points = outcome.series["accuracy"]
    return [step for step, _ in points], [100 - value for _, value in points]


def _pictures(graphs: dict[str, NetGraph]) -> list[Block]:
    from sparsewire.analysis import draw

    side = round(next(iter(graphs.values())).sizes[0] ** 0.5)
    pictures: list[Block] = []
    for kind, graph in graphs.items():
        strongest = graph.strongest(min(graph.edges, SHOWN))
        shown = "All" if strongest.edges == graph.edges else f"The {strongest.edges:,} strongest of"
        pictures.append(
            Picture(
                f"The network: {kind}",
                f"{KINDS[kind]}. {shown} its {graph.edges:,} edges.",  # type: ignore[index]
                draw.to_svg(draw.network(strongest, image_shape=(side, side))),
            )
        )
    images = draw.input_connectivity(graphs, (side, side), measure="strength", shared=False)
    pictures.append(Picture("Which pixels count", "Summed strength of each pixel’s connections.", draw.to_svg(images)))
    return [*pictures, *connection_charts(graphs)]


def _costs(by_kind: dict[str, list[Outcome]]) -> list[Grid | Note]:
    rows = tuple(
        (
            kind,
            round(_mean(group, "live weights")),
            round(_mean(group, "weights after shrink")),
            round(_mean(group, "neurons after shrink")),
            round(_mean(group, "dense seconds") / _mean(group, "shrunk seconds"), 1),
            max(outcome.metrics["largest difference"] for outcome in group),
        )
        for kind, group in by_kind.items()
    )
    columns = (
        "network",
        "live weights",
        "weights after shrink",
        "neurons after shrink",
        "times faster",
        "output changed by",
    )
    note = (
        "sw.shrink removes every neuron that no complete path uses; the output stays the same. A mask over single "
        "weights leaves most neurons alive and gains little by it; whole neurons are where it pays."
    )
    return [Grid("What it costs to run them", columns, rows), Note(note)]


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=DemoSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 1, "full": 3},
    trial=run,
    findings=findings,
)

"""Dense supermasks: smaller networks inside an untrained one, found by taking units away and never training."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import checked_generator, whole
from sparsewire.structure.evidence.filter_ensembles import linear_filter_ensembles
from sparsewire.structure.evidence.mean_loss import Data
from sparsewire.structure.evidence.unit_chain import UnitLayer, unit_layers
from sparsewire.training.dense_supermasks_cutting import without_units

Score = Callable[[nn.Module, str, Data | None, torch.Generator], Tensor]
Order = Literal["together", "in_turn"]


@dataclass(frozen=True, eq=False)
class DenseSupermask:
    """A network inside another one.

    Args:
        iteration: how often units were taken away; 0 is the network itself.
        model: it, with layers of its own size; the weights that are left are those of the whole network.
        kept: name of a layer → the numbers of its units in the whole network, ascending.
        weights: how many weights it has, without biases.
        size: the same as a fraction of the whole network's.
        scores: name of a layer → the scores by which the last units went, of the units before; empty at iteration 0.
    """

    iteration: int
    model: nn.Module
    kept: Mapping[str, Tensor]
    weights: int
    size: float
    scores: Mapping[str, Tensor] = field(default_factory=dict)


def dense_supermask(
    model: nn.Module,
    data: Data | None = None,
    *,
    removed: Mapping[str, int],
    iterations: int | None = None,
    score: str | Score = "lfe",
    one_shot: bool = False,
    order: Order = "together",
    generator: torch.Generator,
) -> Iterator[DenseSupermask]:
    """The networks that are left as units go, from the whole one on: each time those with the lowest scores.

    The network really shrinks: a unit takes its weights and its part of the next layer with it, so that every iteration
    costs less than the one before. Nothing is trained.

    Args:
        model: a chain as for `unit_layers`, on any device; it is not changed.
        data: (inputs, labels) tensors, or an iterable of such batches, for scores that look at the loss; never those
            that judge the networks. It is gone through in every iteration; an iterator is kept in memory.
        removed: name of a layer's module → how many of its units go in each iteration.
        iterations: how many; None: as long as each of these layers keeps at least one unit.
        score: "lfe" (`linear_filter_ensembles`, 1000 ensembles), "l2" (the norm of the incoming weights, √(Σ_j w_ij²),
            without bias), "random", or a function (model, layer, data, generator) → scores of the units, higher = keep.
            Ties: the unit that comes first stays.
        one_shot: scores the whole network only, and cuts it to every size by these; else each network is scored anew.
        order: "together": all layers are scored on the same network; "in_turn": each on the one without the units that
            the layers before it have just lost.
        generator: of masks and random scores.

    Returns:
        An iterator over `iterations` + 1 networks, the first one with all units; each is found when it is asked for.

    Raises:
        RequestError: a model, data, a score or a number that is none; more removed than there is.
        UnknownNameError: no such layer, score or order.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
        >>> data = torch.randn(50, 4, generator=generator), torch.randint(2, (50,), generator=generator)
        >>> for found in dense_supermask(model, data, removed={"0": 2}, generator=generator):
        ...     print(found.iteration, len(found.kept["0"]), round(found.size, 2), found.model[0])
        0 6 1.0 Linear(in_features=4, out_features=6, bias=True)
        1 4 0.67 Linear(in_features=4, out_features=4, bias=True)
        2 2 0.33 Linear(in_features=4, out_features=2, bias=True)

    Reference: Sándor 2020, "Finding dense supermasks in randomly initialized neural networks", sections 2 and 3. The
        order of layers is not told there; on LeNet-300-100 and MNIST, at 35 % of the weights, "in_turn" found 44 and
        45 % where "together" found 45 and 41 % (two seeds).
    """
    rank = SCORES.get(score) if isinstance(score, str) else score
    if rank is None or not callable(rank):
        raise UnknownNameError("score of units", str(score), SCORES)
    if order not in ("together", "in_turn"):
        raise UnknownNameError("order", str(order), ("together", "in_turn"))
    checked_generator(generator)
    removed = _checked_removed(unit_layers(model), removed)
    rounds = _checked_iterations(unit_layers(model), removed, iterations)
    if one_shot and order == "in_turn":
        raise RequestError(
            "order: found 'in_turn' with one_shot, expected 'together': one-shot scores are of one network"
        )
    data = list(data) if isinstance(data, Iterator) else data
    walk = _one_shot if one_shot else _iterative
    return walk(model, data, removed, rounds, rank, order == "in_turn", generator)


def lfe(**options: object) -> Score:
    """The score "lfe" with other options than the defaults of `linear_filter_ensembles`.

    Args:
        **options: of `linear_filter_ensembles`, such as `ensembles`, `share`, `draw`.

    Example:
        >>> score = lfe(ensembles=300, draw="pairs")
        >>> model, data = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)), (torch.eye(2), torch.arange(2))
        >>> score(model, "0", data, torch.Generator().manual_seed(0)).shape
        torch.Size([3])
    """

    def rank(model: nn.Module, layer: str, data: Data | None, generator: torch.Generator) -> Tensor:
        if data is None:
            raise RequestError("data: found none, but the score looks at the loss; pass data=(inputs, labels)")
        return linear_filter_ensembles(model, layer, data, generator=generator, **options)  # type: ignore[arg-type]

    return rank


def incoming_norm(model: nn.Module, layer: str, data: object = None, generator: object = None) -> Tensor:
    """√(Σ_j w_ij²) of each unit of a layer, over its incoming weights, without its bias.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1))
        >>> _ = model[0].weight.data.copy_(torch.tensor([[3.0, 4.0]]))
        >>> incoming_norm(model, "0")
        tensor([5.], dtype=torch.float64)
    """
    weight = unit_layers(model)[layer].module.weight.detach()
    return weight.double().flatten(1).square().sum(1).sqrt()


def random_units(model: nn.Module, layer: str, data: object, generator: torch.Generator) -> Tensor:
    """Independent scores, uniform between 0 and 1: any units go, with equal chances.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        >>> random_units(model, "0", None, torch.Generator().manual_seed(0)).shape
        torch.Size([3])
    """
    units = unit_layers(model)[layer].units
    return torch.rand(units, generator=generator, device=generator.device, dtype=torch.float64)


SCORES: dict[str, Score] = {"lfe": lfe(), "l2": incoming_norm, "random": random_units}


def _iterative(
    model: nn.Module,
    data: Data | None,
    removed: Mapping[str, int],
    rounds: int,
    rank: Score,
    in_turn: bool,
    generator: torch.Generator,
) -> Iterator[DenseSupermask]:
    found = _whole(model, removed)
    total = found.weights
    yield found
    for iteration in range(1, rounds + 1):
        smaller, scores, stay = found.model, {}, {}
        for name, count in removed.items():
            scores[name] = _scored(rank, smaller if in_turn else found.model, name, data, generator)
            stay[name] = _highest(scores[name], len(scores[name]) - count)
            if in_turn:
                smaller = without_units(smaller, {name: stay[name]})
        smaller = smaller if in_turn else without_units(smaller, stay)
        kept = {name: found.kept[name][own] for name, own in stay.items()}
        weights = _count(smaller)
        found = DenseSupermask(iteration, smaller, kept, weights, weights / total, scores)
        yield found


def _one_shot(
    model: nn.Module,
    data: Data | None,
    removed: Mapping[str, int],
    rounds: int,
    rank: Score,
    _: bool,
    generator: torch.Generator,
) -> Iterator[DenseSupermask]:
    found = _whole(model, removed)
    total = found.weights
    yield found
    scores = {name: _scored(rank, model, name, data, generator) for name in removed}
    for iteration in range(1, rounds + 1):
        kept = {name: _highest(own, len(own) - iteration * removed[name]) for name, own in scores.items()}
        smaller = without_units(model, kept)
        weights = _count(smaller)
        yield DenseSupermask(iteration, smaller, kept, weights, weights / total, scores)


def _whole(model: nn.Module, removed: Mapping[str, int]) -> DenseSupermask:
    layers = unit_layers(model)
    kept = {name: torch.arange(layers[name].units) for name in removed}
    return DenseSupermask(0, without_units(model, {}), kept, _count(model), 1.0)


def _count(model: nn.Module) -> int:
    layers = list(unit_layers(model).values())
    return sum(layer.module.weight.numel() for layer in layers) + layers[-1].following.weight.numel()


def _scored(rank: Score, model: nn.Module, name: str, data: Data | None, generator: torch.Generator) -> Tensor:
    units = unit_layers(model)[name].units
    scores = rank(model, name, data, generator)
    if not isinstance(scores, Tensor) or scores.shape != (units,) or not bool(scores.isfinite().all()):
        raise RequestError(
            f"score: gave {scores!r} for {name!r}, expected a finite score for each of its {units} units"
        )
    return scores.detach().cpu()


def _highest(scores: Tensor, count: int) -> Tensor:
    """The numbers of the highest scores, ascending; of equal ones those that come first."""
    return scores.argsort(descending=True, stable=True)[:count].sort().values


def _checked_removed(layers: Mapping[str, UnitLayer], removed: object) -> dict[str, int]:
    if not isinstance(removed, Mapping) or not removed:
        raise RequestError(f"removed: found {removed!r}, expected name of a layer → units that go in each iteration")
    for name in removed:
        if name not in layers:
            raise UnknownNameError("layer with units that feed another one", str(name), layers)
    return {name: whole(f"removed[{name!r}]", removed[name], least=1) for name in layers if name in removed}


def _checked_iterations(layers: Mapping[str, UnitLayer], removed: Mapping[str, int], iterations: int | None) -> int:
    most = min((layers[name].units - 1) // count for name, count in removed.items())
    found = most if iterations is None else whole("iterations", iterations, least=0)
    if found > most:
        raise RequestError(f"iterations: found {found}, expected at most {most}, so that each layer keeps a unit")
    return found

"""What a checkpoint shows of a network, without its code: layers, densities, dead neurons, complete paths."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sparsewire.analysis.paths import complete_path_fraction, dead_areas
from sparsewire.errors import RequestError
from sparsewire.lab.checkpoints import identity, not_finite
from sparsewire.structure.chain import dense_chain
from sparsewire.structure.graphs import NetGraph

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
MOST_EDGES = 50_000_000  # for more, sorting them takes longer and more memory than a look should


@dataclass(frozen=True)
class LayerFacts:
    """One weight.

    Attributes:
        name: its name in the checkpoint.
        shape: (out, in, …).
        weights: how many numbers it has.
        live: how many of them are not zero.
        silent: neurons (of the first dimension) into which no live weight leads.
        unread: inputs (of the second dimension) that no live weight reads.
        not_finite: how many numbers are NaN or infinite.
    """

    name: str
    shape: tuple[int, ...]
    weights: int
    live: int
    silent: int
    unread: int
    not_finite: int

    @property
    def density(self) -> float:
        """Live weights / weights; 1 if there are none."""
        return self.live / self.weights if self.weights else 1.0


@dataclass(frozen=True)
class NeuronFacts:
    """One layer of neurons of the dense chain, as `DeadAreas` tells them apart.

    Attributes:
        size: how many neurons there are.
        constant: how many of them no path from an input comes to.
        unread: how many of them no path to an output leaves.
        alive: how many lie on a complete path.
    """

    size: int
    constant: int
    unread: int
    alive: int


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        layers: every weight of two or more dimensions, tied ones once.
        other_tensors: how many other tensors there are: biases, norms, buffers.
        other_numbers: how many numbers these have.
        stored_bytes: of all tensors.
        multiply_adds: what the live weights of the dense layers cost for one input (those of convolutions cost more by
            the number of places that they are applied to, which a checkpoint does not know).
        chain: the weights that form the chain of dense layers.
        neurons: per layer of neurons of that chain, inputs first.
        curve: (k, share of the k strongest edges that lie on complete paths), for a few k.
        no_chain: why `chain`, `neurons` and `curve` are empty, if they are.
    """

    layers: tuple[LayerFacts, ...]
    other_tensors: int
    other_numbers: int
    stored_bytes: int
    multiply_adds: int
    chain: tuple[str, ...]
    neurons: tuple[NeuronFacts, ...]
    curve: tuple[tuple[int, float], ...]
    no_chain: str | None

    @property
    def weights(self) -> int:
        """How many weights there are in all layers."""
        return sum(layer.weights for layer in self.layers)

    @property
    def live(self) -> int:
        """How many of them are not zero."""
        return sum(layer.live for layer in self.layers)

    @property
    def density(self) -> float:
        """Live weights / weights of all layers; 1 if there are none."""
        return self.live / self.weights if self.weights else 1.0


def inspect_weights(tensors: Mapping[str, Tensor]) -> Inspection:
    """Looks at named tensors, such as `read_checkpoint` gives them.

    A weight is a floating tensor of two or more dimensions, first dimension = neurons. Dead neurons and complete paths
    are those of the chain that the two-dimensional tensors named "…weight" form, if they form one.

    Example:
        >>> import torch
        >>> found = inspect_weights({"0.weight": torch.tensor([[1.0, 0.0], [0.0, 0.0]]), "1.weight": torch.ones(1, 2)})
        >>> [(layer.name, layer.density, layer.silent) for layer in found.layers]
        [('0.weight', 0.25, 1), ('1.weight', 1.0, 0)]
        >>> found.neurons[1]
        NeuronFacts(size=2, constant=1, unread=0, alive=1)
    """
    weights: dict[str, Tensor] = {}
    seen: set[tuple[object, ...]] = set()
    others = []
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or not tensor.is_floating_point():
            others.append(tensor)
        elif identity(tensor) not in seen:
            seen.add(identity(tensor))
            weights[name] = tensor
    layers = tuple(_layer(name, weight) for name, weight in weights.items())
    chain, neurons, curve, no_chain = _of_chain(tensors)
    return Inspection(
        layers=layers,
        other_tensors=len(others),
        other_numbers=sum(tensor.numel() for tensor in others),
        stored_bytes=sum(tensor.numel() * tensor.element_size() for tensor in [*weights.values(), *others]),
        multiply_adds=sum(layer.live for layer in layers if len(layer.shape) == 2),
        chain=chain,
        neurons=neurons,
        curve=curve,
        no_chain=no_chain,
    )


def _layer(name: str, weight: Tensor) -> LayerFacts:
    live = live_entries(weight)
    return LayerFacts(
        name=name,
        shape=tuple(weight.shape),
        weights=weight.numel(),
        live=int(live.sum()),
        silent=int((~live.flatten(1).any(1)).sum()),
        unread=int((~live.transpose(0, 1).flatten(1).any(1)).sum()),
        not_finite=not_finite([weight]),
    )


def live_entries(weight: Tensor) -> Tensor:
    """True where a number is not zero (NaN is not), as a bool tensor of the weight's shape, of any precision.

    Example:
        >>> import torch
        >>> live_entries(torch.tensor([0.5, 0.0]).to(torch.float8_e5m2))
        tensor([ True, False])
    """
    return (weight.float() if weight.element_size() == 1 else weight) != 0  # torch cannot compare float8


Chain = tuple[tuple[str, ...], tuple[NeuronFacts, ...], tuple[tuple[int, float], ...], str | None]


def _of_chain(tensors: Mapping[str, Tensor]) -> Chain:
    try:
        chain = dense_chain({name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()})
        live = sum(int(live_entries(weight).sum()) for weight in chain.values())
        if live > MOST_EDGES:
            return (), (), (), f"the chain has {live:,} edges; paths are looked at up to {MOST_EDGES:,}"
        if not_finite(chain.values()):
            return (), (), (), "some weights are NaN or infinite"
        areas = dead_areas(NetGraph.from_model(chain))
        counts = [max(1, round(share * live)) for share in SHARES] if live else []
        shares = complete_path_fraction(chain, np.array(sorted(set(counts)), dtype=np.int64))
    except RequestError as reason:
        return (), (), (), str(reason).removeprefix("model: ")
    neurons = tuple(
        NeuronFacts(len(constant), int(constant.sum()), int(unread.sum()), int(alive.sum()))
        for constant, unread, alive in zip(areas.constant, areas.unread, areas.alive, strict=True)
    )
    curve = tuple((count, float(share)) for count, share in zip(sorted(set(counts)), shares, strict=True))
    return tuple(chain), neurons, curve, None

"""The kinds of cells that a wired network is made of, all of them torch's own layers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Generator, nn

from sparsewire.models.zoo.layers import linear


@dataclass(frozen=True)
class Kind:
    """A kind of cell.

    Attributes:
        layer: torch's class.
        gates: how many matrices its input weight is stacked of.
        nonlinearity: "relu" or "tanh"; of gated cells none, it is their own.
    """

    layer: type[nn.Linear | nn.RNNBase]
    gates: int = 1
    nonlinearity: str | None = None

    @property
    def recurrent(self) -> bool:
        """Whether it has a state, and reads sequences."""
        return self.layer is not nn.Linear

    @property
    def weight(self) -> str:
        """The name of its input weight, shape (gates · outputs, inputs), the one that is masked."""
        return "weight_ih_l0" if self.recurrent else "weight"


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "relu": Kind(nn.Linear, nonlinearity="relu"),
        "tanh": Kind(nn.Linear, nonlinearity="tanh"),
        "rnn_tanh": Kind(nn.RNN, nonlinearity="tanh"),
        "rnn_relu": Kind(nn.RNN, nonlinearity="relu"),
        "gru": Kind(nn.GRU, gates=3),
        "lstm": Kind(nn.LSTM, gates=4),
    }
)


def new_cell(kind: Kind, inputs: int, outputs: int, generator: Generator | None) -> nn.Linear | nn.RNNBase:
    """A cell with the weights of torch's own constructor, which come from the generator if there is one.

    Example:
        >>> new_cell(KINDS["gru"], 3, 2, torch.Generator().manual_seed(0))
        GRU(3, 2, batch_first=True)
    """
    if not issubclass(kind.layer, nn.RNNBase):
        return linear(inputs, outputs, generator=generator)
    place = "cpu" if generator is None else "meta"  # where nothing is drawn
    own = {"nonlinearity": kind.nonlinearity} if kind.nonlinearity else {}
    cell = kind.layer(inputs, outputs, batch_first=True, device=place, **own)  # type: ignore[arg-type]
    if generator is not None:
        bound = 1 / math.sqrt(outputs)
        for name, unborn in list(cell.named_parameters()):  # in torch's order, so that one seed means one network
            setattr(cell, name, nn.Parameter(torch.empty(unborn.shape).uniform_(-bound, bound, generator=generator)))
    return cell

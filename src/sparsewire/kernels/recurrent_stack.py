"""A stack of recurrent layers: what is the same for all batches."""

from collections.abc import Sequence
from dataclasses import dataclass

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels.junctions import Junction
from sparsewire.kernels.recurrent_plain import GATES, KINDS

_RECORDED = {"tanh": 0, "relu": 0, "gru": 4, "lstm": 6}  # numbers a unit keeps of each step for the backward
_LINE = 64  # bytes; the columns of a tile come in such units


@dataclass(frozen=True, eq=False)
class Stack:
    """The junctions of a stack of recurrent layers, and how they are used.

    Args:
        kind: "tanh" or "relu" (torch.nn.RNN), "gru" or "lstm".
        junctions: for each cell (layer by layer, in a layer forward before backward) those of weight_ih, of shape
            (gates · hidden, inputs), and of weight_hh, of shape (gates · hidden, hidden).
        bidirectional: whether each layer also has a cell that runs from the last step to the first.
        batch_first: whether the batch comes first in the input and in the output.

    Raises:
        RequestError: the junctions do not form a stack.

    Example:
        >>> import torch
        >>> from sparsewire.kernels.junctions import junction_of
        >>> stack = Stack("gru", (junction_of(torch.ones(6, 5).bool()), junction_of(torch.ones(6, 2).bool())))
        >>> stack.inputs, stack.hidden, stack.cells
        (5, 2, 1)
    """

    kind: str
    junctions: tuple[Junction, ...]
    bidirectional: bool = False
    batch_first: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError("kind of recurrent layer", self.kind, KINDS)
        count = len(self.junctions)
        if not count or count % (2 * self.directions):
            raise RequestError(f"junctions: found {count}, expected {2 * self.directions} for each layer")
        for k, junction in enumerate(self.junctions):
            below = self.inputs if k < 2 * self.directions else self.hidden * self.directions
            rows, columns = self.rows, self.hidden if k % 2 else below
            if (junction.outputs, junction.inputs) != (rows, columns):
                raise RequestError(f"junctions[{k}]: found {junction}, expected one of shape ({rows}, {columns})")

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 2 if self.bidirectional else 1

    @property
    def inputs(self) -> int:
        """Features of the first layer's input."""
        return self.junctions[0].inputs

    @property
    def hidden(self) -> int:
        """Units of a cell."""
        return self.junctions[1].inputs

    @property
    def cells(self) -> int:
        """Layers times directions."""
        return len(self.junctions) // 2

    @property
    def rows(self) -> int:
        """Of every weight, and numbers in every bias."""
        return GATES[self.kind] * self.hidden

    @property
    def described(self) -> list[tuple[int, ...]]:
        """The fields of junctions.hpp's `Layer` that say where the weights are, for each junction."""
        return [junction.described for junction in self.junctions]

    def extent(self, shape: Sequence[int]) -> tuple[int, int]:
        """Steps and batch of an input of this shape."""
        return (shape[1], shape[0]) if self.batch_first else (shape[0], shape[1])

    def size(self, steps: int, batch: int, itemsize: int) -> int:
        """Numbers in the workspace; the same formula as in recurrent_network.hpp."""
        unit = _LINE // itemsize
        history = (self.inputs + self.cells * self.hidden) * (steps + 3)
        return unit + -(-batch // unit) * unit * (history + self.cells * steps * _RECORDED[self.kind] * self.hidden)

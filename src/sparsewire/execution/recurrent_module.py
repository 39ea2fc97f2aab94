"""What the sparse recurrent layers have in common."""

import operator
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.recurrent_sequences import (
    State,
    Unpacked,
    checked_lengths,
    packed_again,
    unpacked,
    with_batch,
    without_batch,
)
from sparsewire.execution.sparse_module import SparseModule
from sparsewire.kernels import recurrent_plain
from sparsewire.kernels.recurrent import recurrent
from sparsewire.kernels.recurrent_plain import GATES
from sparsewire.kernels.recurrent_stack import Stack


class SparseRecurrent(SparseModule):
    """What `SparseRNN`, `SparseGRU` and `SparseLSTM` have in common; not to be made itself.

    Parameters are named as in torch: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, …, with `_reverse` at
    the end for the backward direction. The weights are 1-D, in the order of `junction(name)`.

    A fresh layer draws from U(−k, k) with k = 1/√hidden_size, torch's own bound, which is widened to k √(n / nᵢ) for
    the weights of row i with nᵢ live ones of n, so that the scale of its sum does not shrink with the density.
    """

    dense_class: ClassVar[type[nn.RNNBase]]
    _known_stack: Stack | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        kind: str,
        masks: Mapping[str, Tensor] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        refuse(type(self).__name__, dropout, 0)
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise RequestError(f"{name}: found {size!r}, expected a whole number of at least 1")
        self._set_up((input_size, hidden_size, num_layers), bias, batch_first, bidirectional, kind)
        for name, shape in self._every_parameter(masks):
            if name in self._bias_names:
                self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
                continue
            mask = torch.ones(shape, dtype=torch.bool) if masks is None or name not in masks else masks[name]
            if isinstance(mask, Tensor) and tuple(mask.shape) != shape:
                raise RequestError(f"mask of {name!r}: found shape {tuple(mask.shape)}, expected {shape}")
            self.register_sparse(name, mask, device=device, dtype=dtype)
        self.reset_parameters(generator)

    @classmethod
    def from_dense(cls, module: nn.RNNBase, masks: Mapping[str, Tensor] | None = None) -> Self:
        """The same layer with the weights inside the masks: same dtype, device, mode and requires_grad.

        Args:
            module: the torch layer whose place this class takes.
            masks: own parameter name, as "weight_hh_l0", → bool mask of its shape; of what is missing everything stays.

        Raises:
            RequestError: another module, dropout, projections, no such weight, or a mask of another shape.
        """
        if not isinstance(module, cls.dense_class):
            raise RequestError(f"module: found {type(module).__name__}, expected torch.nn.{cls.dense_class.__name__}")
        refuse(f"this {type(module).__name__}", module.dropout, module.proj_size)
        layer = cls.__new__(cls)
        SparseModule.__init__(layer)
        sizes = module.input_size, module.hidden_size, module.num_layers
        kind = _KINDS[module.mode]
        layer._set_up(sizes, module.bias, module.batch_first, module.bidirectional, kind)
        for name, _ in layer._every_parameter(masks):
            given = module.get_parameter(name)
            if name in layer._bias_names:
                layer.register_copy(name, given)
                continue
            mask = torch.ones_like(given, dtype=torch.bool) if masks is None or name not in masks else masks[name]
            layer.register_sparse(name, mask, given)
        return layer.train(module.training)

    def to_dense(self) -> nn.RNNBase:
        """The torch layer with the same weights, and exact zeros where none exist."""
        options: dict[str, Any] = {"bias": self.bias, "batch_first": self.batch_first}
        if self.dense_class is nn.RNN:
            options["nonlinearity"] = self.kind
        sizes = self.input_size, self.hidden_size, self.num_layers
        # On "meta", because a layer that is filled by torch would draw from the global random generator.
        dense = self.dense_class(*sizes, bidirectional=self.bidirectional, device="meta", **options)  # type: ignore[arg-type]
        for name in self._shapes:
            values = self.get_parameter(name)
            setattr(dense, name, nn.Parameter(self.dense_weight(name), requires_grad=values.requires_grad))
        for name in self._bias_names:
            setattr(dense, name, self.copy_of(name))
        return dense.train(self.training)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draws all weights and biases anew."""
        bound = self.hidden_size**-0.5
        for name, parameter in self.named_parameters(recurse=False):
            if parameter.is_meta:
                continue
            parameter.uniform_(-bound, bound, generator=generator)
            if name in self._shapes:
                junction = self.junction(name)
                row = junction.positions() // junction.inputs
                live = torch.bincount(row, minlength=junction.outputs).clamp_(min=1).to(parameter.dtype)
                parameter.mul_((junction.inputs / live).sqrt_()[row])

    def flatten_parameters(self) -> None:
        """Does nothing; models that call it on torch's layers can call it here."""

    def forward(
        self, input: Tensor | PackedSequence, hx: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, State]:
        """As torch's layer, and for padded batches with the lengths of their sequences.

        Args:
            input: shape (steps, batch, input_size), or (batch, steps, input_size) if `batch_first`, or
                (steps, input_size) without batch, or a PackedSequence.
            hx: the states before the first step, shape (layers · directions, batch, hidden_size); for an LSTM a pair
                (h0, c0); None: zeros.
            lengths: whole numbers, shape (batch,), from 1 to steps: what comes later in a sequence is not looked at,
                its output there is 0, and its last state is that after its last step, as with a PackedSequence.

        Returns:
            The outputs of the last layer, in the form of the input, and the last states, in the form of `hx`.

        Raises:
            RequestError: shapes, dtypes or lengths do not fit.
        """
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise RequestError("lengths: found some with a PackedSequence, which has its own; leave them out")
            given = unpacked(input, hx, self.batch_first)
            output, state = self._run(given)
            return packed_again(output, state, input, given, self.batch_first)
        if not isinstance(input, Tensor) or input.ndim not in (2, 3):
            found = f"shape {tuple(input.shape)}" if isinstance(input, Tensor) else type(input).__name__
            raise RequestError(f"input: found {found}, expected (steps, batch, {self.input_size}), or without batch")
        if input.ndim == 3:
            length = checked_lengths(lengths, input.shape[1 - self.batch_first], input.shape[self.batch_first])
            return self._run(Unpacked(input, hx, length))
        if lengths is not None:
            raise RequestError("lengths: found some for an input without batch; cut the input instead")
        return without_batch(*self._run(with_batch(input, hx, self.batch_first)), self.batch_first)

    def _run(self, given: Unpacked) -> tuple[Tensor, State]:
        h0, c0 = self._states(given.hx)
        parameters: Mapping[str, Any] = self._parameters
        biases = [parameters[name] for name in self._bias_names]
        if self.wants_dense_gradients:
            weights = [self._watched(name) for name in self._shapes]
            how = self.kind, given.lengths, self.bidirectional, self.batch_first
            output, hn, cn = recurrent_plain.recurrent(given.x, h0, c0, weights, biases, *how)
        else:
            values = [parameters[name] for name in self._shapes]
            output, hn, cn = recurrent(given.x, h0, c0, values, biases, self._stack(), given.lengths)
        return output, (hn, cn) if self.kind == "lstm" else hn

    def _stack(self) -> Stack:
        """The junctions as they are now; the same object as long as they stay the same."""
        junctions = tuple(map(self.junction, self._shapes))
        known = self._known_stack
        if known is not None and all(map(operator.is_, known.junctions, junctions)):
            return known
        stack = Stack(self.kind, junctions, self.bidirectional, self.batch_first)
        if not torch.compiler.is_compiling():  # a trace's tensors must not outlive it
            self._known_stack = stack
        return stack

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_known_stack": None}

    def _states(self, hx: State | None) -> tuple[Tensor | None, Tensor | None]:
        if self.kind == "lstm":
            if hx is not None and not (isinstance(hx, tuple) and len(hx) == 2):
                raise RequestError(f"hx: found {type(hx).__name__}, expected a pair (h0, c0)")
            return hx if isinstance(hx, tuple) else (None, None)
        if hx is not None and not isinstance(hx, Tensor):
            raise RequestError(f"hx: found {type(hx).__name__}, expected a tensor")
        return hx, None

    def _watched(self, name: str) -> Tensor:
        """The dense weight, which notes its gradient and hands that of the live weights on."""
        weight = self.junction(name).weight_of(self.get_parameter(name))
        if weight.requires_grad:
            weight.register_hook(lambda gradient: self.note_dense_gradient(name, gradient))  # type: ignore[no-untyped-call]
        return weight

    def _set_up(
        self, sizes: tuple[int, int, int], bias: bool, batch_first: bool, bidirectional: bool, kind: str
    ) -> None:
        self.input_size, self.hidden_size, self.num_layers = sizes
        self.bias, self.batch_first, self.bidirectional, self.kind = bias, batch_first, bidirectional, kind
        self._bias_names = [f"bias_{way}_{end}" for end, _ in self._cells() for way in ("ih", "hh")] if bias else []
        self._known_stack = None

    def _cells(self) -> Iterator[tuple[str, int]]:
        """The end of each cell's parameter names, and how many inputs it has."""
        for layer in range(self.num_layers):
            for end in ("", "_reverse") if self.bidirectional else ("",):
                yield f"l{layer}{end}", self.hidden_size * (1 + self.bidirectional) if layer else self.input_size

    def _every_parameter(self, masks: Mapping[str, Tensor] | None) -> list[tuple[str, tuple[int, ...]]]:
        """Name and dense shape of all parameters in torch's order; refuses masks of others."""
        rows = GATES[self.kind] * self.hidden_size
        found: list[tuple[str, tuple[int, ...]]] = []
        for end, inputs in self._cells():
            found += [(f"weight_ih_{end}", (rows, inputs)), (f"weight_hh_{end}", (rows, self.hidden_size))]
            found += [(f"bias_{way}_{end}", (rows,)) for way in ("ih", "hh") if self.bias]
        weights = [name for name, shape in found if len(shape) == 2]
        for name in masks or ():
            if name not in weights:
                raise UnknownNameError("weight of this layer", name, weights)
        return found

    def extra_repr(self) -> str:
        """The arguments that are not the usual ones, and the density."""
        junctions = self.junctions.values()
        whole = sum(j.outputs * j.inputs for j in junctions)
        shown = {
            "num_layers": (self.num_layers, 1),
            "nonlinearity": (self.kind == "relu" and "relu", False),
            "bias": (self.bias, True),
            "batch_first": (self.batch_first, False),
            "bidirectional": (self.bidirectional, False),
        }
        others = "".join(f", {name}={value}" for name, (value, usual) in shown.items() if value != usual)
        density = sum(j.count for j in junctions) / whole
        return f"{self.input_size}, {self.hidden_size}{others}, density={density:.4g}"


_KINDS = {"RNN_TANH": "tanh", "RNN_RELU": "relu", "GRU": "gru", "LSTM": "lstm"}


def refuse(whose: str, dropout: float, proj_size: int) -> None:
    """Raises the RequestError about what these layers do not have.

    Example:
        >>> refuse("SparseLSTM", dropout=0.0, proj_size=0)
    """
    for name, value in (("dropout", dropout), ("proj_size", proj_size)):
        if value:
            raise RequestError(f"{name} of {whose}: found {value}, expected 0; sparse recurrent layers have none")

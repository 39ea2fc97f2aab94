"""One training step of a whole chain of dense layers: forward, softmax cross-entropy, backward and descent by hand.

For small networks the matrix products are only half of what a step with autograd costs; the rest goes to memory that
was freed a moment ago and is touched anew, and to bookkeeping. Here every operation writes into a buffer that stays,
and a gradient is used while it is still in the cache.

The operations are those of autograd, in its order, so that even rounding is the same: a training is chaotic enough to
turn a last bit into a percent of a weight within an epoch. That is why descent is not folded into the product that
makes the gradient (`addmm_`), though it would save another 4 %.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError

_OPS = torch.ops.aten
_MEAN, _IGNORED = 1, -100  # nll_loss's reduction, and the label of samples that do not count

# Activation → what it does to z in place, and what its slope does to dL/da in place, given a = act(z).
_ACTIVATIONS: dict[str, tuple[Callable[[Tensor], object], Callable[[Tensor, Tensor], object]]] = {
    "relu": (Tensor.relu_, lambda grad, a: _OPS.threshold_backward.grad_input(grad, a, 0, grad_input=grad)),
    "tanh": (Tensor.tanh_, lambda grad, a: _OPS.tanh_backward.grad_input(grad, a, grad_input=grad)),
    "sigmoid": (Tensor.sigmoid_, lambda grad, a: _OPS.sigmoid_backward.grad_input(grad, a, grad_input=grad)),
    "identity": (lambda z: z, lambda grad, a: grad),
}
ACTIVATIONS = tuple(_ACTIVATIONS)

# (layer, dL/dz (n, out), the same transposed, the layer's input (n, in)): what the backward sweep hands out.
_Use = Callable[[int, Tensor, Tensor, Tensor], None]


class _Rows(NamedTuple):
    """The buffers' first rows, as many as the batch has; `delta` is dL/dz of each layer."""

    outputs: list[Tensor]
    delta: list[Tensor]
    delta_t: list[Tensor]
    log_p: Tensor
    chosen: Tensor


class ChainStep:
    """Steps on the chain a_0 = x, z_l = a_{l-1} W_l^T + b_l, a_l = act_l(z_l), with the loss −mean log softmax(z_L)[y].

    The tensors are used where they are and never copied: who changes them elsewhere, changes them here. Steps are
    deterministic for a number of threads.

    Args:
        weights: W_1 … W_L, of shapes (out, in), each out the next one's in; one floating dtype, one device.
        biases: b_1 … b_L, of shape (out,), or None where a layer has none.
        activations: names of act_1 … act_{L−1}, of `ACTIVATIONS`; the last layer gives the logits.
        batch: the most rows that a batch will have.

    Raises:
        RequestError: the tensors do not form a chain.

    Example:
        >>> weight, bias = torch.zeros(2, 1), torch.zeros(2)
        >>> step = ChainStep([weight], [bias], [], batch=1)
        >>> step.descend(torch.ones(1, 1), torch.tensor([1]), [(1.0, 1.0)])  # log 2: two classes, equally likely
        0.693147...
        >>> weight.flatten(), bias
        (tensor([-0.5000,  0.5000]), tensor([-0.5000,  0.5000]))
    """

    def __init__(
        self, weights: Sequence[Tensor], biases: Sequence[Tensor | None], activations: Sequence[str], batch: int
    ) -> None:
        _check(weights, biases, activations, batch)
        self._weights = [weight.detach() for weight in weights]
        self._transposed = [weight.t() for weight in self._weights]
        self._biases = [None if bias is None else bias.detach() for bias in biases]
        self._act = [_ACTIVATIONS[name][0] for name in (*activations, "identity")]
        self._slope = [_ACTIVATIONS[name][1] for name in activations]
        first = self._weights[0]
        self._outputs = [first.new_empty(batch, weight.shape[0]) for weight in weights]
        self._deltas = [torch.empty_like(output) for output in self._outputs]
        self._log_p, self._chosen = torch.empty_like(self._outputs[-1]), torch.empty_like(self._outputs[-1])
        self._gradients = [torch.empty(0)] * len(weights)  # made by the first descent
        self._loss, self._counted, self._one = first.new_empty(()), first.new_empty(()), first.new_ones(())
        self._rows: dict[int, _Rows] = {}

    @property
    def batch(self) -> int:
        """The most rows that a batch may have."""
        return len(self._log_p)

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        """z_L of the inputs (n, features), n ≤ batch; a buffer that the next call overwrites."""
        return self._forward(self._take(inputs), inputs)

    def gradients(self, inputs: Tensor, labels: Tensor, into: Sequence[tuple[Tensor | None, Tensor | None]]) -> float:
        """The mean loss of a batch; its gradient is written into the given tensors.

        Args:
            inputs: (n, features) with n ≤ batch, of the weights' dtype.
            labels: int64 (n,), each in 0 … classes − 1, or −100 where a sample shall not count.
            into: for each layer the tensors for dL/dW and dL/db, or None for what is not wanted.

        Returns:
            The loss. Where it is not finite nothing was written.
        """

        def write(layer: int, delta: Tensor, delta_t: Tensor, below: Tensor) -> None:
            weight, bias = into[layer]
            if weight is not None:
                torch.mm(delta_t, below, out=weight)
            if bias is not None:
                torch.sum(delta, 0, out=bias)

        wanted = [layer for layer, pair in enumerate(into) if any(tensor is not None for tensor in pair)]
        return self._step(inputs, labels, wanted, write)

    def descend(
        self,
        inputs: Tensor,
        labels: Tensor,
        rates: Sequence[tuple[float, float]],
        kept: Sequence[Tensor | None] | None = None,
    ) -> float:
        """The mean loss of a batch before the step; W ← W − rate · dL/dW and b likewise, then W ← 0 where not kept.

        Args:
            inputs: (n, features) with n ≤ batch, of the weights' dtype.
            labels: int64 (n,), each in 0 … classes − 1, or −100 where a sample shall not count.
            rates: for each layer the learning rates of weight and bias; a layer with both 0 is left alone.
            kept: for each layer what `bits` made of its mask, or None for a layer without.

        Returns:
            The loss. Where it is not finite no weight was changed.
        """

        def update(layer: int, delta: Tensor, delta_t: Tensor, below: Tensor) -> None:
            weight_rate, bias_rate = rates[layer]
            weight, bias = self._weights[layer], self._biases[layer]
            if weight_rate:
                weight.add_(torch.mm(delta_t, below, out=self._gradient(layer)), alpha=-weight_rate)
                if kept is not None and (mask := kept[layer]) is not None:
                    weight.view(mask.dtype).bitwise_and_(mask)
            if bias_rate and bias is not None:
                bias.add_(torch.sum(delta, 0), alpha=-bias_rate)

        return self._step(inputs, labels, [layer for layer, pair in enumerate(rates) if any(pair)], update)

    @torch.no_grad()
    def _step(self, inputs: Tensor, labels: Tensor, wanted: list[int], use: _Use) -> float:
        rows = self._take(inputs)
        log_p = torch.log_softmax(self._forward(rows, inputs), 1, out=rows.log_p)
        mean, counted = {"output": self._loss, "total_weight": self._counted}, self._counted
        _OPS.nll_loss_forward.output(log_p, labels, None, _MEAN, _IGNORED, **mean)
        loss = self._loss.item()
        if not math.isfinite(loss) or not wanted:
            return loss
        chosen = rows.chosen
        _OPS.nll_loss_backward.grad_input(self._one, log_p, labels, None, _MEAN, _IGNORED, counted, grad_input=chosen)
        _OPS._log_softmax_backward_data.out(chosen, log_p, 1, log_p.dtype, out=rows.delta[-1])
        for layer in range(len(self._weights) - 1, wanted[0] - 1, -1):
            below = rows.outputs[layer - 1] if layer else inputs
            if layer > wanted[0]:  # before `use`, which may change the weight
                delta = torch.mm(rows.delta[layer], self._weights[layer], out=rows.delta[layer - 1])
                self._slope[layer - 1](delta, below)
            use(layer, rows.delta[layer], rows.delta_t[layer], below)
        return loss

    def _forward(self, rows: _Rows, inputs: Tensor) -> Tensor:
        for weight_t, bias, act, output in zip(self._transposed, self._biases, self._act, rows.outputs, strict=True):
            if bias is None:
                torch.mm(inputs, weight_t, out=output)
            else:
                torch.addmm(bias, inputs, weight_t, out=output)
            act(output)
            inputs = output
        return inputs

    def _gradient(self, layer: int) -> Tensor:
        if not self._gradients[layer].numel():
            self._gradients[layer] = torch.empty_like(self._weights[layer])
        return self._gradients[layer]

    def _take(self, inputs: Tensor) -> _Rows:
        count = len(inputs)
        if count not in self._rows:
            if not 0 < count <= self.batch:
                raise RequestError(f"inputs: found {count} rows, expected 1 to {self.batch}; make a step for more")
            delta = [buffer[:count] for buffer in self._deltas]
            outputs = [buffer[:count] for buffer in self._outputs]
            delta_t = [buffer.t() for buffer in delta]
            self._rows[count] = _Rows(outputs, delta, delta_t, self._log_p[:count], self._chosen[:count])
        return self._rows[count]


def bits(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The mask as integers, all bits set where it is True, so that `&` with a weight's own bits keeps it or makes it 0.

    A product would cost the same but leave −0.0 and keep NaN; `masked_fill_` costs twenty times as much.

    Args:
        mask: bool tensor of any shape.
        dtype: the weight's floating dtype.

    Example:
        >>> weight = torch.tensor([-3.0, float("nan"), 5.0])
        >>> keep = bits(torch.tensor([False, False, True]), weight.dtype)
        >>> weight.view(keep.dtype).bitwise_and_(keep).view(weight.dtype)
        tensor([0., 0., 5.])
    """
    whole = {2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    return mask.to(whole).neg_()


def _check(weights: Sequence[Tensor], biases: Sequence[Tensor | None], activations: Sequence[str], batch: int) -> None:
    if not weights or len(biases) != len(weights) or len(activations) != len(weights) - 1:
        raise RequestError(
            f"weights, biases, activations: found {len(weights)}, {len(biases)} and {len(activations)}, "
            "expected L, L and L − 1 with L ≥ 1"
        )
    if batch < 1:
        raise RequestError(f"batch: found {batch}, expected at least 1 row")
    for name in activations:
        if name not in _ACTIVATIONS:
            raise UnknownNameError("activation of a chain step", name, _ACTIVATIONS)
    first = weights[0]
    width = first.shape[-1]
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        if weight.ndim != 2 or weight.shape[1] != width:
            raise RequestError(f"weights[{layer}]: found shape {tuple(weight.shape)}, expected (out, {width})")
        width = weight.shape[0]
        if bias is not None and bias.shape != (width,):
            raise RequestError(f"biases[{layer}]: found shape {tuple(bias.shape)}, expected ({width},)")
        for tensor in (weight, *(() if bias is None else (bias,))):
            if (tensor.dtype, tensor.device) != (first.dtype, first.device) or not tensor.is_floating_point():
                raise RequestError(
                    f"layer {layer}: found {tensor.dtype} on {tensor.device}, expected one floating dtype on one "
                    f"device for all layers; the first weight is {first.dtype} on {first.device}"
                )

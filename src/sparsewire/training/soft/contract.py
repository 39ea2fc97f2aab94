"""What a soft mask is: scores that are learned instead of weights, and what a network computes with meanwhile.

A weight w has a tensor of scores s of its own shape. The network computes with w̃ = w ⊙ m(s), where m is soft: it may be
a decision whose gradient goes straight through, or a probability. At the end m is an ordinary mask.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


class SoftMask(ABC):
    """What soft masks can do. One of your own is a frozen dataclass; `learn_masks` trains it like any other.

    Whatever is drawn is drawn from the generator that it is given; all else is a function of the scores.
    """

    @abstractmethod
    def begin(self, name: str, weight: Tensor, generator: torch.Generator) -> Tensor:
        """The scores that training starts from, in the weight's shape.

        Args:
            name: the weight's.
            weight: shape (out, in, *kernel).
            generator: to draw from.
        """

    @abstractmethod
    def soften(self, name: str, weight: Tensor, scores: Tensor, generator: torch.Generator) -> Tensor:
        """The weight that a training step computes with, from which gradients find their way to the scores.

        Args:
            name: the weight's.
            weight: without gradient.
            scores: of its shape.
            generator: to draw from.
        """

    @abstractmethod
    def decide(self, name: str, scores: Tensor, generator: torch.Generator) -> Tensor:
        """The mask that the scores stand for, a bool tensor of their shape: True = kept."""

    def factor(self, mask: Tensor) -> float:
        """What the kept weights are multiplied by in the network that the mask belongs to; 1 unless told."""
        return 1.0


def drawn_uniformly(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers from [0, 1) in the weight's shape, drawn where the generator is; at least float32.

    Example:
        >>> drawn_uniformly(torch.zeros(2, 3, dtype=torch.float16), torch.Generator().manual_seed(0)).dtype
        torch.float32
    """
    dtype = torch.promote_types(weight.dtype, torch.float32)
    drawn = torch.rand(weight.shape, generator=generator, device=generator.device, dtype=dtype)
    return drawn.to(weight.device)


def straight_through(values: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
    """The masked weight, with the gradient that it would have if the values were the mask.

        forward: w̃ = w ⊙ m        backward: dL/dv = dL/dw̃ ⊙ w, where m is False too

    Args:
        values: what the mask was decided by; it alone has a gradient.
        weight: of the same shape.
        mask: bool, of the same shape.

    Example:
        >>> values = torch.tensor([0.9, 0.1], requires_grad=True)
        >>> straight_through(values, torch.tensor([2.0, -3.0]), torch.tensor([True, False])).sum().backward()
        >>> values.grad
        tensor([ 2., -3.])

    Reference: Bengio, Léonard and Courville 2013, section 4.
    """
    product: Tensor = _StraightThrough.apply(values, weight, mask)  # type: ignore[no-untyped-call]
    return product


def only_kept(weight: Tensor, mask: Tensor) -> Tensor:
    """The weight where the mask is True, and zeros elsewhere.

    Example:
        >>> only_kept(torch.tensor([2.0, 3.0]), torch.tensor([True, False]))
        tensor([2., 0.])
    """
    # Bytes multiply many times faster than `torch.where` chooses; a NaN that is dropped stays one, and is told of.
    return weight * mask.view(torch.uint8)


def described(scores: Mapping[str, Tensor]) -> str:
    """The names and shapes of the scores, for errors and checkpoints.

    Example:
        >>> described({"0.weight": torch.zeros(2, 3)})
        '0.weight (2, 3)'
    """
    return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in scores.items())


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.set_materialize_grads(False)
        return only_kept(weight, mask)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        (weight,), gradient = ctx.saved_tensors, gradients[0]  # type: ignore[attr-defined]
        return None if gradient is None else gradient * weight, None, None

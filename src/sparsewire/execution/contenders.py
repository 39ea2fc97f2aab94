"""A dense layer of torch and the sparse layer that would take its place, ready to be timed."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.execution.measuring import Timing, Work, compare, fairest_clock
from sparsewire.execution.runs import RunSubject
from sparsewire.execution.sequences import ACTIVATIONS, SparseSequential
from sparsewire.execution.sparse_forms import SPARSE_FORMS
from sparsewire.execution.subjects import Subject

SECONDS = 0.25  # for each batch size
STEPS, PIXELS = 20, 16  # of a sequence, and of the side of an image: a model does not say them
_DOUBTFUL = 1.0, 1.3  # ratios that noise could carry over the margin


def measured(
    subject: Subject | RunSubject, batches: Sequence[int], training: bool, seconds: float = SECONDS
) -> list[Timing]:
    """How long a dense and a sparse layer of this kind, or run of layers, take on this machine, for each batch size.

    The mask is drawn at random with the subject's density. A training step is a forward and a backward pass with the
    gradients of inputs, weights and biases, made anew as after torch's `zero_grad`.

    Args:
        subject: the layer, or the run.
        batches: batch sizes, each at least 1.
        training: training steps, else forward passes without autograd.
        seconds: how long each comparison may take; a doubtful one takes it twice.

    Raises:
        RequestError: there is no such sparse layer.

    Example:
        >>> subject = Subject("Linear", (4, 8), bias=True, density=0.5, dtype="float32", device="cpu")
        >>> [timing.batch for timing in measured(subject, (1, 16), training=True, seconds=0.001)]
        [1, 16]
    """
    first = subject.layers[0] if isinstance(subject, RunSubject) else subject
    place = _place(first)
    clock = fairest_clock(torch.get_num_threads()) if place == "cpu" else time.perf_counter
    # A plan may be asked for in any mode; and what autograd saves must be what it saves in training.
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(place, enabled=False):
        generator = torch.Generator().manual_seed(0)
        if isinstance(subject, RunSubject):
            dense, sparse = run(subject, generator, place)
        else:
            dense, sparse = layers(subject, generator, place)
        found = []
        for batch in batches:
            x = torch.randn(_input_shape(first, batch), generator=generator).to(place, _dtype(first))
            ours, theirs = (_finished(pass_of(layer, x, training), place) for layer in (sparse, dense))
            found.append(compare(batch, theirs, ours, seconds, _DOUBTFUL, largest_gain(subject.density), clock))
        return found


def largest_gain(density: float) -> float:
    """The largest ratio to believe: 4 / density, with a thousandth as the least density; more is a disturbance.

    Example:
        >>> largest_gain(0.1)
        40.0
    """
    return 4 / max(density, 1e-3)


def layers(subject: Subject, generator: torch.Generator, device: str = "cpu") -> tuple[nn.Module, nn.Module]:
    """The dense layer with zeros outside a random mask, and the sparse layer with the same weights.

    Args:
        subject: the layer.
        generator: where masks and weights are drawn from.
        device: where both shall be.

    Raises:
        RequestError: there is no such sparse layer.

    Example:
        >>> subject = Subject("Linear", (4, 8), bias=True, density=0.5, dtype="float32", device="cpu")
        >>> dense, sparse = layers(subject, torch.Generator().manual_seed(0))
        >>> x = torch.ones(2, 8)
        >>> torch.allclose(dense(x), sparse(x), atol=1e-6)
        True
    """
    make = _DENSE.get(subject.kind.split()[0])
    if make is None:
        raise RequestError(f"subject: found the kind {subject.kind!r}, expected one of {', '.join(_DENSE)}")
    dense = make(subject).to_empty(device="cpu").to(_dtype(subject))
    masks = {}
    with torch.no_grad():
        for name, weight in dense.named_parameters():
            weight.copy_(torch.empty(weight.shape).normal_(0, 0.05, generator=generator))
            if "weight" in name:
                masks[name] = torch.empty(weight.shape, dtype=torch.bool).bernoulli_(
                    subject.density, generator=generator
                )
                weight.masked_fill_(~masks[name], 0)
    dense = dense.to(device)
    return dense, _sparse_form(dense, {name: mask.to(device) for name, mask in masks.items()})


def run(subject: RunSubject, generator: torch.Generator, device: str = "cpu") -> tuple[nn.Module, nn.Module]:
    """The run with dense layers, and the one in which those that the subject says are sparse, of the same weights.

    Args:
        subject: the run.
        generator: where masks and weights are drawn from.
        device: where both shall be.

    Example:
        >>> layer = Subject("Linear", (4, 4), bias=True, density=0.5, dtype="float32", device="cpu")
        >>> dense, sparse = run(RunSubject((layer,) * 2, ("relu", "identity"), (True,) * 2), torch.Generator())
        >>> torch.allclose(dense(torch.ones(3, 4)), sparse(torch.ones(3, 4)), atol=1e-6)
        True
    """
    made: dict[type[nn.Module], list[nn.Module]] = {nn.Sequential: [], SparseSequential: []}
    activations = {name: kind for kind, name in ACTIVATIONS.items()}
    for layer, activation, chosen in zip(subject.layers, subject.activations, subject.sparse, strict=True):
        dense, sparse = layers(layer, generator, device)
        for kind, one in ((nn.Sequential, dense), (SparseSequential, sparse if chosen else dense)):
            made[kind] += [one, activations[activation]()] if activation in activations else [one]
    return nn.Sequential(*made[nn.Sequential]), SparseSequential(*made[SparseSequential])


def pass_of(layer: Callable[[Tensor], Any], x: Tensor, training: bool) -> Work:
    """A training step (forward, backward, gradients made anew), or a forward pass without autograd.

    Args:
        layer: a module.
        x: what it takes.
        training: which of the two.

    Example:
        >>> layer, x = nn.Linear(3, 2), torch.ones(1, 3)
        >>> pass_of(layer, x, training=True)()
        >>> layer.weight.grad.shape
        torch.Size([2, 3])
    """
    if not training:

        def forward() -> None:
            with torch.no_grad():
                layer(x)

        return forward
    inputs = x.clone().requires_grad_()
    parameters = list(layer.parameters()) if isinstance(layer, nn.Module) else []
    gradient = torch.ones_like(_first(layer(inputs)))

    def step() -> None:
        for tensor in (inputs, *parameters):
            tensor.grad = None
        torch.autograd.backward(_first(layer(inputs)), gradient)

    return step


def _first(result: Any) -> Tensor:
    found: Tensor = result[0] if isinstance(result, tuple) else result  # a recurrent layer gives its states too
    return found


def _place(subject: Subject) -> str:
    accelerator = torch.accelerator.current_accelerator()
    return "cpu" if subject.device == "cpu" or accelerator is None else accelerator.type


def _finished(work: Work, place: str) -> Work:
    """Work that ends when it is done, where an accelerator only takes orders."""
    if place == "cpu":
        return work

    def until_done() -> None:
        work()
        torch.accelerator.synchronize()

    return until_done


def _dtype(subject: Subject) -> torch.dtype:
    found: torch.dtype = getattr(torch, subject.dtype)
    return found


def _input_shape(subject: Subject, batch: int) -> tuple[int, ...]:
    if subject.kind == "Linear":
        return batch, subject.sizes[1]
    if subject.kind == "Conv2d":
        _, channels, *kernel = subject.sizes[:4]
        sides = (max(PIXELS, (size - 1) * apart + 1) for size, apart in zip(kernel, subject.sizes[8:], strict=True))
        return batch, channels, *sides
    return STEPS, batch, subject.sizes[0]


def _linear(subject: Subject) -> nn.Module:
    outputs, inputs = subject.sizes
    return nn.Linear(inputs, outputs, bias=subject.bias, device="meta")


def _conv2d(subject: Subject) -> nn.Module:
    outputs, channels, rows, columns, down, right, above, aside, *apart = subject.sizes
    stride, padding, dilation = (down, right), (above, aside), (apart[0], apart[1])
    bias = subject.bias
    return nn.Conv2d(channels, outputs, (rows, columns), stride, padding, dilation, bias=bias, device="meta")


def _recurrent(subject: Subject) -> nn.Module:
    kind, _, nonlinearity = subject.kind.partition(" ")
    inputs, neurons, count, directions = subject.sizes
    extra = {"nonlinearity": nonlinearity} if nonlinearity else {}
    make: type[nn.Module] = getattr(nn, kind)
    return make(inputs, neurons, count, bias=subject.bias, bidirectional=directions == 2, device="meta", **extra)


_DENSE = {"Linear": _linear, "Conv2d": _conv2d, "RNN": _recurrent, "GRU": _recurrent, "LSTM": _recurrent}


def _sparse_form(dense: nn.Module, masks: dict[str, Tensor]) -> nn.Module:
    return SPARSE_FORMS[type(dense)](dense, masks)

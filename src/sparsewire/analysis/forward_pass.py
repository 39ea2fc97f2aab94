"""What happens in a forward pass: how often each layer's weights are used, and how long it takes."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sparsewire.execution.convolution import SparseConv2d
from sparsewire.execution.recurrent_module import SparseRecurrent
from sparsewire.structure.blocks import whole


class Seconds(NamedTuple):
    """How long something takes: the median, the fastest and the slowest of all repeats."""

    median: float
    fastest: float
    slowest: float


def measured_seconds(model: nn.Module, example: Any, repeats: int = 20) -> Seconds:
    """How long the model's forward pass on this batch takes on this machine now, in eval mode and without gradients.

    Args:
        model: any module; its modes are as before afterwards.
        example: one batch of inputs, or a tuple for several arguments.
        repeats: how often it is measured, at least 1, after two calls that are not.

    Example:
        >>> measured_seconds(nn.Linear(10, 10), torch.zeros(5, 10)).median > 0
        True
    """
    times = []
    with _judging(model):
        for repeat in range(whole("repeats", repeats, least=1) + 2):
            start = time.perf_counter()
            model(*_arguments(example))
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if repeat >= 2:
                times.append(time.perf_counter() - start)
    return Seconds(statistics.median(times), min(times), max(times))


def uses_of_modules(model: nn.Module, example: Any) -> dict[str, int]:
    """How often one sample of the example uses the weights of each module that was called.

    Once in a dense layer, or once per position where its input has more dimensions than (batch, features); once per
    position of the output (of a transposed one, of the input) in a convolution, padding included; once per time step
    in a recurrent layer and in attention. A module that is called twice counts twice.

    Args:
        model: any module; it is called once, in eval mode, and its modes are as before afterwards.
        example: one batch of inputs, or a tuple for several arguments.

    Returns:
        Module name → uses.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
        >>> uses_of_modules(model, torch.zeros(5, 1, 4, 4))
        {'0': 4, '2': 1}
    """
    found: dict[str, int] = {}

    def count(name: str, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], outputs: Any) -> None:
        positions = _positions(module, (*inputs, *named.values())[0], outputs)
        found[name] = found.get(name, 0) + positions
        if isinstance(module, nn.MultiheadAttention):  # uses its output layer's weight without calling the layer
            inner = f"{name}.out_proj" if name else "out_proj"
            found[inner] = found.get(inner, 0) + positions

    hooks = [
        module.register_forward_hook(partial(count, name), with_kwargs=True)
        for name, module in model.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    try:
        with _judging(model):
            model(*_arguments(example))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _positions(module: nn.Module, first: Any, outputs: Any) -> int:
    if isinstance(module, nn.RNNBase | SparseRecurrent | nn.MultiheadAttention):
        if not isinstance(first, Tensor):  # a packed sequence: the mean over its samples, rounded up
            return -(-len(first.data) // int(first.batch_sizes[0]))
        return int(first.shape[1 if module.batch_first and first.dim() == 3 else 0])
    if isinstance(module, nn.modules.conv._ConvNd | SparseConv2d):
        shown = first if isinstance(module, nn.modules.conv._ConvTransposeNd) else outputs
        return int(torch.Size(shown.shape[-len(module.kernel_size) :]).numel())
    return int(outputs.shape[1:-1].numel()) if isinstance(outputs, Tensor) else 1


def _arguments(example: Any) -> tuple[Any, ...]:
    return example if type(example) is tuple else (example,)  # a packed sequence is a named tuple, and one argument


@contextmanager
def _judging(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            model.eval()
            yield
    finally:
        for module, training in modes.items():
            module.training = training

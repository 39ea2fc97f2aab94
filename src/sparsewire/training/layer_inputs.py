"""What the layers of a model get to see: the second moments of their inputs over some data."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, unfold

from sparsewire.errors import RequestError
from sparsewire.training.batches import Data, feed
from sparsewire.training.judging import modes_kept, moved, place_of


def input_moments(
    model: nn.Module, data: Data, layers: Mapping[str, Sequence[nn.Module]], *, batch_size: int = 250
) -> dict[str, Tensor]:
    """H of each layer: the mean over the samples of Σ x xᵀ, over all places x at which the layer looks.

    A linear layer looks at one place of a sample, or at one for each step of a sequence; a convolution at one for each
    position of its kernel (of each group of channels).

    Args:
        model: is run in eval mode without gradients; afterwards all modes are as before.
        data: as for `fit`; gone through once.
        layers: name → the `nn.Linear` or `nn.Conv2d` modules that share the weight of this name.
        batch_size: samples at a time, where the data does not come in batches.

    Returns:
        name → float64, shape (groups, inputs, inputs) with inputs those of one output; 1 group but for convolutions.

    Raises:
        RequestError: the data is empty, or a layer was never called on it.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> input_moments(layer, (torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.zeros(2)), {"weight": [layer]})
        {'weight': tensor([[[5., 1.],
                 [1., 2.]]], dtype=torch.float64)}
    """
    sums: dict[str, Tensor] = {}
    count, place = 0, place_of(model, None)
    with modes_kept(model), torch.no_grad(), _watched(layers, sums):
        model.eval()
        for inputs, labels in feed(data, batch_size).passes(None, False):
            model(moved(inputs, place))
            count += len(labels)
    if not count:
        raise RequestError("data: found no batch, expected at least one; an iterator can be gone through only once")
    for name in layers:
        if name not in sums:
            raise RequestError(f"only: the model did not call the layer of {name!r} on the data; leave it out")
    return {name: sums[name] / count for name in layers}


@contextmanager
def _watched(layers: Mapping[str, Sequence[nn.Module]], sums: dict[str, Tensor]) -> Iterator[None]:
    """Adds Σ x xᵀ of every call of the layers to the sums, as long as the context lasts."""

    def watch(name: str, module: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        seen = places_of(module, given[0] if given else named["input"]).double()
        square = seen @ seen.mT
        sums[name] = sums[name] + square if name in sums else square

    handles = [
        module.register_forward_pre_hook(partial(watch, name), with_kwargs=True)
        for name, modules in layers.items()
        for module in modules
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def places_of(module: nn.Module, inputs: Tensor) -> Tensor:
    """All that a layer multiplies its weight with, shape (groups, inputs of one output, places).

    With it the outputs without bias are weight (as groups of matrices) @ places.

    Example:
        >>> places_of(nn.Conv2d(2, 4, 3, groups=2), torch.zeros(5, 2, 4, 4)).shape
        torch.Size([2, 9, 20])
    """
    if not isinstance(module, nn.Conv2d):
        return inputs.reshape(1, inputs.shape[:-1].numel(), inputs.shape[-1]).mT
    inputs = inputs if inputs.dim() == 4 else inputs[None]
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    around = pad(inputs, module._reversed_padding_repeated_twice, mode=mode)
    columns = unfold(around, module.kernel_size, module.dilation, 0, module.stride)
    return columns.transpose(0, 1).reshape(module.groups, -1, columns.shape[0] * columns.shape[2])

"""What the weights that follow a layer of units see of a batch: a product of matrices, whatever the layer."""

from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.functional import pad, unfold

from sparsewire.errors import RequestError
from sparsewire.structure.evidence.unit_chain import UnitLayer


class FollowingColumns(NamedTuple):
    """The inputs of the following weights as columns, unit by unit, and these weights.

    With them the outputs are Σ_units weight[unit]ᵀ columns[unit] + bias, of shape (outputs, places).

    Args:
        columns: (units, inputs of a unit, places); a place is a sample or, of a convolution, a position in a sample.
        weight: (units, inputs of a unit, outputs).
        bias: (outputs, 1).
        picture: (height, width) of a convolution's outputs, else ().
    """

    columns: Tensor
    weight: Tensor
    bias: Tensor
    picture: tuple[int, ...]


def following_columns(chain: UnitLayer, inputs: Tensor) -> FollowingColumns:
    """Runs the network up to the following weights, and lays their inputs out.

    Args:
        chain: the layer.
        inputs: of the network, (samples, …).

    Raises:
        RequestError: the following dense layer gets something else than (samples, features).

    Example:
        >>> import torch
        >>> from sparsewire.structure.evidence.unit_chain import unit_layer
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 2))
        >>> seen = following_columns(unit_layer(model, "0"), torch.zeros(5, 1, 6, 6))
        >>> seen.columns.shape, seen.weight.shape, seen.picture      # 4 channels, kernels of 2 × 2, 5 · 3 · 3 places
        (torch.Size([4, 4, 45]), torch.Size([4, 4, 2]), (3, 3))
    """
    values: Any = inputs
    for module in chain.before:
        values = module(values)
    following = chain.following
    weight = following.weight.flatten(1).T.reshape(chain.units, -1, len(following.weight))
    bias = weight.new_zeros(len(following.weight), 1) if following.bias is None else following.bias[:, None]
    if isinstance(following, nn.Conv2d):
        columns, picture = _patches(following, values)
    elif values.dim() == 2:
        columns, picture = values.T, ()
    else:
        found = tuple(values.shape)
        raise RequestError(
            f"data: the inputs of {chain.following_name!r} have shape {found}, expected (batch, features)"
        )
    return FollowingColumns(columns.reshape(chain.units, -1, columns.shape[1]), weight, bias, picture)


def _patches(following: nn.Conv2d, values: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """What the kernel sees at each of its positions, as columns, and how many positions there are each way."""
    mode = "constant" if following.padding_mode == "zeros" else following.padding_mode
    around = pad(values, following._reversed_padding_repeated_twice, mode=mode)
    options = (following.kernel_size, following.dilation, following.stride)
    picture = tuple(
        (size - step * (kernel - 1) - 1) // stride + 1
        for size, kernel, step, stride in zip(around.shape[2:], *options, strict=True)
    )
    patches = unfold(around, following.kernel_size, following.dilation, 0, following.stride)
    return patches.transpose(0, 1).flatten(1), picture

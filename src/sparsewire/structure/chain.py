"""The dense layers of a model as one chain: the part of it that is a graph of neurons."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import Array, Block, Junction, block_of_sorted
from sparsewire.structure.sparse_weights import junctions_of

Model = nn.Module | Mapping[str, Tensor]
"""A module, or the state dict of one."""


def dense_chain(model: Model) -> dict[str, Tensor]:
    """The weights of the dense layers in order, each of shape (out, in), where out is the next one's in.

    Of a module: all nn.Linear in the order of their definition; convolutions and other layers are skipped, so that
    what is left of a convolutional network is its dense tail. Attention is refused: it has dense layers inside, and
    whatever comes before and after them would look like one chain with them. Of a state dict: all 2-D tensors whose
    name ends with "weight".

    Returns:
        Parameter name → weight as the model holds it (not a copy), detached.

    Raises:
        RequestError: there is no dense layer, two neighbours do not fit, two layers share one weight, or there is an
            nn.MultiheadAttention, or a dense layer in its sparse form.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> {name: tuple(weight.shape) for name, weight in dense_chain(model).items()}
        {'2.weight': (8, 16), '4.weight': (2, 8)}
    """
    if not isinstance(model, nn.Module | Mapping):
        raise RequestError(f"model: found {type(model).__name__}, expected an nn.Module or a state dict")
    chain = _linear_weights(model) if isinstance(model, nn.Module) else _matrices(model)
    if not chain:
        raise RequestError(
            "model: found no dense layer, expected an nn.Linear (in a state dict: a 2-D tensor named '…weight')"
        )
    for (name, weight), (after, following) in pairwise(chain.items()):
        if weight.shape[0] != following.shape[1]:
            raise RequestError(
                f"model: its dense layers are no chain: {name!r} has {weight.shape[0]} outputs, but the next one, "
                f"{after!r}, has {following.shape[1]} inputs; give the part of the model that is a chain"
            )
    return chain


def chain_sizes(chain: Mapping[str, Tensor]) -> tuple[int, ...]:
    """The neurons per layer of a chain, inputs first.

    Example:
        >>> chain_sizes({"0.weight": torch.ones(8, 16), "2.weight": torch.ones(2, 8)})
        (16, 8, 2)
    """
    weights = list(chain.values())
    return (weights[0].shape[1], *(weight.shape[0] for weight in weights))


def chain_blocks(model: Model, masks: Mapping[str, Tensor] | None) -> tuple[tuple[int, ...], dict[Junction, Block]]:
    """The sizes and blocks of the model's dense chain; see `NetGraph.from_model`."""
    chain = dense_chain(model)
    if masks is not None:
        _check_masks(masks, model)
    blocks: dict[Junction, Block] = {}
    for layer, (name, weight) in enumerate(chain.items()):
        values = as_array(weight)
        kept = values != 0 if masks is None else np.ones(values.shape, np.bool_)
        if masks is not None and name in masks:
            kept = masks[name].cpu().numpy()
        targets, sources = np.nonzero(kept)
        blocks[layer, layer + 1] = block_of_sorted(targets, sources, values[kept], (weight.shape[0], weight.shape[1]))
    return chain_sizes(chain), blocks


def as_array(weight: Tensor) -> Array:
    """The weight as a contiguous numpy array: float64 where it is one, else float32, which holds all shorter kinds."""
    kind = torch.float64 if weight.dtype == torch.float64 else torch.float32
    array: Array = weight.detach().to("cpu", kind).contiguous().numpy()
    return array


def _linear_weights(model: nn.Module) -> dict[str, Tensor]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    chain: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            raise RequestError(
                f"model: {path!r} is an attention, so its dense layers are no chain; give the part that is a chain"
            )
        if "weight" in junctions_of(module) and len(module.shape_of("weight")) == 2:
            raise _sparse(f"{path}.weight".removeprefix("."))
        if isinstance(module, nn.Linear):
            own = f"{path}.weight".removeprefix(".")
            name = names.get(id(module.weight), own)
            if name in chain:
                raise RequestError(f"model: {name!r} and {own!r} are one tied weight; a chain needs one for each layer")
            chain[name] = module.weight.detach()
    return chain


def _matrices(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if sparse := [name for name in state if f"{name}_layout" in state]:
        raise _sparse(sparse[0])
    return {
        name: weight.detach()
        for name, weight in state.items()
        if isinstance(weight, Tensor) and weight.ndim == 2 and name.endswith("weight")
    }


def _sparse(name: str) -> RequestError:
    return RequestError(f"model: {name!r} is a sparse layer's, expected dense ones; take densify(model)[0]")


def _check_masks(masks: Mapping[str, Tensor], model: Model) -> None:
    # named_parameters() names a tied weight once, by its first name, as masks do: another name is unknown here.
    known = dict(model.named_parameters()) if isinstance(model, nn.Module) else model
    for name, mask in masks.items():
        if name not in known:
            raise UnknownNameError("weight of the model", name, known)
        if mask.shape != known[name].shape or mask.dtype != torch.bool:
            raise RequestError(
                f"mask of {name!r}: found {mask.dtype} of shape {tuple(mask.shape)}, expected torch.bool of shape "
                f"{tuple(known[name].shape)}, that of the weight"
            )

"""The part of a model that is a graph of neurons: its dense layers as one chain, or the module that a graph wired."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import Array, Block, Junction, block_of_sorted
from sparsewire.structure.sparse_weights import junctions_of, sparse_weights

Model = nn.Module | Mapping[str, Tensor]
"""A module, or the state dict of one."""


@runtime_checkable
class WiredModule(Protocol):
    """A module that knows the graph of its neurons, as those of `models.wired` do."""

    def graph_blocks(self, masks: Mapping[str, Tensor] | None = None) -> tuple[tuple[int, ...], dict[Junction, Block]]:
        """The sizes and blocks of its graph.

        Args:
            masks: by the module's own parameter names, which weights are edges; of a weight without a mask all that
                exist are. None: the weights that are not zero, and all that a sparse weight stores.
        """
        ...


@runtime_checkable
class MaskedModule(WiredModule, Protocol):
    """One with masked weights for the edges."""

    def graph_masks(self, sizes: tuple[int, ...], blocks: Mapping[Junction, Block]) -> dict[str, Tensor]:
        """The masks that keep exactly these edges, by the module's own parameter names.

        Raises:
            RequestError: its layers are others, or there is an edge where it has no weight.
        """
        ...


def wired_part(model: Model) -> tuple[str, WiredModule] | None:
    """The one module in the model that knows its graph, and the name under which it is there; None: there is none.

    Raises:
        RequestError: there are several.
    """
    if not isinstance(model, nn.Module):
        return None
    every = [(path, module) for path, module in model.named_modules() if isinstance(module, WiredModule)]
    # A wrapper that hands on all names, as a compiled module does, is none itself: the innermost one is.
    inner = [path for path, _ in every]
    found = [one for one in every if not any(_is_inside(path, one[0]) for path in inner)]
    if len(found) > 1:
        raise RequestError(
            f"model: {found[0][0]!r} and {found[1][0]!r} are networks that a graph wired; give the one that is meant"
        )
    return found[0] if found else None


def _is_inside(path: str, home: str) -> bool:
    return path != home and (not home or path.startswith(f"{home}."))


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
            nn.MultiheadAttention, a network that a graph wired, or a dense layer in its sparse form.

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


def model_blocks(model: Model, masks: Mapping[str, Tensor] | None) -> tuple[tuple[int, ...], dict[Junction, Block]]:
    """The sizes and blocks of the model's graph: of the module that a graph wired, or else of its dense chain.

    See `NetGraph.from_model`.
    """
    part = wired_part(model)
    if part is None:
        return chain_blocks(model, masks)
    path, module = part
    if masks is None:
        return module.graph_blocks()
    _check_masks(masks, model)
    start = f"{path}." if path else ""
    return module.graph_blocks(
        {name.removeprefix(start): mask for name, mask in masks.items() if name.startswith(start)}
    )


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
    if part := wired_part(model):
        raise RequestError(
            f"model: {part[0]!r} is wired by a graph, so it is no chain; take NetGraph.from_model(model)"
        )
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
    sparse = sparse_weights(model) if isinstance(model, nn.Module) else {}
    for name, mask in masks.items():
        if name not in known:
            raise UnknownNameError("weight of the model", name, known)
        shape = sparse[name].shape if name in sparse else tuple(known[name].shape)
        if tuple(mask.shape) != shape or mask.dtype != torch.bool:
            raise RequestError(
                f"mask of {name!r}: found {mask.dtype} of shape {tuple(mask.shape)}, expected torch.bool of shape "
                f"{shape}, that of the weight"
            )

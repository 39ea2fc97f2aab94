"""Whether masks, a model, its gradients, a rule's answer and a saved state are about the same weights."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.structure.masks import Masks
from sparsewire.structure.sparse_weights import SparseWeight, sparse_weights


def plain_name(name: str) -> str:
    """A parameter's name without what torch.compile puts into it, so that both forms mean the same weight.

    Example:
        >>> plain_name("0._orig_mod.weight")
        '0.weight'
    """
    return name.replace("_orig_mod.", "")


def weights_of(model: nn.Module, masks: Masks) -> tuple[dict[str, nn.Parameter], dict[str, SparseWeight]]:
    """The weights under the masks' names, which may be those before or after torch.compile; and which are sparse.

    Raises:
        RequestError: the model lacks one, or has it in another shape, or two names mean one tied weight.
    """
    names = {plain_name(name): name for name, _ in model.named_parameters(remove_duplicate=False)}
    own = {name: names.get(plain_name(name), name) for name in masks}
    renamed = Masks({own[name]: mask for name, mask in masks.items()})
    weights = dict(zip(masks, renamed.weights_of(model).values(), strict=True))
    first: dict[nn.Parameter, str] = {}
    for name, weight in weights.items():
        if first.setdefault(weight, name) != name:
            raise RequestError(f"masks: {name!r} and {first[weight]!r} are one tied weight; give one mask for it")
    sparse = sparse_weights(model)
    return weights, {name: sparse[own[name]] for name in masks if own[name] in sparse}


def present_gradients(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The gradients of those weights that have one.

    Raises:
        RequestError: one is in a sparse layout, which no mask can be laid on.

    Example:
        >>> present_gradients({"w": torch.zeros(2)})
        {}
    """
    present = {name: weight.grad for name, weight in weights.items() if weight.grad is not None}
    for name, gradient in present.items():
        if gradient.layout != torch.strided:
            raise RequestError(
                f"gradient of {name!r}: found layout {gradient.layout}, expected a dense tensor; "
                "make its layer with sparse=False, or leave it out of the masks"
            )
    return present


def compared(new: Mapping[str, Tensor], old: Masks, source: str) -> tuple[Masks, Masks]:
    """The new masks in the order and on the devices of the old ones, and where they differ.

    Raises:
        RequestError: the new masks are none, or have other names or shapes; `source` says where they came from.

    Example:
        >>> old = Masks({"w": torch.tensor([True, False])})
        >>> compared({"w": torch.tensor([True, True])}, old, "answer")[1]["w"]
        tensor([False,  True])
    """
    if not isinstance(new, Mapping):
        raise RequestError(f"{source}: found {type(new).__name__}, expected Masks")
    try:
        changed = Masks({name: mask.to(old[name].device) for name, mask in Masks(new).items()}) ^ old
    except RequestError as cause:
        raise RequestError(f"{source}: {cause}") from cause
    return Masks({name: old[name] ^ changed[name] for name in old}), changed


def checked_state(
    state: Mapping[str, Any], masks: Masks, groups: list[dict[str, Any]], sparse: Mapping[str, SparseWeight]
) -> Masks:
    """The masks in a state_dict, if all of it fits an optimizer with these masks, groups and sparse weights.

    Raises:
        RequestError: it does not.
    """
    missing = [key for key in ("state", "param_groups", "masks", "rule", "steps") if key not in state]
    if missing:
        raise RequestError(
            f"state_dict: found no {missing[0]!r}, expected what SparseOptimizer.state_dict gave; "
            "the state of a plain optimizer goes to `.inner.load_state_dict`"
        )
    found, expected = ([len(group["params"]) for group in some] for some in (state["param_groups"], groups))
    if found != expected:
        raise RequestError(
            f"state_dict: found groups of {found} parameters, expected {expected}; "
            "make the optimizer as it was made for the saved run"
        )
    if not isinstance(state["steps"], int) or state["steps"] < 0:
        raise RequestError(f"state_dict: found {state['steps']!r} steps, expected a number from 0 up")
    names = {plain_name(name): name for name in masks}
    if isinstance(saved := state["masks"], Mapping):
        saved = {names.get(name, name): mask for name, mask in saved.items()}
    new, changed = compared(saved, masks, "masks of the state_dict")
    for name in sparse:
        if changed[name].any():
            raise RequestError(
                f"masks of the state_dict: the sparse weight {name!r} has {int(changed[name].sum()):,} weights that "
                "differ from them; load the model's own state_dict first, which brings the structure"
            )
    return new

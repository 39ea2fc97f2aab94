"""From a dense model with masks to one whose layers hold live weights only, and back."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.execution import planning
from sparsewire.execution.fast_paths import allow_fast_paths_, avoid_fast_paths_
from sparsewire.execution.kept_masks import forget_masks_, remember_mask_, remembered_masks
from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.plans import Plan
from sparsewire.execution.sequences import SparseSequential
from sparsewire.execution.sparse_forms import SPARSE_FORMS
from sparsewire.execution.sparse_module import SparseModule, sparse_modules
from sparsewire.structure.masks import Masks

_UNMASKED = "_sparsewire_unmasked"  # on a sparse module: its weights that no mask was about, so are whole
_OWN = "_sparsewire_own"  # on a sparse module: names of the plain attributes that were added to the dense one
_HOOKS = tuple(name for name in vars(nn.Module()) if name.endswith("_hooks") or "_hooks_" in name)


def sparsify(
    model: nn.Module, masks: Mapping[str, Tensor], plan: Plan | Literal["sparse", "dense"] | None = None
) -> nn.Module:
    """A copy of the model in which masked layers hold, compute and train their live weights only.

    Each masked Linear, Conv2d, RNN, GRU and LSTM that the plan lets run sparse becomes a `SparseModule` under the same
    name, whose Parameters have the usual names, with 1-D live values for the masked weights. The others stay dense with
    zeros outside their masks, which `fit` and `SparseOptimizer` keep at zero in training; a sparse layer's stay so
    under any optimizer. An `nn.Sequential` with a sparse Linear becomes a `SparseSequential`. Live values, biases,
    buffers, dtypes, devices, `requires_grad`, training mode and plain attributes are those of the model.

    Whatever the plan says, these stay dense: subclasses of those layers, layers with hooks, parametrizations or own
    additions, layers that share a parameter with another layer, convolutions with groups or another padding than zeros.
    One layer that is used in several places is converted once and stays one.

    Args:
        model: it is not changed.
        masks: parameter name → bool tensor.
        plan: from `plan`; None: `plan(model, masks)`, measured now unless this machine knows such layers; "sparse":
            every layer that can; "dense": none.

    Raises:
        RequestError: masks that do not fit the model, or no such plan, or one that lacks a masked layer.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> masks = {"0.weight": torch.eye(4, 3, dtype=torch.bool)}
        >>> sparsify(model, masks, "sparse")
        SparseSequential(
          (0): SparseLinear(in_features=3, out_features=4, bias=True, density=0.25)
          (1): ReLU()
          (2): Linear(in_features=4, out_features=2, bias=True)
        )
    """
    masks = masks if isinstance(masks, Masks) else Masks(masks)
    masks.weights_of(model)
    if unknown := [name for name, mask in masks.items() if mask.is_meta]:
        raise RequestError(f"mask of {unknown[0]!r}: found it on the meta device, expected one with content")
    if not (plan is None or isinstance(plan, Plan) or plan in ("sparse", "dense")):
        raise RequestError(f"plan: found {plan!r}, expected a Plan, None, 'sparse' or 'dense'")
    plan = planning.plan(model, masks) if plan is None else plan
    # Where a copy meets one of these it takes the sparse form, be it in a container, a list or the model itself.
    replacements = _replacements(model, masks, plan)
    sparse = copy.deepcopy(model, memo := dict(replacements))
    for module in model.modules():
        if form := replacements.get(id(module)):
            _carry_(form.__dict__[_OWN], module, form, memo)
    for home, own in _by_module(model, masks).items():
        module = sparse.get_submodule(home)
        held = module.junctions if isinstance(module, SparseModule) else ()
        for name, mask in own.items():
            if name not in held:
                _mask_(module, name, mask)
    for module in sparse.modules():
        if type(module) is nn.Sequential and any(type(child) is SparseLinear for child in module):
            # The same object with another forward: its hooks and all that refers to it stay.
            module.__class__ = SparseSequential
    avoid_fast_paths_(sparse)
    return sparse


def densify(model: nn.Module) -> tuple[nn.Module, Masks]:
    """A copy of the model with ordinary torch layers, and the masks of its weights.

    What `sparsify` did is undone: every weight has its dense shape again, with exact zeros outside its mask, so
    `densify(sparsify(model, masks))` is `masks.apply_(model)` bit for bit, and the masks. Structures that changed since
    then are given as they are now, and hooks go along. In a layer that stayed dense, the mask is where its weights are
    not zero, with those kept weights that were zero when it was converted.

    Args:
        model: with sparse modules, or without; it is not changed.

    Returns:
        The dense copy; the masks by parameter name, in the model's order.

    Example:
        >>> model, masks = nn.Linear(2, 1), Masks({"weight": torch.tensor([[True, False]])})
        >>> dense, found = densify(sparsify(model, masks, "sparse"))
        >>> torch.equal(dense.weight, masks.apply_(model).weight), found == masks
        (True, True)
    """
    forms = [(sparse, sparse.to_dense()) for sparse in sparse_modules(model).values()]
    dense = copy.deepcopy(model, memo := {id(sparse): form for sparse, form in forms})
    for sparse, form in forms:
        _carry_((*_HOOKS, "_is_full_backward_hook", *sparse.__dict__.get(_OWN, ())), sparse, form, memo)
    for module in dense.modules():
        forget_masks_(module)
        if type(module) is SparseSequential:
            module.__class__ = nn.Sequential  # type: ignore[assignment]
    allow_fast_paths_(dense)
    found = {name: mask for home, module in model.named_modules() for name, mask in _masks_of(home, module).items()}
    # A weight of several layers has its note under one of its names, which need not be the first.
    order = [name for name, _ in dense.named_parameters(remove_duplicate=False)]
    return dense, Masks({name: found[name] for name in sorted(found, key=order.index)})


def _masks_of(home: str, module: nn.Module) -> dict[str, Tensor]:
    masks = dict(remembered_masks(module))
    if isinstance(module, SparseModule):
        unmasked = module.__dict__.get(_UNMASKED, ())
        held = module.junctions.items()
        masks |= {name: module.mask_of(name) for name, one in held if name not in unmasked or one.density < 1}
    return {f"{home}.{name}" if home else name: mask for name, mask in masks.items()}


@torch.no_grad()
def _mask_(module: nn.Module, name: str, mask: Tensor) -> None:
    weight = module.get_parameter(name)
    weight.masked_fill_(~mask.to(weight.device), 0)
    remember_mask_(module, name, mask)


def _replacements(model: nn.Module, masks: Masks, plan: Plan | str) -> dict[int, Any]:
    """Of each module that becomes sparse, by its identity, the sparse form."""
    found: dict[int, Any] = {}
    for home, own in _by_module(model, masks).items():
        module = model.get_submodule(home)
        weights = {name: mask for name, mask in own.items() if name.startswith("weight")}  # no biases
        if plan == "dense" or not weights or not _can_be_replaced(model, module):
            continue
        first = f"{home}.{next(iter(weights))}" if home else next(iter(weights))
        if plan == "sparse" or (isinstance(plan, Plan) and plan.runs_sparse(first)):
            try:
                form = SPARSE_FORMS[type(module)](module, weights)
            except RequestError:  # has a form that the sparse layers lack
                continue
            if form._parameters.keys() == module._parameters.keys():
                form.__dict__[_UNMASKED] = frozenset(form.junctions) - frozenset(weights)
                form.__dict__[_OWN] = _own_attributes(module)
                found[id(module)] = form
    return found


def _own_attributes(module: nn.Module) -> tuple[str, ...]:
    usual = vars(type(module)(1, 1, 1, device="meta"))  # inputs, outputs, and a bias, kernel or layer of one
    return tuple(name for name in vars(module) if name not in usual and name != "_compiled_call_impl")


def _carry_(names: Iterable[str], old: nn.Module, new: nn.Module, memo: dict[int, Any]) -> None:
    """Gives a new module copies of attributes of an old one, as a deep copy with this memo has them."""
    for name in names:
        if name in old.__dict__:
            new.__dict__[name] = copy.deepcopy(old.__dict__[name], memo)


def _by_module(model: nn.Module, masks: Masks) -> dict[str, dict[str, Tensor]]:
    """The masks by own name under the first-met name of the module that holds the weight, a shared one's together."""
    homes: dict[int, str] = {}
    found: dict[str, dict[str, Tensor]] = {}
    for name, mask in masks.items():
        home, _, own = name.rpartition(".")
        group = found.setdefault(homes.setdefault(id(model.get_submodule(home)), home), {})
        group[own] = group[own] & mask.to(group[own].device) if own in group else mask
    return found


def _can_be_replaced(model: nn.Module, module: nn.Module) -> bool:
    """Whether the module does nothing but what its class does, with parameters of its own."""
    if type(module) not in SPARSE_FORMS or "forward" in module.__dict__ or module._buffers or module._modules:
        return False
    own = {id(parameter) for parameter in module._parameters.values() if parameter is not None}
    others = (parameter for other in model.modules() if other is not module for parameter in other._parameters.values())
    return (
        not any(getattr(module, hooks) for hooks in _HOOKS)
        and all(parameter.is_floating_point() for parameter in module.parameters())
        and not any(id(parameter) in own for parameter in others if parameter is not None)
    )

"""Models that are a chain of linear layers: what they are made of, and what keeps a model from being one."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn

from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.sequences import ACTIVATIONS, SparseSequential
from sparsewire.execution.sparse_module import SparseModule
from sparsewire.kernels import native

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_SEQUENCES: tuple[type[nn.Module], ...] = (nn.Sequential, SparseSequential)
_LINEAR: tuple[type[nn.Module], ...] = (nn.Linear, SparseLinear)


class Chain(NamedTuple):
    """A model that is a chain of linear layers: these, the names of the activations between them, Flatten before."""

    linears: tuple[nn.Linear | SparseLinear, ...]
    activations: tuple[str, ...]
    flattens: bool

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Weights and biases, layer by layer."""
        return [parameter for layer in self.linears for parameter in layer.parameters()]

    @property
    def sparse_layers(self) -> list[SparseModule]:
        """Those that store their live weights only."""
        return [layer for layer in self.linears if isinstance(layer, SparseLinear)]

    @property
    def is_sparse(self) -> bool:
        """Whether there are such layers."""
        return bool(self.sparse_layers)


def against_chain(model: nn.Module) -> Iterator[str]:
    """What keeps a model from being a chain that a whole-network step can train; nothing if it is one.

    Example:
        >>> next(against_chain(nn.Linear(2, 1)))
        'the model is a Linear, not an nn.Sequential'
    """
    yield from _against_modules(model)
    yield from against_parameters(model)
    if any(not isinstance(layer.weight, nn.Parameter) for layer in chain_of(model).linears):
        yield "a weight is no parameter"
    if chain_of(model).is_sparse and not native.is_at_hand():
        yield "the model has sparse layers, and their native kernels are not at hand"


def _against_modules(model: nn.Module) -> Iterator[str]:
    if type(model) not in _SEQUENCES:
        yield f"the model is a {type(model).__name__}, not an nn.Sequential"
        return
    yield from against_calls(model)
    leaves = _leaves(model)
    for place, (name, module) in enumerate(leaves):
        flatten = place == 0 and type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)
        if not flatten and type(module) not in (*_LINEAR, *ACTIVATIONS):
            kind = type(module).__name__
            yield f"module {name!r} is a {kind}; only Linear, ReLU, Tanh, Sigmoid, Identity and a first Flatten will do"
    kinds = [type(module) for _, module in leaves if type(module) is not nn.Flatten]
    doubled = any(not set(_LINEAR) & set(pair) for pair in itertools.pairwise(kinds))
    if not kinds or kinds[0] not in _LINEAR or kinds[-1] not in _LINEAR or doubled:
        yield "the model does not start and end with a Linear, or has two activations in a row"
    for layer, following in itertools.pairwise(chain_of(model).linears):
        if sides(layer)[0] != sides(following)[1]:
            yield "the sizes of the layers do not fit each other"


def against_calls(model: nn.Module) -> Iterator[str]:
    """What makes a call of the model more than its modules' own computations.

    Example:
        >>> list(against_calls(nn.Linear(2, 1)))
        []
    """
    for name, module in model.named_modules():
        if any(getattr(module, hooks) for hooks in HOOKS) or "forward" in vars(module):
            yield f"module {name!r} has hooks, or a forward of its own"
        if getattr(module, "_compiled_call_impl", None) is not None:
            yield f"module {name!r} is compiled"
    if torch.is_autocast_enabled("cpu") or nn.modules.module._has_any_global_hook():  # type: ignore[no-untyped-call]
        yield "autocast, or a hook on all modules, is on"


def against_parameters(model: nn.Module) -> Iterator[str]:
    """What keeps native code from reading and writing a model's parameters where they lie.

    Example:
        >>> next(against_parameters(nn.Linear(2, 1).to(torch.bfloat16)))
        "parameter 'weight' is of torch.bfloat16; all must be float32, or all float64"
    """
    named = list(model.named_parameters(remove_duplicate=False))
    if len({id(parameter) for _, parameter in named}) < len(named):
        yield "two layers share a parameter"
    places = [
        parameter.data_ptr()
        for _, parameter in named
        if parameter.is_cpu and parameter.layout == torch.strided and parameter.numel()
    ]
    if len(set(places)) < len(places):  # e.g. nn.Parameter(other.weight.t()): a second name for the same memory
        yield "two parameters share their memory"
    for name, parameter in named:
        if type(parameter) is not nn.Parameter or not parameter.is_cpu or parameter.layout != torch.strided:
            yield f"parameter {name!r} is not a plain dense one on the CPU"
        if parameter.dtype not in (torch.float32, torch.float64) or parameter.dtype != named[0][1].dtype:
            yield f"parameter {name!r} is of {parameter.dtype}; all must be float32, or all float64"
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            yield f"parameter {name!r} has a hook"


def chain_of(model: nn.Module) -> Chain:
    """The model as a chain; it means something where `against_chain` has nothing to say.

    Example:
        >>> chain_of(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))).activations
        ('tanh',)
    """
    leaves = [module for _, module in _leaves(model)]
    acts = [
        ACTIVATIONS.get(type(after), "identity")
        for module, after in itertools.pairwise(leaves)
        if type(module) in _LINEAR
    ]
    linears = tuple(module for module in leaves if isinstance(module, nn.Linear | SparseLinear))
    return Chain(linears, tuple(acts), bool(leaves) and type(leaves[0]) is nn.Flatten)


def sides(layer: nn.Linear | SparseLinear) -> tuple[int, int]:
    """Outputs and inputs of a layer.

    Example:
        >>> sides(nn.Linear(3, 2))
        (2, 3)
    """
    if isinstance(layer, SparseLinear):
        return layer.out_features, layer.in_features
    outputs, inputs = layer.weight.shape
    return outputs, inputs


def _leaves(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules that do something, in order; nested Sequentials are opened, Identity is left out.

    Not `named_children`, which would show a ReLU that stands at several places only once.
    """
    leaves: list[tuple[str, nn.Module]] = []
    for name, child in model._modules.items():
        if child is not None and type(child) in _SEQUENCES:
            leaves += [(f"{name}.{below}", leaf) for below, leaf in _leaves(child)]
        elif child is not None and type(child) is not nn.Identity:
            leaves.append((name, child))
    return leaves

"""Which way a training step goes: through autograd, or through the whole-network step for chains of dense layers."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Optimizer
from torch.optim import optimizer as optimizers

from sparsewire.training.history import Route
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rules import Static

Loss: TypeAlias = Callable[[Any, Any], Tensor]

_ACTIVATIONS: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_PLAIN_SGD = {"momentum": 0, "weight_decay": 0, "maximize": False, "differentiable": False}


class Chain(NamedTuple):
    """A model that is a chain of dense layers: these, the names of the activations between them, Flatten before."""

    linears: tuple[nn.Linear, ...]
    activations: tuple[str, ...]
    flattens: bool

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Weights and biases, layer by layer."""
        return [parameter for layer in self.linears for parameter in layer.parameters()]


class Choice(NamedTuple):
    """The way that steps go and, where it is not "update", what stands in the way of the next faster one.

    Args:
        route: "autograd": loss.backward() and optimizer.step(). "gradients": the gradients come from the whole-network
            step, optimizer.step() does the rest. "update": plain gradient descent is part of the whole-network step,
            and neither `.grad` nor optimizer.step() is used, save for the first step of each epoch.
        reason: empty for "update".
        chain: the model as a chain, or None for "autograd".
    """

    route: Route
    reason: str = ""
    chain: Chain | None = None


def choose(model: nn.Module, optimizer: Optimizer, loss: Loss | None = None, clip_norm: float | None = None) -> Choice:
    """The fastest way that gives what autograd and the optimizer would, up to rounding, and why not a faster one.

    The whole-network step needs an `nn.Sequential` of Linear layers with ReLU, Tanh, Sigmoid or nothing between them
    and perhaps a Flatten before, in float32 or float64 on the CPU, without hooks, and cross-entropy as the loss. To be
    updated in it as well, the weights need SGD without momentum and weight decay, by itself or in a `SparseOptimizer`
    whose masks do not move.

    Args:
        model: what is trained.
        optimizer: over its parameters.
        loss: as for `fit`; None: cross-entropy.
        clip_norm: as for `fit`.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> choice = choose(model, torch.optim.Adam(model.parameters()))
        >>> choice.route, choice.reason
        ('gradients', 'the optimizer is Adam, not SGD')
    """
    reason = fused_reason(model, loss)
    if reason is not None:
        return Choice("autograd", reason)
    reason = "the gradients are clipped" if clip_norm is not None else next(_against_update(model, optimizer), "")
    return Choice("gradients" if reason else "update", reason, _chain(model))


def fused_reason(model: nn.Module, loss: Loss | None = None) -> str | None:
    """Why the whole-network step cannot train this model with this loss, or None if it can.

    Example:
        >>> fused_reason(nn.Sequential(nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2)))
        "module '1' is a GELU; only Linear, ReLU, Tanh, Sigmoid, Identity and a first Flatten will do"
    """
    against = itertools.chain(_against_modules(model), _against_parameters(model), _against_loss(loss))
    return next(against, None)


def _against_modules(model: nn.Module) -> Iterator[str]:
    if type(model) is not nn.Sequential:
        yield f"the model is a {type(model).__name__}, not an nn.Sequential"
        return
    for name, module in model.named_modules():
        if any(getattr(module, hooks) for hooks in _HOOKS) or "forward" in vars(module):
            yield f"module {name!r} has hooks, or a forward of its own"
        if getattr(module, "_compiled_call_impl", None) is not None:
            yield f"module {name!r} is compiled"
    if torch.is_autocast_enabled("cpu") or nn.modules.module._has_any_global_hook():  # type: ignore[no-untyped-call]
        yield "autocast, or a hook on all modules, is on"
    leaves = _leaves(model)
    for place, (name, module) in enumerate(leaves):
        flatten = place == 0 and type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)
        if not flatten and type(module) is not nn.Linear and type(module) not in _ACTIVATIONS:
            kind = type(module).__name__
            yield f"module {name!r} is a {kind}; only Linear, ReLU, Tanh, Sigmoid, Identity and a first Flatten will do"
    kinds = [type(module) for _, module in leaves if type(module) is not nn.Flatten]
    doubled = any(nn.Linear not in pair for pair in itertools.pairwise(kinds))
    if not kinds or kinds[0] is not nn.Linear or kinds[-1] is not nn.Linear or doubled:
        yield "the model does not start and end with a Linear, or has two activations in a row"
    for layer, following in itertools.pairwise(_chain(model).linears):
        if layer.weight.shape[0] != following.weight.shape[1]:
            yield "the sizes of the layers do not fit each other"


def _against_parameters(model: nn.Module) -> Iterator[str]:
    named = list(model.named_parameters(remove_duplicate=False))
    if len({id(parameter) for _, parameter in named}) < len(named):
        yield "two layers share a parameter"
    places = [parameter.data_ptr() for _, parameter in named if parameter.is_cpu and parameter.layout == torch.strided]
    if len(set(places)) < len(places):  # e.g. nn.Parameter(other.weight.t()): a second name for the same memory
        yield "two parameters share their memory"
    if any(not isinstance(layer.weight, nn.Parameter) for layer in _chain(model).linears):
        yield "a weight is no parameter"
    for name, parameter in named:
        if type(parameter) is not nn.Parameter or not parameter.is_cpu or parameter.layout != torch.strided:
            yield f"parameter {name!r} is not a plain dense one on the CPU"
        if parameter.dtype not in (torch.float32, torch.float64) or parameter.dtype != named[0][1].dtype:
            yield f"parameter {name!r} is of {parameter.dtype}; all must be float32, or all float64"
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            yield f"parameter {name!r} has a hook"


def _against_loss(loss: Loss | None) -> Iterator[str]:
    if loss is None or loss is cross_entropy:
        return
    if type(loss) is not nn.CrossEntropyLoss or loss.weight is not None or "forward" in vars(loss):
        yield "the loss is not plain cross-entropy"
    else:
        plain = nn.CrossEntropyLoss()
        for option in ("reduction", "label_smoothing", "ignore_index", *_HOOKS):
            if getattr(loss, option) != getattr(plain, option):
                yield f"the loss has another {option} than plain cross-entropy"


def _against_update(model: nn.Module, optimizer: Optimizer) -> Iterator[str]:
    inner = optimizer
    if isinstance(optimizer, SparseOptimizer):
        inner = optimizer.inner
        if type(optimizer) is not SparseOptimizer or type(optimizer.rule) is not Static:
            yield f"the rule {optimizer.rule!r} may move the masks"
        if any(mask.dim() != 2 for mask in optimizer.masks.values()):
            yield "biases are masked"
    if type(inner) is not SGD:
        yield f"the optimizer is {type(inner).__name__}, not SGD"
    for group in inner.param_groups:
        for option, plain in _PLAIN_SGD.items():
            if group.get(option, plain) != plain:
                yield f"the optimizer has {option}={group[option]}"
    if {id(weight) for group in inner.param_groups for weight in group["params"]} - set(map(id, model.parameters())):
        yield "the optimizer has parameters that are not the model's"
    if optimizers._global_optimizer_pre_hooks or optimizers._global_optimizer_post_hooks:
        yield "a hook on all optimizers is on"
    for some in (optimizer, inner):
        if some._optimizer_step_pre_hooks or some._optimizer_step_post_hooks:
            yield "the optimizer has hooks"
        if "step" in vars(some) and not hasattr(some.step, "_wrapped_by_lr_sched"):
            yield "the optimizer's step was replaced"


def _chain(model: nn.Module) -> Chain:
    leaves = [module for _, module in _leaves(model)]
    acts = [
        _ACTIVATIONS.get(type(after), "identity")
        for module, after in itertools.pairwise(leaves)
        if type(module) is nn.Linear
    ]
    linears = tuple(module for module in leaves if isinstance(module, nn.Linear))
    return Chain(linears, tuple(acts), bool(leaves) and type(leaves[0]) is nn.Flatten)


def _leaves(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules that do something, in order; nested Sequentials are opened, Identity is left out.

    Not `named_children`, which would show a ReLU that stands at several places only once.
    """
    leaves: list[tuple[str, nn.Module]] = []
    for name, child in model._modules.items():
        if type(child) is nn.Sequential:
            leaves += [(f"{name}.{below}", leaf) for below, leaf in _leaves(child)]
        elif child is not None and type(child) is not nn.Identity:
            leaves.append((name, child))
    return leaves

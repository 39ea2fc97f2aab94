"""Which way a training step goes: through autograd, or through the whole-network step for chains and classifiers."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim import optimizer as optimizers

from sparsewire.kernels import native
from sparsewire.models.sequence_classifier import SequenceClassifier
from sparsewire.models.wired.recurrent import WiredRecurrent
from sparsewire.models.wired.symbols import WiredSequences
from sparsewire.training.chains import HOOKS, Chain, against_chain, chain_of
from sparsewire.training.history import Route
from sparsewire.training.native_steps import LARGEST_DENSE, Form
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.recurrent_steps import Recurrent, against_recurrent
from sparsewire.training.rules.unmoved import Static
from sparsewire.training.wired_steps import Wired, against_wired

Loss: TypeAlias = Callable[[Any, Any], Tensor]

_PLAIN_SGD = {"momentum": 0, "weight_decay": 0, "maximize": False, "differentiable": False}
_NATIVE = (SGD, Adam, AdamW)
_PLAIN_NATIVE = {"maximize": False, "differentiable": False, "amsgrad": False, "capturable": False}
# Of dense weights under masks: the density up to which the native step surely pays (benchmarks/lenet_speed.py: at 0.5
# it is 1.5 times as fast), and how many live weights are a large network's, whose layers had better use all threads.
_WORTH, _LARGE = 0.3, 400_000


class Choice(NamedTuple):
    """The way that steps go and, where it is not "native", what stands in the way of the next faster one.

    Args:
        route: "autograd": loss.backward() and optimizer.step(). "gradients": the gradients come from the whole-network
            step, optimizer.step() does the rest. "update": plain gradient descent is part of the whole-network step.
            "native": live weights only, many steps in one native call, with SGD, Adam or AdamW as part of it. On the
            last two neither `.grad` nor optimizer.step() is used, save for the first step of each epoch.
        reason: empty for "native", and for "update" where nobody asked about whole epochs.
        chain: the model as a chain or as a recurrent classifier, or None for "autograd".
    """

    route: Route
    reason: str = ""
    chain: Form | None = None


def choose(
    model: nn.Module,
    optimizer: Optimizer,
    loss: Loss | None = None,
    clip_norm: float | None = None,
    whole_epochs: bool = False,
) -> Choice:
    """The fastest way that gives what autograd and the optimizer would, up to rounding, and why not a faster one.

    The whole-network step needs an `nn.Sequential` of linear layers with ReLU, Tanh, Sigmoid or nothing between them
    and perhaps a Flatten before, in float32 or float64 on the CPU, without hooks, and cross-entropy as the loss. For
    the optimizer to be a part of it as well, masks must not move and gradients must not be clipped, and

    * dense layers need SGD without momentum and weight decay; they then get the same bits as by autograd;
    * a chain with a `SparseLinear` needs SGD, Adam or AdamW, and the native kernels;
    * so does a chain of dense layers under masks which keep so few weights that it pays to take these out for an epoch
      and to put them back at its end.

    A `SequenceClassifier` is trained natively, sparse or dense, with SGD, Adam or AdamW, clipped or not; if it is
    dense, only as long as it is small, and under masks for whole epochs and without clipping (autograd's norm also
    counts the gradients of weights that do not exist). A recurrent network of `wired` is trained so under masks too,
    as long as it is small, with SGD, Adam or AdamW, clipped by autograd's norm or not.

    All but SGD on dense layers agree with autograd to some 1e-6 of a weight's scale a step. With several threads large
    networks of sparse layers go by autograd, as their layers then use all threads.

    Args:
        model: what is trained.
        optimizer: over its parameters.
        loss: as for `fit`; None: cross-entropy.
        clip_norm: as for `fit`.
        whole_epochs: whether the samples of all batches are known when an epoch begins, and nobody looks at the model
            before it ends.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> choice = choose(model, torch.optim.Adam(model.parameters()))
        >>> choice.route, choice.reason
        ('gradients', 'the optimizer is Adam, not SGD')
    """
    reason = fused_reason(model, loss)
    if reason is not None:
        return Choice("autograd", reason)
    if isinstance(model, SequenceClassifier):
        return _choose_recurrent(Recurrent(model), optimizer, clip_norm, whole_epochs)
    if isinstance(model, WiredRecurrent | WiredSequences):
        return _choose_recurrent(Wired(model), optimizer, clip_norm, whole_epochs=True)
    chain = chain_of(model)
    clipped = "" if clip_norm is None else "the gradients are clipped"
    if chain.is_sparse:
        reason = next(_against_whole_steps(chain), "")
        if reason:
            return Choice("autograd", reason)
        reason = clipped or next(_against_native(chain, optimizer), "")
        return Choice("gradients" if reason else "native", reason, chain)
    reason = clipped or next(_against_packing(chain, optimizer), "")
    if whole_epochs and not reason:
        return Choice("native", "", chain)
    against = clipped or next(_against_update(chain, optimizer), "")
    return Choice("gradients" if against else "update", against or (reason if whole_epochs else ""), chain)


def _choose_recurrent(
    form: Recurrent | Wired, optimizer: Optimizer, clip_norm: float | None, whole_epochs: bool
) -> Choice:
    """Native where the optimizer can be part of the step; dense weights under masks only for whole epochs."""
    reason = next(_against_native(form, optimizer), "") or next(_against_places(form, optimizer), "")
    if not reason and clip_norm is not None:
        reason = next(_against_clipping(form, optimizer), "")
    if not reason and not form.is_sparse and isinstance(optimizer, SparseOptimizer) and not whole_epochs:
        reason = "the masks are on dense weights, of which the live part is taken out for whole epochs only"
    return Choice("gradients" if reason else "native", reason, form)


def _against_places(form: Recurrent | Wired, optimizer: Optimizer) -> Iterator[str]:
    weights = set(map(id, form.weights))
    if isinstance(optimizer, SparseOptimizer):
        for name in optimizer._project.masks:
            if id(optimizer._weights[name]) not in weights:
                yield f"{name!r} is masked, and is no weight of a layer"


def _against_clipping(form: Recurrent | Wired, optimizer: Optimizer) -> Iterator[str]:
    """Why the norm of the gradients would be another one than torch's."""
    owned = {id(weight) for group in inner_of(optimizer).param_groups for weight in group["params"]}
    if any(parameter.requires_grad and id(parameter) not in owned for parameter in form.parameters):
        yield "the gradients are clipped, and some belong to weights that are not the optimizer's"
    masked = isinstance(optimizer, SparseOptimizer) and optimizer._project.masks  # of dense weights
    if masked and not isinstance(form, Wired):
        yield "the gradients are clipped, and those of masked weights count in their norm"


def fused_reason(model: nn.Module, loss: Loss | None = None) -> str | None:
    """Why the whole-network step cannot train this model with this loss, or None if it can.

    Example:
        >>> fused_reason(nn.Sequential(nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2)))
        "module '1' is a GELU; only Linear, ReLU, Tanh, Sigmoid, Identity and a first Flatten will do"
    """
    if type(model) in (WiredRecurrent, WiredSequences):
        own = against_wired(model)
    else:
        own = against_recurrent(model) if type(model) is SequenceClassifier else against_chain(model)
    against = itertools.chain(own, _against_loss(loss))
    return next(against, None)


def _against_loss(loss: Loss | None) -> Iterator[str]:
    if loss is None or loss is cross_entropy:
        return
    if type(loss) is not nn.CrossEntropyLoss or loss.weight is not None or "forward" in vars(loss):
        yield "the loss is not plain cross-entropy"
    else:
        plain = nn.CrossEntropyLoss()
        for option in ("reduction", "label_smoothing", "ignore_index", *HOOKS):
            if getattr(loss, option) != getattr(plain, option):
                yield f"the loss has another {option} than plain cross-entropy"


def inner_of(optimizer: Optimizer) -> Optimizer:
    """The optimizer that changes the weights: itself, or what a SparseOptimizer wraps.

    Example:
        >>> sgd = SGD([torch.zeros(1, requires_grad=True)])
        >>> inner_of(sgd) is sgd
        True
    """
    return optimizer.inner if isinstance(optimizer, SparseOptimizer) else optimizer


def _against_update(chain: Chain, optimizer: Optimizer) -> Iterator[str]:
    """Why the update cannot be part of the step on dense weights."""
    yield from _against_masks(optimizer)
    inner = inner_of(optimizer)
    if type(inner) is not SGD:
        yield f"the optimizer is {type(inner).__name__}, not SGD"
    yield from _against_options(inner, _PLAIN_SGD)
    yield from _against_changes(chain, optimizer)


def _against_native(chain: Form, optimizer: Optimizer) -> Iterator[str]:
    """Why the update cannot be part of the native step on live weights."""
    yield from _against_masks(optimizer)
    inner = inner_of(optimizer)
    if type(inner) not in _NATIVE:
        yield f"the optimizer is {type(inner).__name__}, not SGD, Adam or AdamW"
    yield from _against_options(inner, _PLAIN_NATIVE)
    yield from _against_changes(chain, optimizer)


def _against_packing(chain: Chain, optimizer: Optimizer) -> Iterator[str]:
    """Why it cannot be, or would not be worth it, to take the live weights out of dense ones for an epoch."""
    if not native.is_at_hand():
        yield "the native kernels are not at hand"
    if not isinstance(optimizer, SparseOptimizer):
        yield "there are no masks"
        return
    yield from _against_native(chain, optimizer)
    masks = {id(optimizer._weights[name]): mask for name, mask in optimizer.masks.items()}
    total = sum(layer.weight.numel() for layer in chain.linears)
    kept = sum(
        int(masks.get(id(layer.weight), torch.ones_like(layer.weight)).count_nonzero()) for layer in chain.linears
    )
    worth = _WORTH * (0.5 if native.vector_bytes() < 32 else 1.0) / math.sqrt(torch.get_num_threads())
    if kept > worth * total:
        yield f"the masks keep {kept / total:.2g} of the weights, more than the {worth:.2g} up to which it pays"
    if any(not layer.weight.is_contiguous() for layer in chain.linears):
        yield "a weight is not contiguous"


def _against_whole_steps(chain: Chain) -> Iterator[str]:
    """Why a chain with sparse layers is better called layer by layer."""
    kept = sum(layer.weight.numel() for layer in chain.linears)
    if kept > _LARGE and torch.get_num_threads() > 1:
        yield f"{kept:,} weights are work for several threads, which the layers share out and the whole step does not"
    if any(not layer.weight.is_contiguous() for layer in chain.linears):
        yield "a weight is not contiguous"
    if any(isinstance(layer, nn.Linear) and layer.in_features > LARGEST_DENSE for layer in chain.linears):
        yield f"a dense layer has more than {LARGEST_DENSE:,} inputs"


def _against_masks(optimizer: Optimizer) -> Iterator[str]:
    if isinstance(optimizer, SparseOptimizer):
        if type(optimizer) is not SparseOptimizer or type(optimizer.rule) is not Static:
            yield f"the rule {optimizer.rule!r} may move the masks"
        if any(mask.dim() != 2 for mask in optimizer.masks.values()):
            yield "biases are masked"


def _against_options(inner: Optimizer, plain: Mapping[str, object]) -> Iterator[str]:
    for group in inner.param_groups:
        for option, value in plain.items():
            if group.get(option, value) != value:
                yield f"the optimizer has {option}={group[option]}"


def _against_changes(chain: Form, optimizer: Optimizer) -> Iterator[str]:
    inner = inner_of(optimizer)
    if {id(weight) for group in inner.param_groups for weight in group["params"]} - set(map(id, chain.parameters)):
        yield "the optimizer has parameters that are not the model's"
    if optimizers._global_optimizer_pre_hooks or optimizers._global_optimizer_post_hooks:
        yield "a hook on all optimizers is on"
    for some in (optimizer, inner):
        if some._optimizer_step_pre_hooks or some._optimizer_step_post_hooks:
            yield "the optimizer has hooks"
        if "step" in vars(some) and not hasattr(some.step, "_wrapped_by_lr_sched"):
            yield "the optimizer's step was replaced"

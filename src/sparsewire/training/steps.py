"""One training step, on each of the routes that `training.fused` chooses from."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from sparsewire.errors import RequestError
from sparsewire.kernels.chain_step import ChainStep, bits
from sparsewire.training.chains import Chain, sides
from sparsewire.training.fused import Choice, Loss
from sparsewire.training.native_steps import Form, NativeSteps, Structure
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.recurrent_steps import Recurrent, fits_recurrent
from sparsewire.training.wired_steps import Wired, fits_wired

# A batch's (inputs, labels) → its mean loss before the step. Where that is not finite the weights were not changed.
Step: TypeAlias = Callable[[Any, Any], float]


def step_of(
    choice: Choice,
    model: nn.Module,
    optimizer: Optimizer,
    loss: Loss | None = None,
    clip_norm: float | None = None,
    begun: bool = False,
) -> Step:
    """The function that takes a step on the chosen route, at the present learning rates and masks.

    A batch that the whole-network step cannot take (another dtype, labels that are not classes) goes
    through autograd. The "native" route of dense layers is one of whole epochs; step by step they go by "gradients".

    Args:
        choice: what `choose` answered for the same arguments.
        model: trained in place.
        optimizer: over the model's parameters.
        loss: (outputs, labels) → scalar; None: cross-entropy.
        clip_norm: the largest norm of all gradients together, or None.
        begun: whether the epoch's first step was taken already, in a training that was kept; it goes another way.

    Example:
        >>> from sparsewire.training.fused import choose
        >>> model = nn.Sequential(nn.Linear(2, 2))
        >>> _ = model.load_state_dict({"0.weight": torch.zeros(2, 2), "0.bias": torch.zeros(2)})
        >>> sgd = torch.optim.SGD(model.parameters(), lr=1.0)
        >>> step = step_of(choose(model, sgd), model, sgd)
        >>> step(torch.tensor([[1.0, 0.0]]), torch.tensor([1])), model[0].bias.tolist()  # log 2
        (0.693147..., [-0.5, 0.5])
    """
    slow = _autograd_step(model, optimizer, loss or cross_entropy, clip_norm)
    if choice.chain is None:
        return slow
    _clear(model, optimizer)  # a layer frozen since its last backward pass would be moved by what is left in `.grad`
    chain, flattens = choice.chain, choice.chain.flattens
    if isinstance(chain, Recurrent | Wired) or chain.is_sparse:
        fast = _native_gradient_step(chain, optimizer, slow, clip_norm)
        in_place = chain.is_sparse or isinstance(chain, Wired) or not isinstance(optimizer, SparseOptimizer)
        if choice.route == "native" and in_place:
            fast = _native_step(chain, optimizer, slow, fast, clip_norm, begun)
    else:
        fast = _gradient_step(chain, optimizer, clip_norm)
        if choice.route == "update":
            fast = _update_step(chain, optimizer, fast, begun)

    def step(inputs: Any, labels: Any) -> float:
        if fits(inputs, labels, chain):
            return fast(inputs.flatten(1) if flattens else inputs, labels)
        return slow(inputs, labels)

    return step


def _clear(model: nn.Module, optimizer: Optimizer) -> None:
    """Also the gradients that the optimizer does not own: they would add up, and count in the norm."""
    model.zero_grad()
    optimizer.zero_grad()


def _autograd_step(model: nn.Module, optimizer: Optimizer, loss: Loss, clip_norm: float | None) -> Step:
    def step(inputs: Any, labels: Any) -> float:
        _clear(model, optimizer)
        value = loss(model(inputs), labels)
        if not isinstance(value, Tensor) or value.numel() != 1:
            found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise RequestError(f"loss: found a value of {found}, expected a tensor with one number, the batch's mean")
        number = value.item()
        if math.isfinite(number):
            value.backward()  # type: ignore[no-untyped-call]
            if clip_norm is not None:
                clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
        return number

    return step


def _gradient_step(chain: Chain, optimizer: Optimizer, clip_norm: float | None) -> Step:
    """The gradients come from the whole-network step and go into `.grad`; the optimizer does the rest."""
    parameters = [parameter for parameter in chain.parameters if parameter.requires_grad]
    buffers: dict[Tensor, Tensor] = {parameter: torch.empty_like(parameter.detach()) for parameter in parameters}
    into = [
        (buffers.get(layer.weight), None if layer.bias is None else buffers.get(layer.bias)) for layer in chain.linears
    ]
    kernel = _kernel(chain)

    def step(inputs: Tensor, labels: Tensor) -> float:
        loss = kernel(len(labels)).gradients(inputs, labels, into)
        if math.isfinite(loss):
            for parameter, buffer in buffers.items():
                parameter.grad = buffer
            if clip_norm is not None:
                clip_grad_norm_(parameters, clip_norm)
            optimizer.step()
        return loss

    return step


def _update_step(chain: Chain, optimizer: Optimizer, first: Step, begun: bool) -> Step:
    """Plain gradient descent within the whole-network step.

    The first step goes the way of `first`, so that a learning rate scheduler sees that the optimizer was used.
    """
    sparse = optimizer if isinstance(optimizer, SparseOptimizer) else None
    masks = {} if sparse is None else {id(sparse._weights[name]): mask for name, mask in sparse.masks.items()}
    weights = [layer.weight for layer in chain.linears]
    kept = [bits(masks[id(weight)], weight.dtype) if id(weight) in masks else None for weight in weights]
    kernel = _kernel(chain)
    started = begun
    present, rates = _present(optimizer), _rates(chain, optimizer)

    def step(inputs: Tensor, labels: Tensor) -> float:
        nonlocal started, present, rates
        if not started:
            started = True
            loss = first(inputs, labels)
            optimizer.zero_grad()  # no later step would renew them
            return loss
        if (now := _present(optimizer)) != present:  # a scheduler may be stepped in `progress`
            present, rates = now, _rates(chain, optimizer)
        loss = kernel(len(labels)).descend(inputs, labels, rates, kept)
        if sparse is not None and math.isfinite(loss):
            sparse._steps += 1
        return loss

    return step


def _present(optimizer: Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def _rates(chain: Chain, optimizer: Optimizer) -> list[tuple[float, float]]:
    """The learning rates of each layer's weight and bias; 0 for what is frozen or not the optimizer's."""
    lr = {id(weight): float(group["lr"]) for group in optimizer.param_groups for weight in group["params"]}

    def rate(weight: Tensor | None) -> float:
        return lr.get(id(weight), 0.0) if weight is not None and weight.requires_grad else 0.0

    return [(rate(layer.weight), rate(layer.bias)) for layer in chain.linears]


def _kernel(chain: Chain) -> Callable[[int], ChainStep]:
    """A function of a number of rows: a ChainStep for as many, the same one until a batch is larger than all before."""
    weights = [layer.weight for layer in chain.linears]
    biases = [layer.bias for layer in chain.linears]
    present: list[ChainStep] = []

    def kernel(rows: int) -> ChainStep:
        if not present or present[0].batch < rows:
            present[:] = [ChainStep(weights, biases, chain.activations, rows)]
        return present[0]

    return kernel


def _native_gradient_step(form: Form, optimizer: Optimizer, slow: Step, clip_norm: float | None) -> Step:
    """The same for sparse layers, whose structure a rule may change from step to step, and recurrent ones."""
    parameters = [parameter for parameter in form.parameters if parameter.requires_grad]
    present: list[NativeSteps] = []
    structure: list[object] = []

    def step(inputs: Tensor, labels: Tensor) -> float:
        if any(layer.wants_dense_gradients for layer in form.sparse_layers):
            return slow(inputs, labels)
        if (now := _places(form)) != structure:
            structure[:], present[:] = now, [NativeSteps(form, None, {})]
        taken = present[0].batch(inputs, labels)
        if taken.stranger:
            return slow(inputs, labels)
        if taken.steps:
            for parameter, buffer in present[0].gradients:
                parameter.grad = buffer.view_as(parameter)
            if clip_norm is not None:
                clip_grad_norm_(parameters, clip_norm)
            optimizer.step()
        return taken.losses[0]

    return step


def _native_step(
    form: Form, optimizer: Optimizer, slow: Step, first: Step, clip_norm: float | None, begun: bool
) -> Step:
    """The optimizer's update within the native step, in place; the first step goes the way of `first`."""
    present: list[NativeSteps] = []
    known: dict[int, Structure] = {}
    structure: list[object] = []
    started = begun

    def step(inputs: Tensor, labels: Tensor) -> float:
        nonlocal started
        if not started:
            started = True
            loss = first(inputs, labels)
            optimizer.zero_grad()  # no later step would renew them
            return loss
        if (now := _places(form)) != structure or present[0].lends:
            structure[:], present[:] = now, [NativeSteps(form, optimizer, known, clip_norm=clip_norm)]
        present[0].renew()
        taken = present[0].batch(inputs, labels)
        if taken.stranger:
            return slow(inputs, labels)
        present[0].account(taken.steps)
        return taken.losses[0]

    return step


def _places(form: Form) -> list[object]:
    """What a native step was made for: where the weights lie, and which exist; junctions are equal only by identity."""
    junctions = [junction for layer in form.sparse_layers for junction in layer.junctions.values()]
    return [*junctions, *(parameter.data_ptr() for parameter in form.parameters)]


def fits(inputs: Any, labels: Any, chain: Form) -> bool:
    """Whether a whole-network step of this network can take a batch like this one.

    Example:
        >>> from sparsewire.training.chains import chain_of
        >>> fits(torch.ones(1, 2), torch.tensor([0.5]), chain_of(nn.Sequential(nn.Linear(2, 2))))
        False
    """
    plain = (
        isinstance(inputs, Tensor)
        and isinstance(labels, Tensor)
        and labels.dtype == torch.int64
        and inputs.is_cpu
        and inputs.layout == torch.strided
        and not inputs.requires_grad
        and labels.is_cpu
        and labels.dim() == 1
    )
    if not plain:
        return False
    if isinstance(chain, Recurrent):
        return fits_recurrent(inputs, labels, chain)
    if isinstance(chain, Wired):
        return fits_wired(inputs, labels, chain)
    first = chain.linears[0]
    return (
        inputs.dtype == first.weight.dtype
        and (inputs.dim() == 2 or (chain.flattens and inputs.dim() > 2))
        and (not chain.is_sparse or (len(inputs) == len(labels) > 0 and inputs[0].numel() == sides(first)[1]))
    )

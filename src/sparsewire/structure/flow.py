"""How much flows from the inputs of a network to its outputs through each weight, where no data is looked at."""

import copy
from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import whole
from sparsewire.structure.evidence.mean_loss import at_rest
from sparsewire.structure.masks import maskable
from sparsewire.structure.sparse_weights import sparse_weights
from sparsewire.structure.straight import straighten_


def synaptic_flow(
    model: nn.Module,
    shape: Sequence[int],
    *,
    names: Collection[str] | None = None,
    biases: bool = False,
    words: bool | None = None,
) -> dict[str, Tensor]:
    """|w| ∂R/∂|w| of each weight: what of the flow R goes through it, in float64.

        R = 1ᵀ |W_n| ⋯ |W_2| |W_1| 1,     Σ over the weights into a neuron = Σ over the weights out of it

    R is the sum of the outputs of a copy of the model on an input of ones: in eval mode and float64, all parameters by
    their absolute value, biases and the shifts of normalisations zero, straightened (`structure.straight`) so that no
    signal bends or saturates. The second equation, and so that each layer of a chain has the sum R, is the law of
    conservation; it needs networks whose units only scale, add and take maxima, without biases. The model itself is
    left as it is.

    Args:
        model: any module whose outputs are one tensor.
        shape: of one sample, without the dimension of the samples.
        names: of the weights that are scored; of all that can be pruned unless told.
        biases: whether biases flow too, by their absolute value. Then the law holds for the sums with the biases'
            own scores, and a layer after biases can draw its flow from these alone.
        words: whether the inputs are numbers of words rather than signals; None: if the model has an embedding.

    Returns:
        Name → scores in the weight's shape, 0 or more; zero where a sparse layer stores no weight.

    Raises:
        RequestError: a shape that is none; outputs that are no tensor; a flow beyond float64.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> _ = model[0].weight.data.copy_(torch.tensor([[1.0, -2.0], [0.0, 3.0]]))
        >>> _ = model[2].weight.data.copy_(torch.tensor([[-10.0, 1.0]]))
        >>> synaptic_flow(model, (2,))                    # R = 10 · (1 + 2) + 1 · (0 + 3) = 33
        {'0.weight': tensor([[10., 20.],
                [ 0.,  3.]], dtype=torch.float64), '2.weight': tensor([[30.,  3.]], dtype=torch.float64)}

    Reference: Tanaka et al. 2020, sections 4 and 6. Their program lets absolute biases, shifts and running means
        flow too, which are zero at their initialisation, and knows ReLU and batch normalisation only.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise RequestError(f"shape: found {shape!r}, expected that of one sample, such as (784,) or (1, 28, 28)")
    sizes = [whole("shape", size, least=1) for size in shape]
    with torch.inference_mode(False):
        positive = _positive(model, biases)
    every, sparse = maskable(positive), sparse_weights(positive)
    for name in names or ():
        if name not in every:
            raise UnknownNameError("weight to score", name, every)
    weights = {name: every[name] for name in (every if names is None else names)}
    with at_rest(positive, positive.parameters()):
        flow = _total(positive(_ones(positive, sizes, words)))
        ends = list(weights.values())
        found = torch.autograd.grad(flow, ends, materialize_grads=True, allow_unused=True)
        scores = {name: end.detach() * g for name, end, g in zip(weights, ends, found, strict=True)}
    if not flow.isfinite() or not all(bool(score.isfinite().all()) for score in scores.values()):
        raise RequestError(
            f"score: the flow through the network is {float(flow.detach()):.3g}, beyond what float64 can hold; scale "
            "its weights down, or give a shape with fewer steps where the input is a sequence"
        )
    return {name: sparse[name].dense(score) if name in sparse else score for name, score in scores.items()}


def _positive(model: nn.Module, biases: bool) -> nn.Module:
    """The straightened copy."""
    # A copy, not other values for a while: the model stays as it is whatever happens, and float64 is of every part.
    positive = copy.deepcopy(model).double().requires_grad_(True)
    with torch.no_grad():
        for name, parameter in positive.named_parameters():
            if "bias" in name.rpartition(".")[2] and not biases:
                parameter.zero_()
            else:
                parameter.abs_()
        for name, buffer in positive.named_buffers():
            if name.rpartition(".")[2] == "running_mean":
                buffer.zero_()
    return straighten_(positive)


def _ones(model: nn.Module, sizes: Sequence[int], words: bool | None) -> Tensor:
    device = next(model.parameters()).device
    if words is None:
        words = any(isinstance(module, nn.Embedding | nn.EmbeddingBag) for module in model.modules())
    if words:  # any that exists; the embedding itself gives ones
        return torch.zeros(1, *sizes, dtype=torch.long, device=device)
    return torch.ones(1, *sizes, dtype=torch.float64, device=device)


def _total(outputs: object) -> Tensor:
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
        found = f"numbers of {outputs.dtype}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise RequestError(
            f"model: found outputs of {found}, expected one tensor of real numbers, whose sum is the flow"
        )
    if not outputs.requires_grad:
        raise RequestError("model: found outputs without gradient, expected some that depend on its weights")
    return outputs.sum()

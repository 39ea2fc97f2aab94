"""Shrinking: the same function with fewer neurons."""

import copy
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.execution.sparse_module import sparse_modules
from sparsewire.structure.masks import Masks

# Each gives one output for each input and, in evaluation, always the same.
ELEMENTWISE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Sigmoid, nn.LogSigmoid, nn.Hardsigmoid, nn.Tanh, nn.Hardtanh, nn.Tanhshrink, nn.Hardswish,
    nn.Softplus, nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Threshold,
)  # fmt: skip
# These pass every value on unchanged (dropout: in evaluation).
PASSING = (nn.Identity, nn.Flatten, nn.Dropout, nn.AlphaDropout)
FINAL = (nn.Softmax, nn.LogSoftmax, nn.Softmin)


class _Layer(NamedTuple):
    """A dense layer of a chain with what follows it; the numbers in float64, with the masks applied."""

    name: str  # of its weight, as in named_parameters
    module: nn.Linear
    weight: Tensor
    bias: Tensor
    kept: Tensor
    activations: tuple[nn.Module, ...]


class _Rest(NamedTuple):
    """What is left of one layer: which of its inputs and outputs, and which edges between them."""

    inputs: Tensor
    outputs: Tensor
    edges: Tensor
    weight: Tensor
    bias: Tensor


def shrink(model: nn.Module, masks: Mapping[str, Tensor] | None = None) -> nn.Module:
    """A smaller dense model that computes the same: without the neurons that lie on no complete path.

    A neuron that no input reaches has the constant output c = φ(b); it is removed, and what it gave to the next layer
    goes into that layer's bias, b' = b + Σ W c over the removed neurons, in float64. A neuron that reaches no output is
    dropped. One sweep forwards and one backwards find them all: no removal cuts another neuron's complete paths.

    The outputs are equal to those of `masks.apply_(model)` up to rounding (1e-5 of their scale in float32, 1e-10 in
    float64) for finite inputs. With dropout that holds in evaluation; in training a folded constant is no longer
    dropped at random, and only the expectation of the next layer's input is the same.

    The inputs and the outputs all stay. If no complete path is left, the output is constant, and each hidden layer
    keeps one silent neuron (all its weights and its bias 0), because few tools bear a layer of size 0. A layer without
    bias gets one where a constant other than 0 is folded into it.

    Args:
        model: an nn.Sequential (also nested) of nn.Linear and elementwise activations, Dropout, Flatten or Identity,
            with perhaps a Softmax at its end; or one nn.Linear. It is not changed.
        masks: which weights exist; a kept weight counts as an edge even if it is 0 just now, because it may learn, and
            so does every weight of a layer without mask. Without masks: the weights that are not 0 exist.

    Returns:
        A new model with the same parameter names, dtypes, devices and training mode, on which
        `shrink_masks(model, masks)` fits.

    Raises:
        RequestError: the model is no such chain (the message names the module), has weights that are not finite, or
            the masks are of another model.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> masks = Masks({"0.weight": torch.tensor([[True, False], [False, False], [True, True]]),
        ...                "2.weight": torch.tensor([[True, True, False]])})
        >>> shrink(model, masks)
        Sequential(
          (0): Linear(in_features=2, out_features=1, bias=True)
          (1): ReLU()
          (2): Linear(in_features=1, out_features=1, bias=True)
        )
    """
    chain = _chain(model, masks)
    smaller = {id(layer.module): _built(layer.module, rest) for layer, rest in zip(chain, _rests(chain), strict=True)}
    # A memo that already holds the new layers: the copy takes them wherever the model has the old ones.
    return copy.deepcopy(model, dict(smaller))


def shrink_masks(model: nn.Module, masks: Mapping[str, Tensor] | None = None) -> Masks:
    """The masks of `shrink(model, masks)`: the edges that are left, under the same names.

    Args:
        model: as for `shrink`.
        masks: as for `shrink`; without them, the result is about every layer.

    Returns:
        Masks with the names of `masks`; with them the smaller model can be trained on.

    Raises:
        RequestError: as for `shrink`.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> masks = Masks({"0.weight": torch.tensor([[True, False], [False, False]])})
        >>> shrink_masks(model, masks)["0.weight"]
        tensor([[ True, False]])
    """
    chain = _chain(model, masks)
    rests = {layer.name: rest for layer, rest in zip(chain, _rests(chain), strict=True)}
    return Masks({name: _part(rests[name], rests[name].edges) for name in (rests if masks is None else masks)})


def live_neurons(model: nn.Module, masks: Mapping[str, Tensor] | None = None) -> tuple[Tensor, ...]:
    """Which neurons lie on a complete path from an input to an output.

    Args:
        model: as for `shrink`.
        masks: as for `shrink`.

    Returns:
        One bool tensor for the inputs and one for the outputs of each dense layer. `shrink` keeps the live neurons of
        the hidden layers, all inputs and all outputs.

    Raises:
        RequestError: as for `shrink`.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> live_neurons(model, Masks({"0.weight": torch.tensor([[True, False], [False, False]])}))
        (tensor([ True, False]), tensor([ True, False]), tensor([True]))
    """
    reached, reaching = _reach(_chain(model, masks))
    return tuple(there & back for there, back in zip(reached, reaching, strict=True))


def _reach(chain: list[_Layer]) -> tuple[list[Tensor], list[Tensor]]:
    """Which neurons some input reaches, and which reach some output, layer by layer."""
    reached = [torch.ones(chain[0].kept.shape[1], dtype=torch.bool)]
    for layer in chain:
        reached.append((layer.kept & reached[-1]).any(dim=1))
    reaching = [torch.ones(chain[-1].kept.shape[0], dtype=torch.bool)]
    for layer in reversed(chain):
        reaching.append((layer.kept & reaching[-1][:, None]).any(dim=0))
    return reached, reaching[::-1]


@torch.no_grad()
def _rests(chain: list[_Layer]) -> list[_Rest]:
    reached, reaching = _reach(chain)
    live = [there & back for there, back in zip(reached, reaching, strict=True)]
    live[-1] = torch.ones_like(live[-1])
    stay = [torch.ones_like(live[0]), *(neurons.clone() for neurons in live[1:])]
    for neurons in stay:
        neurons[:1] |= not neurons.any()
    constants = torch.zeros(len(live[0]), dtype=torch.float64)
    rests = []
    for place, layer in enumerate(chain):
        bias = layer.bias + layer.weight @ constants
        constants = torch.where(reached[place + 1], 0.0, _activated(bias, layer.activations))
        # What a live neuron feeds is live too, or is removed with all its edges.
        edges = layer.kept & live[place]
        weight, bias = torch.where(edges, layer.weight, 0.0), torch.where(live[place + 1], bias, 0.0)
        rests.append(_Rest(stay[place], stay[place + 1], edges, weight, bias))
    return rests


def _activated(values: Tensor, activations: tuple[nn.Module, ...]) -> Tensor:
    for activation in activations:
        # Not called but `forward`: the user's hooks are not to see these values.
        values = copy.deepcopy(activation).to("cpu", torch.float64).forward(values.clone())
    return values


def _part(rest: _Rest, whole: Tensor) -> Tensor:
    return whole[rest.outputs][:, rest.inputs]


def _built(old: nn.Linear, rest: _Rest) -> nn.Linear:
    weight, bias = _part(rest, rest.weight), rest.bias[rest.outputs]
    # On "meta", because a layer that is filled by torch would draw from the global random generator.
    new = nn.Linear(weight.shape[1], weight.shape[0], bias=old.bias is not None or bool(bias.any()), device="meta")
    learns = old.weight.requires_grad
    new.weight = nn.Parameter(weight.to(old.weight), requires_grad=learns)
    if new.bias is not None:
        learns = learns if old.bias is None else old.bias.requires_grad
        new.bias = nn.Parameter(bias.to(old.weight if old.bias is None else old.bias), requires_grad=learns)
    return new.train(old.training)


def _chain(model: nn.Module, masks: Mapping[str, Tensor] | None) -> list[_Layer]:
    """The model as a chain of dense layers, or a refusal."""
    if sparse := list(sparse_modules(model)):  # which refuses what is no model
        raise RequestError(f"model: {sparse[0]!r} is a sparse layer, expected dense ones; take shrink(*densify(model))")
    groups: list[tuple[str, nn.Linear, list[nn.Module]]] = []
    final: tuple[str, nn.Module] | None = None
    for name, module in _leaves(model, ""):
        if type(module) is nn.Linear:
            if final is not None:
                raise _refusal(*final, "mixes its inputs; it may only follow the last dense layer")
            groups.append((name, module, []))
        elif type(module) in FINAL:
            final = (name, module)
        elif type(module) not in ELEMENTWISE + PASSING:
            raise _refusal(name, module, "expected nn.Linear, an elementwise activation, Dropout or Flatten")
        elif isinstance(module, nn.PReLU) and module.num_parameters != 1:
            raise _refusal(name, module, "expected one slope for all neurons, not one for each")
        elif type(module) in ELEMENTWISE and groups:
            groups[-1][2].append(module)
    if not groups:
        raise RequestError(f"model: found no nn.Linear in a {type(model).__name__}, expected a chain of dense layers")
    _check(groups)
    names = {f"{name}.weight".lstrip(".") for name, _, _ in groups}
    if masks is not None:
        Masks(masks).weights_of(model)
        if others := [name for name in masks if name not in names]:
            raise RequestError(
                f"masks: found {others[0]!r}, expected weights of dense layers: {', '.join(sorted(names))}"
            )
    return [_layer(name, module, tuple(after), masks) for name, module, after in groups]


def _leaves(module: nn.Module, name: str) -> list[tuple[str, nn.Module]]:
    if type(module).forward is not nn.Sequential.forward:
        return [(name, module)]
    # Not named_children, which leaves out a module that is used for the second time.
    return [
        leaf for key, child in module._modules.items() if child for leaf in _leaves(child, f"{name}.{key}".strip("."))
    ]


def _check(groups: list[tuple[str, nn.Linear, list[nn.Module]]]) -> None:
    """Refuses layers that do not fit together, or whose weights are not simply their own."""
    seen: set[int] = set()
    size = groups[0][1].in_features
    for name, module, _ in groups:
        parameters = dict(module.named_parameters(recurse=False))
        if not {"weight"} <= parameters.keys() <= {"weight", "bias"}:
            raise _refusal(
                name, module, "its weight is computed from another; remove torch.nn.utils.prune from it first"
            )
        if module._forward_pre_hooks or module._forward_hooks:
            raise _refusal(name, module, "it has hooks, which a new layer would lose; remove them first")
        if seen & {id(parameter) for parameter in parameters.values()}:
            raise _refusal(name, module, "its parameters are used by another layer too; give it its own")
        if module.in_features != size:
            raise _refusal(name, module, f"found {module.in_features} inputs after {size} outputs, expected {size}")
        for key, parameter in parameters.items():
            if not parameter.is_floating_point() or not bool(parameter.isfinite().all()):
                raise _refusal(name, module, f"its {key} is {parameter.dtype} or not finite, expected finite floats")
        seen |= {id(parameter) for parameter in parameters.values()}
        size = module.out_features


def _layer(
    name: str, module: nn.Linear, activations: tuple[nn.Module, ...], masks: Mapping[str, Tensor] | None
) -> _Layer:
    name = f"{name}.weight".lstrip(".")
    weight = module.weight.detach().to("cpu", torch.float64)
    if masks is None:
        kept = weight != 0
    elif name in masks:
        kept = masks[name].cpu()
    else:
        kept = torch.ones_like(weight, dtype=torch.bool)
    bias = torch.zeros(module.out_features) if module.bias is None else module.bias.detach()
    return _Layer(name, module, torch.where(kept, weight, 0.0), bias.to("cpu", torch.float64), kept, activations)


def _refusal(name: str, module: nn.Module, why: str) -> RequestError:
    kind = type(module).__name__
    return RequestError(
        f"model: cannot shrink it because of {name!r} ({kind}): {why}; the masks are valid without shrinking"
    )

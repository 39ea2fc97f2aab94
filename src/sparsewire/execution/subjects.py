"""The layers of a model that masks are about, as far as their speed depends on them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparsewire.execution.sparse_forms import SPARSE_FORMS

STEP = 1.05  # from one class of densities to the next


@dataclass(frozen=True)
class Subject:
    """A layer that can run sparse: what its time depends on.

    Args:
        kind: "Linear", "Conv2d", "RNN tanh", "RNN relu", "GRU" or "LSTM".
        sizes: of a Linear (outputs, inputs); of a Conv2d those of its weight, stride, padding and dilation; of a
            recurrent one (inputs, neurons, layers, directions).
        bias: whether it has one.
        density: live weights / weights.
        dtype: of its weights, e.g. "float32".
        device: "cpu", or the name of the accelerator.

    Example:
        >>> Subject("Linear", (300, 784), True, 0.1, "float32", "cpu").key
        'Linear 300×784 bias float32 density 0.1 cpu'
    """

    kind: str
    sizes: tuple[int, ...]
    bias: bool
    density: float
    dtype: str
    device: str

    @property
    def key(self) -> str:
        """One line that tells it from every other."""
        sizes = "×".join(map(str, self.sizes))
        return f"{self.kind} {sizes} {'bias ' * self.bias}{self.dtype} density {self.density:.3g} {self.device}"


@dataclass(frozen=True)
class MaskedLayer:
    """A layer that masks are about.

    Args:
        name: the weight's, or for a recurrent layer, whose weights are decided together, the layer's.
        weights: names of the masked weights.
        shape: of the weight; for a recurrent layer (neurons, inputs, layers).
        density: of the masked weights together.
        subject: what to measure; None where it cannot run sparse.
        why_not: the reason then, in words; else "".
    """

    name: str
    weights: tuple[str, ...]
    shape: tuple[int, ...]
    density: float
    subject: Subject | None
    why_not: str


def class_of_density(density: float) -> float:
    """The middle of the class that a density belongs to: a power of 1.05; 0 and 1 are classes of their own.

    Masks of nearly the same density share one measurement.

    Example:
        >>> round(class_of_density(0.1), 4), class_of_density(0.0999) == class_of_density(0.1), class_of_density(1.0)
        (0.1009, True, 1.0)
    """
    return 0.0 if density <= 0 else float(STEP ** round(math.log(density, STEP)))


def masked_layers(model: nn.Module, masks: Mapping[str, Tensor]) -> list[MaskedLayer]:
    """The model's layers that have masks, in the masks' order.

    Args:
        model: that the masks fit, see `Masks.weights_of`.
        masks: parameter name → bool tensor.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 2), nn.Bilinear(2, 2, 1))
        >>> masks = {"0.weight": torch.eye(2, 4).bool(), "1.weight": torch.ones(1, 2, 2).bool()}
        >>> [(layer.name, layer.density, layer.why_not) for layer in masked_layers(model, masks)]
        [('0.weight', 0.25, ''), ('1.weight', 1.0, 'not a layer that can run sparse: Bilinear')]
    """
    owners = _owners(model)
    layers: dict[str, list[str]] = {}
    for name in masks:
        home, _, own = name.rpartition(".")
        together = isinstance(model.get_submodule(home), nn.RNNBase) and own.startswith("weight")
        layers.setdefault(home or type(model).__name__ if together else name, []).append(name)
    return [_layer(model, called, names, masks, owners) for called, names in layers.items()]


def _owners(model: nn.Module) -> dict[int, int]:
    """How many modules hold each parameter, by the parameter's identity."""
    held = [id(weight) for module in model.modules() for weight in module._parameters.values() if weight is not None]
    return {one: held.count(one) for one in set(held)}


def _layer(
    model: nn.Module, called: str, names: list[str], masks: Mapping[str, Tensor], owners: Mapping[int, int]
) -> MaskedLayer:
    module = model.get_submodule(names[0].rpartition(".")[0])
    weights = [model.get_parameter(name) for name in names]
    kept, total = (sum(int(part) for part in parts) for parts in zip(*_counts(names, masks), strict=True))
    density = kept / total if total else 1.0
    shape = tuple(weights[0].shape)
    if isinstance(module, nn.RNNBase) and len(shape) > 1:
        shape = (module.hidden_size, module.input_size, module.num_layers)
        density = (kept + _unmasked(module, weights)) / (total + _unmasked(module, weights))
    why_not = _why_not(module, weights, density, owners)
    subject = None if why_not else _subject(module, density)
    return MaskedLayer(called, tuple(names), shape, density, subject, why_not)


def _counts(names: list[str], masks: Mapping[str, Tensor]) -> list[tuple[int, int]]:
    return [(int(masks[name].count_nonzero()), masks[name].numel()) for name in names]


def _unmasked(module: nn.RNNBase, weights: list[nn.Parameter]) -> int:
    """Weights of a recurrent layer without a mask, all of which live."""
    known = {id(weight) for weight in weights}
    return sum(w.numel() for n, w in module.named_parameters() if n.startswith("weight_") and id(w) not in known)


def _why_not(module: nn.Module, weights: list[nn.Parameter], density: float, owners: Mapping[int, int]) -> str:
    # A subclass may compute anything, so it is not the layer whose name it bears.
    if type(module) not in SPARSE_FORMS or getattr(module, "proj_size", False):
        return f"not a layer that can run sparse: {type(module).__name__}"
    if isinstance(module, nn.Conv2d) and (module.groups != 1 or module.padding_mode != "zeros"):
        return f"not a layer that can run sparse: Conv2d with groups={module.groups}, padding {module.padding_mode!r}"
    if weights[0].ndim < 2:
        return "not a layer that can run sparse: a bias"
    if any(owners[id(weight)] > 1 for weight in weights):
        return "shares its weight with another layer"
    if not weights[0].is_floating_point() or weights[0].is_meta or not weights[0].numel():
        return (
            f"no weights to compute with: {weights[0].dtype} of shape {tuple(weights[0].shape)} on {weights[0].device}"
        )
    return "nothing to gain: every weight is kept" if density == 1 else ""


def _subject(module: nn.Module, density: float) -> Subject:
    weight = next(module.parameters())
    device = torch.cuda.get_device_name(weight.device) if weight.is_cuda else weight.device.type
    kind, sizes = type(module).__name__, tuple(weight.shape)
    bias = getattr(module, "bias", None) is not None
    if isinstance(module, nn.Conv2d):
        padding = (0, 0) if isinstance(module.padding, str) else module.padding
        sizes += (*module.stride, *padding, *module.dilation)
    if isinstance(module, nn.RNNBase):
        sizes = (module.input_size, module.hidden_size, module.num_layers, 1 + module.bidirectional)
        kind, bias = module.mode.replace("_", " ").replace("TANH", "tanh").replace("RELU", "relu"), module.bias
    return Subject(kind, sizes, bool(bias), class_of_density(density), str(weight.dtype).removeprefix("torch."), device)

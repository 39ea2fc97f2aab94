"""Training steps of whole sparse networks in one native call: forward, softmax cross-entropy, backward, update.

For small networks most of a step's time goes to what lies between the products: calls, memory that is touched anew, the
batch that is copied. Here a call takes as many steps as wanted, reads each batch's samples where they lie, and works
on a stretch of the batch at a time, so that its activations stay in the caches from the first layer to the last and
back. One thread trains one network, so that a result does not depend on how many are trained side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels import native
from sparsewire.kernels.whole_steps import (
    ACTIVATIONS,
    RULES,
    SETTINGS,
    StepLayer,
    Update,
    check_places,
    check_update,
    layer_row,
    trainee_row,
)

_WIDEST = 4  # vectors in a tile, as in tiles.hpp


class Steps(NamedTuple):
    """What a network shall train on.

    Args:
        inputs: (n, features), contiguous, of the values' dtype.
        labels: int64 (n,), each a class or −100 where a sample does not count.
        rows: int64; the samples, in 0 … n − 1, in the order in which they are used.
        ends: int64; where in `rows` each step's batch begins, and at last where the last one ends.
    """

    inputs: Tensor
    labels: Tensor
    rows: Tensor
    ends: Tensor


@dataclass(frozen=True, eq=False)
class NetworkStep:
    """A chain of layers, ready for steps; its tensors are used where they are and never copied.

    Args:
        layers: first to last, each one's outputs the next one's inputs; all float32, or all float64, on the CPU.
        update: "none" writes only `gradients`; "sgd", "adam" and "adamw" change the numbers as torch's optimizers do.

    Attributes:
        gradients: of each layer those of values and bias, of the last batch; None where nothing is trained.
        settings: float64 (2 · layers, 6), values and bias in turns, to be filled: learning rate and weight decay; then
            for "sgd" momentum, dampening and 1 for Nesterov, for the others beta1, beta2 and eps; last, steps made.

    Raises:
        RequestError: the layers do not form a chain of one dtype.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> from sparsewire.kernels.whole_steps import Trainee, run_steps
        >>> values, bias = torch.zeros(2), torch.zeros(2)
        >>> junction = junction_of(torch.ones(2, 1, dtype=torch.bool))
        >>> step = NetworkStep([StepLayer(junction, Trainee(values), Trainee(bias), "identity")], "sgd")
        >>> step.settings[:, 0] = 1.0
        >>> batch = Steps(torch.ones(1, 1), torch.tensor([1]), torch.tensor([0]), torch.tensor([0, 1]))
        >>> if native.is_at_hand():
        ...     assert abs(run_steps([(step, batch)], threads=1)[0].losses[0] - 0.693147) < 1e-6  # log 2
        ...     assert values.tolist() == bias.tolist() == [-0.5, 0.5]
    """

    function: ClassVar[str] = "network_step"

    layers: Sequence[StepLayer]
    update: Update
    gradients: list[tuple[Tensor | None, Tensor | None]] = field(init=False)
    settings: Tensor = field(init=False)
    _tables: tuple[Tensor, Tensor, object] = field(init=False)  # and what they point to
    _space: Tensor = field(init=False)

    def __post_init__(self) -> None:
        _check(self.layers, self.update)
        numbers = self.layers[0].values.numbers
        # Also of weights that are not trained: to leave them out would cost the kernel a second form of its sweep.
        buffers = [
            (
                torch.empty_like(layer.values.numbers),
                None if layer.bias is None else torch.empty_like(layer.bias.numbers),
            )
            for layer in self.layers
        ]
        settings = torch.zeros(2 * len(self.layers), SETTINGS, dtype=torch.float64)
        trainees = [trainee for layer in self.layers for trainee in (layer.values, layer.bias)]
        flat = [buffer for pair in buffers for buffer in pair]
        rows = [layer_row(layer, pair) for layer, pair in zip(self.layers, buffers, strict=True)]
        parts = [trainee_row(*some) for some in zip(trainees, flat, settings, strict=True)]
        made = {
            "gradients": [_wanted(layer, pair) for layer, pair in zip(self.layers, buffers, strict=True)],
            "settings": settings,
            "_tables": (torch.tensor(rows), torch.tensor(parts), buffers),
            "_space": torch.empty(_space_of(self.layers), dtype=numbers.dtype),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def dtype(self) -> torch.dtype:
        """Of all numbers."""
        return self.layers[0].values.numbers.dtype

    def record(self, steps: Steps, losses: Tensor, taken: Tensor) -> tuple[list[int], object]:
        """The fields of `Network` in network_step.cpp, and what has to live as long as they are read.

        Raises:
            RequestError: rows beyond the samples, samples of another size, or tensors that the kernel cannot read.
        """
        _check_steps(self, steps)
        data = [native.address(tensor) for tensor in steps]
        own = [native.address(tensor) for tensor in self._tables[:2]]
        out = [native.address(tensor) for tensor in (losses, taken, self._space)]
        return [*data, len(steps.ends) - 1, len(self.layers), *own, RULES[self.update], *out], None


def _wanted(layer: StepLayer, buffers: tuple[Tensor, Tensor | None]) -> tuple[Tensor | None, Tensor | None]:
    values, bias = buffers
    return values if layer.values.trained else None, bias if layer.bias is not None and layer.bias.trained else None


def _space_of(layers: Sequence[StepLayer]) -> int:
    """Numbers in the working space: the activations of all layers for a tile, and two slopes."""
    widest = max(layer.junction.outputs for layer in layers)
    features = layers[0].junction.inputs + sum(layer.junction.outputs for layer in layers)
    lanes = native.vector_bytes() // layers[0].values.numbers.itemsize
    return (features + 2 * widest) * _WIDEST * lanes


def _check(layers: Sequence[StepLayer], update: str) -> None:
    check_update(update)
    if not layers:
        raise RequestError("layers: found none, expected at least one")
    first, width = layers[0].values.numbers, layers[0].junction.inputs
    for place, layer in enumerate(layers):
        if layer.activation not in ACTIVATIONS:
            raise UnknownNameError("activation", layer.activation, ACTIVATIONS)
        if layer.junction.inputs != width:
            raise RequestError(f"layer {place}: found {layer.junction.inputs} inputs, expected {width}")
        width = layer.junction.outputs
        sizes = (layer.values, layer.junction.count), (layer.bias, width)
        for numbers, size in [
            (numbers, size)
            for trainee, size in sizes
            if trainee is not None
            for numbers in (trainee.numbers, *trainee.memory)
        ]:
            right = numbers.is_cpu and numbers.is_contiguous() and numbers.numel() == size
            if not right or numbers.dtype != first.dtype or numbers.dtype not in (torch.float32, torch.float64):
                raise RequestError(
                    f"layer {place}: found {numbers.dtype} of shape {tuple(numbers.shape)} on {numbers.device}, "
                    f"expected {size} contiguous numbers on the CPU, of one dtype, float32 or float64, in all layers"
                )


def _check_steps(network: NetworkStep, steps: Steps) -> None:
    inputs, labels, rows, ends = steps
    numbers, features = network.layers[0].values.numbers, network.layers[0].junction.inputs
    if inputs.dtype != numbers.dtype or not (inputs.is_cpu and inputs.is_contiguous()):
        raise RequestError(
            f"steps: found inputs of {inputs.dtype}, expected a contiguous tensor on the CPU, of {numbers.dtype}"
        )
    if inputs.dim() != 2 or inputs.shape != (len(labels), features):
        raise RequestError(f"inputs: found shape {tuple(inputs.shape)}, expected ({len(labels)}, {features})")
    check_places(labels, rows, ends)

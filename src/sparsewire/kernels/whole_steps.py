"""Steps of whole networks in one native call each, several networks side by side, and what all kinds of them share."""

import struct
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.kernels import native
from sparsewire.kernels.junctions import Junction

Update = Literal["none", "sgd", "adam", "adamw"]

RULES = {"none": -1, "sgd": 0, "adam": 1, "adamw": 2}  # their numbers in network_step_update.hpp
SETTINGS = 6  # numbers of a trainee
ACTIVATIONS = {"identity": 0, "relu": 1, "tanh": 2, "sigmoid": 3}  # in junctions.hpp


class Trainee(NamedTuple):
    """The values of a layer, or its bias, with what belongs to them.

    Args:
        numbers: contiguous; used where they are.
        trained: whether there is a gradient.
        memory: of the optimizer, each like `numbers`: () or (momentum,) for "sgd", (mean, mean of squares) for "adam"
            and "adamw".
    """

    numbers: Tensor
    trained: bool = True
    memory: tuple[Tensor, ...] = ()


class StepLayer(NamedTuple):
    """act(W x + b): the connections, the live values in their order, the bias, the activation's name."""

    junction: Junction
    values: Trainee
    bias: Trainee | None
    activation: str


class Taken(NamedTuple):
    """What became of the steps.

    Args:
        losses: of each step that was taken, before it; if they ended at a loss that is not finite, that one as well.
        steps: how many were taken.
        stranger: whether they ended at a batch with a label that is no class.
    """

    losses: list[float]
    steps: int
    stranger: bool


class WholeStep(Protocol):
    """A network that can take whole steps, with samples of a kind of its own: `NetworkStep`, `RecurrentStep`, …."""

    function: ClassVar[str]

    @property
    def dtype(self) -> torch.dtype:
        """Of all its numbers."""

    def record(self, steps: Any, losses: Tensor, taken: Tensor) -> tuple[list[int], object]:
        """What the native function reads of it, and what has to live as long as that."""


# A network, and what it shall train on: Steps for a NetworkStep, Sequences for the recurrent ones.
Job: TypeAlias = tuple[WholeStep, Any]


def run_steps(networks: Sequence[Job], threads: int) -> list[Taken]:
    """Lets every network take its steps, side by side; native.is_at_hand() has to be true.

    A network stops early, with the weights as they were before the step, at a loss that is not finite and at a label
    that is no class (or a symbol that is none).

    Args:
        networks: no two of them sharing a tensor that changes.
        threads: how many networks are trained at a time; the results do not depend on it.

    Raises:
        RequestError: a network cannot take such steps.
    """
    found: dict[int, Taken] = {}
    kinds = {(network.function, network.dtype) for network, _ in networks}
    for function, dtype in sorted(kinds, key=str):
        some = [k for k, (one, _) in enumerate(networks) if (one.function, one.dtype) == (function, dtype)]
        found |= zip(some, _run(function, dtype, [networks[k] for k in some], threads), strict=True)
    return [found[number] for number in range(len(networks))]


def _run(function: str, dtype: torch.dtype, networks: Sequence[Job], threads: int) -> list[Taken]:
    taken = torch.zeros(len(networks), 2, dtype=torch.int64)
    losses = [torch.zeros(len(steps.ends) - 1, dtype=torch.float64) for _, steps in networks]
    made = [network.record(steps, losses[k], taken[k]) for k, (network, steps) in enumerate(networks)]
    records = torch.tensor([fields for fields, _ in made])
    native.function(function)(native.DTYPES[dtype], native.address(records), len(networks), threads)
    return [_taken(*some) for some in zip(losses, taken.tolist(), strict=True)]


def _taken(losses: Tensor, end: list[int]) -> Taken:
    count, stranger = end
    return Taken(losses[: count if stranger else count + 1].tolist(), count, bool(stranger))


def layer_row(layer: StepLayer, gradient: tuple[Tensor | None, Tensor | None]) -> list[int]:
    """The fields of `Layer` in junctions.hpp."""
    junction, bias = layer.junction, None if layer.bias is None else layer.bias.numbers
    shape = [junction.outputs, junction.inputs, junction.block, junction.group, junction.count]
    at = [native.address(tensor) for tensor in (junction.columns, junction.starts, layer.values.numbers, bias)]
    return [*shape, *at, ACTIVATIONS[layer.activation], *(native.address(tensor) for tensor in gradient)]


def trainee_row(trainee: Trainee | None, gradient: Tensor | None, settings: Tensor) -> list[int]:
    """The fields of `Parameter` in network_step_update.hpp."""
    if trainee is None or not trainee.trained:
        return [0] * 6
    memory = [native.address(tensor) for tensor in trainee.memory] + [0, 0]
    return [
        native.address(trainee.numbers), native.address(gradient), *memory[:2],
        trainee.numbers.numel(), native.address(settings),
    ]  # fmt: skip


def gradients_of(trainees: Sequence[Trainee | None], buffers: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Of each trainee its buffer, and None where nothing is trained."""
    pairs = zip(trainees, buffers, strict=True)
    return [buffer if trainee is not None and trainee.trained else None for trainee, buffer in pairs]


def as_bits(number: float) -> int:
    """The bits of a double, for a table of whole numbers.

    Example:
        >>> hex(as_bits(1.0))
        '0x3ff0000000000000'
    """
    (bits,) = struct.unpack("=q", struct.pack("=d", number))
    return int(bits)


def check_update(update: str) -> None:
    """Refuses a rule that there is not."""
    if update not in RULES:
        raise UnknownNameError("update", update, RULES)


def check_places(labels: Tensor, rows: Tensor, ends: Tensor) -> None:
    """Refuses labels, rows and ends that the kernels cannot read, or that lead beyond the samples."""
    if not all(part.is_cpu and part.is_contiguous() and part.dtype == torch.int64 for part in (labels, rows, ends)):
        raise RequestError(
            f"steps: found labels of {labels.dtype} and rows of {rows.dtype}, expected contiguous tensors of "
            "torch.int64 on the CPU"
        )
    if len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < len(labels)):
        raise RequestError(f"rows: found {int(rows.min())} to {int(rows.max())}, expected 0 to {len(labels) - 1}")
    if int(ends[-1]) > len(rows) or int(ends[0]) < 0 or bool((ends.diff() < 1).any()):
        raise RequestError(f"ends: found {ends.tolist()}, expected increasing numbers from 0 to {len(rows)}")

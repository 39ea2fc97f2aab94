"""Training steps of whole recurrent classifiers in one native call: forward, loss, backward, update.

What is trained: sequences of features, or of symbols that each stand for a trained vector; a stack of recurrent layers;
a readout of the last layer's states after each sequence's last step; softmax cross-entropy. A stretch of the batch goes
through all layers and steps and back while its activations are in the caches. The result of a network depends neither
on the number of threads nor on who is trained beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels import native
from sparsewire.kernels.recurrent_plain import KINDS
from sparsewire.kernels.recurrent_stack import Stack
from sparsewire.kernels.whole_steps import (
    RULES,
    SETTINGS,
    StepLayer,
    Trainee,
    Update,
    as_bits,
    check_places,
    check_update,
    gradients_of,
    layer_row,
    trainee_row,
)


class Embedding(NamedTuple):
    """The vectors that stand for symbols, one after another, and the symbol whose vector has no gradient, or None."""

    vectors: Trainee
    fixed: int | None = None

    def symbols(self, features: int) -> int:
        """How many there are, each a vector of so many features."""
        return self.vectors.numbers.numel() // features

    def row(self, inputs: Tensor, buffer: Tensor | None, features: int) -> list[int]:
        """The fields of `Symbols` in recurrent_symbols.hpp; the buffer is for the gradient of vectors that have one."""
        gradient = native.address(buffer) if self.vectors.trained else 0
        fixed = -1 if self.fixed is None else self.fixed
        addresses = native.address(inputs), native.address(self.vectors.numbers)
        return [*addresses, gradient, self.symbols(features), fixed]


class Sequences(NamedTuple):
    """What a network shall train on.

    Args:
        inputs: (n, steps, features), contiguous, of the values' dtype; with an embedding int64 (n, steps).
        labels: int64 (n,), each a class or −100 where a sample does not count.
        rows: int64; the samples, in 0 … n − 1, in the order in which they are used.
        ends: int64; where in `rows` each step's batch begins, and at last where the last one ends.
        lengths: int64 (n,), 1 to steps: what comes later is not looked at; None: all steps.
        shared: whether all sequences of a batch are as long as its longest.
    """

    inputs: Tensor
    labels: Tensor
    rows: Tensor
    ends: Tensor
    lengths: Tensor | None = None
    shared: bool = False

    @property
    def row(self) -> list[int]:
        """The fields from `labels` to `steps` of the classifiers in recurrent_step.cpp and wired_step.cpp."""
        labels, lengths, rows, ends = map(native.address, (self.labels, self.lengths, self.rows, self.ends))
        return [labels, lengths, int(self.shared), rows, ends, len(self.ends) - 1]


@dataclass(frozen=True, eq=False)
class RecurrentStep:
    """A recurrent classifier, ready for steps; its tensors are used where they are and never copied.

    Args:
        stack: the recurrent layers, without `batch_first`.
        values: of each junction.
        biases: of each junction, or none at all.
        readout: of the last layer's states, the forward direction's before the backward one's.
        embedding: where the inputs are symbols.
        update: "none" writes only `gradients`; "sgd", "adam" and "adamw" change the numbers as torch's optimizers do.
        clip_norm: the largest norm of all gradients together; larger ones are scaled down. None: any.

    Attributes:
        trainees: the embedding's vectors, for each junction its values and its bias, the readout's; `gradients` and
            `settings` are in this order too, with None and zeros for what there is not.
        gradients: of the last batch; None where nothing is trained.
        settings: float64, a row for each trainee, as in `NetworkStep`.

    Raises:
        RequestError: the parts do not fit each other, or are not all float32 or all float64 on the CPU.

    Example:
        >>> from sparsewire.kernels.junctions import junction_of
        >>> values, one = torch.zeros(2), torch.ones(1)
        >>> single, two = (junction_of(torch.ones(n, 1, dtype=torch.bool)) for n in (1, 2))
        >>> readout = StepLayer(two, Trainee(values), None, "identity")
        >>> step = RecurrentStep(Stack("relu", (single, single)), [Trainee(one, False)] * 2, [], readout, None, "sgd")
        >>> step.settings[:, 0] = 1.0
        >>> batch = Sequences(torch.ones(1, 3, 1), torch.tensor([1]), torch.tensor([0]), torch.tensor([0, 1]))
        >>> if native.is_at_hand():
        ...     from sparsewire.kernels.whole_steps import run_steps
        ...     assert abs(run_steps([(step, batch)], threads=1)[0].losses[0] - 0.693147) < 1e-6  # log 2
        ...     assert values.tolist() == [-1.5, 1.5]  # the last state is 1 + 1 + 1
    """

    function: ClassVar[str] = "recurrent_step"

    stack: Stack
    values: Sequence[Trainee]
    biases: Sequence[Trainee]
    readout: StepLayer
    embedding: Embedding | None
    update: Update
    clip_norm: float | None = None
    trainees: list[Trainee | None] = field(init=False)
    gradients: list[Tensor | None] = field(init=False)
    settings: Tensor = field(init=False)
    _buffers: list[Tensor | None] = field(init=False)
    _parts: Tensor = field(init=False)
    _readout: Tensor = field(init=False)

    def __post_init__(self) -> None:
        check_update(self.update)
        trainees: list[Trainee | None] = [None if self.embedding is None else self.embedding.vectors]
        for k, value in enumerate(self.values):
            trainees.append(value)
            trainees.append(self.biases[k] if self.biases else None)
        trainees += [self.readout.values, self.readout.bias]
        _check(self, trainees)
        # Also of weights that are not trained: to leave them out would cost the kernel a second form of its sweep.
        buffers = [None if trainee is None else torch.empty_like(trainee.numbers) for trainee in trainees]
        settings = torch.zeros(len(trainees), SETTINGS, dtype=torch.float64)
        made = {
            "trainees": trainees,
            "gradients": gradients_of(trainees, buffers),
            "settings": settings,
            "_buffers": buffers,
            "_parts": torch.tensor([trainee_row(*some) for some in zip(trainees, buffers, settings, strict=True)]),
            "_readout": torch.tensor(layer_row(self.readout, (buffers[-2], buffers[-1]))),
        }
        for name, part in made.items():
            object.__setattr__(self, name, part)

    @property
    def dtype(self) -> torch.dtype:
        """Of all numbers."""
        return self.readout.values.numbers.dtype

    def record(self, steps: Sequences, losses: Tensor, taken: Tensor) -> tuple[list[int], object]:
        """The fields of `Classifier` in recurrent_step.cpp, and what has to live as long as they are read.

        Raises:
            RequestError: rows beyond the samples, samples of another size, or tensors that the kernel cannot read.
        """
        check_sequences(steps, self.stack.inputs, self.dtype, self.embedding is not None)
        table = self._stack_table(steps.inputs)
        features, clip = self.stack.inputs, as_bits(self.clip_norm or 0.0)
        fields = [
            *(native.address(table), native.address(self._readout)),
            *(self.embedding.row(steps.inputs, self._buffers[0], features) if self.embedding else [0] * 5),
            *(*steps.row, len(self.trainees)),
            *(native.address(self._parts), RULES[self.update], clip, native.address(losses), native.address(taken)),
        ]
        return fields, table

    def _stack_table(self, inputs: Tensor) -> Tensor:
        """The fields of `Network` in recurrent_network.hpp; its batch and its threads are set there."""
        stack, steps = self.stack, inputs.shape[1]
        x = [0, 0, 0]
        if self.embedding is None:
            x = [native.address(inputs), stack.inputs, steps * stack.inputs]
        sizes = [KINDS.index(stack.kind), steps, 0, stack.inputs, stack.hidden, stack.cells // stack.directions]
        numbers = [*sizes, stack.directions, 1, *x, *[0] * 19]
        for k, described in enumerate(stack.described):
            value, bias = self.trainees[1 + 2 * k], self.trainees[2 + 2 * k]
            numbers += described
            numbers += [native.address(None if part is None else part.numbers) for part in (value, bias)]
            numbers += [0, *(native.address(buffer) for buffer in self._buffers[1 + 2 * k : 3 + 2 * k])]
        return torch.tensor(numbers)


def _check(step: RecurrentStep, trainees: Sequence[Trainee | None]) -> None:
    stack, readout = step.stack, step.readout
    states = stack.hidden * stack.directions
    if len(step.values) != len(stack.junctions) or len(step.biases) not in (0, len(stack.junctions)):
        raise RequestError(
            f"values, biases: found {len(step.values)} and {len(step.biases)}, expected {len(stack.junctions)}, "
            "as many as there are junctions, or no biases"
        )
    if readout.junction.inputs != states or readout.activation != "identity":
        raise RequestError(
            f"readout: found {readout.junction.inputs} inputs and activation {readout.activation!r}, expected "
            f"{states}, the states of the last layer, and 'identity'"
        )
    sizes = [0 if step.embedding is None else step.embedding.symbols(stack.inputs) * stack.inputs]
    for junction in stack.junctions:
        sizes += [junction.count, stack.rows]
    sizes += [readout.junction.count, readout.junction.outputs]
    for trainee, size in zip(trainees, sizes, strict=True):
        for numbers in () if trainee is None else (trainee.numbers, *trainee.memory):
            right = numbers.is_cpu and numbers.is_contiguous() and numbers.numel() == size
            if not right or numbers.dtype != step.dtype or numbers.dtype not in (torch.float32, torch.float64):
                raise RequestError(
                    f"recurrent step: found {numbers.dtype} of shape {tuple(numbers.shape)} on {numbers.device}, "
                    f"expected {size} contiguous numbers on the CPU, all float32 or all float64"
                )


def check_sequences(steps: Sequences, features: int, dtype: torch.dtype, symbols: bool) -> None:
    """Refuses samples of another size, tensors that a kernel cannot read, and rows beyond the samples.

    Args:
        steps: what a network shall train on.
        features: inputs of a step.
        dtype: of the network's numbers.
        symbols: whether its inputs are such.
    """
    inputs, labels = steps.inputs, steps.labels
    wanted = torch.int64 if symbols else dtype
    if inputs.dtype != wanted or not (inputs.is_cpu and inputs.is_contiguous()):
        raise RequestError(f"inputs: found {inputs.dtype}, expected contiguous {wanted} on the CPU")
    shape = tuple(inputs.shape)
    own = () if symbols else (features,)
    if len(shape) != 2 + len(own) or shape[0] != len(labels) or shape[2:] != own or not shape[1]:
        sides = ", ".join(map(str, (len(labels), "steps ≥ 1", *own)))
        raise RequestError(f"inputs: found shape {shape}, expected ({sides})")
    check_places(labels, steps.rows, steps.ends)
    lengths = steps.lengths
    if lengths is not None and not (
        lengths.dtype == torch.int64 and lengths.is_cpu and lengths.is_contiguous() and lengths.shape == labels.shape
    ):
        found = f"{lengths.dtype} of shape {tuple(lengths.shape)}"
        raise RequestError(f"lengths: found {found}, expected torch.int64 of shape ({len(labels)},), contiguous")

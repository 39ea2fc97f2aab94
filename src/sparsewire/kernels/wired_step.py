"""Training steps of classifiers whose recurrent cells are wired by a graph, in one native call.

What is trained: sequences of features, or of symbols that each stand for a trained vector; the cells of a `WiredPlan`;
a readout of some nodes after each sequence's last step; softmax cross-entropy. A stretch of the batch goes through all
cells and steps and back while its activations are in the caches. All weights are dense and used where they lie; what is
outside a mask is zero, is left out of the products, and stays zero. The result of a network depends neither on the
number of threads nor on who is trained beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels import native
from sparsewire.kernels.recurrent_step import Embedding, Sequences, check_sequences
from sparsewire.kernels.whole_steps import (
    RULES,
    SETTINGS,
    Trainee,
    Update,
    as_bits,
    check_update,
    gradients_of,
    trainee_row,
)
from sparsewire.kernels.wired_plan import PARTS, WiredPlan


class Masked(NamedTuple):
    """A trainee, and the mask of what of it exists (bool, contiguous, of its size); None: all."""

    trainee: Trainee
    mask: Tensor | None = None


@dataclass(frozen=True, eq=False)
class WiredStep:
    """A classifier whose recurrent cells are wired by a graph, ready for steps; its tensors are used where they are.

    Args:
        plan: the cells.
        cells: of each cell its weight_ih, weight_hh, bias_ih and bias_hh, as in `wired_recurrent`; biases have no mask.
        read: the nodes that are read out, int64, their places counted layer by layer.
        readout: its weight, of shape (classes, len(read)).
        bias: of the readout.
        embedding: where the inputs are symbols.
        update: "none" writes only `gradients`; "sgd", "adam" and "adamw" change the numbers as torch's optimizers do.
        clip_norm: the largest norm of all gradients together, those of weights outside their masks too, as torch counts
            it; larger ones are scaled down. None: any.

    Attributes:
        trainees: the embedding's vectors, those of the cells, the readout's weight and bias; `gradients` and `settings`
            are in this order too, with None and zeros for what there is not.
        gradients: of the last batch; None where nothing is trained.
        settings: float64, a row for each trainee, as in `NetworkStep`.

    Raises:
        RequestError: the parts do not fit each other, or are not all float32 or all float64 on the CPU.

    Example:
        >>> one, values = torch.ones(1, 1), torch.zeros(2, 1)
        >>> plan = WiredPlan("relu", 1, (1,), (((), 0),))
        >>> cells = [Masked(Trainee(one, False)), Masked(Trainee(one, False)), None, None]
        >>> step = WiredStep(plan, cells, torch.tensor([0]), Masked(Trainee(values)), None, None, "sgd")
        >>> step.settings[:, 0] = 1.0
        >>> batch = Sequences(torch.ones(1, 3, 1), torch.tensor([1]), torch.tensor([0]), torch.tensor([0, 1]))
        >>> if native.is_at_hand():
        ...     from sparsewire.kernels.whole_steps import run_steps
        ...     assert abs(run_steps([(step, batch)], threads=1)[0].losses[0] - 0.693147) < 1e-6  # log 2
        ...     assert values.flatten().tolist() == [-1.5, 1.5]  # the last state is 1 + 1 + 1
    """

    function: ClassVar[str] = "wired_step"

    plan: WiredPlan
    cells: Sequence[Masked | None]
    read: Tensor
    readout: Masked
    bias: Trainee | None
    embedding: Embedding | None
    update: Update
    clip_norm: float | None = None
    trainees: list[Trainee | None] = field(init=False)
    gradients: list[Tensor | None] = field(init=False)
    settings: Tensor = field(init=False)
    _buffers: list[Tensor | None] = field(init=False)
    _tables: tuple[Tensor, ...] = field(init=False)

    def __post_init__(self) -> None:
        check_update(self.update)
        parts = [None if self.embedding is None else Masked(self.embedding.vectors), *self.cells, self.readout]
        trainees = [None if part is None else part.trainee for part in parts] + [self.bias]
        masks = [None if part is None else part.mask for part in parts] + [None]
        _check(self, trainees, masks)
        # Also of what is not trained: to leave that out would cost the kernel a second form of its sweeps.
        buffers = [None if trainee is None else torch.zeros_like(trainee.numbers) for trainee in trainees]
        settings = torch.zeros(len(trainees), SETTINGS, dtype=torch.float64)
        kept = [part and part.mask for k, part in enumerate(self.cells) if k % PARTS < 2]
        numbers = [trainee and trainee.numbers for trainee in trainees]
        made = {
            "trainees": trainees,
            "gradients": gradients_of(trainees, buffers),
            "settings": settings,
            "_buffers": buffers,
            "_tables": (
                self.plan.rows(numbers[1:-2], buffers[1:-2], kept),
                torch.tensor([trainee_row(*some) for some in zip(trainees, buffers, settings, strict=True)]),
                torch.tensor([native.address(mask) for mask in masks]),
                self.read.to(torch.int32),
            ),
        }
        for name, part in made.items():
            object.__setattr__(self, name, part)

    @property
    def dtype(self) -> torch.dtype:
        """Of all numbers."""
        return self.readout.trainee.numbers.dtype

    @property
    def classes(self) -> int:
        """How many logits."""
        return self.readout.trainee.numbers.numel() // max(len(self.read), 1)

    def record(self, steps: Sequences, losses: Tensor, taken: Tensor) -> tuple[list[int], object]:
        """The fields of `WiredClassifier` in wired_step.cpp, and what has to live as long as they are read.

        Raises:
            RequestError: rows beyond the samples, samples of another size, or tensors that the kernel cannot read.
        """
        check_sequences(steps, self.plan.inputs, self.dtype, self.embedding is not None)
        wires, parts, masks, read = self._tables
        frame = self._frame(steps.inputs)
        # What lies outside the masks counts in the norm, and is part of the gradients where these are all.
        everything = int(self.update == "none" or self.clip_norm is not None)
        sizes = [self.plan.nodes, self.plan.features, len(self.plan.cells)]
        graph = torch.tensor([native.address(frame), *sizes, native.address(wires), everything, 0, 0])
        features, clip = self.plan.inputs, as_bits(self.clip_norm or 0.0)
        weight, bias = (None if one is None else one.numbers for one in self.trainees[-2:])
        readout = [native.address(tensor) for tensor in (weight, self._buffers[-2], self.readout.mask)]
        biases = [native.address(bias), native.address(self._buffers[-1])]
        fields = [
            *(native.address(graph), native.address(read), len(self.read), self.classes, *readout, *biases),
            *(self.embedding.row(steps.inputs, self._buffers[0], features) if self.embedding else [0] * 5),
            *(*steps.row, len(self.trainees)),
            *(native.address(parts), native.address(masks), RULES[self.update], clip),
            *(native.address(losses), native.address(taken)),
        ]
        return fields, (frame, graph)

    def _frame(self, inputs: Tensor) -> Tensor:
        """The fields of `Network` in recurrent_network.hpp; its batch is set there."""
        steps, features = inputs.shape[1], self.plan.inputs
        x = [0, 0, 0] if self.embedding is not None else [native.address(inputs), features, steps * features]
        return torch.tensor([0, steps, 0, features, 0, 0, 1, 1, *x, *[0] * 19])


def _check(step: WiredStep, trainees: Sequence[Trainee | None], masks: Sequence[Tensor | None]) -> None:
    plan, read = step.plan, step.read
    if len(step.cells) != PARTS * len(plan.cells):
        raise RequestError(f"cells: found {len(step.cells)} parts, expected {PARTS} of each of {len(plan.cells)} cells")
    if read.dtype != torch.int64 or read.dim() != 1 or not bool(((read >= 0) & (read < plan.nodes)).all()):
        raise RequestError(f"read: found {read.tolist()}, expected places of nodes, 0 to {plan.nodes - 1}, as int64")
    sizes = [0 if step.embedding is None else step.embedding.symbols(plan.inputs) * plan.inputs]
    for cell in plan.cells:
        sizes += [torch.Size(shape).numel() for shape in cell.shapes]
    sizes += [step.classes * len(read), step.classes]
    needed = [-2, *(1 + PARTS * k + part for k in range(len(plan.cells)) for part in (0, 1))]
    missing = any(trainees[place] is None and sizes[place] for place in needed)
    for trainee, mask, size in zip(trainees, masks, sizes, strict=True):
        tensors = [] if trainee is None else [trainee.numbers, *trainee.memory]
        right = all(tensor.dtype == step.dtype for tensor in tensors)
        tensors += [] if mask is None else [mask]
        right &= mask is None or mask.dtype == torch.bool
        right &= all(tensor.is_cpu and tensor.is_contiguous() and tensor.numel() == size for tensor in tensors)
        if not right or step.dtype not in (torch.float32, torch.float64) or missing:
            found = (
                "a weight missing" if missing else ", ".join(f"{t.dtype} of shape {tuple(t.shape)}" for t in tensors)
            )
            raise RequestError(
                f"wired step: found {found}, expected {size} contiguous numbers on the CPU, all float32 or all "
                "float64, and masks of bool"
            )

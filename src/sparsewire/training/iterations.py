"""What a loop of pruning and retraining answers: numbers to read, print and choose from."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.masks import Masks
from sparsewire.training.history import Evaluation

_COLUMNS = ("step", "density", "left", "before", "pruned", "retrained", "control", "epochs", "seconds")


@dataclass(frozen=True)
class Iteration:
    """One step of a loop: weights are pruned, what is left is retrained, and the unpruned control beside it.

    Args:
        step: its number, which the schedule was asked about; 0 is the first.
        asked: the density that was asked for, of the weights that were selected.
        masks: what is left.
        before: how good the network was before the pruning.
        pruned: and right after it, with the same weights but for those that went.
        retrained: and after the retraining.
        control: the control after as many epochs as this network had by then, or None without one.
        epochs: how many epochs of retraining this step had.
        steps: how many steps of the optimizer that were.
        control_steps: and how many the control had in this step.
        seconds: of pruning, judging and retraining, without the control.
        control_seconds: of the control.
        accuracies: after each epoch of the retraining.
    """

    step: int
    asked: float
    masks: Masks
    before: Evaluation
    pruned: Evaluation
    retrained: Evaluation
    control: Evaluation | None
    epochs: int
    steps: int
    control_steps: int
    seconds: float
    control_seconds: float
    accuracies: tuple[float, ...]

    @property
    def left(self) -> int:
        """How many weights are left."""
        return self.masks.count

    @property
    def density(self) -> float:
        """The part that is left of all weights that can be pruned, selected or not."""
        return self.masks.density

    @property
    def accuracy(self) -> float:
        """After the retraining."""
        return self.retrained.accuracy

    @property
    def gain(self) -> float:
        """What the retraining added to the accuracy."""
        return self.retrained.accuracy - self.pruned.accuracy

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        judged = (self.before, self.pruned, self.retrained, self.control)
        shares = ("" if one is None else f"{100 * one.accuracy:.2f} %" for one in judged)
        return (
            str(self.step),
            f"{self.density:.4g}",
            f"{self.left:,}",
            *shares,
            str(self.epochs),
            f"{self.seconds:.2f}",
        )


@dataclass(frozen=True)
class Iterations:
    """What `iterate` did, step by step; print it for a table.

    Args:
        base: how good the network was before the first pruning.
        steps: one entry for each step.
        ended: why the loop ended.

    Example:
        >>> import torch
        >>> base, low = Evaluation(0.1, 0.97, 1000), Evaluation(0.2, 0.8, 1000)
        >>> def step(number, density, accuracy):
        ...     masks = Masks({"weight": torch.arange(100) < 100 * density})
        ...     after = Evaluation(0.1, accuracy, 1000)
        ...     return Iteration(number, density, masks, base, low, after, base, 2, 20, 20, 1.5, 1.5, ())
        >>> found = Iterations(base, (step(0, 0.5, 0.975), step(1, 0.25, 0.965), step(2, 0.05, 0.9)), "all steps done")
        >>> print(found)
        step  density  left   before   pruned  retrained  control  epochs  seconds
           0      0.5    50  97.00 %  80.00 %    97.50 %  97.00 %       2     1.50
           1     0.25    25  97.00 %  80.00 %    96.50 %  97.00 %       2     1.50
           2     0.05     5  97.00 %  80.00 %    90.00 %  97.00 %       2     1.50
        (base: loss 0.1, accuracy 97.00 % of 1,000; ended: all steps done)
        >>> found.best(drop=0.01).step, found.best(density=0.5).step
        (1, 0)
    """

    base: Evaluation
    steps: tuple[Iteration, ...] = ()
    ended: str = ""

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Iteration]:
        return iter(self.steps)

    def __getitem__(self, index: int) -> Iteration:
        return self.steps[index]

    @property
    def masks(self) -> Masks | None:
        """What is left at the end, or None if no step was done."""
        return self.steps[-1].masks if self.steps else None

    @property
    def densities(self) -> tuple[float, ...]:
        """After each step."""
        return tuple(one.density for one in self.steps)

    @property
    def accuracies(self) -> tuple[float, ...]:
        """After each step's retraining."""
        return tuple(one.retrained.accuracy for one in self.steps)

    @property
    def control_accuracies(self) -> tuple[float, ...]:
        """Of the control, after each step; empty without one."""
        return tuple(one.control.accuracy for one in self.steps if one.control is not None)

    def best(
        self,
        *,
        drop: float | None = None,
        density: float | None = None,
        against: Literal["base", "control"] = "base",
    ) -> Iteration | None:
        """The step that a rule calls the best one, or None where none obeys it.

        With `drop` alone: of the steps that lost less accuracy than that, the one with the fewest weights. With
        `density`: of the steps that are no denser (and lost less than `drop`, if it is given), the one of the highest
        accuracy. Of equals the one with fewer weights, of equals again the earlier one.

        Args:
            drop: how much accuracy may be lost, as a fraction: 0.01 is one percentage point.
            density: the largest fraction of the weights that may be left.
            against: what the accuracy is compared to: the network before the first pruning ("base"), or the control
                after the same step, which was trained as long ("control").

        Raises:
            RequestError: neither rule is given, or a number is none; or there was no control to compare with.

        Reference: Stier, Darji and Granitzer 2021, section 4.1: the smallest with less than a point lost (`drop=0.01`),
        and the best one with half of the weights gone or more (`density=0.5`).
        """
        if drop is None and density is None:
            raise RequestError("best: found neither drop nor density; say drop=0.01 or density=0.5")
        least = -math.inf if drop is None else -_fraction("drop", drop)
        most = 1.0 if density is None else _fraction("density", density)
        fitting = [
            one
            for one in self.steps
            if one.density <= most and (drop is None or difference(one.accuracy, self._compared(one, against)) > least)
        ]
        if density is None:
            return min(fitting, key=lambda one: one.left, default=None)
        judged = [one for one in fitting if not math.isnan(one.accuracy)]
        return max(judged, key=lambda one: (one.accuracy, -one.left), default=None)

    def _compared(self, one: Iteration, against: str) -> float:
        if against not in ("base", "control"):
            raise UnknownNameError("network to compare with (against)", str(against), ("base", "control"))
        if against == "base":
            return self.base.accuracy
        if one.control is None:
            raise RequestError("against: found 'control', but the loop was told control=False; compare with 'base'")
        return one.control.accuracy

    def __str__(self) -> str:
        rows = [_COLUMNS, *(one.cells() for one in self.steps)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([*lines, f"(base: {self.base}{'; ended: ' * bool(self.ended)}{self.ended})"])


def difference(accuracy: float, other: float) -> float:
    """By how much an accuracy is higher, without its last, wrong digits: 0.01 where it is one sample of a hundred.

    Example:
        >>> 0.97 - 0.96, difference(0.97, 0.96)
        (0.010000000000000009, 0.01)
    """
    return round(accuracy - other, 12)


def _fraction(name: str, number: float) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
        raise RequestError(f"{name}: found {number!r}, expected a fraction from 0 to 1; one percentage point is 0.01")
    return float(number)

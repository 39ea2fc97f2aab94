"""Dissipating gradients: in the first epochs those weights go whose gradients do not add up to anything."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.allocation import SCOPES, Scope
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune
from sparsewire.structure.selection import Only
from sparsewire.training.agreement import plain_name
from sparsewire.training.rule_contract import Moment
from sparsewire.training.rules.chosen_rows import chosen_rows, rows_changed, rows_taken
from sparsewire.training.rules.starts import checked_removed


class DissipatingGradients:
    """The rule behind `dissipating_gradients`."""

    # Before the step: what goes at an epoch's end is zero after it in either case, and gradients need no copy.
    when: ClassVar[Moment] = "before"
    dense: ClassVar[bool] = False
    grows: ClassVar[bool] = False

    def __init__(
        self,
        steps: int,
        epochs: int,
        below: float,
        removed: float | None,
        scope: Scope,
        signed: bool,
        reset: bool,
        only: Only | None,
    ) -> None:
        self.steps, self.epochs = whole("steps", steps, least=1), whole("epochs", epochs, least=1)
        if isinstance(below, bool) or not isinstance(below, int | float) or not 0 <= below < math.inf:
            raise RequestError(f"below: found {below!r}, expected a number from 0 up, e.g. 1e-6")
        if isinstance(scope, str) and scope not in SCOPES:
            raise UnknownNameError("scope", scope, SCOPES)
        if removed is None and scope != "blind":
            raise RequestError(
                f"scope: found {scope!r} without `removed`; below a threshold no layer has a share to say"
            )
        for name, flag in (("signed", signed), ("reset", reset)):
            if not isinstance(flag, bool):
                raise RequestError(f"{name}: found {flag!r}, expected True or False")
        self.below, self.removed = float(below), None if removed is None else checked_removed(removed)
        self.scope, self.signed, self.reset, self.only = scope, signed, reset, only
        self._sums: dict[str, Tensor] = {}

    def __repr__(self) -> str:
        what = f"below={self.below:g}" if self.removed is None else f"removed={self.removed:g}"
        return f"dissipating_gradients({self.steps}, epochs={self.epochs}, {what})"

    def acts_at(self, step: int) -> bool:
        """Whether the step is in the first epochs."""
        return step < self.steps * self.epochs

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """The masks without the weights whose gradients dissipated, at the last step of each of the first epochs."""
        if not self.acts_at(step):
            return None
        if step == 0:  # of this training; what an earlier one has left is no matter of it
            self._sums = {}
        shaped = {name: weights[name] for name in masks}
        rows = chosen_rows(shaped, self.only)
        for name in rows:
            self._add(plain_name(name), gradients[name])
        if (step + 1) % self.steps:
            return None
        totals = {name: self._sums[plain_name(name)] for name in rows}
        sums = {name: total if self.signed else total.abs() for name, total in totals.items()}
        if self.reset or not self.acts_at(step + 1):
            self._sums = {}
        if self.removed is None:
            return self._thresholded(masks, sums, rows)
        return self._ranked(masks, sums, shaped, self.removed * ((step + 1) // self.steps) / self.epochs)

    def _add(self, name: str, gradient: Tensor) -> None:
        if name not in self._sums:
            dtype = torch.float64 if gradient.dtype == torch.float64 else torch.float32
            self._sums[name] = torch.zeros(gradient.shape, dtype=dtype, device=gradient.device)
        self._sums[name] = self._sums[name].to(gradient.device).add_(gradient)  # what was loaded may lie elsewhere

    def _thresholded(self, masks: Masks, sums: Mapping[str, Tensor], rows: Mapping[str, Tensor | None]) -> Masks | None:
        new = {}
        for name, own in rows.items():
            # Not >=: a weight whose gradient is NaN stays, and the training finds it.
            flowing = (~(sums[name] < self.below)).to(masks[name].device)
            kept = rows_taken(masks[name] & flowing, own)
            new[name] = rows_changed(masks[name], own, kept)
        return _if_changed(Masks({**masks, **new}), masks)

    def _ranked(
        self, masks: Masks, sums: Mapping[str, Tensor], weights: Mapping[str, Tensor], removed: float
    ) -> Masks | None:
        pruned = partial(prune, weights, score=sums, density=1 - removed, scope=self.scope, only=self.only)
        try:
            return _if_changed(pruned(masks=masks), masks)
        except RequestError:
            pruned()  # says what is wrong with the request, if it is the request
            return None  # only the masks hold less than that already

    def state_dict(self) -> dict[str, Any]:
        """The sums of gradients in the present epoch."""
        return {"sums": dict(self._sums)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state."""
        if state.keys() != {"sums"}:
            raise RequestError(
                f"rule: found a memory of {', '.join(state) or 'nothing'}, but {self!r} remembers sums; "
                "make the rule as it was made for the saved run"
            )
        self._sums = {name: total.clone() for name, total in state["sums"].items()}


def dissipating_gradients(
    steps: int,
    epochs: int = 2,
    below: float = 1e-6,
    *,
    removed: float | None = None,
    scope: Scope = "blind",
    signed: bool = False,
    reset: bool = True,
    only: Only | None = None,
) -> DissipatingGradients:
    """The rule that drops, after each of the first epochs, the weights whose gradients add up to nearly nothing.

        w = 0 for good  where  |Σ ∂L/∂w over the steps of the epoch| < below

    On images this takes the weights of pixels that are always black, whose gradient is exactly zero, and little else
    while the network still learns fast. It works on gradients as `backward` gives them, not on the optimizer's updates;
    where several epochs drop weights, their masks add up. Sparse layers take the rule as well: it only drops.

    Args:
        steps: of an epoch, ≥ 1.
        epochs: how many epochs drop weights, ≥ 1; the paper's 1 to 4, and 2 for images of few grey levels.
        below: the paper's ε; its equation 4 has 10⁻⁶, its Algorithm 2 10⁻⁴.
        removed: in place of `below`: after epoch e of E the fraction removed · e / E is gone, from 0 to 1, those of
            the smallest sums first; so that a network of a given size is hit.
        scope: how much of each layer goes then, as for `prune`; only with `removed`.
        signed: whether to compare the sum itself, as the paper prints it, which drops all weights with a negative sum
            as well: about half of them.
        reset: whether each epoch sums anew, as equation 3 has it; else the sums go on over the epochs.
        only: which weights, as for `prune`.

    Raises:
        RequestError: an argument out of its range.

    Example:
        >>> rule = dissipating_gradients(steps=2, epochs=1)
        >>> weights, masks = {"weight": torch.ones(1, 3)}, Masks({"weight": torch.ones(1, 3).bool()})
        >>> rule(0, masks, weights, {"weight": torch.tensor([[0.0, 0.5, -0.1]])}) is None
        True
        >>> rule(1, masks, weights, {"weight": torch.tensor([[0.0, -0.5, -0.1]])})["weight"]
        tensor([[False, False,  True]])

    Reference: Haroon 2022, "What to prune and what not to prune at initialization", section 2.2, Algorithm 2. It
    compares without the absolute value and lets the accumulator hold the mask afterwards; `signed` and `reset` say what
    we do instead.
    """
    return DissipatingGradients(steps, epochs, below, removed, scope, signed, reset, only)


def _if_changed(new: Masks, old: Masks) -> Masks | None:
    return None if new == old else new

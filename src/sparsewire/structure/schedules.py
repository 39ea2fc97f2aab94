"""How dense a network is at each step of its training.

A schedule is a frozen value, called with a step (a whole number, 0 is the first). It gives a density: 1 before it
begins, never more later than earlier. Prunings happen at the steps begin, begin + every, begin + 2 · every, …; between
them the density stays. The classes are written like functions since they are used like these: `cubic(0.1, until=900)`.

`bucket` and `buckets` have no density to give by the step alone, since they look at the scores.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sparsewire.errors import RequestError
from sparsewire.structure.allocation import checked_density
from sparsewire.structure.blocks import whole
from sparsewire.structure.score_buckets import bucket as bucket
from sparsewire.structure.score_buckets import buckets as buckets

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class one_shot:  # noqa: N801
    """1 before step `begin`, `density` from then on.

    Args:
        density: the fraction that is kept.
        begin: the step of the only pruning.

    Example:
        >>> [one_shot(0.2, begin=2)(step) for step in range(4)]
        [1.0, 1.0, 0.2, 0.2]
    """

    density: float
    begin: int = 0

    def __post_init__(self) -> None:
        checked_density(self.density)
        _whole(begin=(self.begin, 0))

    def __call__(self, step: int) -> float:
        """The density at a step."""
        return float(self.density) if step >= self.begin else 1.0


@dataclass(frozen=True)
class fixed_size:  # noqa: N801
    """Every pruning removes the same number of weights, until `density` is reached.

        density after j prunings = max(final density, 1 − j · size / total)

    Args:
        size: how many weights each pruning removes.
        total: how many weights there are, kept or not.
        begin: the step of the first pruning.
        every: steps from one pruning to the next.
        until: the last step at which a pruning may happen; None: no last one.
        density: the fraction that is kept at the end.

    Example:
        >>> [fixed_size(30, 100, every=2)(step) for step in range(8)]
        [0.7, 0.7, 0.4, 0.4, 0.1, 0.1, 0.0, 0.0]

    Reference: Stier, Darji and Granitzer 2021, section 2 (fixed-size pruning).
    """

    size: int
    total: int
    begin: int = 0
    every: int = 1
    until: int | None = None
    density: float = 0.0

    def __post_init__(self) -> None:
        checked_density(self.density)
        _whole(size=(self.size, 1), total=(self.total, 1), begin=(self.begin, 0), every=(self.every, 1))
        _ordered(self.begin, self.until)

    def __call__(self, step: int) -> float:
        """The density at a step."""
        left = self.total - self.size * _prunings(step, self.begin, self.every, self.until)
        return max(float(self.density), left / self.total)


@dataclass(frozen=True)
class relative:  # noqa: N801
    """Every pruning removes the same fraction of the weights that remain, until `density` is reached.

        density after j prunings = max(final density, (1 − removed)^j)

    Args:
        removed: the fraction of the remaining weights that each pruning removes, from 0 to 1.
        begin: the step of the first pruning.
        every: steps from one pruning to the next.
        until: the last step at which a pruning may happen; None: no last one.
        density: the fraction that is kept at the end.

    Example:
        >>> [relative(0.5, begin=1)(step) for step in range(4)]
        [1.0, 0.5, 0.25, 0.125]

    Reference: Stier, Darji and Granitzer 2021, section 2 (relative or percentage pruning).
    """

    removed: float
    begin: int = 0
    every: int = 1
    until: int | None = None
    density: float = 0.0

    def __post_init__(self) -> None:
        checked_density(self.removed, "removed")
        checked_density(self.density)
        _whole(begin=(self.begin, 0), every=(self.every, 1))
        _ordered(self.begin, self.until)

    def __call__(self, step: int) -> float:
        """The density at a step."""
        left = (1 - self.removed) ** _prunings(step, self.begin, self.every, self.until)
        return max(float(self.density), float(left))


@dataclass(frozen=True)
class _Falling:
    """From `initial` at step `begin` to `density` at step `until`, along a curve that a subclass gives."""

    density: float
    until: int
    begin: int = 0
    every: int = 1
    initial: float = 1.0

    def __post_init__(self) -> None:
        if checked_density(self.density) > checked_density(self.initial, "initial"):
            raise RequestError(f"density: found {self.density} above initial = {self.initial}; masks only shrink")
        _whole(begin=(self.begin, 0), every=(self.every, 1), until=(self.until, self.begin + 1))
        if over := (self.until - self.begin) % self.every:
            raise RequestError(
                f"until: found {self.until}, no whole number of every = {self.every} steps after begin = {self.begin}; "
                f"try {self.until - over} or {self.until - over + self.every}"
            )

    def __call__(self, step: int) -> float:
        """The density at a step."""
        if step < self.begin:
            return 1.0
        if step >= self.until:
            return float(self.density)  # exactly, whatever the rounding below
        at = step - (step - self.begin) % self.every
        if at == self.begin:
            return float(self.initial)
        return min(float(self.initial), max(float(self.density), self._between(at)))

    def _between(self, step: int) -> float:
        raise NotImplementedError

    def _left(self, step: int) -> float:
        """Of the way from `begin` to `until`, the part that is left."""
        return 1 - (step - self.begin) / (self.until - self.begin)


class cubic(_Falling):  # noqa: N801
    """Fast at first, slow at the end: from `initial` at step `begin` to `density` at step `until` and after.

        d(t) = d_f + (d_i − d_f) · (1 − (t − t₀) / (t_n − t₀))³,   t = t₀, t₀ + every, …, t_n

    Args:
        density: the fraction that is kept at the end, d_f.
        until: the step of the last pruning, t_n; a whole number of `every` after `begin`.
        begin: the step of the first pruning, t₀.
        every: steps from one pruning to the next.
        initial: the density at `begin`, d_i.

    Example:
        >>> [round(cubic(0.1, until=3)(step), 4) for step in range(5)]
        [1.0, 0.3667, 0.1333, 0.1, 0.1]

    Reference: Zhu and Gupta 2017, equation 1, with density = 1 − their sparsity.
    """

    def _between(self, step: int) -> float:
        left = self._left(step)
        return self.density + (self.initial - self.density) * left * left * left


class cosine(_Falling):  # noqa: N801
    """Slow at both ends: from `initial` at step `begin` along half a wave to `density` at step `until` and after.

        d(t) = d_f + ½ · (d_i − d_f) · (1 + cos(π · (t − t₀) / (t_n − t₀)))

    Args:
        density: the fraction that is kept at the end, d_f.
        until: as for `cubic`, t_n.
        begin: the step of the first pruning, t₀.
        every: steps from one pruning to the next.
        initial: the density at `begin`, d_i.

    Example:
        >>> [round(cosine(0.2, until=4)(step), 4) for step in range(6)]
        [1.0, 0.8828, 0.6, 0.3172, 0.2, 0.2]

    Reference: Loshchilov and Hutter 2017, equation 5 (for learning rates, without restarts).
    """

    def _between(self, step: int) -> float:
        return self.density + (self.initial - self.density) * (1 + math.cos(math.pi * (1 - self._left(step)))) / 2


class exponential(_Falling):  # noqa: N801
    """The same fraction of what remains goes at every pruning: from `initial` at `begin` to `density` at `until`.

        d(t) = d_i · (d_f / d_i)^((t − t₀) / (t_n − t₀))

    This is `relative` for who knows where to end rather than how much to remove each time.

    Args:
        density: the fraction that is kept at the end, d_f; above 0, which no fraction of the rest ever reaches.
        until: as for `cubic`, t_n.
        begin: the step of the first pruning, t₀.
        every: steps from one pruning to the next.
        initial: the density at `begin`, d_i.

    Example:
        >>> [round(exponential(0.01, until=4)(step), 4) for step in range(6)]
        [1.0, 0.3162, 0.1, 0.0316, 0.01, 0.01]
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.density == 0:
            raise RequestError(f"density: found {self.density}, expected one above 0; cubic and cosine can end at 0")

    def _between(self, step: int) -> float:
        return float(self.initial * (self.density / self.initial) ** (1 - self._left(step)))


def _prunings(step: int, begin: int, every: int, until: int | None) -> int:
    """How many prunings have happened by a step, that step's own included."""
    last = step if until is None else min(step, until)
    return max(0, (last - begin) // every + 1)


def _whole(**numbers: tuple[object, int]) -> None:
    for name, (number, least) in numbers.items():
        whole(name, number, least)


def _ordered(begin: int, until: int | None) -> None:
    if until is not None:
        _whole(until=(until, begin))

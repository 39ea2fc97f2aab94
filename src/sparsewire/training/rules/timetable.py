"""When connections are exchanged, and how many at each time."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.allocation import checked_density
from sparsewire.structure.blocks import whole

# The part of the way to the last exchange that is behind → the part of the fraction that is left.
DECAYS: dict[str, Callable[[float], float]] = {
    "constant": lambda gone: 1.0,
    "cosine": lambda gone: (1 + math.cos(math.pi * gone)) / 2,
    "cubic": lambda gone: (1 - gone) ** 3,
    "linear": lambda gone: 1 - gone,
}


@dataclass(frozen=True)
class Timetable:
    """Exchanges at the steps `steps`, 2 · `steps`, … up to `until`; each of a fraction that decays on the way there.

        f(t) = fraction · d(t / until),   d(x) = ½ (1 + cos πx) ("cosine"), 1 − x, (1 − x)³ or 1 ("constant")

    Step 0 is none of them, since nothing has been learnt yet. Where the fraction has come to zero, as at `until` itself
    (but for "constant"), nothing happens.

    Args:
        steps: from one exchange to the next, at least 1.
        until: the last step at which there may be an exchange; None: there is no last one, for "constant" alone.
        fraction: of the connections that exist, from 0 to 1.
        decay: "cosine", "linear", "cubic" or "constant".

    Raises:
        RequestError: one of them cannot be.

    Example:
        >>> table = Timetable(steps=10, until=40, fraction=0.4, decay="cosine")
        >>> [(step, round(table.fraction_at(step), 3)) for step in range(60) if table.acts_at(step)]
        [(10, 0.341), (20, 0.2), (30, 0.059)]

    Reference: Evci et al. 2020, section 3 (cosine) and appendix G (constant, linear, cubic).
    """

    steps: int
    until: int | None
    fraction: float
    decay: str

    def __post_init__(self) -> None:
        whole("steps", self.steps, least=1)
        try:
            checked_density(self.fraction, "fraction")
        except RequestError:
            raise RequestError(
                f"fraction: found {self.fraction!r}, expected a number from 0 to 1, of the connections that exist"
            ) from None
        if not isinstance(self.decay, str) or self.decay not in DECAYS:
            raise UnknownNameError("decay", str(self.decay), DECAYS)
        if self.until is not None:
            whole("until", self.until, least=1)
        elif self.decay != "constant":
            raise RequestError(
                f"until: found None, but a fraction that decays ({self.decay!r}) does so up to some step; "
                "give one, such as three quarters of the training, or decay='constant'"
            )

    def fraction_at(self, step: int) -> float:
        """The fraction of the connections that is exchanged at a step, if it is one of the table."""
        if self.until is None:
            return float(self.fraction)
        return 0.0 if step > self.until else float(self.fraction) * DECAYS[self.decay](step / self.until)

    def acts_at(self, step: int) -> bool:
        """Whether anything is exchanged at a step."""
        return step > 0 and step % self.steps == 0 and self.fraction_at(step) > 0

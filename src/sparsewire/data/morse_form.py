"""What frames of Morse code look like: lengths, levels and noise."""

from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

import numpy as np

from sparsewire.data.morse_symbols import MORSE
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import whole

Range = tuple[int, int]
STYLES = ("grey", "binary")
_MOST_SAMPLES = 1 << 20  # of one frame, 4 MiB


class MorseOptions(TypedDict, total=False):
    """The options of `morse`, `morse_set` and `MorseStream`, all of which may be left out; `morse` explains them."""

    style: Literal["grey", "binary"]
    noise: float
    flips: int
    dots: Range
    dashes: Range
    spaces: Range
    leading: bool
    dilation: int
    frame: int


# The paper's data sets: {} is the "baseline", this the "difficult" one.
MORSE_DIFFICULT: MorseOptions = {"noise": 4.0, "dashes": (3, 9), "leading": True}


@dataclass(frozen=True)
class MorseForm:
    """The checked options of `morse`, with `frame` and the ranges not yet dilated.

    Raises:
        RequestError: an option is impossible; the message names it and the nearest one that is not.

    Example:
        >>> MorseForm().longest, MorseForm(dilation=2).longest, MorseForm(dilation=2).samples
        (57, 114, 128)
        >>> MorseForm(frame=40)
        Traceback (most recent call last):
            ...
        sparsewire.errors.RequestError: frame: found 40, expected at least 57: so long can the code ----- of '0' be
    """

    style: str = "grey"
    noise: float = 0.0
    flips: int = 0
    dots: Range = (1, 3)
    dashes: Range = (4, 9)
    spaces: Range = (1, 3)
    leading: bool = False
    dilation: int = 1
    frame: int = 64

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise UnknownNameError("style of Morse frames", str(self.style), STYLES)
        self._check_noise()
        if not isinstance(self.leading, bool):
            raise RequestError(f"leading: found {self.leading!r}, expected True or False")
        for name in ("dots", "dashes", "spaces"):
            _check_range(name, getattr(self, name))
        whole("dilation", self.dilation, least=1)
        whole("frame", self.frame, least=1)
        if self.frame * self.dilation < self.longest:
            symbol = max(MORSE, key=lambda one: self._length(MORSE[one]))
            raise RequestError(
                f"frame: found {self.frame}, expected at least {self._length(MORSE[symbol])}: "
                f"so long can the code {MORSE[symbol]} of {symbol!r} be"
            )
        if self.samples > _MOST_SAMPLES:
            raise RequestError(
                f"frame · dilation: found {self.frame} · {self.dilation}, expected at most {_MOST_SAMPLES:,} samples"
            )
        if whole("flips", self.flips, least=0) > self.samples:
            raise RequestError(f"flips: found {self.flips}, expected at most {self.samples}, the samples of a frame")

    @classmethod
    def of(cls, options: MorseOptions) -> "MorseForm":
        """The form with these options.

        Raises:
            RequestError: an option is impossible, or there is none of that name.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise UnknownNameError("option of Morse frames", name, known)
        return cls(**options)

    @property
    def samples(self) -> int:
        """The length of a frame, dilated."""
        return self.frame * self.dilation

    @property
    def longest(self) -> int:
        """The most samples that any code can take, dilated: what follows them in a frame is always space."""
        return max(map(self._length, MORSE.values())) * self.dilation

    def _length(self, code: str) -> int:
        marks = sum(self.dots[1] if mark == "." else self.dashes[1] for mark in code)
        return marks + (len(code) - 1) * self.spaces[1]

    def _check_noise(self) -> None:
        real = isinstance(self.noise, int | float | np.integer | np.floating) and not isinstance(self.noise, bool)
        if not real or not 0 <= self.noise < float("inf"):
            raise RequestError(f"noise: found {self.noise!r}, expected a standard deviation of 0 or more")
        if self.noise and self.style == "binary":
            raise RequestError(f"noise: found {self.noise} with style 'binary', expected 0; use flips there")
        if self.flips and self.style == "grey":
            raise RequestError(f"flips: found {self.flips} with style 'grey', expected 0; use noise there")


def _check_range(name: str, value: Any) -> None:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise RequestError(f"{name}: found {value!r}, expected (least, most) in samples, such as (1, 3)")
    least, most = (whole(f"{name}[{at}]", length, least=1) for at, length in enumerate(value))
    if least > most:
        raise RequestError(f"{name}: found {value!r}, expected the least length first: ({most}, {least})")

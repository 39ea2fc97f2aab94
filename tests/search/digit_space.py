"""A space of six digits, small enough to see through: the more sevens, the better."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from sparsewire.search.spaces import Space

Digits = tuple[int, ...]


def draw(generator: torch.Generator) -> Digits:
    return tuple(torch.randint(10, (6,), generator=generator).tolist())


def mutate(digits: Digits, generator: torch.Generator) -> Digits:
    place = int(torch.randint(6, (), generator=generator))
    step = 1 + int(torch.randint(9, (), generator=generator))
    return (*digits[:place], (digits[place] + step) % 10, *digits[place + 1 :])


def crossover(one: Digits, other: Digits, generator: torch.Generator) -> tuple[Digits, Digits]:
    cut = 1 + int(torch.randint(5, (), generator=generator))
    return one[:cut] + other[cut:], other[:cut] + one[cut:]


def to_text(digits: Digits) -> str:
    return "".join(str(digit) for digit in digits)


def from_text(text: str) -> Digits:
    return tuple(int(digit) for digit in text)


def features(digits: Digits) -> dict[str, float]:
    return {f"digit {place}": float(digit) for place, digit in enumerate(digits)} | {"sevens": float(sevens(digits))}


def sevens(digits: Digits) -> int:
    return digits.count(7)


def near_seven(digits: Digits) -> float:
    return -float(sum(abs(digit - 7) for digit in digits))


DIGITS: Space[Digits] = Space(draw, mutate, crossover, to_text, to_text, from_text, features)


def allowing(allowed: Callable[[Digits], bool]) -> Space[Digits]:
    return replace(DIGITS, allowed=allowed)


def counting(values: list[Any], value: Callable[[Digits], Any] = near_seven) -> Callable[[Digits], Any]:
    """`value`, which notes in `values` what it was asked for."""

    def asked(digits: Digits) -> Any:
        values.append(digits)
        return value(digits)

    return asked

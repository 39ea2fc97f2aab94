"""A split: how many edges each junction of a chain of layers has, the same for all neurons of a layer."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import checked_sizes, whole
from sparsewire.structure.degrees import fan_out_step

T = TypeVar("T")


@dataclass(frozen=True)
class Split:
    """How many edges each junction of a chain has, the same for every neuron of a layer.

    Args:
        sizes: neurons per layer, inputs first.
        fan_outs: of each junction, the edges that leave every left neuron.

    Raises:
        RequestError: a fan-out with which not all right neurons can have the same fan-in; it names the nearest.

    Example:
        >>> split = Split((64, 1024, 64), (256, 48))
        >>> split.fan_ins, split.densities, split.density, split.edges
        ((16, 768), (0.25, 0.75), 0.5, (16384, 49152))
        >>> print(split)
        64-1024-64, fan-outs 256, 48, fan-ins 16, 768, densities 25 %, 75 %, overall 50 %
    """

    sizes: tuple[int, ...]
    fan_outs: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", checked_chain(self.sizes))
        fan_outs = one_each("fan_outs", self.fan_outs, self.sizes)
        for place, (fan_out, n_in, n_out) in enumerate(zip(fan_outs, self.sizes, self.sizes[1:], strict=False)):
            known = whole(f"fan_outs[{place}]", fan_out, least=1)
            near = nearest_fan_outs(n_in, n_out, Fraction(known))
            if known not in near:
                raise RequestError(
                    f"fan_outs[{place}]: found {fan_out}, expected {possible(n_in, n_out)}; "
                    f"nearest: {' and '.join(map(str, near))}"
                )
        object.__setattr__(self, "fan_outs", tuple(int(fan_out) for fan_out in fan_outs))

    @property
    def edges(self) -> tuple[int, ...]:
        """Of each junction: n_in · fan-out."""
        return tuple(n_in * fan_out for n_in, fan_out in zip(self.sizes, self.fan_outs, strict=False))

    @property
    def places(self) -> tuple[int, ...]:
        """Of each junction the edges that it can have at most: n_in · n_out."""
        return places_of(self.sizes)

    @property
    def fan_ins(self) -> tuple[int, ...]:
        """Of each junction, the edges that reach every right neuron: n_in · fan-out / n_out."""
        return tuple(edges // n_out for edges, n_out in zip(self.edges, self.sizes[1:], strict=True))

    @property
    def densities(self) -> tuple[float, ...]:
        """Of each junction: fan-out / n_out."""
        return tuple(fan_out / n_out for fan_out, n_out in zip(self.fan_outs, self.sizes[1:], strict=True))

    @property
    def density(self) -> float:
        """Overall: Σ edges / Σ places."""
        return sum(self.edges) / sum(self.places)

    def __str__(self) -> str:
        numbers = (", ".join(map(str, part)) for part in (self.fan_outs, self.fan_ins))
        densities = ", ".join(f"{100 * density:.3g} %" for density in self.densities)
        return "{}, fan-outs {}, fan-ins {}, densities {}, overall {:.3g} %".format(
            "-".join(map(str, self.sizes)), *numbers, densities, 100 * self.density
        )


def nearest_fan_outs(n_in: int, n_out: int, wish: Fraction) -> tuple[int, ...]:
    """The nearest regular fan-outs up to the wish and from it on: one if it is met or if only one side has any.

    Example:
        >>> nearest_fan_outs(784, 100, Fraction(30)), nearest_fan_outs(784, 100, Fraction(10))
        ((25, 50), (25,))
    """
    step = fan_out_step(n_in, n_out)
    around = (math.floor(wish / step) * step, math.ceil(wish / step) * step)
    return tuple(sorted({min(max(fan_out, step), n_out) for fan_out in around}))


def checked_chain(sizes: Sequence[int]) -> tuple[int, ...]:
    """The sizes of at least two layers as ints.

    Raises:
        RequestError: there are fewer, or one is not a whole number of at least 1.
    """
    if not isinstance(sizes, Sequence) or len(sizes) < 2:
        raise RequestError(f"sizes: found {sizes!r}, expected the neurons of at least two layers, such as (784, 100)")
    return checked_sizes(sizes)


def one_each(argument: str, values: Sequence[T], sizes: tuple[int, ...]) -> Sequence[T]:
    """The values, where there is one for each junction.

    Raises:
        RequestError: there are more or fewer.
    """
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != len(sizes) - 1:
        raise RequestError(
            f"{argument}: found {values!r}, expected {len(sizes) - 1}, one for each junction of "
            f"{'-'.join(map(str, sizes))}"
        )
    return values


def possible(n_in: int, n_out: int) -> str:
    """Which fan-outs are regular, in words."""
    step = fan_out_step(n_in, n_out)
    return (
        f"{f'a multiple of {step}' if step > 1 else 'a whole number'} up to {n_out} between {n_in} and {n_out} neurons"
    )


def places_of(sizes: Sequence[int]) -> tuple[int, ...]:
    """Of each junction the edges that it can have at most."""
    return tuple(n_in * n_out for n_in, n_out in itertools.pairwise(sizes))

"""How many edges each neuron of a junction gets: the arithmetic of regular connection patterns.

A junction has n_in left and n_out right neurons. It is *regular* where every left neuron has the same number of edges,
the fan-out, and every right neuron the same, the fan-in; then

    n_in · fan_out = n_out · fan_in = edges,     density = edges / (n_in · n_out)

which is possible for those fan-outs only that are multiples of n_out / gcd(n_in, n_out).
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational, Real

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole


@dataclass(frozen=True)
class Degrees:
    """How many edges a junction has and, shared out as evenly as possible, each of its neurons.

    Args:
        n_in: left neurons, at least 1.
        n_out: right neurons, at least 1.
        edges: from 1 to n_in · n_out.

    Raises:
        RequestError: a number is not whole or out of its range.

    Example:
        >>> Degrees(8, 4, 16)
        Degrees(n_in=8, n_out=4, edges=16)
        >>> print(Degrees(8, 4, 16))
        8 × 4: 16 edges, density 0.5, fan-out 2, fan-in 4
        >>> print(Degrees(8, 3, 16))
        8 × 3: 16 edges, density 0.666667, fan-out 2, fan-in 5 to 6 (uneven)
    """

    n_in: int
    n_out: int
    edges: int

    def __post_init__(self) -> None:
        for name in ("n_in", "n_out", "edges"):
            object.__setattr__(self, name, whole(name, getattr(self, name), least=1))
        if self.edges > self.places:
            raise RequestError(
                f"edges: found {self.edges}, expected at most {self.places}, the places of a junction of "
                f"{self.n_in} × {self.n_out} neurons"
            )

    @property
    def places(self) -> int:
        """How many edges the junction would have with all neurons connected."""
        return self.n_in * self.n_out

    @property
    def fan_out(self) -> tuple[int, int]:
        """The least and the most edges of a left neuron."""
        return self.edges // self.n_in, -(-self.edges // self.n_in)

    @property
    def fan_in(self) -> tuple[int, int]:
        """The least and the most edges of a right neuron."""
        return self.edges // self.n_out, -(-self.edges // self.n_out)

    @property
    def density(self) -> float:
        """The fraction of the places that hold an edge."""
        return self.edges / self.places

    @property
    def is_regular(self) -> bool:
        """Whether all neurons of a side have the same number of edges."""
        return self.edges % self.n_in == 0 and self.edges % self.n_out == 0

    def __str__(self) -> str:
        fans = f"fan-out {_range(self.fan_out)}, fan-in {_range(self.fan_in)}"
        uneven = "" if self.is_regular else " (uneven)"
        return f"{self.n_in} × {self.n_out}: {self.edges} edges, density {self.density:.6g}, {fans}{uneven}"


def fan_out_step(n_in: int, n_out: int) -> int:
    """The least fan-out with which a junction is regular; the others are its multiples, up to n_out.

        n_out / gcd(n_in, n_out)

    Args:
        n_in: left neurons, at least 1.
        n_out: right neurons, at least 1.

    Raises:
        RequestError: a number is not whole or less than 1.

    Example:
        >>> fan_out_step(64, 1024), fan_out_step(784, 112), fan_out_step(112, 10)
        (16, 1, 5)
    """
    n_in, n_out = whole("n_in", n_in, least=1), whole("n_out", n_out, least=1)
    return n_out // math.gcd(n_in, n_out)


def degrees(
    n_in: int,
    n_out: int,
    *,
    fan_out: int | None = None,
    fan_in: int | None = None,
    density: float | Fraction | None = None,
    uneven: bool = False,
) -> Degrees:
    """The degrees of the junction that one of its three numbers asks for.

    Args:
        n_in: left neurons, at least 1.
        n_out: right neurons, at least 1.
        fan_out: edges of each left neuron, from 1 to n_out; or
        fan_in: edges of each right neuron, from 1 to n_in; or
        density: the fraction of the places that hold an edge, above 0 and up to 1.
        uneven: whether what cannot be regular is met as evenly as possible: the degrees of a side differ by at most
            one, a given fan-out or fan-in is exact on its own side, and a density gives the nearest number of edges.

    Raises:
        RequestError: the junction cannot be regular (the message names the nearest requests that can), none or several
            of the three are given, or a number is out of its range.

    Example:
        >>> degrees(784, 112, fan_out=28)
        Degrees(n_in=784, n_out=112, edges=21952)
        >>> print(degrees(112, 10, fan_out=3, uneven=True))
        112 × 10: 336 edges, density 0.3, fan-out 3, fan-in 33 to 34 (uneven)
        >>> degrees(112, 10, fan_out=3)
        Traceback (most recent call last):
        sparsewire.errors.RequestError: fan_out: found 3, which gives 336 edges for 10 right neurons, expected ...

    Reference: Dey, Huang, Beerel and Chugg 2018, section 2: N_i · fo_i = N_{i+1} · fi_i. They leave uneven ones out.
    """
    n_in, n_out = whole("n_in", n_in, least=1), whole("n_out", n_out, least=1)
    given = {
        name: value
        for name, value in (("fan_out", fan_out), ("fan_in", fan_in), ("density", density))
        if value is not None
    }
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise RequestError(f"fan_out, fan_in, density: found {found}, expected exactly one of the three")
    ((name, value),) = given.items()
    if name == "density":
        edges, asked = _edges_of_density(value, n_in, n_out, uneven)
    else:
        units, others = (n_in, n_out) if name == "fan_out" else (n_out, n_in)
        edges = units * _fan(name, value, others, n_in, n_out)
        asked = Fraction(edges)
    if not uneven and (not edges or asked != edges or edges % math.lcm(n_in, n_out)):
        raise RequestError(_not_regular(name, value, asked, n_in, n_out))
    return Degrees(n_in, n_out, edges)


def _fan(name: str, value: object, others: int, n_in: int, n_out: int) -> int:
    try:
        fan = whole(name, value, least=1)
    except RequestError as cause:
        raise RequestError(f"{cause}; {_nearest(name, Fraction(0), n_in, n_out)}") from None
    if fan > others:
        places = "right" if name == "fan_out" else "left"
        raise RequestError(
            f"{name}: found {fan}, more edges than places: there are {others} {places} neurons; "
            f"{_nearest(name, Fraction(n_in * n_out), n_in, n_out)}"
        )
    return fan


def _edges_of_density(value: object, n_in: int, n_out: int, uneven: bool) -> tuple[int, Fraction]:
    if isinstance(value, bool) or not isinstance(value, Real) or value <= 0 or not value <= 1:
        raise RequestError(
            f"density: found {value!r}, expected a number above 0 and up to 1, the fraction of the places that hold "
            f"an edge; {_nearest('density', Fraction(0), n_in, n_out)}"
        )
    places = n_in * n_out
    exact = Fraction(value) if isinstance(value, Rational) else Fraction(float(value))
    step = 1 if uneven else math.lcm(n_in, n_out)
    edges = step * math.floor(exact * places / step + Fraction(1, 2))
    if uneven:
        if not isinstance(value, Rational):  # as `prune` counts: 96.5 of 100 are 97, though 0.965's double is less
            edges = math.floor(float(value) * places + 0.5)
        if not edges:
            raise RequestError(
                f"density: found {value!r}, less than half an edge of {n_in} × {n_out} places; "
                f"the nearest request is {1 / places:.6g}, one edge"
            )
        return edges, exact * places
    # A number such as 0.1 stands for the fraction that it is the nearest double of.
    near = edges > 0 and abs(exact * places - edges) <= edges * Fraction(1, 10**12)
    return edges, Fraction(edges) if near else exact * places


def _not_regular(name: str, value: object, asked: Fraction, n_in: int, n_out: int) -> str:
    if name == "density":
        found = f"which is {float(asked):.6g} edges"
        expected = f"a multiple of {math.lcm(n_in, n_out)} edges, that {n_in} left and {n_out} right neurons can share"
    else:
        side, number = ("right", n_out) if name == "fan_out" else ("left", n_in)
        found = f"which gives {int(asked)} edges for {number} {side} neurons"
        expected = "the same number of edges for each"
    nearest = _nearest(name, asked, n_in, n_out)
    return f"{name}: found {value!r}, {found}, expected {expected}; {nearest}; uneven=True allows degrees off by one"


def _nearest(name: str, asked: Fraction, n_in: int, n_out: int) -> str:
    """The nearest regular requests below and above so many edges, in words."""
    step = math.lcm(n_in, n_out)
    below, above = step * math.floor(asked / step), step * math.ceil(asked / step)
    nearest = [edges for edges in dict.fromkeys((below, above)) if 0 < edges <= n_in * n_out]
    shown = [_as_request(name, edges, n_in, n_out) for edges in (nearest or [step])]
    subject = "the nearest regular requests are" if len(shown) > 1 else "the nearest regular request is"
    return f"{subject} {' and '.join(shown)}"


def _as_request(name: str, edges: int, n_in: int, n_out: int) -> str:
    if name == "density":
        exact = Fraction(edges, n_in * n_out)
        return f"{exact} = {float(exact):.6g}" if exact < 1 else "1"
    return str(edges // (n_in if name == "fan_out" else n_out))


def _range(fan: tuple[int, int]) -> str:
    return str(fan[0]) if fan[0] == fan[1] else f"{fan[0]} to {fan[1]}"

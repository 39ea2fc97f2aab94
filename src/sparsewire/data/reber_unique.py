"""Random walks through an automaton, each string once: as if drawn one by one, but without drawing any again."""

import functools
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sparsewire.data.reber_grammar import Automaton
from sparsewire.errors import RequestError
from sparsewire.structure.blocks import checked_generator, whole

Array = NDArray[Any]

# Without a `longest`, so many more letters than the shortest: of Reber's walks, each letter beyond the 256th would be
# reached by one in 10²⁰. Probabilities are floats, which ends all strings at 1000 letters.
_MORE_LETTERS, _MOST_LETTERS = 256, 1000


def unique_strings(
    automaton: Automaton,
    count: int,
    *,
    generator: torch.Generator,
    shortest: int = 11,
    longest: int | None = None,
) -> list[str]:
    """Different strings of an automaton, in the order in which random walks would find them.

    A walk takes each edge that leaves a state with the same probability (of Reber's two: 0.5); strings of another
    length than `shortest` … `longest`, and those that came before, are thrown away. Here none is drawn twice to begin
    with: let every string s arrive at a random time, exponentially distributed with rate p(s), the probability of its
    walk. The order of arrivals is that of the walks without repetition, and all that arrives until a time can be drawn
    at once: the strings of one length have one p.

    Args:
        automaton: `REBER`, `EMBEDDED_REBER`, `relabelled(…)` or any other whose strings of one length are equally
            probable, with at most two edges that leave a state.
        count: how many strings, at least 0.
        generator: what is drawn from.
        shortest: letters of the shortest string, at least 0.
        longest: letters of the longest string, at most 1000; None: any number (up to 256 more than `shortest`, which
            leaves out less than one string in 10¹⁸).

    Raises:
        RequestError: there are fewer strings of these lengths (the message says how many), or an argument is
            impossible.

    Example:
        >>> from sparsewire.data.reber_grammar import REBER
        >>> strings = unique_strings(REBER, 1000, generator=torch.Generator().manual_seed(0))
        >>> len(set(strings)), all(map(REBER.accepts, strings)), min(map(len, strings))
        (1000, True, 11)

    Reference:
        The true strings of Stier, Darji, Granitzer (2021), section 4.2: 12,500 different ones of at least 11 letters.
    """
    if not isinstance(automaton, Automaton):
        raise RequestError(f"automaton: found {automaton!r}, expected an Automaton such as sparsewire.data.REBER")
    whole("count", count, least=0)
    checked_generator(generator)
    walks = _walks(automaton, *checked_lengths(shortest, longest))
    there_are = sum(walks.sizes)
    if there_are < count:
        raise RequestError(
            f"count: found {count:,}, expected at most {there_are:,}: so many different strings "
            f"of {shortest} to {walks.longest} letters there are"
        )
    if not count:
        return []
    wanted = count + 8 * math.isqrt(count) + 32  # with eight deviations to spare, so that one draw is enough
    until = math.inf if there_are <= wanted else walks.time_of(wanted)
    while len(strings := _arrivals(walks, until, wanted, generator)) < count:
        until *= 2
    return strings[:count]


def checked_lengths(shortest: int, longest: int | None) -> tuple[int, int]:
    """The least and the largest number of letters that these two mean.

    Raises:
        RequestError: one is no whole number of letters, or no length lies between them.

    Example:
        >>> checked_lengths(11, 20), checked_lengths(11, None)
        ((11, 20), (11, 267))
    """
    room = _MOST_LETTERS - _MORE_LETTERS
    if whole("shortest", shortest, least=0) > room:
        raise RequestError(f"shortest: found {shortest}, expected at most {room} letters")
    if longest is None:
        return shortest, shortest + _MORE_LETTERS
    if not shortest <= whole("longest", longest, least=0) <= _MOST_LETTERS:
        raise RequestError(
            f"longest: found {longest}, expected None or {shortest} (the shortest) to {_MOST_LETTERS} letters"
        )
    return shortest, longest


@dataclass(frozen=True, eq=False)
class _Walks:
    """How many strings of each length there are, how probable one of them is, and which way how many of them go.

    States are numbered from 0 here; where fewer than the most ways leave one, the others are never taken. The last
    state is the end, where NUL follows NUL, so that strings of all lengths can be spelled side by side.
    """

    lengths: Array
    sizes: tuple[int, ...]  # Python's integers: there are 10⁵⁰ strings of 250 letters
    rates: tuple[float, ...]
    start: int
    longest: int
    shares: Array  # (letters left, state, way): the share of the strings from here that go this way or one before it
    letters: Array  # (state, way)
    after: Array  # (state, way)

    def time_of(self, expected: int) -> float:
        """When so many strings are expected to have arrived, or 2 % later."""
        time = 1.0
        while self._arrived(time) < expected:
            time *= 2
        while self._arrived(time / 1.02) >= expected:
            time /= 1.02
        return time

    def _arrived(self, time: float) -> float:
        return sum(-size * math.expm1(-time * rate) for size, rate in zip(self.sizes, self.rates, strict=True))


@functools.lru_cache(maxsize=32)
def _walks(automaton: Automaton, shortest: int, longest: int) -> _Walks:
    counts = automaton.counts(longest)
    states = [*sorted({state for state, _, _ in automaton.edges}), automaton.end]
    ways = {state: [edge[1:] for edge in automaton.edges if edge[0] == state] for state in states}
    most = max(map(len, ways.values()))
    letters, after = np.zeros((len(states), most), np.uint8), np.full((len(states), most), len(states) - 1)
    shares = np.ones((longest + 1, len(states), most))
    for at, state in enumerate(states):
        for way, (letter, to) in enumerate(ways[state]):
            letters[at, way], after[at, way] = ord(letter), states.index(to)
        for left in range(1, longest + 1):
            if here := counts[left].get(state, 0):
                each = [counts[left - 1].get(to, 0) / here for _, to in ways[state]]
                shares[left, at, : len(each) - 1] = np.cumsum(each)[:-1]
    lengths = [length for length in range(shortest, longest + 1) if automaton.start in counts[length]]
    sizes = tuple(counts[length][automaton.start] for length in lengths)
    chances = _chances(automaton, longest)
    rates = tuple(chances[length] for length in lengths)
    start = states.index(automaton.start)
    return _Walks(np.array(lengths, np.int64), sizes, rates, start, longest, shares, letters, after)


def _chances(automaton: Automaton, longest: int) -> list[float]:
    """How probable the walk of a string of each length 0 … `longest` is; 0 where there is none."""
    leaving = Counter(state for state, _, _ in automaton.edges)
    if max(leaving.values(), default=0) > 2:
        raise RequestError("automaton: found a state that more than two edges leave, expected at most two")
    chances, logarithms = [], {automaton.end: (0.0, 0.0)}  # the least and the greatest of the strings to the end
    for length in range(longest + 1):
        least, greatest = logarithms.get(automaton.start, (-math.inf, -math.inf))
        if least < greatest:
            raise RequestError(f"automaton: found strings of {length} letters that are not equally probable")
        chances.append(2.0**least)
        before, logarithms = logarithms, {}
        for state, _, to in automaton.edges:
            if to in before:
                low, high = logarithms.get(state, (math.inf, -math.inf))
                more = leaving[state] - 1  # one bit for a choice of two
                logarithms[state] = min(low, before[to][0] - more), max(high, before[to][1] - more)
    return chances


def _arrivals(walks: _Walks, until: float, wanted: int, generator: torch.Generator) -> list[str]:
    """The strings that arrive until then, in their order, each once."""
    times, places, lengths, fresh = [], [], [], []
    for length, size, rate in zip(walks.lengths, walks.sizes, walks.rates, strict=True):
        many = size > 4 * wanted
        if many:  # so many strings that few arrive, and hardly any twice: arrivals anywhere, of which the first counts
            drawn = _uniform(int(_poisson(until * rate * size, generator)), generator)
            arrived, place = _uniform(len(drawn), generator) * until, drawn
        else:  # a time for each string
            arrived = -np.log1p(-_uniform(size, generator)) / rate
            place = (np.flatnonzero(arrived <= until) + 0.5) / size
            arrived = arrived[arrived <= until]
        times.append(arrived)
        places.append(place)
        lengths.append(np.full(len(place), length))
        fresh.append(np.full(len(place), many))
    order = np.argsort(np.concatenate(times), kind="stable")
    rows = [np.concatenate(part)[order] for part in (lengths, places, fresh)]
    return list(dict.fromkeys(_spelled(walks, rows[0], rows[1], rows[2], generator)))


def _spelled(walks: _Walks, lengths: Array, places: Array, fresh: Array, generator: torch.Generator) -> list[str]:
    """The string at each place, in 0 … 1, of all strings of its length in order; where `fresh`, any."""
    longest = int(lengths.max(initial=0))
    spelled = np.zeros((len(lengths), max(longest, 1)), np.uint8)
    states, way = np.full(len(lengths), walks.start), np.zeros(len(lengths), np.int64)
    for step in range(longest):
        shares = walks.shares[(lengths - step).clip(0), states]
        way = (places[:, None] >= shares[:, :-1]).sum(1)
        spelled[:, step], states = walks.letters[states, way], walks.after[states, way]
        # A place in the way taken is as uniform as it was, but has fewer digits: enough for the few strings in order.
        rows = np.arange(len(way))
        least = np.where(way > 0, shares[rows, way - 1], 0.0)
        places = np.where(fresh, _uniform(len(way), generator), (places - least) / (shares[rows, way] - least))
    return spelled.view(f"S{spelled.shape[1]}").ravel().astype(str).tolist()


def _uniform(count: int, generator: torch.Generator) -> Array:
    return torch.rand(count, generator=generator, device=generator.device, dtype=torch.float64).cpu().numpy()


def _poisson(mean: float, generator: torch.Generator) -> float:
    rate = torch.tensor(mean, dtype=torch.float64, device=generator.device)
    return float(torch.poisson(rate, generator=generator))

"""The new candidates of a generation: drawn, mutated and crossed, and none that is known already."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import torch

from sparsewire.errors import RequestError
from sparsewire.search.selection import parent_of
from sparsewire.search.settings import Settings
from sparsewire.search.spaces import Space
from sparsewire.search.states import Candidate, Operator, State

G = TypeVar("G")

_KNOWN = 10  # so often a known candidate is made again before it is taken as it is
_REFUSED = 1000  # so often one that is not allowed


class NothingAllowedError(RequestError):
    """The space allows none of the genomes that it draws."""


class Way(NamedTuple, Generic[G]):
    """How one candidate, or two, shall come about: by which operator, of whom, and the call that makes them."""

    operator: Operator
    parents: tuple[str, ...]
    make: Callable[[], Sequence[G]]


class Offspring(NamedTuple, Generic[G]):
    """What came about: the new ones, known ones that came up again, and how often a known one was made."""

    fresh: tuple[Candidate[G], ...]
    again: tuple[str, ...]
    duplicates: int


def stream(seed: int, generation: int, purpose: str) -> torch.Generator:
    """The generator of one purpose in one generation; no other draws shift it.

    Example:
        >>> one, same = stream(7, 2, "variation"), stream(7, 2, "variation")
        >>> bool((torch.rand(3, generator=one) == torch.rand(3, generator=same)).all())
        True
    """
    digest = hashlib.sha256(f"{seed}/{generation}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def offspring(space: Space[G], settings: Settings, state: State[G]) -> Offspring[G]:
    """The new candidates of the state's generation.

    A candidate that is known already is made again, from the same parents, up to 10 times; then the known one is taken,
    with all that is known of it. One that is not allowed is made again up to 1,000 times, then left out.

    Args:
        space: draws and varies.
        settings: of the search.
        state: its `living` are the parents; the history says who is known.

    Raises:
        NothingAllowedError: the first 1,000 genomes of a search were refused.
    """
    generator = stream(state.seed, state.generation, "variation")
    ways = _WAYS[settings.method] if state.living else _drawn_anew
    found: _Found[G] = _Found(space, state)
    for way in ways(space, settings, state.population, generator):
        found.take(way)
        if not state.generation and not found.fresh:
            raise NothingAllowedError(f"allowed: refused {_REFUSED:,} genomes in a row, expected some that it allows")
        if settings.method == "nsga2" and len(found.fresh) >= settings.batch:
            break
    return Offspring(tuple(found.fresh.values()), tuple(dict.fromkeys(found.again)), found.duplicates)


@dataclass
class _Found(Generic[G]):
    """Collects what the ways lead to."""

    space: Space[G]
    state: State[G]
    fresh: dict[str, Candidate[G]] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)
    duplicates: int = 0

    def take(self, way: Way[G]) -> None:
        known: list[str] = []
        for _ in range(_REFUSED):
            made = [(_key(self.space, genome), genome) for genome in way.make() if self.space.allowed(genome)]
            unknown = {key: genome for key, genome in made if key not in self.state and key not in self.fresh}
            known += [key for key, _ in made if key not in unknown]
            for key, genome in unknown.items():
                self.fresh[key] = Candidate(key, genome, self.state.generation, way.operator, way.parents)
            if unknown or len(known) >= _KNOWN:
                break
        self.duplicates += len(known)
        if known and not unknown and known[-1] in self.state:
            self.again.append(known[-1])


def _key(space: Space[G], genome: G) -> str:
    key = space.key(genome)
    if not isinstance(key, str):
        raise RequestError(f"key: gave {key!r:.60} for a genome, expected a text")
    return key


Population = Sequence[Candidate[G]]


def _drawn(space: Space[G], count: int, generator: torch.Generator) -> Iterator[Way[G]]:
    return (Way("drawn", (), lambda: (space.draw(generator),)) for _ in range(count))


def _mutated(space: Space[G], parent: Candidate[G], generator: torch.Generator) -> Way[G]:
    return Way("mutation", (parent.key,), lambda: (space.mutate(parent.genome, generator),))


def _crossed(
    space: Space[G], one: Candidate[G], other: Candidate[G], generator: torch.Generator, mutation: float = 0.0
) -> Way[G]:
    def make() -> tuple[G, ...]:
        children = space.crossover(one.genome, other.genome, generator)
        if not isinstance(children, tuple | list) or len(children) != 2:
            raise RequestError(f"crossover: gave {children!r:.60}, expected two genomes")
        return tuple(space.mutate(child, generator) if _happens(mutation, generator) else child for child in children)

    return Way("crossover", (one.key, other.key), make)


def _drawn_anew(
    space: Space[G], settings: Settings, population: Population[G], generator: torch.Generator
) -> Iterator[Way[G]]:
    return _drawn(space, settings.population, generator)


def _at_random(
    space: Space[G], settings: Settings, population: Population[G], generator: torch.Generator
) -> Iterator[Way[G]]:
    return _drawn(space, settings.batch, generator)


def _genetic(
    space: Space[G], settings: Settings, population: Population[G], generator: torch.Generator
) -> Iterator[Way[G]]:
    yield from _drawn(space, settings.population - len(population), generator)
    for place, parent in enumerate(population):
        if _happens(settings.mutation, generator):
            yield _mutated(space, parent, generator)
        if len(population) > 1 and _happens(settings.crossover, generator):
            step = 1 + int(torch.randint(len(population) - 1, (), generator=generator))
            yield _crossed(space, parent, population[(place + step) % len(population)], generator)


def _regularised(
    space: Space[G], settings: Settings, population: Population[G], generator: torch.Generator
) -> Iterator[Way[G]]:
    for _ in range(settings.batch):
        parent, other = (parent_of(population, settings, generator) for _ in range(2))
        crosses = _happens(settings.crossover, generator) and parent.key != other.key
        yield _crossed(space, parent, other, generator) if crosses else _mutated(space, parent, generator)


def _nsga2(
    space: Space[G], settings: Settings, population: Population[G], generator: torch.Generator
) -> Iterator[Way[G]]:
    for _ in range(settings.batch):
        parent, other = (parent_of(population, settings, generator) for _ in range(2))
        if _happens(settings.crossover, generator) and parent.key != other.key:
            yield _crossed(space, parent, other, generator, settings.mutation)
        else:
            yield _mutated(space, parent, generator)


_WAYS = {"genetic": _genetic, "regularised": _regularised, "random": _at_random, "nsga2": _nsga2}


def _happens(probability: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator, dtype=torch.float64)) < probability

"""Where a search stands: every candidate so far, who lives, and what is waited for. Frozen values."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Generic, Literal, TypeVar, get_args

from sparsewire.search.settings import Direction

G = TypeVar("G")

Operator = Literal["drawn", "mutation", "crossover"]
OPERATORS: Final[tuple[Operator, ...]] = get_args(Operator)
Outcome = Literal["waiting", "tried", "foretold", "failed"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


@dataclass(frozen=True)
class Candidate(Generic[G]):
    """A genome that came up in a search, and what became of it.

    Attributes:
        key: what all genomes that behave alike share.
        genome: itself.
        generation: in which it came up first; 0 is the first population.
        operator: how it came about: "drawn", by "mutation" or by "crossover".
        parents: the keys of those that it came from.
        outcome: "waiting" to be tried, "tried", "foretold" in place of that, or "failed".
        values: one number for each objective where it was tried.
        predictions: one number for each objective where a surrogate was asked: of one that is tried, before it was; of
            one that is foretold, by the latest surrogate.
    """

    key: str
    genome: G
    generation: int = 0
    operator: Operator = "drawn"
    parents: tuple[str, ...] = ()
    outcome: Outcome = "waiting"
    values: tuple[float, ...] | None = None
    predictions: tuple[float, ...] | None = None

    @property
    def value(self) -> float | None:
        """The first objective where it was tried."""
        return None if self.values is None else self.values[0]

    @property
    def predicted(self) -> float | None:
        """What a surrogate says of the first objective, where one was asked."""
        return None if self.predictions is None else self.predictions[0]

    @property
    def fitness(self) -> tuple[float, ...] | None:
        """What it is chosen by: its values where it was tried, what is foretold of it where it was foretold."""
        return {"tried": self.values, "foretold": self.predictions}.get(self.outcome)

    @property
    def tried(self) -> bool:
        """Whether its values are real."""
        return self.outcome == "tried"


@dataclass(frozen=True)
class State(Generic[G]):
    """Where a search stands; made by `begin`, carried on by `tell`.

    Attributes:
        seed: what all randomness of the search follows from, with the generation and the purpose.
        objectives: for each, whether "max" or "min" is better.
        generation: the number of the generation that is at work; 0 is the first population.
        history: every candidate, once, as they came up.
        living: the keys of the population; the oldest first in regularised evolution, else the best first.
        new: the keys of the candidates of this generation.
        duplicates: how many candidates came about that were known already.
        idle: for how many generations nothing unknown came about.
        finished: whether the search is over.

    Example:
        >>> one = Candidate("a", "genome", outcome="tried", values=(0.5,))
        >>> two = Candidate("b", "other", outcome="tried", values=(0.7,))
        >>> state = State(seed=0, history=(one, two), living=("b", "a"))
        >>> state.best.key, [candidate.value for candidate in state.population]
        ('b', [0.7, 0.5])
    """

    seed: int
    objectives: tuple[Direction, ...] = ("max",)
    generation: int = 0
    history: tuple[Candidate[G], ...] = ()
    living: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    duplicates: int = 0
    idle: int = 0
    finished: bool = field(default=False)

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each key in the history."""
        return {candidate.key: place for place, candidate in enumerate(self.history)}

    def __getitem__(self, key: str) -> Candidate[G]:
        return self.history[self.places[key]]

    def __contains__(self, key: object) -> bool:
        return key in self.places

    @property
    def population(self) -> tuple[Candidate[G], ...]:
        """Who lives, in the order of `living`."""
        return tuple(self[key] for key in self.living)

    @property
    def waiting(self) -> tuple[Candidate[G], ...]:
        """Who has to be tried before the search can go on."""
        return tuple(candidate for key in self.new if (candidate := self[key]).outcome == "waiting")

    @cached_property
    def evaluations(self) -> int:
        """How many candidates were really tried, those that failed included."""
        return sum(candidate.outcome in ("tried", "failed") for candidate in self.history)

    @property
    def best(self) -> Candidate[G] | None:
        """The best of those that were really tried, by the first objective, the oldest where several are; or None."""
        sign = 1 if self.objectives[0] == "max" else -1
        return max(
            (candidate for candidate in self.history if candidate.tried),
            key=lambda candidate: sign * (candidate.values or (0.0,))[0],
            default=None,
        )

    def with_candidates(self, *changed: Candidate[G]) -> "State[G]":
        """The state with these candidates in the place of those of their keys, or at the end where they are new.

        Example:
            >>> State(seed=0).with_candidates(Candidate("a", "genome")).history[0].key
            'a'
        """
        by_key = {candidate.key: candidate for candidate in changed}
        kept = tuple(by_key.pop(candidate.key, candidate) for candidate in self.history)
        return replace(self, history=(*kept, *by_key.values()))

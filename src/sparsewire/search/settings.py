"""How a search goes about: its method, rates and limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from sparsewire.analysis.prediction.regressors import REGRESSORS
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import whole
from sparsewire.structure.priors.random_edges import checked_probability

Method = Literal["genetic", "regularised", "random", "nsga2"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
Direction = Literal["max", "min"]
_CHOICES = ("random", "promising")


@dataclass(frozen=True)
class Settings:
    """How a search goes about; without arguments as in the paper.

    Args:
        method: "genetic", the paper's; "regularised" evolution, in which the oldest dies; "random" search; or "nsga2",
            for several objectives. `evolution.begin` says what each does.
        population: how many genomes live, at least 2.
        mutation: with which probability a genome is mutated, 0 to 1 (genetic); of nsga2 that of children that were
            crossed. What is not crossed is always mutated by nsga2 and regularised evolution.
        crossover: with which probability a genome is crossed with another, 0 to 1; random search does neither.
        worst: which share of the population is removed and drawn afresh in each generation (genetic), 0 to below 1;
            rounded to whole genomes.
        estimated: which share of the new candidates of a generation is foretold in place of tried, rounded down, 0 to
            below 1. None: a half by the genetic method, none by the others.
        chosen: which candidates are really tried: "random" ones, as in the paper, or the most "promising" ones.
        regressor: what foretells, one of `sw.REGRESSORS`.
        least_tried: how many candidates must have been tried, without failing, before any is foretold, at least 4.
        generations: how many follow the first population; None: no limit.
        evaluations: how many candidates are really tried at most; None: no limit. At least one of both is needed.
        children: how many new candidates a generation has. None: 1 of regularised evolution, `population` of random
            search and nsga2; the genetic method has as many as come about.
        sample: among how many the parent is the best (regularised), at most `population`. None: a quarter.
        objectives: for each number that is returned for a candidate, whether "max" or "min" is better. Only nsga2
            looks at all; the others at the first.

    Raises:
        RequestError: a number is none or out of its range, no limit is given, or several objectives are missing.
        UnknownNameError: there is no such method, regressor, choice or direction.

    Example:
        >>> Settings(population=10, generations=5).estimated_share, Settings(method="random").estimated_share
        (0.5, 0.0)

    Source:
        Stier, Darji and Granitzer 2021, section 4.4, for population, mutation, crossover, worst and estimated. The
        number of generations is not told; 2,472 candidates were in their meta data set.
    """

    method: Method = "genetic"
    population: int = 30
    mutation: float = 0.5
    crossover: float = 0.0
    worst: float = 0.1
    estimated: float | None = None
    chosen: Literal["random", "promising"] = "random"
    regressor: str = "random_forest"
    least_tried: int = 20
    generations: int | None = 20
    evaluations: int | None = None
    children: int | None = None
    sample: int | None = None
    objectives: tuple[Direction, ...] = ("max",)

    def __post_init__(self) -> None:
        for name, value, known in (
            ("method", self.method, METHODS),
            ("regressor", self.regressor, REGRESSORS),
            ("chosen", self.chosen, _CHOICES),
        ):
            if value not in known:
                raise UnknownNameError(name, str(value), known)
        object.__setattr__(self, "objectives", checked_objectives(self.objectives))
        self._set_counts()
        self._set_rates()

    @property
    def estimated_share(self) -> float:
        """Which share of the new candidates is foretold."""
        if self.estimated is None:
            return 0.5 if self.method == "genetic" else 0.0
        return self.estimated

    @property
    def batch(self) -> int:
        """How many new candidates a generation of regularised evolution, random search or nsga2 has."""
        if self.children is None:
            return 1 if self.method == "regularised" else self.population
        return self.children

    @property
    def tournament(self) -> int:
        """Among how many the parent is the best (regularised)."""
        return max(1, self.population // 4) if self.sample is None else self.sample

    @property
    def removed(self) -> int:
        """How many of a full population are removed as the worst (genetic), rounded to the nearest."""
        return int(self.worst * self.population + 0.5)

    def _set_counts(self) -> None:
        least = {"population": 2, "least_tried": 4, "generations": 0, "evaluations": 1, "children": 1, "sample": 1}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None or name in ("population", "least_tried"):
                object.__setattr__(self, name, whole(name, value, least=lowest))
        if self.generations is None and self.evaluations is None:
            raise RequestError("generations: found None, as is evaluations; expected a limit, such as generations=20")
        if self.tournament > self.population:
            raise RequestError(f"sample: found {self.sample}, expected at most the population, {self.population}")

    def _set_rates(self) -> None:
        for name, below_one in (("mutation", False), ("crossover", False), ("worst", True), ("estimated", True)):
            value = getattr(self, name)
            if value is not None or name != "estimated":
                share = checked_probability(name, value)
                if below_one and share == 1:
                    raise RequestError(f"{name}: found {value!r}, expected from 0 to below 1")
                object.__setattr__(self, name, share)
        if self.method == "genetic" and self.mutation + self.crossover == 0 and not self.removed:
            raise RequestError(
                f"mutation: found 0, as is crossover, and worst={self.worst:g} of {self.population} is not one genome; "
                "nothing new would ever come about"
            )


def checked_objectives(objectives: Sequence[Direction]) -> tuple[Direction, ...]:
    """The directions, one an objective.

    Raises:
        RequestError: there is none.
        UnknownNameError: one is neither "max" nor "min".

    Example:
        >>> checked_objectives(["max", "min"])
        ('max', 'min')
    """
    if isinstance(objectives, str) or not isinstance(objectives, Sequence) or not objectives:
        raise RequestError(f"objectives: found {objectives!r}, expected 'max' or 'min' for each, as ('max', 'min')")
    for direction in objectives:
        if direction not in get_args(Direction):
            raise UnknownNameError("direction", str(direction), get_args(Direction))
    return tuple(objectives)

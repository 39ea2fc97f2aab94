"""evolve: a search from beginning to end in this process, kept after every candidate."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, TypeVar

import torch

from sparsewire.errors import DivergedError, RequestError, UnknownNameError
from sparsewire.search.evolution import ask, begin, check_search, tell
from sparsewire.search.explaining import Foresight, Reason, foresight, reasons
from sparsewire.search.front import fronts
from sparsewire.search.kept_searches import keep, kept
from sparsewire.search.settings import Settings
from sparsewire.search.spaces import Space, genomes
from sparsewire.search.states import Candidate, State
from sparsewire.structure.blocks import checked_generator, whole

G = TypeVar("G")


@dataclass(frozen=True, eq=False)
class Search(Generic[G]):
    """What a search found.

    Attributes:
        space: what was looked through.
        settings: how.
        state: where it ended.
    """

    space: Space[G]
    settings: Settings
    state: State[G]

    @property
    def best(self) -> Candidate[G]:
        """The best that was really tried, by the first objective.

        Raises:
            RequestError: all that were tried failed.
        """
        if self.state.best is None:
            raise RequestError(f"evaluate: all {self.state.evaluations} candidates failed; there is no best one")
        return self.state.best

    @property
    def front(self) -> tuple[Candidate[G], ...]:
        """Those that were really tried and that none beats (nowhere worse, somewhere better), as they came up."""
        tried = [candidate for candidate in self.state.history if candidate.tried]
        first, *_ = (*fronts([candidate.values or () for candidate in tried], self.settings.objectives), ())
        return tuple(tried[place] for place in first)

    @property
    def history(self) -> tuple[Candidate[G], ...]:
        """Every candidate, once."""
        return self.state.history

    @property
    def foresight(self) -> Foresight:
        """How well candidates were foretold before they were tried."""
        return foresight(self.state)

    def reasons(self, most: int | None = 10) -> tuple[Reason, ...]:
        """The features that tell the most of the first objective; see `explaining.reasons`."""
        return reasons(self.space, self.state, self.settings.regressor, most=most)


def evolve(
    *,
    evaluate: Callable[[Any], float | Sequence[float] | None],
    seed: int | None = None,
    generator: torch.Generator | None = None,
    space: Space[Any] | None = None,
    settings: Settings | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
    progress: Callable[[State[Any]], None] | None = None,
    **changes: Any,
) -> Search[Any]:
    """Looks for genomes for which `evaluate` gives much, and spares half of the calls by foretelling from structure.

    The first population is always tried; of what comes later the share `estimated` is not. One candidate is tried at a
    time: `ask` and `tell` give a generation at once to whoever has several machines.

    Args:
        evaluate: called with a genome that was never tried; gives a number, or one for each objective. None, what is
            not finite, or a `DivergedError`: it failed, and is not tried again. Any other error ends the search; the
            same call goes on from there, if there are checkpoints.
        seed: what all randomness of the search follows from; None: 0, or what the generator draws.
        generator: draws the seed; only one of both.
        space: what is looked through; None: `genomes()`, labelled graphs that become convolutional networks.
        settings: how; None: the paper's.
        checkpoints: a file that is written at the beginning and after every candidate. Where it is there already, the
            search goes on from it, to the same end, bit for bit, as long as `evaluate` gives the same for the same
            genome; the candidate at which it was killed is tried again.
        progress: called with the state at the beginning and after every candidate.
        changes: fields of `Settings` by name, such as `method="random"` or `population=10`.

    Raises:
        RequestError: an argument is not what it should be, `checkpoints` holds another search, the space allows none
            of 1,000 genomes, or candidates shall be foretold and scikit-learn is not installed.
        UnknownNameError: `Settings` has no such field.
        CheckpointError: `checkpoints` is damaged, or cannot be read or written.

    Example:
        >>> def small(genome):                                   # in place of a training
        ...     return -len(genome.edges)
        >>> found = evolve(evaluate=small, population=8, generations=10, estimated=0)
        >>> found.best.value >= max(one.value for one in found.history if one.generation == 0)
        True
        >>> len(found.history) == found.state.evaluations
        True

    Source:
        Stier, Darji and Granitzer 2021, section 4.4; `evolution.begin` says what they leave open. Real, Aggarwal, Huang
        and Le 2019 ("regularised"); Deb, Pratap, Agarwal and Meyarivan 2002 ("nsga2").
    """
    for name, function in (("evaluate", evaluate), ("progress", progress)):
        if not callable(function) and (name == "evaluate" or function is not None):
            raise RequestError(f"{name}: found {function!r}, expected a function")
    how, where = _settings(settings, changes), genomes() if space is None else space
    start = _seed(seed, generator)
    check_search(where, how)
    state: State[Any] | None = None if checkpoints is None else kept(checkpoints, where, how, start)
    if state is None:
        state = begin(where, how, start)
        if checkpoints is not None:
            keep(checkpoints, where, how, state)  # what cannot be kept is told before anything is tried
    if progress is not None:
        progress(state)
    while asked := ask(where, how, state):
        state = tell(where, how, state, {asked[0].key: _value(evaluate, asked[0])})
        if checkpoints is not None:
            keep(checkpoints, where, how, state)
        if progress is not None:
            progress(state)
    return Search(where, how, state)


def _value(evaluate: Callable[[Any], Any], candidate: Candidate[Any]) -> Any:
    try:
        found = evaluate(candidate.genome)
    except DivergedError:
        return None
    return found.tolist() if hasattr(found, "tolist") else found  # a tensor, an array, or a number of either


def _settings(settings: Settings | None, changes: dict[str, Any]) -> Settings:
    how = Settings() if settings is None else settings
    if not isinstance(how, Settings):
        raise RequestError(f"settings: found {settings!r}, expected Settings(population=30)")
    known = [field.name for field in fields(Settings)]
    for name in changes:
        if name not in known:
            raise UnknownNameError("setting of a search", name, known)
    return replace(how, **changes)


def _seed(seed: int | None, generator: torch.Generator | None) -> int:
    if generator is None:
        return 0 if seed is None else whole("seed", seed, least=0)
    if seed is not None:
        raise RequestError(f"seed: found {seed!r} and a generator, expected one of both")
    source = checked_generator(generator)
    return int(torch.randint(2**31 - 1, (), generator=source, device=source.device))

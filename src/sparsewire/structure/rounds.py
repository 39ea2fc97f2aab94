"""Pruning in rounds: a little at a time, with the score asked anew of what is left."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.allocation import Budget, Scope, budgets, checked_density
from sparsewire.structure.blocks import whole
from sparsewire.structure.masks import Masks
from sparsewire.structure.patterns import Pattern
from sparsewire.structure.scores import Score
from sparsewire.structure.select import Only, live_units, prune

ROUNDS = 100

Densities = Callable[[float, float, float], float]


def _exponential(start: float, end: float, part: float) -> float:
    """The same fraction of what is left goes in every round: start · (end / start)^part."""
    return math.pow(end, part) * math.pow(start, 1 - part)


def _linear(start: float, end: float, part: float) -> float:
    """The same amount goes in every round."""
    return start + (end - start) * part


SCHEDULES: dict[str, Densities] = {"exponential": _exponential, "linear": _linear}


def prune_in_rounds(
    model: nn.Module | Mapping[str, Tensor],
    *,
    score: Score,
    density: float,
    rounds: int = ROUNDS,
    schedule: str | Callable[[int], float] = "exponential",
    scope: Scope = "blind",
    pattern: Pattern | str | None = None,
    only: Only | None = None,
    data: Any = None,
    loss: Any = None,
    masks: Mapping[str, Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> Masks:
    """The masks after `rounds` prunings, each by the score of the network that the one before has left.

        density after round k = d₀ · (d / d₀)^(k / rounds)      "exponential"
                              = d₀ + (d − d₀) · k / rounds      "linear",      d₀ where it starts, d = density

    A copy of the model is scored and loses its weights, with those outside `masks` before the first round; the model is
    left as it is, bit for bit. With one round it is `prune`, on such a network.

    Args:
        model: as for `prune`.
        score: as for `prune`.
        density: the fraction that is kept at the end.
        rounds: how many times it is scored and pruned, at least 1.
        schedule: "exponential", "linear", or a function round (from 0) → density, such as those of
            `structure.schedules`, that ends at `density` in round rounds − 1 and never rises.
        scope: as for `prune`; a mapping's densities are those at the end, each reached along the schedule.
        pattern: as for `prune`. It must be able to keep the density of every round, which "2:4" is not.
        only: as for `prune`.
        data: as for `prune`; an iterator, which can be read once, is kept in memory.
        loss: as for `prune`.
        masks: as for `prune`.
        generator: scores that draw do so in every round.

    Raises:
        RequestError: no such number of rounds or schedule, an exponential schedule to density 0, or all that `prune`
            refuses, in whichever round.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        >>> data = torch.ones(1, 8), torch.zeros(1, dtype=torch.long)         # of which SynFlow takes the shape
        >>> masks = prune_in_rounds(model, score="synflow", density=0.03125, data=data, rounds=10)
        >>> masks.count, [bool(mask.any()) for mask in masks.values()]        # no layer has gone
        (6, [True, True])

    Reference: Tanaka et al. 2020, algorithm 1 (score "synflow", exponential, 100 rounds); de Jorge et al. 2021 and
        Verdenius et al. 2020 for other scores. Frankle et al. 2021 say how little it does for these.
    """
    rounds, density = whole("rounds", rounds, least=1), checked_density(density)
    units = live_units(model, pattern=pattern, only=only, masks=masks)
    plan = _plan(scope, density, units, rounds, schedule)
    data = list(data) if isinstance(data, Iterator) else data
    own, kept = _own(model), masks
    for number, (scope_now, density_now) in enumerate(plan, start=1):
        if kept is not None:
            _drop_from_(own, kept)
        try:
            kept = prune(
                own,
                score=score,
                density=density_now,
                scope=scope_now,
                pattern=pattern,
                only=only,
                data=data,
                loss=loss,
                masks=kept,
                generator=generator,
            )
        except RequestError as refusal:
            if number < rounds and str(refusal).startswith("density:"):
                raise RequestError(f"{refusal} (asked for in round {number} of {rounds})") from refusal
            raise
    return Masks(kept or {})


def _plan(
    scope: Scope,
    density: float,
    units: Mapping[str, tuple[int, int]],
    rounds: int,
    schedule: str | Callable[[int], float],
) -> list[tuple[Scope, float]]:
    """The scope and the density of each round."""
    shares = [(budget, _start(budget, units)) for budget in budgets(scope, list(units), density)]
    if not isinstance(schedule, str):
        if not callable(schedule):
            raise RequestError(f"schedule: found {schedule!r}, expected {_names()}, or a function round → density")
        if not isinstance(scope, str):
            raise RequestError(f"schedule: found {schedule!r} with a density for each layer, expected {_names()}")
        return [(scope, min(start, one)) for _, start in shares for one in _checked(schedule, rounds, density)]
    if schedule not in SCHEDULES:
        raise UnknownNameError("schedule", schedule, SCHEDULES)
    along, found = SCHEDULES[schedule], list[tuple[Scope, float]]()
    for budget, start in shares:
        if schedule == "exponential" and budget.density == 0 and start:
            raise RequestError("density: found 0, which no fraction of the rest ever reaches; take schedule='linear'")
    for number in range(1, rounds + 1):
        now = {b.names[0]: _between(along, start, b.density, number / rounds) for b, start in shares}
        found.append((scope, next(iter(now.values()))) if isinstance(scope, str) else (now, density))
    return found


def _start(budget: Budget, units: Mapping[str, tuple[int, int]]) -> float:
    live, total = (sum(units[name][place] for name in budget.names) for place in (0, 1))
    return live / total if total else 1.0


def _between(along: Densities, start: float, end: float, part: float) -> float:
    # Exactly at the end, whatever the rounding; and more than there is, is for `prune` to refuse.
    return end if part == 1 or end >= start else min(start, max(end, along(start, end, part)))


def _checked(schedule: Callable[[int], float], rounds: int, density: float) -> list[float]:
    found = [checked_density(schedule(number), f"schedule({number})") for number in range(rounds)]
    if not math.isclose(found[-1], density, rel_tol=1e-9, abs_tol=1e-12):
        raise RequestError(
            f"schedule: found {found[-1]} in its last round, {rounds - 1}, expected {density}, the density asked for"
        )
    for number in range(1, rounds):
        if found[number] > found[number - 1]:
            raise RequestError(
                f"schedule: found {found[number]} in round {number} after {found[number - 1]}; masks only shrink"
            )
    return [*found[:-1], density]


def _names() -> str:
    return " or ".join(map(repr, SCHEDULES))


def _own(model: nn.Module | Mapping[str, Tensor]) -> nn.Module | dict[str, Tensor]:
    """A copy to be pruned, with the gradients, which no score changes, of the original."""
    if isinstance(model, nn.Module):
        own: Any = copy.deepcopy(model)
        pairs = zip(model.parameters(), own.parameters(), strict=True)
    else:
        own = copy.deepcopy({name: tensor.detach() for name, tensor in model.items() if isinstance(tensor, Tensor)})
        pairs = ((model[name], tensor) for name, tensor in own.items())  # type: ignore[assignment]
    for theirs, mine in pairs:
        if theirs.is_leaf and theirs.grad is not None:
            mine.grad = theirs.grad
    return own  # type: ignore[no-any-return]


def _drop_from_(own: nn.Module | dict[str, Tensor], masks: Mapping[str, Tensor]) -> None:
    if isinstance(own, nn.Module):
        Masks(masks).apply_(own)
    else:
        for name, mask in masks.items():
            own[name].masked_fill_(~mask.to(own[name].device), 0)

"""K-starts: several random masks for each weight, of which the fittest is worn and all but one are dropped."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, get_args

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.allocation import checked_density
from sparsewire.structure.blocks import checked_generator, whole
from sparsewire.structure.masks import Masks, matrices
from sparsewire.structure.selection import Only
from sparsewire.training.agreement import plain_name
from sparsewire.training.rule_contract import Moment
from sparsewire.training.rules.chosen_rows import chosen_rows, rows_changed, rows_taken
from sparsewire.training.rules.populations import Population, bernoulli

Fitness = Literal["signed", "magnitude", "gradient", "accumulated_gradient"]
FITNESSES: Final[tuple[Fitness, ...]] = get_args(Fitness)


class KStarts:
    """The rule behind `k_starts`."""

    when: ClassVar[Moment] = "after"
    dense: ClassVar[bool] = True

    def __init__(
        self, removed: float, k: int, every: int, fitness: Fitness, generator: torch.Generator, only: Only | None
    ) -> None:
        self.removed = checked_removed(removed)
        self.k, self.every = whole("k", k, least=1), whole("every", every, least=1)
        if fitness not in FITNESSES:
            raise UnknownNameError("fitness", str(fitness), FITNESSES)
        self.fitness: Fitness = fitness
        self.generator, self.only = checked_generator(generator), only
        self._populations: dict[str, Population] = {}
        self._sums: dict[str, Tensor] = {}

    def __repr__(self) -> str:
        return f"k_starts(removed={self.removed:g}, k={self.k}, every={self.every}, fitness={self.fitness!r})"

    @property
    def left(self) -> dict[str, tuple[int, ...]]:
        """The numbers of the masks that each weight still has, counted as they were drawn; {} before the first step."""
        return {name: tuple(population.numbers) for name, population in self._populations.items()}

    @property
    def worn(self) -> dict[str, int]:
        """The number of the mask that each weight wears; {} before the first step."""
        return {name: population.worn for name, population in self._populations.items()}

    def acts_at(self, step: int) -> bool:
        """Whether there is still something to choose from; afterwards the last mask costs no more than a static one."""
        return (
            step == 0
            or not self._populations
            or not all(population.is_decided for population in self._populations.values())
        )

    def __call__(
        self, step: int, masks: Masks, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> Masks | None:
        """The masks worn now, if one of them is another than before; every so many steps the weakest goes."""
        rows = chosen_rows({name: weights[name] for name in masks}, self.only)
        if step == 0 or not self._populations:
            self._draw(masks, rows)
        new: dict[str, Tensor] = {}
        for name, own in rows.items():
            values = self._values(plain_name(name), weights[name], gradients[name], own)
            population = self._populations.get(plain_name(name))
            if population is None or population.places != values.numel():
                raise RequestError(
                    f"rule: found masks of {population.places if population else 0:,} places for {name!r}, which has "
                    f"{values.numel():,}; make another k_starts(…) for another model"
                )
            worn = population.wear(values)
            if worn is not None:
                new[name] = rows_changed(masks[name], own, worn.to(masks[name].device))
            if (step + 1) % self.every == 0:
                population.drop(values)
        return Masks({**masks, **new}) if new else None

    def _draw(self, masks: Masks, rows: Mapping[str, Tensor | None]) -> None:
        """What the masks leave out at the first step stays out: every mask of a population lies within them."""
        self._populations, self._sums = {}, {}
        for name, own in rows.items():
            drawn = bernoulli(rows_taken(masks[name], own), self.removed, self.k, self.generator)
            self._populations[plain_name(name)] = Population(drawn)

    def _values(self, name: str, weight: Tensor, gradient: Tensor, rows: Tensor | None) -> Tensor:
        """What the fitness sums up."""
        if self.fitness in ("signed", "magnitude"):
            values = rows_taken(weight.detach(), rows)
            return values.abs() if self.fitness == "magnitude" else values
        values = rows_taken(gradient, rows)
        if self.fitness == "accumulated_gradient":
            single = values.to(torch.promote_types(values.dtype, torch.float32), copy=True)
            values = single + self._sums[name].to(values.device) if name in self._sums else single
            self._sums[name] = values
        return values

    def state_dict(self) -> dict[str, Any]:
        """The state of the generator, the masks that are left of each weight, and the sums of gradients."""
        starts = {name: population.state() for name, population in self._populations.items()}
        return {"generator": self.generator.get_state(), "starts": starts, "sums": dict(self._sums)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state."""
        if state.keys() != {"generator", "starts", "sums"}:
            raise RequestError(
                f"rule: found a memory of {', '.join(state) or 'nothing'}, but {self!r} remembers generator, starts, "
                "sums; make the rule as it was made for the saved run"
            )
        starts = {name: Population.restored(kept) for name, kept in state["starts"].items()}
        if any(max(one.numbers) >= self.k for one in starts.values()):
            raise RequestError(f"rule: found a memory of more masks than {self!r} has; make the rule as it was made")
        self.generator.set_state(state["generator"])
        self._populations, self._sums = starts, dict(state["sums"])


def k_starts(
    removed: float = 0.5,
    k: int = 10,
    every: int = 5,
    fitness: Fitness = "signed",
    *,
    generator: torch.Generator,
    only: Only | None = None,
) -> KStarts:
    """The rule that lets k random masks of each weight compete: the fittest is worn, the weakest goes, one is left.

        f_k = Σ W ⊙ M_k ,     W ← W ⊙ M_best     after every step of the optimizer

    Every `every` steps the mask with the lowest f is dropped, so one is left after (k − 1) · every steps and holds for
    the rest of the training. The weights are overwritten: what is zeroed is lost. Gradients and the optimizer's memory
    stay dense, though, so that a zeroed weight moves in the next step and is judged by where it went. With the plain,
    signed sum the mask changes in almost every step at first, and the changing masks wipe out the random start; this
    helps a single layer with large weights at the start, and needs both. By magnitude the first winner always wins.

    Masks are drawn at the first step, within those that the training starts with, and each weight has its own. The
    first forward pass sees the weights as they are. Once one mask is left the rule is not asked any more, up
    to step 0 of another training, where it draws anew.

    Args:
        removed: the probability with which a mask leaves a weight out, the paper's p; 0 to 1.
        k: masks for each weight, ≥ 1. With one there is nothing to choose: "random dropout" of the paper, a static
            mask; `bernoulli_masks` with a generator in the same state gives the same one before training.
        every: steps from one drop to the next, ≥ 1.
        fitness: what is summed up under each mask: "signed", the weights; "magnitude", |W|; "gradient", the gradients
            of the step; "accumulated_gradient", their sum since the first.
        generator: draws the masks.
        only: which weights compete, as for `prune`; the others keep their masks.

    Raises:
        RequestError: an argument out of its range. A training with sparse layers refuses the rule: it is dense.

    Example:
        >>> rule = k_starts(0.5, k=2, generator=torch.Generator().manual_seed(0))
        >>> weights, full = {"weight": torch.tensor([[3.0, -1.0, 2.0]])}, Masks({"weight": torch.ones(1, 3).bool()})
        >>> rule(0, full, weights, {"weight": torch.zeros(1, 3)})["weight"], rule.worn
        (tensor([[False, False,  True]]), {'weight': 1})

    Reference: Haroon 2022, "What to prune and what not to prune at initialization", section 2.1 and Algorithm 1.
    Its equation 2 sums with signs, its section 6.1 speaks of magnitude; only the signed sum gives its Table 1.
    """
    return KStarts(removed, k, every, fitness, generator, only)


def bernoulli_masks(
    model: nn.Module, removed: float = 0.5, *, generator: torch.Generator, only: Only | None = None
) -> Masks:
    """Masks that leave each weight out with a probability: what the paper calls random dropout, K-starts with K = 1.

    Args:
        model: left as it is.
        removed: the probability, 0 to 1; `prune(model, score="random", …)` gives an exact count.
        generator: draws them.
        only: which weights, as for `prune`; the others keep all.

    Returns:
        Masks for every weight that can be pruned.

    Raises:
        RequestError: an argument out of its range.

    Example:
        >>> bernoulli_masks(nn.Linear(6, 1), 0.5, generator=torch.Generator().manual_seed(0))["weight"]
        tensor([[False,  True, False, False, False,  True]])
    """
    share, stream, full = checked_removed(removed), checked_generator(generator), dict(Masks.from_model(model))
    for name, rows in chosen_rows(matrices(model), only).items():
        drawn = bernoulli(rows_taken(full[name], rows), share, 1, stream)
        full[name] = rows_changed(full[name], rows, drawn)
    return Masks(full)


def checked_removed(removed: object) -> float:
    """The fraction that is removed, as a float.

    Raises:
        RequestError: it is no number from 0 to 1.
    """
    try:
        return checked_density(removed)
    except RequestError:
        raise RequestError(
            f"removed: found {removed!r}, expected a number from 0 to 1, the fraction that goes; e.g. 0.5"
        ) from None

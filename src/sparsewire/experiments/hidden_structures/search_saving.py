"""What foretelling saves: seconds of training, less those of the surrogate, and what it costs in accuracy."""

import math
from statistics import fmean
from typing import Final, NamedTuple

from sparsewire.experiments.hidden_structures.search_claims import ahead, pairs_of
from sparsewire.experiments.hidden_structures.search_labels import foreteller
from sparsewire.experiments.hidden_structures.search_readings import Study, best_so_far, complete, seconds, until
from sparsewire.experiments.hidden_structures.search_surrogate_time import (
    MOST,
    seconds_a_generation,
    with_surrogate,
)
from sparsewire.lab.reporting.findings import Claim, ClaimTable, Grid

ABOUT: Final = (
    "Both searches up to the same generation: one trains every new genome, the other foretells some. Seconds of "
    "training, a genome that several searches share counted in each. The last row is what that costs in accuracy: a "
    "loss below 0. "
    "Judged by the 95 % interval over seeds."
)


class Saving(NamedTuple):
    """Two searches of one seed up to one generation: one that foretells, one that trains all.

    Args:
        seed: of both.
        generation: up to which.
        foretelling: seconds of training of the one that foretells.
        training: of the other.
        surrogates: how many surrogates the first trained.
        surrogate: seconds of these, by the time of a generation; NaN where that is not known.
        price: percent of accuracy that the best is ahead of the other's, or behind.
    """

    seed: int
    generation: int
    foretelling: float
    training: float
    surrogates: int
    surrogate: float
    price: float

    @property
    def share(self) -> float:
        """The share of the time of training that is saved, percent."""
        return 100 * (1 - self.foretelling / self.training)

    @property
    def net(self) -> float:
        """The same, less what the surrogate takes."""
        return 100 * (1 - (self.foretelling + self.surrogate) / self.training)


def savings(study: Study, *, timed: bool = True) -> list[Saving]:
    """What foretelling saved, for each seed of which there are both searches.

    Args:
        study: whose searches.
        timed: whether the surrogates are timed, those of one search for all; needs scikit-learn.
    """
    found = []
    each = float("nan")
    for foretold, trained in pairs_of(study, "genetic", "all_trained"):
        last = min(complete(foretold), complete(trained))
        less, more = until(foretold, last), until(trained, last)
        # The first generation is the same in both.
        if last > 0 and seconds(study, more) > 0:
            count = len(with_surrogate(foretold, last))
            if timed and math.isnan(each):
                each = seconds_a_generation(foretold, last)
            price = best_so_far(less)[-1] - best_so_far(more)[-1]
            times = seconds(study, less), seconds(study, more)
            own = each * count if count else 0.0
            found.append(Saving(foretold.search.seed, last, *times, count, own, price))
    return found


def saving_claims(found: list[Saving], suffix: str) -> ClaimTable:
    """What foretelling saves of the time to train, with and without the surrogate's own, and what it costs."""
    label = "training time that foretelling saves"
    share, net = tuple(one.share for one in found), tuple(one.net for one in found)
    claims = [Claim(label, 0.0, share, 0.0, "%", 1, "at_least", by_interval=True)]
    if not any(map(math.isnan, net)):
        claims.append(Claim(f"{label}, less the surrogate’s own", 0.0, net, 0.0, "%", 1, "at_least", by_interval=True))
    claims.append(ahead("best validation accuracy with − without", tuple(one.price for one in found)))
    title = f"What the surrogate saves{suffix}"
    return ClaimTable(title, tuple(one for one in claims if one.ours), ABOUT)


def saving_grid(study: Study, found: list[Saving], suffix: str) -> Grid:
    """The same in seconds, search by search."""
    rows = [
        (
            f"{one.seed}", f"{one.generation}", f"{one.training:,.1f}", f"{one.foretelling:,.1f}", f"{one.surrogates}",
            _shown(one.surrogate), _shown(one.training - one.foretelling - one.surrogate),
        )
        for one in found
    ]  # fmt: skip
    columns = (
        "seed", "generations", "training all, s", "training some, s", "surrogates", "surrogates, s", "saved in all, s",
    )  # fmt: skip
    return Grid(f"The surrogate’s time and what it saves{suffix}", columns, tuple(rows), _own_time(study, found))


def _own_time(study: Study, found: list[Saving]) -> str:
    timed = [one.surrogate / one.surrogates for one in found if one.surrogates and not math.isnan(one.surrogate)]
    if not timed:
        return ""
    return (
        f"A surrogate, {foreteller(study.first)}, took {fmean(timed):.2g} s to train and to ask: trained again on what "
        f"the first of these searches knew, at up to {MOST} generations of it, and timed when this was written, on "
        "one process of that machine; the others are counted by as much. A search that is resumed trains those behind "
        "it once more."
    )


def _shown(seconds: float) -> str:
    return "" if math.isnan(seconds) else f"{seconds:,.1f}".replace("-", "−")

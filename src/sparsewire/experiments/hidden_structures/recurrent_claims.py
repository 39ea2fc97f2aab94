"""What the paper claims of pruned recurrent networks: base accuracies, safe shares, recovery; beside ours."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Final

from sparsewire.experiments.hidden_structures.recurrent_published import (
    BASE,
    BIGRAMS,
    CELLS,
    CHANCE,
    DROP,
    NOT_IN_ONE_EPOCH,
    RETURNS_AT_100,
    SAFE,
    SCOPES,
    SLOW,
    STORED,
    Cell,
    Scope,
)
from sparsewire.experiments.hidden_structures.recurrent_readings import after, base, middle, peak, safe, shortfall
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.findings import Claim, ClaimTable

BACK: Final = 1.5  # points from its base at which a network has recovered
Groups = dict[Cell, list[Outcome]]  # the outcomes of each cell


def base_claims(groups: Groups, published: bool, suffix: str) -> ClaimTable:
    """Whether the base networks are as good as the paper's, and tanh's no better than pairs of letters are."""
    claims = []
    for cell, group in groups.items():
        known = BASE[cell] if published else None
        found = tuple(map(base, group))
        if cell == "tanh":
            bigrams = tuple(outcome.metrics["bigram accuracy"] for outcome in group)
            ahead = tuple(ours - pairs for ours, pairs in zip(found, bigrams, strict=True))
            claims += [
                Claim(CELLS[cell], known, found, 1.0, "%", 2),
                Claim("by pairs of neighbours alone", BIGRAMS if published else None, bigrams, 0.5, "%", 2),
                Claim("RNN tanh − that rule", BASE[cell] - BIGRAMS if published else None, ahead, 0.5, "points", 2),
            ]
        else:
            claims.append(Claim(CELLS[cell], known, found, 0.1, "%", 2, "at_least"))
    note = (
        "After the last epoch. All but one in sixteen strings of the test set, the stored one and ours, can be told by "
        "whether all their pairs of neighbours are legal; a network that stays there has learnt no more than that."
    )
    return ClaimTable(f"Base networks: accuracy{suffix}", tuple(claims), note)


def safe_claims(groups: Groups, scopes: Sequence[Scope], published: bool, suffix: str) -> ClaimTable:
    """Whether as much can be removed as the text says, for each scope and cell."""
    claims = [
        Claim(
            f"{CELLS[cell]}, {SCOPES[scope]}",
            SAFE[scope, cell] if published else None,
            middle(safe(one, scope) for one in group),
            0.0,
            "%",
            0,
            "at_least",
        )
        for scope in scopes
        for cell, group in groups.items()
    ]
    note = (
        f"Median over the seeds of the largest share up to which no network is more than {DROP:g} points below its "
        "base directly after pruning. Published: the text, which names no rule; this one gives 11 of its 12 numbers "
        "from the authors' stored accuracies."
    )
    return ClaimTable(f"How much is safe to remove?{suffix}", tuple(claims), note)


def curve_claims(groups: Groups, scopes: Sequence[Scope], published: bool, suffix: str) -> ClaimTable:
    """The mean height of each curve directly after pruning, beside the stored one: to know the size by."""
    claims = [
        Claim(
            f"{CELLS[cell]}, {SCOPES[scope]}",
            fmean(STORED[scope, cell]) if published else None,
            tuple(fmean(after(one, scope, 0).values()) for one in group),
            10.0,
            "%",
            1,
        )
        for scope in scopes
        for cell, group in groups.items()
    ]
    note = "Mean over all shares removed. The stored accuracies are of one run each; seeds differ where a curve falls."
    return ClaimTable(f"Accuracy directly after pruning, on average{suffix}", tuple(claims), note)


def recovery_claims(groups: Groups, scopes: Sequence[Scope], published: bool, suffix: str) -> ClaimTable:
    """Whether one epoch brings back what the paper says it does, and what 100 % leaves behind."""
    claims = [*_recovery(groups, scopes, published), *_gone(groups, scopes, published)]
    note = (
        "Medians over the seeds. “Worst”: of all shares with which the stored runs, after one epoch, are where their "
        "base was. “Best”: of all epochs of retraining. Less than "
        f"{BACK:g} points from the base count as back."
    )
    return ClaimTable(f"What comes back?{suffix}", tuple(claim for claim in claims if claim.ours), note)


def _recovery(groups: Groups, scopes: Sequence[Scope], published: bool) -> Iterator[Claim]:
    """Whether one epoch brings all back but the one that takes two."""
    zero = 0.0 if published else None
    for scope in scopes:
        for cell, group in groups.items():
            label = f"{CELLS[cell]}, {SCOPES[scope]}"
            last = 80 if (scope, cell) == SLOW else 90
            worst = middle(shortfall(one, scope, 1, range(1, last + 1)) for one in group)
            text = f"{label}: worst up to {last} % after one epoch − base"
            yield Claim(text, zero, worst, BACK, "points", 1, "at_least")
            if last == 80:
                once, twice = (middle(shortfall(one, scope, epochs, [90]) for one in group) for epochs in (1, 2))
                # Not back: what is further from the base than what counts as back, however far.
                known = NOT_IN_ONE_EPOCH[scope, cell, 90] - BASE[cell]
                text = f"{label}: 90 % after one epoch − base"
                yield Claim(text, known if published else None, once, -BACK - known, "points", 1, "at_most")
                yield Claim(f"{label}: 90 % after two epochs − base", zero, twice, BACK, "points", 1, "at_least")


def _gone(groups: Groups, scopes: Sequence[Scope], published: bool) -> Iterator[Claim]:
    """What 100 % leaves behind."""
    for scope in scopes:
        for cell, group in groups.items():
            label = f"{CELLS[cell]}, {SCOPES[scope]}: 100 %"
            if scope == "h2h" and cell in RETURNS_AT_100:
                known = RETURNS_AT_100[cell] if published else None
                ours = middle(after(one, "h2h", 1).get(100) for one in group)
                yield Claim(f"{label}, after one epoch", known, ours, 2.0, "%", 1, "at_least")
            else:
                known = NOT_IN_ONE_EPOCH.get((scope, cell, 100), CHANCE) if published else None
                ours = middle(peak(one, scope, 100) for one in group)
                yield Claim(f"{label}, best", known, ours, 5.0, "%", 1, "at_most")

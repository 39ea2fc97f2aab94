"""What the paper says of pruned feed-forward networks, as claims on outcomes (abstract, sections 4.1 and 5)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sparsewire.experiments.hidden_structures.readings import at, control_at, finite, word
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.findings import Claim, ClaimTable

BASE: Final = 97.0  # percent; the text gives the pruned network's 97.5 and the 0.5 between them
BLIND: Final = 97.5  # with 80 % of the weights removed
GAIN: Final = 0.5  # printed with one digit
LEAST: Final = 97.3  # percent; our own
TOLERANCE: Final = 0.3  # points
NEAR: Final = 60  # percent removed, up to which four methods are near their base

# What the paper orders: pairs that are about equal, and pairs of which the first one is better.
EQUAL: Final = (("blind", "obd"), ("blind", "distributed"), ("obd", "distributed"))
BETTER: Final = (("blind", "uniform"), ("obd", "uniform"), ("distributed", "uniform"), ("uniform", "random"))

ABOUT_EIGHTY: Final = (
    "The base stops early, as its falling rate has it, so that any network gets better that is trained on at the first "
    "rate: the unpruned network with as many extra epochs (the control) tells what pruning itself adds. How many "
    "there are by then is a matter of the steps: the smaller they are, the more. 97.3 %, and 0.3 points below the "
    "control, are our own bounds."
)
ABOUT_ORDER: Final = (
    "Differences of one seed, that is of one base, judged by the 95 % interval over the seeds; ±0.3 points count as "
    "equal. Published is the order, as the text has it, not a number."
)
ABOUT_NEAR: Final = (
    "The text: four methods perform consistently near the original for over 60 % compression; random pruning drops at "
    "once. Near: 0.3 points."
)


def at_eighty(outcomes: Sequence[Outcome], name: str, compared: bool) -> ClaimTable:
    """Magnitude class-blind with 80 % of the weights removed: against the paper, the base, and the control.

    Args:
        outcomes: of one spec.
        name: the descent of class-blind pruning.
        compared: whether the setup is the paper's, so that its numbers may stand beside ours.
    """
    pruned = _each(outcomes, lambda one: at(one, name, 80))
    gain = _each(outcomes, lambda one: at(one, name, 80) - _base(one))
    extra = _each(outcomes, lambda one: control_at(one, name, 80) - _base(one))
    claims = [
        Claim("unpruned", BASE, _each(outcomes, _base), TOLERANCE, "%"),
        Claim("class-blind, 80 % removed", BLIND, pruned, TOLERANCE, "%"),
        Claim("class-blind, 80 % removed: our own bound", LEAST, pruned, 0.0, "%", kind="at_least"),
        Claim("class-blind − unpruned", GAIN, gain, 0.05, "points", kind="at_least"),
        behind_control(outcomes, name, 80),
        Claim("control − unpruned: what training on alone adds", None, extra, unit="points"),
    ]
    return ClaimTable("80 % of the weights removed", shown(claims, compared), ABOUT_EIGHTY)


def behind_control(outcomes: Sequence[Outcome], name: str, removed: int) -> Claim:
    """How far class-blind pruning is below the same network trained on without pruning."""
    gaps = _each(outcomes, lambda one: control_at(one, name, removed) - at(one, name, removed))
    label = f"control − class-blind, {removed} % removed"
    return Claim(label, 0.0, gaps, TOLERANCE, "points", kind="at_most")


def order_at(outcomes: Sequence[Outcome], names: Mapping[str, str], removed: int, compared: bool) -> ClaimTable:
    """Class-blind ≈ OBD ≈ class-distributed > class-uniform > random, pair by pair.

    Args:
        outcomes: of one spec.
        names: method → its descent; pairs of which one is missing are left out.
        removed: percent of the weights.
        compared: as for `at_eighty`.
    """
    claims = [
        _difference(outcomes, names, pair, removed, is_equal)
        for pair, is_equal in [*((pair, True) for pair in EQUAL), *((pair, False) for pair in BETTER)]
        if set(pair) <= names.keys()
    ]
    return ClaimTable(f"Which method is better with {removed} % removed", shown(claims, compared), ABOUT_ORDER)


def near_base(outcomes: Sequence[Outcome], names: Mapping[str, str], compared: bool) -> ClaimTable:
    """Four methods are still as good as their base, and random pruning is not."""
    claims = []
    for method, name in names.items():
        gaps = tuple(_base(one) - at(one, name, NEAR) for one in outcomes)
        label = f"unpruned − {word(method)}, {NEAR} % removed"
        if method != "random":
            claims.append(Claim(label, 0.0, finite(gaps), TOLERANCE, "points", kind="at_most"))
            continue
        lost = tuple(control_at(one, name, NEAR) - at(one, name, NEAR) for one in outcomes)
        for which, found in ((label, gaps), (f"control − random, {NEAR} % removed", lost)):
            claims.append(Claim(which, 0.0, finite(found), 0.0, "points", kind="at_least", by_interval=True))
    return ClaimTable(f"Up to {NEAR} % removed", shown(claims, compared), ABOUT_NEAR)


def shown(claims: Iterable[Claim], compared: bool) -> tuple[Claim, ...]:
    """The claims of which something was measured, without the paper's numbers where the setup is another one."""
    measured = (claim for claim in claims if claim.ours)
    return tuple(claim if compared else replace(claim, published=None) for claim in measured)


def labelled(tables: Iterable[ClaimTable], label: str) -> list[ClaimTable]:
    """The tables that claim something, told apart from those of another spec in the same report."""
    found = [table for table in tables if table.claims]
    return [replace(table, title=f"{table.title}, {label}") for table in found] if label else found


def _difference(
    outcomes: Sequence[Outcome], names: Mapping[str, str], pair: tuple[str, str], removed: int, is_equal: bool
) -> Claim:
    one, other = (names[method] for method in pair)
    ours = _each(outcomes, lambda outcome: at(outcome, one, removed) - at(outcome, other, removed))
    label = " − ".join(map(word, pair))
    if is_equal:
        return Claim(label, 0.0, ours, TOLERANCE, "points", by_interval=True)
    return Claim(label, 0.0, ours, 0.0, "points", kind="at_least", by_interval=True)


def _base(outcome: Outcome) -> float:
    return outcome.metrics["base"]


def _each(outcomes: Sequence[Outcome], value: Callable[[Outcome], float]) -> tuple[float, ...]:
    return finite([value(one) for one in outcomes])

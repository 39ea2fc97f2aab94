"""What the findings on pruned recurrent networks read off outcomes."""

from collections.abc import Iterable, Sequence
from statistics import median

from sparsewire.experiments.hidden_structures.recurrent_published import CELLS, DROP, Cell, Scope, safe_share
from sparsewire.experiments.hidden_structures.recurrent_setup import RecurrentSpec
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Series, series


def spec_of(outcome: Outcome) -> RecurrentSpec:
    """The outcome's spec."""
    spec: RecurrentSpec = outcome.spec  # type: ignore[assignment]
    return spec


def by_cell(outcomes: Sequence[Outcome]) -> dict[Cell, list[Outcome]]:
    """The outcomes of each cell, in the paper's order."""
    found: dict[Cell, list[Outcome]] = {
        cell: [outcome for outcome in outcomes if spec_of(outcome).cell == cell] for cell in CELLS
    }
    return {cell: group for cell, group in found.items() if group}


def base(outcome: Outcome) -> float:
    """Accuracy of the base network after its last epoch, percent."""
    return outcome.metrics["base accuracy"]


def course(outcome: Outcome, scope: Scope, removed: int) -> dict[int, float]:
    """Epoch of retraining → accuracy, percent; 0 is directly after pruning."""
    return dict(outcome.series.get(f"{scope} {removed} % accuracy", ()))


def after(outcome: Outcome, scope: Scope, epoch: int) -> dict[int, float]:
    """Share removed → accuracy after so many epochs of retraining, both in percent; without what was not run."""
    courses = {removed: course(outcome, scope, removed) for removed in spec_of(outcome).removed}
    return {removed: points[epoch] for removed, points in courses.items() if epoch in points}


def safe(outcome: Outcome, scope: Scope, drop: float = DROP) -> int:
    """The share that could be removed safely, by the rule of `safe_share`, percent."""
    return safe_share(base(outcome), after(outcome, scope, 0), drop)


def shortfall(outcome: Outcome, scope: Scope, epoch: int, shares: Sequence[int]) -> float | None:
    """How far the worst of these shares is from the base after so many epochs: its accuracy − the base's, in points.

    None where none of the shares was run for so long.
    """
    found = [value - base(outcome) for removed, value in after(outcome, scope, epoch).items() if removed in shares]
    return min(found, default=None)


def peak(outcome: Outcome, scope: Scope, removed: int) -> float | None:
    """The best accuracy of all epochs of retraining, percent; None where there was none."""
    return max((value for epoch, value in course(outcome, scope, removed).items() if epoch), default=None)


def middle(found: Iterable[float | None]) -> tuple[float, ...]:
    """The median of the numbers that there are, alone in a tuple; empty where there is none.

    Example:
        >>> middle([99.0, None, 80.0, 100.0]), middle([None])
        ((99.0,), ())
    """
    there = [value for value in found if value is not None]
    return (median(there),) if there else ()


def by_removed(name: str, outcomes: Sequence[Outcome], scope: Scope, epoch: int) -> Series:
    """Accuracy by the share removed, from the base at 0 % on, with the spread over seeds."""
    points = [{0: base(outcome), **after(outcome, scope, epoch)} for outcome in outcomes]
    runs = [(list(one), list(one.values())) for one in points]
    return series(name, runs)


def middle_and_range(found: Iterable[float | None], digits: int = 1) -> str | None:
    """Median (smallest to largest), as a cell of a table; None where there is no number.

    Example:
        >>> middle_and_range([99.0, 80.0, 100.0]), middle_and_range([70], digits=0), middle_and_range([None])
        ('99.0 (80.0 to 100.0)', '70', None)
    """
    there = [value for value in found if value is not None]
    if not there:
        return None
    text = f"{median(there):.{digits}f}"
    return text if len(there) == 1 else f"{text} ({min(there):.{digits}f} to {max(there):.{digits}f})"

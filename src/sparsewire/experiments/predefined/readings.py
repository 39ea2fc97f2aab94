"""What the findings of several experiments on pre-defined sparsity read off outcomes."""

from collections.abc import Sequence
from statistics import fmean, stdev

from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Series, series


def best(outcome: Outcome) -> float:
    """The best test accuracy of any epoch, in percent."""
    return outcome.metrics["best_accuracy"]


def density(outcome: Outcome) -> float:
    """The density of all connected layers together, in percent."""
    return outcome.metrics["density"]


def fan_outs_label(fan_outs: Sequence[int]) -> str:
    """The fan-outs as the paper's Table 1 writes them; none stand for all connections.

    Example:
        >>> fan_outs_label((1, 8)), fan_outs_label(())
        ('1,8', 'FC')
    """
    return ",".join(map(str, fan_outs)) or "FC"


def by_fan_outs(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """The outcomes of each set of fan-outs under its name, "0.22 % (1,1)" or "100 % (FC)", sparsest first."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=density):
        fan_outs: tuple[int, ...] = outcome.spec.fan_outs  # type: ignore[attr-defined]
        groups.setdefault(f"{density(outcome):.3g} % ({fan_outs_label(fan_outs)})", []).append(outcome)
    return groups


def by_density(name: str, outcomes: Sequence[Outcome], x: str = "density", *, log_x: bool = False) -> Series:
    """Best accuracy by a density, with the spread over seeds.

    Args:
        name: of the line.
        outcomes: of one network, at several densities.
        x: which metric is the horizontal axis.
        log_x: see `charts.series`.
    """
    runs = []
    for seed in sorted({outcome.seed for outcome in outcomes}):
        own = sorted((outcome.metrics[x], best(outcome)) for outcome in outcomes if outcome.seed == seed)
        runs.append(([place for place, _ in own], [value for _, value in own]))
    return series(name, runs, log_x=log_x)


def accuracies(outcome: Outcome) -> tuple[list[int], list[float]]:
    """The test accuracy after each epoch, as a run of a chart."""
    points = outcome.series["accuracy"]
    return [step for step, _ in points], [value for _, value in points]


def mean_and_spread(values: Sequence[float]) -> str | None:
    """Mean ± sample standard deviation, as a cell of a table; None of nothing.

    Example:
        >>> mean_and_spread([1.0, 2.0, 3.0]), mean_and_spread([1.0]), mean_and_spread([])
        ('2.00 ± 1.00', '1.00', None)
    """
    if not values:
        return None
    return f"{fmean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")

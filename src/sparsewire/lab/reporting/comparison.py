"""Two groups of trials side by side: how far apart they are, how sure that is, and what may be said of it."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.reporting import intervals
from sparsewire.lab.spec import run_id

if TYPE_CHECKING:
    from sparsewire.lab.experiment import Outcome
    from sparsewire.lab.storage.queries import Row

    Trials = Sequence[Outcome | Row]

Design = Literal["paired", "independent"]


@dataclass(frozen=True)
class Group:
    """One side of a comparison.

    Args:
        name: what the reader calls it.
        values: one finite number for each trial that counts.
        left_out: why trials do not count → how many: "diverged", "failed", "not finite", "not measured", "no partner".
        specs: of how many specs its trials are.

    Example:
        >>> group = Group("dense", (97.0, 98.0))
        >>> group.mean, round(group.spread, 3), group.interval()
        (97.5, 0.707, (91.1..., 103.8...))
    """

    name: str
    values: tuple[float, ...]
    left_out: tuple[tuple[str, int], ...] = ()
    specs: int = 1

    @property
    def mean(self) -> float | None:
        """The mean; None without values."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def spread(self) -> float | None:
        """The sample standard deviation (n − 1); None for fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def interval(self, level: float = 0.95) -> "intervals.Interval | None":
        """Student's interval of the mean; None for fewer than two."""
        return intervals.mean_interval(self.values, level)


@dataclass(frozen=True)
class Comparison:
    """What two groups say of one metric; `difference`, `interval` and `effect` are those of b − a.

    Args:
        metric: what was compared.
        a: the group that is compared with.
        b: the group that is compared.
        design: "paired" (the same seeds of one spec each) or "independent".
        level: how often the interval covers the true difference; the verdict needs p ≤ 1 − level.
        interval: of the difference; None where there are too few values, or no spread (of pairs, in their differences).
        p: of the test, two-sided; None where there is none.
        effect: Hedges' g; None where there is no spread.
        adjusted: p after Holm's correction, where several comparisons were made together; the verdict then follows it.
    """

    metric: str
    a: Group
    b: Group
    design: Design
    level: float = 0.95
    interval: "intervals.Interval | None" = None
    p: float | None = None
    effect: float | None = None
    adjusted: float | None = None

    @property
    def difference(self) -> float | None:
        """Mean of b − mean of a; None where one of them is empty."""
        return None if self.a.mean is None or self.b.mean is None else self.b.mean - self.a.mean

    @property
    def verdict(self) -> str:
        """What may be said at this level: "… is higher", "… is lower", "no difference was shown"; never "equal"."""
        p = self.p if self.adjusted is None else self.adjusted
        if p is None or self.difference is None:
            return "cannot be said"
        if p > 1 - self.level + 1e-12 or self.difference == 0:
            return "no difference was shown"
        return f"{self.b.name} is {'higher' if self.difference > 0 else 'lower'}"

    @property
    def test(self) -> str:
        """The name of the test and of the interval."""
        if self.p is None:
            return "none"
        if self.design == "independent":
            return "independent: Welch"
        if not _flips_suffice(len(self.a.values), self.level):
            return "paired: t interval and test"
        flips = "exact sign flips" if len(self.a.values) <= intervals.EXACT else "100,000 random sign flips"
        return f"paired: t interval, {flips}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know to weigh it: trials that were left out, and what so few trials cannot show."""
        parts = []
        for group in (self.a, self.b):
            if group.left_out:
                reasons = ", ".join(f"{count} {reason}" for reason, count in group.left_out)
                parts.append(f"{group.name}: left out: {reasons}")
            if group.specs > 1:
                parts.append(f"{group.name}: trials of {group.specs} specs together")
            if len(group.values) < 2:
                parts.append(f"{group.name}: too few trials for an interval or a test ({len(group.values)})")
        fewest = min(len(self.a.values), len(self.b.values))
        if fewest > 1 and self.interval is None:
            why = "neither has any spread" if not (self.a.spread or self.b.spread) else "all pairs differ by the same"
            lacks = "no interval and no test" if self.p is None else "no interval"
            parts.append(f"{self.a.name}, {self.b.name}: {why}, so there is {lacks}")
        elif fewest > 1 and self.design == "paired" and not _flips_suffice(fewest, self.level):
            parts.append(f"{fewest} pairs are too few for sign flips; Student's test takes differences to be normal")
        return tuple(parts)


@dataclass(frozen=True)
class ComparisonTable:
    """Comparisons that are shown together: both groups, difference, interval, test, effect, verdict."""

    title: str
    comparisons: tuple[Comparison, ...]
    note: str = ""


def compare(
    a: "Trials",
    b: "Trials",
    metric: str,
    *,
    names: tuple[str, str] = ("a", "b"),
    level: float = 0.95,
) -> Comparison:
    """How a metric of `b` differs from that of `a`: b − a with an interval, a test, an effect size and a verdict.

    Where each group has one spec and both have the same seeds, trials of one seed are a pair: Student's interval of the
    mean difference, and the sign-flip test, or Student's where no signs of so few pairs could show anything (fewer
    than six at 95 %). Otherwise Welch's interval and test. Trials that failed or diverged, or
    whose metric is missing or not finite, are left out and counted (of a pair, both): what is compared is then only
    what came through.

    Args:
        a: the trials that are compared with: outcomes, or rows of a store.
        b: the trials that are compared.
        metric: its name, as recorded.
        names: what the reader calls the groups.
        level: between 0.5 and 1; the verdict needs p ≤ 1 − level.

    Raises:
        RequestError: a level out of its range, or a trial that is in both groups.
        UnknownNameError: no trial has the metric.

    Example:
        >>> from sparsewire.lab.experiment import Outcome
        >>> from sparsewire.lab.spec import Spec
        >>> def trials(name, values):
        ...     return [Outcome(Spec(experiment=name), seed, "done", None, 1.0, {"accuracy": value}, {})
        ...             for seed, value in enumerate(values)]
        >>> found = compare(trials("x", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), trials("y", [2.0, 4.0, 4.0, 6.0, 6.0, 8.0]),
        ...                 "accuracy", names=("dense", "sparse"))
        >>> found.design, found.difference, found.p, found.verdict
        ('paired', 1.5, 0.03125, 'sparse is higher')
    """
    if not 0.5 <= level < 1:
        raise RequestError(f"level: found {level}, expected a number from 0.5 to below 1, such as 0.95")
    both = {_trial(one) for one in a} & {_trial(one) for one in b}
    if both:
        run, seed = min(both)
        raise RequestError(f"compare: run {run}, seed {seed} is in both groups; choose groups that share no trial")
    known = {name for one in (*a, *b) for name in one.metrics}
    if known and metric not in known:
        raise UnknownNameError("metric", metric, known)
    paired = _paired(a, b)
    before, after = (
        _pairs(a, b, metric, names) if paired else (_group(names[0], a, metric), _group(names[1], b, metric))
    )
    return _judged(Comparison(metric, before, after, "paired" if paired else "independent", level))


def compare_all(groups: "Mapping[str, Trials]", metric: str, *, level: float = 0.95) -> tuple[Comparison, ...]:
    """Every pair of groups compared, with Holm's correction over all of them; the intervals are not corrected.

    Raises:
        RequestError: fewer than two groups; and as `compare` does.
    """
    if len(groups) < 2:
        raise RequestError(f"compare: found {len(groups)} group(s), expected two or more")
    found = [compare(groups[a], groups[b], metric, names=(a, b), level=level) for a, b in combinations(groups, 2)]
    tested = [one for one in found if one.p is not None]
    adjusted = iter(intervals.holm([one.p for one in tested if one.p is not None]))
    return tuple(replace(one, adjusted=next(adjusted)) if one.p is not None else one for one in found)


def _judged(blank: Comparison) -> Comparison:
    a, b = blank.a.values, blank.b.values
    effect = intervals.hedges_g(a, b)
    if min(len(a), len(b)) < 2:
        return blank
    if blank.design == "paired":
        differences = _differences(a, b)
        interval = intervals.mean_interval(differences, blank.level) if len(set(differences)) > 1 else None
        flips = _flips_suffice(len(differences), blank.level)
        p = intervals.sign_flip(differences) if flips else intervals.student(differences)
        return replace(blank, interval=interval, p=p, effect=effect)
    tested = intervals.welch(a, b, blank.level)
    return blank if tested is None else replace(blank, interval=tested[0], p=tested[1], effect=effect)


def _differences(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """Each pair's b − a; where these differ by rounding alone they are one number, or two pairs could show anything."""
    found = [after - before for before, after in zip(a, b, strict=True)]
    rounding = 1e-12 * max(map(abs, (*a, *b)))
    return [statistics.fmean(found)] * len(found) if max(found) - min(found) <= rounding else found


def _flips_suffice(pairs: int, level: float) -> bool:
    """Whether so many pairs, all of one sign, would be told from chance."""
    return 2.0 ** (1 - pairs) <= 1 - level


def _trial(one: "Outcome | Row") -> tuple[str, int]:
    return one.run if isinstance(one, tuple) else run_id(one.spec), one.seed


def _paired(a: "Trials", b: "Trials") -> bool:
    specs = [{_trial(one)[0] for one in group} for group in (a, b)]
    seeds = [sorted(one.seed for one in group) for group in (a, b)]
    alone = all(len(found) == 1 for found in specs) and len(set(seeds[0])) == len(seeds[0])
    return alone and seeds[0] == seeds[1]


def _fault(outcome: "Outcome | Row", metric: str) -> str:
    """Why a trial does not count; empty if it does."""
    if outcome.state != "done":
        return outcome.state
    if metric not in outcome.metrics:
        return "not measured"
    return "" if math.isfinite(outcome.metrics[metric]) else "not finite"


def _group(name: str, outcomes: "Trials", metric: str, also: Sequence[str] = ()) -> Group:
    faults = [_fault(one, metric) for one in outcomes]
    values = tuple(one.metrics[metric] for one, fault in zip(outcomes, faults, strict=True) if not fault)
    reasons = sorted(fault for fault in (*faults, *also) if fault)
    left_out = tuple((reason, reasons.count(reason)) for reason in dict.fromkeys(reasons))
    return Group(name, values, left_out, len({_trial(one)[0] for one in outcomes}))


def _pairs(a: "Trials", b: "Trials", metric: str, names: tuple[str, str]) -> tuple[Group, Group]:
    """Both groups in the order of their seeds, without the seeds of which one side does not count."""
    sides = [sorted(group, key=lambda one: one.seed) for group in (a, b)]
    sound = [{one.seed for one in group if not _fault(one, metric)} for group in sides]
    groups = []
    for name, group, own, other in zip(names, sides, sound, sound[::-1], strict=True):
        kept = [one for one in group if one.seed not in own - other]
        groups.append(_group(name, kept, metric, ["no partner"] * len(own - other)))
    return groups[0], groups[1]

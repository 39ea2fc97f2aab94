"""Intervals and tests for a few numbers: Student's, Welch's, sign flips, Hedges' g, Holm; plain functions."""

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXACT = 12  # pairs; up to here all 2ⁿ signs are tried
_DRAWS = 100_000  # of signs, where there are more pairs
_BATCH = 2_000

Interval = tuple[float, float]


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """Student's interval of the mean, mean ± t · s / √n; None for fewer than two values or one that is not finite.

    Args:
        values: finite numbers, independent and roughly normal.
        level: how often such an interval covers the true mean, between 0 and 1.

    Example:
        >>> low, high = mean_interval([1.0, 2.0, 3.0])
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)

    Reference:
        Student (1908), "The probable error of a mean".
    """
    count = len(values)
    if count < 2 or not all(map(math.isfinite, values)):
        return None
    reach = _t_reach(level, count - 1) * statistics.stdev(values) / math.sqrt(count)
    mean = statistics.fmean(values)
    return mean - reach, mean + reach


def percentiles(values: "NDArray[np.float64]") -> Interval | None:
    """The middle 95 % of a statistic's resamplings; those that are not finite are left out, None where none is left.

    Example:
        >>> import numpy
        >>> percentiles(numpy.append(numpy.arange(41.0), numpy.nan)), percentiles(numpy.array([numpy.nan]))
        ((1.0, 39.0), None)

    Reference:
        Efron, Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.
    """
    import numpy as np

    kept = values[np.isfinite(values)]
    if not len(kept):
        return None
    low, high = np.quantile(kept, (0.025, 0.975))
    return float(low), float(high)


def welch(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> tuple[Interval, float] | None:
    """Welch's interval of mean(b) − mean(a), and the two-sided p; None for fewer than two values or no spread at all.

    With v = s² / n of each group, the difference d has the standard error √(v_a + v_b) and
    (v_a + v_b)² / (v_a² / (n_a − 1) + v_b² / (n_b − 1)) degrees of freedom.

    Example:
        >>> interval, p = welch([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
        >>> round(p, 4)
        0.2879

    Reference:
        Welch (1947), "The generalization of 'Student's' problem when several different population variances are
        involved".
    """
    from scipy.special import stdtr

    if min(len(a), len(b)) < 2:
        return None
    parts = [statistics.variance(group) / len(group) for group in (a, b)]
    if not sum(parts) > 0:
        return None
    error = math.sqrt(sum(parts))
    # as shares of the sum: squares of very small variances would be nothing
    shares = [part / sum(parts) for part in parts]
    freedom = 1 / sum(share**2 / (len(group) - 1) for share, group in zip(shares, (a, b), strict=True))
    difference = statistics.fmean(b) - statistics.fmean(a)
    reach = _t_reach(level, freedom) * error
    return (difference - reach, difference + reach), float(2 * stdtr(freedom, -abs(difference) / error))


def student(differences: Sequence[float]) -> float | None:
    """The two-sided p of Student's test that the mean is 0; None for fewer than two values or no spread at all.

    It is below 1 − level exactly if `mean_interval` at that level leaves 0 out.

    Example:
        >>> round(student([1.0, 2.0, 3.0]), 4)
        0.0742
    """
    if len(differences) < 2 or statistics.stdev(differences) == 0:
        return None
    from scipy.stats import t

    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return float(2 * t.sf(abs(statistics.fmean(differences)) / error, len(differences) - 1))


def sign_flip(differences: Sequence[float]) -> float:
    """The two-sided p of the sign-flip test: how often random signs give a mean as far from 0 as the found one.

    If neither of two methods is better, each pair's difference is as likely to be negative as positive. Up to 12 pairs
    all 2ⁿ signs are tried; beyond, 100,000 from a fixed generator, of which the found one is counted as one more. With
    n pairs p cannot be below 2 / 2ⁿ.

    Args:
        differences: finite numbers, one for each pair, at least one.

    Example:
        >>> sign_flip([1.0, 2.0, 3.0]), sign_flip([1.0, -1.0])
        (0.25, 1.0)

    Reference:
        Fisher (1935), "The Design of Experiments", section 21; Phipson and Smyth (2010) for the one more.
    """
    import numpy as np

    values = np.abs(np.asarray(differences, dtype=np.float64))
    found, count = abs(math.fsum(differences)), len(differences)
    # Sums of the same numbers in another order differ in their last bits, and must still count as equal.
    least = found - 1e-12 * float(values.sum())
    if count <= EXACT:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float(np.mean(np.abs(signs @ values) >= least))
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(_DRAWS // _BATCH):
        signs = 1 - 2 * generator.integers(0, 2, size=(_BATCH, count), dtype=np.int8)
        hits += int(np.count_nonzero(np.abs(signs @ values) >= least))
    return (hits + 1) / (_DRAWS + 1)


def hedges_g(a: Sequence[float], b: Sequence[float]) -> float | None:
    """How many standard deviations mean(b) lies above mean(a): Hedges' g; None where there is no spread to measure by.

    g = J · (mean(b) − mean(a)) / s, where s² is the variance pooled over both groups, with f = n_a + n_b − 2 degrees
    of freedom, and J = Γ(f / 2) / (√(f / 2) · Γ((f − 1) / 2)) takes out the bias of small groups. Pairs are measured by
    the same s, so that g says the same of paired and of independent seeds.

    Example:
        >>> round(hedges_g([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]), 4)  # J = 0.7979 for 4 degrees of freedom
        0.7979

    Reference:
        Hedges (1981), "Distribution theory for Glass's estimator of effect size and related estimators".
    """
    freedom = len(a) + len(b) - 2
    if min(len(a), len(b)) < 2:
        return None
    pooled = sum(statistics.variance(group) * (len(group) - 1) for group in (a, b)) / freedom
    if not pooled > 0:
        return None
    unbiased = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return unbiased * (statistics.fmean(b) - statistics.fmean(a)) / math.sqrt(pooled)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p of each: the probability of any false alarm among all tests stays below the level.

    The smallest of m is multiplied by m, the next by m − 1, …; none becomes smaller than one before it, or above 1.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]

    Reference:
        Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    adjusted, before = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        before = min(1.0, max(before, (len(values) - rank) * values[index]))
        adjusted[index] = before
    return adjusted


def _t_reach(level: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2))

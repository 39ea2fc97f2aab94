"""Who comes first over many comparisons: ranks, their means, and by how much means must differ to mean anything."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from sparsewire.errors import RequestError

Table = Mapping[str, Sequence[float]]


def ranks_of(table: Table) -> dict[str, tuple[float, ...]]:
    """The rank of each contender in each block: 1 for the highest value, ties share the mean of their places.

    Args:
        table: contender → its values, one for each block, as many for all; NaN comes last.

    Raises:
        RequestError: contenders with different numbers of values.

    Example:
        >>> ranks_of({"a": (9.0, 5.0), "b": (7.0, 5.0), "c": (8.0, 1.0)})
        {'a': (1.0, 1.5), 'b': (3.0, 1.5), 'c': (2.0, 3.0)}
    """
    counts = {len(values) for values in table.values()}
    if len(counts) > 1:
        raise RequestError(f"table: found {sorted(counts)} values, expected as many for each contender, one a block")
    blocks = [_ranked(block) for block in zip(*table.values(), strict=True)]
    return {name: tuple(block[place] for block in blocks) for place, name in enumerate(table)}


def mean_ranks(table: Table) -> dict[str, float]:
    """The mean rank of each contender over all blocks, the best first.

    Raises:
        RequestError: as `ranks_of`.

    Example:
        >>> mean_ranks({"a": (9.0, 5.0), "b": (7.0, 6.0), "c": (8.0, 1.0)})
        {'a': 1.5, 'b': 2.0, 'c': 2.5}
    """
    means = {name: fmean(ranks) for name, ranks in ranks_of(table).items() if ranks}
    return dict(sorted(means.items(), key=lambda item: item[1]))


def critical_difference(contenders: int, blocks: int, level: float = 0.95) -> float:
    """By how much two mean ranks must differ to tell their contenders apart; Nemenyi's test.

        CD = q / √2 · √(k (k + 1) / (6 n))

    with q the quantile of the studentised range of k contenders (infinite degrees of freedom) and n blocks. It holds
    for all pairs at once, with at most one false alarm in 20 studies at the level 0.95, if blocks are independent.

    Args:
        contenders: k, at least 2.
        blocks: n, at least 1.
        level: between 0 and 1.

    Raises:
        RequestError: fewer contenders or blocks.

    Example:
        >>> round(critical_difference(4, 14), 2)  # q / √2 = 2.569
        1.25

    Reference:
        Demšar (2006), "Statistical comparisons of classifiers over multiple data sets", section 3.2.2.
    """
    if contenders < 2 or blocks < 1:
        raise RequestError(
            f"contenders, blocks: found {contenders}, {blocks}, expected at least 2 contenders in at least 1 block"
        )
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(level, contenders, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(contenders * (contenders + 1) / (6 * blocks))


def _ranked(values: Sequence[float]) -> list[float]:
    keys = [-math.inf if math.isnan(value) else value for value in values]
    return [sum(other > key for other in keys) + (1 + sum(other == key for other in keys)) / 2 for key in keys]

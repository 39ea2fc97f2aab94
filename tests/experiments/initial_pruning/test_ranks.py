"""Ranks by hand, laws of ranks, and the critical differences of a published table."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from sparsewire.errors import RequestError
from sparsewire.experiments.initial_pruning.ranks import critical_difference, mean_ranks, ranks_of

VALUES = st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, math.inf]), min_size=4, max_size=4)


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=5))
def test_the_ranks_of_a_block_have_the_same_sum_whatever_the_ties(blocks) -> None:
    table = {str(place): tuple(block[place] for block in blocks) for place in range(4)}
    found = ranks_of(table)
    for block in range(len(blocks)):
        assert sum(ranks[block] for ranks in found.values()) == 1 + 2 + 3 + 4


@settings(deadline=None)  # the first call of SciPy's may take long
@given(VALUES)
def test_ranks_are_those_of_scipy(values) -> None:
    found = ranks_of({str(place): (value,) for place, value in enumerate(values)})
    assert [ranks[0] for ranks in found.values()] == list(rankdata([-value for value in values]))


def test_what_is_no_number_comes_last() -> None:
    assert ranks_of({"a": (math.nan,), "b": (0.0,), "c": (-5.0,)}) == {"a": (3.0,), "b": (1.0,), "c": (2.0,)}


def test_the_best_mean_comes_first_and_no_block_has_no_ranks() -> None:
    assert list(mean_ranks({"low": (1.0, 2.0), "high": (3.0, 4.0)})) == ["high", "low"]
    assert mean_ranks({"a": (), "b": ()}) == {}


@pytest.mark.parametrize(
    ("contenders", "quantile"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)]
)  # Demšar 2006, table 5 (a)
def test_the_quantiles_of_the_published_table(contenders, quantile) -> None:
    error = math.sqrt(contenders * (contenders + 1) / (6 * 7))
    assert critical_difference(contenders, 7) == pytest.approx(quantile * error, rel=5e-4)


def test_four_times_the_blocks_halve_it() -> None:
    assert critical_difference(5, 4) == pytest.approx(2 * critical_difference(5, 16))


@pytest.mark.parametrize(("contenders", "blocks"), [(1, 5), (0, 5), (3, 0)])
def test_nothing_to_compare_is_refused(contenders, blocks) -> None:
    with pytest.raises(RequestError, match=f"found {contenders}, {blocks}, expected at least 2"):
        critical_difference(contenders, blocks)


def test_contenders_that_lack_a_block_are_refused() -> None:
    with pytest.raises(RequestError, match=r"found \[1, 2\] values, expected as many"):
        ranks_of({"a": (1.0,), "b": (1.0, 2.0)})

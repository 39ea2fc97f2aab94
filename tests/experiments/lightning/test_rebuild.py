"""The published tables of the lightning paper, and what they say of each other."""

import math

import pytest

from sparsewire.experiments.lightning.rebuild import CHANGES, CORRELATIONS


@pytest.mark.parametrize("active", CHANGES)
def test_table_2_is_the_root_of_what_table_1_left_unchanged(active: float) -> None:
    """So the paper correlated types, not weights; docs/decisions.md rests on this."""
    for percent, correlation in zip(CHANGES[active], CORRELATIONS[active], strict=True):
        assert round(math.sqrt(1 - percent / 100), 3) == correlation

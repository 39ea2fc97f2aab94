"""What all that is drawn shares: seeds, limits, and how many rounds of trades make rows random."""

import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.priors.trades import MOST_LABELS, checked_labels, number_stream, rounds_to_mix, seeds


def test_one_row_has_nobody_to_trade_with():
    assert rounds_to_mix(0) == rounds_to_mix(1) == 0
    assert rounds_to_mix(2) == 16
    assert rounds_to_mix(2**20) == 25


def test_the_generator_decides_the_seeds():
    first, second = (torch.Generator().manual_seed(3) for _ in range(2))
    assert seeds(first, 3) == seeds(second, 3)
    assert seeds(first, 3) != seeds(torch.Generator().manual_seed(3), 3)
    assert number_stream(first).integers(2**60) != number_stream(first).integers(2**60)


def test_too_many_labels_are_refused():
    assert checked_labels("n_in", MOST_LABELS - 1) == MOST_LABELS - 1
    with pytest.raises(RequestError, match="n_in: found 536870912, expected less than 536870912 neurons"):
        checked_labels("n_in", MOST_LABELS)

"""Labels at the ends of chains: what they promise is what the windows of the chain need."""

import numpy as np
import pytest

from sparsewire.structure.priors.chain_ends import end_labels
from sparsewire.structure.windows import Layout

# layout, coarse and fine windows; of the last two, fine windows are not inside coarse ones
CASES = [
    (Layout((24,)), 4, 12, True),
    (Layout((24,)), 4, 4, True),
    (Layout((28, 28)), 14, 196, True),
    (Layout((256, 4, 4)), 8, 16, False),
    (Layout((16, 4, 4)), 8, 16, False),
]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("layout", "coarse_count", "fine_count", "nested"), CASES)
def test_each_label_has_as_many_neurons_of_each_coarse_window(layout, coarse_count, fine_count, nested, seed):
    fine, coarse = layout.windows(fine_count).numpy(), layout.windows(coarse_count).numpy()
    run = layout.neurons // fine_count
    labels, places = end_labels(fine, coarse, run, np.random.default_rng(seed))
    assert (places is None) == nested
    for label in range(fine_count // coarse_count):
        members = labels == label
        assert np.unique(fine[members]).size == coarse_count
        assert (np.bincount(coarse[members]) == run).all()
        for place in range(run) if places is not None else ():
            chosen = members & (places == place)
            assert np.unique(coarse[chosen]).size == np.unique(fine[chosen]).size == chosen.sum() == coarse_count


@pytest.mark.parametrize(
    ("fine", "coarse", "run"),
    [
        ([0, 0, 1, -1], [0, 0, 1, 1], 2),  # padding
        ([0, 0, 1, 2], [0, 0, 1, 1], 1),  # fine windows of different sizes
        ([0, 1, 2, 3], [0, 0, 0, 1], 1),  # coarse ones
        ([0, 1, 2], [0, 1, 1], 1),  # not a multiple
        ([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], [0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 1], 3),  # none overlaps like another
    ],
)
def test_other_windows_get_no_labels(fine, coarse, run):
    assert end_labels(np.array(fine), np.array(coarse), run, np.random.default_rng(0)) is None


def test_steady_labels_have_the_same_order_in_each_window():
    labels, _ = end_labels(np.arange(12), np.arange(12) // 4, 1, np.random.default_rng(0), steady=True)
    assert (labels.reshape(3, 4) == labels[:4]).all()

"""Window matrices: the paper's construction by hand, and what scatter counts in them."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.analysis.scatter_metric import scatter
from sparsewire.analysis.window_matrices import equivalent_junction, window_matrix
from sparsewire.errors import RequestError
from sparsewire.structure.windows import Layout

# Figure 4's sizes, 8-4-4 with fan-outs 1 and 2; SPEC's instance of its lost matrices.
FIRST = torch.zeros(4, 8, dtype=torch.bool)
FIRST[[0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 2, 4, 3, 5, 6, 7]] = True
SECOND = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1]] * 2).bool()


def test_the_window_matrices_of_the_worked_example():
    # Left windows {0..3} and {4..7}; hidden neurons read {0, 1}, {2, 4}, {3, 5}, {6, 7}.
    assert window_matrix(FIRST).tolist() == [[2, 0], [1, 1], [1, 1], [0, 2]]
    assert window_matrix(FIRST, backward=True).tolist() == [[1] * 8]
    assert window_matrix([SECOND]).tolist() == [[1, 1]] * 4
    # Four windows of two: outputs 0 and 2 read hidden 0 and 2, so inputs 0, 1, 3, 5; the others 2, 4, 6, 7.
    assert window_matrix([FIRST, SECOND]).tolist() == [[2, 1, 1, 0], [0, 1, 1, 2]] * 2
    assert window_matrix([FIRST, SECOND], backward=True).tolist() == [[1] * 8] * 2


def test_the_equivalent_junction_of_the_worked_example():
    found = equivalent_junction([FIRST, SECOND]).toarray()
    reads = [[1, 1, 0, 1, 0, 1, 0, 0], [0, 0, 1, 0, 1, 0, 1, 1]]
    assert found.tolist() == reads * 2
    assert equivalent_junction(SECOND).toarray().tolist() == SECOND.double().tolist()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=4), st.integers(0, 999), st.data())
def test_scatter_is_the_share_of_entries_that_are_not_zero(sizes, seed, data):
    generator = torch.Generator().manual_seed(seed)
    net = [torch.rand(n_out, n_in, generator=generator) < 0.4 for n_in, n_out in pairwise(sizes)]
    layouts = [Layout((size,), real=data.draw(st.integers(1, size))) for size in sizes]
    row = scatter(net, layouts).junctions[-1]
    for backward, expected in ((False, row.forward), (True, row.backward)):
        matrix = window_matrix(net, layouts, backward=backward)
        assert (matrix >= 1).mean() == pytest.approx(expected)
    paths = equivalent_junction(net).toarray()
    product = np.linalg.multi_dot([part.double().numpy() for part in reversed(net)]) if len(net) > 1 else paths
    assert np.array_equal(paths, product)
    assert window_matrix(net).sum() == window_matrix(net, backward=True).sum() == paths.sum()


def test_too_many_paths_are_infinite():
    full = [torch.ones(8, 8, dtype=torch.bool)] * 400
    assert np.isposinf(equivalent_junction(full).toarray()).all()


def test_what_is_no_chain_is_refused():
    with pytest.raises(RequestError, match="'0' of shape \\(4, 8\\) leads to 4 neurons"):
        window_matrix([FIRST, FIRST])
    with pytest.raises(RequestError, match="windows: found 1 layouts"):
        window_matrix(FIRST, [Layout((8,))])

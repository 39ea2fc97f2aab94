import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.kernels.dag_structure import dag_of


def made(sizes, edges, read, apart=False):
    targets, sources = np.array(edges, np.int64).reshape(-1, 2).T
    return dag_of(sizes, targets, sources, np.array(read), apart=apart)


def test_literals_by_hand():
    edges = [(2, 0), (4, 0), (4, 1), (4, 2)]  # 3 reads nothing; 4 reads two layers
    dag = made((2, 2, 1), edges, [4])
    assert (dag.sources, dag.nodes, dag.edges, dag.units, dag.first) == (2, 5, 4, 3, None)
    assert dag.columns.tolist() == [0, 0, 1, 2]
    assert dag.starts.tolist() == [0, 1, 1, 4]
    assert dag.layers == ((2, 4, 0, 2, 0, 1), (4, 5, 2, 3, 1, 4))
    assert dag.unit_of_edge.tolist() == [0, 2, 2, 2]
    apart = made((2, 2, 1), edges, [4], apart=True)
    assert apart.starts.tolist() == [0, 1, 1, 3, 4]
    assert apart.first.tolist() == [0, 1, 2, 4]
    assert apart.node_of_unit.tolist() == [2, 3, 4, 4]
    assert apart.bytes == 4 * (4 + 5 + 4 + 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.floats(0, 1), st.booleans(), st.integers(0, 99))
def test_units_are_whole(sizes, density, apart, seed):
    layer = np.repeat(np.arange(len(sizes)), sizes)
    random = np.random.default_rng(seed).random((len(layer),) * 2)
    targets, sources = np.nonzero((layer[:, None] > layer[None, :]) & (random < density))
    dag = dag_of(sizes, targets, sources, np.array([0]), apart=apart)
    node = dag.node_of_unit[dag.unit_of_edge].numpy()
    assert np.array_equal(node, targets)
    assert np.array_equal(dag.columns.numpy(), sources)
    assert set(dag.node_of_unit.tolist()) == set(range(sizes[0], len(layer)))
    if apart:  # one source layer a unit, and no two units of a node of the same
        pairs = {(unit, layer[source]) for unit, source in zip(dag.unit_of_edge.tolist(), sources, strict=True)}
        assert len(pairs) == len({unit for unit, _ in pairs})
        assert len({(dag.node_of_unit[unit].item(), which) for unit, which in pairs}) == len(pairs)
    else:
        assert dag.units == len(layer) - sizes[0]
    assert all(array.dtype == torch.int32 for array in dag.arrays)


BAD = [
    (((), [], [0]), "layers of at least 1 node"),
    (((2, 0), [], [0]), "layers of at least 1 node"),
    (((2, 1), [(3, 0)], [2]), "a node that is none"),
    (((2, 1), [(2, -1)], [2]), "a node that is none"),
    (((2, 1), [(1, 0)], [2]), "not to a higher layer"),
    (((2, 1), [(0, 2)], [2]), "not to a higher layer"),
    (((2, 1), [(2, 1), (2, 0)], [2]), "ordered by target"),
    (((2, 1), [(2, 0), (2, 0)], [2]), "each of them once"),
    (((2, 1), [(2, 0)], []), "read: expected at least one node"),
    (((2, 1), [(2, 0)], [3]), "read: expected"),
    (((2, 1), [(2, 0)], [2, 1]), "read: expected"),
    (((2, 1), [(2, 0)], [2, 2]), "read: expected"),
]


@pytest.mark.parametrize(("given_", "message"), BAD)
def test_what_is_no_network_is_said(given_, message):
    with pytest.raises(RequestError, match=message):
        made(*given_)


def test_lengths_that_differ_are_said():
    with pytest.raises(RequestError, match="one number an edge"):
        dag_of((1, 1), np.array([1]), np.array([0, 0]), np.array([1]))

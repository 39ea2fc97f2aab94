"""Blocks are canonical, locked copies, or the request is refused."""

import numpy as np
import pytest
from scipy import sparse

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import block_of_edges, checked_blocks, checked_sizes, ends, same, whole


def test_a_block_keeps_the_edges_of_value_zero_in_order():
    block = block_of_edges(np.array([1, 0, 1]), np.array([2, 1, 0]), np.array([5.0, 0.0, 7.0]), (3, 3))
    assert block.nnz == 3
    assert [part.tolist() for part in (block.indptr, block.indices, block.data)] == [[0, 1, 3, 3], [1, 0, 2], [0, 7, 5]]
    assert [end.tolist() for end in ends(block)] == [[0, 1, 1], [1, 0, 2]]


def test_checked_blocks_are_sorted_copies_that_cannot_be_written():
    given = sparse.csr_array((np.array([1.0, 2.0]), np.array([1, 0]), np.array([0, 2])), shape=(1, 2))
    block = checked_blocks({(0, 1): given}, (2, 1))[0, 1]
    assert block.indices.tolist() == [0, 1]
    assert block.data.tolist() == [2.0, 1.0]
    assert given.indices.tolist() == [1, 0]  # the caller's own stays as it was
    for part in (block.data, block.indices, block.indptr):
        with pytest.raises(ValueError, match="read-only"):
            part[0] = 0


@pytest.mark.parametrize(
    ("given", "stored"),
    [(np.float32, np.float32), (np.bool_, np.float32), (np.float64, np.float64), (np.int64, np.float64)],
)
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
def test_values_and_formats(given, stored, kind):
    block = checked_blocks({(0, 1): kind(np.array([[1, 0]], given))}, (2, 1))[0, 1]
    assert isinstance(block, sparse.csr_array)
    assert block.dtype == stored
    assert block.toarray().tolist() == [[1, 0]]


ONE = sparse.csr_array([[1.0]])
TWICE = sparse.csr_array((np.array([1.0, 2.0]), np.array([0, 0]), np.array([0, 2])), shape=(1, 1))
OUTSIDE = sparse.csr_array([[1.0]])
OUTSIDE.indices[0] = 7


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({(1, 0): ONE}, "blocks: found the key \\(1, 0\\)"),
        ({(0, 0): ONE}, "source < target"),
        ({(0, 2): ONE}, "layers 0 to 1"),
        ({(-1, 1): ONE}, "found the key"),
        ({(0, 1, 1): ONE}, "found the key"),
        ({"01": ONE}, "found the key '01'"),
        ({(0, 1): sparse.csr_array([[1.0, 2.0]])}, r"blocks\[0, 1\]: found shape \(1, 2\), expected .* \(1, 1\)"),
        ({(0, 1): np.ones((1, 1))}, "found ndarray, expected a scipy sparse matrix"),
        ({(0, 1): sparse.csr_array([[1j]])}, "complex128, expected real numbers"),
        ({(0, 1): TWICE}, "stores an edge more than once"),
        ({(0, 1): OUTSIDE}, "no proper CSR"),
    ],
)
def test_impossible_blocks_are_refused(blocks, message):
    with pytest.raises(RequestError, match=message):
        checked_blocks(blocks, (1, 1))


def test_sizes():
    assert checked_sizes([np.int64(3), 2]) == (3, 2)
    for sizes, message in [((), "found none"), ((3, 0), r"sizes\[1\]: found 0"), ((2.5,), r"sizes\[0\]: found 2.5")]:
        with pytest.raises(RequestError, match=message):
            checked_sizes(sizes)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, np.bool_(True), "1", None])
def test_what_is_no_whole_number(value):
    with pytest.raises(RequestError, match="paths: found"):
        whole("paths", value, least=1)


def test_same_compares_edges_and_not_only_values():
    stored_zero = block_of_edges(np.array([0]), np.array([1]), np.array([0.0]), (1, 2))
    nothing = sparse.csr_array((1, 2))
    assert (stored_zero.toarray() == nothing.toarray()).all()
    assert not same(stored_zero, nothing)
    assert same(stored_zero, stored_zero.astype(np.float32))
    assert not same(nothing, sparse.csr_array((2, 1)))

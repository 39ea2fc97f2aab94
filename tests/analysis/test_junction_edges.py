"""Junctions as lists of edges; that every form of a network gives the same is tested with scatter."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sparsewire.analysis.junction_edges import Edges, chain_edges
from sparsewire.structure.graphs import NetGraph


def as_set(edges):
    return set(zip(edges.targets.tolist(), edges.sources.tolist(), strict=True))


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 999))
def test_edges_flipped_and_among_marked_neurons_are_parts_of_the_matrix(n_out, n_in, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.random((n_out, n_in)) < 0.5
    targets, sources = rng.random(n_out) < 0.6, rng.random(n_in) < 0.6
    edges = chain_edges(matrix)["0"]
    for found, expected in [
        (edges, matrix),
        (edges.flipped(), matrix.T),
        (edges.among(targets, sources), matrix[targets][:, sources]),
        (edges.among(None, sources), matrix[:, sources]),
        (edges.among(None, None), matrix),
    ]:
        assert found.shape == expected.shape
        assert as_set(found) == set(zip(*map(np.ndarray.tolist, np.nonzero(expected)), strict=True))


def test_names_are_those_of_weights_layers_or_places():
    eye = torch.eye(2).bool()
    block = sparse.csr_array(np.eye(2))
    assert list(chain_edges({"a.weight": eye, "conv.weight": torch.ones(1, 1, 2, 2).bool()})) == ["a.weight"]
    assert list(chain_edges(NetGraph((2, 2, 2), {(0, 1): block, (1, 2): block}))) == ["0→1", "1→2"]
    assert list(chain_edges([eye, eye])) == ["0", "1"]


def test_places_of_a_large_block_do_not_overflow():
    indices = np.array([2**20 - 1], np.int32)
    block = sparse.csr_array((np.ones(1, np.float32), indices, np.array([0, 1], np.int32)), shape=(1, 2**20))
    edges = chain_edges(block)["0"]
    assert isinstance(edges, Edges)
    assert edges.sources.dtype == np.int64


def test_layouts_of_tensors_and_blocks_do_not_matter():
    pattern = torch.tensor([[True, False, True], [False, True, False]])
    block = sparse.csr_array(pattern.numpy().astype(np.float32))
    wide = sparse.csr_array((block.data, block.indices.astype(np.int64), block.indptr.astype(np.int64)), shape=(2, 3))
    forms = [pattern, pattern.t().contiguous().t(), pattern.to_sparse(), pattern.numpy(), block, wide, block.tocsc()]
    for form in forms:
        edges = chain_edges(form)["0"]
        assert edges.shape == (2, 3)
        assert sorted(zip(edges.targets.tolist(), edges.sources.tolist(), strict=True)) == [(0, 0), (0, 2), (1, 1)]


def test_an_entry_that_is_stored_twice_is_one_edge_and_a_stored_zero_is_one():
    twice = sparse.coo_array((np.ones(3), (np.array([0, 0, 1]), np.array([0, 0, 1]))), shape=(2, 2))
    assert chain_edges(twice)["0"].targets.tolist() == [0, 1]
    zero = sparse.csr_array((np.zeros(1), np.array([1]), np.array([0, 1, 1])), shape=(2, 2))
    assert chain_edges(zero)["0"].sources.tolist() == [1]

"""The minimax sweep against a fresh boolean sweep for every number of edges."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.kernels.path_sweep import NEVER, Wires, chain_sweep, complete_counts, edge_ranks, graph_sweep

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.lists(st.integers(1, 5), min_size=2, max_size=5)


def complete_at(sizes, wires, k):
    """Per block, which of the k strongest edges are on a complete path: two boolean sweeps, edge by edge."""
    forward = [np.full(size, layer == 0) for layer, size in enumerate(sizes)]
    backward = [np.full(size, layer == len(sizes) - 1) for layer, size in enumerate(sizes)]
    edges = [(s, u, t, v) for (s, t), wire in wires.items() for v, u, r in zip(*wire, strict=True) if r <= k]
    for s, u, t, v in sorted(edges):
        forward[t][v] |= forward[s][u]
    for s, u, t, v in sorted(edges, key=lambda edge: edge[2], reverse=True):
        backward[s][u] |= backward[t][v]
    return [(wire.ranks <= k) & forward[s][wire.sources] & backward[t][wire.targets] for (s, t), wire in wires.items()]


def oracle(sizes, wires):
    """The steps of all edges, by trying every k."""
    edges = sum(wire.ranks.size for wire in wires.values())
    steps = [np.full(wire.ranks.shape, NEVER, np.uint32) for wire in wires.values()]
    for k in range(edges, 0, -1):
        for step, on in zip(steps, complete_at(sizes, wires, k), strict=True):
            step[on] = k
    return steps


def random_chain(sizes, seed, ties=False):
    rng = np.random.default_rng(seed)
    draw = (lambda shape: rng.integers(-3, 4, shape)) if ties else rng.standard_normal
    return edge_ranks([draw((n_out, n_in)) for n_in, n_out in pairwise(sizes)])


def as_wires(ranks):
    wires = {}
    for layer, rank in enumerate(ranks):
        targets, sources = (place.ravel() for place in np.indices(rank.shape))
        wires[layer, layer + 1] = Wires(targets, sources, rank.ravel())
    return wires


def random_graph(sizes, seed, density=0.4):
    rng = np.random.default_rng(seed)
    layers = range(len(sizes))
    ends = {(s, t): np.nonzero(rng.random((sizes[t], sizes[s])) < density) for s in layers for t in layers if s < t}
    ranks = edge_ranks([rng.standard_normal(targets.size) for targets, _ in ends.values()])
    return {key: Wires(*end, rank) for (key, end), rank in zip(ends.items(), ranks, strict=True)}


@settings(deadline=None, max_examples=25)
@given(sizes=SIZES, seed=SEEDS, ties=st.booleans())
def test_a_chain_joins_when_the_oracle_says(sizes, seed, ties):
    ranks = random_chain(sizes, seed, ties)
    for step, expected in zip(chain_sweep(ranks).steps, oracle(sizes, as_wires(ranks)), strict=True):
        np.testing.assert_array_equal(step.ravel(), expected)


@settings(deadline=None, max_examples=25)
@given(sizes=SIZES, seed=SEEDS, density=st.sampled_from([0.1, 0.4, 1.0]))
def test_a_graph_with_skip_connections_joins_when_the_oracle_says(sizes, seed, density):
    wires = random_graph(sizes, seed, density)
    for step, expected in zip(graph_sweep(sizes, wires).steps, oracle(sizes, wires), strict=True):
        np.testing.assert_array_equal(step, expected)


def test_both_forms_agree_on_a_chain():
    sizes = [40, 30, 20, 5]
    ranks = random_chain(sizes, seed=1)
    dense, general = chain_sweep(ranks), graph_sweep(sizes, as_wires(ranks))
    for one, other in zip(dense.steps, general.steps, strict=True):
        np.testing.assert_array_equal(one.ravel(), other)
    for one, other in zip(dense.forward + dense.backward, general.forward + general.backward, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_order_of_the_wires_does_not_matter():
    sizes = [3, 4, 4, 2]
    wires = random_graph(sizes, seed=5)
    backwards = dict(reversed(wires.items()))
    steps = dict(zip(wires, graph_sweep(sizes, wires).steps, strict=True))
    for key, step in zip(backwards, graph_sweep(sizes, backwards).steps, strict=True):
        np.testing.assert_array_equal(step, steps[key])


def test_by_hand():
    # Ranks: a -4-> c, b -1-> c, c -2-> d, and past them a -3-> d.
    # k=1: only b->c; k=2: b-c-d; k=3: a-d too; k=4: a-c too.
    wires = {
        (0, 1): Wires(np.array([0, 0]), np.array([0, 1]), np.array([4, 1], np.uint32)),
        (0, 2): Wires(np.array([0]), np.array([0]), np.array([3], np.uint32)),
        (1, 2): Wires(np.array([0]), np.array([0]), np.array([2], np.uint32)),
    }
    sweep = graph_sweep([2, 1, 1], wires)
    assert [step.tolist() for step in sweep.steps] == [[4, 2], [3], [2]]
    assert complete_counts(sweep, 4).tolist() == [0, 0, 2, 3, 4]
    assert [ranks.tolist() for ranks in sweep.backward] == [[3, 2], [2], [0]]
    assert sweep.latest == 3


def test_inputs_are_layer_0_and_outputs_the_last_layer_only():
    # Neuron 1 of layer 1 has no predecessor, neuron 0 of layer 1 no successor: neither edge ever is complete.
    wires = {
        (0, 1): Wires(np.array([0]), np.array([0]), np.array([1], np.uint32)),
        (1, 2): Wires(np.array([0]), np.array([1]), np.array([2], np.uint32)),
    }
    sweep = graph_sweep([1, 2, 1], wires)
    assert [step.tolist() for step in sweep.steps] == [[NEVER], [NEVER]]
    assert sweep.latest == NEVER
    assert complete_counts(sweep, 2).tolist() == [0, 0, 0]


@settings(deadline=None, max_examples=25)
@given(sizes=SIZES, seed=SEEDS)
def test_ranking_the_strongest_only_gives_the_same_start(sizes, seed):
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-4, 5, (n_out, n_in)) for n_in, n_out in pairwise(sizes)]
    edges = sum(weight.size for weight in weights)
    whole = chain_sweep(edge_ranks(weights))
    for first in range(edges + 1):
        part = chain_sweep(edge_ranks(weights, first))
        np.testing.assert_array_equal(complete_counts(part, first), complete_counts(whole, edges)[: first + 1])
        assert (part.latest <= first) == (whole.latest <= first)


def test_from_the_latest_step_on_every_edge_is_complete():
    for seed in range(20):
        sweep = chain_sweep(random_chain([6, 5, 4], seed))
        counts = complete_counts(sweep, 50)
        assert (counts[sweep.latest :] == np.arange(sweep.latest, 51)).all()
        assert counts[sweep.latest - 1] <= sweep.latest - 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.int64, ">f4"])
@pytest.mark.parametrize("first", [0, 1, 7, 100, 119, 120])
def test_ranks_are_those_of_a_stable_sort(dtype, first):
    rng = np.random.default_rng(0)
    # Few values, so that there are ties across arrays, of both signs, with zeros and negative zeros among them.
    parts = [rng.integers(-3, 4, shape).astype(dtype) for shape in [(4, 5), (100,)]]
    parts[0] = -parts[0]
    flat = np.abs(np.concatenate([part.ravel() for part in parts]).astype(np.float64))
    expected = np.full(120, first + 1)
    expected[np.argsort(-flat, kind="stable")[:first]] = np.arange(1, first + 1)
    ranks = edge_ranks(parts, first)
    assert [rank.shape for rank in ranks] == [(4, 5), (100,)]
    assert all(rank.dtype == np.uint32 for rank in ranks)
    np.testing.assert_array_equal(np.concatenate([rank.ravel() for rank in ranks]), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranks_over_all_magnitudes(dtype):
    info = np.finfo(dtype)
    rising = [0, info.smallest_subnormal, info.tiny, 1e-10, 1 - info.epsneg, 1, 1 + info.eps, 1e10, info.max, np.inf]
    values = np.array(rising, dtype) * np.tile([1, -1], 5).astype(dtype)
    assert edge_ranks([values])[0].tolist() == list(range(10, 0, -1))


def test_ranks_leave_their_input_alone():
    values = np.array([-1.0, 2.0], np.float32)
    edge_ranks([values])
    assert values.tolist() == [-1.0, 2.0]


def test_ranks_of_nothing():
    assert edge_ranks([]) == []
    assert [rank.shape for rank in edge_ranks([np.empty((0, 3)), np.empty(0)])] == [(0, 3), (0,)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("first", [None, 1])
def test_nan_has_no_rank(dtype, first):
    with pytest.raises(RequestError, match="edge 2 is NaN"):
        edge_ranks([np.array([1.0, np.inf], dtype), np.array([-np.nan], dtype)], first)

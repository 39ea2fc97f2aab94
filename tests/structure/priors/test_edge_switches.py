"""Switches done at once, against switches done one after another."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.layering import numbered_edges
from sparsewire.structure.priors import edge_switches
from sparsewire.structure.priors.edge_switches import switched
from sparsewire.structure.priors.null_models import rewired_graph
from sparsewire.structure.priors.random_edges import erdos_renyi
from sparsewire.structure.priors.small_worlds import watts_strogatz


def one_after_another(present, owner, wanted, wants):
    """The pairs in their order: who finds both edges free removes its own two and makes these."""
    there = set(present.tolist())
    of = {}
    for key, pair in zip(present.tolist(), owner.tolist(), strict=True):
        of.setdefault(pair, set()).add(key)
    done = []
    for pair, (one, other) in enumerate(wanted.tolist()):
        done.append(bool(wants[pair]) and one not in there and other not in there)
        if done[-1]:
            there = there - of[pair] | {one, other}
    return np.array(done, np.bool_)


@settings(deadline=None, max_examples=60)
@given(
    nodes=st.integers(2, 14), density=st.floats(0, 1), seed=st.integers(0, 2**32 - 1), directed=st.booleans()
)  # fmt: skip
def test_rounds_are_those_of_pairs_one_after_another(nodes, density, seed, directed):
    low, high = np.triu_indices(nodes, 1)
    kept = np.random.default_rng(seed).random(low.size) < density
    low, high = low[kept], high[kept]
    results = []
    for accepted in (edge_switches._accepted, one_after_another):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(edge_switches, "_accepted", accepted)
            stream = np.random.Generator(np.random.SFC64(seed))
            results.append(switched(nodes, low, high, 4, stream, directed=directed))
    (ours, heads), (slow, slow_heads) = results
    assert np.array_equal(ours, slow)
    assert np.array_equal(heads, slow_heads)
    assert (ours < heads).all()
    assert np.unique(ours * nodes + heads).size == low.size
    count = [np.bincount(np.append(one, other), minlength=nodes) for one, other in ((low, high), (ours, heads))]
    assert np.array_equal(*count)
    if directed:
        assert np.array_equal(np.bincount(ours, minlength=nodes), np.bincount(low, minlength=nodes))


@pytest.mark.parametrize("keep", ["directed", "undirected"])
def test_null_models_keep_degrees_and_values(keep):
    generator = torch.Generator().manual_seed(0)
    graph = watts_strogatz(100, 6, generator=generator)
    blocks = {key: block * float(1 + number) for number, (key, block) in enumerate(graph.blocks.items())}
    graph = NetGraph(graph.sizes, blocks)
    before = graph.to_networkx()
    other = rewired_graph(graph, generator=generator, keep=keep)
    after = other.to_networkx()
    assert sorted(dict(after.degree).values()) == sorted(dict(before.degree).values())
    pairs = [sorted((plain.in_degree(node), plain.out_degree(node)) for node in plain) for plain in (before, after)]
    assert (pairs[0] == pairs[1]) == (keep == "directed")
    values = [np.sort(numbered_edges(one.sizes, one.blocks)[2]) for one in (graph, other)]
    assert np.array_equal(*values)
    shared = len(set(before.edges) & set(after.edges))
    assert shared < 0.4 * graph.edges


def test_nothing_to_switch():
    generator = torch.Generator().manual_seed(0)
    graph = erdos_renyi(40, 0.2, generator=generator)
    assert rewired_graph(graph, generator=generator, swaps=0) == graph
    for edges in (0, 1):
        small = erdos_renyi(5, edges=edges, generator=generator)
        assert rewired_graph(small, generator=generator, keep="undirected").edges == edges

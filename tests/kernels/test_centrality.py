"""The sweep over shortest paths: native and plain alike, equal to a search written out, the same on any threads."""

import itertools
from collections import deque

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.kernels import centrality_plain, native
from sparsewire.kernels.centrality import Sweep, reverse_arcs, shortest_paths_sweep


def arrays(graph: nx.Graph) -> tuple[np.ndarray, np.ndarray]:
    rows = [sorted(graph[node]) for node in range(len(graph))]
    heads = np.array(list(itertools.chain(*rows)), np.int32)
    return np.cumsum([0, *map(len, rows)]), heads


def written_out(starts: np.ndarray, heads: np.ndarray, sources: np.ndarray) -> Sweep:
    """By all paths themselves: every shortest path is walked."""
    count = starts.size - 1
    nodes, arcs = np.zeros(count), np.zeros(heads.size)
    rest = []
    for source in sources.tolist():
        distance, queue = {source: 0}, deque([source])
        before: dict[int, list[int]] = {source: []}  # by which arcs
        while queue:
            node = queue.popleft()
            for arc in range(starts[node], starts[node + 1]):
                head = int(heads[arc])
                if head not in distance:
                    distance[head], before[head] = distance[node] + 1, []
                    queue.append(head)
                if distance[head] == distance[node] + 1:
                    before[head].append(arc)
        for target in distance:
            paths = [[]] if target != source else []
            for _ in range(distance[target]):
                paths = [[arc, *path] for path in paths for arc in before[tail(starts, path[0]) if path else target]]
            for path in paths:
                arcs[path] += 1 / len(paths)
                nodes[[tail(starts, arc) for arc in path[1:]]] += 1 / len(paths)
        rest.append((sum(distance.values()), len(distance) - 1, max(distance.values())))
    return Sweep(nodes, arcs, *(np.array(column) for column in zip(*rest, strict=True)))


def tail(starts: np.ndarray, arc: int) -> int:
    return int(np.searchsorted(starts, arc, side="right")) - 1


def check(one: Sweep, other: Sweep) -> None:
    for name, mine, theirs in zip(Sweep._fields, one, other, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12, err_msg=name)


GRAPHS = {
    "one node": nx.empty_graph(1),
    "no edges": nx.empty_graph(11),
    "line": nx.path_graph(20),
    "ring": nx.cycle_graph(9),
    "star": nx.star_graph(30),
    "complete": nx.complete_graph(12),
    "grid": nx.convert_node_labels_to_integers(nx.grid_2d_graph(4, 5)),
    "tree": nx.balanced_tree(2, 4),
    "parts": nx.disjoint_union_all([nx.cycle_graph(5), nx.empty_graph(2), nx.path_graph(6)]),
    "random": nx.gnm_random_graph(40, 90, seed=1),
    "hubs": nx.barabasi_albert_graph(60, 3, seed=1),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_native_plain_and_written_out_agree(name, monkeypatch):
    given_ = arrays(GRAPHS[name])
    every = np.arange(given_[0].size - 1)
    for sources in (every, every[::-3], np.array([0]), np.repeat(every[:1], 10)):
        expected = written_out(*given_, sources)
        check(shortest_paths_sweep(*given_, sources), expected)
        check(Sweep(*centrality_plain.swept(*given_, sources)), expected)
    monkeypatch.setattr(native, "is_at_hand", lambda: False)
    check(shortest_paths_sweep(*given_, every), written_out(*given_, every))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(0, 100), st.integers(0, 2**31))
def test_any_graph_and_any_sources(nodes, edges, seed):
    source = np.random.default_rng(seed)
    given_ = arrays(nx.gnm_random_graph(nodes, edges, seed=seed))
    sources = source.integers(0, nodes, source.integers(1, 30))
    check(shortest_paths_sweep(*given_, sources), Sweep(*centrality_plain.swept(*given_, sources)))


def test_the_threads_change_no_digit():
    given_ = arrays(nx.gnm_random_graph(300, 900, seed=3))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            found.append(shortest_paths_sweep(*given_, np.arange(300)))
    finally:
        torch.set_num_threads(before)
    for sweep in found[1:]:
        assert all((one == other).all() for one, other in zip(sweep, found[0], strict=True))


def test_no_sources_find_nothing():
    sweep = shortest_paths_sweep(*arrays(nx.path_graph(3)), np.arange(0))
    assert [part.tolist() for part in sweep] == [[0, 0, 0], [0, 0, 0, 0], [], [], []]


@pytest.mark.parametrize("natively", [True, False])
def test_more_paths_than_a_double_can_count_are_refused(natively, monkeypatch):
    if not natively:
        monkeypatch.setattr(native, "is_at_hand", lambda: False)
    diamonds = nx.Graph()
    for link in range(1100):  # 2 ways through each
        for side in (1, 2):
            diamonds.add_edges_from([(3 * link, 3 * link + side), (3 * link + side, 3 * link + 3)])
    with pytest.raises(RequestError, match="shortest paths between them"):
        shortest_paths_sweep(*arrays(diamonds), np.array([0]))


def test_reverse_arcs_are_the_same_edges_from_the_other_end():
    starts, heads = arrays(GRAPHS["random"])
    tails, reverse = np.repeat(np.arange(40), np.diff(starts)), reverse_arcs(starts, heads)
    assert (tails[reverse] == heads).all()
    assert (heads[reverse] == tails).all()

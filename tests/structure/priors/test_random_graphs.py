"""Laws that all families of random graphs keep: counts, direction, layers, reproducible draws, messages."""

import math

import networkx as nx
import numpy as np
import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.priors.attachment import barabasi_albert
from sparsewire.structure.priors.given_degrees import configuration_model, random_regular
from sparsewire.structure.priors.null_models import rewired_graph
from sparsewire.structure.priors.plain_shapes import grid, random_tree, tree
from sparsewire.structure.priors.random_edges import erdos_renyi, stochastic_block
from sparsewire.structure.priors.small_worlds import watts_strogatz
from sparsewire.structure.priors.spatial import kleinberg, random_geometric

GROUPS = [[0.5, 0.1], [0.1, 0.4]]
# Family, its arguments, nodes, and edges where they are no matter of chance.
FAMILIES = [
    (watts_strogatz, (30, 6), 30, 90),
    (watts_strogatz, (30, 7, 0.3), 30, 90),
    (watts_strogatz, (12, 4, 0.0), 12, 24),
    (watts_strogatz, (5, 5), 5, 10),
    (watts_strogatz, (6, 5), 6, 12),
    (watts_strogatz, (1, 0), 1, 0),
    (barabasi_albert, (30, 3), 30, 81),
    (barabasi_albert, (2, 1), 2, 1),
    (barabasi_albert, (6, 5), 6, 5),
    (erdos_renyi, (20, 0.2), 20, None),
    (erdos_renyi, (20, 0), 20, 0),
    (erdos_renyi, (20, 1), 20, 190),
    (erdos_renyi, (1, 0.5), 1, 0),
    (stochastic_block, ((6, 9), GROUPS), 15, None),
    (random_geometric, (25, 0.3), 25, None),
    (random_geometric, (6, 0), 6, 0),
    (kleinberg, (5,), 25, None),
    (kleinberg, (1,), 1, 0),
    (random_regular, (20, 3), 20, 30),
    (random_regular, (4, 0), 4, 0),
    (random_regular, (5, 4), 5, 10),
    (configuration_model, ([3, 2, 2, 2, 1, 0],), 6, 5),
    (random_tree, (17,), 17, 16),
    (random_tree, (1,), 1, 0),
    (random_tree, (2,), 2, 1),
]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("family", "arguments", "nodes", "edges"), FAMILIES)
def test_counts_and_layers(family, arguments, nodes, edges):
    for seed in range(5):
        graph = family(*arguments, generator=seeded(seed))
        assert isinstance(graph, NetGraph)
        assert sum(graph.sizes) == nodes
        assert edges is None or graph.edges == edges
        assert {float(value) for block in graph.blocks.values() for value in block.data} <= {1.0}
        # Layers are longest paths from a source: taken as a plain networkx graph it is in the same layers again.
        plain = nx.Graph(graph.to_networkx().edges)
        plain.add_nodes_from(range(nodes))
        assert NetGraph.from_networkx(plain) == graph


@pytest.mark.parametrize(("family", "arguments", "nodes", "edges"), FAMILIES)
def test_the_same_state_gives_the_same_graph(family, arguments, nodes, edges):
    state = torch.random.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    generator = seeded(3)
    first, second = family(*arguments, generator=generator), family(*arguments, generator=generator)
    again = seeded(3)
    assert family(*arguments, generator=again) == first
    assert family(*arguments, generator=again) == second
    if edges is None:
        assert any(family(*arguments, generator=seeded(seed)) != first for seed in range(3))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


@pytest.mark.parametrize(
    ("family", "arguments", "tries"),
    [
        (watts_strogatz, (14, 2), {}),
        (erdos_renyi, (12, 0.2), {"connected": True, "tries": 200}),
        (random_geometric, (12, 0.35), {"connected": True, "tries": 200}),
        (random_regular, (12, 2), {"connected": True, "tries": 200}),
        (configuration_model, ([2] * 9,), {"connected": True, "tries": 200}),
        (barabasi_albert, (20, 2), {}),
    ],
)
def test_in_one_piece(family, arguments, tries):
    for seed in range(20):
        assert nx.is_connected(family(*arguments, generator=seeded(seed), **tries).to_networkx().to_undirected())


@pytest.mark.parametrize(
    ("family", "arguments", "advice"),
    [
        (watts_strogatz, (10, 0), "the ring joins each node to 0 others; take a larger k"),
        (watts_strogatz, (10, 1), "the ring joins each node to 0 others"),
        (erdos_renyi, (10, 0.0), "take a larger p"),
        (random_geometric, (10, 0.0), "take a larger radius"),
        (configuration_model, ([1, 1, 1, 1],), "take higher degrees"),
    ],
)
def test_what_stays_in_pieces_is_refused(family, arguments, advice):
    with pytest.raises(RequestError, match=f"connected: each of 3 drawn graphs of .* was in pieces; .*{advice}"):
        family(*arguments, generator=seeded(0), connected=True, tries=3)


def test_a_ring_that_is_not_rewired():
    found = nx.Graph(watts_strogatz(9, 4, 0.0, generator=seeded(0)).to_networkx().edges)
    assert nx.is_isomorphic(found, nx.watts_strogatz_graph(9, 4, 0))


@pytest.mark.parametrize(("n", "m"), [(10, 1), (23, 2), (50, 5), (6, 5)])
def test_attachment_starts_with_as_many_sources_as_asked(n, m):
    for seed in range(5):
        graph = barabasi_albert(n, m, generator=seeded(seed))
        assert graph.sizes[0] == m
        assert graph.edges == m * (n - m)
        star = barabasi_albert(n, m, start="star", generator=seeded(seed))
        assert star.sizes[0] == 1
        assert star.edges == m * (n - m)


def test_trees_and_grids_are_those_of_networkx():
    assert nx.is_isomorphic(tree(3, 3).to_networkx().to_undirected(), nx.balanced_tree(3, 3))
    assert tree(2, 2, root="sink").sizes == (4, 2, 1)
    assert tree(1, 4).sizes == (1, 1, 1, 1, 1)
    assert tree(5, 0).sizes == (1,)
    for shape, periodic in [((4, 3), False), ((2, 3, 2), False), ((3, 3, 4), True), ((5,), True), ((1, 1), True)]:
        found = nx.Graph(grid(*shape, periodic=periodic).to_networkx().edges)
        found.add_nodes_from(range(math.prod(shape)))
        assert nx.is_isomorphic(found, nx.grid_graph(shape, periodic=periodic and min(shape) > 2))
    assert grid(2, 3, periodic=True).edges == 9  # a row of two has no second edge
    assert grid(3, 4).sizes == (1, 2, 3, 3, 2, 1)


def test_any_number_of_axes_of_one_node():
    assert grid(*[1] * 99, 3) == grid(3)
    assert kleinberg(1, dim=99, generator=seeded(0)).sizes == (1,)


def nothing(**arguments):
    return {"generator": seeded(0), **arguments}


@pytest.mark.parametrize(
    ("family", "arguments", "message"),
    [
        (watts_strogatz, nothing(n=0, k=0), "n: found 0, expected a whole number of at least 1"),
        (watts_strogatz, nothing(n=True, k=0), "n: found True"),
        (watts_strogatz, nothing(n=2.5, k=0), "n: found 2.5"),
        (watts_strogatz, nothing(n=5, k=6), "k: found 6, expected at most 5"),
        (watts_strogatz, nothing(n=5, k=-1), "k: found -1"),
        (watts_strogatz, nothing(n=5, k=2, p=1.5), "p: found 1.5, expected a probability"),
        (watts_strogatz, nothing(n=5, k=2, p=math.nan), "p: found nan"),
        (watts_strogatz, nothing(n=5, k=2, p=True), "p: found True"),
        (watts_strogatz, nothing(n=5, k=2, tries=0), "tries: found 0"),
        (watts_strogatz, nothing(n=5, k=2, connected=1), "connected: found 1, expected True or False"),
        (watts_strogatz, {"n": 5, "k": 2, "generator": 7}, "generator: found 7"),
        (barabasi_albert, nothing(n=1, m=1), "n: found 1, expected a whole number of at least 2"),
        (barabasi_albert, nothing(n=5, m=0), "m: found 0"),
        (barabasi_albert, nothing(n=5, m=5), "m: found 5, expected less than 5"),
        (barabasi_albert, nothing(n=5, m=2, start="ring"), "start: found 'ring', expected 'sources' or 'star'"),
        (barabasi_albert, {"n": 5, "m": 2, "generator": None}, "generator: found None"),
        (erdos_renyi, nothing(n=5), "p, edges: found p=None and edges=None"),
        (erdos_renyi, nothing(n=5, p=0.5, edges=3), "p, edges: found p=0.5 and edges=3"),
        (erdos_renyi, nothing(n=5, edges=11), "edges: found 11, expected at most 10"),
        (erdos_renyi, nothing(n=5, edges=-1), "edges: found -1"),
        (erdos_renyi, nothing(n=5, p=-0.1), "p: found -0.1"),
        (erdos_renyi, nothing(n=1 << 29, p=0.0), "n: found 536870912, expected less than"),
        (stochastic_block, nothing(sizes=[], p=[]), "sizes: found none"),
        (stochastic_block, nothing(sizes=5, p=GROUPS), "sizes: found 5, expected the number of nodes of each group"),
        (stochastic_block, nothing(sizes=[2, 0], p=GROUPS), r"sizes\[1\]: found 0"),
        (stochastic_block, nothing(sizes=[2, 2], p=[[0.5]]), "p: found rows of 1 entries, expected 2 × 2"),
        (stochastic_block, nothing(sizes=[2, 2], p=3), "p: found 3, expected a table of 2 × 2"),
        (
            stochastic_block,
            nothing(sizes=[2, 2], p=[[0, 0.1], [0.2, 0]]),
            r"p: p\[1\]\[0\] is 0.2 and p\[0\]\[1\] is 0.1",
        ),
        (stochastic_block, nothing(sizes=[2, 2], p=[[0, 2], [2, 0]]), r"p\[0\]\[1\]: found 2"),
        (random_geometric, nothing(n=0, radius=1), "n: found 0"),
        (random_geometric, nothing(n=5, radius=-1), "radius: found -1, expected a number of at least 0"),
        (random_geometric, nothing(n=5, radius=math.nan), "radius: found nan"),
        (random_geometric, nothing(n=5, radius=math.inf), "radius: found inf"),
        (random_geometric, nothing(n=5, radius=1, dim=0), "dim: found 0"),
        (kleinberg, nothing(side=0), "side: found 0"),
        (kleinberg, nothing(side=3, p=-1), "p: found -1"),
        (kleinberg, nothing(side=3, q=0.5), "q: found 0.5"),
        (kleinberg, nothing(side=3, r=-1), "r: found -1"),
        (kleinberg, nothing(side=10_000), "side: found 10000 in 2 dimensions"),
        (kleinberg, nothing(side=2, dim=10**12), "side: found 2 in 1000000000000 dimensions"),
        (random_regular, nothing(n=4, d=4), "d: found 4, expected less than 4"),
        (
            random_regular,
            nothing(n=5, d=3),
            "d: found 3, and 5 nodes cannot have 3 neighbours each, both odd; take 2 or 4",
        ),
        (random_regular, nothing(n=5, d=2, swaps=0), "swaps: found 0"),
        (configuration_model, nothing(degrees=[]), "degrees: found none"),
        (configuration_model, nothing(degrees=[1, 2]), "degrees: found 2 at place 1, expected at most 1"),
        (configuration_model, nothing(degrees=[1, 1, 1]), "degrees: found the sum 3, expected an even one"),
        (configuration_model, nothing(degrees=[3, 3, 1, 1]), "degrees: no graph has them"),
        (configuration_model, nothing(degrees=[1, -1]), r"degrees\[1\]: found -1"),
        (configuration_model, nothing(degrees="11"), "degrees: found '11'"),
        (configuration_model, nothing(degrees=4), "degrees: found 4"),
        (random_tree, nothing(n=0), "n: found 0"),
        (tree, {"branching": 0, "height": 1}, "branching: found 0"),
        (tree, {"branching": 2, "height": -1}, "height: found -1"),
        (tree, {"branching": 2, "height": 40}, "height, the nodes of the tree: found"),
        (tree, {"branching": 1, "height": 10**12}, "height, the nodes of the tree: found 1000000000001"),
        (tree, {"branching": 2, "height": 10**9}, "height: found 1000000000"),
        (tree, {"branching": 2, "height": 1, "root": "top"}, "root: found 'top'"),
        (rewired_graph, nothing(graph=nx.path_graph(3)), "graph: found Graph, expected a NetGraph"),
        (rewired_graph, nothing(graph=tree(2, 2), swaps=-1), "swaps: found -1"),
        (rewired_graph, nothing(graph=tree(2, 2), keep="layers"), "keep: found 'layers'"),
        (rewired_graph, {"graph": tree(2, 2), "generator": 0}, "generator: found 0"),
    ],
)
def test_impossible_arguments_are_refused(family, arguments, message):
    with pytest.raises(RequestError, match=f"^{message}"):
        family(**arguments)


@pytest.mark.parametrize(
    ("sides", "periodic", "message"),
    [((), False, "sides: found none"), ((3, 0), False, r"sides\[1\]: found 0"), ((3,), 1, "periodic: found 1"),
     ((1 << 20, 1 << 20), False, "sides, the nodes of the grid: found")],
)  # fmt: skip
def test_impossible_grids_are_refused(sides, periodic, message):
    with pytest.raises(RequestError, match=message):
        grid(*sides, periodic=periodic)

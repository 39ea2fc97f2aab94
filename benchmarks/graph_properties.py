"""The 23 properties of a graph, beside networkx and, where it is installed, igraph (under the GPL, never needed).

    python benchmarks/graph_properties.py [--nodes 1000] [--edges 5000] [--rounds 5] [--large]

For random, small-world and preferentially attached graphs of that size: the processor's time of all properties from a
networkx graph, and of what the others need for the same, on one thread; contenders take turns, the median counts. The
others are given their own form of the graph, and only the five centralities and the distances are asked of them. The
last column is the largest difference of any number from networkx's. With --large: graphs of up to a million edges, all
nodes as sources where that is affordable, and how far a sample's numbers are from those of all.
"""

import argparse
import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import torch

from sparsewire.analysis.topology.properties import GraphProperties, graph_properties
from sparsewire.kernels import native
from sparsewire.structure.graphs import NetGraph


def medians(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the processor for one call of each."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, action in contenders.items():
            if name == "networkx" and taken[name]:
                continue  # once is enough of what takes so long
            start = time.process_time()
            action()
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def by_networkx(graph: nx.Graph) -> dict[str, float]:
    centralities = {
        "eccentricity": nx.eccentricity(graph),
        "degree": nx.degree_centrality(graph),
        "closeness": nx.closeness_centrality(graph),
        "nodes_betweenness": nx.betweenness_centrality(graph),
        "edge_betweenness": nx.edge_betweenness_centrality(graph),
    }
    found = {"average_shortest_path_length": nx.average_shortest_path_length(graph)}
    for name, values in centralities.items():
        numbers = np.array(list(values.values()))
        found |= {
            f"{name}_mean": numbers.mean(),
            f"{name}_var": numbers.var(ddof=1),
            f"{name}_std": numbers.std(ddof=1),
        }
    return found | {"diameter": max(centralities["eccentricity"].values())}


def by_igraph(graph: Any) -> list[object]:
    return [
        graph.betweenness(),
        graph.edge_betweenness(),
        graph.closeness(),
        graph.eccentricity(),
        graph.degree(),
        graph.average_path_length(),
    ]


def beside_others(name: str, graph: nx.Graph, rounds: int) -> None:
    contenders: dict[str, Callable[[], object]] = {"ours": lambda: graph_properties(graph)}
    expected: dict[str, float] = {}
    contenders["networkx"] = lambda: expected.update(by_networkx(graph))
    try:
        other = importlib.import_module("igraph").Graph.from_networkx(graph)
        contenders["igraph"] = lambda: by_igraph(other)
    except ImportError:
        pass
    found, taken = graph_properties(graph), medians(contenders, rounds)
    apart = max(abs(found[key] - value) for key, value in expected.items())
    text = f"{name:<24} ours {1e3 * taken['ours']:8.1f} ms"
    for rival in list(taken)[1:]:
        text += f"   {rival} {1e3 * taken[rival]:9.1f} ms = {taken[rival] / taken['ours']:6.1f} times"
    print(f"{text}   difference {apart:.0e}", flush=True)


def graphs(nodes: int, edges: int) -> dict[str, nx.Graph]:
    each = max(1, edges // nodes)
    return {
        "random": nx.gnm_random_graph(nodes, edges, seed=0),
        "small world, p = .1": nx.connected_watts_strogatz_graph(nodes, 2 * each, 0.1, seed=0),
        "small world, p = 1": nx.connected_watts_strogatz_graph(nodes, 2 * each, 1.0, seed=0),
        "preferential attachment": nx.barabasi_albert_graph(nodes, each, seed=0),
    }


def drawn(nodes: int, edges: int) -> NetGraph:
    """Random edges between ten layers."""
    from scipy.sparse import random_array

    side = nodes // 10
    density = edges / 9 / side**2
    source = np.random.default_rng(0)
    blocks = {(layer, layer + 1): random_array((side, side), density=density, format="csr", rng=source)
              for layer in range(9)}  # fmt: skip
    return NetGraph((side,) * 10, blocks)


def large() -> None:
    exact: GraphProperties | None = None
    for nodes, edges, sources in ((5000, 50_000, None), (5000, 50_000, 500), (100_000, 1_000_000, None)):
        graph = drawn(nodes, edges)
        start, used = time.perf_counter(), time.process_time()
        found = graph_properties(graph, sources=sources)
        wall, used = time.perf_counter() - start, time.process_time() - used
        print(
            f"{nodes:,} nodes, {graph.edges:,} edges, {found.sources:,} sources: {wall:.2f} s, processor {used:.2f} s"
        )
        if found.exact:
            exact = found
        elif exact is not None and exact["nodes"] == found["nodes"]:
            apart = {name: f"{found[name] / exact[name] - 1:+.1%}" for name in found.estimated if exact[name]}
            print("  from all sources' by", ", ".join(f"{name} {by}" for name, by in apart.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--edges", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true")
    chosen = parser.parse_args()
    print(f"native kernels: {'yes' if native.is_at_hand() else 'no'}, vectors of {native.vector_bytes()} bytes")
    if chosen.large:
        large()
        return
    torch.set_num_threads(1)
    for name, graph in graphs(chosen.nodes, chosen.edges).items():
        beside_others(name, graph, chosen.rounds)


if __name__ == "__main__":
    main()

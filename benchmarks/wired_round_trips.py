"""Graphs of every family as networks and back: the same layers and edges, and outputs as the formula has them.

    python benchmarks/wired_round_trips.py [--graphs 1000] [--evaluated 60] [--family NAME …]

For each family draws `--graphs` graphs of 10 to 50 nodes, makes each a network with `wired` (kinds of cells, merges
and readouts in turns), reads its graph with `NetGraph.from_model` and compares: layers, blocks and edges. Of the first
`--evaluated` also the outputs for sequences of three steps are compared with an evaluation node by node in float64,
which knows the graph from networkx and the numbers from the network's parameters. Prints for each family how many
graphs came back equal and the largest difference of an output; ends with status 1 if one did not, or if a difference
is above 1e-5.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from sparsewire.models.wired import WiredForward, WiredRecurrent, wired
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.priors.attachment import barabasi_albert
from sparsewire.structure.priors.given_degrees import configuration_model, random_regular
from sparsewire.structure.priors.plain_shapes import grid, random_tree, tree
from sparsewire.structure.priors.random_edges import erdos_renyi, stochastic_block
from sparsewire.structure.priors.small_worlds import watts_strogatz
from sparsewire.structure.priors.spatial import kleinberg, random_geometric

Array = np.ndarray
Network = WiredForward | WiredRecurrent
Draw = Callable[[int, torch.Generator], NetGraph]

OPTIONS = list(
    product(("relu", "tanh", "rnn_relu", "rnn_tanh", "gru", "lstm"), ("pre", "post"), ("last_layer", "sinks"))
)
FAMILIES: dict[str, Draw] = {
    "watts_strogatz": lambda n, g: watts_strogatz(n, max(2, n // 5), generator=g),
    "barabasi_albert": lambda n, g: barabasi_albert(n, n // 10, generator=g),
    "barabasi_albert, star": lambda n, g: barabasi_albert(n, n // 10, generator=g, start="star"),
    "erdos_renyi": lambda n, g: erdos_renyi(n, 0.15, generator=g),
    "stochastic_block": lambda n, g: stochastic_block([n // 2, n // 2], [[0.4, 0.1], [0.1, 0.4]], generator=g),
    "random_geometric": lambda n, g: random_geometric(n, 0.3, generator=g),
    "kleinberg": lambda n, g: kleinberg(3 + n // 12, generator=g),
    "random_regular": lambda n, g: random_regular(n, 4, generator=g),
    "configuration_model": lambda n, g: configuration_model([3, 2, 1] * (n // 6 * 2), generator=g),
    "tree": lambda n, g: tree(1 + n % 3, 1 + n % 4, root=("source", "sink")[n % 2]),
    "random_tree": lambda n, g: random_tree(n, generator=g),
    "grid": lambda n, g: grid(2 + n % 4, n // 5),
    "any layers": lambda n, g: any_layers(n, g),
}


def any_layers(n: int, generator: torch.Generator) -> NetGraph:
    """Layers that the nodes state, whatever edges lead to them: none, none from just below, blocks without edges."""
    from scipy.sparse import csr_array

    seed = int(torch.randint(2**31, (), generator=generator))
    rng, sizes, blocks = np.random.default_rng(seed), [], {}
    while sum(sizes) < n:
        sizes.append(int(rng.integers(1, 7)))
    for source in range(len(sizes)):
        for target in range(source + 1, len(sizes)):
            if rng.random() < 0.4:
                flags = rng.random((sizes[target], sizes[source])) < rng.choice([0, 0.3, 0.6])
                blocks[source, target] = csr_array(flags.astype(float))
    return NetGraph(tuple(sizes), blocks)


def main() -> int:
    """Prints one line a family."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--evaluated", type=int, default=60)
    parser.add_argument("--family", nargs="*", choices=FAMILIES, default=list(FAMILIES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    bad = 0
    for name in arguments.family:
        start, equal, worst = time.perf_counter(), 0, 0.0
        for number, (graph, network, same) in enumerate(round_trips(name, arguments.graphs)):
            equal += same
            if number < arguments.evaluated:
                worst = max(worst, difference(graph, network))
        seconds = time.perf_counter() - start
        print(f"{name:22} {equal} of {arguments.graphs} equal, outputs within {worst:.1e}, {seconds:.1f} s", flush=True)
        bad += equal < arguments.graphs or not worst <= 1e-5
    return int(bad > 0)


def round_trips(family: str, count: int) -> Iterator[tuple[NetGraph, Network, bool]]:
    """Graphs, their networks, and whether the network's graph is the same."""
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        n = int(torch.randint(10, 51, (), generator=generator))
        graph = FAMILIES[family](n, generator)
        cell, merge, readout = OPTIONS[number % len(OPTIONS)]
        network, masks = wired(graph, 4, 3, cell, merge, readout)
        again = NetGraph.from_model(network, masks)
        yield graph, network, edges_of(again) == edges_of(graph)


def edges_of(graph: NetGraph) -> tuple:
    """Its layers and, of each block, the ends of its edges."""
    return graph.sizes, {
        junction: (block.indptr.tolist(), block.indices.tolist()) for junction, block in graph.blocks.items()
    }


def difference(graph: NetGraph, network: Network) -> float:
    """The largest one between the network's outputs and those of the formula."""
    x = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(1))
    recurrent = isinstance(network, WiredRecurrent)
    with torch.no_grad():
        outputs = network(x if recurrent else x[:, -1]).double().numpy()
    return float(
        np.abs(outputs - node_by_node(graph, network, x.double().numpy()[:, None if recurrent else -1 :])).max()
    )


def node_by_node(graph: NetGraph, network: Network, x: Array) -> Array:
    """The logits from the formula: one node after the other, each with those that lead to it."""
    drawn = graph.to_networkx()
    layers = {node: (data["layer"], data["index"]) for node, data in drawn.nodes.items()}
    starts = np.concatenate([[0], np.cumsum(graph.sizes)])
    numbers = {name: value.double().numpy() for name, value in network.state_dict().items()}
    cells: dict[int, list[tuple[int, list[int]]]] = {}  # of each layer: the cell, the nodes that it may see
    for place, wire in enumerate(network.wiring):
        seen = [node for source in wire.sources for node in range(starts[source], starts[source + 1])]
        cells.setdefault(wire.target, []).append((place, seen))
    states: dict[tuple[int, int], Array] = {}
    for step in range(x.shape[1]):
        before, value = dict(states), {}
        for node in sorted(drawn):
            layer, index = layers[node]
            value[node] = np.zeros(len(x))
            for place, seen in cells[layer]:
                own = {name: numbers.get(f"cells.{place}.{name}") for name in NAMES}
                columns = [k for k, other in enumerate(seen) if drawn.has_edge(other, node)]
                inputs = [value[seen[k]] for k in columns]
                if layer == 0:
                    columns, inputs = list(range(x.shape[2])), list(x[:, step].T)
                kind = "linear" if layer == 0 and network.merge == "pre" else network.cell
                size = graph.sizes[layer]
                hidden = [before.get((place, other), ZERO)[0] for other in range(size)]
                totals = sums(own, kind, index, size, columns, inputs, hidden, len(x))
                states[place, index] = stepped(kind, totals, before.get((place, index), ZERO))
                value[node] = value[node] + states[place, index][0]
    last = len(graph.sizes) - 1
    ends = [v for v in sorted(drawn) if (not drawn.out_degree(v) if network.reads == "sinks" else layers[v][0] == last)]
    return np.stack([value[v] for v in ends], 1) @ numbers["readout.weight"].T + numbers["readout.bias"]


NAMES = ("weight", "bias", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
ZERO = (np.zeros(1), np.zeros(1))  # the state and an LSTM's memory before the first step


def sums(own, kind, index, size, columns, inputs, hidden, batch) -> list[tuple[Array, Array]]:
    """Of each gate what comes to the node from below and, with the weights from its own cell, from the step before."""
    plain = own["weight"] is not None
    weight, bias = (own["weight"], own["bias"]) if plain else (own["weight_ih_l0"], own["bias_ih_l0"])
    found = []
    for row in range(index, len(weight), size):
        below = np.full(batch, bias[row]) + sum(weight[row, k] * a for k, a in zip(columns, inputs, strict=True))
        back = (
            0.0
            if plain
            else own["bias_hh_l0"][row] + sum(w * h for w, h in zip(own["weight_hh_l0"][row], hidden, strict=True))
        )
        found.append((below, back))
    return found


def stepped(kind: str, totals: list[tuple[Array, Array]], before: tuple[Array, Array]) -> tuple[Array, Array]:
    """The node's new state and memory."""
    added = [below + back for below, back in totals]
    if kind == "linear":
        return added[0], before[1]
    if kind == "gru":
        reset, update = sigmoid(added[0]), sigmoid(added[1])
        new = np.tanh(totals[2][0] + reset * totals[2][1])
        return (1 - update) * new + update * before[0], before[1]
    if kind == "lstm":
        memory = sigmoid(added[1]) * before[1] + sigmoid(added[0]) * np.tanh(added[2])
        return sigmoid(added[3]) * np.tanh(memory), memory
    return (np.maximum(added[0], 0) if kind.endswith("relu") else np.tanh(added[0])), before[1]


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


if __name__ == "__main__":
    sys.exit(main())

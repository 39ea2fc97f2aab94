"""A network wired by a graph of a million edges: time and memory of its sparse form, beside other ways to compute it.

    python benchmarks/wired_million.py [--edges 1000000] [--neurons 100000] [--layers 50] [--batch 128] [--repeats 5]

A random graph with edges between any two layers becomes a feed-forward network (relu) of 64 inputs and 10 outputs.
Contenders, all on one thread, in turns, medians of the processor's seconds:

    sparsewire    wired(…, sparse=True), merge "pre" and "post"
    torch gather  plain autograd, layer by layer: values · a[columns], added up with index_add
    torch.sparse  layer by layer with CSR matrices, forward only: autograd would fill dense matrices
    scipy         layer by layer with CSR matrices; the gradients by hand

They have to give equal logits, and equal gradients of the edges. Memory: each contender makes training steps in a
process of its own; shown is the most that it held beyond what it held before the network was built, and what the edges
and neurons · batch need: 4 bytes for each edge's value, gradient and place, and for each neuron of each sample.
"""

import argparse
import gc
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from sparsewire.models.wired.sparse_forward import SparseWiredForward
from sparsewire.structure.blocks import block_of_sorted
from sparsewire.structure.graphs import NetGraph

KINDS = ("sparsewire pre", "sparsewire post", "torch gather", "scipy")
Step = Callable[[], Tensor]


def graph_of(neurons: int, layers: int, edges: int) -> NetGraph:
    """About so many random edges, each between two of the layers."""
    random = np.random.default_rng(0)
    size = neurons // layers
    first, second = random.integers(0, size * layers, (2, int(edges * 1.05)))
    low, high = np.minimum(first, second), np.maximum(first, second)
    across = low // size < high // size
    keys = np.unique(high[across] * size * layers + low[across])
    targets, sources = np.divmod(np.sort(random.permutation(keys)[:edges]), size * layers)
    junction = sources // size * layers + targets // size
    order = np.argsort(junction, kind="stable")
    targets, sources, junction = targets[order] % size, sources[order] % size, junction[order]
    begins = np.flatnonzero(np.append(True, np.diff(junction) > 0))
    blocks = {}
    for begin, end in zip(begins, np.append(begins[1:], len(order)), strict=True):
        part = slice(begin, end)
        values = np.ones(end - begin, np.float32)
        blocks[divmod(int(junction[begin]), layers)] = block_of_sorted(
            targets[part], sources[part], values, (size,) * 2
        )
    return NetGraph((size,) * layers, blocks)


def ours(network: SparseWiredForward, x: Tensor, train: bool) -> Step:
    def step() -> Tensor:
        network.zero_grad()
        with torch.set_grad_enabled(train):
            logits: Tensor = network(x)
        if train:
            logits.square().sum().backward()
        return logits.detach()

    return step


def gather(network: SparseWiredForward, x: Tensor, train: bool) -> Step:
    dag = network.dag
    columns, unit_of_edge = dag.columns.long(), dag.unit_of_edge

    def step() -> Tensor:
        network.zero_grad()
        with torch.set_grad_enabled(train):
            nodes = network.entry(x).t()
            for _, _, unit, last, begin, end in dag.layers:
                terms = network.values[begin:end, None] * nodes.index_select(0, columns[begin:end])
                sums = (
                    network.bias[unit:last, None].expand(-1, len(x)).index_add(0, unit_of_edge[begin:end] - unit, terms)
                )
                nodes = torch.cat([nodes, torch.relu(sums)])
            logits: Tensor = network.readout(nodes[dag.read.long()].t())
        if train:
            logits.square().sum().backward()
        return logits.detach()

    return step


def csr_in_torch(network: SparseWiredForward, x: Tensor) -> Step:
    dag = network.dag
    weights = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for node, _, unit, last, begin, end in dag.layers:
            starts, columns = (dag.starts[unit : last + 1] - begin).long(), dag.columns[begin:end].long()
            weights.append(
                torch.sparse_csr_tensor(starts, columns, network.values.detach()[begin:end], (last - unit, node))
            )

    @torch.no_grad()
    def step() -> Tensor:
        nodes = torch.empty(dag.nodes, len(x))
        nodes[: dag.sources] = network.entry(x).t()
        for weight, (node, end, unit, last, _, _) in zip(weights, dag.layers, strict=True):
            nodes[node:end] = torch.relu(weight @ nodes[:node] + network.bias[unit:last, None])
        logits: Tensor = network.readout(nodes[dag.read.long()].t())
        return logits

    return step


def in_scipy(network: SparseWiredForward, x: Tensor, train: bool) -> Step:
    dag, part = network.dag, 4096
    columns, starts, rows = dag.columns.numpy(), dag.starts.numpy(), dag.unit_of_edge.numpy()
    values, bias = network.values.detach().numpy(), network.bias.detach().numpy()
    weights = [
        csr_array((values[begin:end], columns[begin:end], starts[unit : last + 1] - begin), shape=(last - unit, node))
        for node, _, unit, last, begin, end in dag.layers
    ]

    def step() -> Tensor:
        network.zero_grad()
        nodes = np.empty((dag.nodes, len(x)), np.float32)
        nodes[: dag.sources] = network.entry(x).detach().numpy().T
        for weight, (node, end, unit, last, _, _) in zip(weights, dag.layers, strict=True):
            nodes[node:end] = np.maximum(weight @ nodes[:node] + bias[unit:last, None], 0)
        logits: Tensor = network.readout(torch.from_numpy(nodes)[dag.read.long()].t())
        if not train:
            return logits.detach()
        deltas, grads = np.zeros_like(nodes), np.empty_like(values)
        deltas[dag.read.numpy()] = (2 * logits @ network.readout.weight).detach().numpy().T
        for weight, (node, end, unit, _, first, to) in reversed(list(zip(weights, dag.layers, strict=True))):
            dz = deltas[node:end] * (nodes[node:end] > 0)
            deltas[:node] += weight.T @ dz
            for some in range(first, to, part):
                these = slice(some, min(some + part, to))
                grads[these] = np.einsum("eb,eb->e", dz[rows[these] - unit], nodes[columns[these]])
        network.values.grad = torch.from_numpy(grads)
        return logits.detach()

    return step


def contender(kind: str, graph: NetGraph, batch: int, train: bool) -> tuple[Step, SparseWiredForward]:
    generator = torch.Generator().manual_seed(0)
    merge = "post" if kind.endswith("post") else "pre"
    network = SparseWiredForward(graph, 64, 10, "relu", merge, generator=generator)
    x = torch.randn(batch, 64, generator=torch.Generator().manual_seed(1))
    made = {"torch gather": gather, "scipy": in_scipy}.get(kind, ours)
    return (csr_in_torch(network, x) if kind == "torch.sparse" else made(network, x, train)), network


def in_turns(steps: dict[str, Step], repeats: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            start = time.process_time()
            step()
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(found) for name, found in taken.items()}


def times(graph: NetGraph, batch: int, repeats: int) -> None:
    for train in (False, True):
        kinds = [*KINDS, *([] if train else ["torch.sparse"])]
        made = {kind: contender(kind, graph, batch, train) for kind in kinds}
        logits = {kind: step() for kind, (step, _) in made.items()}
        first = made["sparsewire pre"][1]
        for kind, (_, network) in made.items():
            if kind == "sparsewire post":
                continue
            same = torch.allclose(logits[kind], logits["sparsewire pre"], atol=1e-4)
            if train:
                assert first.values.grad is not None
                assert network.values.grad is not None
                scale = float(first.values.grad.abs().max())
                same = same and torch.allclose(network.values.grad, first.values.grad, atol=1e-4 * scale)
            if not same:
                sys.exit(f"{kind} does not agree")
        found = in_turns({kind: step for kind, (step, _) in made.items()}, repeats)
        print("a training step without the optimizer" if train else "a prediction")
        for kind, seconds in found.items():
            print(f"  {kind:<16} {seconds * 1e3:9.1f} ms   {seconds / found['sparsewire pre']:6.2f} ×")


def held(which: str) -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith(which)))


def memory_of(kind: str, options: argparse.Namespace) -> None:
    """In a process of its own: prints the bytes."""
    graph = graph_of(options.neurons, options.layers, options.edges)
    small = graph_of(20, 2, 20)
    contender(kind, small, 2, True)[0]()
    gc.collect()
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # lets the most begin at what is held now
    step, _ = contender(kind, graph, options.batch, True)
    for _ in range(2):
        step()
    print(held("VmHWM") - before)


def memory(options: argparse.Namespace, edges: int) -> None:
    needed = 12 * edges + 4 * options.neurons * options.batch
    print(f"memory of training (edges and neurons · batch need {needed / 1e6:.0f} MB)")
    given = [f"--{name}={getattr(options, name)}" for name in ("edges", "neurons", "layers", "batch")]
    for kind in KINDS:
        command = [sys.executable, __file__, *given, "--memory-of", kind]
        found = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"  {kind:<16} {found / 1e6:9.0f} MB   {found / needed:6.2f} ×")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in (("edges", 1_000_000), ("neurons", 100_000), ("layers", 50), ("batch", 128), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--memory-of", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        memory_of(options.memory_of, options)
        return
    start = time.process_time()
    graph = graph_of(options.neurons, options.layers, options.edges)
    graphed = time.process_time()
    network = SparseWiredForward(graph, 64, 10, generator=torch.Generator().manual_seed(0))
    built = time.process_time()
    back = NetGraph.from_model(network)
    again = time.process_time()
    same = [(a.indptr, a.indices) for a in graph.blocks.values()], [(b.indptr, b.indices) for b in back.blocks.values()]
    equal = all(np.array_equal(a[i], b[i]) for a, b in zip(*same, strict=True) for i in (0, 1))
    print(
        f"{graph.edges:,} edges in {len(graph.blocks):,} junctions, {options.neurons:,} neurons, batch {options.batch}"
    )
    print(f"graph drawn in {graphed - start:.2f} s, network made in {built - graphed:.2f} s,", end=" ")
    print(f"and the graph again in {again - built:.2f} s, equal: {equal}")
    times(graph, options.batch, options.repeats)
    memory(options, graph.edges)


if __name__ == "__main__":
    main()

"""The networks against the formula, evaluated neuron by neuron, and against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.autograd import gradcheck

from sparsewire.models.wired import wired
from sparsewire.structure.graphs import NetGraph

CELLS = ("relu", "tanh", "rnn_relu", "rnn_tanh", "gru", "lstm")
RECURRENT = CELLS[2:]
MERGES = ("pre", "post")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def layered(seed, sizes=(3, 2, 4, 1, 3), chance=0.6, density=0.5):
    """Any junctions, also none to a layer, or such as are empty, and neurons without edges."""
    rng = np.random.default_rng(seed)
    blocks = {}
    for source in range(len(sizes)):
        for target in range(source + 1, len(sizes)):
            if rng.random() < chance:
                shape = (sizes[target], sizes[source])
                blocks[source, target] = sparse.csr_array((rng.random(shape) < density).astype(float))
    return NetGraph(sizes, blocks)


GRAPHS = {
    "any": layered(0),
    "other": layered(1, chance=0.9),
    "one layer": NetGraph((4,), {}),
    "no edge": NetGraph((2, 3), {}),
    "an empty block": NetGraph(
        (2, 3, 1), {(0, 2): sparse.csr_array((1, 2)), (0, 1): sparse.csr_array(np.ones((3, 2)))}
    ),
    "nothing from just below": NetGraph((2, 1, 2), {(0, 2): sparse.csr_array(np.eye(2))}),
}


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def relu(x):
    return max(x, 0.0)


def dot(row, values):
    return sum(weight * value for weight, value in zip(row, values, strict=True))


class Neuron:
    """One neuron of one cell: its edges by the graph, its own rows of the weights, its own state."""

    def __init__(self, kind, cell, place, edges):
        self.kind, self.edges, self.state, self.memory = kind, edges, 0.0, 0.0
        size = cell.weight_hh_l0.shape[1] if hasattr(cell, "weight_hh_l0") else cell.weight.shape[0]
        own = slice(place, None, size)  # its row of each gate
        names = (
            ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0") if kind in RECURRENT else ("weight", "bias")
        )
        self.rows = [getattr(cell, name).detach()[own].tolist() for name in names]

    def step(self, inputs, before):
        """Its new state, from what its cell is fed with and the cell's states of the step before."""
        if self.kind not in RECURRENT:
            (weights,), (bias,) = self.rows
            total = dot([weights[e] for e in self.edges], [inputs[e] for e in self.edges]) + bias
            return relu(total) if self.kind == "relu" else math.tanh(total)
        weights, own, bias, own_bias = self.rows
        seen = [inputs[e] for e in self.edges]
        a = [dot([row[e] for e in self.edges], seen) + b for row, b in zip(weights, bias, strict=True)]
        u = [dot(row, before) + b for row, b in zip(own, own_bias, strict=True)]
        if self.kind == "gru":
            r, z = sigmoid(a[0] + u[0]), sigmoid(a[1] + u[1])
            self.state = (1 - z) * math.tanh(a[2] + r * u[2]) + z * self.state
        elif self.kind == "lstm":
            i, f, g, o = (x + y for x, y in zip(a, u, strict=True))
            self.memory = sigmoid(f) * self.memory + sigmoid(i) * math.tanh(g)
            self.state = sigmoid(o) * math.tanh(self.memory)
        else:
            self.state = (relu if self.kind == "rnn_relu" else math.tanh)(a[0] + u[0])
        return self.state


def predecessors(graph, sources, target, place):
    """Which of the neurons of these layers, side by side, lead to the neuron; by the graph alone."""
    found, start = [], 0
    for source in sources:
        if (source, target) in graph.blocks:
            row = graph.blocks[source, target].toarray()[place]
            found += [start + int(e) for e in np.flatnonzero(row)]
        start += graph.sizes[source]
    return found


def one_by_one(graph, network, sequence, ends):
    """The logits of one sequence (of one step, if the network has no state) from the formula."""
    post, first = network.merge == "post", network.cells[0]
    cells = []
    for target in range(1, len(graph.sizes)):
        sources = [s for s in range(target) if (s, target) in graph.blocks] or [target - 1]
        cells += [(fed, target) for fed in ([[s] for s in sources] if post else [sources])]
    neurons = [
        [Neuron(network.cell, cell, v, predecessors(graph, fed, target, v)) for v in range(graph.sizes[target])]
        for (fed, target), cell in zip(cells, list(network.cells)[1:], strict=True)
    ]
    everything = list(range(network.n_inputs))
    top = [Neuron(network.cell, first, v, everything) for v in range(graph.sizes[0])] if post else None
    for x in sequence:
        layers = [[0.0] * size for size in graph.sizes]
        if top:
            before = [one.state for one in top]
            layers[0] = [one.step(x, before) for one in top]
        else:
            weight, bias = first.weight.tolist(), first.bias.tolist()
            layers[0] = [dot(row, x) + b for row, b in zip(weight, bias, strict=True)]
        for (fed, target), cell in zip(cells, neurons, strict=True):
            inputs, before = [a for source in fed for a in layers[source]], [one.state for one in cell]
            new = [one.step(inputs, before) for one in cell]
            layers[target] = [old + value for old, value in zip(layers[target], new, strict=True)]
    places = [a for layer in layers for a in layer]
    read = [places[place] for place in ends]
    return [
        dot(row, read) + b
        for row, b in zip(network.readout.weight.tolist(), network.readout.bias.tolist(), strict=True)
    ]


def ends_of(graph, readout):
    """The read neurons from the networkx graph, whose nodes count layer by layer."""
    drawn = graph.to_networkx()
    if readout == "sinks":
        return [node for node in sorted(drawn) if drawn.out_degree(node) == 0]
    return [node for node in sorted(drawn) if drawn.nodes[node]["layer"] == len(graph.sizes) - 1]


@pytest.mark.parametrize("readout", ["last_layer", "sinks"])
@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", GRAPHS)
def test_outputs_are_those_of_the_formula(name, cell, merge, readout):
    graph, steps = GRAPHS[name], 4 if cell in RECURRENT else 1
    network, _ = wired(graph, 5, 3, cell, merge, readout, generator=generator())
    assert network.read.tolist() == ends_of(graph, readout)
    x = torch.randn(2, steps, 5, generator=generator(1))
    wanted = torch.tensor([one_by_one(graph, network, rows, ends_of(graph, readout)) for rows in x.tolist()])
    torch.testing.assert_close(network(x if cell in RECURRENT else x[:, 0]), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_the_outputs(cell, merge):
    graph = layered(2, sizes=(2, 2, 2), chance=1, density=0.7)
    network, masks = wired(graph, 3, 2, cell, merge, "sinks", generator=generator())
    network = network.double()
    names, weights = zip(*network.named_parameters(), strict=True)
    x = torch.randn(2, 3, 3, generator=generator(1), dtype=torch.float64, requires_grad=True)
    x = x if cell in RECURRENT else x[:, 0].detach().requires_grad_()

    def logits(x, *weights):
        held = {
            name: weight * masks[name] if name in masks else weight for name, weight in zip(names, weights, strict=True)
        }
        return torch.func.functional_call(network, held, (x,))

    assert gradcheck(logits, (x, *weights), fast_mode=True)


def test_numbers_by_hand():
    """Two sources, one neuron over the first, an end over that and the second."""
    one = sparse.csr_array([[1.0, 0.0]])
    graph = NetGraph(
        (2, 1, 1), {(0, 1): one, (1, 2): sparse.csr_array([[1.0]]), (0, 2): sparse.csr_array([[0.0, 1.0]])}
    )
    for merge, wanted in (("pre", 2 * (4 - 3) + 5), ("post", 2 * (4 + 0) + 5)):
        network, _ = wired(graph, 2, 1, "relu", merge)
        with torch.no_grad():
            for cell in network.cells:
                cell.weight.masked_fill_(cell.weight != 0, 1)
                cell.bias.zero_()
            network.cells[0].weight.copy_(torch.eye(2))
            if merge == "pre":
                network.cells[2].weight[0, :] = torch.tensor([0.0, -1.0, 1.0])  # layers 0 and 1 side by side
            else:
                network.cells[2].weight[0, :] = torch.tensor([0.0, -1.0])  # (0, 2) comes before (1, 2)
            network.readout.weight.fill_(2)
            network.readout.bias.fill_(5)
        # a⁰ = (4, 3), a¹ = 4; pre: relu(4 − 3), post: relu(4) + relu(−3)
        assert network(torch.tensor([[4.0, 3.0]])).item() == wanted


def test_one_activation_a_layer_or_one_a_junction():
    graph = NetGraph((1, 1, 1), {junction: sparse.csr_array([[1.0]]) for junction in ((0, 1), (0, 2), (1, 2))})
    pre, post = (wired(graph, 4, 2, "tanh", merge)[0] for merge in MERGES)
    assert [wire.sources for wire in pre.wiring] == [(), (0,), (0, 1)]
    assert [(wire.sources, wire.target) for wire in post.wiring] == [((), 0), ((0,), 1), ((0,), 2), ((1,), 2)]
    assert len(pre.cells) == 3
    assert len(post.cells) == 4

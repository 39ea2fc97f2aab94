import copy
import io

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from torch._subclasses.fake_tensor import FakeTensorMode

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models.wired.building import wired
from sparsewire.models.wired.forward import WiredForward
from sparsewire.models.wired.sparse_forward import SparseWiredForward, sparse_wired
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import live_units, prune


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def graph_of(sizes=(4, 3, 1, 5), density=0.4, seed=0, blocks=0.8):
    """A random graph, of which some blocks are missing and some empty."""
    random = np.random.default_rng(seed)
    found = {}
    for target in range(1, len(sizes)):
        for source in range(target):
            if random.random() < blocks:
                shape = (sizes[target], sizes[source])
                found[source, target] = csr_array((random.random(shape) < density).astype(np.float64))
    return NetGraph(sizes, found)


def structure(graph, *, empty=True):
    """Sizes and edges, without values; without empty blocks if asked for."""
    blocks = {
        junction: (block.indptr.tolist(), block.indices.tolist())
        for junction, block in graph.blocks.items()
        if empty or block.nnz
    }
    return graph.sizes, blocks


@torch.no_grad()
def dense_of(network, graph):
    """The dense form with the same weights; what the sparse one has not is 0."""
    how = network.n_inputs, network.n_outputs, network.cell, network.merge, network.reads
    dense = WiredForward(graph, *how).to(network.values.dtype)
    dense.cells[0].load_state_dict(network.entry.state_dict())
    dense.readout.load_state_dict(network.readout.state_dict())
    starts, layer = np.cumsum([0, *graph.sizes]), np.repeat(np.arange(len(graph.sizes)), graph.sizes)
    cells = {}
    for wire, cell in list(zip(dense.wiring, dense.cells, strict=True))[1:]:
        cell.weight.zero_()
        cell.bias.zero_()
        begin = 0
        for source in wire.sources:
            cells[source, wire.target] = cell, begin
            begin += graph.sizes[source]
    dag = network.dag
    for unit, node in enumerate(dag.node_of_unit.tolist()):
        target, edges = layer[node], range(dag.starts[unit], dag.starts[unit + 1])
        known = [source for source, to in cells if to == target]
        source = layer[dag.columns[edges[0]]] if edges else min(known)
        cells[source, target][0].bias[node - starts[target]] = network.bias[unit]
        for edge in edges:
            column = int(dag.columns[edge])
            cell, begin = cells[layer[column], target]
            cell.weight[node - starts[target], begin + column - starts[layer[column]]] = network.values[edge]
    return dense


def check(graph, cell, merge, readout, batch=6):
    network = SparseWiredForward(graph, 5, 3, cell, merge, readout, generator=generator(1)).double()
    dense = dense_of(network, graph)
    x = torch.randn(batch, 5, generator=generator(2), dtype=torch.float64)
    ours, theirs = network(x), dense(x)
    assert torch.allclose(ours, theirs, atol=1e-12)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    assert torch.allclose(network.entry.weight.grad, dense.cells[0].weight.grad, atol=1e-10)
    assert torch.allclose(network.readout.weight.grad, dense.readout.weight.grad, atol=1e-10)
    assert structure(NetGraph.from_model(network)) == structure(graph)
    if network.values.numel():
        with torch.no_grad():
            network.values.copy_(network.values.grad)
            for wire, cell_ in zip(dense.wiring, dense.cells, strict=True):
                if wire.sources and cell_.weight.grad is not None:  # where no path leads to what is read there is none
                    cell_.weight.copy_(cell_.weight.grad)
                elif wire.sources:
                    cell_.weight.zero_()
        gradients, expected = NetGraph.from_model(network), NetGraph.from_model(dense, masks=dense_masks(dense, graph))
        for junction, block in gradients.blocks.items():
            assert np.allclose(block.toarray(), expected.blocks[junction].toarray(), atol=1e-5)


def dense_masks(dense, graph):
    return dense.graph_masks(graph.sizes, graph.blocks)


@pytest.mark.parametrize("cell", ["relu", "tanh"])
@pytest.mark.parametrize("merge", ["pre", "post"])
@pytest.mark.parametrize("readout", ["last_layer", "sinks"])
def test_as_the_dense_form(cell, merge, readout):
    check(graph_of(), cell, merge, readout)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple),
    st.floats(0, 1),
    st.integers(0, 99),
    st.sampled_from(["pre", "post"]),
    st.sampled_from(["last_layer", "sinks"]),
)
def test_any_graph_as_the_dense_form(sizes, density, seed, merge, readout):
    check(graph_of(sizes, density, seed), "tanh", merge, readout)


def test_by_hand():
    graph = NetGraph((2, 1), {(0, 1): csr_array([[0.0, 3.0]])})
    network = SparseWiredForward(graph, 2, 1)
    with torch.no_grad():
        for parameter, numbers in (
            (network.entry.weight, [[1.0, 0.0], [0.0, 1.0]]),
            (network.entry.bias, [0.0, 1.0]),
            (network.values, [2.0]),
            (network.bias, [0.5]),
            (network.readout.weight, [[10.0]]),
            (network.readout.bias, [1.0]),
        ):
            parameter.copy_(torch.tensor(numbers))
    # a₀ = (7, −2 + 1) is not bent in layer 0; relu(2·(−1) + 0.5) = 0, and with x₁ = 3 it is 2·4 + 0.5 = 8.5
    assert network(torch.tensor([[7.0, -2.0], [7.0, 3.0]])).flatten().tolist() == [1.0, 86.0]


@pytest.mark.parametrize("merge", ["pre", "post"])
@pytest.mark.parametrize("family", ["watts_strogatz", "barabasi_albert", "erdos_renyi"])
def test_round_trips(family, merge):
    for seed in range(10):
        drawn = {
            "watts_strogatz": lambda seed: nx.connected_watts_strogatz_graph(30, 4, 0.5, seed=seed),
            "barabasi_albert": lambda seed: nx.barabasi_albert_graph(30, 3, seed=seed),
            "erdos_renyi": lambda seed: nx.gnp_random_graph(30, 0.1, seed=seed),
        }[family](seed)
        graph = NetGraph.from_networkx(drawn)
        network, masks = wired(graph, 4, 2, "relu", merge, sparse=True, generator=generator(seed))
        assert not masks
        back = NetGraph.from_model(network)
        assert structure(back) == structure(graph)
        again, _ = wired(back, 4, 2, "relu", merge, sparse=True, generator=generator(seed))
        assert torch.equal(again.values, network.values)


def test_the_graph_has_the_weights_as_values_and_less_with_masks():
    graph = graph_of()
    network = SparseWiredForward(graph, 5, 3, merge="post", generator=generator())
    back = NetGraph.from_model(torch.nn.Sequential(network))
    assert sorted(np.concatenate([b.data for b in back.blocks.values()])) == sorted(network.values.tolist())
    kept = torch.zeros(network.values.shape, dtype=torch.bool)
    kept[3] = True
    some = NetGraph.from_model(network, masks={"values": kept})
    assert (some.edges, some.blocks.keys()) == (1, graph.blocks.keys())
    assert [b.data.tolist() for b in some.blocks.values() if b.nnz] == [[network.values[3].item()]]


def test_it_trains():
    network, _ = wired(graph_of((8, 8, 8, 8), 0.5), 6, 2, sparse=True, merge="post", generator=generator())
    x = torch.randn(64, 6, generator=generator(3))
    y = (x[:, 0] > 0).long()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_generator_alone_is_drawn_from():
    before = torch.random.get_rng_state()
    first, second, other = (
        SparseWiredForward(graph_of(), 5, 3, generator=generator(seed)).state_dict() for seed in (0, 0, 1)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["values"], other["values"])


def test_weights_are_within_their_bounds():
    network = SparseWiredForward(graph_of((5, 9, 9), 0.6), 5, 3, merge="post", generator=generator())
    counts = network.dag.starts.diff()
    per_edge = counts[network.dag.unit_of_edge]
    assert (network.values.abs() <= per_edge.float().rsqrt()).all()
    assert (network.bias[counts == 0] == 0).all()
    assert network.values.std() > 0.1


def test_nothing_is_dense():
    graph = graph_of((50, 50, 50), 0.02)
    network = SparseWiredForward(graph, 1, 1)
    numbers = sum(tensor.numel() for tensor in (*network.parameters(), *network.buffers(), *network.dag.arrays))
    assert numbers < 3 * graph.edges + 6 * 150 + 40


def test_states_copies_and_dtypes():
    graph = graph_of()
    network = SparseWiredForward(graph, 5, 3, merge="post", generator=generator())
    x = torch.randn(7, 5, generator=generator())
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    other = SparseWiredForward(graph, 5, 3, merge="post", generator=generator(1))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), network(x))
    assert torch.equal(copy.deepcopy(network)(x), network(x))
    assert torch.allclose(copy.deepcopy(network).double()(x.double()).float(), network(x), atol=1e-5)
    assert copy.deepcopy(network).to(torch.bfloat16)(x.bfloat16()).dtype == torch.bfloat16
    assert network(torch.ones(2, 3, 5)).shape == (2, 3, 3)
    assert network(torch.ones(5)).shape == (3,)


def test_arrays_survive_what_changes_all_tensors():
    network = SparseWiredForward(graph_of(), 5, 3, generator=generator())
    state = copy.deepcopy(network.state_dict())
    x = torch.ones(2, 5)
    expected = network(x)
    emptied = network.to("meta").to_empty(device="cpu")
    emptied.load_state_dict(state)
    assert torch.equal(emptied(x), expected)


@pytest.mark.parametrize("change", [{"graph": graph_of(seed=1)}, {"merge": "post"}, {"readout": "sinks"}])
def test_the_state_of_another_graph_is_refused(change):
    made = {"graph": graph_of(), "n_inputs": 5, "n_outputs": 3}
    network = SparseWiredForward(**made, generator=generator())
    values = network.values.detach().clone()
    with pytest.raises(RequestError, match="another graph, merge or readout"):
        network.load_state_dict(SparseWiredForward(**made | change).state_dict())
    assert torch.equal(network.values, values)


def test_it_compiles():
    network = SparseWiredForward(graph_of(), 5, 3, generator=generator())
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    x = torch.randn(9, 5, generator=generator())
    assert torch.allclose(compiled(x), network(x), atol=1e-6)
    compiled(x).sum().backward()
    first = network.values.grad.clone()
    network.zero_grad()
    network(x).sum().backward()
    assert torch.allclose(first, network.values.grad, atol=1e-5)


def test_it_is_exported():
    network = SparseWiredForward(graph_of(), 5, 3, generator=generator()).eval()
    x = torch.randn(9, 5, generator=generator())
    program = torch.export.export(network, (x,))
    assert torch.allclose(program.module()(x), network(x), atol=1e-6)


BAD = [
    ({"graph": nx.path_graph(3)}, RequestError, "graph: found Graph"),
    ({"n_inputs": 0}, RequestError, "n_inputs: found 0"),
    ({"n_inputs": 2.5}, RequestError, "n_inputs: found 2.5"),
    ({"n_outputs": True}, RequestError, "n_outputs: found True"),
    ({"cell": "gru"}, RequestError, "cell: found 'gru', which reads sequences"),
    ({"cell": "rleu"}, UnknownNameError, "cell"),
    ({"merge": "mid"}, UnknownNameError, "merge"),
    ({"readout": "all"}, UnknownNameError, "readout"),
    ({"generator": 0}, RequestError, "generator: found 0"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_requests(change, error, message):
    with pytest.raises(error, match=message):
        SparseWiredForward(**{"graph": graph_of(), "n_inputs": 5, "n_outputs": 3} | change)


def test_an_input_of_another_width_is_refused():
    with pytest.raises(RuntimeError):
        SparseWiredForward(graph_of(), 5, 3)(torch.ones(2, 4))


def test_masks_for_it_are_refused():
    network = sparse_wired(graph_of(), 5, 3, "relu", "pre", "last_layer", None)
    with pytest.raises(RequestError):
        graph_of().to_masks(network)


@pytest.mark.parametrize("merge", ["pre", "post"])
@pytest.mark.parametrize("cell", ["relu", "lstm"])
def test_without_memory_it_has_shapes(cell, merge):
    network, _ = wired(graph_of(), 6, 3, cell, merge, sparse=True)
    x = torch.zeros(2, 5, 6)
    expected = network(x).shape
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert network(torch.zeros(2, 5, 6)).shape == expected
    found = network.to("meta")(x.to("meta"))
    assert found.is_meta
    assert found.shape == expected


def test_pruning_does_not_pass_over_its_edges():
    network, _ = wired(graph_of(), 6, 3, sparse=True)
    nested = torch.nn.Sequential(torch.nn.Linear(6, 6), network)
    message = r"^model: found '{}', the edges of a SparseWiredForward, .*sparse=False.*from_model\(model\).strongest"
    for asked in (
        lambda model: prune(model, score="magnitude", density=0.5),
        lambda model: live_units(model),
        Masks.from_model,
        Masks.from_weights,
    ):
        with pytest.raises(RequestError, match=message.format("values")):
            asked(network)
        with pytest.raises(RequestError, match=message.format("1.values")):
            asked(nested)
    masks = prune(nested, score="magnitude", density=0.5, only=["0", "1.readout"])
    assert masks["0.weight"].sum() + masks["1.readout.weight"].sum() == round(0.5 * (36 + 15))
    assert masks["1.entry.weight"].all()


def test_a_strangers_attribute_of_the_same_name_is_none_of_ours():
    for hidden_edges in (5, torch.nn.Parameter(torch.ones(2))):
        layer = torch.nn.Linear(2, 2)
        layer.hidden_edges = hidden_edges
        assert prune(layer, score="magnitude", density=0.5)["weight"].sum() == 2


def test_what_the_refusal_advises_works():
    graph = graph_of()
    network, _ = wired(graph, 6, 3, sparse=True, generator=generator())
    fewer = NetGraph.from_model(network).strongest(5)
    assert NetGraph.from_model(wired(fewer, 6, 3, sparse=True)[0]).edges == 5
    dense, masks = wired(graph, 6, 3)
    pruned = prune(dense, score="magnitude", density=0.1, masks=masks)
    assert NetGraph.from_model(dense, pruned).edges < graph.edges


def test_a_recurrent_one_is_pruned():
    network, _ = wired(graph_of(), 6, 3, "gru", sparse=True)
    edges = {name: mask for name, mask in Masks.from_model(network).items() if name.endswith("ih_l0")}
    assert edges
    masks = prune(network, score="magnitude", density=0.2, only="i2h")
    assert sum(int(masks[name].sum()) for name in edges) < sum(int(mask.sum()) for mask in edges.values())

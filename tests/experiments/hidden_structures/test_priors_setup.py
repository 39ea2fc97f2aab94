"""One trial of the study: which graphs are drawn, what is recorded, how the network is wired, and what is refused."""

import pytest
import torch
from pydantic import ValidationError

from sparsewire.experiments.hidden_structures.priors_published import FAMILIES, PROPERTIES
from sparsewire.experiments.hidden_structures.priors_setup import (
    PriorsSpec,
    drawn_graph,
    network,
    properties,
    strings_of,
    train,
)
from sparsewire.experiments.hidden_structures.recurrent_published import CELLS
from sparsewire.lab.experiment import Trial
from sparsewire.structure.graphs import NetGraph

SMALL = {"least_nodes": 10, "most_nodes": 12, "strings": 60, "test_strings": 30, "epochs": 2, "batch": 16}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_graphs_are_the_codes() -> None:
    seen = set()
    for seed in range(60):
        graph = drawn_graph(PriorsSpec(family="barabasi_albert"), seeded(seed))
        nodes, m = sum(graph.sizes), sum(graph.sizes) // 10
        assert (graph.edges, graph.sizes[0]) == (m * (nodes - m), m)
        other = drawn_graph(PriorsSpec(), seeded(seed))
        assert sum(other.sizes) == nodes  # drawn first
        assert other.edges == nodes * (nodes // 5 // 2)  # of an odd k one is lost
        seen.add(nodes)
    assert min(seen) >= 10
    assert max(seen) <= 50
    assert len(seen) > 25


def test_a_star_has_one_source() -> None:
    spec = PriorsSpec(family="barabasi_albert", start="star", least_nodes=50)
    assert drawn_graph(spec, seeded()).sizes[0] == 1


@pytest.mark.parametrize("merge", ["post", "pre"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("cell", CELLS)
def test_the_network_is_the_graph(cell, family, merge) -> None:
    spec = PriorsSpec(cell=cell, family=family, merge=merge, most_nodes=20)
    graph = drawn_graph(spec, seeded(1))
    model, masks = network(spec, graph, seeded(2))
    assert model.embedding.weight.shape == (128, graph.sizes[0])
    assert model.network.readout.weight.shape == (2, graph.sizes[-1])
    again = NetGraph.from_model(model, masks)
    assert again.sizes == graph.sizes
    assert {junction: block.nnz for junction, block in again.blocks.items()} == {
        junction: block.nnz for junction, block in graph.blocks.items()
    }
    assert set(masks) <= set(dict(model.named_parameters()))
    words = torch.randint(1, 128, (3, 6), generator=seeded())
    same, _ = network(spec, graph, seeded(2))
    assert torch.equal(model(words), same(words))


@pytest.mark.parametrize("cell", CELLS)
def test_the_codes_masks_of_gates(cell) -> None:
    """They hold as many weights, of other units, and change nothing where there are no gates."""
    graph = drawn_graph(PriorsSpec(), seeded(4))
    right, wrong = (
        network(PriorsSpec(cell=cell, gate_masks=kind), graph, seeded())[1] for kind in ("tiled", "rows")
    )  # fmt: skip
    assert right.count == wrong.count
    assert (right == wrong) is (cell in ("tanh", "relu"))


def test_more_can_be_read_than_the_last_layer() -> None:
    spec = PriorsSpec(family="barabasi_albert", least_nodes=40)
    graph = drawn_graph(spec, seeded())
    model, _ = network(spec.model_copy(update={"readout": "sinks"}), graph, seeded())
    assert model.network.readout.in_features > graph.sizes[-1]


@pytest.mark.parametrize("cell", CELLS)
def test_what_a_trial_records(cell, tmp_path) -> None:
    spec = PriorsSpec(cell=cell, **SMALL)
    graph = drawn_graph(spec, seeded())
    model, masks = network(spec, graph, seeded())
    trial = Trial(0, tmp_path)
    properties(graph, trial)
    assert tuple(trial.metrics) == PROPERTIES
    train(model, masks, strings_of(spec), spec, trial)
    assert [step for step, _ in trial.series["accuracy"]] == [1, 2]
    assert set(trial.metrics) - set(PROPERTIES) == {"accuracy", "loss", "training loss"}
    assert 0 <= trial.metrics["accuracy"] <= 100
    for name, mask in masks.items():
        assert not model.state_dict()[name][~mask].any()


def test_all_trials_share_their_strings() -> None:
    one, other = (strings_of(PriorsSpec(cell=cell, **SMALL)) for cell in ("gru", "tanh"))
    assert torch.equal(one.train.inputs, other.train.inputs)
    assert [len(labels) for _, labels in one.test] == [16, 14]
    assert not torch.equal(one.train.inputs, strings_of(PriorsSpec(data=1, **SMALL)).train.inputs)


@pytest.mark.parametrize(
    "fields",
    [
        {"cell": "rnn"}, {"family": "ring"}, {"least_nodes": 9}, {"least_nodes": 20, "most_nodes": 19},
        {"least_nodes": 10.5}, {"most_nodes": True}, {"rewiring": 1.5}, {"rewiring": -0.1}, {"start": "hub"},
        {"merge": "sum"}, {"readout": "all"}, {"gate_masks": "none"}, {"data": -1}, {"strings": 0}, {"epochs": 0},
        {"batch": 0}, {"rate": 0.0}, {"clip": 0.0}, {"sources": 3}, {"false_strings": "none"},
    ],
)  # fmt: skip
def test_impossible_fields_are_refused(fields) -> None:
    with pytest.raises(ValidationError):
        PriorsSpec(**fields)


def test_a_range_the_wrong_way_round_is_named() -> None:
    with pytest.raises(ValidationError, match="least_nodes at most most_nodes, 19; found 20"):
        PriorsSpec(least_nodes=20, most_nodes=19)

"""`sparsewire predict`: how it ranks, what it warns of, and that bad input gets one clear line."""

import json
import re
from pathlib import Path

import networkx as nx
import pytest
from click.testing import CliRunner, Result

from sparsewire.analysis.prediction.predictors import Predictor
from sparsewire.analysis.topology.properties import graph_properties
from sparsewire.cli import commands
from sparsewire.structure.graph_files import write_graph
from sparsewire.structure.graphs import NetGraph


def do(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["predict", *map(str, arguments)], prog_name="sparsewire")


def refused(status: int, told: str, *arguments: object) -> None:
    result = do(*arguments)
    assert result.exit_code == status, result.output
    assert re.fullmatch(rf"sparsewire: [^\n]*{told}[^\n]*\n", result.stderr), result.stderr
    assert not result.stdout


def path_graph(nodes: int) -> NetGraph:
    return NetGraph.from_networkx(nx.path_graph(nodes))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a predictor that prefers many nodes, three paths, and a predictor of something else."""
    folder = tmp_path_factory.mktemp("predict")
    rows = [graph_properties(path_graph(nodes)) for nodes in range(5, 21)]
    features = {name: [row[name] for row in rows] for name in rows[0]}
    accuracy = [0.5 + row["nodes"] / 50 for row in rows]
    Predictor.fit(features, accuracy, "bayesian_ridge", notes={"cell": "gru"}).save(folder / "p.safetensors")
    Predictor.fit({"layer_mass": [1, 2, 3, 4]}, [1, 2, 3, 5], "bayesian_ridge").save(folder / "other.safetensors")
    for nodes in (6, 12, 18, 40):
        write_graph(path_graph(nodes), folder / f"path{nodes}.graphml")
    write_graph(path_graph(15), folder / "path15.edges")
    return folder


def test_the_best_comes_first(here: Path) -> None:
    graphs = [here / name for name in ("path12.graphml", "path18.graphml", "path15.edges", "path6.graphml")]
    result = do(*graphs, "--predictor", here / "p.safetensors")
    assert result.exit_code == 0, result.output
    assert re.findall(r"(path\d+)\.\w+ +(0\.\d+)", result.stdout) == [
        ("path18", "0.86"), ("path15", "0.8"), ("path12", "0.74"), ("path6", "0.62"),
    ]  # fmt: skip
    assert "90 % from" in result.stdout
    assert (
        "Predicted by: bayesian_ridge of 16 networks, cell gru. On networks held back its R² is 1.00" in result.stdout
    )
    assert "note:" not in result.stdout


def test_a_graph_unlike_those_it_learnt_from_is_named(here: Path) -> None:
    told = do(here / "path40.graphml", here / "path6.graphml", "--predictor", here / "p.safetensors").stdout
    assert re.search(r"note: .*path40.graphml is unlike what it learnt from: layers, nodes, .* and \d+ more", told)
    assert told.count("note:") == 1


def test_more_than_the_networks_can_tell_of_is_said(here: Path) -> None:
    told = do(here / "path6.graphml", "--predictor", here / "p.safetensors", "--coverage", "0.99").stdout
    assert "note: 16 networks cannot tell of more than 94.1 %; that is shown" in told


def test_as_json(here: Path) -> None:
    graphs = [here / "path6.graphml", here / "path40.graphml"]
    result = do(*graphs, "--predictor", here / "p.safetensors", "--json", "--coverage", "0.5")
    found = json.loads(result.stdout)
    assert found["coverage"] == 0.5
    assert found["predictor"]["regressor"] == "bayesian_ridge"
    assert found["predictor"]["networks"] == 16
    assert found["predictor"]["notes"] == {"cell": "gru"}
    first, second = found["graphs"]
    assert (first["rank"], second["rank"]) == (1, 2)
    assert first["graph"].endswith("path40.graphml")
    assert first["outside"][:2] == ["layers", "nodes"]
    assert second["outside"] == second["estimated"] == []
    assert second["properties"] == dict(graph_properties(path_graph(6)))
    assert second["low"] <= second["predicted"] <= second["high"]
    assert result.stderr == ""


def test_equal_ones_keep_their_order(here: Path) -> None:
    once, again = here / "path12.graphml", here / ".." / here.name / "path12.graphml"
    for order in ([once, again], [again, once]):
        found = json.loads(do(*order, "--predictor", here / "p.safetensors", "--json").stdout)
        assert [one["graph"] for one in found["graphs"]] == list(map(str, order))


def test_bad_requests_get_one_line(here: Path) -> None:
    graph, predictor = here / "path6.graphml", here / "p.safetensors"
    refused(2, "Missing option '--predictor'", graph)
    refused(2, "Missing argument 'GRAPH...'", "--predictor", predictor)
    for share in ("0", "1", "2", "nan", "most", "-1"):
        refused(
            2, f"--coverage: found '{share}', expected a share", graph, "--predictor", predictor, "--coverage", share
        )
    refused(2, "--predictor: .*other.safetensors needs 'layer_mass', which is no property of a graph", graph,
            "--predictor", here / "other.safetensors")  # fmt: skip
    refused(2, "png", here / "picture.png", "--predictor", predictor)


def test_bad_files_get_one_line(here: Path, tmp_path: Path) -> None:
    graph, predictor = here / "path6.graphml", here / "p.safetensors"
    refused(1, "no predictor at none.safetensors: there is no such file", graph, "--predictor", "none.safetensors")
    refused(1, "cannot read a predictor from", graph, "--predictor", graph)
    refused(1, "none.graphml", graph, "none.graphml", "--predictor", predictor)
    (tmp_path / "broken.graphml").write_text("<graphml><graph>")
    refused(1, "broken.graphml", graph, tmp_path / "broken.graphml", "--predictor", predictor)
    (tmp_path / "loop.edges").write_text("0 1\n1 1\n")
    refused(1, "loop.edges, line 2", tmp_path / "loop.edges", "--predictor", predictor)


def test_a_single_node_and_parts_that_are_not_joined(here: Path, tmp_path: Path) -> None:
    (tmp_path / "lone.edges").write_text("7\n")
    (tmp_path / "parts.edges").write_text("0 1\n2 3\n")
    graphs = [tmp_path / "lone.edges", tmp_path / "parts.edges"]
    found = json.loads(do(*graphs, "--predictor", here / "p.safetensors", "--json").stdout)
    assert sorted(one["properties"]["nodes"] for one in found["graphs"]) == [1, 4]

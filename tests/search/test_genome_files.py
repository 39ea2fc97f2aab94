"""Genomes as text and in files: what was written comes back, and strangers' data is refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from tests.search.genomes import EXAMPLES, genomes, labelled

from sparsewire.errors import DataError, RequestError
from sparsewire.search.genome_files import FORMATS, genome_from_text, genome_text, read_genome, write_genome
from sparsewire.search.genotype import Genome, Vertex

SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(genomes())
def test_text_gives_the_genome_back_with_its_numbering(genome: Genome) -> None:
    text = genome_text(genome)
    assert genome_from_text(text) == genome
    assert genome_text(genome_from_text(text)) == text
    assert text.isascii()
    assert not set(text) & set(" \n\t")


def test_the_text_never_changes() -> None:
    expected = '{"vertices":[["conv3",16],["max_pool"],["sum"]],"edges":[[0,1],[0,2],[1,2]]}'
    assert genome_text(EXAMPLES["triangle"]) == expected


def test_text_that_somebody_laid_out_is_read() -> None:
    text = json.dumps(json.loads(genome_text(EXAMPLES["deep"])), indent=2).replace('"skip"', '"skip", 0')
    assert genome_from_text(text) == EXAMPLES["deep"]
    assert genome_from_text('{"edges": [], "vertices": [["skip", 0]]}') == labelled("skip")


@pytest.mark.parametrize("suffix", FORMATS)
@SAME_FOLDER
@given(genome=genomes())
def test_files_give_the_genome_back(genome: Genome, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"genome{suffix}"
    write_genome(genome, path)
    assert read_genome(path) == genome
    assert list(tmp_path.iterdir()) == [path]


@given(genome=genomes())
@SAME_FOLDER
def test_networkx_reads_and_writes_what_we_write_and_read(genome: Genome, tmp_path: Path) -> None:
    path = tmp_path / "genome.graphml"
    write_genome(genome, path)
    graph = nx.read_graphml(path, node_type=int)
    assert {place: tuple(data.values()) for place, data in graph.nodes(data=True)} == dict(enumerate(genome.vertices))
    assert set(graph.edges) == set(genome.edges)
    nx.write_graphml(graph, path)
    assert read_genome(path) == genome
    nx.write_graphml(genome.to_networkx(), path)
    assert read_genome(path) == genome


# As Gephi 0.10 saves it: ids in words, other attributes, numbers as fractions, nodes in any order.
GEPHI = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key attr.name="label" attr.type="string" for="node" id="label"/>
<key attr.name="Edge Label" attr.type="string" for="edge" id="edgelabel"/>
<key attr.name="weight" attr.type="double" for="edge" id="weight"/>
<key attr.name="r" attr.type="int" for="node" id="r"/>
<key attr.name="operation" attr.type="string" for="node" id="operation"/>
<key attr.name="channels" attr.type="double" for="node" id="channels"/>
<graph edgedefault="directed">
<node id="last"><data key="label">the sum</data><data key="operation"> sum </data></node>
<node id="first"><data key="channels">16.0</data><data key="operation">conv3</data><data key="r">7</data></node>
<edge id="0" source="first" target="last"><data key="weight">1.0</data></edge>
</graph>
</graphml>
"""


def test_what_gephi_saves_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gephi.graphml"
    path.write_text(GEPHI)
    assert read_genome(path) == labelled("conv3:16 sum", (0, 1))


def test_defaults_of_graphml_hold_where_nothing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "defaults.graphml"
    path.write_text(
        '<graphml><key id="o" for="node" attr.name="operation"><default>skip</default></key>'
        '<graph edgedefault="directed"><node id="a"/><node id="b"><data key="o">sum</data></node>'
        '<edge source="a" target="b"/></graph></graphml>'
    )
    assert read_genome(path) == labelled("skip sum", (0, 1))


BAD_TEXTS = {
    "nothing": ("", "expected JSON"),
    "no JSON": ("conv3", "found 'conv3', expected JSON"),
    "a list": ("[]", "found list, expected an object with vertices and edges"),
    "a part missing": ('{"vertices": []}', r"found \['vertices'\]"),
    "a part too many": ('{"vertices": [], "edges": [], "code": ""}', "expected an object with vertices and edges"),
    "no vertices": ('{"vertices": [], "edges": []}', "vertices: found none"),
    "vertices as an object": ('{"vertices": {}, "edges": []}', "found vertices of dict, expected a list"),
    "a vertex that is a word": ('{"vertices": ["conv3"], "edges": []}', "found 'conv3' among the vertices"),
    "an operation that is a list": ('{"vertices": [[["conv3"], 4]], "edges": []}', "vertex: found"),
    "an unknown operation": ('{"vertices": [["exec", 4]], "edges": []}', "no operation is named 'exec'"),
    "a fraction of a channel": ('{"vertices": [["conv3", 4.5]], "edges": []}', "channels of conv3: found 4.5"),
    "a flag": ('{"vertices": [["conv3", true]], "edges": []}', "channels of conv3: found True"),
    "not a number": ('{"vertices": [["conv3", NaN]], "edges": []}', "channels of conv3: found nan"),
    "too many channels": ('{"vertices": [["conv3", 1048577]], "edges": []}', "found 1,048,577 channels"),
    "digits without end": ('{"vertices": [["conv3", ' + "9" * 5000 + ']], "edges": []}', "expected JSON"),
    "brackets without end": ("[" * 100_000, "expected JSON"),
    "an edge of three ends": ('{"vertices": [["skip"]], "edges": [[0, 0, 0]]}', r"expected \[from, to\]"),
    "an edge down": ('{"vertices": [["skip"], ["skip"]], "edges": [[1, 0]]}', "found 1 → 0"),
    "two parts": ('{"vertices": [["skip"], ["skip"]], "edges": []}', "found 2 parts"),
    "too long": (" " * (1 << 20) + "{}", "found 1,048,578 characters"),
    "too many vertices": (json.dumps({"vertices": [["skip"]] * 1025, "edges": []}), "found 1,025 vertices"),
    "too many edges": (json.dumps({"vertices": [["skip"]] * 2, "edges": [[0, 1]] * 16385}), "16,385 edges"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_text_that_holds_no_genome_is_refused_in_one_short_line(case: str, tmp_path: Path) -> None:
    text, message = BAD_TEXTS[case]
    with pytest.raises(DataError, match=message) as caught:
        genome_from_text(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    path = tmp_path / "genome.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_genome(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", [None, b"{}", 3])
def test_only_text_is_text(text: Any) -> None:
    with pytest.raises(DataError, match="expected a text"):
        genome_from_text(text)


def changed(old: str, new: str) -> str:
    assert old in GEPHI
    return GEPHI.replace(old, new)


BAD_GRAPHML = {
    "nothing": ("", "no element found; expected GraphML"),
    "another format": ("<html></html>", "found <html>, expected <graphml>"),
    "no graph": ("<graphml></graphml>", "found no graph"),
    "an end missing": (GEPHI[:-30], "expected GraphML"),
    "a document type": (
        changed("<graphml ", "<!DOCTYPE graphml [<!ENTITY a 'b'>]>\n<graphml "),
        "line 2: found a document",
    ),
    "undirected": (changed('"directed"', '"undirected"'), "found undirected edges"),
    "one undirected edge": (
        changed('<edge id="0"', '<edge directed="false"'),
        "line 12: found directed and undirected",
    ),
    "two graphs": (changed("</graph>", '</graph><graph edgedefault="directed"/>'), "found a second graph"),
    "a node twice": (changed('id="first"', 'id="last"'), "line 11: found node 'last' a second time"),
    "a node without a name": (changed('<node id="first">', "<node>"), "found <node> without id"),
    "an edge to nowhere": (changed('target="last"', 'target="lost"'), "line 12: the edge has the end 'lost', which no"),
    "no operation": (changed('<data key="operation">conv3</data>', ""), "node 'first' has no data named operation"),
    "an empty operation": (changed(">conv3<", "> <"), "no operation is named ''"),
    "an unknown operation": (changed(">conv3<", ">conv4<"), "no operation is named 'conv4'"),
    "channels in words": (changed(">16.0<", ">many<"), "node 'first' has 'many' channels"),
    "a page of channels": (changed(">16.0<", ">" + "1" * 5000 + "<"), "line 11: a value is longer than 4,096"),
    "half a channel": (changed(">16.0<", ">16.5<"), "node 'first' has '16.5' channels"),
    "channels of a sum": (changed("> sum <", ">sum</data><data key='channels'>3<"), "found 3 for sum"),
    "a circle": (changed("</graph>", '<edge source="last" target="first"/></graph>'), "found a circle"),
    "two parts": (changed("</graph>", '<node id="z"><data key="operation">sum</data></node></graph>'), "2 parts"),
    "a hyperedge": (changed("</graph>", "<hyperedge/></graph>"), "found <hyperedge>"),
    "an encoding that nobody knows": ('<?xml version="1.0" encoding="foo"?>\n<graphml/>', "unknown encoding: foo"),
    "elements without end": ("<graphml>" + "<a>" * 100, "more than 64 deep"),
}


@pytest.mark.parametrize("case", BAD_GRAPHML)
def test_graphml_that_holds_no_genome_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    text, message = BAD_GRAPHML[case]
    path = tmp_path / "genome.graphml"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_genome(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_said_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lost\.json: there is no such file"):
        read_genome(tmp_path / "lost.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(DataError, match=r"folder\.json: it is no regular file"):
        read_genome(tmp_path / "folder.json")
    (tmp_path / "large.json").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(DataError, match=r"large\.json: it is larger than"):
        read_genome(tmp_path / "large.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"bytes\.json: it is no text"):
        read_genome(tmp_path / "bytes.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataError, match=r"bad\.json: .*expected an object"):
        read_genome(tmp_path / "bad.json")


ACTIONS: dict[str, Callable[[Any], object]] = {
    "read": read_genome,
    "write": lambda path: write_genome(EXAMPLES["chain"], path),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("path", ["genome.txt", "genome", ".json", 3, None, b"genome.json"])
def test_names_say_what_a_file_is(action: str, path: Any) -> None:
    with pytest.raises(RequestError, match="path: found"):
        ACTIONS[action](path)


def test_nothing_is_written_of_what_is_no_genome(tmp_path: Path) -> None:
    path = tmp_path / "genome.json"
    long = Genome((Vertex("skip"),) * 1025, tuple((at, at + 1) for at in range(1024)))
    for wrong in (None, "conv3", long, labelled("conv3:1048577")):
        with pytest.raises(RequestError, match="genome: found"):
            write_genome(wrong, path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_failed_writing_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "place.json").mkdir()
    with pytest.raises(DataError, match="nothing was changed"):
        write_genome(EXAMPLES["chain"], tmp_path / "place.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_genome(EXAMPLES["chain"], tmp_path / "file" / "genome.json")

"""Graph files: what was written is read back; what others write is read as networkx does; what is wrong is named."""

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sparsewire.errors import DataError, RequestError
from sparsewire.structure.graph_files import LISTS, XML, read_graph, write_graph
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.priors.random_edges import erdos_renyi
from sparsewire.structure.priors.small_worlds import watts_strogatz

SMALL = NetGraph.from_networkx(nx.Graph([(0, 2), (2, 3), (1, 3), (0, 3)]))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("graphs")


def written(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), p=st.sampled_from([0.0, 0.1, 0.5]), suffix=st.sampled_from(LISTS + XML))
def test_there_and_back_again(folder, seed, p, suffix):
    graph = erdos_renyi(12, p, generator=seeded(seed))
    rng = np.random.default_rng(seed)
    weighted = {key: block.copy() for key, block in graph.blocks.items()}
    for block in weighted.values():
        block.data[:] = rng.standard_normal(block.nnz)
    for one in (graph, NetGraph(graph.sizes, weighted)):
        write_graph(one, folder / f"graph{suffix}")
        assert read_graph(folder / f"graph{suffix}") == one


@pytest.mark.parametrize("suffix", [".edges", ".csv", ".graphml"])
@pytest.mark.parametrize(
    "graph",
    [
        NetGraph((3,), {}),
        NetGraph((1, 2, 1), {(0, 2): csr_array([[0.5]])}),  # layer 1 is alone
        NetGraph((2, 2), {(0, 1): csr_array([[1.0, 0.0], [0.0, 0.0]])}),  # nodes that nothing leads to in layer 1
    ],
    ids=repr,
)
def test_layers_that_edges_do_not_tell_are_kept(tmp_path, graph, suffix):
    path = tmp_path / f"graph{suffix}"
    write_graph(graph, path)
    assert read_graph(path) == graph


@pytest.mark.parametrize("suffix", [".edges", ".csv", ".graphml"])
def test_the_same_graph_gives_the_same_bytes(tmp_path, suffix):
    write_graph(SMALL, tmp_path / f"one{suffix}")
    write_graph(SMALL, tmp_path / f"two{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.edges", "0 2\n2 3\n1 3\n0 3\n"),
        ("a.edges", "3 2\n2\t0\n\n# a comment\n% and one\n3 1\n3 0"),
        ("a.txt", "0,2\n2,3\r\n1, 3\n0 ,3\n"),
        ("a.csv", "source,target\n0,2\n2,3\n1,3\n0,3\n"),
        ("a.csv", "\ufeffSource;Target;Weight\n0;2;1\n2;3;1.0\n1;3;1e0\n0;3;1\n"),
        ("a.CSV", 'u,v\n"0","2"\n"2","3"\n1,3\n0,3\n'),
        ("a.edgelist", "0 2 {}\n2 3 {'weight': 1.0}\n1 3 {'colour': 'red, or not', 'weight': 1}\n0 3 {'a b': 2}\n"),
        ("a.csv", "id1,id2\n0,2\n2,3\n1,3\n0,3\n"),
        ("a.csv", "node1,node2,weight\n0,2,1\n2,3,1\n1,3,1\n0,3,1\n"),
        ("a.csv", "from_node,to_node,weight\na,c,1\nc,d,1\nb,d,1\na,d,1\n"),
        ("a.edgelist", '0 2 {}\n2 3 {"weight": 1.0}\n1 3 {"a": "b", "weight" : 1}\n0 3 {"b": 2}\n'),
        ("a.edges", "9 7\n9999999999999999999 9\n8 9999999999999999999\n7 9999999999999999999\n"),
        ("a.tsv", "source\ttarget\n  0\t2\n2\t3\t\n1\t3  \n\t\n0\t3\n"),
        ("a.edges", "\t0 2\n  2 3\n\t1 3\n0 3\n"),  # indented
        ("a.edges", "00 02\n2 3\n1 3\n0 3\n"),
        ("a.edges", "-5 7\n7 1000000000000\n0 1000000000000\n-5 1000000000000\n"),
        ("a.edges", "in1 hidden\nhidden out\nin2 out\nin1 out\n"),  # not by their names: the edges keep their direction
    ],
)
def test_lists_by_hand(tmp_path, name, text):
    assert read_graph(written(tmp_path, name, text)) == SMALL


def test_attributes_in_json_have_a_weight(tmp_path):
    text = '0 1 {"weight": 2.5}\n'
    assert read_graph(written(tmp_path, "a.edgelist", text)).blocks[0, 1].data.tolist() == [2.5]


def test_an_edge_between_words_is_one_where_words_come_again(tmp_path):
    assert read_graph(written(tmp_path, "a.edges", "a b\n0 1\n1 b\n")).edges == 3
    assert read_graph(written(tmp_path, "a.edges", "a b\n")).edges == 1
    assert read_graph(written(tmp_path, "a.edges", "0 1\na b\n")).edges == 2


def test_defaults_of_graphml_hold_where_nothing_is_said(tmp_path):
    text = (
        '<graphml><key id="w" for="edge" attr.name="weight"><default>2.5</default></key>'
        '<key id="l" for="node" attr.name="layer"><default> 1 </default></key><key id="c"><default>9</default></key>'
        '<graph edgedefault="directed"><node id="0"><data key="l">0</data></node><node id="1"/><node id="2"/>'
        '<edge source="0" target="1"/><edge source="0" target="2"><data key="w">4</data></edge></graph></graphml>'
    )
    graph = read_graph(written(tmp_path, "a.graphml", text))
    assert graph.sizes == (1, 2)
    assert graph.blocks[0, 1].toarray().tolist() == [[2.5], [4.0]]
    with pytest.raises(DataError, match="line 1: the weight is 'much'"):
        read_graph(written(tmp_path, "a.graphml", text.replace("2.5", "much")))


def test_data_of_nodes_outside_the_graph_is_not_read(tmp_path):
    key = '<key id="l" for="node" attr.name="layer"/>'
    stray = '<desc><node id="0"><data key="l">3</data></node></desc>'
    with pytest.raises(DataError, match="found no nodes"):
        read_graph(written(tmp_path, "a.graphml", f"<graphml>{key}{stray}<graph/></graphml>"))


def test_a_line_of_one_label_is_a_node(tmp_path):
    assert read_graph(written(tmp_path, "a.edges", "0 1\n2\n")).sizes == (2, 1)


@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph])
@pytest.mark.parametrize("label", [int, lambda node: f"node {9 - node}"], ids=["numbers", "names"])
def test_graphml_of_networkx(tmp_path, kind, label):
    plain = nx.gnp_random_graph(10, 0.3, seed=4)
    graph = kind()
    graph.add_nodes_from(label(node) for node in plain)
    graph.add_weighted_edges_from((label(a), label(b), 0.5 + a) for a, b in plain.edges)
    nx.write_graphml(graph, tmp_path / "a.graphml")
    assert read_graph(tmp_path / "a.graphml") == NetGraph.from_networkx(graph)


@pytest.mark.parametrize("name", ["a.graphml", "a.edgelist"])
def test_networkx_reads_what_we_write(tmp_path, name):
    graph = watts_strogatz(20, 4, generator=seeded(0))
    write_graph(graph, tmp_path / name)
    if name == "a.graphml":
        back = nx.read_graphml(tmp_path / name, node_type=int)
    else:
        back = nx.read_edgelist(tmp_path / name, nodetype=int)
    assert NetGraph.from_networkx(back) == graph


def graphml(inside, head=""):
    return f'<?xml version="1.0"?>{head}\n<graphml>\n{inside}\n</graphml>'


NODES = '<graph edgedefault="directed"><node id="a"/><node id="b"/>\n'
LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.edges", "", "found no nodes"),
        ("a.edges", "0 1\n1 1\n", "line 2: node 1 has an edge to itself"),
        ("a.edges", "0 1\n# x\n1 2\n1 0\n", "line 4: found two edges between 1 and 0"),
        ("a.edges", "a b\nb c\nc a\n", "directed edges in a circle"),
        ("a.edges", "0 1 2 3\n", "line 1: found 4 fields, expected source, target and perhaps a weight"),
        ("a.edges", "0 1 much\n", "line 1: the weight is 'much', expected a finite number"),
        ("a.edges", "0 1 nan\n", "line 1: the weight is 'nan'"),
        ("a.edges", "0 1 inf\n", "line 1: the weight is 'inf'"),
        ("a.edges", "0 1 {'weight': __import__('os')}\n", "line 1: the weight is"),
        ("a.edges", "0 1 {'weight'}\n", "line 1: the weight is"),
        ("a.csv", "0,1\n0,\n", "line 2: found an empty label"),
        ("a.csv", '0,"1\n', "line 1: "),
        ("a.tsv", "0\t1\n\t2\n", "line 2: found an empty label, expected the two ends of an edge"),
        ("a.tsv", "0\t1\n2\t\n", "line 2: found an empty label"),
        ("a.tsv", "0\t1\n\t2\t3\r\n", "line 2: found an empty label"),
        ("a.edges", "\ufeff\t2\n", "line 1: found an empty label"),
        ("a.edges", b"0 1\n\xff\xfe 2\n", "line 2: found bytes that are no UTF-8 text"),
        ("a.edges", b"0 1\n" + b"7" * 70_000, "line 2: the line is longer than 65,536 bytes"),
        ("a.edges", "# sparsewire layers 2 x\n0 1\n", "line 1: the layers are '2 x'"),
        ("a.edges", "# sparsewire layers\n0 1\n", "line 1: the layers are ''"),
        ("a.edges", "# sparsewire layers 1 999999999999\n0 1\n", "line 1: the layers are '1 999999999999'"),
        ("a.edges", "# sparsewire layers 1 1\n0 2\n", "the layers it states have 2 nodes, expected labels 0 to 1"),
        ("a.graphml", "", "line 1: no element found"),
        ("a.graphml", "0 1\n", "line 1: syntax error"),
        ("a.graphml", "<graphml>\n<graph>\n", "line 3: no element found"),
        ("a.graphml", "<svg/>", "line 1: found <svg>, expected <graphml>"),
        ("a.graphml", graphml(""), "found no graph"),
        ("a.graphml", graphml("<graph/>"), "found no nodes"),
        ("a.graphml", graphml("<graph/><graph/>"), "line 3: found a second graph"),
        ("a.graphml", graphml("<x><graph/></x>"), "line 3: found <graph> inside another element"),
        ("a.graphml", graphml(NODES + "<hyperedge/></graph>"), "line 4: found <hyperedge>"),
        ("a.graphml", graphml(NODES + "<node/></graph>"), "line 4: found <node> without id"),
        ("a.graphml", graphml(NODES + '<node id="a"/></graph>'), "line 4: found node 'a' a second time"),
        ("a.graphml", graphml(NODES + '<edge source="a"/></graph>'), "line 4: found <edge> without target"),
        ("a.graphml", graphml(NODES + '<edge source="a" target="c"/></graph>'), "line 4: the edge has the end 'c'"),
        ("a.graphml", graphml(NODES + '<edge source="a" target="a"/></graph>'), "line 4: node 'a' has an edge to"),
        ("a.graphml", graphml(NODES + '<edge source="a" target="b" directed="false"/></graph>'), "line 4: found dir"),
        ("a.graphml", graphml('<graph><node id="1"/><node id="01"/></graph>'), "two nodes have the same number"),
        ("a.graphml", graphml('<key id="w" for="edge" attr.name="weight"/>' + NODES
            + '<edge source="a" target="b"><data key="w">x</data></edge></graph>'), "line 4: the weight is 'x'"),
        ("a.graphml", graphml('<key id="w" attr.name="weight"/>' + NODES
            + f'<edge source="a" target="b"><data key="w">{"1" * 9000}</data></edge></graph>'), "line 4: a value is"),
        ("a.graphml", graphml("<x>" * 80), "elements lie more than 64 deep"),
        ("a.graphml", graphml("<graph/>", LAUGHS), "line 1: found a document type"),
        ("a.graphml", graphml("<graph/>", OUTSIDE), "line 1: found a document type"),
        ("a.graphml", graphml("<graph>&b;</graph>"), "line 3: undefined entity"),
        ("a.graphml", '<?xml version="1.0" encoding="foo"?>\n<graphml/>', "unknown encoding: foo"),
        ("a.xml", "<graphml " + "a" * 3_000_000, "a tag or text is longer than 1,048,576 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_graph_is_named_by_its_line(tmp_path, name, text, message):
    path = written(tmp_path, name, text)
    with pytest.raises(DataError) as caught:
        read_graph(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=60)
@given(
    text=st.one_of(
        st.binary(max_size=60),
        st.text("01ab ,;\n\"'{}#%weight:.-", max_size=60).map(str.encode),
        st.text('<>/"= agrphmlnodeidsucat&;!01', max_size=60).map(lambda text: graphml(NODES + text).encode()),
    ),
    name=st.sampled_from(["fuzz.edges", "fuzz.csv", "fuzz.graphml"]),
)
def test_any_bytes_are_a_graph_or_a_mistake_of_the_file(folder, text, name):
    try:
        graph = read_graph(written(folder, name, text))
    except DataError:
        return
    assert isinstance(graph, NetGraph)


def test_sizes_have_limits(tmp_path):
    for name in ("a.edges", "a.graphml"):
        write_graph(watts_strogatz(20, 4, generator=seeded(0)), tmp_path / name)
        assert read_graph(tmp_path / name, most_edges=40).edges == 40
        with pytest.raises(DataError, match="there are more than 39 edges or nodes"):
            read_graph(tmp_path / name, most_edges=39)
    with pytest.raises(RequestError, match="most_edges: found 0"):
        read_graph(tmp_path / "a.edges", most_edges=0)


def test_paths_that_cannot_be(tmp_path):
    with pytest.raises(DataError, match=r"no graph at .*: there is no such file"):
        read_graph(tmp_path / "none.edges")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="it is no regular file"):
        read_graph(tmp_path / "folder.csv")
    with pytest.raises(DataError, match="a folder"):
        write_graph(SMALL, tmp_path / "folder.csv")
    for call in (read_graph, lambda path: write_graph(SMALL, path)):
        with pytest.raises(RequestError, match=r"path: found .*graph.json, expected a name that ends in one of .edges"):
            call(tmp_path / "graph.json")
        with pytest.raises(RequestError, match="path: found 7"):
            call(7)


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    for name in ("a.edges", "a.graphml"):
        path = written(tmp_path, name, "old")
        with pytest.raises(RequestError, match="a weight that is not finite"):
            write_graph(NetGraph((1, 1), {(0, 1): csr_array([[np.nan]])}), path)
        with pytest.raises(RequestError, match="graph: found Graph, expected a NetGraph"):
            write_graph(nx.path_graph(2), path)
        assert path.read_text() == "old"

"""Graphs as GraphML, read by a parser that knows no document types and so expands nothing."""

import math
import re
from collections.abc import Hashable, Iterator, Mapping
from typing import BinaryIO
from xml.parsers import expat

import numpy as np

from sparsewire.errors import DataError, RequestError
from sparsewire.structure.blocks import Array
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.labelled_edges import LabelledEdges
from sparsewire.structure.layering import numbered_edges

_PORTION = 1 << 16  # bytes
_LONGEST_TAG = 1 << 20  # bytes
_LONGEST_TEXT = 1 << 12  # characters, of a value that is read
_DEEPEST = 64
_NUMBER = re.compile(r"-?[0-9]{1,40}")
_REFUSED = {"hyperedge": "an edge of many ends", "port": "a port"}


def read_graphml(file: BinaryIO, shown: str, most: int) -> tuple[LabelledEdges, list[int]]:
    """The one graph in a GraphML file, and the line of each edge.

    Of the data, "layer" of nodes and "weight" of edges are read, and the defaults that their keys state.

    Args:
        file: opened for reading bytes.
        shown: its name in errors.
        most: how many edges, and how many nodes, there may be.

    Raises:
        DataError: it is no GraphML of one plain graph, or has a document type; the message names the line.

    Example:
        >>> import io
        >>> text = b'<graphml><graph edgedefault="directed"><node id="a"/><node id="b"/><edge source="b" target="a"/>'
        >>> graph, lines = read_graphml(io.BytesIO(text + b"</graph></graphml>"), "two", 10)
        >>> graph.labels, graph.tails, graph.heads, lines
        (['a', 'b'], array([1]), array([0]), [1])
    """
    reading = _Reading(most)
    parser = reading.parser
    fed = 0
    try:
        while portion := file.read(_PORTION):
            parser.Parse(portion, False)
            fed += len(portion)
            if fed - max(parser.CurrentByteIndex, 0) > _LONGEST_TAG:
                raise ValueError(f"a tag or text is longer than {_LONGEST_TAG:,} bytes")
        parser.Parse(b"", True)
        if not reading.graphs:
            raise ValueError("found no graph, expected <graphml> with one <graph>")
    except expat.ExpatError as cause:
        raise DataError(f"{shown}, line {cause.lineno}: {expat.ErrorString(cause.code)}; expected GraphML") from None
    except ValueError as cause:
        raise DataError(f"{shown}, line {parser.CurrentLineNumber}: {cause}") from None
    return reading.listed(shown), reading.lines


def graphml_lines(graph: NetGraph) -> Iterator[str]:
    """The lines of a graph as GraphML, with "layer" of the nodes and "weight" of the edges, as networkx writes it.

    Raises:
        RequestError: a weight is not finite.

    Example:
        >>> from scipy.sparse import csr_array
        >>> text = "".join(graphml_lines(NetGraph((1, 1), {(0, 1): csr_array([[0.5]])})))
        >>> '<edge source="0" target="1"><data key="w">0.5</data></edge>' in text
        True
    """
    low, high, values = numbered_edges(graph.sizes, graph.blocks)
    if not np.isfinite(values).all():
        raise RequestError("graph: found a weight that is not finite, which GraphML cannot hold")
    return _lines(graph, low, high, values)


def _lines(graph: NetGraph, low: Array, high: Array, values: Array) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    yield '<key id="l" for="node" attr.name="layer" attr.type="long"/>\n'
    yield '<key id="w" for="edge" attr.name="weight" attr.type="double"/>\n<graph edgedefault="directed">\n'
    layers = np.repeat(np.arange(len(graph.sizes)), graph.sizes).tolist()
    for node, layer in enumerate(layers):
        yield f'<node id="{node}"><data key="l">{layer}</data></node>\n'
    for one, other, weight in zip(low.tolist(), high.tolist(), values.astype(np.float64).tolist(), strict=True):
        yield f'<edge source="{one}" target="{other}"><data key="w">{weight}</data></edge>\n'
    yield "</graph>\n</graphml>\n"


class _Reading:
    """What a parser has found so far."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.graphs = 0
        self.directed = False
        self.places: dict[str, int] = {}
        self.layers: list[object] = []
        self.ends: list[tuple[str, str]] = []
        self.weights: list[float] = []
        self.lines: list[int] = []
        self.keys: dict[str, str] = {}  # of data that is read: "node layer" or "edge weight"
        self.path: list[str] = []
        self.text: list[str] | None = None
        self.key = ""
        self.depth = 0  # of the element whose text is read
        self.default_weight = 1.0
        self.default_layer: object = None
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.begin
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.read
        self.parser.StartDoctypeDeclHandler = _refuse_document_type

    def begin(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if not self.path and name != "graphml":
            raise ValueError(f"found <{name[:40]}>, expected <graphml>")
        self.path.append(name)
        if len(self.path) > _DEEPEST:
            raise ValueError(f"elements lie more than {_DEEPEST} deep")
        if name in _REFUSED:
            raise ValueError(f"found {_REFUSED[name]}, expected nodes and edges between two of them")
        if name == "graph":
            self.begin_graph(attributes)
        elif name == "key":
            self.begin_key(attributes)
        elif self.path[:-1] == ["graphml", "graph"] and name in ("node", "edge"):
            self.begin_node(attributes) if name == "node" else self.begin_edge(attributes)
        elif name == "data" and len(self.path) == 4 and self.path[1] == "graph":
            self.key = self.keys.get(f"{self.path[2]} {attributes.get('key', '')}", "")
            self.begin_text()
        elif name == "default" and self.path[:-1] == ["graphml", "key"]:
            self.begin_text()

    def begin_text(self) -> None:
        self.text, self.depth = [] if self.key else None, len(self.path)

    def begin_graph(self, attributes: Mapping[str, str]) -> None:
        self.graphs += 1
        if self.graphs > 1:
            raise ValueError("found a second graph, expected one")
        if len(self.path) != 2:
            raise ValueError("found <graph> inside another element, expected it in <graphml>")
        self.directed = attributes.get("edgedefault") == "directed"

    def begin_key(self, attributes: Mapping[str, str]) -> None:
        of, name, self.key = attributes.get("for", "all"), attributes.get("attr.name"), ""
        for element, read in (("node", "layer"), ("edge", "weight")):
            if name == read and of in (element, "all"):
                self.keys[f"{element} {attributes.get('id', '')}"] = self.key = read

    def begin_node(self, attributes: Mapping[str, str]) -> None:
        label = _needed(attributes, "node", "id")
        if label in self.places:
            raise ValueError(f"found node {label[:40]!r} a second time, expected each once")
        self.places[label] = len(self.places)
        self.layers.append(self.default_layer)
        self.check_number(len(self.places))

    def begin_edge(self, attributes: Mapping[str, str]) -> None:
        self.ends.append((_needed(attributes, "edge", "source"), _needed(attributes, "edge", "target")))
        if attributes.get("directed", str(self.directed).lower()) != str(self.directed).lower():
            raise ValueError("found directed and undirected edges in one graph, expected all alike")
        self.weights.append(self.default_weight)
        self.lines.append(self.parser.CurrentLineNumber)
        self.check_number(len(self.ends))

    def check_number(self, found: int) -> None:
        if found > self.most:
            raise ValueError(f"there are more than {self.most:,} edges or nodes; most_edges= allows more")

    def read(self, text: str) -> None:
        if self.text is not None and len(self.path) == self.depth:
            self.text.append(text)
            if len(self.text) > _LONGEST_TEXT or len(text) > _LONGEST_TEXT:
                raise ValueError(f"a value is longer than {_LONGEST_TEXT:,} characters, expected a number")

    def end(self, _: str) -> None:
        if self.text is not None and len(self.path) == self.depth:
            self.end_text("".join(self.text).strip(), is_default=self.path[-1] == "default")
            self.text = None
        self.path.pop()

    def end_text(self, value: str, *, is_default: bool) -> None:
        if self.key == "weight":
            weight = _finite(value)
            if is_default:
                self.default_weight = weight
            else:
                self.weights[-1] = weight
        elif is_default:
            self.default_layer = _layer(value)
        else:
            self.layers[-1] = _layer(value)

    def listed(self, shown: str) -> LabelledEdges:
        columns = np.empty((len(self.ends), 2), np.int64)
        for number, edge in enumerate(self.ends):
            for side, label in enumerate(edge):
                if label not in self.places:
                    line = self.lines[number]
                    raise DataError(f"{shown}, line {line}: the edge has the end {label[:40]!r}, which no node is")
                columns[number, side] = self.places[label]
        labels: list[Hashable] = list(self.places)
        if all(_NUMBER.fullmatch(label) for label in self.places):
            labels = [int(label) for label in self.places]
            if len(set(labels)) < len(labels):
                raise DataError(f"{shown}: two nodes have the same number, such as 1 and 01; expected different ones")
        weights = np.array(self.weights, np.float64)
        return LabelledEdges(labels, columns[:, 0], columns[:, 1], weights, self.directed, self.layers)


def _needed(attributes: Mapping[str, str], element: str, name: str) -> str:
    if name not in attributes:
        raise ValueError(f"found <{element}> without {name}, expected it")
    return attributes[name]


def _layer(text: str) -> int | str:
    return int(text) if _NUMBER.fullmatch(text) else text


def _finite(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise ValueError(f"the weight is {text[:40]!r}, expected a finite number")
    return weight


def _refuse_document_type(*_: object) -> None:
    raise ValueError("found a document type (<!DOCTYPE …>), which may define entities; expected plain GraphML")

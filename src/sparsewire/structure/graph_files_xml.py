"""Graphs as GraphML, there and back again."""

import math
import re
from collections.abc import Hashable, Iterator
from typing import BinaryIO

import numpy as np

from sparsewire.errors import DataError, RequestError
from sparsewire.structure.blocks import Array
from sparsewire.structure.graphml_reading import GraphmlReading
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.labelled_edges import LabelledEdges
from sparsewire.structure.layering import numbered_edges

_NUMBER = re.compile(r"-?[0-9]{1,40}")


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
    reading.read(file, shown)
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


class _Reading(GraphmlReading):
    """What was found so far of layers and weights."""

    def __init__(self, most: int) -> None:
        super().__init__(most, {"node": ("layer",), "edge": ("weight",)}, "; most_edges= allows more")
        self.layers: list[object] = []
        self.weights: list[float] = []
        self.default_weight = 1.0
        self.default_layer: object = None

    def begin_node(self) -> None:
        self.layers.append(self.default_layer)

    def begin_edge(self) -> None:
        self.weights.append(self.default_weight)

    def take(self, element: str, name: str, text: str) -> None:
        if element == "edge":
            self.weights[-1] = _finite(text)
        else:
            self.layers[-1] = _layer(text)

    def take_default(self, element: str, name: str, text: str) -> None:
        if element == "edge":
            self.default_weight = _finite(text)
        else:
            self.default_layer = _layer(text)

    def listed(self, shown: str) -> LabelledEdges:
        columns = np.array([[self.places[label] for label in edge] for edge in self.ends], np.int64).reshape(-1, 2)
        labels: list[Hashable] = list(self.places)
        if all(_NUMBER.fullmatch(label) for label in self.places):
            labels = [int(label) for label in self.places]
            if len(set(labels)) < len(labels):
                raise DataError(f"{shown}: two nodes have the same number, such as 1 and 01; expected different ones")
        weights = np.array(self.weights, np.float64)
        return LabelledEdges(labels, columns[:, 0], columns[:, 1], weights, self.directed, self.layers)


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

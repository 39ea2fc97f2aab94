"""Genomes as GraphML, there and back again."""

import io
import re
from collections.abc import Mapping

from sparsewire.errors import DataError
from sparsewire.search.genotype import Genome
from sparsewire.structure.graphml_reading import GraphmlReading

_NUMBER = re.compile(r"([0-9]{1,9})(?:\.0+)?")  # some programs save every number as a fraction
_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="operation" for="node" attr.name="operation" attr.type="string"/>
<key id="channels" for="node" attr.name="channels" attr.type="int"/>
<graph edgedefault="directed">
"""


def graphml_of_genome(genome: Genome) -> str:
    """The text of a GraphML file: nodes 0, 1, … with "operation" and "channels", and directed edges.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> lines = graphml_of_genome(Genome((Vertex("conv3", 16), Vertex("sum")), ((0, 1),))).splitlines()
        >>> lines[5], lines[7]
        ('<node id="0"><data key="operation">conv3</data><data key="channels">16</data></node>',
         '<edge source="0" target="1"/>')
    """
    nodes = (
        f'<node id="{place}"><data key="operation">{operation}</data><data key="channels">{channels}</data></node>\n'
        for place, (operation, channels) in enumerate(genome.vertices)
    )
    edges = (f'<edge source="{tail}" target="{head}"/>\n' for tail, head in genome.edges)
    return "".join([_HEAD, *nodes, *edges, "</graph>\n</graphml>\n"])


def genome_from_graphml(content: bytes, most: int) -> tuple[list[list[object]], list[list[int]]]:
    """The vertices, in the order of the file, as [operation, channels], and the edges as places among them.

    Args:
        content: of the file.
        most: how many nodes, and how many edges, there may be.

    Raises:
        DataError: it is no GraphML of one plain directed graph whose nodes have operations; the message names the line.

    Example:
        >>> genome_from_graphml(graphml_of_genome(Genome((("skip", 0), ("sum", 0)), ((0, 1),))).encode(), most=10)
        ([['skip', 0], ['sum', 0]], [[0, 1]])
    """
    reading = _Reading(most)
    reading.read(io.BytesIO(content), "genome")
    vertices = [_vertex(label, data) for label, data in zip(reading.places, reading.data, strict=True)]
    return vertices, [[reading.places[tail], reading.places[head]] for tail, head in reading.ends]


class _Reading(GraphmlReading):
    """What was found so far of operations and channels."""

    def __init__(self, most: int) -> None:
        super().__init__(most, {"node": ("operation", "channels")})
        self.data: list[dict[str, str]] = []
        self.default: dict[str, str] = {}

    def begin_node(self) -> None:
        self.data.append(dict(self.default))

    def begin_edge(self) -> None:
        if not self.directed:
            raise ValueError('found undirected edges, expected <graph edgedefault="directed">')

    def take(self, element: str, name: str, text: str) -> None:
        self.data[-1][name] = text

    def take_default(self, element: str, name: str, text: str) -> None:
        self.default[name] = text


def _vertex(label: str, data: Mapping[str, str]) -> list[object]:
    if "operation" not in data:
        raise DataError(f"genome: node {label[:40]!r} has no data named operation, expected one, such as conv3")
    number = _NUMBER.fullmatch(data.get("channels") or "0")
    if not number:
        found = data["channels"][:40]
        raise DataError(f"genome: node {label[:40]!r} has {found!r} channels, expected a whole number")
    return [data["operation"][:40], int(number[1])]

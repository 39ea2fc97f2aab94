"""Genomes as GraphML, read by a parser that knows no document types and so expands nothing."""

import re
from collections.abc import Mapping
from xml.parsers import expat

from sparsewire.errors import DataError
from sparsewire.search.genotype import Genome

_DEEPEST = 64
_READ = ("operation", "channels")
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
    try:
        reading.parser.Parse(content, True)
        return reading.found()
    except expat.ExpatError as cause:
        raise DataError(f"genome, line {cause.lineno}: {expat.ErrorString(cause.code)}; expected GraphML") from None
    except (ValueError, LookupError) as cause:  # an encoding that is not known is a LookupError
        raise DataError(f"genome, line {reading.parser.CurrentLineNumber}: {cause}") from None


class _Reading:
    """What a parser has found so far."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.graphs = 0
        self.places: dict[str, int] = {}
        self.data: list[dict[str, str]] = []
        self.ends: list[tuple[str, str]] = []
        self.keys: dict[str, str] = {}
        self.path: list[str] = []
        self.open = ""  # the name of the value that is being read
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.begin
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.read
        self.parser.StartDoctypeDeclHandler = _refuse_document_type

    def begin(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if not self.path and name != "graphml":
            raise ValueError(f"found <{name:.40}>, expected <graphml>")
        self.path.append(name)
        if len(self.path) > _DEEPEST:
            raise ValueError(f"elements lie more than {_DEEPEST} deep")
        if name == "graph":
            self.begin_graph(attributes)
        elif name in ("hyperedge", "port"):
            raise ValueError(f"found <{name}>, expected nodes and edges between two of them")
        elif name == "key" and attributes.get("for", "all") in ("node", "all"):
            self.keys[attributes.get("id", "")] = attributes.get("attr.name", "")
        elif self.path == ["graphml", "graph", "node"]:
            self.begin_node(_needed(attributes, "node", "id"))
        elif self.path == ["graphml", "graph", "edge"]:
            self.begin_edge(attributes)
        elif self.path == ["graphml", "graph", "node", "data"]:
            self.open = self.keys.get(attributes.get("key", ""), "")

    def begin_graph(self, attributes: Mapping[str, str]) -> None:
        self.graphs += 1
        if self.graphs > 1 or len(self.path) != 2:
            raise ValueError("found a second graph, expected one in <graphml>")
        if attributes.get("edgedefault") != "directed":
            raise ValueError('found undirected edges, expected <graph edgedefault="directed">')

    def begin_node(self, label: str) -> None:
        if label in self.places:
            raise ValueError(f"found node {label[:40]!r} a second time, expected each once")
        self.places[label] = len(self.places)
        self.data.append({})
        self.check_number(len(self.data))

    def begin_edge(self, attributes: Mapping[str, str]) -> None:
        self.ends.append((_needed(attributes, "edge", "source"), _needed(attributes, "edge", "target")))
        if attributes.get("directed", "true") != "true":
            raise ValueError("found an undirected edge, expected directed ones")
        self.check_number(len(self.ends))

    def check_number(self, found: int) -> None:
        if found > self.most:
            raise ValueError(f"there are more than {self.most:,} nodes or edges")

    def read(self, text: str) -> None:
        if self.open in _READ and len(self.path) == 4:
            self.data[-1][self.open] = (self.data[-1].get(self.open, "") + text.strip())[:40]

    def end(self, _: str) -> None:
        self.path.pop()
        self.open = ""

    def found(self) -> tuple[list[list[object]], list[list[int]]]:
        if not self.graphs:
            raise ValueError("found no graph, expected <graphml> with one <graph>")
        vertices = [_vertex(label, self.data[place]) for label, place in self.places.items()]
        for ends in self.ends:
            for label in ends:
                if label not in self.places:
                    raise ValueError(f"an edge has the end {label[:40]!r}, which no node is")
        return vertices, [[self.places[tail], self.places[head]] for tail, head in self.ends]


def _vertex(label: str, data: Mapping[str, str]) -> list[object]:
    if "operation" not in data:
        raise ValueError(f"node {label[:40]!r} has no data named operation, expected one, such as conv3")
    number = _NUMBER.fullmatch(data.get("channels") or "0")
    if not number:
        raise ValueError(f"node {label[:40]!r} has {data['channels']!r} channels, expected a whole number")
    return [data["operation"], int(number[1])]


def _needed(attributes: Mapping[str, str], element: str, name: str) -> str:
    if name not in attributes:
        raise ValueError(f"found <{element}> without {name}, expected it")
    return attributes[name]


def _refuse_document_type(*_: object) -> None:
    raise ValueError("found a document type (<!DOCTYPE …>), which may define entities; expected plain GraphML")

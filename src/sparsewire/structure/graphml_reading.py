"""GraphML of strangers, read by a parser that knows no document types and so expands nothing."""

from collections.abc import Mapping
from typing import BinaryIO
from xml.parsers import expat

from sparsewire.errors import DataError

_PORTION = 1 << 16  # bytes
_LONGEST_TAG = 1 << 20  # bytes
_LONGEST_TEXT = 1 << 12  # characters, of a value that is read
_LONGEST_ENCODING = 40  # characters
_DEEPEST = 64


class GraphmlReading:
    """One plain graph of a GraphML file: its nodes, its edges, and the values that a subclass takes.

    A subclass says what becomes of values, in `take` and `take_default`. Of an element that is wrong it raises a
    ValueError, to which `read` adds the name of the file and the line.

    Args:
        most: how many nodes, and how many edges, there may be.
        wanted: "node" and "edge" → the names of the data that is read; all other data is passed over.
        more: what to say where there are more, such as how to allow them.

    Attributes:
        directed: whether the graph's edges are.
        places: the name of each node → which one it is, from 0.
        ends: the names of the nodes of each edge.
        lines: the line of each edge.

    Example:
        >>> import io
        >>> class Labels(GraphmlReading):
        ...     def take(self, element: str, name: str, text: str) -> None:
        ...         print(element, len(self.places), name, text)
        >>> reading = Labels(10, {"node": ("label",)})
        >>> head = b'<graphml><key id="k" for="node" attr.name="label"/><graph edgedefault="directed">'
        >>> reading.read(io.BytesIO(head + b'<node id="a"><data key="k"> x </data></node></graph></graphml>'), "file")
        node 1 label x
        >>> reading.places, reading.directed
        ({'a': 0}, True)
    """

    def __init__(self, most: int, wanted: Mapping[str, tuple[str, ...]], more: str = "") -> None:
        self.most, self.wanted, self.more = most, wanted, more
        self.directed = False
        self.places: dict[str, int] = {}
        self.ends: list[tuple[str, str]] = []
        self.lines: list[int] = []
        self._graphs = 0
        self._keys: dict[tuple[str, str], str] = {}  # element and key → name of what is read
        self._defaults: list[tuple[str, str]] = []  # element and name, of the key that is open
        self._path: list[str] = []
        self._text: str | None = None
        self._depth = 0  # of the element whose text is read
        self._name = ""
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._hear
        self._parser.StartDoctypeDeclHandler = _refuse_document_type
        self._parser.XmlDeclHandler = _check_encoding

    def begin_node(self) -> None:
        """A node was found, the last one of `places`."""

    def begin_edge(self) -> None:
        """An edge was found, the last one of `ends`."""

    def take(self, element: str, name: str, text: str) -> None:
        """Takes a value of the last "node" or "edge"."""

    def take_default(self, element: str, name: str, text: str) -> None:
        """Takes the value of all that come after and state none."""

    def read(self, file: BinaryIO, shown: str) -> None:
        """Reads the whole file.

        Args:
            file: opened for reading bytes.
            shown: its name in errors.

        Raises:
            DataError: it is no GraphML of one plain graph, has a document type, or holds more than it may; the message
                is one line, and names the file's.
        """
        parser, fed = self._parser, 0
        try:
            while portion := file.read(_PORTION):
                parser.Parse(portion, False)
                fed += len(portion)
                if fed - max(parser.CurrentByteIndex, 0) > _LONGEST_TAG:
                    raise ValueError(f"a tag or text is longer than {_LONGEST_TAG:,} bytes")
            parser.Parse(b"", True)
            if not self._graphs:
                raise ValueError("found no graph, expected <graphml> with one <graph>")
        except expat.ExpatError as cause:
            told = expat.ErrorString(cause.code)
            raise DataError(f"{shown}, line {cause.lineno}: {told}; expected GraphML") from None
        except (ValueError, LookupError) as cause:  # an encoding that is not known is a LookupError
            raise DataError(f"{shown}, line {parser.CurrentLineNumber}: {cause}") from None
        self._check_ends(shown)

    def _begin(self, tag: str, attributes: Mapping[str, str]) -> None:
        name, path = tag.rpartition(":")[2], self._path
        if not path and name != "graphml":
            raise ValueError(f"found <{name[:40]}>, expected <graphml>")
        path.append(name)
        if len(path) > _DEEPEST:
            raise ValueError(f"elements lie more than {_DEEPEST} deep")
        if name in ("hyperedge", "port"):
            raise ValueError(f"found <{name}>, expected nodes and edges between two of them")
        if name == "graph":
            self._begin_graph(attributes)
        elif name == "key":
            self._begin_key(attributes)
        elif path[:-1] == ["graphml", "graph"] and name in ("node", "edge"):
            self._begin_node(attributes) if name == "node" else self._begin_edge(attributes)
        elif name == "data" and len(path) == 4 and path[1] == "graph":
            self._name = self._keys.get((path[2], attributes.get("key", "")), "")
            self._begin_text(bool(self._name))
        elif name == "default" and path[:-1] == ["graphml", "key"]:
            self._begin_text(bool(self._defaults))

    def _begin_graph(self, attributes: Mapping[str, str]) -> None:
        self._graphs += 1
        if self._graphs > 1:
            raise ValueError("found a second graph, expected one")
        if len(self._path) != 2:
            raise ValueError("found <graph> inside another element, expected it in <graphml>")
        self.directed = attributes.get("edgedefault") == "directed"

    def _begin_key(self, attributes: Mapping[str, str]) -> None:
        of, name = attributes.get("for", "all"), attributes.get("attr.name", "")
        self._defaults = [(one, name) for one, names in self.wanted.items() if of in (one, "all") and name in names]
        for element, _ in self._defaults:
            self._keys[element, attributes.get("id", "")] = name

    def _begin_node(self, attributes: Mapping[str, str]) -> None:
        label = _needed(attributes, "node", "id")
        if label in self.places:
            raise ValueError(f"found node {label[:40]!r} a second time, expected each once")
        self.places[label] = len(self.places)
        self._check_number(len(self.places))
        self.begin_node()

    def _begin_edge(self, attributes: Mapping[str, str]) -> None:
        self.ends.append((_needed(attributes, "edge", "source"), _needed(attributes, "edge", "target")))
        if attributes.get("directed", str(self.directed).lower()) != str(self.directed).lower():
            raise ValueError("found directed and undirected edges in one graph, expected all alike")
        self.lines.append(self._parser.CurrentLineNumber)
        self._check_number(len(self.ends))
        self.begin_edge()

    def _begin_text(self, is_read: bool) -> None:
        self._text, self._depth = "" if is_read else None, len(self._path)

    def _hear(self, text: str) -> None:
        if self._text is not None and len(self._path) == self._depth:
            self._text += text
            if len(self._text) > _LONGEST_TEXT:
                raise ValueError(f"a value is longer than {_LONGEST_TEXT:,} characters, expected a short one")

    def _end(self, _: str) -> None:
        if self._text is not None and len(self._path) == self._depth:
            text, self._text = self._text.strip(), None
            if self._path[-1] == "data":
                self.take(self._path[2], self._name, text)
            else:
                for element, name in self._defaults:
                    self.take_default(element, name, text)
        self._path.pop()

    def _check_number(self, found: int) -> None:
        if found > self.most:
            raise ValueError(f"there are more than {self.most:,} edges or nodes{self.more}")

    def _check_ends(self, shown: str) -> None:
        for ends, line in zip(self.ends, self.lines, strict=True):
            for label in ends:
                if label not in self.places:
                    raise DataError(f"{shown}, line {line}: the edge has the end {label[:40]!r}, which no node is")


def _needed(attributes: Mapping[str, str], element: str, name: str) -> str:
    if name not in attributes:
        raise ValueError(f"found <{element}> without {name}, expected it")
    return attributes[name]


def _check_encoding(_: str, encoding: str | None, __: int) -> None:
    """Python's own escapes are no encodings of files: to look at one warns, of what is not in the file."""
    if encoding is not None and (len(encoding) > _LONGEST_ENCODING or "escape" in encoding.lower()):
        raise ValueError(f"unknown encoding: {encoding[:_LONGEST_ENCODING]}")


def _refuse_document_type(*_: object) -> None:
    raise ValueError("found a document type (<!DOCTYPE …>), which may define entities; expected plain GraphML")

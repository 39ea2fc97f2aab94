"""The guarded reader of GraphML: what it takes, and what it refuses in one line, whoever asks."""

import io

import pytest

from sparsewire.errors import DataError
from sparsewire.structure.graphml_reading import GraphmlReading


class Heard(GraphmlReading):
    def __init__(self, most: int = 5) -> None:
        super().__init__(most, {"node": ("colour",), "edge": ("colour", "weight")}, "; ask for more")
        self.heard: list[tuple[str, ...]] = []

    def begin_node(self) -> None:
        self.heard.append(("node",))

    def begin_edge(self) -> None:
        self.heard.append(("edge",))

    def take(self, element: str, name: str, text: str) -> None:
        self.heard.append((element, name, text))

    def take_default(self, element: str, name: str, text: str) -> None:
        self.heard.append(("default", element, name, text))


KEYS = (
    '<key id="c" for="all" attr.name="colour"><default> red </default></key>'
    '<key id="w" for="edge" attr.name="weight"/><key id="s" for="node" attr.name="size"><default>9</default></key>'
)
BODY = (
    '<graph><node id="a"><data key="c">a<!-- and -->b</data><data key="w">no</data><data key="s">1</data></node>'
    '<node id="b"><data key="c">x<i>left out</i></data></node>\n'
    '<edge source="a" target="b"><data key="w">7</data></edge></graph>'
)


def read(text: str, most: int = 5) -> Heard:
    reading = Heard(most)
    reading.read(io.BytesIO(text.encode()), "it")
    return reading


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1", "cp1252", "koi8-r"])
def test_encodings_of_files_are_read(encoding: str) -> None:
    reading, name = Heard(), "я" if encoding == "koi8-r" else "ä"
    text = f'<?xml version="1.0" encoding="{encoding}"?><graphml><graph><node id="{name}"/></graph></graphml>'
    reading.read(io.BytesIO(text.encode(encoding)), "it")
    assert list(reading.places) == [name]


def test_a_message_is_not_as_long_as_an_encoding() -> None:
    with pytest.raises(DataError) as caught:
        read(f'<?xml version="1.0" encoding="{"a" * 60_000}"?><graphml/>')
    assert len(str(caught.value)) < 100


def test_what_is_wanted_is_heard_in_the_order_of_the_file() -> None:
    reading = read(f"<graphml>{KEYS}{BODY}</graphml>")
    assert reading.heard == [
        ("default", "node", "colour", "red"),
        ("default", "edge", "colour", "red"),
        ("node",),
        ("node", "colour", "ab"),
        ("node",),
        ("node", "colour", "x"),
        ("edge",),
        ("edge", "weight", "7"),
    ]
    assert (reading.places, reading.ends, reading.lines) == ({"a": 0, "b": 1}, [("a", "b")], [2])
    assert not reading.directed


def test_prefixes_of_names_are_left_aside() -> None:
    reading = read('<g:graphml xmlns:g="x"><g:graph edgedefault="directed"><g:node id="a"/></g:graph></g:graphml>')
    assert reading.directed
    assert reading.places == {"a": 0}


def test_a_graph_may_be_as_large_as_it_may_be() -> None:
    nodes = "".join(f'<node id="{node}"/>' for node in range(5))
    assert len(read(f"<graphml><graph>{nodes}</graph></graphml>").places) == 5
    with pytest.raises(DataError, match="it, line 1: there are more than 4 edges or nodes; ask for more"):
        read(f"<graphml><graph>{nodes}</graph></graphml>", most=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<graphml><graph><node id='a'><port/></node></graph></graphml>", "line 1: found <port>, expected nodes"),
        ("<graphml>" + "<a>" * 64, "line 1: elements lie more than 64 deep"),
        ("<!DOCTYPE graphml><graphml/>", "line 1: found a document type"),
        ('<?xml version="1.0" encoding="none"?><graphml/>', "line 1: unknown encoding: none"),
        ('<?xml version="1.0" encoding="unicode_escape"?><graphml/>', "line 1: unknown encoding: unicode_escape"),
        ('<?xml version="1.0" encoding="Raw-Unicode-Escape"?><graphml/>', "line 1: unknown encoding: Raw-Unicode-Esc"),
        ('<?xml version="1.0" encoding="hex"?><graphml/>', "line 1: 'hex' is not a text encoding"),
        (f"<graphml>{KEYS}<graph><node id='a'><data key='c'>{'x<!-- -->' * 5000}", "a value is longer than 4,096"),
        (
            f"<graphml>{KEYS}<graph>\n<edge source='a' target='b'/></graph></graphml>",
            "line 2: the edge has the end 'a'",
        ),
    ],
)
def test_what_is_wrong_is_one_line(text: str, message: str) -> None:
    with pytest.raises(DataError, match=r"^it, ") as caught:
        read(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)

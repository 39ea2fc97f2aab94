import pytest

from sparsewire.errors import RequestError
from sparsewire.structure import patterns
from sparsewire.structure.pattern_names import PATTERNS, pattern_of
from sparsewire.structure.patterns import NM, Block, Channels, FixedFanIn, Heads, Neurons, Pattern, Unstructured


@pytest.mark.parametrize(
    ("wish", "pattern"),
    [
        (None, Unstructured()),
        ("weights", Unstructured()),
        ("unstructured", Unstructured()),
        ("neurons", Neurons()),
        ("fan-in", FixedFanIn()),
        ("1:4", NM(1, 4)),
        ("block:2x8", Block(2, 8)),
        ("channels", Channels()),
        ("heads:12", Heads(12)),
        (FixedFanIn(nearest=True), FixedFanIn(nearest=True)),
    ],
)
def test_names_of_patterns(wish, pattern):
    assert pattern_of(wish) == pattern


def test_every_pattern_has_a_name():
    named = {type(pattern_of(wish)) for wish in (*PATTERNS, "2:4", "block:4x4", "heads:8")}
    assert named == {kind for kind in vars(patterns).values() if isinstance(kind, type) and Pattern in kind.__bases__}


@pytest.mark.parametrize(
    "wish",
    ["neuron", "", "2:", "2:4:6", "block:4", "block:4x", "²:4", "heads", "heads:", "heads:-1", Neurons, (2, 4), 3],
)
def test_what_is_no_pattern_is_refused(wish):
    with pytest.raises(RequestError, match=r"pattern: found .*, expected a pattern such as Neurons\(\)"):
        pattern_of(wish)


@pytest.mark.parametrize(
    ("wish", "message"),
    [("0:4", "n: found 0"), ("5:4", "n: found 5"), ("block:0x4", "rows: found 0"), ("heads:0", "count: found 0")],
)
def test_numbers_that_make_no_pattern_are_refused(wish, message):
    with pytest.raises(RequestError, match=message):
        pattern_of(wish)

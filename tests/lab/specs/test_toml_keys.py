"""Keys before a sign, and the lines in which keys are set."""

import pytest

from sparsewire.lab.specs.toml_keys import keys_before, line_of

TEXT = """\
experiment = "toy"   # 1
# paths = 3
note = "x = 1"
[spec]
hidden = [
  [30, 20],
]
training.epochs = 5  # 8
"0.weight" = 0.3
[spec.limits]
'a b' = 1
[[sweep.list]]       # 12
rate = 1
[[sweep.list]]
[sweep.list.training]
epochs = 2           # 16
[ sweep . grid ]
paths = [1, 2]
"""

PLACES = [
    (("experiment",), 1),
    (("paths",), None),
    (("x",), None),
    (("spec",), 4),
    (("spec", "hidden", "0", "1"), 5),
    (("spec", "training", "epochs"), 8),
    (("spec", "0.weight"), 9),
    (("spec", "limits", "a b"), 11),
    (("sweep", "list", 0, "rate"), 13),
    (("sweep", "list", 1, "rate"), 14),
    (("sweep", "list", 1, "training", "epochs"), 16),
    (("sweep", "grid", "paths"), 18),
    (("sweep", "grid", "other"), 17),
    (("sweep", "list", 2), None),
    (("spec", "missing"), 4),
]


@pytest.mark.parametrize(("where", "line"), PLACES)
def test_lines_are_found(where, line):
    assert line_of(TEXT, where) == line


KEYS = [
    ("a=1", (("a",), "1")), (" a . 'b.c' . \"d e\" = x=y", (("a", "b.c", "d e"), " x=y")), ("''=1", (("",), "1")),
    ("", None), ("=1", None), ("a", None), ("a b=1", None), ("a..b=1", None), ("a.=1", None), ("é=1", None),
    ('"a\\"b"=1', None), ("a\n=1", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), KEYS)
def test_keys_are_taken_apart(text, found):
    assert keys_before(text, "=") == found


def test_a_long_line_without_a_key_takes_no_long_time():
    assert line_of(" " * 1_000_000 + "\n" + "a." * 300_000, ("spec", "a")) is None

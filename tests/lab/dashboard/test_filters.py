"""The filter's line: what it says, and that trials under way are judged as those in the store are."""

import pytest

from sparsewire.errors import RequestError
from sparsewire.lab.dashboard.filters import conditions_of, filter_for, fits
from sparsewire.lab.store import Store


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("state=failed epochs>=5", [("state", "=", "failed"), ("epochs", ">=", 5)]),
        ("epochs >= 5", [("epochs", ">=", 5)]),
        ("test accuracy>0.9 seed=1", [("test accuracy", ">", 0.9), ("seed", "=", 1)]),
        ("reason~out of", [("reason", "~", "out"), ("of", None, None)]),
        ("data='a  b'", [("data", "=", "a  b")]),
        ('data="x=1"', [("data", "=", "x=1")]),
        ("sizes=[3, 2] rule=set", [("sizes", "=", "[3,2]"), ("rule", "=", "set")]),
        ("reason=", [("reason", "=", None)]),
        ("reason= seed=1", [("reason", "=", None), ("seed", "=", 1)]),
        ("  a!=b\tc~d ", [("a", "!=", "b"), ("c", "~", "d")]),
    ],
)
def test_a_line_is_its_conditions(text, expected):
    if any(comparison is None for _, comparison, _ in expected):
        with pytest.raises(RequestError, match="condition"):
            conditions_of(text)
    else:
        assert [(one.name, one.comparison, one.value) for one in conditions_of(text)] == expected


@pytest.mark.parametrize("text", ["epochs", "= 5", ">", "a" * 3000, "a=1 " * 31, "'"])
def test_no_conditions(text):
    with pytest.raises(RequestError):
        conditions_of(text)


@pytest.mark.parametrize("value", ["digits", "a b", "5", "true", "", "x'y", 'x"y', "[1,2]", "<script>", "=", "a\nb"])
def test_a_facet_asks_for_its_value_or_not_at_all(value):
    text = filter_for("data", value)
    if text is not None:
        [one] = conditions_of(text)
        assert fits({"fields": {"data": value}, "metrics": {}}, [one])
    else:
        assert {"'", '"', "\n", ""} & {*value, value}


LINES = [
    "", "strength=0.5", "strength!=0.5", "strength>=0.5", "strength<0.5", "rule=set", "rule~SET", "rule>set", "seed=1",
    "seed>0", "state=failed", "state!=failed", "reason~no", "reason=", "reason!=", "loss>1", "loss<=1.1", "loss!=2",
    "spec.strength=0.25", "metric.loss>1", "experiment=toy", "experiment~o", "run~a", "seconds>1", "started<2027",
    "rule=5", "strength=set", "strength='0.5'", "strength>abc", "accuracy=none", "accuracy!=none", "strength=nan",
]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_trial_under_way_is_judged_as_one_in_the_store(kept, line):
    where = conditions_of(line)
    with Store.open(kept, write=False) as store:
        rows = [row._asdict() for row in store.rows()]
        expected = [row.trial for row in store.rows(where=where)]
    assert [row["trial"] for row in rows if fits(row, where)] == expected


def test_a_number_that_is_none_is_no_missing_one():
    row = {"fields": {}, "metrics": {"loss": float("nan")}}
    assert [fits(row, conditions_of(text)) for text in ("loss=nan", "loss!=nan", "loss=none", "accuracy=nan")] == [
        True, False, False, False,
    ]  # fmt: skip

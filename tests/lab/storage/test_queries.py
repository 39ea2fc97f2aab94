"""Rows: SQL finds what the slow obvious way finds, and nothing that is written in a condition is run."""

import math
import sqlite3
from contextlib import closing
from typing import Literal

import pytest

from sparsewire.errors import RequestError, StoreError, UnknownNameError
from sparsewire.lab.spec import Part, Spec
from sparsewire.lab.storage.conditions import Condition, condition
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store


class Training(Part):
    epochs: int = 5
    rule: str | None = None


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    label: str = "plain"
    sizes: tuple[int, ...] = (3, 2)
    seed: float = 0.5  # a word that the table uses itself
    shrink: bool = False
    training: Training = Training()


class Other(Spec):
    experiment: Literal["other"] = "other"
    width: int = 3


SPECS = [Toy(), Toy(label="Ünder%_'\"x"), Toy(label="5", sizes=(9,), seed=2.0),
         Toy(shrink=True, training=Training(epochs=9)),
         Toy(training=Training(rule="set")), Other(), Other(width=8)]  # fmt: skip
HOSTILE = [
    "'; DROP TABLE trials; --",
    '" OR 1=1 --',
    "a') OR ('1'='1",
    "$",
    "*",
    "trials.seed) --",
    "x\x00y",
    "%",
    "?1",
]


def content(number, seed):
    metrics = {"accuracy": [0.1, 0.5, math.nan, math.inf, 0.5, -math.inf, 0.9][number], "label": float(seed)}
    if number != 3:
        metrics["loss"] = number - seed / 10
    return Content(metrics, {"loss": [(step, number / (step + 1)) for step in range(seed)], "flat": []}, {})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    with Store.open(root) as store:
        store.enlist(SPECS)
        for number, spec in enumerate(SPECS):
            for seed in (2, 0, 1):
                ending = Ending("done", None, None, number + seed / 4, {"started": f"2026-01-0{seed + 1}"})
                if number == 4 and seed:
                    ending = ending._replace(state="failed", reason="OutOfMemoryError: 5 GB")
                hand_in(root, spec, seed, ending, content(number, seed), {})
        store.ingest()
        yield store


def seen(row, name):
    """A column of a row, the slow way; `...` where the row has none."""
    plain = {"state": row.state, "reason": row.reason, "experiment": row.experiment, "run": row.run, "seed": row.seed,
             "seconds": row.seconds, "started": row.started}  # fmt: skip
    if name in plain:
        return ... if plain[name] is None else plain[name]
    if not name.startswith("metric.") and any(name.removeprefix("spec.") in fields(spec) for spec in SPECS):
        value = row.fields.get(name.removeprefix("spec."), ...)
        return ... if value is None else value
    return row.metrics.get(name.removeprefix("metric."), ...)


def fields(spec):
    plain = spec.model_dump()
    plain |= {f"training.{name}": value for name, value in plain.pop("training", {}).items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def is_alike(found, value):
    """Whether a column equals a value; a text equals the number that it spells."""
    if found is ... or value is None:
        return found is ... and value is None
    if isinstance(found, float) and math.isnan(found):
        return isinstance(value, float) and math.isnan(value)
    if isinstance(found, list):
        return str(found).replace(" ", "") == value
    return found == value or (isinstance(found, str) and not isinstance(value, bool) and found == str(value))


def satisfies(row, asked):
    found, value = seen(row, asked.name), asked.value
    if asked.comparison in ("=", "!="):
        return is_alike(found, value) == (asked.comparison == "=")
    if found is ... or isinstance(found, list) or value is None:
        return False
    if asked.comparison == "~":
        return str(value).lower() in str(found).lower()
    if isinstance(found, str) != isinstance(value, str):
        return False
    return {"<": found < value, "<=": found <= value, ">": found > value, ">=": found >= value}[asked.comparison]


ASKED = ["state=failed", "state!=done", "reason~memory", "reason=", "reason!=none", "experiment=other", "seed>=1",
         "seed=2",
         "seconds<1.3", "started>='2026-01-02'", "label=plain", "label=5", "label='5'", "label~\"X", "label~%",
         "sizes=[3, 2]",
         "spec.seed=2", "spec.seed>1", "shrink=true", "shrink=false", "shrink!=true", "training.epochs>5",
         "training.epochs!=5", "training.rule=set", "training.rule=none", "training.rule!=none", "width<=3", "width!=3",
         "accuracy>=0.5", "accuracy=nan", "accuracy!=nan", "accuracy=inf", "accuracy>-inf", "accuracy<0.5",
         "loss=none",
         "loss!=none", "loss<2", "metric.label=2", "metric.label>=1", "loss>a", "label>a",
         "label<5", "seed<b"]  # fmt: skip


@pytest.mark.parametrize("text", ASKED)
def test_sql_finds_what_the_slow_way_finds(store, text):
    asked = condition(text)
    expected = [row.trial for row in store.rows() if satisfies(row, asked)]
    assert [row.trial for row in store.rows(where=[asked])] == expected
    assert store.count(where=[asked]) == len(expected)
    both = [asked, condition("seed<2")]
    assert store.count("toy", both) == sum(row.experiment == "toy" and row.seed < 2 and satisfies(row, asked)
                                           for row in store.rows())  # fmt: skip


def test_rows_hold_everything_in_the_order_of_specs_and_seeds(store):
    rows = store.rows()
    assert [(row.experiment, row.seed) for row in rows] == [
        (spec.experiment, seed) for spec in SPECS for seed in range(3)
    ]
    for number, spec in enumerate(SPECS):
        row = rows[3 * number + 1]
        assert {"experiment": spec.experiment, **row.fields} == fields(spec)
        assert list(row.metrics) == list(content(number, 1).metrics)
        assert (row.seconds, row.started) == (number + 0.25, "2026-01-02")
    assert store.rows("toy") == rows[:15] or math.isnan(rows[6].metrics["accuracy"])
    assert [row.trial for row in store.rows(limit=4, offset=3)] == [row.trial for row in rows[3:7]]
    assert [row.trial for row in store.rows(descending=True)] == [row.trial for row in reversed(rows)]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    "name", ["accuracy", "loss", "seconds", "seed", "state", "label", "training.epochs", "width", "reason"]
)
def test_sorting_puts_what_is_missing_last(store, name, descending):
    def key(row):
        found = seen(row, name)
        return None if found is ... or (isinstance(found, float) and math.isnan(found)) else found

    rows = store.rows()
    there = [row for row in rows if key(row) is not None]
    expected = sorted(there, key=key, reverse=descending)
    if descending:  # among equals the order of specs and seeds is kept
        expected = sorted(expected, key=lambda row: -[key(other) for other in expected].index(key(row)), reverse=True)
    expected += [row for row in rows if key(row) is None]
    assert [row.trial for row in store.rows(sort=name, descending=descending)] == [row.trial for row in expected]


def test_unknown_columns_are_named_with_the_nearest(store):
    with pytest.raises(UnknownNameError, match="no column is named 'acuracy'; did you mean 'accuracy'"):
        store.rows(where=[condition("acuracy>0.5")])
    with pytest.raises(UnknownNameError, match=r"did you mean 'training.epochs'"):
        store.rows(sort="training.epoch")
    assert {"accuracy", "training.rule", "seconds", "width"} <= set(store.columns())


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_data(store, text):
    for comparison in ("=", "!=", "<", ">=", "~"):
        found = store.count(where=[Condition("label", comparison, text), Condition("state", "=", text)])
        assert found == 0
    with pytest.raises(UnknownNameError):
        store.rows(where=[Condition(text, "=", 1)])
    with pytest.raises(UnknownNameError):
        store.rows(sort=text)
    assert store.rows(text) == []
    assert store.curves([1], [text]) == {1: {}}
    assert store.count() == 21


def test_half_characters_are_refused(store):
    for ask in (lambda: store.rows("\ud800"), lambda: store.rows(sort="\ud800"),
                lambda: store.count(where=[Condition("label", "~", "\ud800")])):  # fmt: skip
        with pytest.raises(RequestError, match="a text with half a character"):
            ask()


def test_huge_numbers_are_compared(store):
    assert store.count(where=[Condition("seed", "<", 10**30)]) == 21
    assert store.count(where=[Condition("training.epochs", "=", -(10**30))]) == 0


def test_curves_of_some_trials(store):
    rows = store.rows("toy", limit=3)
    found = store.curves([row.trial for row in rows] + [10_000])
    assert found == {row.trial: {"loss": [(step, 0.0) for step in range(row.seed)], "flat": []} for row in rows}
    assert store.curves([rows[2].trial], ["flat", "none"]) == {rows[2].trial: {"flat": []}}
    assert store.curves([]) == {}


def test_a_new_store_has_columns_that_may_come(tmp_path):
    with Store.open(tmp_path) as store:
        assert store.rows(where=[condition("accuracy>0.5")], sort="loss") == []
        assert (store.count(), store.version(), store.experiments()) == (0, 0, {})


def test_the_version_grows_with_what_is_kept(tmp_path):
    with Store.open(tmp_path) as store:
        seen = [store.version()]
        store.enlist(SPECS[:2])
        seen.append(store.version())
        store.enlist(SPECS[:2])
        assert store.version() == seen[-1]
        hand_in(tmp_path, SPECS[0], 0, Ending("done", None, None, 1.0, {}), content(0, 0), {})
        assert store.version() == seen[-1]
        store.ingest()
        seen.append(store.version())
        assert sorted(set(seen)) == seen


@pytest.mark.parametrize(
    ("change", "word"),
    [("DELETE FROM series WHERE trial = 2 AND name = 'loss'", "has lost the curve 'loss'"),
     ("UPDATE series SET start = 5 WHERE trial = 2", "was changed after it was kept"),
     ("UPDATE metrics SET value = 5 WHERE trial = 2 AND name = 'loss'", "was changed after it was kept"),
     ("UPDATE runs SET fields = '{}'", "was changed after it was kept")],
)  # fmt: skip
def test_changed_rows_are_refused(tmp_path, change, word):
    with Store.open(tmp_path) as store:
        for seed in range(3):
            hand_in(tmp_path, SPECS[0], seed, Ending("done", None, None, 1.0, {}), content(0, seed), {})
        store.ingest()
        with closing(sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)) as database:
            database.execute(change)
        with pytest.raises(StoreError, match=word):
            store.rows(), store.curves([1, 2, 3])

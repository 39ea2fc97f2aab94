"""Curves: every bit comes back, whatever the steps; nothing that was changed is believed."""

import math
import sqlite3
import struct
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sparsewire.errors import StoreError
from sparsewire.lab.spec import Spec
from sparsewire.lab.storage.curves import Packed, StoredCurves, curve_digest, is_sound, packed, unpacked
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store

STEPS = some.integers(-(2**63), 2**63 - 1)
DONE = Ending("done", None, None, 0.5, {})


def bits(points):
    return [(step, struct.pack("<d", value)) for step, value in points]


@given(some.lists(some.tuples(STEPS, some.floats()), max_size=8))
def test_curves_come_back_bit_for_bit(points):
    curve = packed(points)
    assert is_sound(curve)
    assert bits(unpacked(curve)) == bits(points)


@pytest.mark.parametrize(
    ("steps", "start", "stride"),
    [([], 0, 0), ([7], 7, 0), ([3, 3, 3], 3, 0), ([0, 10, 20], 0, 10), ([5, 3, 1], 5, -2), ([0, 1, 3], None, None),
     ([2, 2, 3], None, None), ([-(2**63), 2**63 - 1], None, None), ([2**63 - 1, 2**63 - 2], 2**63 - 1, -1)],
)  # fmt: skip
def test_even_steps_take_no_room(steps, start, stride):
    curve = packed([(step, 0.5) for step in steps])
    assert (curve.start, curve.stride) == ((start, stride) if stride is not None else (0, 0))
    assert (curve.steps is None) == (stride is not None)
    assert [step for step, _ in unpacked(curve)] == steps


@pytest.mark.parametrize(
    "curve",
    [Packed(2, 0, 1, None, b"x" * 8), Packed(-1, 0, 1, None, b""), Packed(1, 0, 0, b"x", b"x" * 8),
     Packed(1, 1, 0, b"x" * 8, b"x" * 8), Packed(2, 2**63 - 1, 1, None, b"x" * 16),
     Packed(1, 2**64, 0, None, b"x" * 8)],
)  # fmt: skip
def test_curves_that_cannot_be(curve):
    assert not is_sound(curve)


def test_the_digest_covers_everything():
    curve = packed([(0, 1.0), (1, 2.0)])
    others = [curve_digest("a", 0, "loss", packed(points)) for points in
              [[(0, 1.0)], [(0, 1.0), (2, 2.0)], [(1, 1.0), (2, 2.0)], [(0, 1.0), (1, -2.0)]]]  # fmt: skip
    others += [curve_digest(*about, curve) for about in [("b", 0, "loss"), ("a", 1, "loss"), ("a", 0, "los")]]
    assert len({*others, curve_digest("a", 0, "loss", curve)}) == 8


@pytest.fixture
def folder(tmp_path):
    with Store.open(tmp_path) as store:
        series = {"loss": [(step, step / 3) for step in range(5)], "odd": [(0, math.nan), (7, math.inf)], "none": []}
        hand_in(tmp_path, Spec(experiment="demo"), 0, DONE, Content({}, series, {}), {})
        store.ingest()
    return tmp_path


def series(folder):
    with Store.open(folder, write=False) as store:
        return store.outcomes("demo", {"demo": Spec})[0].series


def test_curves_are_read_after_the_store_was_closed(folder):
    found = series(folder)
    assert isinstance(found, StoredCurves)
    assert list(found) == ["loss", "odd", "none"]
    assert (len(found), "loss" in found, "los" in found, found.get("los")) == (3, True, False, None)
    assert found["loss"] == [(step, step / 3) for step in range(5)]
    found["loss"].clear()
    assert len(found["loss"]) == 5
    assert repr(found) == repr({"loss": found["loss"], "odd": [(0, math.nan), (7, math.inf)], "none": []})
    assert found == {name: found[name] for name in found} or math.isnan(found["odd"][0][1])
    with pytest.raises(KeyError):
        found["los"]


@pytest.mark.parametrize(
    ("change", "word"),
    [("UPDATE series SET \"values\" = zeroblob(40) WHERE name = 'loss'", "was changed after it was kept"),
     ("UPDATE series SET start = 1 WHERE name = 'loss'", "was changed after it was kept"),
     ("UPDATE series SET count = 4 WHERE name = 'loss'", "was changed after it was kept"),
     ("UPDATE series SET \"values\" = 'text' WHERE name = 'loss'", "was changed after it was kept"),
     ("DELETE FROM series WHERE name = 'loss'", "is gone"),
     ("UPDATE trials SET digest = x'00'", "is gone")],
)  # fmt: skip
def test_a_changed_curve_is_noticed_when_it_is_looked_at(folder, change, word):
    found = series(folder)
    with closing(sqlite3.connect(folder / "store.sqlite", isolation_level=None)) as database:
        database.execute(change)
    with pytest.raises(StoreError, match=word):
        found["loss"]


def test_a_failed_trial_that_was_replaced_is_not_mixed_with_the_next(tmp_path):
    spec, failed = Spec(experiment="demo"), Ending("failed", "no", None, 0.5, {})
    with Store.open(tmp_path) as store:
        for ending, value in [(failed, 1.0), (DONE, 2.0)]:
            hand_in(tmp_path, spec, 0, ending, Content({}, {"loss": [(0, value)]}, {}), {})
            store.ingest()
            (outcome,) = store.outcomes("demo", {"demo": Spec})
            if ending is failed:
                before = outcome
        assert outcome.series["loss"] == [(0, 2.0)]
        with pytest.raises(StoreError, match="is gone; the trial was replaced"):
            before.series["loss"]

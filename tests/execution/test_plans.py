"""The plan as a value: printed, edited, saved and loaded."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import FileError, RequestError, UnknownNameError
from sparsewire.execution.measuring import Timing
from sparsewire.execution.plans import Plan, PlanRow

FAST = PlanRow("0.weight", ("0.weight",), (300, 784), 0.1, "sparse", "3.0× faster", (Timing(32, 3e-3, 1e-3, 3.0),))
NEVER = PlanRow("2.weight", ("2.weight",), (9, 9, 9), 0.5, "dense", "not a layer that can run sparse: Bilinear")
CELL = PlanRow("rnn", ("rnn.weight_ih_l0", "rnn.weight_hh_l0"), (5, 4, 1), 0.5, "dense", "dense is faster: 0.8×")
PLAN = Plan((FAST, NEVER, CELL), training=True, machine="abacus")

positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
timings = st.builds(Timing, st.integers(1, 10**6), positive, positive, positive)
rows = st.builds(
    PlanRow,
    st.text(),
    st.lists(st.text(), max_size=3).map(tuple),
    st.lists(st.integers(0, 10**6), max_size=4).map(tuple),
    st.floats(0, 1),
    st.sampled_from(["sparse", "dense"]),
    st.text(),
    st.lists(timings, max_size=3).map(tuple),
)


def test_it_prints_as_a_table() -> None:
    assert str(PLAN).splitlines() == [
        "weight    shape    density  batch  dense ms  sparse ms  ratio  runs    why",
        "0.weight  300×784  0.1      32     3         1          3      sparse  3.0× faster",
        f"2.weight  9×9×9    0.5  {'':39}dense   not a layer that can run sparse: Bilinear",
        "rnn       5×4×1    0.5                                         dense   dense is faster: 0.8×",
        "(training step: forward and backward; abacus)",
    ]


def test_several_batches_stand_side_by_side() -> None:
    row = PlanRow("w", ("w",), (2, 2), 0.5, "dense", "", (Timing(1, 1e-3, 2e-3, 0.5), Timing(32, 3e-3, 1e-3, 3.0)))
    assert "1 · 32  1 · 3     2 · 1      0.5 · 3" in str(Plan((row,), training=False))


def test_it_answers_by_row_and_by_weight() -> None:
    assert PLAN.runs_sparse("0.weight")
    assert not PLAN.runs_sparse("rnn")
    assert not PLAN.runs_sparse("rnn.weight_hh_l0")
    with pytest.raises(UnknownNameError, match=r"did you mean '0\.weight'"):
        PLAN.runs_sparse("0.wait")


def test_a_choice_by_hand_changes_one_row_of_a_copy() -> None:
    edited = PLAN.with_choice("rnn.weight_hh_l0", "sparse")
    assert edited.runs_sparse("rnn.weight_ih_l0")
    assert edited.rows[2].why == "chosen by hand"
    assert edited.rows[:2] == PLAN.rows[:2]
    assert not PLAN.runs_sparse("rnn")


def test_choices_that_cannot_be_are_refused() -> None:
    with pytest.raises(RequestError, match="not a layer that can run sparse: Bilinear"):
        PLAN.with_choice("2.weight", "sparse")
    assert not PLAN.with_choice("2.weight", "dense").runs_sparse("2.weight")
    with pytest.raises(UnknownNameError, match="no choice is named 'spares'"):
        PLAN.with_choice("0.weight", "spares")  # type: ignore[arg-type]


@given(st.builds(Plan, st.lists(rows, max_size=3).map(tuple), st.booleans(), st.text()))
def test_it_comes_back_as_it_was(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json()) == plan


def test_a_file_holds_it(tmp_path: Path) -> None:
    PLAN.save(tmp_path / "deep" / "plan.json")
    assert Plan.load(tmp_path / "deep" / "plan.json") == PLAN
    assert json.loads((tmp_path / "deep" / "plan.json").read_text())["rows"] == PLAN.to_rows()


def test_every_changed_byte_of_a_file_is_noticed_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    PLAN.save(path)
    whole = path.read_bytes()
    refused = 0
    for place, byte in enumerate(whole):
        for other in (byte ^ 1, byte ^ 16, ord("9"), ord(" ")):
            path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
            try:
                assert Plan.load(path) == PLAN
            except FileError:
                refused += 1
        path.write_bytes(whole[:place])
        with pytest.raises(FileError):
            Plan.load(path)
    assert refused > 3 * len(whole)


def test_a_file_is_edited_without_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    PLAN.save(path)
    path.write_text(path.read_text().replace('"batch": 32', '"batch": 64'))
    with pytest.raises(FileError, match=r'plan\.json: it was changed .*; if by hand, remove its line "sha256"'):
        Plan.load(path)
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if '"sha256"' not in line))
    assert Plan.load(path).rows[0].timings[0].batch == 64
    path.write_text(PLAN.to_json())  # as older versions wrote it
    assert Plan.load(path) == PLAN


def damaged(change: Any) -> str:
    whole = json.loads(PLAN.to_json())
    change(whole)
    return json.dumps(whole)


BAD = {
    "no JSON": "{",
    "a list": "[]",
    "nested without end": "[" * 100_000,
    "another format": '{"format": "x"}',
    "no rows": '{"format": "sparsewire-plan-1"}',
    "a choice that is none": damaged(lambda whole: whole["rows"][0].update(choice="fast")),
    "an entry too many": damaged(lambda whole: whole.update(sha256="")),
    "a key too many": damaged(lambda whole: whole["rows"][0].update(extra=1)),
    "a time of zero": damaged(lambda whole: whole["rows"][0]["timings"][0].update(dense=0)),
    "a time that is no number": damaged(lambda whole: whole["rows"][0]["timings"][0].update(ratio=math.nan)),
    "a shape that is none": damaged(lambda whole: whole["rows"][0].update(shape="x")),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_plan_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(BAD[name])
    with pytest.raises(FileError, match=r"plan\.json holds no plan: .*make one with plan"):
        Plan.load(tmp_path / "plan.json")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot read a plan from"):
        Plan.load(tmp_path / "none.json")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b" " * (5 << 20))
    for name, told in {"pipe": "no regular file", "large": "more than 4,194,304 bytes"}.items():
        with pytest.raises(FileError, match=told):
            Plan.load(tmp_path / name)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(FileError, match="cannot read a plan from"):
        Plan.load(tmp_path / "bytes")

"""What sweeps say they will do: what is torn, foreign or no number counts for nothing."""

import json

import pytest

from sparsewire.lab.dashboard.plans import Plan, plan_of

TOLD = {"total": 20, "behind": 5, "held": 105}


def say(root, name, text):
    (root / "work").mkdir(exist_ok=True)
    (root / "work" / f"{name}.run").write_text(text)


def test_sweeps_add_up(tmp_path):
    assert plan_of(tmp_path, kept=0) is None
    say(tmp_path, "a", json.dumps(TOLD))
    say(tmp_path, "b", json.dumps(TOLD | {"behind": 0, "held": 0}))
    assert plan_of(tmp_path, kept=108) == Plan(40, 8 + 20)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", '{"total": 1e999, "behind": 0, "held": 0}', '{"total": NaN, "behind": 0, "held": 0}',
             '{"total": -1, "behind": 0, "held": 0}', '{"total": 3}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_plan_counts_for_nothing(tmp_path, text):
    say(tmp_path, "a", json.dumps(TOLD))
    say(tmp_path, "b", text)
    (tmp_path / "work" / "c.run").mkdir()
    assert plan_of(tmp_path, kept=105) == Plan(20, 5)

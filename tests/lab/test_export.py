"""The table of outcomes: one row a trial, the same bytes each time but for seconds."""

import csv
import io
import math
from typing import Literal

import pytest

from sparsewire.errors import FileError
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.export import to_csv
from sparsewire.lab.spec import Part, Spec, run_id


class Training(Part):
    epochs: int = 5


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    sizes: tuple[int, ...] = (3, 2)
    seed: int = 9  # a word that the table uses itself
    note: str | None = None
    training: Training = Training()


def outcome(seed, metrics, seconds=0.5, **fields):
    return Outcome(Toy(**fields), seed, "done", None, seconds, metrics, {"loss": [(0, 1.0)]})


def table(tmp_path, outcomes):
    to_csv(outcomes, tmp_path / "runs.csv")
    return list(csv.DictReader(io.StringIO((tmp_path / "runs.csv").read_text())))


def test_one_row_a_trial(tmp_path):
    one, other = table(
        tmp_path,
        [outcome(0, {"accuracy": 0.1 + 0.2, "note": math.nan}), outcome(1, {"train_seconds": 3.0}, note='a,"b"\n')],
    )
    assert one == {
        "experiment": "toy", "run": run_id(Toy()), "seed": "0", "state": "done", "reason": "", "sizes": "[3, 2]",
        "spec.seed": "9", "note": "", "training.epochs": "5", "accuracy": "0.30000000000000004", "metric.note": "nan",
        "train_seconds": "", "seconds": "0.5",
    }  # fmt: skip
    assert (other["note"], other["accuracy"], other["train_seconds"]) == ('a,"b"\n', "", "3.0")
    assert list(one)[-1] == "seconds"


def test_only_seconds_differ_between_two_runs(tmp_path):
    def rows(seconds):
        found = table(tmp_path, [outcome(0, {"accuracy": 0.5, "train_seconds": seconds}, seconds)])
        return [{name: text for name, text in row.items() if "seconds" not in name} for row in found]

    assert rows(1.0) == rows(2.0)


def test_nothing_to_write_is_a_heading(tmp_path):
    to_csv([], tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").read_text() == "seconds\n"


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(FileError, match="cannot write"):
        to_csv([], tmp_path)

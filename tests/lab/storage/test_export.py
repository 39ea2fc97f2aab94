"""Tables for other programs: one row a trial or a point, the same bytes each time but for seconds."""

import csv
import io
import math
import sys
from typing import Literal

import pytest

from sparsewire.errors import FileError, RequestError
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.spec import Part, Spec, run_id
from sparsewire.lab.storage.curve_export import curves_to_csv, curves_to_parquet
from sparsewire.lab.storage.export import to_csv, to_parquet
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store


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
    pytest.importorskip("pyarrow")
    for write in (to_csv, to_parquet, curves_to_csv, curves_to_parquet):
        with pytest.raises(FileError, match="cannot write"):
            write([], tmp_path)


def test_without_pyarrow_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for write in (to_parquet, curves_to_parquet):
        with pytest.raises(RequestError, match=r"pip install 'sparsewire\[data\]', or write CSV"):
            write([], tmp_path / "runs.parquet")


def mixed():
    return [outcome(0, {"accuracy": 0.1 + 0.2, "note": math.nan}), outcome(1, {"train_seconds": 3.0}, note='a,"b"\n'),
            outcome(2, {"accuracy": -math.inf}, training=Training(epochs=7), sizes=())]  # fmt: skip


def test_parquet_holds_the_same_table_with_types(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    to_parquet(mixed(), tmp_path / "runs.parquet")
    found = pandas.read_parquet(tmp_path / "runs.parquet")
    to_csv(mixed(), tmp_path / "runs.csv")
    assert list(found.columns) == list(pandas.read_csv(tmp_path / "runs.csv").columns)
    assert found["accuracy"].tolist()[0] == 0.1 + 0.2
    assert found["accuracy"].tolist()[2] == -math.inf
    assert found["training.epochs"].tolist() == [5, 5, 7]
    assert found["sizes"].tolist() == ["[3, 2]", "[3, 2]", "[]"]
    assert found["note"].tolist()[1] == 'a,"b"\n'
    assert str(found["seed"].dtype) == "int64"
    assert str(found["train_seconds"].dtype) == "float64"
    before = (tmp_path / "runs.parquet").read_bytes()
    to_parquet(mixed(), tmp_path / "runs.parquet")
    assert (tmp_path / "runs.parquet").read_bytes() == before


class Wide(Spec):
    experiment: Literal["wide"] = "wide"
    width: int | float | str | bool | None = None


def test_columns_of_several_types_are_texts_or_floats(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")

    def column(*widths):
        to_parquet([Outcome(Wide(width=width), 0, "done", None, 1.0, {}, {}) for width in widths], tmp_path / "a")
        return parquet.read_table(tmp_path / "a")["width"].to_pylist()

    assert column(None, None) == [None, None]
    assert column(1, None, 2.5) == [1.0, None, 2.5]
    assert column(1, True) == ["1", "true"]
    assert column("x", 2.5, None) == ["x", "2.5", None]
    assert column(2**70) == [str(2**70)]
    assert column(True, None) == [True, None]


@pytest.fixture
def stored(tmp_path):
    """Outcomes from a store, whose curves are read one by one."""
    with Store.open(tmp_path) as store:
        for seed in range(3):
            series = {
                "loss": [(step, step / 3 + seed) for step in range(4)],
                "odd": [(9, math.nan), (-1, math.inf)],
                "no": [],
            }
            ending = Ending("done", None, None, 0.5, {})
            hand_in(tmp_path, Toy(), seed, ending, Content({"loss": 1.0}, series, {}), {})
        store.ingest()
        return store.outcomes("toy", {"toy": Toy})


def test_curves_have_one_row_a_point(tmp_path, stored, monkeypatch):
    monkeypatch.setattr("sparsewire.lab.storage.curve_export._POINTS_TOGETHER", 5)
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    curves_to_csv(stored, tmp_path / "curves.csv")
    curves_to_parquet(stored, tmp_path / "curves.parquet")
    one, other = pandas.read_csv(tmp_path / "curves.csv"), pandas.read_parquet(tmp_path / "curves.parquet")
    expected = [("toy", run_id(Toy()), found.seed, name, step, value)
                for found in stored for name, points in found.series.items() for step, value in points]  # fmt: skip
    for table in (one, other):
        assert list(table.columns) == ["experiment", "run", "seed", "name", "step", "value"]
        assert repr(list(table.itertuples(index=False, name=None))) == repr(expected)
    plain = [Outcome(found.spec, found.seed, "done", None, 0.5, {}, dict(found.series)) for found in stored]
    curves_to_csv(plain, tmp_path / "plain.csv")
    assert (tmp_path / "plain.csv").read_bytes() == (tmp_path / "curves.csv").read_bytes()


def test_no_curves_are_a_heading(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    curves_to_csv([], tmp_path / "curves.csv")
    curves_to_parquet([], tmp_path / "curves.parquet")
    for table in (pandas.read_csv(tmp_path / "curves.csv"), pandas.read_parquet(tmp_path / "curves.parquet")):
        assert (len(table), len(table.columns)) == (0, 6)


def test_a_text_with_any_end_of_line_stays_one_cell(tmp_path):
    notes = ["10%\r20%", "a\nb", "a\r\nb", "a\r", '"\r"']
    to_csv([outcome(seed, {}, note=note) for seed, note in enumerate(notes)], tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(newline="") as file:
        assert [row["note"] for row in csv.DictReader(file)] == notes
    assert (tmp_path / "runs.csv").read_bytes().startswith(b"experiment,run,seed,state,reason,sizes,")
    assert b"seconds\n" in (tmp_path / "runs.csv").read_bytes()


def test_no_metric_is_lost_to_another_of_its_new_name(tmp_path):
    (row,) = table(tmp_path, [outcome(0, {"note": 1.0, "metric.note": 2.0, "seconds": 3.0})])
    assert (row["metric.note"], row["metric.metric.note"], row["metric.seconds"]) == ("1.0", "2.0", "3.0")

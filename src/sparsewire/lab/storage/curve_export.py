"""Curves as a table for other programs: one row a point, as CSV or Parquet, without all of them in memory."""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sparsewire.errors import FileError
from sparsewire.files import write_aside
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.spec import Spec, run_id
from sparsewire.lab.storage.curves import Packed, StoredCurves, packed, steps_of, values_of
from sparsewire.lab.storage.export import arrow

_COLUMNS = ("experiment", "run", "seed", "name", "step", "value")
_POINTS_TOGETHER = 500_000


class _Curve(NamedTuple):
    experiment: str
    run: str
    seed: int
    name: str
    points: Packed


def curves_to_csv(outcomes: Sequence[Outcome], path: str | os.PathLike[str]) -> None:
    """Writes one row a point of every curve: experiment, run, seed, name, step, value.

    `pandas.read_csv(path)` reads the file. The values of curves whose name holds `seconds` may differ between two runs
    of the same trials, all others are the same.

    Raises:
        FileError: the file cannot be written; what was there is unchanged.
        StoreError: a curve is not what was kept.

    Example:
        >>> import tempfile
        >>> from sparsewire.lab.spec import Spec
        >>> file = Path(tempfile.mkdtemp()) / "curves.csv"
        >>> curves_to_csv([Outcome(Spec(experiment="demo"), 0, "done", None, 1.5, {}, {"loss": [(0, 0.5)]})], file)
        >>> print(file.read_text())
        experiment,run,seed,name,step,value
        demo,b32df87e9aae13e4,0,loss,0,0.5
        <BLANKLINE>
    """

    def write(aside: Path) -> None:
        with aside.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(_COLUMNS)
            for *about, points in _curves(outcomes):
                table.writerows((*about, *point) for point in zip(steps_of(points), values_of(points), strict=True))

    write_aside(path, write, FileError)


def curves_to_parquet(outcomes: Sequence[Outcome], path: str | os.PathLike[str]) -> None:
    """Writes the table of `curves_to_csv` as Parquet: `pandas.read_parquet(path)` reads it.

    Raises:
        RequestError: pyarrow is not installed.
        FileError: the file cannot be written; what was there is unchanged.
        StoreError: a curve is not what was kept.
    """
    pa, parquet = arrow()
    texts = pa.dictionary(pa.int32(), pa.string())
    types = (texts, texts, pa.int64(), texts, pa.int64(), pa.float64())
    schema = pa.schema(list(zip(_COLUMNS, types, strict=True)))

    def write(aside: Path) -> None:
        with parquet.ParquetWriter(aside, schema) as file:
            batch: list[_Curve] = []
            points = 0
            for curve in _curves(outcomes):
                batch.append(curve)
                points += curve.points.length
                if points >= _POINTS_TOGETHER:
                    file.write_table(_table(pa, schema, batch))
                    batch, points = [], 0
            file.write_table(_table(pa, schema, batch))

    write_aside(path, write, FileError)


def _table(pa: Any, schema: Any, curves: Sequence[_Curve]) -> Any:
    lengths = np.array([curve.points.length for curve in curves], dtype=np.int64)

    def texts(column: Sequence[str]) -> Any:
        numbers = {text: number for number, text in enumerate(dict.fromkeys(column))}
        indices = np.repeat(np.array([numbers[text] for text in column], dtype=np.int32), lengths)
        return pa.DictionaryArray.from_arrays(indices, pa.array(list(numbers), pa.string()))

    seeds = np.repeat(np.array([curve.seed for curve in curves], dtype=np.int64), lengths)
    steps = [np.asarray(steps_of(curve.points), dtype=np.int64) for curve in curves]
    values = [np.frombuffer(curve.points.values, dtype="<f8") for curve in curves]
    empty = [np.zeros(0)]
    columns = [
        texts([curve.experiment for curve in curves]), texts([curve.run for curve in curves]), pa.array(seeds),
        texts([curve.name for curve in curves]), pa.array(np.concatenate(steps or empty).astype(np.int64)),
        pa.array(np.concatenate(values or empty).astype(np.float64)),
    ]  # fmt: skip
    return pa.Table.from_arrays(columns, schema=schema)


def _curves(outcomes: Sequence[Outcome]) -> Iterator[_Curve]:
    last: Spec | None = None
    run = ""
    for outcome in outcomes:
        if outcome.spec is not last:
            last, run = outcome.spec, run_id(outcome.spec)
        for name, points in _packed(outcome.series):
            yield _Curve(outcome.spec.experiment, run, outcome.seed, name, points)


def _packed(series: Mapping[str, Sequence[tuple[int, float]]]) -> Iterator[tuple[str, Packed]]:
    for name in series:
        yield name, series.packed(name) if isinstance(series, StoredCurves) else packed(series[name])

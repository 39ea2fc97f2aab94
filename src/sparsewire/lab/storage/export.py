"""Outcomes as a table for other programs: one row a trial, as CSV or Parquet."""

import csv
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from sparsewire.errors import FileError, RequestError
from sparsewire.files import write_aside
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.spec import Spec, run_id
from sparsewire.lab.storage.runs import flattened

Row = dict[str, Any]
_ROWS_TOGETHER = 10_000


def to_csv(outcomes: Sequence[Outcome], path: str | os.PathLike[str]) -> None:
    """Writes one row a trial: what it was, how it ended, the fields of its spec, its metrics, its seconds.

    Fields of a `Part` are written `part.field`; a metric whose name is taken gets `metric.` before it. Only the columns
    whose name holds `seconds` may differ between two runs of the same trials. `pandas.read_csv(path)` reads the file.

    The file is for programs, and texts stand in it as they are. A spreadsheet takes one that begins with `=`, `+`, `-`
    or `@` for a formula: of trials of others import all columns as text.

    Raises:
        FileError: the file cannot be written; what was there is unchanged.

    Example:
        >>> import tempfile
        >>> from sparsewire.lab.spec import Spec
        >>> file = Path(tempfile.mkdtemp()) / "runs.csv"
        >>> to_csv([Outcome(Spec(experiment="demo"), 0, "done", None, 1.5, {"accuracy": 0.9}, {})], file)
        >>> print(file.read_text())
        experiment,run,seed,state,reason,accuracy,seconds
        demo,b32df87e9aae13e4,0,done,,0.9,1.5
        <BLANKLINE>
    """
    columns = list(_columns(outcomes))

    def write(aside: Path) -> None:
        with aside.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(_Lines(file), columns, restval="")
            table.writeheader()
            table.writerows(map(_written, _rows(outcomes)))

    write_aside(path, write, FileError)


class _Lines(NamedTuple):
    r"""Ends lines with "\n" alone. Were the writer told to do so, it would put no quotes around a text with "\r"."""

    file: IO[str]

    def write(self, line: str) -> None:
        self.file.write(line.removesuffix("\r\n") + "\n")


def to_parquet(outcomes: Sequence[Outcome], path: str | os.PathLike[str]) -> None:
    """Writes the table of `to_csv` as Parquet, with a type for each column: `pandas.read_parquet(path)` reads it.

    A column is of truth values, integers or float64 where all its values are, else of texts; lists are JSON. What a
    trial lacks is null, and NaN is NaN.

    Raises:
        RequestError: pyarrow is not installed.
        FileError: the file cannot be written; what was there is unchanged.
    """
    pa, parquet = arrow()
    kinds = _columns(outcomes)
    types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in kinds.items()])

    def write(aside: Path) -> None:
        with parquet.ParquetWriter(aside, schema) as file:
            rows: list[Row] = []
            for row in _rows(outcomes):
                rows.append({name: _typed(value, kinds[name]) for name, value in row.items()})
                if len(rows) == _ROWS_TOGETHER:
                    file.write_table(pa.Table.from_pylist(rows, schema))
                    rows = []
            file.write_table(pa.Table.from_pylist(rows, schema))

    write_aside(path, write, FileError)


def arrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet.

    Raises:
        RequestError: it is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise RequestError(
            "Parquet needs pyarrow, which is not installed: pip install 'sparsewire[data]', or write CSV"
        ) from None
    return pa, parquet


def _columns(outcomes: Sequence[Outcome]) -> dict[str, type]:
    """Column → the type of its values; `str` where they are of several."""
    kinds: dict[str, type] = {}
    for row in _rows(outcomes):
        for name, value in row.items():
            known = kinds.get(name)
            if value is None:
                kinds.setdefault(name, type(None))
            elif known is not type(value):
                kinds[name] = _common(known, value)
    last = {"seconds": kinds.pop("seconds", float)}
    return {name: str if kind is type(None) else kind for name, kind in kinds.items()} | last


def _common(known: type | None, value: Any) -> type:
    kind = type(value)
    if kind is int and not -(2**63) <= value < 2**63:
        kind = str
    if known in (None, type(None), kind):
        return kind if kind in (bool, int, float) else str
    return float if {known, kind} == {int, float} else str


def _typed(value: Any, kind: type) -> Any:
    if value is None or type(value) is kind:
        return value
    if kind is float:
        return float(value)
    return value if isinstance(value, str) else json.dumps(value)


def _written(row: Row) -> Row:
    """A row as CSV has it: truth values as Python writes them, numbers so that they come back bit for bit."""
    return {name: json.dumps(value) if isinstance(value, list) else value for name, value in row.items()}


def _rows(outcomes: Sequence[Outcome]) -> Iterator[Row]:
    last: Spec | None = None
    run, fields = "", {}
    for outcome in outcomes:
        if outcome.spec is not last:
            last, run = outcome.spec, run_id(outcome.spec)
            fields = dict(flattened(outcome.spec.model_dump(exclude={"experiment"})))
        yield _row(outcome, run, fields)


def _row(outcome: Outcome, run: str, fields: Row) -> Row:
    row: Row = {
        "experiment": outcome.spec.experiment,
        "run": run,
        "seed": outcome.seed,
        "state": outcome.state,
        "reason": outcome.reason,
        "seconds": outcome.seconds,
    }
    for name, value in fields.items():
        row[name if name not in row else f"spec.{name}"] = list(value) if isinstance(value, tuple) else value
    for name, value in outcome.metrics.items():
        while name in row:
            name = f"metric.{name}"
        row[name] = value
    return row

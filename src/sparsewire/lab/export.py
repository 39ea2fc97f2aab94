"""Outcomes as a table for other programs."""

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sparsewire.errors import FileError
from sparsewire.files import write_aside
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.spec import run_id


def to_csv(outcomes: Sequence[Outcome], path: str | os.PathLike[str]) -> None:
    """Writes one row a trial: what it was, how it ended, the fields of its spec, its metrics, its seconds.

    Fields of a `Part` are written `part.field`; a metric whose name is taken gets `metric.` before it. Only the columns
    whose name holds `seconds` may differ between two runs of the same trials. pandas reads the file as it is.

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
    rows = [_row(outcome) for outcome in outcomes]
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "seconds"]
    columns.append("seconds")

    def write(aside: Path) -> None:
        with aside.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            table.writeheader()
            table.writerows(rows)

    write_aside(path, write, FileError)


def _row(outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {
        "experiment": outcome.spec.experiment,
        "run": run_id(outcome.spec),
        "seed": outcome.seed,
        "state": outcome.state,
        "reason": outcome.reason,
        "seconds": outcome.seconds,
    }
    fields = outcome.spec.model_dump(exclude={"experiment"})
    row |= {name if name not in row else f"spec.{name}": value for name, value in _flat(fields, "")}
    return row | {name if name not in row else f"metric.{name}": value for name, value in outcome.metrics.items()}


def _flat(fields: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, json.dumps(value) if isinstance(value, tuple | list) else value

"""The plan: which layers run sparse, and why; a value to print, edit, save and load."""

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from sparsewire.errors import FileError, RequestError, UnknownNameError
from sparsewire.execution.measuring import Timing
from sparsewire.execution.sealed_json import sealed, unsealed
from sparsewire.files import write_aside

FORMAT = "sparsewire-plan-1"
Choice = Literal["sparse", "dense"]
_KEYS = {"format", "training", "machine", "rows"}
_CAP = 4 << 20  # bytes
_COLUMNS = ("weight", "shape", "density", "batch", "dense ms", "sparse ms", "ratio", "runs", "why")


@dataclass(frozen=True)
class PlanRow:
    """What was decided for one masked weight, or for all weights of a recurrent layer.

    Args:
        name: of the weight, or of the recurrent layer.
        weights: the masked parameters that this row decides.
        shape: of the weight; of a recurrent layer (neurons, inputs, layers).
        density: live weights / weights.
        choice: "sparse" or "dense".
        why: the reason in words.
        timings: what was measured, one a batch size; empty where nothing had to be.
    """

    name: str
    weights: tuple[str, ...]
    shape: tuple[int, ...]
    density: float
    choice: Choice
    why: str
    timings: tuple[Timing, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Which weights run sparse. It prints as a table, and is what `sparsify` obeys.

    Args:
        rows: one a masked weight, a recurrent layer in one.
        training: whether training steps were measured; else forward passes.
        machine: on what, in words.

    Example:
        >>> plan = Plan((PlanRow("0.weight", ("0.weight",), (300, 784), 0.1, "sparse", "4.5× faster"),))
        >>> plan.runs_sparse("0.weight"), plan.with_choice("0.weight", "dense").runs_sparse("0.weight")
        (True, False)
        >>> Plan.from_json(plan.to_json()) == plan
        True
    """

    rows: tuple[PlanRow, ...]
    training: bool = True
    machine: str = ""

    def runs_sparse(self, name: str) -> bool:
        """Whether the weight of this name, or the recurrent layer, runs sparse.

        Raises:
            UnknownNameError: the plan has no row for it.
        """
        return self._row(name).choice == "sparse"

    def with_choice(self, name: str, choice: Choice) -> "Plan":
        """The same plan with another decision for one row.

        Args:
            name: of the row or of one of its weights.
            choice: "sparse" or "dense".

        Raises:
            UnknownNameError: no such row or choice.
            RequestError: the layer cannot run sparse.
        """
        if choice not in get_args(Choice):
            raise UnknownNameError("choice", choice, get_args(Choice))
        old = self._row(name)
        if choice == "sparse" and old.why.startswith("not a layer"):
            raise RequestError(f"choice of {name!r}: found 'sparse', expected 'dense': {old.why}")
        new = dataclasses.replace(old, choice=choice, why="chosen by hand")
        return dataclasses.replace(self, rows=tuple(new if row is old else row for row in self.rows))

    def to_rows(self) -> list[dict[str, Any]]:
        """The rows as plain values: strings, numbers and lists, for tables and JSON."""
        rows = [dataclasses.asdict(row) for row in self.rows]
        return [{key: list(value) if isinstance(value, tuple) else value for key, value in row.items()} for row in rows]

    def to_json(self) -> str:
        """The plan as text; `from_json` gives an equal plan."""
        whole = {"format": FORMAT, "training": self.training, "machine": self.machine, "rows": self.to_rows()}
        return json.dumps(whole, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """The plan that `to_json` wrote.

        Raises:
            FileError: it is no plan.
        """
        try:
            found = json.loads(text)
            if found["format"] != FORMAT:
                raise ValueError(f"its format is {found['format']!r}, expected {FORMAT!r}")
            if found.keys() != _KEYS:
                raise ValueError(f"it has {', '.join(sorted(found))}; expected {', '.join(sorted(_KEYS))}")
            return cls(tuple(_row_from(row) for row in found["rows"]), bool(found["training"]), str(found["machine"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
            raise FileError(f"no plan: {type(cause).__name__}: {cause}; make one with plan(model, masks)") from cause

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan as JSON; a whole file or none.

        It may be edited by who removes its line "sha256", with which `load` notices every other change.

        Raises:
            FileError: the file cannot be written.
        """
        content = sealed(self.to_json() + "\n")

        def write(aside: Path) -> None:
            aside.write_bytes(content)

        write_aside(path, write, FileError)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Plan":
        """Reads what `save` wrote; files without a checksum, too.

        Raises:
            FileError: there is no such file, or it is no plan, or it was changed and still has its checksum.
        """
        try:
            if Path(path).exists() and not Path(path).is_file():
                raise OSError("it is no regular file")  # opening a pipe would wait for ever
            with Path(path).open("rb") as file:
                content = file.read(_CAP + 1)
            if len(content) > _CAP:
                raise OSError(f"it has more than {_CAP:,} bytes, which no plan needs")
            text = unsealed(content)
            return cls.from_json((content if text is None else text).decode())
        except ValueError as cause:
            hint = "" if isinstance(cause, UnicodeDecodeError) else '; if by hand, remove its line "sha256"'
            raise FileError(f"cannot read a plan from {os.fspath(path)}: {cause}{hint}") from cause
        except OSError as cause:
            raise FileError(f"cannot read a plan from {os.fspath(path)}: {cause}") from cause
        except FileError as cause:
            raise FileError(f"{os.fspath(path)} holds {cause}") from cause

    def __str__(self) -> str:
        lines = [_COLUMNS, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
        texts = ("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines)
        what = "training step: forward and backward" if self.training else "inference: forward"
        return "\n".join([*(text.rstrip() for text in texts), f"({what}{'; ' * bool(self.machine)}{self.machine})"])

    def _row(self, name: str) -> PlanRow:
        for row in self.rows:
            if name == row.name or name in row.weights:
                return row
        raise UnknownNameError(
            "row of the plan", name, dict.fromkeys(name for row in self.rows for name in (row.name, *row.weights))
        )


def _cells(row: PlanRow) -> tuple[str, ...]:
    def each(texts: list[str]) -> str:
        return " · ".join(texts)

    return (
        row.name,
        "×".join(map(str, row.shape)),
        f"{row.density:.3g}",
        each([str(one.batch) for one in row.timings]),
        each([f"{one.dense * 1e3:.3g}" for one in row.timings]),
        each([f"{one.sparse * 1e3:.3g}" for one in row.timings]),
        each([f"{one.ratio:.3g}" for one in row.timings]),
        row.choice,
        row.why,
    )


def _row_from(found: dict[str, Any]) -> PlanRow:
    names = [field.name for field in dataclasses.fields(PlanRow)]
    if sorted(found) != sorted(names) or found["choice"] not in get_args(Choice):
        raise ValueError(f"a row has {', '.join(sorted(found))}; expected {', '.join(names)}, and a choice of the two")
    timings = tuple(Timing(int(one["batch"]), *(_positive(one[key]) for key in ("dense", "sparse", "ratio")))
                    for one in found["timings"])  # fmt: skip
    weights, shape = tuple(map(str, found["weights"])), tuple(map(int, found["shape"]))
    return PlanRow(
        str(found["name"]), weights, shape, float(found["density"]), found["choice"], str(found["why"]), timings
    )


def _positive(number: Any) -> float:
    if not 0 < float(number) < math.inf:
        raise ValueError(f"found the time or ratio {number!r}, expected a positive number")
    return float(number)

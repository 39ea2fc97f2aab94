"""How numbers and verdicts are put into words and columns, alike in the page and in the terminal."""

import math
import re
from collections.abc import Mapping, Sequence

from sparsewire.lab.findings import Claim, Grid, Verdict

Cell = str | float | int | None

_RELATIONS = {"equal": "", "at_least": "≥ ", "at_most": "≤ "}
_SENTENCES: dict[Verdict, tuple[str, str]] = {
    "reproduced": ("is reproduced", "are reproduced"),
    "differs": ("differs", "differ"),
    "not run": ("was not run", "were not run"),
    "no published number": ("has no published number", "have no published number"),
}
# Neither terminals nor browsers may be told to move, recolour or turn text around by a label.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def harmless(text: str) -> str:
    r"""The text with a � for every control character but line breaks and tabs.

    Example:
        >>> harmless("red \x1b[31m")
        'red �[31m'
    """
    return _CONTROL.sub("�", text)


def shown(value: float | None, digits: int, *, signed: bool = False) -> str:
    """A number with so many decimals, commas at thousands and a true minus sign; an en dash for None.

    Example:
        >>> shown(1234.5, 1), shown(-0.071, 2, signed=True), shown(0.001, 2, signed=True), shown(None, 2)
        ('1,234.5', '−0.07', '0.00', '–')
    """
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    text = f"{abs(value):,.{digits}f}"
    zero = not text.strip("0,.")
    sign = "−" if value < 0 else "+" if signed else ""
    return text if zero else sign + text


def published(claim: Claim) -> str:
    """The published number with its relation, e.g. "≥ 90.00"; an en dash if there is none."""
    return "–" if claim.published is None else _RELATIONS[claim.kind] + shown(claim.published, claim.digits)


def tolerance(claim: Claim) -> str:
    """The tolerance that the verdict applies, with enough decimals to be seen; an en dash where it says nothing.

    Example:
        >>> [tolerance(Claim("", 1.0, (), tolerance=given)) for given in (0.1, 0.125, None)]
        ['0.10', '0.125', '0.005']
    """
    if claim.published is None:
        return "–"
    digits = claim.digits
    while digits < claim.digits + 3 and abs(round(claim.allowed, digits) - claim.allowed) > 1e-12:
        digits += 1
    return shown(claim.allowed, digits)


def with_unit(text: str, unit: str) -> str:
    """The number and its unit behind a narrow space that no line break may part.

    Example:
        >>> len(with_unit("98.12", "%")), with_unit("–", "%")
        (7, '–')
    """
    return f"{text}\u202f{unit}" if unit and text != "–" else text


def sentence(counts: Mapping[Verdict, int]) -> str:
    """What became of the claims, in one sentence.

    Example:
        >>> sentence({"reproduced": 3, "differs": 1})
        'Of 4 claims, 3 are reproduced and 1 differs.'
    """
    total = sum(counts.values())
    if not total:
        return ""
    parts = [f"{count} {_SENTENCES[verdict][count != 1]}" for verdict, count in counts.items()]
    joined = " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"Of {total} claim{'s' * (total != 1)}, {joined}."


def cells(grid: Grid) -> list[list[str]]:
    """The grid's cells as text, the numbers of a column with equally many decimals.

    Example:
        >>> cells(Grid("", ("layer", "weights", "density"), (("a", 7840, 0.5), ("b", 100, 0.125), ("c", None, None))))
        [['a', '7,840', '0.500'], ['b', '100', '0.125'], ['c', '', '']]
    """
    columns = [_column([row[index] for row in grid.rows]) for index in range(len(grid.columns))]
    return [list(row) for row in zip(*columns, strict=True)] if grid.rows else []


def numeric(grid: Grid) -> list[bool]:
    """Of each column, whether it holds numbers, which are set flush right."""
    columns = [[row[index] for row in grid.rows if row[index] is not None] for index in range(len(grid.columns))]
    return [bool(column) and all(_is_number(cell) for cell in column) for column in columns]


def _column(column: Sequence[Cell]) -> list[str]:
    fractions = [abs(cell) for cell in column if isinstance(cell, float) and math.isfinite(cell)]
    digits = None if 0 < max(fractions, default=0.0) < 1e-4 else _digits(fractions)
    return [_cell(cell, digits) for cell in column]


def _cell(cell: Cell, digits: int | None) -> str:
    """One cell as text; fractions with so many decimals, or as a power of ten where there is no number of decimals."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        scientific = digits is None and cell != 0 and math.isfinite(cell)
        return f"{cell:.1e}".replace("-", "−") if scientific else shown(cell, digits or 0)
    return shown(cell, 0) if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)


def _digits(values: Sequence[float]) -> int:
    """Four figures for the largest, fewer where they would all be zeros."""
    largest = max((abs(value) for value in values), default=0.0)
    most = min(max(3 - math.floor(math.log10(largest)), 0), 6) if largest else 0
    return next(d for d in range(most + 1) if d == most or all(abs(round(v, d) - v) <= 1e-9 * largest for v in values))


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)

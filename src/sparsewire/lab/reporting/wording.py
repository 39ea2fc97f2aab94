"""How numbers and verdicts are put into words and columns, alike in the page and in the terminal."""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import NamedTuple

from sparsewire.lab.reporting.comparison import Comparison, ComparisonTable, Group
from sparsewire.lab.reporting.findings import Claim, Grid, Verdict

Cell = str | float | int | None

_RELATIONS = {"equal": "", "at_least": "≥ ", "at_most": "≤ "}
_SENTENCES: dict[Verdict, tuple[str, str]] = {
    "reproduced": ("is reproduced", "are reproduced"),
    "differs": ("differs", "differ"),
    "inconclusive": ("is inconclusive", "are inconclusive"),
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

    Rounded half up as it is written, as people and papers do: 6.25 is 6.3 and 0.285 is 0.29, where Python's own
    formatting gives 6.2 and 0.28. So a number that is half a unit below a published one looks as that does.

    Example:
        >>> shown(1234.5, 1), shown(-0.071, 2, signed=True), shown(0.001, 2, signed=True), shown(None, 2)
        ('1,234.5', '−0.07', '0.00', '–')
        >>> shown(6.25, 1), shown(0.285, 2)
        ('6.3', '0.29')
    """
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    with localcontext() as context:
        context.rounding = ROUND_HALF_UP
        text = format(Decimal(value if isinstance(value, int) else repr(float(value))).copy_abs(), f",.{digits}f")
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


def interval(claim: Claim) -> str:
    """The 95 % interval of the mean of ours; nothing where there is none.

    Example:
        >>> interval(Claim("", None, (1.0, 2.0, 3.0))), interval(Claim("", None, (1.0,)))
        ('−0.48 to 4.48', '')
    """
    ends = claim.interval
    return "" if ends is None else " to ".join(shown(end, claim.digits) for end in ends)


class Compared(NamedTuple):
    """A comparison in words, a cell a column."""

    label: str
    a: str
    b: str
    difference: str
    interval: str
    p: str
    adjusted: str
    effect: str


def compared(one: Comparison) -> Compared:
    """A comparison in words; its numbers have as many decimals as its interval makes sense of.

    Example:
        >>> from sparsewire.lab.reporting.comparison import Group
        >>> a, b = Group("a", (1.0, 2.0)), Group("b", (3.0, 5.0))
        >>> one = Comparison("accuracy", a, b, "paired", interval=(-3.8, 8.8), p=0.5)
        >>> compared(one).a, compared(one).difference, compared(one).interval, compared(one).p
        ('1.50 ± 0.71 (n=2)', '+2.50', '−3.80 to 8.80', '0.500')
    """
    digits = _decimals(one)
    ends = "–" if one.interval is None else " to ".join(_measure(end, digits) for end in one.interval)
    difference = "–" if one.difference is None else _measure(one.difference, digits, signed=True)
    return Compared(
        f"{one.a.name} → {one.b.name}",
        _group(one.a, digits),
        _group(one.b, digits),
        difference,
        ends,
        _probability(one.p),
        "" if one.adjusted is None else _probability(one.adjusted),
        shown(one.effect, 2, signed=True),
    )


def remarks(table: ComparisonTable) -> list[str]:
    """What a reader must know of the comparisons, the tests first; equal remarks once."""
    tests = dict.fromkeys(one.test for one in table.comparisons if one.p is not None)
    found = dict.fromkeys(remark for one in table.comparisons for remark in one.remarks)
    return [*(f"{test[:1].upper()}{test[1:]}." for test in tests), *(f"{remark}." for remark in found)]


def _group(group: Group, digits: int | None) -> str:
    if group.mean is None:
        return "–"
    spread = "" if group.spread is None else f" ± {_measure(group.spread, digits)}"
    return f"{_measure(group.mean, digits)}{spread} (n={len(group.values)})"


def _measure(value: float, digits: int | None, *, signed: bool = False) -> str:
    if digits is None:
        text = f"{value:+.2e}" if signed else f"{value:.2e}"
        return text.replace("-", "−")
    return shown(value, digits, signed=signed)


def _decimals(one: Comparison) -> int | None:
    """Decimals that show two figures of the smallest spread, or else of the difference; None for powers of ten."""
    spreads = [spread for spread in (one.a.spread, one.b.spread) if spread]
    size = min(spreads, default=abs(one.difference or 0.0) or abs(one.a.mean or 0.0) / 100) or 0.01
    digits = 1 - math.floor(math.log10(size))
    return None if digits > 7 else max(digits, 0)


def _probability(p: float | None) -> str:
    return "–" if p is None else "< 0.001" if p < 0.001 else shown(p, 3)


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


def score(counts: Mapping[Verdict, int]) -> str:
    """How many claims are reproduced, of those that can be: what was not run counts, what has no published number not.

    Example:
        >>> score({"reproduced": 3, "differs": 1}), score({"reproduced": 1, "no published number": 4})
        ('3 of 4 reproduced', '1 of 1 reproduced')
        >>> score({"not run": 2}), score({"no published number": 2}), score({})
        ('0 of 2 reproduced', 'no published numbers', '')
    """
    comparable = sum(count for verdict, count in counts.items() if verdict != "no published number")
    if comparable:
        return f"{counts.get('reproduced', 0)} of {comparable} reproduced"
    return "no published numbers" if counts else ""


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

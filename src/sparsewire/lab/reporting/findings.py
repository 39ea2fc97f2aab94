"""What an experiment hands to the report: claims, tables, charts and notes, as frozen values without any torch.

Report ─ sections ─► Section ─ blocks ─► ClaimTable ─► Claim     a published number beside ours
                                         Grid                    any other table
                                         Chart                   curves, points, cells: charts.py
                                         ComparisonTable         groups of trials side by side: comparison.py
                                         Picture                 inline SVG
                                         Note                    a paragraph
"""

import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.comparison import ComparisonTable
from sparsewire.lab.reporting.intervals import Interval, mean_interval

Kind = Literal["equal", "at_least", "at_most"]
Verdict = Literal["reproduced", "differs", "inconclusive", "not run", "no published number"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Claim:
    """One published number beside ours.

    The verdict compares the mean of ours with the published number:

        equal     |mean − published| ≤ tolerance
        at_least  mean ≥ published − tolerance
        at_most   mean ≤ published + tolerance

    and is "reproduced" where that holds, else "differs" (also if the mean is not a number); "not run" without numbers
    of ours; "no published number" where there is nothing to compare with. Without a tolerance, "equal" allows half a
    unit of the last digit shown (the two look the same in print) and the others allow nothing.

    A claim `by_interval` is judged by Student's 95 % interval of the mean: "reproduced" if all of it fulfils the claim,
    "differs" if none of it does, else, and with fewer than two values, "inconclusive". That is how a trend is judged
    that few seeds or short trainings may not show.

    Args:
        label: what was measured.
        published: the number in the source, None if it gives none.
        ours: one value a seed; empty = not run.
        tolerance: how far ours may be from the published number, ≥ 0, in the unit of both.
        unit: written after the numbers, e.g. "%".
        digits: decimals to show, ≥ 0.
        kind: how published and ours are compared.
        by_interval: whether the interval of ours decides, not its mean.

    Raises:
        RequestError: a tolerance or a number of digits that is negative or no number, an unknown kind.

    Example:
        >>> claim = Claim("accuracy", 98.12, (98.0, 98.1, 98.2), tolerance=0.1, unit="%")
        >>> claim.verdict, round(claim.mean, 2), round(claim.spread, 2), round(claim.difference, 2)
        ('reproduced', 98.1, 0.1, -0.02)
        >>> Claim("sparse − dense", 0.0, (0.3, -0.1, 0.2), kind="at_least", by_interval=True).verdict
        'inconclusive'
    """

    label: str
    published: float | None
    ours: tuple[float, ...]
    tolerance: float | None = None
    unit: str = ""
    digits: int = 2
    kind: Kind = "equal"
    by_interval: bool = False

    def __post_init__(self) -> None:
        # Metrics come as NumPy and torch scalars; what is kept is plain, so that it compares, prints and saves alike.
        object.__setattr__(self, "ours", tuple(float(value) for value in self.ours))
        object.__setattr__(self, "published", None if self.published is None else float(self.published))
        if self.tolerance is not None and not 0 <= self.tolerance < math.inf:
            raise RequestError(f"tolerance of {self.label!r}: found {self.tolerance}, expected a number ≥ 0 or None")
        if self.digits < 0:
            raise RequestError(f"digits of {self.label!r}: found {self.digits}, expected a whole number ≥ 0")
        if self.kind not in get_args(Kind):
            raise UnknownNameError("kind of claim", self.kind, get_args(Kind))

    @property
    def mean(self) -> float | None:
        """The mean of ours; None if it was not run."""
        if not all(map(math.isfinite, self.ours)):
            return sum(self.ours) / len(self.ours)  # ∞, −∞ or no number; fmean refuses to add ∞ and −∞
        return statistics.fmean(self.ours) if self.ours else None

    @property
    def spread(self) -> float | None:
        """The sample standard deviation (n − 1) of ours; None for fewer than two."""
        if len(self.ours) < 2:
            return None
        finite = all(math.isfinite(value) for value in self.ours)
        return statistics.stdev(self.ours) if finite else math.nan

    @property
    def interval(self) -> Interval | None:
        """Student's 95 % interval of the mean of ours; None for fewer than two, or where one is not finite."""
        return mean_interval(self.ours)

    @property
    def difference(self) -> float | None:
        """Mean of ours − published; None where one of the two is missing."""
        return None if self.mean is None or self.published is None else self.mean - self.published

    @property
    def allowed(self) -> float:
        """The tolerance that the verdict applies, also where none was given."""
        if self.tolerance is not None:
            return self.tolerance
        return 0.5 * 10.0**-self.digits if self.kind == "equal" else 0.0

    @property
    def verdict(self) -> Verdict:
        """How the comparison ends; the rule is in the class's docstring."""
        if self.mean is None:
            return "not run"
        if self.published is None or self.difference is None:
            return "no published number"
        if self.by_interval and math.isfinite(self.mean):
            return self._by_interval(self.interval)
        return "reproduced" if self._holds(self.mean) else "differs"

    def _holds(self, value: float) -> bool:
        """Whether a value is one that the claim allows."""
        low, high = self._region
        return low <= value <= high

    @property
    def _region(self) -> Interval:
        """The smallest and the largest number that the claim allows."""
        assert self.published is not None
        # 98.02 − 98.12 is −0.10000000000000853: what is equal on paper must not differ by the last bit.
        allowed = self.allowed + 1e-9 * max(1.0, abs(self.published))
        return (
            -math.inf if self.kind == "at_most" else self.published - allowed,
            math.inf if self.kind == "at_least" else self.published + allowed,
        )

    def _by_interval(self, found: Interval | None) -> Verdict:
        if found is None:
            return "inconclusive"
        low, high = self._region
        if low <= found[0] and found[1] <= high:
            return "reproduced"
        return "differs" if found[1] < low or high < found[0] else "inconclusive"


@dataclass(frozen=True)
class ClaimTable:
    """Claims that are printed together: what, published, ours (mean ± spread, n), difference, tolerance, verdict."""

    title: str
    claims: tuple[Claim, ...]
    note: str = ""


@dataclass(frozen=True)
class Grid:
    """Any other table; every row has one cell a column, None is an empty cell.

    Raises:
        RequestError: a row is longer or shorter than `columns`.

    Example:
        >>> Grid("Cost", ("layer", "weights"), (("hidden", 7840),)).rows[0][1]
        7840
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for index, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise RequestError(
                    f"rows of {self.title!r}: row {index} has {len(row)} cells, expected {len(self.columns)}, "
                    "one for each column"
                )


@dataclass(frozen=True)
class Picture:
    """A picture as the text of an SVG element, as `analysis.draw.to_svg` gives it."""

    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Note:
    """A paragraph."""

    text: str


Block = ClaimTable | ComparisonTable | Grid | Chart | Picture | Note


@dataclass(frozen=True)
class Section:
    """What one experiment found; `source` names the publication, `intro` says in a sentence or two what was done."""

    title: str
    source: str
    intro: str
    blocks: tuple[Block, ...]

    def claims(self) -> Iterator[tuple[ClaimTable, Claim]]:
        """Every claim of this section with the table that holds it, from top to bottom."""
        for block in self.blocks:
            if isinstance(block, ClaimTable):
                yield from ((block, claim) for claim in block.claims)


@dataclass(frozen=True)
class Report:
    """Everything that a page shows; `facts` are pairs such as ("data", "MNIST"), ("trials", "12")."""

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


def tally(claims: Iterable[Claim]) -> dict[Verdict, int]:
    """How many claims end in each verdict, in the order of `VERDICTS`, without those that do not occur.

    Example:
        >>> tally((Claim("a", 1.0, (1.0,)), Claim("b", 1.0, ()), Claim("c", 2.0, (2.0,))))
        {'reproduced': 2, 'not run': 1}
    """
    verdicts = [claim.verdict for claim in claims]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS if verdict in verdicts}

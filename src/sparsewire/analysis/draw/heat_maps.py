"""A table of numbers as coloured cells: a parameter study at a glance, with each number in its cell."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsewire.analysis.draw.palette import FAINT, INK, MUTED, ON_RAMP, RAMP, ramp_step
from sparsewire.analysis.draw.sheet import SMALL, TEXT, Sheet, in_house_style, sheet, text_width
from sparsewire.errors import RequestError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CELL_HEIGHT = 30.0
_WIDEST_CELL = 86.0
_GAP = 1.6


@in_house_style
def heat(
    values: ArrayLike,
    *,
    x_ticks: Sequence[str],
    y_ticks: Sequence[str],
    x_label: str = "",
    y_label: str = "",
    value_label: str = "",
    digits: int = 2,
    best: Literal["lowest", "highest"] | None = None,
    log: bool = False,
) -> "Figure":
    """A figure of a table: one coloured cell a number, the number in it, the first row on top.

    Args:
        values: (rows, columns) numbers; NaN is a cell that was not run, which stays empty.
        x_ticks: what to write under each column.
        y_ticks: what to write before each row.
        x_label: what the columns differ in.
        y_label: what the rows differ in.
        value_label: what the numbers are, with their unit.
        digits: decimals to show.
        best: put a frame around the lowest or the highest number, the first of several.
        log: colours follow the logarithm, so that small numbers stay apart beside a few large ones.

    Returns:
        A matplotlib figure of 540 points' width; its height follows from the rows.

    Raises:
        RequestError: there is no number at all, one is infinite, ticks and values do not fit, matplotlib is missing.

    Example:
        >>> figure = heat([[2.5, 2.1], [2.2, 9.9]], x_ticks=["0.1", "0.5"], y_ticks=["100", "1000"], best="lowest")
        >>> len(figure.axes[0].texts)
        11

    Reference:
        After Pircher, Haspel and Schlücker (2019), Figure 7.
    """
    table = _checked(values, x_ticks, y_ticks, best)
    if log and np.nanmin(table) <= 0:
        raise RequestError(f"log: found {np.nanmin(table):g} in values, expected only positive numbers; use log=False")
    rows, columns = table.shape
    left = 14 + max(text_width(tick, SMALL) for tick in y_ticks)
    bottom = 36.0 if best is None else 52.0
    page = sheet(bottom + _CELL_HEIGHT * rows + 40)
    wide = min(_WIDEST_CELL, (page.width - left) / columns)
    top = bottom + _CELL_HEIGHT * rows
    finite = table[np.isfinite(table)]
    low, high = float(finite.min()), float(finite.max())
    steps = _steps(np.log(table) if log else table)
    for row in range(rows):
        for column in range(columns):
            corner = (left + wide * column, top - _CELL_HEIGHT * (row + 1))
            _draw_cell(page, corner, wide, float(table[row, column]), steps[row][column], digits)
    for column, tick in enumerate(x_ticks):
        page.write(left + wide * (column + 0.5), bottom - 13, tick, colour=MUTED, size=SMALL, anchor="center")
    for row, tick in enumerate(y_ticks):
        page.write(left - 6, top - _CELL_HEIGHT * (row + 0.5) - 3, tick, colour=MUTED, size=SMALL, anchor="right")
    page.write(left + wide * columns / 2, bottom - 28, x_label, colour=MUTED, anchor="center")
    page.write(0, top + 10, y_label, colour=MUTED)
    page.ramp_key(0, page.height - 10, f"{low:,.{digits}f}", f"{high:,.{digits}f}", value_label)
    if best is not None:
        place = int(np.nanargmin(table) if best == "lowest" else np.nanargmax(table))
        row, column = divmod(place, columns)
        _frame(page, (left + wide * column, top - _CELL_HEIGHT * (row + 1)), wide)
        page.note(f"Framed: the {best}.")
    return page.figure


def _checked(
    values: ArrayLike, x_ticks: Sequence[str], y_ticks: Sequence[str], best: str | None
) -> NDArray[np.float64]:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise RequestError(f"values: found shape {table.shape}, expected a table of (rows, columns)")
    if table.shape != (len(y_ticks), len(x_ticks)):
        raise RequestError(
            f"values: found shape {table.shape}, expected ({len(y_ticks)}, {len(x_ticks)}), a row for each of y_ticks "
            "and a column for each of x_ticks"
        )
    if np.isinf(table).any() or np.isnan(table).all():
        raise RequestError("values: found an infinite number or nothing but NaN, expected numbers, NaN where not run")
    if best not in (None, "lowest", "highest"):
        raise RequestError(f"best: found {best!r}, expected 'lowest', 'highest' or None")
    return table


def _steps(scaled: NDArray[np.float64]) -> list[list[int]]:
    low, high = float(np.nanmin(scaled)), float(np.nanmax(scaled))
    return [[0 if math.isnan(value) else ramp_step(value, low, high) for value in row] for row in scaled]


def _draw_cell(page: Sheet, corner: tuple[float, float], wide: float, value: float, step: int, digits: int) -> None:
    x, y = corner
    middle = x + wide / 2
    if math.isnan(value):
        page.write(middle, y + _CELL_HEIGHT / 2 - 3, "not run", colour=FAINT, size=SMALL, anchor="center")
        return
    page.box(x + _GAP / 2, y + _GAP / 2, wide - _GAP, _CELL_HEIGHT - _GAP, RAMP[step])
    text = f"{value:,.{digits}f}".replace("-", "−")
    size = TEXT if text_width(text, TEXT) < wide - 6 else max(TEXT * (wide - 4) / text_width(text, TEXT), 4.0)
    page.write(middle, y + _CELL_HEIGHT / 2 - 3, text, colour=ON_RAMP[step], size=size, anchor="center")


def _frame(page: Sheet, corner: tuple[float, float], wide: float) -> None:
    x, y = corner
    xs, ys = [x, x + wide, x + wide, x, x], [y, y, y + _CELL_HEIGHT, y + _CELL_HEIGHT, y]
    page.line(xs, ys, INK, 1.4, zorder=4)

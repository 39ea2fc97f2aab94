"""How two measurements go together while a third one advances: a point a moment, a marker a repeat."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsewire.analysis.draw.palette import INK, MUTED, PAPER, RAMP, ramp_step
from sparsewire.analysis.draw.sheet import SMALL, in_house_style, sheet, text_width
from sparsewire.analysis.draw.ticks import limits, mark_x, mark_y, number
from sparsewire.errors import RequestError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Numbers = NDArray[np.float64]
Run = Sequence[ArrayLike]

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
_HEIGHT = 300.0
_TOP, _BOTTOM = 44.0, 42.0
_FIRST_STEP = 2  # the ramp's very first are hardly seen as points


@in_house_style
def relation(
    runs: Mapping[str, Run] | Sequence[Run], *, x_label: str, y_label: str, colour_label: str = "epoch"
) -> "Figure":
    """A figure of points: one measurement against another, coloured by when, with one marker for each repeat.

    Args:
        runs: label → (xs, ys) or (xs, ys, moments), or a list of such, which is then called 1, 2, … Without moments the
            points are numbered from 1. At most 10 runs.
        x_label: what the horizontal axis shows, with its unit.
        y_label: what the vertical axis shows, with its unit.
        colour_label: what a moment is.

    Returns:
        A matplotlib figure of 540 × 300 points.

    Raises:
        RequestError: nothing to draw, parts of different lengths, a value that is not finite, more than 10 runs,
            matplotlib is missing.

    Example:
        >>> runs = [([0.1, 0.9], [90.0, 97.0]), ([0.2, 0.8], [91.0, 96.0])]
        >>> figure = relation(runs, x_label="share", y_label="accuracy")
        >>> len(figure.axes)
        2

    Reference:
        After Pircher, Haspel and Schlücker (2019), Figure 4.
    """
    named = runs if isinstance(runs, Mapping) else {f"{index}": run for index, run in enumerate(runs, start=1)}
    found = {str(label): _checked(str(label), run) for label, run in named.items()}
    if not found or len(found) > len(MARKERS):
        raise RequestError(f"runs: found {len(found)}, expected 1 to {len(MARKERS)}")
    xs, ys, moments = (np.concatenate([run[part] for run in found.values()]) for part in range(3))
    page = sheet(_HEIGHT)
    axes = page.panel(0, _BOTTOM, page.width, _HEIGHT - _TOP - _BOTTOM)
    left = 10 + max(text_width(label, SMALL) for label in mark_y(axes, *limits(ys, room=0.06)))
    width = page.width - left - 12
    axes.set_position((left / page.width, _BOTTOM / _HEIGHT, width / page.width, (_HEIGHT - _TOP - _BOTTOM) / _HEIGHT))
    mark_x(axes, *limits(xs, room=0.04))
    page.write(0, _HEIGHT - 30, y_label, colour=MUTED)
    page.write(left + width / 2, 11, x_label, colour=MUTED, anchor="center")
    scale = (float(moments.min()), float(moments.max()))
    for marker, (label, run) in zip(MARKERS, found.items(), strict=False):
        _draw_run(axes, label, run, marker, scale)
    end = page.ramp_key(0, _HEIGHT - 10, number(scale[0]), number(scale[1]), colour_label, first=_FIRST_STEP)
    samples = [(label, _sample(marker)) for marker, label in zip(MARKERS, found, strict=False)]
    if len(found) > 1 or isinstance(runs, Mapping):
        page.write(end + 26, _HEIGHT - 10, "run", colour=MUTED, size=SMALL)
        page.key(end + 26 + text_width("run", SMALL) + 10, _HEIGHT - 10, samples, colour=INK)
    return page.figure


def _checked(label: str, run: Run) -> tuple[Numbers, Numbers, Numbers]:
    parts = [np.asarray(part, dtype=np.float64).reshape(-1) for part in run]
    if len(parts) == 2:
        parts.append(np.arange(1.0, len(parts[0]) + 1))
    if len(parts) != 3 or len({len(part) for part in parts}) != 1 or not len(parts[0]):
        sizes = [len(part) for part in parts]
        raise RequestError(f"run {label!r}: found parts of lengths {sizes}, expected (xs, ys) or (xs, ys, moments)")
    if not all(np.isfinite(part).all() for part in parts):
        raise RequestError(f"run {label!r}: found a value that is not finite, expected numbers only")
    return parts[0], parts[1], parts[2]


def _draw_run(
    axes: Any, label: str, run: tuple[Numbers, Numbers, Numbers], marker: str, scale: tuple[float, float]
) -> None:
    """The run's way as a thin line, and on it its points, one artist for each colour."""
    xs, ys, moments = run
    axes.plot(xs, ys, color=str(MUTED), linewidth=0.5, alpha=0.45, label=label)
    steps = np.array([ramp_step(moment, *scale, first=_FIRST_STEP) for moment in moments])
    for step in np.unique(steps):
        here = steps == step
        axes.plot(
            xs[here], ys[here], linestyle="none", marker=marker, markersize=6.2, color=str(RAMP[step]),
            markeredgecolor=str(PAPER), markeredgewidth=0.6,
        )  # fmt: skip


def _sample(marker: str) -> dict[str, Any]:
    return {"linestyle": "none", "marker": marker, "markersize": 5, "color": str(MUTED)}

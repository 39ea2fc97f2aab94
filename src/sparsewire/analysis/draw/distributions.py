"""Cumulative distributions, one panel a layer, one curve a network: how the magnitudes of weights are spread."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from sparsewire.analysis.draw.palette import INK, MUTED, SERIES, STROKES
from sparsewire.analysis.draw.sheet import SMALL, Sheet, in_house_style, sheet
from sparsewire.analysis.draw.subject import Subject
from sparsewire.analysis.draw.ticks import mark_x, mark_y
from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import maskable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Numbers = NDArray[np.float64]
Distribution = tuple[ArrayLike, ArrayLike]

_PANEL = 150.0  # height
_IN_A_ROW = 3
_LEFT, _GAP, _BELOW, _ABOVE = 34.0, 22.0, 46.0, 24.0
_SHOWN = 0.999  # of the weights; a handful of large ones would press all others against the left edge
# Dense towards 1, where the large weights are few and tell most.
_SHARES = np.concatenate([np.linspace(0.0, 0.98, 197), np.linspace(0.9805, 1.0, 40)])


def weight_distributions(models: Mapping[str, Subject]) -> "Figure":
    """A figure of the cumulative distribution of |weight|, one panel a layer, one curve a model.

    Args:
        models: label → module (its maskable weights), state dict (its tensors of two dimensions or more), of both with
            the weights that are zero; or NetGraph, of which only the edges count.

    Returns:
        A matplotlib figure of 540 points' width.

    Raises:
        RequestError: no model, no weights, a weight that is not finite, matplotlib is missing.

    Example:
        >>> import torch
        >>> figure = weight_distributions({"made up": {"0.weight": torch.tensor([[0.1, -0.2], [0.3, 0.0]])}})
        >>> figure.axes[1].lines[0].get_label()
        'made up'

    Reference:
        After Pircher, Haspel and Schlücker (2019), Figure 6.
    """
    by_layer: dict[str, dict[str, Distribution]] = {}
    for label, model in models.items():
        for title, values in _magnitudes(model).items():
            if not np.isfinite(values).all():
                raise RequestError(f"weights {title!r} of {label!r}: found one that is not finite, expected numbers")
            if values.size:
                by_layer.setdefault(title, {})[str(label)] = (np.quantile(values, _SHARES), _SHARES)
    return distributions(by_layer, x_label="|weight|", y_label="share of the weights up to |weight|")


@in_house_style
def distributions(
    by_layer: Mapping[str, Mapping[str, Distribution]], *, x_label: str, y_label: str = "cumulative share"
) -> "Figure":
    """A figure of cumulative distributions that were computed before, one panel a layer.

    Args:
        by_layer: title of the panel → label of the curve → (quantiles, shares), both rising, shares from 0 to 1.
        x_label: what the quantiles are, with their unit.
        y_label: what the shares are of.

    Returns:
        A matplotlib figure of 540 points' width.

    Raises:
        RequestError: nothing to draw, quantiles and shares that do not fit or fall, a value that is not finite, more
            than 15 labels, matplotlib is missing.

    Example:
        >>> figure = distributions({"output": {"lightning": ([0.0, 0.1, 0.5], [0.0, 0.9, 1.0])}}, x_label="|weight|")
        >>> len(figure.axes)
        2
    """
    found = {
        str(title): {str(label): _checked(str(label), pair) for label, pair in curves.items()}
        for title, curves in by_layer.items()
    }
    labels = list(dict.fromkeys(label for curves in found.values() for label in curves))
    if not labels or len(labels) > len(SERIES) * len(STROKES) or not all(found.values()):
        raise RequestError(
            f"distributions: found {len(labels)} curves in {len(found)} panels, expected 1 to "
            f"{len(SERIES) * len(STROKES)} and none empty"
        )
    looks: dict[str, dict[str, Any]] = {
        label: {"color": str(SERIES[i % len(SERIES)]), "linestyle": STROKES[i // len(SERIES)], "linewidth": 1.6}
        for i, label in enumerate(labels)
    }
    columns = min(len(found), _IN_A_ROW)
    rows = math.ceil(len(found) / columns)
    line_height = 12.0 * (1 + len(labels) // 7)
    page = sheet(rows * (_PANEL + _BELOW + _ABOVE) + 26 + line_height)
    page.key(0, page.height - 10, list(looks.items()))
    page.write(0, page.height - 14 - line_height, y_label, colour=MUTED, size=SMALL)
    width = (page.width - _LEFT - 8 - _GAP * (columns - 1)) / columns
    cut = False
    for index, (title, curves) in enumerate(found.items()):
        row, column = divmod(index, columns)
        bottom = page.height - line_height - 18 - (row + 1) * (_PANEL + _ABOVE) - row * _BELOW
        corner = (_LEFT + column * (width + _GAP), bottom)
        cut |= _draw_panel(page, corner, width, title, curves, looks, numbered=column == 0)
        page.write(corner[0] + width / 2, corner[1] - 28, x_label, colour=MUTED, size=SMALL, anchor="center")
    if cut:
        page.note("The largest 0.1 % may lie to the right of a panel.")
    return page.figure


def _magnitudes(model: Subject) -> dict[str, Numbers]:
    """Title of each layer, with its shape → the magnitudes of its weights."""
    parts: dict[str, tuple[tuple[int, ...], Any]]
    if isinstance(model, NetGraph):
        parts = {f"layer {low} to {high}": (block.shape, block.data) for (low, high), block in model.blocks.items()}
    else:
        own: Mapping[str, Tensor] = maskable(model) if isinstance(model, nn.Module) else model
        parts = {
            name: (tuple(weight.shape), weight.detach().double().flatten().cpu().numpy())
            for name, weight in own.items()
            if weight.dim() >= 2
        }
    return {
        f"{name}, {' × '.join(map(str, shape))}": np.abs(np.asarray(values, dtype=np.float64))
        for name, (shape, values) in parts.items()
    }


def _draw_panel(
    page: Sheet,
    corner: tuple[float, float],
    width: float,
    title: str,
    curves: Mapping[str, tuple[Numbers, Numbers]],
    looks: Mapping[str, dict[str, Any]],
    numbered: bool,
) -> bool:
    """Draws one layer; says whether the panel ends before its largest value."""
    axes = page.panel(*corner, width, _PANEL)
    mark_y(axes, 0.0, 1.02)
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    axes.set_yticks(shares, ["0", "25", "50", "75", "100 %"] if numbered else [""] * len(shares))
    largest = max(float(xs[-1]) for xs, _ in curves.values())
    most = max(float(np.interp(_SHOWN, ys, xs)) for xs, ys in curves.values())
    end = largest if largest <= 1.25 * most else 1.15 * most
    mark_x(axes, 0.0, end or 1.0, most=4)
    for label, (xs, ys) in curves.items():
        axes.plot(xs, ys, label=label, **looks[label])
    page.write(corner[0], corner[1] + _PANEL + 7, title, colour=INK, size=SMALL)
    return end < largest


def _checked(label: str, pair: Distribution) -> tuple[Numbers, Numbers]:
    xs, ys = (np.asarray(part, dtype=np.float64).reshape(-1) for part in pair)
    if len(xs) != len(ys) or not len(xs):
        raise RequestError(f"distribution {label!r}: found {len(xs)} quantiles and {len(ys)} shares, expected as many")
    rising = np.isfinite(xs).all() and np.isfinite(ys).all() and (np.diff(xs) >= 0).all() and (np.diff(ys) >= 0).all()
    if not rising or ys[0] < 0 or ys[-1] > 1 + 1e-9:
        raise RequestError(
            f"distribution {label!r}: found values that fall, are not finite or are shares beyond 0 … 1, "
            "expected rising quantiles and rising shares"
        )
    return xs, ys

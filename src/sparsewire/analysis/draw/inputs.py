"""Which inputs a network looks at: the connections of every pixel, as an image."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sparsewire.analysis.draw.palette import INK, MUTED
from sparsewire.analysis.draw.pixels import FIRST_STEP, check_image_shape, draw_pixels, pixel_centres
from sparsewire.analysis.draw.sheet import SMALL, in_house_style, sheet
from sparsewire.analysis.draw.subject import Subject, as_graph, edges_of
from sparsewire.analysis.draw.ticks import number
from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Measure = Literal["count", "strength"]

_IN_A_ROW = 4
_GAP = 24.0
_WIDEST = 200.0
_LABELS = 44.0


@in_house_style
def input_connectivity(
    graph: Subject | Mapping[str, Subject],
    image_shape: tuple[int, int],
    *,
    measure: Measure = "count",
    edges: int | None = None,
    shared: bool = True,
) -> "Figure":
    """A figure of the input image, each pixel coloured by its live connections; several networks share one scale.

    A connection is live if it lies on a complete input–output path.

    Args:
        graph: a NetGraph, a module or a state dict, or a mapping label → such.
        image_shape: (height, width) of the inputs.
        measure: "count" (how many live connections a pixel has) or "strength" (their summed |weight|).
        edges: how many of the strongest edges make up each network; None takes all.
        shared: one scale for all networks; False gives each its own, whose ends are written under it.

    Returns:
        A matplotlib figure of 540 points' width, up to four networks in a row.

    Raises:
        RequestError: no network, no edge, a weight is not finite, `image_shape` does not fit, matplotlib is missing.

    Example:
        >>> import torch
        >>> model = {"0.weight": torch.tensor([[1.0, 0.0, 0.0, -2.0]])}
        >>> figure = input_connectivity({"tiny": model}, (2, 2))
        >>> [text.get_text() for text in figure.axes[0].texts][:2]
        ['tiny', '2 of 4 pixels are used']
    """
    networks = _named(graph)
    values = {
        label: _of_pixels(as_graph(one, edges, label or "graph"), image_shape, measure)
        for label, one in networks.items()
    }
    columns = min(len(values), _IN_A_ROW)
    rows = math.ceil(len(values) / columns)
    height, width = image_shape
    pixel = min(_WIDEST / max(image_shape), ((540.0 - _GAP * (columns - 1)) / columns) / width)
    wide, tall = pixel * width, pixel * height
    below_each = _LABELS if shared else _LABELS + 12
    page = sheet(rows * (tall + below_each) + 26)
    whole = _scale(list(values.values()), measure)
    for index, (label, one) in enumerate(values.items()):
        row, column = divmod(index, columns)
        left, top = column * (wide + _GAP), page.height - 26 - row * (tall + below_each)
        scale = whole if shared else _scale([one], measure)
        centres = pixel_centres(image_shape, (left, top), (pixel, 0.0), (0.0, -pixel))
        draw_pixels(page.page, one, centres, (pixel, 0.0), (0.0, -pixel), scale)
        below = top - tall - 13
        page.write(left, below, label, colour=INK)
        used = f"{(one > 0).sum():,} of {one.size:,} pixels are used"
        if not shared:
            page.write(left, below - (24 if label else 12), f"{number(scale[0])} to {number(scale[1])}", size=SMALL)
        page.write(left, below - 12 if label else below, used, colour=MUTED, size=SMALL)
    unit = "live connections of a pixel" if measure == "count" else "summed |weight| of a pixel's live connections"
    low, high = map(number, whole) if shared else ("least", "most")
    page.ramp_key(0, page.height - 10, low, high, unit, first=FIRST_STEP, empty="none")
    return page.figure


def _named(graph: Subject | Mapping[str, Subject]) -> dict[str, Subject]:
    """One network, without a label, or several with theirs; a mapping of tensors is one state dict."""
    if not isinstance(graph, Mapping):
        return {"": graph}
    if not graph:
        raise RequestError("graph: found an empty mapping, expected at least one network")
    if all(isinstance(value, Tensor) for value in graph.values()):
        return {"": graph}  # type: ignore[dict-item]
    return {str(label): one for label, one in graph.items()}  # type: ignore[misc]


def _scale(values: Sequence[NDArray[np.float64]], measure: Measure) -> tuple[float, float]:
    """Up to the largest number of all; a count begins at the smallest that is not zero, a strength at zero."""
    some = np.concatenate(values)
    some = some[some > 0]
    if not some.size:
        return 0.0, 1.0
    return (float(some.min()) if measure == "count" else 0.0, float(some.max()))


def _of_pixels(graph: NetGraph, image_shape: tuple[int, int], measure: Measure) -> NDArray[np.float64]:
    check_image_shape(image_shape, graph.sizes[0])
    if measure not in ("count", "strength"):
        raise RequestError(f"measure: found {measure!r}, expected 'count' or 'strength'")
    found = edges_of(graph)
    live = found.take(found.on_path & (found.source_layer == 0))
    weights = np.abs(live.value) if measure == "strength" else np.ones(len(live.value))
    return np.bincount(live.source, weights, graph.sizes[0]).astype(np.float64)

"""A network, neuron by neuron and edge by edge: what is connected, with which sign, what lies on complete paths."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.draw.palette import ACTIVATING, FAINT, INHIBITING, INK, MUTED, PAPER, Colour
from sparsewire.analysis.draw.pixels import check_image_shape, draw_pixels, pixel_centres
from sparsewire.analysis.draw.sheet import SMALL, Sheet, in_house_style, sheet, text_width
from sparsewire.analysis.draw.subject import Edges, Subject, alive, as_graph, edges_of
from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOW = 50.0  # below are the labels
_ABOVE = 34.0  # above is the key
_WIDEST_GAP = 18.0  # between the neurons of a small layer
_TALLEST, _SHORTEST = 270.0, 54.0  # what neurons and edges take of the height
_BOW = 30.0  # how far a skip connection is bent where it passes one layer
_CLASSES = 4  # of strength
_CHUNK = 90  # edges of one path; few enough that the two signs lie over each other in turn

Points = NDArray[np.float64]


@in_house_style
def network(
    graph: Subject,
    *,
    edges: int | None = None,
    lines: int = 1500,
    highlight: bool = True,
    image_shape: tuple[int, int] | None = None,
    names: Sequence[str] | None = None,
) -> "Figure":
    """A figure of the network, layer by layer from left to right.

    A line is an edge: its colour tells activating (positive) from inhibiting (negative), its width and opacity grow
    with |weight|. Edges on complete input–output paths come in full colour, all others in a faint grey; a neuron that
    lies on no complete path is hollow. The picture states how many edges it shows of how many.

    Args:
        graph: a NetGraph, a module or a state dict (of which the non-zero weights of the dense layers are the edges).
        edges: how many of the strongest edges make up the network (the sparse graph interpretation); None takes all.
            Which paths are complete is decided among these.
        lines: draw about so many of them at most, of every junction the same share: those on complete paths before
            others, the strongest first.
        highlight: False draws every edge and neuron alike, whether on a complete path or not.
        image_shape: (height, width) of the inputs, if these are an image; they are then drawn as its pixels, coloured
            by the summed |weight| of their edges on complete paths.
        names: what to call the layers; None calls them input, hidden 1, …, output.

    Returns:
        A matplotlib figure of 540 points' width.

    Raises:
        RequestError: there is no edge, a weight is not finite, `image_shape` or `names` does not fit, matplotlib is
            missing.

    Example:
        >>> import torch
        >>> model = {"0.weight": torch.tensor([[1.0, 0.0], [-2.0, 0.0]]), "2.weight": torch.tensor([[0.0, 3.0]])}
        >>> figure = network(model)
        >>> figure.get_size_inches() * 72
        array([540., 138.])

    Reference:
        After Pircher, Haspel and Schlücker (2019), Figures 1 and 2.
    """
    whole = as_graph(graph, edges)
    titles = _titles(whole, names)
    found = edges_of(whole)
    drawn = _strongest(found, lines)
    tall = _TALLEST if image_shape else min(max(_WIDEST_GAP * (max(whole.sizes) - 1), _SHORTEST), _TALLEST)
    # A skip connection may pass outside of the layers: a Bézier curve comes three quarters near its control points.
    room = 0.75 * _BOW * max(high - low - 1 for low, high in whole.blocks) ** 0.5
    page = sheet(_LOW + tall + 2 * room + _ABOVE)
    xs = _columns(whole, image_shape is not None)
    places = [_column(x, size, _LOW + room, tall) for x, size in zip(xs, whole.sizes, strict=True)]
    if image_shape is not None:
        check_image_shape(image_shape, whole.sizes[0])
        places[0] = _draw_plane(page, found, whole.sizes[0], image_shape, tall)
    live = alive(whole) if highlight else [np.ones(size, dtype=bool) for size in whole.sizes]
    _draw_edges(page, drawn if highlight else drawn._replace(on_path=np.ones_like(drawn.on_path)), places)
    for layer, (neurons, lives) in enumerate(zip(places, live, strict=True)):
        if layer or image_shape is None:
            _draw_neurons(page, neurons, lives)
    _write_labels(page, whole, xs, titles, live)
    _write_key(page, found, drawn, live, highlight, image_shape is not None)
    return page.figure


def _titles(graph: NetGraph, names: Sequence[str] | None) -> list[str]:
    count = len(graph.sizes)
    if names is None:
        return ["input", *(f"hidden {layer}" for layer in range(1, count - 1)), "output"][-count:]
    if len(names) != count:
        raise RequestError(f"names: found {len(names)}, expected {count}, one for each layer of the network")
    return list(names)


def _strongest(found: Edges, lines: int) -> Edges:
    """About `lines` edges, shared among the junctions in proportion to their edges, of each at least one.

    The strongest of all would not do: usual initialisations make the weights of the widest junction the smallest, and
    it would look as if it were empty.
    """
    if lines < 1:
        raise RequestError(f"lines: found {lines}, expected a whole number of at least 1")
    junctions = found.source_layer * (found.target_layer.max() + 1) + found.target_layer
    _, counts = np.unique(junctions, return_counts=True)
    share = min(lines / len(found.value), 1.0)
    quotas = np.maximum(np.diff(np.round(np.cumsum([0, *counts]) * share)).astype(int), 1)
    # Equally strong edges are taken evenly from all over the junction, in steps of the golden ratio: in the order of
    # their index the drawn ones would all lie at the top.
    evenly = np.arange(len(found.value)) * 0.6180339887498949 % 1
    order = np.lexsort((evenly, -np.abs(found.value), ~found.on_path, junctions))
    firsts = np.cumsum(counts) - counts
    kept = [order[first : first + quota] for first, quota in zip(firsts, quotas, strict=True)]
    return found.take(np.concatenate(kept))


def _columns(graph: NetGraph, plane: bool) -> list[float]:
    left, right = (60.0 if plane else 34.0), 500.0
    count = len(graph.sizes)
    return [left + (right - left) * layer / max(count - 1, 1) for layer in range(count)]


def _column(x: float, size: int, low: float, tall: float) -> Points:
    """The neurons of one layer from top to bottom: as far apart as they may, around the middle."""
    gap = min(_WIDEST_GAP, tall / max(size - 1, 1))
    ys = low + tall / 2 - gap * (np.arange(size) - (size - 1) / 2)
    return np.column_stack([np.full(size, x), ys])


def _draw_plane(page: Sheet, found: Edges, inputs: int, image_shape: tuple[int, int], tall: float) -> Points:
    """The input image as a plane that is seen from the side, so that its edges leave to the right."""
    height, width = image_shape
    deep, rise = 104.0, 0.25 * tall
    across, down = (deep / width, rise / width), (0.0, (rise - tall) / height)
    centres = pixel_centres(image_shape, (8.0, _LOW + tall - rise), across, down)
    counted = found.on_path & (found.source_layer == 0)
    sums = np.bincount(found.source[counted], np.abs(found.value[counted]), inputs).astype(np.float64)
    draw_pixels(page.page, sums, centres, across, down, (0.0, float(sums.max()) or 1.0))
    return centres


def _draw_edges(page: Sheet, drawn: Edges, places: Sequence[Points]) -> None:
    """Weak before strong, those off the paths first; the signs in turn, so that neither hides the other."""
    strength = np.abs(drawn.value) / (np.abs(drawn.value).max() or 1.0)
    classes = np.minimum((np.sqrt(strength) * _CLASSES).astype(int), _CLASSES - 1)
    crowd = min(max((120 / len(strength)) ** 0.4, 0.3), 1.0)
    groups: list[tuple[tuple[bool, int, int, int], Colour, float, float, NDArray[np.int64]]] = []
    for on_path in (False, True):
        for level in range(_CLASSES):
            for sign, colour in ((0, ACTIVATING), (1, INHIBITING)):
                members = np.flatnonzero(
                    (drawn.on_path == on_path) & (classes == level) & ((drawn.value < 0) == bool(sign))
                )
                width = (0.5 + 0.45 * level) * (crowd if on_path else 0.6 * crowd)
                opacity = min((0.36 + 0.18 * level) * (crowd**0.5), 1.0) if on_path else 0.45
                for chunk in range(0, len(members), _CHUNK):
                    turn = (sign + chunk // _CHUNK) % 2
                    key = (on_path, level, chunk, turn)
                    groups.append((key, colour if on_path else FAINT, width, opacity, members[chunk : chunk + _CHUNK]))
    for _, colour, width, opacity, members in sorted(groups, key=lambda group: group[0]):
        _draw_curves(page, drawn.take(members), places, colour, width, opacity)


def _draw_curves(
    page: Sheet, some: Edges, places: Sequence[Points], colour: Colour, width: float, opacity: float
) -> None:
    """All of one look as one path of Bézier curves that leave and arrive horizontally."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    starts = np.array([places[layer][neuron] for layer, neuron in zip(some.source_layer, some.source, strict=True)])
    ends = np.array([places[layer][neuron] for layer, neuron in zip(some.target_layer, some.target, strict=True)])
    bend = (ends - starts) * [0.45, 0.0]
    # A skip connection bows away from the middle, around the layers that it passes.
    span = some.target_layer - some.source_layer - 1
    middle = float(np.mean(np.concatenate(places)[:, 1]))
    outward = np.where((starts + ends)[:, 1] >= 2 * middle, 1.0, -1.0)
    bow = np.column_stack([np.zeros(len(span)), outward * _BOW * np.sqrt(span)])
    vertices = np.stack([starts, starts + bend + bow, ends - bend + bow, ends], axis=1).reshape(-1, 2)
    codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4] * len(starts)
    page.page.add_patch(
        PathPatch(
            Path(vertices, codes), facecolor="none", edgecolor=str(colour), linewidth=width, alpha=opacity,
            capstyle="round",
        )
    )  # fmt: skip


def _draw_neurons(page: Sheet, places: Points, live: NDArray[np.bool_]) -> None:
    """Round dots as lines of no length with round ends: one path a layer, however many neurons."""
    gap = abs(places[1, 1] - places[0, 1]) if len(places) > 1 else _WIDEST_GAP
    size = min(max(0.74 * gap, 0.8), 6.0)
    _draw_dots(page, places[live], INK, size)
    _draw_dots(page, places[~live], FAINT, size)
    if size > 1.8:
        _draw_dots(page, places[~live], PAPER, size - min(1.6, 0.5 * size))


def _draw_dots(page: Sheet, places: Points, colour: Colour, size: float) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if len(places):
        vertices = np.repeat(places, 2, axis=0) + np.tile([[0.0, 0.0], [0.01, 0.0]], (len(places), 1))
        path = Path(vertices, [Path.MOVETO, Path.LINETO] * len(places))
        dots = PathPatch(path, facecolor="none", edgecolor=str(colour), linewidth=size, capstyle="round", zorder=3)
        dots.set_snap(False)  # to whole pixels, on which a line of no length vanishes from bitmaps
        page.page.add_patch(dots)


def _write_labels(
    page: Sheet, graph: NetGraph, xs: Sequence[float], titles: Sequence[str], live: Sequence[NDArray[np.bool_]]
) -> None:
    """Under each layer its name and size; where the layers are close, only under every second, third, …"""
    gap = xs[1] - xs[0] if len(xs) > 1 else page.width
    widest = max(text_width(title, SMALL) for title in titles)
    every = max(1, int(np.ceil((max(widest, 44) + 10) / gap)))
    last = len(xs) - 1
    named = {layer for layer in range(0, last, every) if last - layer >= every} | {0, last}
    for layer, (x, title, size, lives) in enumerate(zip(xs, titles, graph.sizes, live, strict=True)):
        if layer in named:
            page.write(x, 32, title, size=SMALL, anchor="center")
            dead = int((~lives).sum())
            count = f"{size:,}" if not dead else f"{size - dead:,} of {size:,}"
            page.write(x, 21, count, colour=MUTED, size=SMALL, anchor="center")


def _write_key(
    page: Sheet, found: Edges, drawn: Edges, live: Sequence[NDArray[np.bool_]], highlight: bool, plane: bool
) -> None:
    entries: list[tuple[str, dict[str, object]]] = [
        ("activating", {"color": str(ACTIVATING), "linewidth": 1.6}),
        ("inhibiting", {"color": str(INHIBITING), "linewidth": 1.6}),
    ]
    if highlight and not found.on_path.all():
        entries.append(("edge on no complete path", {"color": str(FAINT), "linewidth": 1.0}))
    if not all(lives.all() for lives in live):
        hollow = {"linestyle": "none", "marker": "o", "markersize": 4.6, "color": str(FAINT)}
        entries.append(("neuron on no complete path", {**hollow, "markerfacecolor": str(PAPER)}))
    page.key(0, page.height - 11, entries, colour=MUTED)
    total, shown, complete = len(found.value), len(drawn.value), int(found.on_path.sum())
    part = f"{total:,} edges, all drawn" if shown == total else f"{shown:,} of {total:,} edges drawn, strongest first"
    percent = f"{complete:,} ({100 * complete / total:.1f} %)" if complete < total else "all"
    share = f"; {percent} lie on complete paths" if highlight else ""
    pixels = "; pixels: summed |weight|" if plane else ""
    page.note(f"{part}{share}; width and opacity: |weight|{pixels}")

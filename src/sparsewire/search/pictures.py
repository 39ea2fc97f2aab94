"""Pictures of genomes: one from top to bottom, or two side by side with what was changed between them."""

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Final

from sparsewire.analysis.draw.palette import INK, MUTED, PAPER, SERIES, VARIABLES, Colour
from sparsewire.errors import RequestError
from sparsewire.search.genome_layout import Layout, layout, levels_of
from sparsewire.search.genome_matching import changes, matched
from sparsewire.search.genotype import CONVOLUTIONS, Edge, Genome, Operation, Vertex, checked_genome

_HEIGHT = 24.0  # of a box
_PITCH = 56.0  # from one level to the next
_GAP = 18.0  # between boxes
_MARGIN = 8.0
_STUB = 13.0  # above a source and below a sink
_WORDS = 13.0  # a line of small text
_LETTER = 6.1  # about the width of one, of 11 points
_MOST = 256  # vertices
_MOST_LEVELS = 1500  # that all edges together go down: beyond, the layout takes minutes
_FONT = "var(--sw-font, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif)"

_NAMES: Final[Mapping[Operation, str]] = {
    "conv3": "conv 3×3",
    "conv5": "conv 5×5",
    "conv7": "conv 7×7",
    "max_pool": "max pool",
    "avg_pool": "avg pool",
    "sum": "sum",
    "concat": "concat",
    "skip": "skip",
}
_FILLS: Final[Mapping[Operation, Colour]] = {
    **dict.fromkeys(CONVOLUTIONS, SERIES[0]),
    "max_pool": SERIES[1],
    "avg_pool": SERIES[3],
    "sum": SERIES[2],
    "concat": SERIES[4],
    "skip": PAPER,  # it does nothing: an empty box
}


def draw_genome(genome: Genome, *, marked: Collection[int | Edge] = ()) -> str:
    """An SVG element of the genome, from the image at the top to what is classified at the bottom.

    A box is a vertex: its colour is the type of the operation, and in it stand a convolution's kernel and channels. It
    needs no style sheet; a page that has the house's variables shows it on dark ground too.

    Args:
        genome: of at most 256 vertices, and edges that go down 1,500 levels together.
        marked: vertices, as numbers, and edges, as pairs, that get a ring or a strong line.

    Raises:
        RequestError: it is no genome, or too large, or what is marked is not in it.

    Example:
        >>> text = draw_genome(Genome((Vertex("conv3", 16), Vertex("sum")), ((0, 1),)), marked=[1, (0, 1)])
        >>> text[:4], "conv 3×3 · 16" in text, "var(--sw-series-1" in text
        ('<svg', True, True)

    Source:
        Figure 8a of Stier, Darji and Granitzer 2021 shows a genome so.
    """
    _check(genome, marked)
    box = _box(genome)
    plan = layout(genome, box, _GAP)
    drawn = _drawn(genome, plan, box, _MARGIN, _MARGIN, frozenset(marked))
    words = f"A genome of {len(genome)} vertices and {len(genome.edges)} edges"
    return _element(drawn, plan.width + 2 * _MARGIN, _tall(plan) + 2 * _MARGIN, words)


def draw_variation(before: Genome, after: Genome, *, titles: tuple[str, str] = ("before", "after")) -> str:
    """An SVG element of two genomes side by side; what the one has and the other has not is marked, in both.

    Which vertices are the same is found by likeness (see `matched`), so it need not be how the variation saw it.

    Args:
        before: drawn on the left.
        after: drawn on the right, with its vertices about where their matches are.
        titles: what is written above the two.

    Raises:
        RequestError: one is no genome or too large, or there are not two titles.

    Example:
        >>> before = Genome((Vertex("conv3", 16), Vertex("max_pool")), ((0, 1),))
        >>> after = Genome((Vertex("conv3", 16), Vertex("avg_pool")), ((0, 1),))
        >>> draw_variation(before, after).count("<title>marked</title>")
        2
    """
    for genome in (before, after):
        _check(genome, ())
    if isinstance(titles, str) or len(titles) != 2:
        raise RequestError(f"titles: found {titles!r:.60}, expected two, such as ('before', 'after')")
    box = max(_box(before), _box(after))
    first = layout(before, box, _GAP)
    second = layout(after, box, _GAP, _hints(before, first, matched(before, after)))
    top = _MARGIN + _WORDS + 6
    right = _MARGIN + max(first.width, _LETTER * len(titles[0])) + 4 * _GAP
    body = [
        _words(str(titles[0]), _MARGIN, _MARGIN + 9, INK, "start"),
        _words(str(titles[1]), right, _MARGIN + 9, INK, "start"),
    ]
    sides = zip((before, after), (first, second), (_MARGIN, right), changes(before, after), strict=True)
    for genome, plan, left, marks in sides:
        body += _drawn(genome, plan, box, left, top, marks)
    width = right + max(second.width, _LETTER * len(titles[1])) + _MARGIN
    height = max(_tall(first), _tall(second)) + top + _MARGIN
    return _element(body, width, height, f"Genomes of {len(before)} and of {len(after)} vertices")


def _hints(before: Genome, plan: Layout, images: Mapping[int, int]) -> dict[int | Edge, float]:
    """Where the matches of drawn vertices and edges should be."""
    found: dict[int | Edge, float] = {image: plan.xs[place] for place, image in images.items()}
    for (tail, head), way in zip(before.edges, plan.ways, strict=True):
        if way and tail in images and head in images:
            found[images[tail], images[head]] = sum(way) / len(way)
    return found


def _check(genome: Genome, marked: Collection[int | Edge]) -> None:
    if len(checked_genome("genome", genome)) > _MOST:
        raise RequestError(f"genome: found {len(genome)} vertices, expected at most {_MOST}: more cannot be seen")
    levels = levels_of(genome)
    if (span := sum(levels[head] - levels[tail] for tail, head in genome.edges)) > _MOST_LEVELS:
        raise RequestError(
            f"genome: found edges over {span:,} levels in all, expected at most {_MOST_LEVELS:,}: more cannot be seen"
        )
    for mark in marked:
        if mark not in range(len(genome)) and mark not in genome.edges:
            raise RequestError(f"marked: found {mark!r:.40}, expected vertices below {len(genome)} or edges (from, to)")


def _label(vertex: Vertex) -> str:
    return f"{_NAMES[vertex.operation]} · {vertex.channels:,}" if vertex.channels else _NAMES[vertex.operation]


def _box(genome: Genome) -> float:
    return 18 + _LETTER * max(8, *(len(_label(vertex)) for vertex in genome.vertices))


def _tall(plan: Layout) -> float:
    return max(plan.levels) * _PITCH + _HEIGHT + 2 * (_STUB + _WORDS)


def _drawn(
    genome: Genome, plan: Layout, box: float, left: float, top: float, marked: frozenset[int | Edge]
) -> list[str]:
    """The parts of one genome whose box begins at (left, top): edges below, strong ones above these, then vertices."""
    middles = [left + x for x in plan.xs]
    heights = [top + _STUB + _WORDS + level * _PITCH for level in plan.levels]
    edges = []
    for edge, way in zip(genome.edges, plan.ways, strict=True):
        tail, head = edge
        points = [(middles[tail], heights[tail] + _HEIGHT)]
        for step, x in enumerate(way, start=1):
            passed = heights[tail] + step * _PITCH
            points += [(left + x, passed), (left + x, passed + _HEIGHT)]
        points.append((middles[head], heights[head]))
        edges.append((edge in marked, _edge(points, edge in marked)))
    lines = [line for _, line in sorted(edges, key=lambda entry: entry[0])]
    stubs = [_source(middles[place], heights[place]) for place in genome.sources]
    stubs += [_sink(middles[place], heights[place] + _HEIGHT) for place in genome.sinks]
    boxes = [
        _vertex(vertex, middles[place], heights[place], box, place in marked)
        for place, vertex in enumerate(genome.vertices)
    ]
    return [*lines, *stubs, *boxes]


def _edge(points: list[tuple[float, float]], is_marked: bool) -> str:
    """A line that leaves and arrives upright, with the head of an arrow."""
    colour, width = (INK, 2.2) if is_marked else (MUTED, 1.1)
    x, y = points[-1]
    ends = [*points[:-1], (x, y - 5)]
    way = f"M{ends[0][0]:.1f} {ends[0][1]:.1f}"
    for (x_from, y_from), (x_to, y_to) in pairwise(ends):
        bend = (y_from + y_to) / 2
        way += f"C{x_from:.1f} {bend:.1f} {x_to:.1f} {bend:.1f} {x_to:.1f} {y_to:.1f}"
    line = f'<path d="{way}" style="fill: none; stroke: {_css(colour)}; stroke-width: {width}"/>'
    return line + _arrow(x, y, colour, 1.4 if is_marked else 1.0)


def _arrow(x: float, y: float, colour: Colour, size: float = 1.0) -> str:
    aside = 3 * size
    corners = f"M{x - aside:.1f} {y - 6 * size:.1f}L{x + aside:.1f} {y - 6 * size:.1f}L{x:.1f} {y:.1f}Z"
    return f'<path d="{corners}" style="fill: {_css(colour)}"/>'


def _source(x: float, y: float) -> str:
    return _words("image", x, y - _STUB - 3, MUTED) + _stub(x, y - _STUB, y)


def _sink(x: float, y: float) -> str:
    return _stub(x, y, y + _STUB) + _words("classes", x, y + _STUB + 10, MUTED)


def _stub(x: float, high: float, low: float) -> str:
    line = f'<path d="M{x:.1f} {high:.1f}V{low - 5:.1f}" style="stroke: {_css(MUTED)}; stroke-width: 1.1"/>'
    return line + _arrow(x, low, MUTED)


def _vertex(vertex: Vertex, x: float, y: float, box: float, is_marked: bool) -> str:
    fill = _FILLS[vertex.operation]
    is_empty = fill is PAPER
    edge = MUTED if is_empty else fill
    ring = _rectangle(x, y, box, 4.0, "none", INK, 2.0, "<title>marked</title>") if is_marked else ""
    body = _rectangle(x, y, box, 0.0, _css(fill), edge, 1.1)
    return ring + body + _words(_label(vertex), x, y + _HEIGHT / 2 + 3.8, INK if is_empty else PAPER, size=11)


def _rectangle(
    x: float, y: float, box: float, around: float, fill: str, edge: Colour, width: float, inside: str = ""
) -> str:
    place = f'x="{x - box / 2 - around:.1f}" y="{y - around:.1f}" rx="{6 + around:.0f}"'
    size = f'width="{box + 2 * around:.1f}" height="{_HEIGHT + 2 * around:.1f}"'
    style = f"fill: {fill}; stroke: {_css(edge)}; stroke-width: {width}"
    return f'<rect {place} {size} style="{style}">{inside}</rect>'


def _words(words: str, x: float, y: float, colour: Colour, anchor: str = "middle", size: float = 9.5) -> str:
    from xml.sax.saxutils import escape

    style = f"fill: {_css(colour)}; font-size: {size}px; text-anchor: {anchor}"
    return f'<text x="{x:.1f}" y="{y:.1f}" style="{style}">{escape(words[:60])}</text>'


def _css(colour: Colour) -> str:
    return VARIABLES[colour.light]


def _element(parts: list[str], width: float, height: float, title: str) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    style = f'style="font-family: {_FONT}; stroke-linejoin: round" role="img"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}><title>{title}</title>{"".join(parts)}</svg>'

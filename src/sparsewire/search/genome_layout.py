"""Where a genome's vertices and edges are drawn: levels from top to bottom, few crossings, straight long edges."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from sparsewire.search.genotype import Edge, Genome
from sparsewire.search.levels import depths

_SWEEPS = 8  # of the orders, down and up
_SETTLINGS = 120  # of the places
_THIN = 14.0  # what an edge that passes a level takes of its width
_STRAIGHT = 8.0  # how much more the parts of a long edge want to be in line than others

Row = list[int]


class Layout(NamedTuple):
    """Places in a genome's picture, in points; x of middles counts from the left end, levels from the top.

    Args:
        levels: of each vertex, from 0.
        xs: the middle of each vertex.
        ways: for each edge of the genome, in order, the xs at which it passes the levels between its ends.
        width: from the left end of the leftmost box to the right end of the rightmost.
    """

    levels: tuple[int, ...]
    xs: tuple[float, ...]
    ways: tuple[tuple[float, ...], ...]
    width: float


def layout(genome: Genome, box: float, gap: float, hints: Mapping[int | Edge, float] | None = None) -> Layout:
    """Where everything goes.

    Args:
        genome: what is drawn.
        box: the width of a vertex.
        gap: between two boxes of a level.
        hints: of vertices and of edges, about where they should be from left to right, to begin with.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> skip, total = Vertex("skip"), Vertex("sum")
        >>> graph = Genome((skip, skip, skip, total), ((0, 1), (0, 2), (1, 3), (2, 3)))
        >>> found = layout(graph, box=80, gap=20)
        >>> found.levels, found.xs
        ((0, 1, 1, 2), (90.0, 40.0, 140.0, 90.0))

    Source:
        The steps of Sugiyama, Tagawa and Toda 1981: levels, barycentres, places. Places are the least squares that
        keep the order.
    """
    graph = _Levelled(genome)
    rows = graph.arranged(hints or {})
    widths = [box if node < len(genome) else _THIN for node in range(len(graph.levels))]
    xs = graph.settled(rows, widths, gap)
    left = min(x - width / 2 for x, width in zip(xs, widths, strict=True))
    right = max(x + width / 2 for x, width in zip(xs, widths, strict=True))
    placed = [round(x - left, 1) for x in xs]
    ways = tuple(tuple(placed[node] for node in way) for way in graph.ways)
    return Layout(tuple(graph.levels[: len(genome)]), tuple(placed[: len(genome)]), ways, round(right - left, 1))


def levels_of(genome: Genome) -> tuple[int, ...]:
    """The level of each vertex: the longest path from a source, but short where what feeds others comes late.

    A vertex with fewer predecessors than successors, such as a source beside the main path, stands right above the
    highest of those that it feeds.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> levels_of(Genome((Vertex("skip"), Vertex("skip"), Vertex("skip"), Vertex("sum")), ((0, 1), (1, 3), (2, 3))))
        (0, 1, 1, 2)
    """
    levels = [depth - 1 for depth in depths(genome)]
    for place in reversed(range(len(genome))):
        behind = genome.successors[place]
        if len(genome.predecessors[place]) < len(behind):
            levels[place] = min(levels[other] for other in behind) - 1
    return tuple(levels)


class _Levelled:
    """A genome whose long edges are cut where they pass a level; the pieces' ends are nodes beside the vertices."""

    def __init__(self, genome: Genome) -> None:
        self.levels = list(levels_of(genome))
        self.ways: list[Row] = []
        self.edges = genome.edges
        pairs: list[tuple[int, int]] = []
        for tail, head in genome.edges:
            passed = range(self.levels[tail] + 1, self.levels[head])
            way = list(range(len(self.levels), len(self.levels) + len(passed)))
            self.levels += passed
            self.ways.append(way)
            pairs += zip([tail, *way], [*way, head], strict=True)
        self.above: list[Row] = [[] for _ in self.levels]
        self.below: list[Row] = [[] for _ in self.levels]
        for tail, head in pairs:
            self.below[tail].append(head)
            self.above[head].append(tail)
        self.vertices = len(genome)

    def arranged(self, hints: Mapping[int | Edge, float]) -> list[Row]:
        """The order of each level with the fewest crossings that some sweeps find."""
        rows: list[Row] = [[] for _ in range(max(self.levels) + 1)]
        wanted = self.wanted(hints)
        for node in sorted(range(len(self.levels)), key=lambda node: (wanted[node], node)):
            rows[self.levels[node]].append(node)
        best, fewest = rows, self.crossings(rows)
        for sweep in range(2 * _SWEEPS):
            if not fewest:
                break
            rows = self.swept(rows, down=sweep % 2 == 0)
            found = self.crossings(rows)
            if found < fewest:
                best, fewest = rows, found
        return best

    def wanted(self, hints: Mapping[int | Edge, float]) -> list[float]:
        """About where each node should be; what has no hint goes between its neighbours that have one."""
        known: dict[int, float] = {node: hints[node] for node in range(self.vertices) if node in hints}
        for edge, way in zip(self.edges, self.ways, strict=True):
            known |= dict.fromkeys(way, hints[edge]) if edge in hints else {}
        found = []
        for node in range(len(self.levels)):
            near = [known[other] for other in (*self.above[node], *self.below[node]) if other in known]
            found.append(known.get(node, sum(near) / len(near) if near else 0.0))
        return found

    def swept(self, rows: list[Row], down: bool) -> list[Row]:
        """Every level in turn in the order of the middles of its neighbours, then pairs exchanged where it helps."""
        rows = [list(row) for row in rows]
        fixed = self.above if down else self.below
        for level in range(1, len(rows)) if down else reversed(range(len(rows) - 1)):
            beside = {node: place for place, node in enumerate(rows[level - 1 if down else level + 1])}
            places = {node: place for place, node in enumerate(rows[level])}

            def middle(node: int, beside: Mapping[int, int] = beside, places: Mapping[int, int] = places) -> float:
                near = [beside[other] for other in fixed[node]]
                return sum(near) / len(near) if near else places[node]

            rows[level].sort(key=middle)
            self.exchange(rows, level)
        return rows

    def exchange(self, rows: list[Row], level: int) -> None:
        row = rows[level]
        around = [
            {node: place for place, node in enumerate(rows[at])} if 0 <= at < len(rows) else {}
            for at in (level - 1, level + 1)
        ]
        sides = [(self.above, around[0]), (self.below, around[1])]
        for place in range(len(row) - 1):
            one, other = row[place], row[place + 1]
            kept = sum(_pairs_crossed([at[n] for n in near[one]], [at[n] for n in near[other]]) for near, at in sides)
            changed = sum(
                _pairs_crossed([at[n] for n in near[other]], [at[n] for n in near[one]]) for near, at in sides
            )
            if changed < kept:
                row[place], row[place + 1] = other, one

    def crossings(self, rows: list[Row]) -> int:
        found = 0
        for row, lower in pairwise(rows):
            place = {node: at for at, node in enumerate(lower)}
            heads = [[place[other] for other in self.below[node]] for node in row]
            found += sum(_pairs_crossed(heads[one], heads[other]) for other in range(len(row)) for one in range(other))
        return found

    def settled(self, rows: list[Row], widths: Sequence[float], gap: float) -> list[float]:
        """The middle of each node: as near to the middles of its neighbours as the order and the widths allow."""
        xs = [0.0] * len(self.levels)
        offsets = []
        for row in rows:
            at, own = 0.0, []
            for node in row:
                own.append(at + widths[node] / 2)
                at += widths[node] + gap
            offsets.append(own)
            for node, x in zip(row, own, strict=True):
                xs[node] = x - (at - gap) / 2
        for settling in range(_SETTLINGS):
            for level in range(len(rows)) if settling % 2 else reversed(range(len(rows))):
                wishes = [self.wish(node, xs) for node in rows[level]]
                for node, x in zip(rows[level], _kept_apart(wishes, offsets[level]), strict=True):
                    xs[node] = x
        return xs

    def wish(self, node: int, xs: Sequence[float]) -> tuple[float, float]:
        """Where a node would be best, and how much that matters."""
        near = [*self.above[node], *self.below[node]]
        pulls = [_STRAIGHT if min(node, other) >= self.vertices else 1.0 for other in near]
        if not near:
            return xs[node], 1.0
        return sum(pull * xs[other] for pull, other in zip(pulls, near, strict=True)) / sum(pulls), sum(pulls)


def _pairs_crossed(left: Row, right: Row) -> int:
    """How many pairs of edges cross if the one node is left of the other."""
    return sum(one > other for one in left for other in right)


def _kept_apart(wishes: Sequence[tuple[float, float]], offsets: Sequence[float]) -> list[float]:
    """The weighted least squares from the wishes among places at least as far apart as the offsets (pool violators)."""
    pools: list[tuple[float, float, int]] = []
    for (wish, weight), offset in zip(wishes, offsets, strict=True):
        mean, total, count = wish - offset, weight, 1
        while pools and pools[-1][0] > mean:
            other, more, members = pools.pop()
            mean, total, count = (mean * total + other * more) / (total + more), total + more, count + members
        pools.append((mean, total, count))
    shifts = [mean for mean, _, count in pools for _ in range(count)]
    return [shift + offset for shift, offset in zip(shifts, offsets, strict=True)]

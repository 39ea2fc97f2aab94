"""Genomes: directed acyclic graphs whose vertices are operations; from these, convolutional networks are built."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.search.isomorphism import genome_key
from sparsewire.search.levels import depths
from sparsewire.structure.blocks import whole

if TYPE_CHECKING:
    import networkx as nx

Operation = Literal["conv3", "conv5", "conv7", "max_pool", "avg_pool", "sum", "concat", "skip"]
OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)
CONVOLUTIONS: Final[tuple[Operation, ...]] = ("conv3", "conv5", "conv7")

# Of the paper's genomes at the start of a search, and of those that a random search draws.
PAPER_INITIAL: Final = (6, 12)
PAPER_RANDOM: Final = (10, 36)

Edge = tuple[int, int]


class Vertex(NamedTuple):
    """An operation, and how many feature maps it makes.

    Args:
        operation: one of `OPERATIONS`.
        channels: of a convolution, at least 1; 0 for all others, which make as many as they get.
    """

    operation: Operation
    channels: int = 0


@dataclass(frozen=True)
class Genome:
    """A weakly connected graph of operations; every edge leads from a lower to a higher number.

    Vertices without predecessors get the image, those without successors make the features that are classified.

    Args:
        vertices: in an order in which all that a vertex needs comes before it.
        edges: (from, to), places among the vertices; kept sorted.

    Raises:
        RequestError: there is no vertex, an edge is missing an end, leads down or stands twice, the graph falls apart,
            or channels do not suit an operation.
        UnknownNameError: no such operation.

    Example:
        >>> genome = Genome((Vertex("conv3", 16), Vertex("max_pool"), Vertex("sum")), ((0, 1), (1, 2), (0, 2)))
        >>> genome.depth, genome.predecessors[2]
        (3, (0, 1))

    Source:
        Stier, Darji and Granitzer 2021, section 4.4 and Figure 8a. The paper says nothing of the image's place, of
        several sinks or of channels; ours are said in `phenotype`.
    """

    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]

    def __post_init__(self) -> None:
        for name, several in (("vertices", self.vertices), ("edges", self.edges)):
            if isinstance(several, str) or not isinstance(several, Iterable):
                raise RequestError(f"{name}: found {several!r:.60}, expected several")
        object.__setattr__(self, "vertices", tuple(_checked_vertex(vertex) for vertex in self.vertices))
        object.__setattr__(self, "edges", _checked_edges(self.edges, len(self.vertices)))
        _check_connected(self.edges, len(self.vertices))

    def __len__(self) -> int:
        return len(self.vertices)

    @cached_property
    def key(self) -> str:
        """The name that isomorphic genomes share and no other has; see `genome_key`."""
        return genome_key(self)

    @cached_property
    def predecessors(self) -> tuple[tuple[int, ...], ...]:
        """For each vertex, from where it is fed, in order."""
        return _grouped([(head, tail) for tail, head in self.edges], len(self))

    @cached_property
    def successors(self) -> tuple[tuple[int, ...], ...]:
        """For each vertex, whom it feeds, in order."""
        return _grouped(self.edges, len(self))

    @property
    def sources(self) -> tuple[int, ...]:
        """The vertices that get the image."""
        return tuple(place for place, before in enumerate(self.predecessors) if not before)

    @property
    def sinks(self) -> tuple[int, ...]:
        """The vertices whose maps are classified."""
        return tuple(place for place, behind in enumerate(self.successors) if not behind)

    @cached_property
    def depth(self) -> int:
        """How many vertices the longest path has."""
        return max(depths(self))

    def to_networkx(self) -> "nx.DiGraph":
        """The graph with nodes 0, 1, … that have the attributes "operation" and "channels".

        Example:
            >>> graph = Genome((Vertex("conv3", 16), Vertex("sum")), ((0, 1),)).to_networkx()
            >>> graph.nodes[0], list(graph.edges)
            ({'operation': 'conv3', 'channels': 16}, [(0, 1)])
        """
        import networkx as nx

        graph: nx.DiGraph = nx.DiGraph()
        graph.add_nodes_from((place, vertex._asdict()) for place, vertex in enumerate(self.vertices))
        graph.add_edges_from(self.edges)
        return graph


class Bounds(NamedTuple):
    """How large genomes may be; variation keeps within.

    Args:
        depth: the fewest and the most vertices of the longest path, both allowed.
        vertices: how many there may be at most.

    Example:
        >>> Bounds().holds(Genome((Vertex("conv3", 16), Vertex("sum")), ((0, 1),)))
        False

    Source:
        Stier, Darji and Granitzer 2021, section 4.4: depth 6 to 12 "for all" graphs, 10 to 36 for random search because
        mutation deepens them. Ours spans both; the bound on vertices is ours.
    """

    depth: tuple[int, int] = (PAPER_INITIAL[0], PAPER_RANDOM[1])
    vertices: int = 64

    def holds(self, genome: Genome) -> bool:
        """Whether a genome is within."""
        return self.depth[0] <= genome.depth <= self.depth[1] and len(genome) <= self.vertices

    def checked(self) -> "Bounds":
        """The same bounds, of whole numbers.

        Raises:
            RequestError: a depth or number of vertices is not a whole number of at least 1, the fewest are more than
                the most, or no genome of the least depth has so few vertices.
        """
        depth = checked_range("depth", self.depth, least=1)
        vertices = whole("vertices", self.vertices, least=1)
        if vertices < depth[0]:
            raise RequestError(f"vertices: found {vertices}, expected at least the least depth, {depth[0]}")
        return Bounds(depth, vertices)


def checked_genome(argument: str, genome: object) -> Genome:
    """The genome itself.

    Raises:
        RequestError: it is none; the message begins with the argument's name.

    Example:
        >>> checked_genome("a", "conv3")
        Traceback (most recent call last):
            ...
        sparsewire.errors.RequestError: a: found str, expected a Genome; random_genome draws one, read_genome reads one
    """
    if not isinstance(genome, Genome):
        found = type(genome).__name__
        raise RequestError(
            f"{argument}: found {found}, expected a Genome; random_genome draws one, read_genome reads one"
        )
    return genome


def checked_range(name: str, found: object, least: int) -> tuple[int, int]:
    """A pair (fewest, most) of whole numbers.

    Raises:
        RequestError: it is none, or the first is larger than the second.

    Example:
        >>> checked_range("depth", [6, 12], least=1)
        (6, 12)
    """
    if isinstance(found, str) or not isinstance(found, Sequence) or len(found) != 2:
        raise RequestError(f"{name}: found {found!r}, expected a pair (fewest, most)")
    low, high = (whole(f"{name}[{side}]", number, least=least) for side, number in enumerate(found))
    if low > high:
        raise RequestError(f"{name}: found ({low}, {high}), expected the fewest first; did you mean ({high}, {low})?")
    return low, high


def ordered(vertices: Sequence[Vertex], edges: Sequence[Edge]) -> Genome:
    """The genome of vertices in any order: of those that may come next, always the one that was listed first.

    Raises:
        RequestError: the edges run in a circle, or make no genome.

    Example:
        >>> ordered([Vertex("sum"), Vertex("skip")], [(1, 0)]).vertices[0].operation
        'skip'
    """
    pairs = _checked_ends(edges, len(vertices))
    behind = _grouped(pairs, len(vertices))
    waiting = [len(before) for before in _grouped([(head, tail) for tail, head in pairs], len(vertices))]
    order: list[int] = []
    free = [place for place, count in enumerate(waiting) if not count]
    while free:
        order.append(heapq.heappop(free))
        for head in behind[order[-1]]:
            waiting[head] -= 1
            if not waiting[head]:
                heapq.heappush(free, head)
    if len(order) < len(vertices):
        raise RequestError("edges: found a circle, expected edges that lead one way")
    rank = {place: number for number, place in enumerate(order)}
    return Genome(tuple(vertices[place] for place in order), tuple((rank[tail], rank[head]) for tail, head in pairs))


def _checked_vertex(vertex: object) -> Vertex:
    if not isinstance(vertex, tuple) or len(vertex) != 2 or not isinstance(vertex[0], str):
        raise RequestError(f"vertex: found {vertex!r:.60}, expected Vertex(operation, channels)")
    operation, channels = vertex
    if operation not in OPERATIONS:
        raise UnknownNameError("operation", operation[:40], OPERATIONS)
    least = 1 if operation in CONVOLUTIONS else 0
    count = whole(f"channels of {operation}", channels, least=least)
    if count and not least:
        raise RequestError(f"channels: found {count} for {operation}, expected 0: it makes as many maps as it gets")
    return Vertex(operation, count)


def _checked_ends(edges: Sequence[object], count: int) -> list[Edge]:
    """The edges as pairs of places among the vertices, in any order, none twice."""
    if not count:
        raise RequestError("vertices: found none, expected at least one")
    found: set[Edge] = set()
    for edge in edges:
        if not isinstance(edge, tuple) or len(edge) != 2:
            raise RequestError(f"edge: found {edge!r:.60}, expected a pair (from, to)")
        tail, head = (whole("edge", end, least=0) for end in edge)
        if max(tail, head) >= count:
            raise RequestError(f"edge: found {tail} → {head}, expected numbers below {count}, of the vertices")
        if (tail, head) in found:
            raise RequestError(f"edge: found {tail} → {head} twice, expected every edge once")
        found.add((tail, head))
    return sorted(found)


def _checked_edges(edges: Sequence[object], count: int) -> tuple[Edge, ...]:
    found = _checked_ends(edges, count)
    for tail, head in found:
        if tail >= head:
            raise RequestError(f"edge: found {tail} → {head}, expected a lower and a higher number; see ordered")
    return tuple(found)


def _check_connected(edges: Sequence[Edge], count: int) -> None:
    """Refuses what falls apart, by letting every vertex point at a lower one of its part."""
    lowest = list(range(count))
    parts = count
    for tail, head in edges:
        one, other = _followed(lowest, tail), _followed(lowest, head)
        if one != other:
            lowest[max(one, other)] = min(one, other)
            parts -= 1
    if parts > 1:
        raise RequestError(f"edges: found {parts} parts that nothing connects, expected one graph")


def _followed(lowest: list[int], place: int) -> int:
    while lowest[place] != place:
        lowest[place] = place = lowest[lowest[place]]
    return place


def _grouped(pairs: Sequence[Edge], count: int) -> tuple[tuple[int, ...], ...]:
    groups: list[list[int]] = [[] for _ in range(count)]
    for key, value in sorted(pairs):
        groups[key].append(value)
    return tuple(tuple(group) for group in groups)

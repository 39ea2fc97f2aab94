"""One form for all genomes that are alike but for the numbers of their vertices, and the key that follows from it."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from sparsewire.errors import RequestError
from sparsewire.search.levels import depths, heights

if TYPE_CHECKING:
    from sparsewire.search.genotype import Edge, Genome, Vertex

    G = TypeVar("G", bound=Genome)

Places = tuple[tuple[int, ...], ...]
Colours = list[int]

# A genome drawn at random takes some 10² rankings of a vertex, the most regular of 64 vertices that we know some 10⁵.
_MOST_RANKINGS = 4_000_000


def genome_key(genome: "Genome") -> str:
    """The name of a genome that all isomorphic genomes share and no other has: 64 hexadecimal digits.

        key = SHA-256(genome_text(canonical(genome)))

    Two genomes are isomorphic if their vertices can be renumbered such that operations, channels and edges agree. It is
    the same on all machines and in all versions of Python. `Genome.key` is this, computed once.

    Raises:
        RequestError: the genome is larger and more regular than can be told apart in some seconds.

    Example:
        >>> from sparsewire.search.genotype import Genome, Vertex
        >>> one = Genome((Vertex("skip"), Vertex("conv3", 8), Vertex("sum")), ((0, 2), (1, 2)))
        >>> other = Genome((Vertex("conv3", 8), Vertex("skip"), Vertex("sum")), ((0, 2), (1, 2)))
        >>> one == other, genome_key(one) == genome_key(other), len(genome_key(one))
        (False, True, 64)
    """
    form = canonical(genome)
    return hashlib.sha256(one_line(form.vertices, form.edges).encode()).hexdigest()


def canonical(genome: "G") -> "G":
    """The representative of all genomes that are isomorphic to this one: equal for them, different for all others.

    Vertices are ranked by what numbering cannot change: how long the longest path to a vertex is, its operation and
    channels, the longest path behind it, its degrees; then by the ranks of its neighbours, until nothing changes. Where
    vertices still share a rank, one of them after the other is set before the rest; of all numberings that are found so
    the one with the smallest list of edges is the form. Automorphisms spare the search what they map onto each other.

    Raises:
        RequestError: as for `genome_key`, or it is no genome.

    Example:
        >>> from sparsewire.search.genotype import Genome, Vertex
        >>> genome = Genome((Vertex("skip"), Vertex("conv3", 8), Vertex("sum")), ((0, 2), (1, 2)))
        >>> [vertex.operation for vertex in canonical(genome).vertices]
        ['conv3', 'skip', 'sum']

    Source:
        Colour refinement and individualisation as in McKay and Piperno 2014, "Practical graph isomorphism, II", without
        their implementations' bookkeeping: genomes have some tens of vertices.
    """
    from sparsewire.search.genotype import checked_genome

    checked_genome("genome", genome)
    ranks = _Search(genome.predecessors, genome.successors, _first_colours(genome)).ranks()
    vertices = sorted(range(len(ranks)), key=ranks.__getitem__)
    edges = sorted((ranks[tail], ranks[head]) for tail, head in genome.edges)
    return replace(genome, vertices=tuple(genome.vertices[place] for place in vertices), edges=tuple(edges))


def one_line(vertices: "Sequence[Vertex]", edges: "Sequence[Edge]") -> str:
    """Vertices and edges as JSON without blanks, which can be spelled in one way only.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> one_line([Vertex("conv3", 16), Vertex("sum")], [(0, 1)])
        '{"vertices":[["conv3",16],["sum"]],"edges":[[0,1]]}'
    """
    named = [[operation, channels] if channels else [operation] for operation, channels in vertices]
    return json.dumps({"vertices": named, "edges": list(edges)}, separators=(",", ":"))


def _first_colours(genome: "Genome") -> Colours:
    """Ranks by what each vertex is and where it stands; along an edge they rise, so that any refinement is an order."""
    before, behind = genome.predecessors, genome.successors
    above, below = depths(genome), heights(genome)
    # Alike vertices with the same neighbours may change places at will, so they are numbered at will.
    alike: Counter[object] = Counter()
    signatures: list[tuple[object, ...]] = []
    for place, vertex in enumerate(genome.vertices):
        twins = (vertex, before[place], behind[place])
        signatures.append((above[place], *vertex, below[place], len(before[place]), len(behind[place]), alike[twins]))
        alike[twins] += 1
    return _ranked(signatures)


def _ranked(signatures: Sequence[tuple[object, ...]]) -> Colours:
    """How many signatures are smaller than each."""
    colours = [0] * len(signatures)
    last: tuple[object, ...] = ()
    rank = 0
    for count, place in enumerate(sorted(range(len(signatures)), key=signatures.__getitem__)):
        if signatures[place] != last:
            last, rank = signatures[place], count
        colours[place] = rank
    return colours


class _Search:
    """Which numbering of a coloured graph is the canonical one: a walk through the tree of individualisations."""

    def __init__(self, before: Places, behind: Places, colours: Colours) -> None:
        self.before = before
        self.behind = behind
        self.first = colours
        self.left = _MOST_RANKINGS
        self.traces: list[tuple[tuple[int, int], ...]] = []  # of the best way so far, one for each level
        self.best: Colours | None = None
        self.best_path: tuple[int, ...] = ()
        self.symmetries: list[tuple[int, ...]] = []

    def ranks(self) -> Colours:
        """The place of each vertex in the canonical order."""
        colours = self.refined(self.first)
        if len(set(colours)) == len(colours):
            return colours
        self.descend(colours, ())
        assert self.best is not None
        return self.best

    def refined(self, colours: Colours) -> Colours:
        """The coarsest finer colouring in which vertices of one colour have neighbours of the same colours."""
        kinds = len(set(colours))
        while kinds < len(colours):
            self.left -= len(colours)
            if self.left < 0:
                raise RequestError(
                    f"genome: found {len(colours)} vertices in a pattern too regular to name, expected fewer"
                )
            colours = _ranked([self.signature(place, colours) for place in range(len(colours))])
            found = len(set(colours))
            if found == kinds:
                break
            kinds = found
        return colours

    def signature(self, place: int, colours: Colours) -> tuple[object, ...]:
        colour = colours.__getitem__
        return (colours[place], sorted(map(colour, self.before[place])), sorted(map(colour, self.behind[place])))

    def descend(self, colours: Colours, path: tuple[int, ...]) -> int:
        """Tries all ways on from a refined colouring; says down to which level of the path the walk may go back."""
        cell = _largest_cell(colours)
        if not cell:
            return self.arrive(colours, path)
        tried: list[int] = []
        for place in cell:
            if self.orbit(place, path) & set(tried):
                continue
            tried.append(place)
            # It keeps its rank; those that shared it come next.
            split = [c + (c == colours[place] and other != place) for other, c in enumerate(colours)]
            finer = self.refined(split)
            if self.is_hopeless(finer, len(path)):
                continue
            back = self.descend(finer, (*path, place))
            if back < len(path):
                return back
        return len(path)

    def is_hopeless(self, colours: Colours, level: int) -> bool:
        """Whether no way on is the best; notes the trace where it may be."""
        trace = self.edges(colours)
        if level < len(self.traces):
            if trace > self.traces[level]:
                return True
            if trace < self.traces[level]:
                del self.traces[level:]
                self.best = None
        if level == len(self.traces):
            self.traces.append(trace)
        return False

    def arrive(self, colours: Colours, path: tuple[int, ...]) -> int:
        """Compares a numbering, whose trace equals the best one's, so that it is the best or an image of it."""
        if self.best is None:
            self.best, self.best_path = colours, path
            return len(path)
        places = {rank: place for place, rank in enumerate(self.best)}
        self.symmetries.append(tuple(places[rank] for rank in colours))
        # All behind the fork of the two ways is mapped onto what was looked through there.
        return next(level for level, (one, other) in enumerate(zip(path, self.best_path, strict=True)) if one != other)

    def edges(self, colours: Colours) -> tuple[tuple[int, int], ...]:
        """The edges as pairs of colours, in order; of a numbering this is the graph."""
        return tuple(sorted((colours[tail], colours[head]) for head, own in enumerate(self.before) for tail in own))

    def orbit(self, place: int, fixed: tuple[int, ...]) -> set[int]:
        """Where the known symmetries that leave the path's vertices alone can carry a vertex."""
        useful = [symmetry for symmetry in self.symmetries if all(symmetry[own] == own for own in fixed)]
        found, waiting = {place}, [place]
        while waiting:
            here = waiting.pop()
            for symmetry in useful:
                if symmetry[here] not in found:
                    found.add(symmetry[here])
                    waiting.append(symmetry[here])
        return found


def _largest_cell(colours: Colours) -> list[int]:
    """The vertices of the commonest colour, the lowest of these; none where all colours differ."""
    cells: dict[int, list[int]] = {}
    for place, colour in enumerate(colours):
        cells.setdefault(colour, []).append(place)
    # Of the most regular graphs the largest cell makes by far the smallest trees.
    size, colour = max((len(cell), -colour) for colour, cell in cells.items())
    return cells[-colour] if size > 1 else []

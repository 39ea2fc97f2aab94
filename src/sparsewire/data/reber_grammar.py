"""Reber's grammar as a value: states, edges with letters, and which strings walk along them from start to end."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole

if TYPE_CHECKING:
    import networkx as nx

Edge: TypeAlias = tuple[int, str, int]

ALPHABET = "BTSXPVE"
_LABELS = "TPSXTVXSPV"  # of the ten edges below, in this order
_ENDS = ((1, 2), (1, 3), (2, 2), (2, 4), (3, 3), (3, 5), (4, 3), (4, 6), (5, 4), (5, 6))

# The labels of the eight automata of which the paper's false strings are walks, and how many of its 12,500 each made.
RELABELLED: Mapping[str, int] = MappingProxyType({
    "PTSXTVXSPV": 1500, "TPSXTVPVXS": 1500, "TPXSVTXSPV": 500, "TPTVSXXSPV": 2000,
    "ACDFJIHGLK": 2000, "MNOQWVURZY": 2000, "MNOQCAURFD": 1500, "QOMNCAURFD": 1500,
})  # fmt: skip


@dataclass(frozen=True)
class Automaton:
    """A deterministic automaton: a string is accepted if its letters are those of a walk from `start` to `end`.

    Args:
        edges: (state, letter, next state) each; states are any whole numbers. No two edges leave a state with the same
            letter, and none leaves `end`.
        start: where every walk begins.
        end: where every walk ends.

    Raises:
        RequestError: an edge is none, two cannot be told apart, or one leaves the end.

    Example:
        >>> laugh = Automaton(((0, "H", 1), (1, "A", 0), (1, "O", 2)), start=0, end=2)  # HO, HAHO, HAHAHO, …
        >>> laugh.accepts("HAHO"), laugh.accepts("HAH"), laugh.count(longest=6), sorted(laugh.ngrams(2))
        (True, False, 3, ['AH', 'HA', 'HO'])
    """

    edges: tuple[Edge, ...]
    start: int
    end: int

    def __post_init__(self) -> None:
        for state, letter, after in self.edges:
            if not (isinstance(letter, str) and len(letter) == 1 and "\0" < letter < "\x80"):
                raise RequestError(f"edges: found the letter {letter!r}, expected one ASCII character other than NUL")
            if state == self.end:
                raise RequestError(f"edges: found {state, letter, after}, expected none that leaves the end {self.end}")
        if len({edge[:2] for edge in self.edges}) < len(self.edges):
            raise RequestError("edges: found two with one letter that leave one state, expected a letter for each")

    @property
    def alphabet(self) -> str:
        """The letters on edges, each once, sorted."""
        return "".join(sorted({letter for _, letter, _ in self.edges}))

    def accepts(self, string: str) -> bool:
        """Whether the string's letters lead from the start to the end.

        Raises:
            RequestError: it is no string.
        """
        if not isinstance(string, str):
            raise RequestError(f"string: found {string!r}, expected a string of letters")
        after, state = self._after, self.start
        for letter in string:
            if (state, letter) not in after:
                return False
            state = after[state, letter]
        return state == self.end

    def counts(self, longest: int) -> list[dict[int, int]]:
        """How many strings of each length 0 … `longest` lead from each state to the end: a mapping for each length.

        Example:
            >>> [REBER.counts(8)[length].get(REBER.start, 0) for length in range(9)]  # BTXSE, BPVVE, …
            [0, 0, 0, 0, 0, 2, 3, 4, 7]
        """
        found = [{self.end: 1}]
        for _ in range(whole("longest", longest, least=0)):
            counted: dict[int, int] = {}
            for state, _, after in self.edges:
                if after in found[-1]:
                    counted[state] = counted.get(state, 0) + found[-1][after]
            found.append(counted)
        return found

    def count(self, shortest: int = 0, *, longest: int) -> int:
        """How many strings of `shortest` to `longest` letters are accepted, both included.

        Raises:
            RequestError: a length is no whole number of at least 0.

        Example:
            >>> REBER.count(11, longest=20)
            2404
        """
        lengths = self.counts(longest)[whole("shortest", shortest, least=0) :]
        return sum(counted.get(self.start, 0) for counted in lengths)

    def ngrams(self, n: int) -> frozenset[str]:
        """All sequences of n letters that occur in a walk, whether or not it can reach the end.

        Raises:
            RequestError: n is no whole number of at least 1.

        Example:
            >>> len(REBER.ngrams(1)), len(REBER.ngrams(2)), "VP" in REBER.ngrams(2), "PB" in REBER.ngrams(2)
            (7, 20, True, False)
        """
        walks = {("", state) for state, _, _ in self.edges}
        for _ in range(whole("n", n, least=1)):
            walks = {(text + letter, end) for text, at in walks for state, letter, end in self.edges if state == at}
        return frozenset(text for text, _ in walks)

    def graph(self) -> "nx.MultiDiGraph[int]":
        """The automaton as a networkx graph, whose edges bear their `letter`, to draw it or to compute with it.

        Example:
            >>> REBER.graph().number_of_nodes(), sorted(REBER.graph().edges(5, data="letter"))
            (8, [(5, 4, 'P'), (5, 6, 'V')])
        """
        import networkx as nx

        graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
        graph.add_nodes_from((self.start, self.end))
        for state, letter, after in self.edges:
            graph.add_edge(state, after, letter=letter)
        return graph

    @functools.cached_property
    def _after(self) -> dict[tuple[int, str], int]:
        return {(state, letter): after for state, letter, after in self.edges}


def relabelled(labels: str) -> Automaton:
    """The automaton of Reber's shape with other letters on its ten inner edges.

    Args:
        labels: the letters of 1→2, 1→3, 2→2, 2→4, 3→3, 3→5, 4→3, 4→6, 5→4, 5→6; Reber's are TPSXTVXSPV. What a string
            begins and ends with stays B and E.

    Raises:
        RequestError: there are not ten, or two that leave one state are the same.

    Example:
        >>> relabelled("ACDFJIHGLK").accepts("BADDFGE"), is_reber("BADDFGE")
        (True, False)
    """
    if not isinstance(labels, str) or len(labels) != len(_ENDS):
        raise RequestError(f"labels: found {labels!r}, expected {len(_ENDS)} letters such as {_LABELS!r}")
    inner = tuple((state, letter, after) for (state, after), letter in zip(_ENDS, labels, strict=True))
    return Automaton(((0, "B", 1), *inner, (6, "E", 7)), start=0, end=7)


def _embedded(pairs: tuple[str, ...]) -> Automaton:
    """B, a pair's first letter, a string of Reber's grammar, the pair's second letter, E."""
    edges: list[Edge] = [(0, "B", 1), (2, "E", 3)]
    for pair, shift in zip(pairs, (10, 20), strict=True):
        edges += [(1, pair[0], shift), (shift + REBER.end, pair[1], 2)]
        edges += [(state + shift, letter, after + shift) for state, letter, after in REBER.edges]
    return Automaton(tuple(edges), start=0, end=3)


REBER = relabelled(_LABELS)
EMBEDDED_REBER = _embedded(("TT", "PP"))
DISAGREEING_REBER = _embedded(("TP", "PT"))  # the embedded grammar's false strings


def is_reber(string: str, *, embedded: bool = False) -> bool:
    """Whether a string is one of Reber's grammar.

    A string of the grammar is a walk 0 → 7, each time along one of the edges

        0 -B→ 1;  1 -T→ 2, -P→ 3;  2 -S→ 2, -X→ 4;  3 -T→ 3, -V→ 5;  4 -X→ 3, -S→ 6;  5 -P→ 4, -V→ 6;  6 -E→ 7

    Args:
        string: any letters.
        embedded: ask for the embedded grammar: B, T or P, a string of Reber's grammar, **the same** T or P, E.

    Raises:
        RequestError: it is no string.

    Example:
        >>> is_reber("BPTVPXTTVVE"), is_reber("BTTPXPXTVPSE")  # the paper's examples
        (True, False)
        >>> is_reber("BTBPVVETE", embedded=True), is_reber("BTBPVVEPE", embedded=True)
        (True, False)

    Reference:
        A. S. Reber, "Implicit learning of artificial grammars", 1967; Stier, Darji, Granitzer (2021), Figure 4. The
        embedded grammar: S. Hochreiter, J. Schmidhuber, "Long short-term memory", 1997, section 5.1.
    """
    return (EMBEDDED_REBER if embedded else REBER).accepts(string)

"""Graphs in files: edge lists and GraphML, read as data from strangers, and written whole or not at all."""

import os
from collections.abc import Iterator
from pathlib import Path

from sparsewire.errors import DataError, RequestError
from sparsewire.files import write_aside
from sparsewire.structure.blocks import whole
from sparsewire.structure.graph_files_lists import edge_list_lines, read_edge_list
from sparsewire.structure.graph_files_xml import graphml_lines, read_graphml
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.labelled_edges import layers_of_labelled

LISTS = (".edges", ".edgelist", ".txt", ".tsv", ".csv")
XML = (".graphml", ".xml")
# A million edges are some 14 MB as a list and 60 MB as GraphML.
_MOST_BYTES = 4 << 30


def read_graph(path: str | os.PathLike[str], *, most_edges: int = 20_000_000) -> NetGraph:
    r"""The graph in a file, in layers; every edge is led from its lower to its higher node, as by `from_networkx`.

    The end of the name says what it is: .edges, .edgelist, .txt, .tsv or .csv is a list with one edge a line, "source
    target" or "source target weight", between them blanks, a comma or a semicolon; lines that begin with # or % are
    comments, and a line of one label is a node. A first line that names the columns is left out: "source,target" and
    the like, one that ends in "weight", and two words that are the only labels without a number. .graphml or .xml is
    GraphML of one graph.

    Where all labels are whole numbers, an edge leads from the smaller to the larger. Between other labels edges keep
    their direction in a list, and in GraphML with edgedefault="directed"; in undirected GraphML they lead from the node
    that comes first in the file. Layers are longest paths from a source, or those that all nodes state ("layer" in
    GraphML, the comment that `write_graph` puts into a list).

    Args:
        path: the file. Nothing in it is run; document types and entities are refused.
        most_edges: how many edges, and how many nodes, it may have at most; at least 1.

    Raises:
        RequestError: the end of the name is none of these, or `most_edges` is out of its range.
        DataError: there is no such file, or it is no such graph; the message names the line.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "small.edges"
        >>> _ = path.write_text("0 2\n2 3\n1 3\n0 3\n")
        >>> read_graph(path)
        NetGraph(2-1-1, 4 edges, density 0.8)

    Reference: Brandes and others 2002, "GraphML progress report", and GraphML's primer.
    """
    suffix = _checked_suffix(path)
    most = whole("most_edges", most_edges, least=1)
    target = Path(path)
    shown = os.fspath(path)
    try:
        if not target.exists():
            raise DataError(f"no graph at {shown}: there is no such file")
        if not target.is_file():
            raise DataError(f"cannot read a graph from {shown}: it is no regular file")
        if target.stat().st_size > _MOST_BYTES:
            raise DataError(f"cannot read a graph from {shown}: it is larger than {_MOST_BYTES >> 30} GiB")
        with target.open("rb") as file:
            graph, lines = read_graphml(file, shown, most) if suffix in XML else read_edge_list(file, shown, most)
    except OSError as cause:
        raise DataError(f"cannot read a graph from {shown}: {cause.strerror or cause}") from cause

    def fault(text: str, edge: int) -> DataError:
        return DataError(f"{shown}: {text}" if edge < 0 else f"{shown}, line {lines[edge]}: {text}")

    return NetGraph(*layers_of_labelled(graph, fault))


def write_graph(graph: NetGraph, path: str | os.PathLike[str]) -> None:
    """Writes a graph as a file that `read_graph` gives back, equal; nodes are numbered layer by layer.

    Lists state the weights only if one is not 1, and the layers, in a comment, only if they are not what the edges say.
    Blocks without edges are not kept.

    Args:
        graph: what is written.
        path: where; the end of the name says how, as for `read_graph`.

    Raises:
        RequestError: the end of the name is none that `read_graph` knows, or a weight is not finite.
        DataError: the file cannot be written; what was there before is untouched.

    Example:
        >>> import tempfile
        >>> from scipy.sparse import csr_array
        >>> path = Path(tempfile.mkdtemp()) / "small.csv"
        >>> graph = NetGraph((2, 1), {(0, 1): csr_array([[1.0, 0.5]])})
        >>> write_graph(graph, path)
        >>> path.read_text().split(), read_graph(path) == graph
        (['source,target,weight', '0,2,1.0', '1,2,0.5'], True)
    """
    suffix = _checked_suffix(path)
    if not isinstance(graph, NetGraph):
        raise RequestError(
            f"graph: found {type(graph).__name__}, expected a NetGraph; NetGraph.from_networkx makes one"
        )
    separator = {".csv": ",", ".tsv": "\t"}.get(suffix, " ")
    lines: Iterator[str]
    lines = graphml_lines(graph) if suffix in XML else edge_list_lines(graph, separator, named=suffix == ".csv")

    def write(aside: Path) -> None:
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)

    write_aside(path, write, DataError)


def _checked_suffix(path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise RequestError(f"path: found {path!r}, expected the path of a file")
    suffix = Path(path).suffix.lower()
    if suffix not in LISTS + XML:
        known = ", ".join(LISTS + XML)
        raise RequestError(f"path: found {os.fspath(path)}, expected a name that ends in one of {known}")
    return suffix

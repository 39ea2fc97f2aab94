"""Genomes as text and in files, read as data from strangers; files are written whole or not at all."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from sparsewire.errors import DataError, RequestError
from sparsewire.files import write_aside
from sparsewire.search.genome_graphml import genome_from_graphml, graphml_of_genome
from sparsewire.search.genotype import Edge, Genome, Vertex, checked_genome, ordered
from sparsewire.search.isomorphism import one_line

FORMATS = (".json", ".graphml")
_MOST_VERTICES = 1024
_MOST_EDGES = 1 << 14
_MOST_CHANNELS = 1 << 20
_MOST_BYTES = 1 << 20  # of a file; the largest genome takes half of it


def genome_text(genome: Genome) -> str:
    """The genome as one line of JSON, in its own numbering; `genome_from_text` gives an equal one back.

    The text of `canonical(genome)` is the same for all isomorphic genomes.

    Raises:
        RequestError: it is no genome, or larger than `genome_from_text` takes.

    Example:
        >>> genome_text(Genome((Vertex("conv3", 16), Vertex("sum")), ((0, 1),)))
        '{"vertices":[["conv3",16],["sum"]],"edges":[[0,1]]}'
    """
    if excess := _excess(checked_genome("genome", genome).vertices, genome.edges):
        raise RequestError(f"genome: {excess}")
    return one_line(genome.vertices, genome.edges)


def genome_from_text(text: str) -> Genome:
    """The genome in a line of JSON as `genome_text` writes it.

    Args:
        text: {"vertices": [[operation, channels], [operation], …], "edges": [[from, to], …]}. Nothing in it is run; at
            most 1,024 vertices, 16,384 edges and 1,048,576 channels.

    Raises:
        DataError: it is no such text; the message is one line.

    Example:
        >>> genome_from_text('{"vertices": [["skip"], ["sum"]], "edges": [[0, 1]]}').depth
        2
    """
    if not isinstance(text, str) or len(text) > _MOST_BYTES:
        found = f"{len(text):,} characters" if isinstance(text, str) else f"{text!r:.60}"
        raise DataError(f"genome: found {found}, expected a text of at most {_MOST_BYTES:,} characters")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise DataError(f"genome: found {text[:40]!r}, expected JSON with vertices and edges: {cause!s:.80}") from None
    if not isinstance(found, dict) or set(found) != {"vertices", "edges"}:
        shown = sorted(found) if isinstance(found, dict) else type(found).__name__
        raise DataError(f"genome: found {shown!s:.80}, expected an object with vertices and edges")
    return _genome(_listed("vertices", found["vertices"], (1, 2)), _listed("edges", found["edges"], (2,)))


def write_genome(genome: Genome, path: str | os.PathLike[str]) -> None:
    """Writes a genome as a file that `read_genome` gives back, equal.

    Args:
        genome: what is written.
        path: where; its name ends in .json (the line of `genome_text`) or .graphml (nodes with "operation" and
            "channels", which networkx, Gephi and others read).

    Raises:
        RequestError: the name ends otherwise, or it is no genome.
        DataError: the file cannot be written; what was there before is untouched.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "best.graphml"
        >>> genome = Genome((Vertex("conv3", 16), Vertex("sum")), ((0, 1),))
        >>> write_genome(genome, path)
        >>> read_genome(path) == genome
        True
    """
    suffix = _checked_suffix(path)
    line = genome_text(genome)
    text = line + "\n" if suffix == ".json" else graphml_of_genome(genome)

    def write(aside: Path) -> None:
        aside.write_text(text, encoding="utf-8", newline="\n")

    write_aside(path, write, DataError)


def read_genome(path: str | os.PathLike[str]) -> Genome:
    """The genome in a file, as `write_genome` writes it, or as networkx or Gephi saved it again.

    Args:
        path: a name that ends in .json or .graphml. Nothing in the file is run; document types are refused. Nodes may
            stand in any order, where edges lead one way.

    Raises:
        RequestError: the name ends otherwise.
        DataError: there is no such file, or it holds no genome; the message is one line and names the file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "best.json"
        >>> _ = path.write_text('{"vertices": [["conv3", 16], ["sum"]], "edges": [[0, 1]]}')
        >>> len(read_genome(path))
        2
    """
    suffix = _checked_suffix(path)
    shown = os.fspath(path)
    try:
        if not Path(path).is_file():
            reason = "it is no regular file" if Path(path).exists() else "there is no such file"
            raise DataError(f"cannot read a genome from {shown}: {reason}")
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise DataError(f"cannot read a genome from {shown}: it is larger than {_MOST_BYTES:,} bytes")
    except OSError as cause:
        raise DataError(f"cannot read a genome from {shown}: {cause.strerror or cause}") from cause
    try:
        if suffix == ".graphml":
            return _genome(*genome_from_graphml(content, _MOST_EDGES), make=ordered)
        return genome_from_text(content.decode("utf-8").strip())
    except UnicodeDecodeError:
        raise DataError(f"cannot read a genome from {shown}: it is no text in UTF-8") from None
    except DataError as cause:
        raise DataError(f"{shown}{str(cause).removeprefix('genome')}") from None


def _genome(
    vertices: Sequence[Sequence[object]],
    edges: Sequence[Sequence[object]],
    make: Callable[[Sequence[Vertex], Sequence[Edge]], Genome] = Genome,  # type: ignore[assignment]
) -> Genome:
    if excess := _excess(vertices, edges):
        raise DataError(f"genome: {excess}")
    try:
        # A wrong type is refused by the genome itself, which says what it expects.
        return make(
            tuple(Vertex(*vertex) for vertex in vertices),  # type: ignore[arg-type]
            tuple((tail, head) for tail, head in edges),  # type: ignore[misc]
        )
    except RequestError as cause:
        raise DataError(f"genome: {cause!s:.300}") from None


def _listed(name: str, found: object, lengths: tuple[int, ...]) -> list[list[object]]:
    if not isinstance(found, list):
        raise DataError(f"genome: found {name} of {type(found).__name__}, expected a list")
    for entry in found:
        if not isinstance(entry, list) or len(entry) not in lengths:
            expected = "[from, to]" if name == "edges" else "[operation] or [operation, channels]"
            raise DataError(f"genome: found {entry!r:.60} among the {name}, expected {expected}")
    return found


def _excess(vertices: Sequence[Sequence[object]], edges: Sequence[object]) -> str:
    """Of what there is too much, "" where all is within."""
    if len(vertices) > _MOST_VERTICES or len(edges) > _MOST_EDGES:
        found = f"{len(vertices):,} vertices and {len(edges):,} edges"
        return f"found {found}, expected at most {_MOST_VERTICES:,} and {_MOST_EDGES:,}"
    largest = max((channels for _, *more in vertices for channels in more if isinstance(channels, int)), default=0)
    if largest > _MOST_CHANNELS:
        return f"found {largest:,} channels, expected at most {_MOST_CHANNELS:,}"
    return ""


def _checked_suffix(path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise RequestError(f"path: found {path!r}, expected the path of a file")
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise RequestError(f"path: found {os.fspath(path)}, expected a name that ends in {' or '.join(FORMATS)}")
    return suffix

"""Graphs as lists of edges, one a line."""

import csv
import math
import re
from collections.abc import Hashable, Iterator
from typing import BinaryIO

import numpy as np

from sparsewire.errors import DataError, RequestError
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.labelled_edges import LabelledEdges
from sparsewire.structure.layering import longest_paths, numbered_edges

_LONGEST_LINE = 1 << 16  # bytes
_LAYERS = "sparsewire layers"
_HEADS = {("source", "target"), ("from", "to"), ("u", "v"), ("src", "dst"), ("tail", "head")}
# What networkx's write_edgelist puts behind an edge.
_ATTRIBUTES = re.compile(r"\{(?:.*(?P<quote>['\"])weight(?P=quote) *: *(?P<weight>[^,}]*))?.*\}")
_EMPTY = "found an empty label, expected the two ends of an edge"
_NUMBER = re.compile(r"-?[0-9]{1,40}")


def read_edge_list(file: BinaryIO, shown: str, most: int) -> tuple[LabelledEdges, list[int]]:
    r"""The edges in the lines of a file, and the line of each.

    Args:
        file: opened for reading bytes.
        shown: its name in errors.
        most: how many edges, and how many nodes, there may be.

    Raises:
        DataError: a line is no edge; it is named.

    Example:
        >>> import io
        >>> graph, lines = read_edge_list(io.BytesIO(b"# two\na b\nb,c,0.5\n"), "list", 10)
        >>> graph.labels, graph.weights.tolist(), lines
        (['a', 'b', 'c'], [1.0, 0.5], [2, 3])
    """
    places: dict[Hashable, int] = {}
    ends: list[int] = []
    weights: list[float] = []
    lines: list[int] = []
    sizes: list[int] = []
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        try:
            fields = _fields(line, is_first=not places)
            if fields and fields[0] == _LAYERS:
                sizes = _layer_sizes(fields[1:], most)
            elif fields:
                for label in fields[:2]:
                    place = places.setdefault(_label(label), len(places))
                    if len(fields) > 1:
                        ends.append(place)
                if len(fields) > 1:
                    weights.append(_weight(fields[2]) if len(fields) == 3 else 1.0)
                    lines.append(number)
            if max(len(lines), len(places)) > most:
                raise ValueError(f"there are more than {most:,} edges or nodes; most_edges= allows more")
        except (ValueError, csv.Error) as cause:
            raise DataError(f"{shown}, line {number}: {cause}") from None
    _leave_out_names(places, ends, weights, lines)
    stated = _stated(places, sizes, shown)
    columns = (np.array(ends[::2], np.int64), np.array(ends[1::2], np.int64), np.array(weights, np.float64))
    return LabelledEdges(list(places), *columns, directed=True, stated=stated), lines


def edge_list_lines(graph: NetGraph, separator: str, *, named: bool) -> Iterator[str]:
    r"""The lines of a graph's list of edges; the first names the columns if `named`.

    Raises:
        RequestError: a weight is not finite.

    Example:
        >>> from scipy.sparse import csr_array
        >>> list(edge_list_lines(NetGraph((1, 1, 1), {(0, 2): csr_array([[1.0]])}), " ", named=False))
        ['# sparsewire layers 1 1 1\n', '0 2\n']
    """
    low, high, values = numbered_edges(graph.sizes, graph.blocks)
    if not np.isfinite(values).all():
        raise RequestError("graph: found a weight that is not finite, which no list can hold")
    order = np.lexsort((high, low))
    columns = [low[order].tolist(), high[order].tolist()]
    names = ["source", "target"]
    if (values != 1).any():
        columns.append(values[order].astype(np.float64).tolist())
        names.append("weight")
    return _lines(graph, [separator.join(names) + "\n"] if named else [], columns, separator)


def _lines(graph: NetGraph, first: list[str], columns: list[list[float]], separator: str) -> Iterator[str]:
    nodes = sum(graph.sizes)
    low, high = (np.array(column, np.int64) for column in columns[:2])
    layer = np.repeat(np.arange(len(graph.sizes)), graph.sizes)
    is_told = np.bincount(low, minlength=nodes) + np.bincount(high, minlength=nodes)
    if not is_told.all() or not np.array_equal(layer, longest_paths(nodes, low, high)):
        yield f"# {_LAYERS} {' '.join(map(str, graph.sizes))}\n"
    yield from first
    for edge in zip(*columns, strict=True):
        yield separator.join(map(str, edge)) + "\n"


def _fields(line: bytes, *, is_first: bool) -> list[str]:
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"the line is longer than {_LONGEST_LINE:,} bytes, expected an edge")
    try:
        told = line.decode().removeprefix("\ufeff").strip(" \r\n")
    except UnicodeDecodeError:
        raise ValueError("found bytes that are no UTF-8 text, expected an edge such as 0 5") from None
    text = told.strip()
    if not text:
        return []
    if text[0] in "#%":
        words = text[1:].split()
        return [_LAYERS, *words[2:]] if words[:2] == _LAYERS.split() else []
    if text[-1] == "}":  # attributes may hold blanks and commas
        edge, _, rest = text.partition("{")
        fields = [*re.split(r"[\s,;]+", edge.rstrip(" \t,;")), "{" + rest]
    elif '"' in text:
        fields = next(csv.reader([text], delimiter=";" if ";" in text and "," not in text else ",", strict=True))
    else:
        fields = re.split(r"\s*[,;]\s*|\s+", text) if "," in text or ";" in text else text.split()
    if (told[0] == "\t" and (len(fields) == 1 or "\t" in text)) or (told[-1] == "\t" and len(fields) == 1):
        raise ValueError(_EMPTY)  # tabs part the fields here, and one has nothing before or behind it
    if is_first and (tuple(field.lower() for field in fields[:2]) in _HEADS or _is_weight(fields[2:])):
        return []
    if len(fields) > 3:
        raise ValueError(f"found {len(fields)} fields, expected source, target and perhaps a weight")
    return fields


def _is_weight(fields: list[str]) -> bool:
    return [field.lower() for field in fields] == ["weight"]


def _leave_out_names(places: dict[Hashable, int], ends: list[int], weights: list[float], lines: list[int]) -> None:
    """Takes out a first edge between two words where all other labels are numbers: it names the columns."""
    words = [label for label in places if not isinstance(label, int)]
    if len(words) != 2 or words != list(places)[:2] or ends[:2] != [0, 1] or min(ends[2:], default=0) < 2:
        return
    for word in words:
        del places[word]
    places.update({label: place - 2 for label, place in places.items()})
    ends[:] = [place - 2 for place in ends[2:]]
    del weights[0], lines[0]


def _label(text: str) -> Hashable:
    if not text:
        raise ValueError(_EMPTY)
    return int(text) if _NUMBER.fullmatch(text) else text


def _weight(text: str) -> float:
    if text[:1] == "{":
        found = _ATTRIBUTES.fullmatch(text)
        if found and found["weight"] is None and not re.search(r"(['\"])weight\1", text):
            return 1.0
        text = found["weight"] if found and found["weight"] else text
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise ValueError(f"the weight is {text[:40]!r}, expected a finite number")
    return weight


def _layer_sizes(words: list[str], most: int) -> list[int]:
    sizes = [int(word) for word in words if _NUMBER.fullmatch(word)]
    if not sizes or len(sizes) < len(words) or min(sizes) < 1 or sum(sizes) > most:
        raise ValueError(
            f"the layers are {' '.join(words)[:40]!r}, expected sizes of at least 1, at most {most:,} in all"
        )
    return sizes


def _stated(places: dict[Hashable, int], sizes: list[int], shown: str) -> list[object]:
    """The layer of each label; nodes without edges get theirs."""
    if not sizes:
        return [None] * len(places)
    nodes = sum(sizes)
    if any(not isinstance(label, int) or not 0 <= label < nodes for label in places):
        raise DataError(f"{shown}: the layers it states have {nodes} nodes, expected labels 0 to {nodes - 1}")
    for label in range(nodes):
        places.setdefault(label, len(places))
    layer = np.repeat(np.arange(len(sizes)), sizes)
    return list(layer[np.fromiter(places, np.int64, nodes)].tolist())

"""Blocks: the edges between two layers of a graph as one scipy CSR matrix of shape (out, in)."""

import operator
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from sparsewire.errors import RequestError

Array = NDArray[Any]
Flags = NDArray[np.bool_]
Junction = tuple[int, int]
Block = sparse.csr_array[Any, tuple[int, int]]


def block_of_edges(targets: Array, sources: Array, values: Array, shape: tuple[int, int]) -> Block:
    """The block with these edges, also those of value zero.

    Args:
        targets: target neuron of each edge, in any order.
        sources: source neuron of each edge.
        values: one value an edge.
        shape: (out, in).

    Example:
        >>> block_of_edges(np.array([1, 0]), np.array([0, 2]), np.array([5.0, 0.0]), (2, 3)).nnz
        2
    """
    order = np.lexsort((sources, targets))
    return block_of_sorted(targets[order], sources[order], values[order], shape)


def block_of_sorted(targets: Array, sources: Array, values: Array, shape: tuple[int, int]) -> Block:
    """The same for edges that are in order already: row by row, in each row by source."""
    # Built by hand: scipy's own conversions would add up edges that are given twice and leave out none silently.
    pointers = np.concatenate([[0], np.cumsum(np.bincount(targets, minlength=shape[0]))])
    return sparse.csr_array((values, sources, pointers), shape=shape)


def ends(block: Block) -> tuple[Array, Array]:
    """The target and the source neuron of each edge, in the order in which the block stores them.

    Example:
        >>> ends(sparse.csr_array([[0.0, 3.0], [4.0, 5.0]]))
        (array([0, 1, 1]), array([1, 0, 1], dtype=int32))
    """
    return np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)), block.indices


def same(block: Block, other: Block) -> bool:
    """Whether two blocks have the same shape, edges and values, whatever the number format."""
    return block.shape == other.shape and all(
        np.array_equal(getattr(block, part), getattr(other, part)) for part in ("indptr", "indices", "data")
    )


def checked_sizes(sizes: Iterable[int]) -> tuple[int, ...]:
    """The sizes of layers as ints.

    Raises:
        RequestError: it is no such list, there is none, or one is not a whole number of at least 1.
    """
    try:
        listed = None if isinstance(sizes, str | bytes | Mapping) else tuple(sizes)
    except TypeError:  # arrays of no dimension say that they can be gone through
        listed = None
    if listed is None:
        raise RequestError(f"sizes: found {sizes!r:.60}, expected the neurons of each layer, such as (784, 100, 10)")
    if not listed:
        raise RequestError("sizes: found none, expected the number of neurons of at least one layer")
    return tuple(whole(f"sizes[{layer}]", size, least=1) for layer, size in enumerate(listed))


def checked_blocks(blocks: Mapping[Junction, Any], sizes: tuple[int, ...]) -> dict[Junction, Block]:
    """Copies of the blocks, in the order of (source, target), sorted inside, and locked.

    Raises:
        RequestError: it is no mapping; a junction, a type, a shape or an index is impossible, or an edge there twice.
    """
    if not isinstance(blocks, Mapping):
        raise RequestError(
            f"blocks: found {type(blocks).__name__}, expected a mapping (source layer, target layer) → scipy sparse "
            "matrix; {} for no edges"
        )
    locked: dict[Junction, Block] = {}
    for junction, block in blocks.items():
        source, target = _checked_junction(junction, len(sizes))
        locked[source, target] = _locked(f"blocks[{source}, {target}]", block, (sizes[target], sizes[source]))
    return dict(sorted(locked.items()))


def whole(argument: str, value: object, least: int) -> int:
    """The value as an int, where it is a whole number of at least `least`.

    Raises:
        RequestError: it is not; the message begins with the argument's name.

    Example:
        >>> whole("paths", np.int64(3), least=1)
        3
    """
    try:
        number = least - 1 if isinstance(value, bool | np.bool_) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least:
        raise RequestError(f"{argument}: found {value!r}, expected a whole number of at least {least}")
    return number


def checked_generator(generator: object) -> torch.Generator:
    """The generator itself; nothing here draws from the global seed.

    Raises:
        RequestError: it is none.
    """
    if not isinstance(generator, torch.Generator):
        raise RequestError(f"generator: found {generator!r}, expected one; pass torch.Generator().manual_seed(0)")
    return generator


def _checked_junction(junction: Collection[int], layers: int) -> Junction:
    if isinstance(junction, tuple) and len(junction) == 2:
        source, target = junction
        if source in range(layers) and target in range(layers) and source < target:
            return int(source), int(target)
    raise RequestError(
        f"blocks: found the key {junction!r}, expected (source layer, target layer) "
        f"with source < target and both among the layers 0 to {layers - 1}"
    )


def _locked(name: str, block: Any, shape: tuple[int, int]) -> Block:
    is_sparse: bool = sparse.issparse(block)
    if not is_sparse or block.shape != shape:
        found = f"shape {block.shape}" if is_sparse else type(block).__name__
        raise RequestError(
            f"{name}: found {found}, expected a scipy sparse matrix of shape {shape} = (neurons of the target, "
            "neurons of the source layer)"
        )
    if block.dtype.kind not in "fiub":
        raise RequestError(f"{name}: found values of type {block.dtype}, expected real numbers")
    copy: Block = sparse.csr_array(block, copy=True, dtype=_value_type(block.dtype))
    try:
        copy.check_format(full_check=True)
    except ValueError as cause:
        raise RequestError(f"{name}: is no proper CSR matrix: {cause}") from cause
    copy.sort_indices()
    if not copy.has_canonical_format:
        raise RequestError(f"{name}: stores an edge more than once; add them up first, with .sum_duplicates()")
    for part in (copy.data, copy.indices, copy.indptr):
        part.flags.writeable = False
    return copy


def _value_type(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    return np.float32 if dtype in (np.float32, np.bool_) else np.float64

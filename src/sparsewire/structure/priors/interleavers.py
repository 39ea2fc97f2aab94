"""Clash-free patterns: what hardware with several memories, each read once a cycle, can process without waiting.

The left neurons lie in z memories: neuron t·z + v in memory v at address t. In a cycle one neuron of each memory is
read, for z edges; after n_in / z cycles, a *sweep*, each left neuron was read once, and fan_out sweeps are all edges.
Edge number e, in the order of reading, goes to right neuron e // fan_in.
"""

from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import checked_generator, whole
from sparsewire.structure.degrees import Degrees, degrees
from sparsewire.structure.priors.trades import number_stream

Counts = NDArray[np.int64]


def interleaved(
    n_in: int,
    n_out: int,
    fan_out: int,
    memories: int,
    *,
    kind: int = 1,
    dither: bool = False,
    generator: torch.Generator,
) -> Tensor:
    """A random clash-free pattern: regular, without repeated edges, and readable from so many memories at a time.

    Args:
        n_in: left neurons, at least 1.
        n_out: right neurons, at least 1.
        fan_out: edges of each left neuron, from 1 to n_out, a multiple of n_out / gcd(n_in, n_out).
        memories: how many hold the left neurons and are read in each cycle (z); a divisor of n_in.
        kind: in which order a memory is read: 1 = in each sweep a new random one; 2 = in each sweep from a new random
            start address upwards, and round; 3 = likewise, from the same start in all sweeps.
        dither: whether the memories are read in a random order in a cycle: a new one in each sweep, for kind 3 the same
            in all; otherwise memory v gives a cycle's edge number v.
        generator: where the pattern comes from; one draw is taken of it.

    Returns:
        A bool tensor of shape (n_out, n_in), in the CPU's memory; `True` = an edge.

    Raises:
        RequestError: no such pattern is regular, the memories do not divide the left neurons (the message names the
            nearest requests), or an argument is out of its range.

    Example:
        >>> pattern = interleaved(12, 8, 2, 4, generator=torch.Generator().manual_seed(0))
        >>> pattern.sum(0).unique(), pattern.sum(1).unique()
        (tensor([2]), tensor([3]))

    Reference: Dey, Huang, Beerel and Chugg 2019, "Pre-defined sparse neural networks with hardware acceleration",
    section on clash-free patterns. There a right neuron whose edges come from two sweeps may get the same left neuron
    twice, which loses an edge; here what the second sweep reads first avoids what the neuron has, for all sizes.
    """
    asked = degrees(n_in, n_out, fan_out=fan_out)
    sources = read_order(n_in, n_out, fan_out, memories, kind=kind, dither=dither, generator=generator)
    pattern = torch.zeros(asked.n_out, asked.n_in, dtype=torch.bool)
    pattern[torch.arange(asked.edges) // asked.fan_in[0], sources] = True
    return pattern


def read_order(
    n_in: int,
    n_out: int,
    fan_out: int,
    memories: int,
    *,
    kind: int = 1,
    dither: bool = False,
    generator: torch.Generator,
) -> Tensor:
    """The left neuron of each edge of `interleaved`, in the order of reading: int64, shape (edges,).

    Edge e belongs to right neuron e // fan_in and is read in cycle e // memories.

    Args: as `interleaved`.

    Raises:
        RequestError: as `interleaved`.

    Example:
        >>> order = read_order(6, 3, 1, 2, kind=3, generator=torch.Generator().manual_seed(0))
        >>> order.reshape(-1, 2) % 2
        tensor([[0, 1], [0, 1], [0, 1]])
    """
    asked = degrees(n_in, n_out, fan_out=fan_out)
    memories = _checked_memories(memories, asked.n_in)
    if isinstance(kind, bool) or not isinstance(kind, Integral) or kind not in (1, 2, 3):
        raise RequestError(f"kind: found {kind!r}, expected 1, 2 or 3")
    if not isinstance(dither, bool):
        raise RequestError(f"dither: found {dither!r}, expected True or False")
    stream = number_stream(checked_generator(generator))
    depth = asked.n_in // memories
    sweep = _first_sweep(memories, depth, kind, dither, stream)
    sources = np.empty((asked.fan_out[0], depth, memories), np.int64)
    for number in range(asked.fan_out[0]):
        if number and kind != 3:
            sweep = _next_sweep(sweep, _shared_neuron(number, asked), kind, dither, stream)
        sources[number] = (sweep.addresses[sweep.memories] * memories + sweep.memories[:, None]).T
    return torch.from_numpy(sources.reshape(-1))


class _Sweep(NamedTuple):
    """In which order each memory's addresses are read, shape (memories, depth), and the memories in each cycle."""

    addresses: Counts
    memories: Counts


def _first_sweep(memories: int, depth: int, kind: int, dither: bool, stream: np.random.Generator) -> _Sweep:
    order = stream.permutation(memories) if dither else np.arange(memories)
    if kind == 1:
        return _Sweep(stream.permuted(np.tile(np.arange(depth), (memories, 1)), axis=1), order)
    return _Sweep((stream.integers(depth, size=(memories, 1)) + np.arange(depth)) % depth, order)


def _shared_neuron(number: int, asked: Degrees) -> tuple[int, int]:
    """How many edges of one right neuron are the last of the sweep before and the first of this one; (0, 0): none."""
    last = number * asked.n_in % asked.fan_in[0]
    return (last, asked.fan_in[0] - last) if last else (0, 0)


def _next_sweep(
    before: _Sweep, shared: tuple[int, int], kind: int, dither: bool, stream: np.random.Generator
) -> _Sweep:
    """A sweep whose first reads repeat none of the last ones before it, where one right neuron gets both."""
    memories, depth = before.addresses.shape
    order = _next_memories(before.memories, shared, depth, stream) if dither else before.memories
    position = np.arange(memories)
    last, first = np.empty(memories, np.int64), np.empty(memories, np.int64)
    last[before.memories] = shared[0] // memories + (position >= memories - shared[0] % memories)
    first[order] = shared[1] // memories + (position < shared[1] % memories)
    if kind == 1:
        return _Sweep(_avoiding(before.addresses, last, first, stream), order)
    # Upwards from the old start comes all that was not read last; a new start leaves room for what is read first.
    choices = np.minimum(depth, depth - last - first + 1)
    starts = before.addresses[:, 0] + stream.integers(choices)
    return _Sweep((starts[:, None] + np.arange(depth)) % depth, order)


def _next_memories(before: Counts, shared: tuple[int, int], depth: int, stream: np.random.Generator) -> Counts:
    memories = before.size
    (last_whole, last), (first_whole, first) = (divmod(count, memories) for count in shared)
    if last_whole + first_whole + 2 <= depth or not last or not first:
        return stream.permutation(memories)
    # A memory read one time more at the end and one time more at the start would have to repeat an address. In this
    # case last + first ≤ memories, as fan_in ≤ n_in, so that others can come first.
    others, late = stream.permutation(before[: memories - last]), before[memories - last :]
    return np.concatenate([others[:first], stream.permutation(np.concatenate([others[first:], late]))])


def _avoiding(before: Counts, last: Counts, first: Counts, stream: np.random.Generator) -> Counts:
    """Random orders whose `first` first addresses are not among the `last` last ones before, each row for itself."""
    place = np.arange(before.shape[1])
    was_late = np.empty(before.shape, np.bool_)
    np.put_along_axis(was_late, before, place >= before.shape[1] - last[:, None], axis=1)
    order = np.argsort(stream.random(before.shape) + was_late, axis=1)
    keys = np.where(place < first[:, None], -1.0, stream.random(before.shape))
    return np.take_along_axis(order, np.argsort(keys, axis=1, kind="stable"), axis=1)


def _checked_memories(memories: object, n_in: int) -> int:
    try:
        asked = whole("memories", memories, least=1)
    except RequestError as cause:
        raise RequestError(f"{cause}; the nearest request is 1") from None
    if n_in % asked == 0:
        return asked
    below = next(number for number in range(min(asked, n_in), 0, -1) if n_in % number == 0)
    above = [number for number in range(asked + 1, n_in + 1) if n_in % number == 0][:1]
    requests = "requests are" if above else "request is"
    raise RequestError(
        f"memories: found {asked}, expected a divisor of n_in = {n_in}, so that all hold as many neurons; the nearest "
        f"{requests} {' and '.join(map(str, [below, *above]))}"
    )

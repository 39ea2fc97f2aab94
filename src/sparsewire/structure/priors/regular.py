"""Regular patterns: every left neuron has the same number of edges, and so has every right one."""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sparsewire.kernels.row_trades import Start, dealt, traded_lists, traded_pattern
from sparsewire.structure.blocks import Block, checked_generator
from sparsewire.structure.degrees import Degrees, degrees
from sparsewire.structure.priors.trades import checked_labels, rounds_to_mix, seeds

# Up to this density rows are dealt sooner than orderly ones are mixed.
_DEALT = 1 / 16
# Dealt rows are so near to uniform that no test told them apart at this density: in the 4-cycles of 128 × 128 and of
# 512 × 512 neurons they are a twentieth of a standard deviation off (8,000 and 500 patterns). Each of these rounds
# leaves a quarter of that.
_DEALT_ROUNDS = 2
# From this density on all places, a byte each, are less to handle than lists.
_DENSE = 1 / 8


def fixed_degree(n_in: int, n_out: int, fan_out: int, *, uneven: bool = False, generator: torch.Generator) -> Tensor:
    """A random pattern in which each left neuron has `fan_out` edges and each right neuron n_in · fan_out / n_out.

    All patterns with these degrees are equally probable as far as tests can tell; none has an edge twice.

    Args:
        n_in: left neurons, at least 1.
        n_out: right neurons, at least 1.
        fan_out: edges of each left neuron, from 1 to n_out, a multiple of n_out / gcd(n_in, n_out).
        uneven: whether another fan-out is met as evenly as possible: it is exact for the left neurons, and the fan-ins
            of the right ones differ by at most one. `degrees` with the same arguments says what comes out.
        generator: where the pattern comes from; one draw is taken of it.

    Returns:
        A bool tensor of shape (n_out, n_in), as a weight's mask; `True` = an edge. It lies in the CPU's memory.

    Raises:
        RequestError: no such pattern is regular (the message names the nearest fan-outs that are), or an argument is
            out of its range.

    Example:
        >>> pattern = fixed_degree(8, 4, 2, generator=torch.Generator().manual_seed(0))
        >>> pattern.sum(0).tolist(), pattern.sum(1).tolist()
        ([2, 2, 2, 2, 2, 2, 2, 2], [4, 4, 4, 4])

    Reference: Dey, Huang, Beerel and Chugg 2018, section 2: random patterns of fixed degrees. Their sampler fills one
    right neuron after another and does not reach all patterns equally often; here edges are dealt, like a shuffled pack
    of cards, or laid out in order, and then the rows trade (`priors/trades.py`).
    """
    return torch.from_numpy(traded_pattern(*_start(_checked(n_in, n_out, fan_out, uneven), generator)))


def fixed_degree_edges(
    n_in: int, n_out: int, fan_out: int, *, uneven: bool = False, generator: torch.Generator
) -> Block:
    """The same as a list of edges: a block of a `NetGraph`, all values one, in memory in proportion to the edges.

    It is the very pattern that `fixed_degree` gives for the same generator.

    Args:
        n_in: left neurons, at least 1, less than 2²⁹.
        n_out: right neurons, at least 1, less than 2²⁹.
        fan_out: as for `fixed_degree`.
        uneven: as for `fixed_degree`.
        generator: as for `fixed_degree`.

    Returns:
        A scipy CSR array of shape (n_out, n_in), float32.

    Raises:
        RequestError: as `fixed_degree`.

    Example:
        >>> block = fixed_degree_edges(30_000, 10_000, 2, generator=torch.Generator().manual_seed(0))
        >>> block.nnz, set(block.sum(axis=0).tolist()), set(block.sum(axis=1).tolist())
        (60000, {2.0}, {6.0})

    Reference: as `fixed_degree`.
    """
    asked = _checked(n_in, n_out, fan_out, uneven)
    start, rounds, seed = _start(asked, generator)
    if asked.density >= _DENSE:
        places = np.flatnonzero(traded_pattern(start, rounds, seed))
        places %= asked.n_in
        indices = places.astype(np.int32)
        del places
        pointers = np.append(0, np.cumsum(start.lengths))
    else:
        pointers, indices = traded_lists(start, rounds, seed)
    del start  # as large as the indices
    if indices.size < 2**31:  # scipy keeps both in one type, and would widen the longer one
        pointers = pointers.astype(np.int32)
    ones = np.ones(indices.size, np.float32)
    return sparse.csr_array((ones, indices, pointers), shape=(asked.n_out, asked.n_in))


def _checked(n_in: int, n_out: int, fan_out: int, uneven: bool) -> Degrees:
    asked = degrees(n_in, n_out, fan_out=fan_out, uneven=uneven)
    checked_labels("n_in", asked.n_in)
    checked_labels("n_out", asked.n_out)
    return asked


def _start(asked: Degrees, generator: torch.Generator) -> tuple[Start, int, int]:
    """What trades, for how many rounds, and the seed of these: the right neurons are the rows."""
    deal, trade, lengths_seed = seeds(checked_generator(generator), 3)
    fan_out, (least, most) = asked.edges // asked.n_in, asked.fan_in
    lengths = np.full(asked.n_out, least)
    if most > least:
        lengths[: asked.edges % asked.n_out] += 1
        np.random.Generator(np.random.SFC64(lengths_seed)).shuffle(lengths)
    start = None
    if asked.density <= _DEALT and asked.edges < 2**32:
        start = dealt(lengths, asked.n_in, fan_out, deal)
    if start is not None:
        return start, _DEALT_ROUNDS, trade
    # From a random label on, so that each place is equally probable whatever the rounds.
    return Start(lengths, asked.n_in, None, deal % asked.n_in), rounds_to_mix(asked.n_out), trade

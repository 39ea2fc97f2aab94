"""Trades between the rows of a junction: what makes a pattern random and leaves all its degrees as they are.

In a trade two rows put together the labels that only one of them has and share them out again at random, each getting
back as many as it gave; in a round all rows trade, in random pairs (`kernels/row_trades.py`). Degrees stay, no label
comes to be in a row twice, and each outcome is as probable as its reverse, so the uniform law over all patterns with
these degrees is the one that rounds lead to, from any start.

Reference: Strona et al. 2014, "A fast and unbiased procedure to randomize ecological binary matrices"; Carstens, Berger
and Strona 2018, "Curveball: a new generation of sampling algorithms", for rounds in which all rows trade.
"""

import numpy as np
import torch

from sparsewire.errors import RequestError

# Labels are 32-bit numbers, of which trades take three bits.
MOST_LABELS = 1 << 29


def seeds(generator: torch.Generator, count: int) -> list[int]:
    """So many seeds, by one draw of the generator."""
    drawn: list[int] = torch.randint(1 << 62, (count,), generator=generator, device=generator.device).tolist()
    return drawn


def number_stream(generator: torch.Generator) -> np.random.Generator:
    """Random numbers that one draw of the generator decides."""
    return np.random.Generator(np.random.SFC64(seeds(generator, 2)))


def checked_labels(name: str, count: int) -> int:
    """The count itself, where so many neurons can be numbered.

    Raises:
        RequestError: they cannot.
    """
    if count >= MOST_LABELS:
        raise RequestError(f"{name}: found {count}, expected less than {MOST_LABELS} neurons")
    return count


def rounds_to_mix(count: int) -> int:
    """So many rounds make so many rows random, from any start.

    An entry that moves half the time reaches all rows after log2(rows) rounds. From an orderly start the number of
    4-cycles is then less than a standard deviation off, whatever the size, and a quarter of that after each further
    round (measured: 128 × 128 neurons, fan-out 32: 0.65 deviations after 6 rounds, 0.15 after 7, 0.04 after 8, none to
    be seen after 9). Of a handful of rows few pairs trade in a round, and these rounds cost next to nothing.
    """
    return max(16, (count - 1).bit_length() + 5) if count > 1 else 0

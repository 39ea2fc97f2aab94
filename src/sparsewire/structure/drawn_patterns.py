"""Connection patterns by their names, for a whole chain of layers at once."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import checked_generator, whole
from sparsewire.structure.priors.anywhere import random_pattern
from sparsewire.structure.priors.clustered_bands import clustered
from sparsewire.structure.priors.interleavers import interleaved
from sparsewire.structure.priors.planned_chains import checked_layouts, planned_patterns
from sparsewire.structure.priors.regular import fixed_degree
from sparsewire.structure.splits import Split, checked_chain, one_each
from sparsewire.structure.windows import Layout

PatternFunction = Callable[[int, int, int, torch.Generator], Tensor]
Layouts = Sequence[Layout | None]
NAMES = ("fixed_degree", "random", "interleaved", "planned", "clustered")
UNEVEN = ("fixed_degree", "random")  # those that need no regular fan-outs


def drawn_patterns(
    sizes: Sequence[int],
    fan_outs: Sequence[int],
    pattern: str | PatternFunction = "fixed_degree",
    *,
    uneven: bool = False,
    layouts: Layouts | None = None,
    generator: torch.Generator,
) -> list[Tensor]:
    """One pattern for each junction of a chain.

    Args:
        sizes: neurons per layer, inputs first; at least two layers.
        fan_outs: of each junction.
        pattern: "fixed_degree", "random", "interleaved", "planned" or "clustered", which are the functions of
            `structure.priors` ("interleaved" with as many memories as divide both the left neurons and the fan-in, so
            that each right neuron is read in cycles of its own); or a function (n_in, n_out, fan_out, generator) →
            bool tensor of shape (n_out, n_in).
        uneven: whether fan-outs may be such that the fan-ins differ by one; "fixed_degree" and "random" can do that,
            and a function that is given is asked as it is.
        layouts: how the neurons of each layer lie, for "planned" and "clustered"; None: in a row.
        generator: where the patterns come from.

    Returns:
        bool tensors of shape (n_out, n_in).

    Raises:
        RequestError: fan-outs that are not possible, or a function that gives something else.
        UnknownNameError: no such pattern.

    Example:
        >>> one, two = drawn_patterns((8, 4, 2), (2, 1), generator=torch.Generator().manual_seed(0))
        >>> one.sum(0).tolist(), one.sum(1).tolist(), two.sum(1).tolist()
        ([2, 2, 2, 2, 2, 2, 2, 2], [4, 4, 4, 4], [2, 2])
    """
    checked_generator(generator)
    checked_pattern(pattern)
    if uneven and isinstance(pattern, str) and pattern not in UNEVEN:
        raise RequestError(f"uneven: {pattern!r} is always regular, expected one of {', '.join(UNEVEN)}, or False")
    sizes = checked_chain(sizes)
    layouts = checked_layouts(layouts, sizes)
    fan_outs = one_each("fan_outs", fan_outs, sizes)
    if not uneven and pattern != "random":
        fan_outs = Split(sizes, tuple(fan_outs)).fan_outs
    for place, (fan_out, n_out) in enumerate(zip(fan_outs, sizes[1:], strict=True)):
        if whole(f"fan_outs[{place}]", fan_out, least=1) > n_out:
            raise RequestError(f"fan_outs[{place}]: found {fan_out}, expected at most {n_out}, the right neurons")
    if pattern == "planned":
        return planned_patterns(sizes, fan_outs, layouts=layouts, generator=generator)
    sides = pairwise(layouts)
    return [
        _drawn(pattern, n_in, n_out, fan_out, uneven, around, generator)
        for (n_in, n_out), fan_out, around in zip(pairwise(sizes), fan_outs, sides, strict=True)
    ]


def checked_pattern(pattern: object) -> None:
    """Nothing, where it is a name or a function.

    Raises:
        UnknownNameError: no such name.
        RequestError: it is neither.
    """
    if isinstance(pattern, str) and pattern not in NAMES:
        raise UnknownNameError("pattern", pattern, NAMES)
    if not isinstance(pattern, str) and not callable(pattern):
        raise RequestError(f"pattern: found {pattern!r}, expected a name or a function")


def _drawn(
    pattern: str | PatternFunction,
    n_in: int,
    n_out: int,
    fan_out: int,
    uneven: bool,
    sides: tuple[Layout | None, Layout | None],
    generator: torch.Generator,
) -> Tensor:
    if pattern == "fixed_degree":
        return fixed_degree(n_in, n_out, fan_out, uneven=uneven, generator=generator)
    if pattern == "random":
        return random_pattern(n_in, n_out, fan_out / n_out, generator=generator)
    if pattern == "interleaved":
        memories = math.gcd(n_in, n_in * fan_out // n_out)
        return interleaved(n_in, n_out, fan_out, memories, generator=generator)
    if pattern == "clustered":
        return clustered(n_in, n_out, fan_out, left=sides[0], right=sides[1], generator=generator)
    assert not isinstance(pattern, str)
    found = pattern(n_in, n_out, fan_out, generator)
    if not isinstance(found, Tensor) or found.dtype != torch.bool or tuple(found.shape) != (n_out, n_in):
        told = f"{found.dtype} of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise RequestError(f"pattern: the function gave {told}, expected torch.bool of shape {(n_out, n_in)} (out, in)")
    return found

"""Patterns by name, for those who write them in a line of text."""

import re

from sparsewire.errors import RequestError
from sparsewire.structure.patterns import NM, Block, Channels, FixedFanIn, Heads, Neurons, Pattern, Unstructured

PATTERNS: dict[str, Pattern] = {
    "weights": Unstructured(),
    "unstructured": Unstructured(),
    "neurons": Neurons(),
    "channels": Channels(),
    "fan-in": FixedFanIn(),
}


def pattern_of(wish: Pattern | str | None) -> Pattern:
    """The pattern that is meant.

    Args:
        wish: a pattern; or its name: "weights" (also "unstructured"), "neurons", "fan-in", "2:4" (any n:m), "block:4x4"
            (any rows x columns), "channels" (of convolutions), "heads:8" (of attentions with any number of heads); or
            None for single weights.

    Raises:
        RequestError: it is none of these, or the numbers in it make no pattern.

    Example:
        >>> pattern_of("2:4"), pattern_of("block:4x8"), pattern_of(None)
        (NM(n=2, m=4), Block(rows=4, columns=8), Unstructured())
    """
    if wish is None:
        return Unstructured()
    if isinstance(wish, Pattern):
        return wish
    if isinstance(wish, str):
        if wish in PATTERNS:
            return PATTERNS[wish]
        if groups := re.fullmatch(r"(\d{1,9}):(\d{1,9})", wish, re.ASCII):
            return NM(int(groups[1]), int(groups[2]))
        if block := re.fullmatch(r"block:(\d{1,9})x(\d{1,9})", wish, re.ASCII):
            return Block(int(block[1]), int(block[2]))
        if heads := re.fullmatch(r"heads:(\d{1,9})", wish, re.ASCII):
            return Heads(int(heads[1]))
    raise RequestError(
        f"pattern: found {wish!r}, expected a pattern such as Neurons(), NM(2, 4) or Block(4, 4), or a name: "
        f"{', '.join(PATTERNS)}, 2:4 (any n:m), block:4x4 (any rows x columns), heads:8 (any number)"
    )

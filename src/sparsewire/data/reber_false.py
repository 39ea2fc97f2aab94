"""Strings that are not of the grammar: walks of other automata, true strings with random edits, random letters."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from sparsewire.data.reber_grammar import ALPHABET, DISAGREEING_REBER, RELABELLED, Automaton, relabelled
from sparsewire.data.reber_unique import unique_strings
from sparsewire.errors import RequestError

_ROUNDS = 200  # of proposals, until so many different false strings are held for more than there are

Propose = Callable[[int], Iterable[str]]


def relabelled_strings(count: int, *, generator: torch.Generator, shortest: int, longest: int | None) -> list[str]:
    """Walks of the eight relabelled automata, in their blocks, each string once.

    The blocks are in the proportions of the paper's 12,500: what is left over after rounding down goes to the blocks
    with the largest remainders, the first of equals first. The blocks of the file have no string twice, but its sixth
    and seventh share one of each length (BMN…), of which the file has eight twice; here the sixth keeps them.

    Raises:
        RequestError: an automaton has fewer strings of these lengths than its block needs.
    """
    found: dict[str, None] = {}
    for labels, share in zip(RELABELLED, shares(count), strict=True):
        automaton, spare = relabelled(labels), 0
        there_are = automaton.count(shortest, longest=longest) if longest is not None else None
        wanted: list[str] = []
        while len(wanted) < share:
            asked = share + spare if there_are is None else min(share + spare, there_are)
            drawn = unique_strings(automaton, asked, generator=generator, shortest=shortest, longest=longest)
            wanted = [string for string in drawn if string not in found][:share]
            if len(wanted) < share and asked == there_are:
                raise RequestError(
                    f"count: found {count:,} false strings of {shortest} to {longest} letters, of which {share:,} of "
                    f"the automaton {labels}, which has {len(wanted):,}; raise longest, or ask for fewer"
                )
            spare = 2 * spare + 64
        found |= dict.fromkeys(wanted)
    return list(found)


def shares(count: int) -> list[int]:
    """How many of `count` false strings each of the eight automata makes.

    Example:
        >>> shares(12_500), shares(10)
        ([1500, 1500, 500, 2000, 2000, 2000, 1500, 1500], [1, 1, 0, 2, 2, 2, 1, 1])
    """
    whole_file = sum(RELABELLED.values())
    parts = [divmod(count * size, whole_file) for size in RELABELLED.values()]
    order = sorted(range(len(parts)), key=lambda block: -parts[block][1])
    more = set(order[: count - sum(part for part, _ in parts)])
    return [part + (block in more) for block, (part, _) in enumerate(parts)]


def disagreeing_strings(count: int, *, generator: torch.Generator, shortest: int, longest: int | None) -> list[str]:
    """Strings of the embedded grammar whose second letter and last but one differ, each once."""
    return unique_strings(DISAGREEING_REBER, count, generator=generator, shortest=shortest, longest=longest)


def perturbed_strings(
    true: list[str], automaton: Automaton, edits: int, *, generator: torch.Generator, shortest: int, longest: int | None
) -> list[str]:
    """As many false strings as true ones: each a true one with `edits` random edits, drawn anew while it is valid.

    An edit is, equally often, another letter for one, a letter put in (both of the seven), one taken out, or two
    neighbours that change places; anywhere.

    Raises:
        RequestError: no such strings could be found, or too few.
    """

    def propose(times: int) -> Iterable[str]:
        sources = [true[at] for at in torch.randperm(len(true), generator=generator, device=generator.device).tolist()]
        sources = (sources * times)[: times * len(true)]
        draws = _uniform((len(sources), edits, 3), generator).tolist()
        return (_edited(source, draw) for source, draw in zip(sources, draws, strict=True))

    return _false(len(true), automaton, propose, shortest, longest)


def random_strings(
    true: list[str], automaton: Automaton, *, generator: torch.Generator, shortest: int, longest: int | None
) -> list[str]:
    """As many false strings as true ones: letters drawn uniformly from the seven, in the true strings' lengths.

    Raises:
        RequestError: too few could be found.
    """

    def propose(times: int) -> Iterable[str]:
        lengths = [len(string) for string in true] * times
        letters = "".join(ALPHABET[int(7 * at)] for at in _uniform((sum(lengths),), generator).tolist())
        ends = torch.tensor(lengths, device="cpu").cumsum(0).tolist()
        return (letters[end - length : end] for end, length in zip(ends, lengths, strict=True))

    return _false(len(true), automaton, propose, shortest, longest)


def _false(count: int, automaton: Automaton, propose: Propose, shortest: int, longest: int | None) -> list[str]:
    found: dict[str, None] = {}
    for _ in range(_ROUNDS):
        for string in propose(max(1, 64 // max(count, 1))):
            if (
                shortest <= len(string)
                and (longest is None or len(string) <= longest)
                and not automaton.accepts(string)
            ):
                found[string] = None
        if len(found) >= count:
            return list(found)[:count]
    raise RequestError(
        f"count: found {count:,} false strings, expected at most {len(found):,}: no more different ones "
        f"of these lengths came up in {_ROUNDS} rounds; raise edits or longest, or ask for fewer"
    )


def _edited(string: str, draws: list[list[float]]) -> str:
    for kind, where, which in draws:
        edit, length = int(4 * kind), len(string)
        if edit == 1:  # put in: there is one place more
            at = int(where * (length + 1))
            string = string[:at] + ALPHABET[int(7 * which)] + string[at:]
        elif edit == 0 and length:  # another letter than the one that is there
            at = int(where * length)
            others = ALPHABET.replace(string[at], "")
            string = string[:at] + others[int(which * len(others))] + string[at + 1 :]
        elif edit == 2 and length:
            at = int(where * length)
            string = string[:at] + string[at + 1 :]
        elif edit == 3 and length > 1:
            at = int(where * (length - 1))
            string = string[:at] + string[at + 1] + string[at] + string[at + 2 :]
    return string


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)

"""Reber strings to tell valid from false: the paper's data, and harder ones."""

from typing import Literal, TypeAlias, TypedDict

import torch
from torch import Tensor

from sparsewire.data.reber_false import disagreeing_strings, perturbed_strings, random_strings, relabelled_strings
from sparsewire.data.reber_grammar import EMBEDDED_REBER, REBER
from sparsewire.data.reber_unique import checked_lengths, unique_strings
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import checked_generator, whole

FalseKind: TypeAlias = Literal["relabelled", "disagreeing", "perturbed", "random"]

_KINDS = {False: ("relabelled", "perturbed", "random"), True: ("disagreeing", "perturbed", "random")}


class ReberOptions(TypedDict, total=False):
    """The options of `reber` and `reber_set`, all of which may be left out; `reber` explains them."""

    false: FalseKind | None
    embedded: bool
    edits: int
    shortest: int
    longest: int | None


def reber(
    count: int,
    *,
    generator: torch.Generator,
    false: FalseKind | None = None,
    embedded: bool = False,
    edits: int = 1,
    shortest: int = 11,
    longest: int | None = None,
) -> tuple[list[str], Tensor]:
    """Strings, half of them of Reber's grammar, in random order, and which ones are.

    No string comes twice. The valid ones are random walks (`unique_strings`). The false ones, by `false`:

    - "relabelled" (the default): walks of eight automata of the grammar's shape with other letters on their edges, in
      the proportions of the paper's file. **An easy task**: 56 % of them have a letter that no valid string has, they
      are shorter, and 94 % of all strings are told by their pairs of neighbouring letters alone, all by their triples:
      see `ngram_accuracy`.
    - "perturbed": the valid ones again, each with `edits` random edits that make it false. Harder: lengths and letters
      say nothing, and after one edit a quarter of them still have only pairs that valid strings have.
    - "random": letters drawn uniformly from the grammar's seven, in the lengths of the valid strings. Easy again.
    - "disagreeing" (the default with `embedded`, and only possible there): as below.

    The **embedded** grammar asks for a long memory: B, T or P, a string of Reber's grammar, the same T or P again, E.
    In a disagreeing string it is the other one, and nothing else is wrong.

    Args:
        count: how many strings, at least 1; of an odd number one more is valid.
        generator: what all is drawn from.
        false: how false strings are made; None: "relabelled", or "disagreeing" with `embedded`.
        embedded: draw from the embedded grammar instead of Reber's.
        edits: random edits of a perturbed string, at least 1: the more, the easier to tell.
        shortest: letters of the shortest string; the paper has 11.
        longest: letters of the longest string; None: any number.

    Returns:
        The strings; and bool (count,) on the CPU, True where a string is valid.

    Raises:
        RequestError: there are not so many different strings of these lengths, or an argument is impossible.
        UnknownNameError: `false` is none of the above, or not one of this grammar.

    Example:
        >>> from sparsewire.data.reber_grammar import is_reber
        >>> strings, valid = reber(1000, generator=torch.Generator().manual_seed(0))
        >>> valid.sum(), valid.tolist() == [is_reber(string) for string in strings]
        (tensor(500), True)
        >>> reber(3, embedded=True, longest=11, generator=torch.Generator().manual_seed(0))
        (['BPBTSSXSETE', 'BPBPTTVVEPE', 'BPBPTVPSEPE'], tensor([False,  True,  True]))

    Reference:
        Stier, Darji, Granitzer (2021), section 4.2: 12,500 + 12,500 strings. The paper does not say how its false ones
        were made; its published file shows it. There the sixth and the seventh block share eight strings: we have no
        string twice, so that none is in two parts of a split. Embedded: Hochreiter, Schmidhuber (1997), section 5.1.
    """
    whole("count", count, least=1)
    checked_generator(generator)
    checked_lengths(shortest, longest)
    kind = _checked_kind(false, embedded, edits)
    automaton = EMBEDDED_REBER if embedded else REBER
    half, rest = count - count // 2, count // 2
    if longest is not None and (there_are := automaton.count(shortest, longest=longest)) < half:
        raise RequestError(
            f"count: found {count:,}, expected at most {2 * there_are:,}: "
            f"{there_are:,} different valid strings have {shortest} to {longest} letters"
        )
    true = unique_strings(automaton, half, generator=generator, shortest=shortest, longest=longest)
    lengths: _Lengths = {"generator": generator, "shortest": shortest, "longest": longest}
    if kind == "relabelled":
        wrong = relabelled_strings(rest, **lengths)
    elif kind == "disagreeing":
        wrong = disagreeing_strings(rest, **lengths)
    elif kind == "perturbed":
        wrong = perturbed_strings(true[:rest], automaton, edits, **lengths)
    else:
        wrong = random_strings(true[:rest], automaton, **lengths)
    strings = true + wrong
    order = torch.randperm(count, generator=generator, device=generator.device).cpu()
    return [strings[at] for at in order.tolist()], order < half


class _Lengths(TypedDict):
    generator: torch.Generator
    shortest: int
    longest: int | None


def _checked_kind(false: str | None, embedded: bool, edits: int) -> str:
    if not isinstance(embedded, bool):
        raise RequestError(f"embedded: found {embedded!r}, expected True or False")
    kinds = _KINDS[embedded]
    kind = kinds[0] if false is None else false
    if kind not in kinds:
        raise UnknownNameError(f"kind of false strings{' of the embedded grammar' * embedded}", str(kind), kinds)
    if whole("edits", edits, least=1) > 1 and kind != "perturbed":
        raise RequestError(f"edits: found {edits} with false {kind!r}, expected 1; only 'perturbed' strings have edits")
    return kind

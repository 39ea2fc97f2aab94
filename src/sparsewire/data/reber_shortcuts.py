"""What false strings give away: how often rules that know no grammar tell valid strings from false ones."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sparsewire.data.reber_grammar import ALPHABET, REBER, Automaton
from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole


def foreign_share(strings: Sequence[str], valid: Tensor, *, alphabet: str = ALPHABET) -> float:
    """The share of the false strings that have a letter which no valid string has; 0 if none is false.

    Of the paper's false strings 56 % do.

    Args:
        strings: the strings.
        valid: bool (strings,), True where one is valid.
        alphabet: the letters that are not foreign.

    Raises:
        RequestError: there are not as many of the one as of the other.

    Example:
        >>> foreign_share(["BTXSE", "BACE", "BTE"], torch.tensor([True, False, False]))
        0.5
    """
    known = set(alphabet)
    false = [string for string, is_valid in zip(strings, _checked(strings, valid), strict=True) if not is_valid]
    return sum(not known.issuperset(string) for string in false) / max(len(false), 1)


def ngram_accuracy(strings: Sequence[str], valid: Tensor, n: int, *, automaton: Automaton = REBER) -> float:
    """How often a string is valid just if all its sequences of n letters occur in the grammar.

    On the paper's strings 78.0 % for n = 1 (has it a foreign letter?), **93.9 %** for n = 2, which is where its simple
    network ends, and 100 % for n = 3.

    Args:
        strings: the strings, at least one. One shorter than n passes for valid.
        valid: bool (strings,), True where one is valid.
        n: how many letters are looked at at once, at least 1.
        automaton: the grammar whose sequences are legal.

    Raises:
        RequestError: n is no whole number, or there are not as many of the one as of the other, or none.

    Example:
        >>> strings, valid = ["BTXSE", "BPSE", "BTSSX"], torch.tensor([True, False, False])
        >>> ngram_accuracy(strings, valid, 1), ngram_accuracy(strings, valid, 2)  # there is PS (…PVPSE), but no BPS
        (0.3333333333333333, 0.3333333333333333)
        >>> ngram_accuracy(strings, valid, 3)
        0.6666666666666666

    Reference:
        Stier, Darji, Granitzer (2021), section 4.2, has no such baseline; its tanh network's 93.7 % is
        that of n = 2.
    """
    legal = automaton.ngrams(whole("n", n, least=1))
    passes = [all(string[at : at + n] in legal for at in range(len(string) - n + 1)) for string in strings]
    return _agreement(passes, _checked(strings, valid))


def length_accuracy(strings: Sequence[str], valid: Tensor, least: int = 21) -> float:
    """How often a string is valid just if it has at least so many letters: 76.9 % on the paper's strings, with 21.

    Args:
        strings: the strings, at least one.
        valid: bool (strings,), True where one is valid.
        least: from how many letters on a string passes for valid.

    Raises:
        RequestError: `least` is no whole number, or there are not as many of the one as of the other, or none.

    Example:
        >>> length_accuracy(["BTXSE", "BTE"], torch.tensor([True, False]), least=4)
        1.0
    """
    whole("least", least, least=0)
    return _agreement([len(string) >= least for string in strings], _checked(strings, valid))


def _agreement(passes: list[bool], valid: list[bool]) -> float:
    if not valid:
        raise RequestError("strings: found none, expected at least one")
    return sum(one == other for one, other in zip(passes, valid, strict=True)) / len(valid)


def _checked(strings: Sequence[str], valid: Tensor) -> list[bool]:
    if valid.dtype != torch.bool or tuple(valid.shape) != (len(strings),):
        raise RequestError(
            f"valid: found {valid.dtype} of shape {tuple(valid.shape)}, expected bool ({len(strings)},): one a string"
        )
    return valid.tolist()

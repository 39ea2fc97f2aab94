"""Strings as tensors and back: a whole number for each letter, and zeros to the right of the shorter strings."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from sparsewire.data.reber_grammar import ALPHABET
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.blocks import whole

Code: TypeAlias = Literal["ascii", "compact"]

_LETTERS = "".join(map(chr, range(1, 128)))
_COMPACT = ALPHABET + "".join(sorted(set("ABCDEFGHIJKLMNOPQRSTUVWXYZ") - set(ALPHABET)))

# How many symbols a code has, with the padding: the rows of an embedding.
SYMBOLS: Mapping[str, int] = MappingProxyType({"ascii": 1 + len(_LETTERS), "compact": 1 + len(_COMPACT)})


def encoded(strings: Sequence[str], *, code: Code = "ascii", steps: int | None = None) -> Tensor:
    """A row of whole numbers for each string, with zeros behind its last letter.

    Args:
        strings: the strings.
        code: "ascii" (the paper's): the letters' ASCII codes, 1 … 127. "compact": 1 … 7 for BTSXPVE, the letters of
            Reber's grammar, in this order, and 8 … 26 for the other capital letters. `SYMBOLS[code]` is 128 or 27; 8
            are enough where all letters are the grammar's.
        steps: columns; None: as many as the longest string has letters.

    Returns:
        int64 (strings, steps).

    Raises:
        RequestError: a letter has no code, or a string is longer than `steps`.
        UnknownNameError: there is no such code.

    Example:
        >>> encoded(["BTXSE", "BPTVVE"], code="compact")
        tensor([[1, 2, 4, 3, 7, 0],
                [1, 5, 2, 6, 6, 7]])
        >>> encoded(["BTXSE"], steps=6)
        tensor([[66, 84, 88, 83, 69,  0]])
    """
    letters = _letters(code)
    if isinstance(strings, str):
        raise RequestError(f"strings: found the string {strings!r}, expected a list of strings")
    longest = max(map(len, strings), default=0)
    steps = longest if steps is None else whole("steps", steps, least=0)
    if longest > steps:
        raise RequestError(f"steps: found {steps}, expected at least {longest}, the letters of the longest string")
    if foreign := sorted(set().union(*strings) - set(letters)):
        raise RequestError(
            f"strings: found the letter {foreign[0]!r}, which has no code {code!r}, expected {_said(code)}"
        )
    table = np.zeros(128, np.int64)
    table[[ord(letter) for letter in letters]] = range(1, 1 + len(letters))
    text = "".join(string.ljust(steps, "\0") for string in strings).encode("ascii")
    return torch.from_numpy(table[np.frombuffer(text, np.uint8)].reshape(len(strings), steps))


def decoded(codes: Tensor, *, code: Code = "ascii") -> list[str]:
    """The strings that `encoded` made these rows of.

    Args:
        codes: whole numbers (n, steps); zeros are only to the right.
        code: as in `encoded`.

    Raises:
        RequestError: a number means no letter, or one follows a zero.
        UnknownNameError: there is no such code.

    Example:
        >>> decoded(encoded(["BTXSE", "BPTVVE"]))
        ['BTXSE', 'BPTVVE']
    """
    letters = _letters(code)
    _check_rows(codes)
    rows = codes.cpu()
    outside = rows[(rows < 0) | (rows > len(letters))]
    if outside.numel():
        raise RequestError(f"codes: found {outside[0].item()}, expected 0 to {len(letters)}, the code {code!r}")
    if bool(((rows[:, 1:] > 0) & (rows[:, :-1] == 0)).any()):
        raise RequestError("codes: found a letter behind a zero, expected zeros to the right of a string only")
    symbols = "\0" + letters
    return ["".join(symbols[at] for at in row if at) for row in rows.tolist()]


def code_lengths(codes: Tensor) -> Tensor:
    """How many letters each row has before its zeros: int64 (n,).

    Raises:
        RequestError: the codes are no whole numbers of shape (n, steps).

    Example:
        >>> code_lengths(encoded(["BTXSE", "BPTVVE"]))
        tensor([5, 6])
    """
    _check_rows(codes)
    return (codes > 0).sum(1)


def packed(codes: Tensor) -> PackedSequence:
    """The rows without their padding, as torch's recurrent layers and `SequenceClassifier` take them.

    A classifier that is given these sees each string's own last letter last, not the padding behind it.

    Raises:
        RequestError: a row has no letter, or the codes are no whole numbers of shape (n, steps).

    Example:
        >>> packed(encoded(["BTXSE", "BPTVVE"], code="compact")).data
        tensor([1, 1, 5, 2, 2, 4, 6, 3, 6, 7, 7])
    """
    lengths = code_lengths(codes)
    if not len(lengths) or not bool((lengths > 0).all()):
        raise RequestError("codes: found a row without a letter, or no row, expected at least one letter in each")
    return pack_padded_sequence(codes, lengths.cpu(), batch_first=True, enforce_sorted=False)


def _letters(code: str) -> str:
    alphabets = {"ascii": _LETTERS, "compact": _COMPACT}
    if code not in alphabets:
        raise UnknownNameError("code of Reber strings", str(code), alphabets)
    return alphabets[code]


def _said(code: str) -> str:
    return "capital letters" if code == "compact" else "ASCII characters other than NUL"


def _check_rows(codes: Tensor) -> None:
    if codes.dim() != 2 or codes.is_floating_point() or codes.dtype == torch.bool:
        raise RequestError(
            f"codes: found {codes.dtype} of shape {tuple(codes.shape)}, expected whole numbers (strings, steps)"
        )

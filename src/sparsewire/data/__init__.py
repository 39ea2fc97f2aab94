"""Data sets: embedded ones, and standard files that are found or fetched.

Names load when they are first used, so that the command line can list and fetch data sets without importing torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsewire.data.augmentation import centred, per_pixel_mean, shift_and_flip
    from sparsewire.data.cifar import cifar10, cifar100
    from sparsewire.data.embedded import digits
    from sparsewire.data.fetching import fetch
    from sparsewire.data.idx import read_idx, write_idx
    from sparsewire.data.images import fashion_mnist, mnist
    from sparsewire.data.morse_code import morse, morse_set
    from sparsewire.data.morse_form import MORSE_DIFFICULT, MorseForm, MorseOptions
    from sparsewire.data.morse_stream import MorseStream
    from sparsewire.data.morse_symbols import MORSE
    from sparsewire.data.reber_codes import code_lengths, decoded, encoded, packed
    from sparsewire.data.reber_grammar import EMBEDDED_REBER, REBER, Automaton, is_reber, relabelled
    from sparsewire.data.reber_samples import reber_set
    from sparsewire.data.reber_shortcuts import foreign_share, length_accuracy, ngram_accuracy
    from sparsewire.data.reber_strings import ReberOptions, reber
    from sparsewire.data.reber_unique import unique_strings
    from sparsewire.data.samples import DataSet, Samples
    from sparsewire.data.sources import available

_HOMES = {
    "Samples": "samples",
    "DataSet": "samples",
    "digits": "embedded",
    "mnist": "images",
    "fashion_mnist": "images",
    "cifar10": "cifar",
    "cifar100": "cifar",
    "shift_and_flip": "augmentation",
    "centred": "augmentation",
    "per_pixel_mean": "augmentation",
    "morse": "morse_code",
    "morse_set": "morse_code",
    "MORSE": "morse_symbols",
    "MORSE_DIFFICULT": "morse_form",
    "MorseForm": "morse_form",
    "MorseOptions": "morse_form",
    "MorseStream": "morse_stream",
    "reber": "reber_strings",
    "reber_set": "reber_samples",
    "is_reber": "reber_grammar",
    "Automaton": "reber_grammar",
    "REBER": "reber_grammar",
    "EMBEDDED_REBER": "reber_grammar",
    "relabelled": "reber_grammar",
    "ReberOptions": "reber_strings",
    "unique_strings": "reber_unique",
    "encoded": "reber_codes",
    "decoded": "reber_codes",
    "code_lengths": "reber_codes",
    "packed": "reber_codes",
    "foreign_share": "reber_shortcuts",
    "ngram_accuracy": "reber_shortcuts",
    "length_accuracy": "reber_shortcuts",
    "available": "sources",
    "fetch": "fetching",
    "read_idx": "idx",
    "write_idx": "idx",
}

__all__ = [
    "EMBEDDED_REBER",
    "MORSE",
    "MORSE_DIFFICULT",
    "REBER",
    "Automaton",
    "DataSet",
    "MorseForm",
    "MorseOptions",
    "MorseStream",
    "ReberOptions",
    "Samples",
    "available",
    "centred",
    "cifar10",
    "cifar100",
    "code_lengths",
    "decoded",
    "digits",
    "encoded",
    "fashion_mnist",
    "fetch",
    "foreign_share",
    "is_reber",
    "length_accuracy",
    "mnist",
    "morse",
    "morse_set",
    "ngram_accuracy",
    "packed",
    "per_pixel_mean",
    "read_idx",
    "reber",
    "reber_set",
    "relabelled",
    "shift_and_flip",
    "unique_strings",
    "write_idx",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"sparsewire.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sparsewire.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

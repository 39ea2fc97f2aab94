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
    "available": "sources",
    "fetch": "fetching",
    "read_idx": "idx",
    "write_idx": "idx",
}

__all__ = [
    "MORSE",
    "MORSE_DIFFICULT",
    "DataSet",
    "MorseForm",
    "MorseOptions",
    "MorseStream",
    "Samples",
    "available",
    "centred",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "fetch",
    "mnist",
    "morse",
    "morse_set",
    "per_pixel_mean",
    "read_idx",
    "shift_and_flip",
    "write_idx",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"sparsewire.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sparsewire.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

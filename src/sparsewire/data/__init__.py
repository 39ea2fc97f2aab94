"""Data sets: embedded ones, and standard files that are found or fetched.

Names load when they are first used, so that the command line can list and fetch data sets without importing torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsewire.data.embedded import digits
    from sparsewire.data.fetching import fetch
    from sparsewire.data.idx import read_idx, write_idx
    from sparsewire.data.images import fashion_mnist, mnist
    from sparsewire.data.samples import DataSet, Samples
    from sparsewire.data.sources import available

_HOMES = {
    "Samples": "samples",
    "DataSet": "samples",
    "digits": "embedded",
    "mnist": "images",
    "fashion_mnist": "images",
    "available": "sources",
    "fetch": "fetching",
    "read_idx": "idx",
    "write_idx": "idx",
}

__all__ = [
    "DataSet",
    "Samples",
    "available",
    "digits",
    "fashion_mnist",
    "fetch",
    "mnist",
    "read_idx",
    "write_idx",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"sparsewire.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sparsewire.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

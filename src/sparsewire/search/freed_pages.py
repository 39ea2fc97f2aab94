"""Memory that one training step frees stays with the process for the next one, instead of going back to the system."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The numbers of malloc.h, and what glibc has without being told; 32 MiB is where its own threshold ends.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_USUAL = {_TRIM_THRESHOLD: 64 * 2**20, _MMAP_THRESHOLD: 32 * 2**20, _MMAP_MAX: 65536}
_KEEPING = {_TRIM_THRESHOLD: 2**31 - 1, _MMAP_MAX: 0}


@contextmanager
def pages_kept() -> Iterator[bool]:
    """While this lasts, freed memory is used again rather than given back; afterwards what is free is given back.

    A large tensor is otherwise asked from the system for every step, which hands it out page by page, each filled with
    zeros: where maps are large and convolutions cheap, that is more than half of a training step. Results are the same.
    The peak of the memory may be a third higher.

    It is a property of the whole process, for all of its threads: where such times overlap, the first that ends ends it
    for all, which costs speed only.

    Yields:
        Whether anything is different: only glibc's malloc is known here.

    Example:
        >>> import torch
        >>> with pages_kept():
        ...     total = torch.ones(1000, 1000).sum()
        >>> total
        tensor(1000000.)
    """
    library = _glibc()
    is_kept = library is not None and all(map(library.mallopt, _KEEPING, _KEEPING.values()))
    try:
        yield is_kept
    finally:
        if library is not None:
            for what, value in _USUAL.items():
                library.mallopt(what, value)
            library.malloc_trim(0)


def _glibc() -> Any:
    """The C library that this process runs with, where it is glibc; else None."""
    try:
        library = ctypes.CDLL(None)
        found = (library.gnu_get_libc_version, library.mallopt, library.malloc_trim)
    except (OSError, TypeError, AttributeError):  # Windows has no such library; others lack these functions
        return None
    return library if all(found) else None

"""The native library: one shared object with a plain C interface, found beside this file, or None.

It is built with the package (`hatch_build.py`). Its functions take raw addresses and sizes; the width of the vectors is
in their names (`sw_linear_forward_v64`), and the widest that this machine has is chosen here. Where there is no usable
library everything runs on plain torch, which a warning says once, when the first kernel is wanted.
"""

import ctypes
import os
import struct
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparsewire.errors import FileError, RequestError

FILE = Path(os.environ.get("SPARSEWIRE_LIBRARY", Path(__file__).with_name("_sparsewire_kernels.so")))
DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}
# The same number stands in native/about.cpp: a library with another one takes other arguments.
INTERFACE = 2
_REBUILD = "`python hatch_build.py` in the checkout builds all widths"
_SWITCH, _WIDTH = "SPARSEWIRE_NATIVE", "SPARSEWIRE_VECTOR_BYTES"
# Every parameter is 64 bits wide: "i" an integer or an address, "d" a double. ctypes checks and converts a c_void_p
# twice as fast as a c_int64, and they are passed alike.
_KINDS: dict[str, Any] = {"i": ctypes.c_void_p, "d": ctypes.c_double}


@cache
def library() -> ctypes.CDLL | None:
    """The loaded library; None where SPARSEWIRE_NATIVE=0 says so or no usable one is there, which is then said once."""
    if os.environ.get(_SWITCH, "1") == "0":
        return None
    found, trouble = _opened()
    if found is None:
        warnings.warn(
            f"sparsewire runs on plain torch, without its native kernels: {trouble}. Install g++ or clang++ and "
            f"install sparsewire again; {_SWITCH}=0 hides this warning.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    _share_openmp(found)
    # OpenMP's threads do not survive a fork, and to wait for them is to wait for ever: a forked process runs serially.
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: found.sw_use_openmp(None, None, None))
    return found


def is_at_hand() -> bool:
    """Whether the native kernels are used."""
    return library() is not None


@cache
def vector_bytes() -> int:
    """The width of the vectors in use: 16, 32 or 64, 0 without the library; SPARSEWIRE_VECTOR_BYTES narrows it."""
    found = library()
    if found is None:
        return 0
    wanted = os.environ.get(_WIDTH, "64")
    if wanted not in {"16", "32", "64"}:
        raise RequestError(f"{_WIDTH} is {wanted!r}; it takes 16, 32 or 64")
    fits = [width for width in _widths(found) if width <= int(wanted)]
    if not fits:
        raise RequestError(f"{_WIDTH} is {wanted!r}, but {FILE} was built for wider vectors only: {_REBUILD}")
    return max(fits)


@cache
def function(name: str, signature: str | None = None) -> Callable[..., None]:
    """The C function `sw_<name>` for this machine's vectors.

    Args:
        name: without its beginning and its end: "linear_forward" is `sw_linear_forward_v64`.
        signature: a letter for each parameter, "i" for an integer or an address and "d" for a double; None takes it
            from the arguments of the first call (an int is an "i", a float is a "d").

    Raises:
        FileError: the library has no such function.
    """
    found = library()
    assert found is not None, "ask is_at_hand() first"
    symbol = f"sw_{name}_v{vector_bytes()}"
    try:
        native = found[symbol]
    except AttributeError as error:
        raise FileError(f"{FILE}: has no function {symbol}: it is older than this package; install it again") from error
    native.restype = None
    if signature is not None:
        native.argtypes = [_KINDS[kind] for kind in signature]
        return native

    def call(*arguments: Any) -> None:
        if native.argtypes is None:
            native.argtypes = [_KINDS["d" if isinstance(a, float) else "i"] for a in arguments]
        native(*arguments)

    return call


def threads() -> int:
    """How many threads a kernel may use: what `torch.set_num_threads` says."""
    return torch.get_num_threads()


def address(tensor: Tensor | None) -> int:
    """Where the numbers of a contiguous tensor lie; 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()


def _opened() -> tuple[ctypes.CDLL | None, str]:
    """The library at FILE, or None and the reason."""
    if not FILE.exists():
        return None, f"{FILE} is not there, so no C++ compiler was at hand when the package was installed"
    if not _is_whole(FILE):
        return None, f"{FILE} is not a whole library"
    try:
        found = ctypes.CDLL(str(FILE))
    except OSError as error:
        return None, f"{FILE} cannot be loaded ({error})"
    if not hasattr(found, "sw_about_v16"):
        return None, f"{FILE} is of another version of sparsewire"
    interface, _ = _about(found)
    if interface != INTERFACE:
        return None, f"{FILE} is of another version of sparsewire (interface {interface}; {INTERFACE} is wanted)"
    if not _widths(found):
        return None, f"{FILE} was built for another processor alone: {_REBUILD}"
    return found, ""


def _widths(found: ctypes.CDLL) -> list[int]:
    """The widths of vectors that this machine has and that the library was compiled for."""
    _, widest = _about(found)
    # Of a width that is left out some functions are there all the same: hatch_build.py says which. This one is not.
    return [width for width in (16, 32, 64) if width <= widest and hasattr(found, f"sw_network_step_v{width}")]


def _is_whole(path: Path) -> bool:
    """Whether an ELF file has its end, its table of sections: to load a cut-off one kills the process."""
    with path.open("rb") as file:
        head = file.read(64)
    if head[:5] != b"\x7fELF\x02":
        return head[:4] != b"\x7fELF" and len(head) == 64  # another system's format: its loader knows
    if len(head) < 64:
        return False
    (start,) = struct.unpack_from("=Q", head, 40)
    size, count = struct.unpack_from("=HH", head, 58)
    return bool(path.stat().st_size >= start + size * count)


def _about(found: ctypes.CDLL) -> tuple[int, int]:
    """The number of the library's interface, and the widest vectors of this machine in bytes."""
    interface, widest = ctypes.c_int64(), ctypes.c_int64()
    found.sw_about_v16(ctypes.byref(interface), ctypes.byref(widest))
    return interface.value, widest.value


def _share_openmp(found: ctypes.CDLL) -> None:
    """Gives the library the thread pool that torch runs on: two pools on one machine wait for each other.

    A look into torch's own library finds the symbols among those that it was linked with, so never another package's
    OpenMP. Where it has none that speaks GCC's dialect, the kernels run serially.
    """
    names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    try:
        torch_itself = ctypes.CDLL(torch._C.__file__)
        addresses = [ctypes.cast(torch_itself[name], ctypes.c_void_p) for name in names]
    except (AttributeError, OSError):
        return
    found.sw_use_openmp(*addresses)

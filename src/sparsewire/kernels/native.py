"""The native library: one shared object with a plain C interface, found beside this file, or None.

It is built with the package (`hatch_build.py`). Its functions take raw addresses and sizes; the width of the vectors is
in their names (`sw_linear_forward_v64`), and the widest that this machine has is chosen here.
"""

import ctypes
import os
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FILE = Path(os.environ.get("SPARSEWIRE_LIBRARY", Path(__file__).with_name("_sparsewire_kernels.so")))
DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}
_SWITCH, _WIDTH = "SPARSEWIRE_NATIVE", "SPARSEWIRE_VECTOR_BYTES"


@cache
def library() -> ctypes.CDLL | None:
    """The loaded library; None where there is none or SPARSEWIRE_NATIVE=0 says so, which is then said once."""
    if os.environ.get(_SWITCH, "1") == "0":
        return None
    if not FILE.exists():
        warnings.warn(
            f"sparsewire runs on plain torch: {FILE.name} was not built, since no C++ compiler was at hand when the "
            f"package was installed. Install g++ or clang++ and install it again; {_SWITCH}=0 hides this warning.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    found = ctypes.CDLL(str(FILE))
    _share_openmp(found)
    return found


def is_at_hand() -> bool:
    """Whether the native kernels are used."""
    return library() is not None


@cache
def vector_bytes() -> int:
    """The width of the vectors in use: 16, 32 or 64; SPARSEWIRE_VECTOR_BYTES asks for a narrower one."""
    found = library()
    if found is None:
        return 0
    best = int(found.sw_vector_bytes())
    return min(best, int(os.environ.get(_WIDTH, best)))


@cache
def function(name: str) -> Callable[..., Any]:
    """The C function `sw_<name>` for this machine's vectors. Addresses and sizes are passed as Python ints."""
    found = library()
    assert found is not None
    function = getattr(found, f"sw_{name}_v{vector_bytes()}")
    function.restype = None
    return _with_longs(function)


def _with_longs(function: Any) -> Callable[..., Any]:
    # ctypes passes a bare int as a C int of 32 bits; every parameter of ours is 64 bits wide or a double.
    def call(*arguments: Any) -> Any:
        return function(*[ctypes.c_double(a) if isinstance(a, float) else ctypes.c_int64(a) for a in arguments])

    return call


def _share_openmp(found: ctypes.CDLL) -> None:
    """Gives the library the thread pool that torch runs on: two pools on one machine wait for each other."""
    for line in Path("/proc/self/maps").read_text().splitlines() if Path("/proc/self/maps").exists() else ():
        path = line.split()[-1]
        if "libgomp" in path:
            gomp = ctypes.CDLL(path)
            names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
            found.sw_use_openmp(*[ctypes.cast(getattr(gomp, name), ctypes.c_void_p) for name in names])
            return


def address(tensor: Tensor | None) -> int:
    """Where the numbers of a contiguous tensor lie; 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()

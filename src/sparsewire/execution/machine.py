"""Which machine this is, as far as measured times depend on it."""

import hashlib
import os
import platform
from functools import cache
from pathlib import Path

import torch

from sparsewire import __version__
from sparsewire.kernels import native

Facts = dict[str, str | int]


def machine() -> Facts:
    """What a measured time depends on beside the layer: processor, threads, kernels and versions; JSON at heart.

    Example:
        >>> sorted(machine())
        ['cores', 'kernels', 'processor', 'sparsewire', 'threads', 'torch', 'vector_bytes']
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "kernels": _kernels() if native.is_at_hand() else "plain torch",
        "vector_bytes": native.vector_bytes(),
        "torch": torch.__version__,
        "sparsewire": __version__,
    }


@cache
def _processor() -> str:
    """The name of the processor, with its family and stepping where it says them: virtual machines share names."""
    file, wanted = Path("/proc/cpuinfo"), ("model name", "cpu family", "model", "stepping", "CPU part")
    if file.exists():
        lines = [line.partition(":") for line in file.read_text(errors="replace").split("\n\n")[0].splitlines()]
        found = {key.strip(): value.strip() for key, _, value in lines}
        if told := [found[key] for key in wanted if key in found]:
            return " ".join(told)
    return platform.processor() or platform.machine()


@cache
def _kernels() -> str:
    """The content of the native library: a new build is another machine."""
    return hashlib.sha256(native.FILE.read_bytes()).hexdigest()[:16]

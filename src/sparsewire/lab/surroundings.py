"""What a trial runs in: threads, the global streams, the machine; and how each is put back."""

import contextlib
import functools
import platform
import random
from collections.abc import Iterator
from pathlib import Path

import sparsewire
from sparsewire.lab.trial import stream


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for torch, inside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def own_stream(seed: int) -> Iterator[None]:
    """The global streams, from which layers and data sets draw, start alike in each trial and are put back."""
    import numpy as np
    import torch

    start = stream(seed, "global")
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what others draw from
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(start)
            random.seed(start)
            np.random.seed(start)  # noqa: NPY002
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


@functools.cache
def machine() -> dict[str, str]:
    """What decides the bits of a result besides spec, seed and threads.

    Example:
        >>> sorted(machine())
        ['cpu', 'sparsewire', 'torch']
    """
    import torch

    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    cpu = f"{model}, {torch.backends.cpu.get_cpu_capability()}"
    return {"sparsewire": sparsewire.__version__, "torch": torch.__version__, "cpu": cpu}

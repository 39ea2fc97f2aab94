"""What a trial runs in: threads, the global streams, the machine; and how each is put back."""

import contextlib
import functools
import platform
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sparsewire
from sparsewire.lab.trials.trial import stream


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
            torch.cuda.manual_seed_all(start)  # where no GPU was used yet, only noted for when one is
            random.seed(start)
            np.random.seed(start)  # noqa: NPY002
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """What a trial changes of torch's settings is put back: the next trial in this process is none the wiser."""
    import torch

    def to_device(device: torch.device) -> None:
        # None rather than the CPU by name, which torch would put before every later call; kernels keep out of its way.
        torch.set_default_device(None if device.type == "cpu" else device)

    settings: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.get_default_device, to_device),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    )
    before = [read() for read, _ in settings]
    try:
        yield
    finally:
        for value, (read, write) in zip(before, settings, strict=True):
            if read() != value:
                write(value)


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

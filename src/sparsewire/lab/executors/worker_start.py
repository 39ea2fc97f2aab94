r"""What a worker of dask.distributed does before its first order, and when it must end by itself.

Our own clusters load this module into each worker. Who starts workers by hand does it so:

    dask worker ADDRESS --nthreads 1 --memory-limit 0 --preload sparsewire.lab.executors.worker_start \
        --preload-nanny sparsewire.lab.executors.worker_start
"""

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from sparsewire.lab.executors.contract import Order, Receipt, Work

_LOOK = 0.5  # seconds between two looks at parent and scheduler
_FAREWELL = 4.0  # seconds that a worker may take to end after it lost its scheduler
_PAUSE, _ATTEMPTS = 10.0, 3  # seconds between two attempts to reach the scheduler, and how many may fail
_PR_SET_PDEATHSIG = 1  # of Linux, <sys/prctl.h>


def dask_setup(worker: Any) -> None:
    """Makes a worker of its process: one thread, deaf to Ctrl-C, and gone when the process that started it is gone.

    Args:
        worker: the `distributed.Worker`, or a `distributed.Nanny`, which then ends when the scheduler is gone.
    """
    if hasattr(worker, "instantiate"):  # a nanny
        threading.Thread(target=_seek, args=(worker.scheduler_addr,), name="sparsewire-seek", daemon=True).start()
        return
    # Ctrl-C reaches every process of the terminal: the coordinator decides what becomes of the trials.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid() if worker.nanny else None  # without a nanny the parent is somebody's shell
    if parent is not None:
        _die_with(parent)
    threading.Thread(target=_watch, args=(worker, parent), name="sparsewire-watch", daemon=True).start()
    import torch

    torch.set_num_threads(1)


def obey(work: Work, order: Order) -> Receipt:
    """Does one order; what would end the process becomes an error that travels to the coordinator."""
    try:
        return work(order)
    except Exception:
        raise
    except BaseException as cause:  # noqa: BLE001 - those of extension modules too, for which nobody would look
        raise RuntimeError(f"the work on {order.experiment}, seed {order.seed}, raised {cause!r}") from None


def _die_with(parent: int) -> None:
    """Lets the kernel end this process with its parent: while native code holds Python's lock, no thread here runs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)


def _seek(address: str) -> None:
    """Ends a nanny whose scheduler cannot be reached: it would start workers that look for it in vain, for ever."""
    where = urlsplit(address)
    failures = 0
    while failures < _ATTEMPTS:
        time.sleep(_PAUSE)
        try:
            socket.create_connection((where.hostname or "", where.port or 0), timeout=_PAUSE).close()
            failures = 0
        except OSError:
            failures += 1
    os._exit(1)


def _watch(worker: Any, parent: int | None) -> None:
    """Ends the process without ceremony once parent or scheduler are gone: a trial in native code never asks."""
    from distributed.core import Status

    lost: float | None = None
    while True:
        if parent is not None and os.getppid() != parent:
            os._exit(1)
        over = worker.status in (Status.closing, Status.closed, Status.failed)
        lost = (lost or time.monotonic()) if over else None
        if lost is not None and time.monotonic() - lost > _FAREWELL:
            os._exit(1)
        time.sleep(_LOOK)

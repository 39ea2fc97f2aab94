"""What the tests of executors share: work for workers that cannot import the tests, and who is alive."""

import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType, SimpleNamespace

import cloudpickle
import psutil
import pytest

from sparsewire.errors import StoreError
from sparsewire.lab.executors.contract import Ended, Executor, Order, Receipt


def order(spec: str = "quick", seed: int = 0, root: str = "/unused") -> Order:
    return Order("demo", spec, seed, root)


def work(order: Order) -> Receipt:
    """Does what the spec says in one word."""
    match order.spec:
        case "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        case "slow":
            time.sleep(0.2)
        case "long":
            time.sleep(60)
        case "native":  # holds the lock of Python
            ctypes.PyDLL(None).sleep(60)
        case "full":
            raise StoreError("the disk is full")
        case "exit":
            raise SystemExit(3)
        case "facts":
            return Receipt("r", order.seed, "done", problem=repr(facts()))
    return Receipt("r", order.seed, "done", problem=f"{os.getpid()}")


def facts() -> dict[str, object]:
    import torch

    return {
        "threads": torch.get_num_threads(),
        "omp": os.environ["OMP_NUM_THREADS"],
        "deaf": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
        "store": [name for name in ("sparsewire.lab.store", "sparsewire.lab.storage.database") if name in sys.modules],
    }


def gather(executor: Executor, count: int, seconds: float = 40.0) -> list[Ended]:
    """The first `count` orders that end."""
    found: list[Ended] = []
    give_up = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < give_up, f"{len(found)} of {count} orders ended within {seconds} s"
        found += executor.ended(1.0)
    return found


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"{seconds} s, and still not: {what}"
        time.sleep(0.05)


def children() -> list[psutil.Process]:
    """Our worker processes: Python's own tracker of semaphores belongs to the whole process, and ends with it."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            line = " ".join(process.cmdline())
            # other tests of this process may have a browser open
            if process.status() != psutil.STATUS_ZOMBIE and "python" in line and "resource_tracker" not in line:
                found.append(process)
        except psutil.NoSuchProcess:
            pass
    return found


def listeners(processes: Iterable[psutil.Process]) -> list[str]:
    """The addresses at which these processes listen."""
    return [
        found.laddr.ip
        for process in processes
        for found in process.net_connections(kind="inet")
        if found.status == psutil.CONN_LISTEN
    ]


@pytest.fixture
def tools() -> SimpleNamespace:
    """The functions above: tests cannot import them from here."""
    # Nor can workers, so `work` travels by value.
    if sys.modules[__name__] not in _BY_VALUE:
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        _BY_VALUE.append(sys.modules[__name__])
    return SimpleNamespace(
        order=order, work=work, gather=gather, wait_for=wait_for, children=children, listeners=listeners
    )


_BY_VALUE: list[ModuleType] = []


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Afterwards no process, no listener and no thread of a cluster is left."""
    threads = set(threading.enumerate())
    yield
    wait_for(lambda: not children(), "no process is left")
    assert listeners([psutil.Process()]) == []
    wait_for(lambda: not _new(threads), f"no thread is left of {_new(threads)}")


def _new(before: set[threading.Thread]) -> list[str]:
    """The threads that came since; dask ends that of a nanny when the nanny is collected, and keeps one for ever."""
    gc.collect()
    return [thread.name for thread in set(threading.enumerate()) - before if "Offload" not in thread.name]

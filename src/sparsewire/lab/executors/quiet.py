"""dask.distributed as a part of a program: silent, without web pages, and without decisions of its own."""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

# Name → value of dask's configuration; why is said beside each that is not plain.
SETTINGS = {
    # A lost worker is the runner's to count: dask accuses whatever was queued there.
    "distributed.scheduler.allowed-failures": 10**9,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    # Web pages are served at every address of the machine.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.deploy.lost-worker-timeout": "5s",
    "distributed.admin.system-monitor.gil.enabled": False,
    # A worker above its share of memory would be paused, and a trial does not give memory back: it would wait for ever.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
PATIENCE = 15.0  # seconds that a scheduler may take to answer
# What each worker does first.
PRELOAD = "sparsewire.lab.executors.worker_start"
_ENVIRONMENT = {**ONE_THREAD, "DASK_LOGGING__DISTRIBUTED": "critical", "MALLOC_TRIM_THRESHOLD_": "65536"}
_LOGGERS = ("distributed", "dask_jobqueue", "dask_kubernetes", "tornado", "kr8s", "httpx")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, dask says nothing and follows `SETTINGS`; afterwards everything is as before."""
    import dask
    import distributed  # noqa: F401 - it sets its loggers up when it is imported

    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in _LOGGERS]
    before = {name: logging.getLogger(name).level for name in names}
    environment = {name: os.environ.get(name) for name in (*_ENVIRONMENT, "PYTHONHASHSEED", "__DASK_PARENT_PID")}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with dask.config.set({**SETTINGS, "distributed.nanny.pre-spawn-environ": _ENVIRONMENT}):
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
        for name, value in environment.items():  # dask puts them into our own environment for its children
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


async def connected(where: Any) -> Any:
    """An asynchronous `distributed.Client`, connected.

    Args:
        where: an address or a cluster of dask.
    """
    client = _client(where)
    try:
        await client
    except BaseException:
        client.status = "closed"  # it opened nothing, and would complain when it is collected
        raise
    # It gathers messages for 10 ms, which an idle worker would wait for twice a trial.
    client.scheduler_comm.interval = 0.001
    return client


def _client(where: Any) -> Any:
    from distributed import Client

    return Client(where, asynchronous=True, set_as_default=False, timeout=PATIENCE)

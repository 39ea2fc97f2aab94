"""A scheduler that others have started: its workers do our orders, and outlive us."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from sparsewire.errors import RequestError, SparsewireError
from sparsewire.lab.executors.address import Address
from sparsewire.lab.executors.cluster import Cluster

pytest.importorskip("distributed")


@pytest.fixture
def foreign(tmp_path: Path, tools: SimpleNamespace) -> Iterator[SimpleNamespace]:
    """A scheduler and a worker with a nanny, as somebody starts them in two terminals."""
    file = tmp_path / "scheduler.json"
    start = [sys.executable, "-m"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen(
        [*start, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
         "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)], **quiet,
    )  # fmt: skip
    tools.wait_for(lambda: file.exists() and file.stat().st_size > 0, "a scheduler")
    address = json.loads(file.read_text())["address"]
    worker = subprocess.Popen(
        [*start, "distributed.cli.dask_worker", address, "--nthreads", "2", "--memory-limit", "0", "--no-dashboard",
         "--local-directory", str(tmp_path), "--preload", "sparsewire.lab.executors.worker_start"], **quiet,
    )  # fmt: skip
    yield SimpleNamespace(address=address, scheduler=scheduler, worker=worker)
    found = [scheduler, worker, *psutil.Process(worker.pid).children(recursive=True)]
    for process in found:
        if psutil.pid_exists(process.pid):
            process.kill()
    scheduler.wait()
    worker.wait()


def test_a_foreign_scheduler(foreign: SimpleNamespace, tools: SimpleNamespace) -> None:
    cluster = Cluster.at(foreign.address, tools.work)
    assert (cluster.name, cluster.capacity) == (f"the workers of {foreign.address}", 1)
    for seed in range(6):
        cluster.submit(tools.order(seed=seed))
    found = tools.gather(cluster, 6)
    assert [ended.order.seed for ended in found] == list(range(6)), "one at a time on the one worker"
    cluster.submit(tools.order("poison", 9))
    cluster.submit(tools.order("slow", 10))
    lost, done = tools.gather(cluster, 2)
    assert (lost.order.seed, lost.receipt) == (9, None)
    assert (done.order.seed, done.loss) == (10, ""), "its nanny has started it again"
    cluster.close(0.0)
    assert foreign.scheduler.poll() is None
    assert foreign.worker.poll() is None

    cluster = Cluster.at(foreign.address, tools.work)
    cluster.submit(tools.order())
    tools.gather(cluster, 1)
    cluster.submit(tools.order("long"))
    assert cluster.ended(0.5) == []
    foreign.scheduler.kill()
    with pytest.raises(SparsewireError, match="the scheduler is gone"):
        tools.gather(cluster, 1)
    cluster.close(0.0)
    # The worker was in the middle of a long trial; it ends all the same when nobody is there to tell.
    tools.wait_for(lambda: not _workers(foreign.worker.pid), "no worker process is left", seconds=30.0)


def _workers(nanny: int) -> list[psutil.Process]:
    try:
        return [
            child
            for child in psutil.Process(nanny).children(recursive=True)
            if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(child.cmdline())
        ]
    except psutil.NoSuchProcess:
        return []


def test_nobody_answers(tools: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsewire.lab.executors.quiet.PATIENCE", 0.5)
    cluster = Cluster.at("tcp://127.0.0.1:9", tools.work)
    with pytest.raises(RequestError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:9"):
        tools.gather(cluster, 1)
    cluster.close(0.0)


def test_tls_without_certificates(tools: SimpleNamespace) -> None:
    cluster = Cluster.at("tls://127.0.0.1:9", tools.work)
    with pytest.raises(RequestError, match=r"cannot connect to tls://127\.0\.0\.1:9: .*distributed\.comm\.tls\.client"):
        tools.gather(cluster, 1)
    cluster.close(0.0)


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "tcp://127.8.8.8:1", "tcp://[::1]:1", "tcp://localhost:1", "tls://10.1.2.3:1"]
)
def test_addresses_that_may_be(address: str) -> None:
    assert Address(address).name.endswith(address)
    assert Address("tcp://10.1.2.3:1", insecure=True).size is None

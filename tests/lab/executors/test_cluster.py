"""The rules of running on dask, on two local workers: one order a worker, nothing kept, loopback alone, silence."""

import asyncio
import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from sparsewire.errors import SparsewireError, StoreError
from sparsewire.lab.executors import own_cores
from sparsewire.lab.executors.cluster import Cluster
from sparsewire.lab.executors.contract import Ended, Order, Receipt
from sparsewire.lab.executors.worker_start import obey

pytest.importorskip("distributed")


@contextlib.contextmanager
def two(tools: SimpleNamespace, grace: float = 0.0) -> Iterator[Cluster]:
    cluster = Cluster.local(2, tools.work)
    try:
        yield cluster
    finally:
        cluster.close(grace)


def _workers(cluster: Cluster) -> int:
    return cluster._dispatcher.workers if cluster._dispatcher else 0


def test_orders_are_done_once_each_and_nothing_of_them_is_kept(
    tools: SimpleNamespace, nothing_left: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Rule 2: streaming. Whatever is handed over, dask holds at most one task a worker, and none afterwards."""
    environment = dict(os.environ)
    with two(tools) as cluster:
        assert (cluster.name, cluster.capacity) == ("2 local workers", 2)
        assert cluster.ended(0.0) == []
        for seed in range(60):
            cluster.submit(tools.order(seed=seed))
        scheduler = None
        most, found = 0, []
        while len(found) < 60:
            found += cluster.ended(10.0)
            scheduler = cluster._ground._cluster.scheduler  # type: ignore[attr-defined]
            most = max(most, len(scheduler.tasks))
        assert sorted(ended.order.seed for ended in found) == list(range(60))
        assert all(ended.receipt == ("r", ended.order.seed, "done", None, ended.receipt.problem) for ended in found)
        assert len({ended.receipt.problem for ended in found}) == 2, "both workers worked"
        assert most <= 4  # two being done, and two whose receipts are here and that are about to be forgotten
        tools.wait_for(lambda: not scheduler.tasks, "no task is kept")
        assert len(scheduler.task_prefixes) <= 2, "dask keeps statistics by name, for ever"
        assert scheduler.allowed_failures > 10**6  # rule 3
        assert cluster._ground._cluster._adaptive is not None  # rule 1
        # Idempotent: an order may come again, after it was stopped for instance, and is done again.
        cluster.submit(tools.order(seed=0))
        assert [ended.order.seed for ended in tools.gather(cluster, 1)] == [0]
    assert dict(os.environ) == environment
    assert capfd.readouterr() == ("", "")


def test_workers_have_one_thread_are_deaf_to_ctrl_c_never_open_the_store_and_nobody_else_can_reach_them(
    tools: SimpleNamespace, nothing_left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules 5 and 6, and one thread a trial; and Ctrl-C does not even reach a worker that is being born."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with two(tools) as cluster:
        cluster.submit(tools.order("facts"))
        seen: set[int] = set()
        found: list[Ended] = []
        while not found or len(seen) < 2:
            for child in tools.children():
                seen.add(child.pid)
                os.kill(child.pid, signal.SIGINT)
            found += cluster.ended(0.02)
        assert found[0].receipt is not None
        assert found[0].receipt.problem == repr({"threads": 1, "omp": "1", "deaf": True, "store": []})
        tools.wait_for(lambda: {child.pid for child in tools.children()} == seen, "the same two workers")
        assert set(tools.listeners([psutil.Process(), *tools.children()])) == {"127.0.0.1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_poisonous_order_is_told_from_those_that_wait_beside_it(
    tools: SimpleNamespace, nothing_left: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Rule 3: every loss accuses the order that the worker had, and no other."""
    with two(tools) as cluster:
        orders = [tools.order("poison", 99), *(tools.order("slow", seed) for seed in range(16))]
        for order in orders:
            cluster.submit(order)
        losses: collections.Counter[int] = collections.Counter()
        done: list[int] = []
        while losses[99] < 3 or len(done) < 16:
            for ended in tools.gather(cluster, 1):  # or more, that ended together
                if ended.receipt is None:
                    losses[ended.order.seed] += 1
                    assert "was killed" in ended.loss
                    if losses[ended.order.seed] < 3:
                        cluster.submit(ended.order)
                else:
                    done.append(ended.order.seed)
        assert losses == {99: 3}
        assert sorted(done) == list(range(16))
    assert capfd.readouterr() == ("", "")


def test_workers_that_die_while_they_start_are_replaced(tools: SimpleNamespace, nothing_left: None) -> None:
    """Rule 1: a cluster that does not adapt ends with fewer workers, or with none, and waits for ever."""
    with two(tools) as cluster:
        killed: set[int] = set()
        while len(killed) < 6:
            for child in tools.children():
                if child.pid not in killed and time.time() - child.create_time() > 0.1 * len(killed):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
                    killed.add(child.pid)
            time.sleep(0.01)
        for seed in range(8):
            cluster.submit(tools.order("slow", seed))
        found = tools.gather(cluster, 8)
        assert {ended.order.seed for ended in found} == set(range(8))
        tools.wait_for(lambda: len(tools.children()) == 2, "two workers again")


def test_what_the_work_raises_is_raised_here(tools: SimpleNamespace, nothing_left: None) -> None:
    with two(tools) as cluster:
        cluster.submit(tools.order("full", 5))
        for _ in range(2):  # and again, so that nobody waits for what cannot come
            with pytest.raises(StoreError, match="the disk is full"):
                tools.gather(cluster, 1)


def test_what_would_end_a_worker_is_an_error(tools: SimpleNamespace) -> None:
    with pytest.raises(RuntimeError, match=r"the work on demo, seed 5, raised SystemExit\(3\)"):
        obey(tools.work, tools.order("exit", 5))


def test_what_is_no_exception_is_an_error_too(tools: SimpleNamespace) -> None:
    def panics(order: Order) -> Receipt:
        raise asyncio.CancelledError("in Rust")  # dask would take it for its own, and others for nothing

    with pytest.raises(RuntimeError, match=r"seed 5, raised CancelledError\('in Rust'\)"):
        obey(panics, tools.order("quick", 5))


def test_work_that_cannot_travel_is_an_error(tools: SimpleNamespace, nothing_left: None) -> None:
    lock = threading.Lock()
    cluster = Cluster.local(1, lambda order: lock and Receipt("r", 0, "done"))
    cluster.submit(tools.order())
    with pytest.raises(Exception, match="serialize"):
        tools.gather(cluster, 1)
    cluster.close(0.0)


def test_workers_that_cannot_start_are_an_error(
    tools: SimpleNamespace, nothing_left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_cores, "PRELOAD", "no.such.module")
    monkeypatch.setattr(own_cores.OwnCores, "patience", 3.0)
    with two(tools) as cluster, pytest.raises(SparsewireError, match=r"has started within 3 s; `--executor here`"):
        tools.gather(cluster, 1)


def test_close_ends_workers_that_do_not_listen(tools: SimpleNamespace, nothing_left: None) -> None:
    with two(tools, grace=0.2) as cluster:
        tools.wait_for(lambda: _workers(cluster) == 2, "two workers")
        for spec in ("long", "native", "long", "native"):
            cluster.submit(tools.order(spec))
        time.sleep(0.3)
    assert tools.children() == []
    assert cluster.ended(0.0) == []
    cluster.submit(tools.order())  # nothing happens
    cluster.close(0.0)


def test_close_waits_for_what_is_under_way_and_forgets_the_rest(tools: SimpleNamespace, nothing_left: None) -> None:
    with two(tools, grace=30.0) as cluster:
        tools.wait_for(lambda: _workers(cluster) == 2, "two workers")
        for seed in range(6):
            cluster.submit(tools.order("slow", seed))
        time.sleep(0.1)
    assert sorted(ended.order.seed for ended in cluster.ended(0.0)) == [0, 1]


def test_close_at_once_and_while_workers_start(tools: SimpleNamespace, nothing_left: None) -> None:
    for wait in (0.0, 0.3):
        cluster = Cluster.local(2, tools.work)
        cluster.submit(tools.order())
        time.sleep(wait)
        cluster.close(0.0)
        assert tools.children() == []


DRIVER = """
import ctypes, sys, time
from sparsewire.lab.executors.cluster import Cluster
from sparsewire.lab.executors.contract import Order, Receipt

def work(order):
    print(order.spec, flush=True)
    ctypes.PyDLL(None).sleep(60) if order.spec == "native" else time.sleep(60)
    return Receipt("r", 0, "done")

if __name__ == "__main__":
    cluster = Cluster.local(2, work)
    for spec in ("native", "long"):
        cluster.submit(Order("demo", spec, 0, "/unused"))
    time.sleep(60)
"""


def test_a_driver_that_is_killed_leaves_no_process(tools: SimpleNamespace, tmp_path: Path) -> None:
    """Not even one in native code that holds the lock of Python, where no thread of ours could look around."""
    (tmp_path / "driver.py").write_text(DRIVER)
    driver = subprocess.Popen(
        [sys.executable, str(tmp_path / "driver.py")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert driver.stdout is not None
    assert {driver.stdout.readline(), driver.stdout.readline()} == {"native\n", "long\n"}
    processes = psutil.Process(driver.pid).children(recursive=True)
    assert len(processes) >= 2
    driver.kill()
    driver.wait()
    driver.stdout.close()
    tools.wait_for(lambda: not any(map(psutil.Process.is_running, processes)), "all are gone", seconds=5.0)


def test_a_nanny_ends_when_its_scheduler_cannot_be_reached() -> None:
    """Or a job of Slurm would start worker after worker until its time is over, for a driver that was killed."""
    code = "from sparsewire.lab.executors import worker_start as w; w._PAUSE = 0.05; w._seek('tls://127.0.0.1:9')"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 1


def test_kills_at_random_moments() -> None:
    """The short form of a benchmark: all orders are done once, nothing hangs, nobody is left."""
    script = Path(__file__).parents[3] / "benchmarks" / "executor_kills.py"
    found = subprocess.run(
        [sys.executable, str(script), "--kills", "2", "--drivers", "1", "--gap", "0.5"],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr

"""Kills workers, and then whole drivers, at random moments of a stream of short orders on two local workers.

    python benchmarks/executor_kills.py [--kills 2] [--drivers 1] [--gap 1.0] [--long] [--seed 0]

`--long` stands for 100 kills of workers and 20 of drivers. Prints, for the workers: how many orders were done, how many
losses were reported, and the longest time without an order ended; for the drivers: the longest time until the last of
their processes was gone. Ends with status 1 if an order was lost or ended twice, if nothing ended for 120 s, or if a
process is left 5 s after it should have gone.
"""

import argparse
import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from sparsewire.lab.executors.cluster import Cluster
from sparsewire.lab.executors.contract import Order, Receipt

WORKERS = 2
WATCHDOG = 120.0  # seconds without an order ended
FAREWELL = 5.0  # seconds that processes may live on


def work(order: Order) -> Receipt:
    """Takes 50 to 150 ms, part of it in native code, and leaves a file; exchange it for another to test that."""
    import torch

    end = time.monotonic() + 0.05 + 0.1 * (order.seed % 7) / 6
    square = torch.ones(200, 200)
    while time.monotonic() < end:
        square = (square @ square).clamp(0, 1)
    (Path(order.root) / f"{order.seed}").write_text(f"{float(square[0, 0])}", encoding="utf-8")
    return Receipt("kills", order.seed, "done")


def descendants(process: int) -> list[psutil.Process]:
    """The living processes that it started, and those that they did."""
    try:
        return [child for child in psutil.Process(process).children(recursive=True) if _lives(child)]
    except psutil.NoSuchProcess:
        return []


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def workers_of(process: int) -> list[psutil.Process]:
    """Its workers; Python's own tracker of semaphores is none."""
    found = []
    for child in descendants(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def gone_after(processes: list[psutil.Process]) -> float:
    """Seconds until none of them lives; leaves with an error where that takes too long."""
    begin = time.monotonic()
    while left := [process for process in processes if _lives(process)]:
        if time.monotonic() - begin > FAREWELL:
            sys.exit(f"FAILED: {FAREWELL:.0f} s later there is still {left}")
        time.sleep(0.02)
    return time.monotonic() - begin


def stream(cluster: Cluster, root: str, tick: Callable[[collections.Counter[int]], bool]) -> tuple[int, float]:
    """Keeps the cluster busy until `tick` says that it is enough: the losses, and the longest silence in seconds."""
    ended: collections.Counter[int] = collections.Counter()
    under_way: set[int] = set()
    losses, sent, longest, last = 0, 0, 0.0, time.monotonic()
    more = True
    while more or under_way:
        while more and len(under_way) < 2 * cluster.capacity:
            cluster.submit(Order("kills", "{}", sent, root))
            under_way.add(sent)
            sent += 1
        for order, receipt, _ in cluster.ended(0.2):
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
            if receipt is None:
                losses += 1
                cluster.submit(order)
            else:
                ended[order.seed] += 1
                under_way.discard(order.seed)
        if time.monotonic() - last > WATCHDOG:
            sys.exit(f"FAILED: nothing has ended for {WATCHDOG:.0f} s; under way: {sorted(under_way)}")
        more = more and tick(ended)
    if sorted(ended.items()) != [(seed, 1) for seed in range(sent)]:
        sys.exit(f"FAILED: of {sent} orders {len(ended)} ended, these more than once: {ended - ended.keys()}")
    if missing := [seed for seed in range(sent) if not (Path(root) / f"{seed}").exists()]:
        sys.exit(f"FAILED: orders {missing} left no file")
    return losses, longest


def kill_workers(kills: int, gap: float, draw: random.Random) -> None:
    """Kills workers one after another while orders stream."""
    with tempfile.TemporaryDirectory() as root:
        cluster = Cluster.local(WORKERS, work)
        begin = time.monotonic()
        killed, due = 0, float("inf")

        def tick(ended: collections.Counter[int]) -> bool:
            nonlocal killed, due
            if due == float("inf") and ended:
                due = time.monotonic() + draw.expovariate(1 / gap)
            if time.monotonic() >= due and (victims := workers_of(os.getpid())):
                with contextlib.suppress(psutil.NoSuchProcess):
                    draw.choice(victims).kill()
                    killed += 1
                due = time.monotonic() + draw.expovariate(1 / gap)
            return killed < kills

        losses, longest = stream(cluster, root, tick)
        seconds, done = time.monotonic() - begin, len(list(Path(root).iterdir()))
        processes = workers_of(os.getpid())
        cluster.close(1.0)
        late = gone_after(processes)
    print(
        f"workers: {killed} killed in {seconds:.0f} s; {done} of {done} orders done, each once; {losses} losses "
        f"reported; longest silence {longest:.1f} s; {late:.2f} s after closing no process is left"
    )


def kill_drivers(kills: int, gap: float, draw: random.Random) -> None:
    """Kills drivers, each with workers in the middle of something, and waits for the workers to go."""
    longest = 0.0
    for _ in range(kills):
        with tempfile.TemporaryDirectory() as root:
            driver = subprocess.Popen([sys.executable, __file__, "--drive", root], stderr=subprocess.DEVNULL)
            give_up = time.monotonic() + WATCHDOG
            while not any(Path(root).iterdir()) and draw.random() > 0.002:  # now and then while workers start
                if time.monotonic() > give_up:
                    sys.exit("FAILED: a driver does nothing")
                time.sleep(0.02)
            time.sleep(draw.random() * gap)
            processes = descendants(driver.pid)
            os.kill(driver.pid, signal.SIGKILL)
            driver.wait()
            longest = max(longest, gone_after(processes))
    print(f"drivers: {kills} killed; the last of their processes was gone {longest:.2f} s later")


def main() -> None:
    """Reads the command line and does what it says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=2, help="of workers")
    parser.add_argument("--drivers", type=int, default=1, help="kills of drivers")
    parser.add_argument("--gap", type=float, default=1.0, help="mean seconds between two kills")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--long", action="store_true", help="100 kills of workers and 20 of drivers")
    parser.add_argument("--drive", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        stream(Cluster.local(WORKERS, work), options.drive, lambda ended: True)
    draw = random.Random(options.seed)
    kill_workers(100 if options.long else options.kills, options.gap, draw)
    kill_drivers(20 if options.long else options.drivers, options.gap, draw)


if __name__ == "__main__":
    main()

"""Orders on a real Slurm, two of whose jobs are killed: all of them are done, each once.

    python benchmarks/slurm_for_real.py [--orders 40] [--jobs 2] [--kills 2] [--options FILE] [--insecure] [--long]

Needs a machine from which `sbatch` works; on Debian one machine is a cluster after `apt-get install slurm-wlm munge`
and a slurm.conf of ten lines, see docs. `--long` stands for 200 orders. Every second kill is a plain `kill -9` of a
worker where jobs run on this machine; the others are `scancel --signal=KILL --full`: the job is gone, and another one
is submitted. Prints what was killed, the losses that were reported, and the longest time without an order ended.
"""

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from sparsewire.lab.executors.by_name import read_options
from sparsewire.lab.executors.cluster import Cluster
from sparsewire.lab.executors.contract import Order, Receipt
from sparsewire.lab.executors.slurm import SlurmOptions

WATCHDOG = 300.0  # seconds without an order ended


def work(order: Order) -> Receipt:
    """Takes half a second and leaves a file; exchange it for another to test that."""
    import torch

    end = time.monotonic() + 0.5
    square = torch.ones(200, 200)
    while time.monotonic() < end:
        square = (square @ square).clamp(0, 1)
    with (Path(order.root) / f"{order.seed}").open("a", encoding="utf-8") as file:
        file.write(f"done in job {os.environ.get('SLURM_JOB_ID')}\n")
    return Receipt("slurm", order.seed, "done", problem=os.environ.get("SLURM_JOB_ID", ""))


def jobs() -> list[str]:
    """The numbers of our jobs that run."""
    asked = ["squeue", "--noheader", "--format=%i", "--name=sparsewire", "--states=RUNNING", f"--user={os.getuid()}"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()


def kill(number: int, draw: random.Random) -> str:
    """Kills a job, or a worker process on this machine; says which."""
    workers = [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if "spawn_main" in " ".join(process.info["cmdline"] or []) and "SLURM_JOB_ID" in (process.info["environ"] or {})
    ]
    if number % 2 and workers:
        victim = draw.choice(workers)
        os.kill(victim.pid, signal.SIGKILL)
        return f"process {victim.pid} of job {victim.info['environ']['SLURM_JOB_ID']}"
    job = draw.choice(jobs())
    subprocess.run(["scancel", "--signal=KILL", "--full", job], check=True)
    return f"job {job}"


def run(cluster: Cluster, root: Path, orders: int, kills: int, draw: random.Random) -> None:
    """Has the orders done while jobs are killed, and checks that each was."""
    at = sorted(draw.sample(range(4, max(orders // 2, 5 + kills)), kills))  # so many orders before each kill
    ended: collections.Counter[int] = collections.Counter()
    sent, losses, longest, begin, last = 0, 0, 0.0, time.monotonic(), time.monotonic()
    used: set[str] = set()
    killed = 0
    while len(ended) < orders:
        while sent < orders and sent - len(ended) < 2 * cluster.capacity:
            cluster.submit(Order("slurm", "{}", sent, str(root)))
            sent += 1
        for order, receipt, loss in cluster.ended(0.5):
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
            if receipt is None:
                losses += 1
                print(f"  lost: order {order.seed}: {loss}")
                cluster.submit(order)
            else:
                ended[order.seed] += 1
                used.add(receipt.problem)
        if killed < kills and len(ended) >= at[killed] and len(jobs()) == cluster.capacity:
            print(f"  after {len(ended)} orders: killed {kill(killed, draw)}")
            killed += 1
        if time.monotonic() - last > WATCHDOG:
            sys.exit(f"FAILED: nothing has ended for {WATCHDOG:.0f} s")
    if sorted(ended.items()) != [(seed, 1) for seed in range(orders)] or len(list(root.iterdir())) != orders:
        sys.exit(f"FAILED: of {orders} orders {len(ended)} ended: {ended}")
    print(
        f"{orders} of {orders} orders done, each once, in {time.monotonic() - begin:.0f} s by the jobs "
        f"{', '.join(sorted(used))}; {killed} kills, {losses} losses reported; longest silence {longest:.1f} s"
    )


def main() -> None:
    """Reads the command line and does what it says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--options", type=Path, help="a file for `--executor slurm:FILE`")
    parser.add_argument("--insecure", action="store_true", help="without TLS, as on a machine of one's own")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--long", action="store_true", help="200 orders")
    options = parser.parse_args()
    if missing := [name for name in ("sbatch", "squeue", "scancel") if shutil.which(name) is None]:
        sys.exit(f"There is no Slurm here: {', '.join(missing)} not found. Debian: apt-get install slurm-wlm munge")
    if (asked := subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True)).returncode:
        sys.exit(f"Slurm does not answer, are munged, slurmctld and slurmd running? {asked.stderr.strip()}")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a folder that the nodes see, too
        own = SlurmOptions(
            jobs=options.jobs, memory="1GB", walltime="00:30:00", interface="lo", insecure=options.insecure,
            log_folder=folder,
        )  # fmt: skip
        cluster = Cluster.slurm(read_options(options.options, SlurmOptions) if options.options else own, work)
        root = Path(folder) / "orders"
        root.mkdir()
        try:
            run(cluster, root, 200 if options.long else options.orders, options.kills, random.Random(options.seed))
        finally:
            cluster.close(1.0)
        time.sleep(5.0)
        print(f"jobs left 5 s after closing: {', '.join(jobs()) or 'none'}")


if __name__ == "__main__":
    main()

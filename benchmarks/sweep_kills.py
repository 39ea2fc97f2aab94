"""Kills the coordinator of a sweep and its workers with SIGKILL, again and again, and counts what is left at the end.

    python benchmarks/sweep_kills.py --coordinator 50 --workers 100

The sweep is 200 small trainings by `sparsewire run … --executor local --workers 2`. Some runs have their workers
killed, the others die themselves; each is begun again by the same command. A result counts as acknowledged once it lies
in the spool or in the store. Prints the kills, the trials that are in the store at the end (each once), acknowledged
results that were lost, results that differ from those of a sweep that nobody touched, processes that were still alive
five seconds after their coordinator's death, trials left as running, and the longest time without progress.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sparsewire.errors import SparsewireError
from sparsewire.lab.storage.spool import pending
from sparsewire.lab.store import Store
from sparsewire.lab.trials.live import running

NAME, TRIALS = "lightning.robustness", 200
_HANG = 180.0  # seconds without progress


def command(store: Path, executor: str) -> list[str]:
    strengths = ",".join(f"{0.001 * (number + 1):.3f}" for number in range(TRIALS // 2))
    fields = ["data=digits", "hidden=[100,50]", "epochs=6"]
    sets = [part for field in fields for part in ("-s", field)]
    workers = ["--workers", "2"] if executor == "local" else []
    return [
        *(sys.executable, "-m", "sparsewire", "run", NAME, "--scale", "smoke", *sets, "-g", f"strength={strengths}"),
        *("-g", "lightnings=50", "--seeds", "2", "--store", str(store), "--executor", executor, "--every", "0.05s"),
        *workers,
    ]


def family(root: int) -> list[int]:
    """The processes below one, and itself."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def is_alive(process: int) -> bool:
    try:
        return (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def workers_of(coordinator: int) -> list[int]:
    """Its processes that hold torch, without those that only start others."""
    found = []
    for process in family(coordinator)[1:]:
        with contextlib.suppress(OSError):
            if "spawn_main" in (Path("/proc") / str(process) / "cmdline").read_text():
                found.append(process)
    return found


def acknowledged(store: Path) -> set[tuple[str, int]]:
    """What lies in the spool or in the store; a parcel that is just being taken is in one of the two."""
    found = set()
    for _ in range(2):
        for parcel in pending(store):
            run, _, seed = parcel.name.removesuffix(".trial").partition("-")
            found.add((run, int(seed.removesuffix("-failed"))))
        with contextlib.suppress(SparsewireError), Store.open(store, write=False) as opened:
            found |= {(row.run, row.seed) for row in opened.rows(NAME)}
    return found


def results(store: Path) -> list[tuple[str, int, str, dict[str, float]]]:
    with Store.open(store, write=False) as opened:
        return sorted((row.run, row.seed, row.state, dict(row.metrics)) for row in opened.rows(NAME))


class Watch:
    """What was seen: acknowledged results, orphans, the longest standstill."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.seen: set[tuple[str, int]] = set()
        self.orphans, self.longest, self._last = 0, 0.0, time.monotonic()

    def look(self) -> None:
        """Notes what is acknowledged now."""
        now = acknowledged(self.store)
        if now - self.seen:
            self.longest = max(self.longest, time.monotonic() - self._last)
            self._last = time.monotonic()
        self.seen |= now
        if time.monotonic() - self._last > _HANG:
            raise SystemExit(f"no progress for {_HANG:.0f} s with {len(self.seen)} of {TRIALS} results")

    def progress(self) -> None:
        """The clock of standstill begins anew."""
        self._last = time.monotonic()


def once(store: Path, watch: Watch, kills: dict[str, int], left: dict[str, int]) -> bool:
    """Runs the command until it ends or is killed; whether it ended by itself."""
    target = "coordinator" if left["coordinator"] and (not left["workers"] or random.random() < 0.8) else "workers"
    process = subprocess.Popen(command(store, "local"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begun, before = time.monotonic(), len(watch.seen)
    watch.progress()
    next_kill = 0.0
    while process.poll() is None:
        watch.look()
        time.sleep(0.05)
        moved = len(watch.seen) > before
        if moved and not next_kill:
            next_kill = time.monotonic() + random.uniform(0, 1.0)
        early = target == "coordinator" and random.random() < 0.002 and time.monotonic() - begun > 0.2
        if not (early or (next_kill and time.monotonic() >= next_kill)):
            continue
        if target == "coordinator" and left["coordinator"]:
            kin = family(process.pid)
            process.kill()
            process.wait()
            kills["coordinator"] += 1
            left["coordinator"] -= 1
            time.sleep(5.0)
            watch.orphans += sum(map(is_alive, kin))
            return False
        if target == "workers" and left["workers"]:
            if alive := workers_of(process.pid):
                os.kill(random.choice(alive), signal.SIGKILL)
                kills["workers"] += 1
                left["workers"] -= 1
            next_kill = time.monotonic() + random.expovariate(1.0)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coordinator", type=int, default=2, help="kills of it (the issue's number: 50)")
    parser.add_argument("--workers", type=int, default=4, help="kills of workers (the issue's number: 100)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    left, kills = {"coordinator": options.coordinator, "workers": options.workers}, {"coordinator": 0, "workers": 0}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        subprocess.run(command(whole, "here"), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        expected, round_, lost, different, zombies = results(whole), 0, 0, 0, 0
        longest, orphans, restarts = 0.0, 0, 0
        while any(left.values()):
            store = Path(folder) / f"killed-{round_}"
            watch, round_ = Watch(store), round_ + 1
            while not once(store, watch, kills, left):
                restarts += 1
            found = results(store)
            lost += len(watch.seen - {(run, seed) for run, seed, _, _ in found})
            different += found != expected
            zombies += len(running(store))
            longest, orphans = max(longest, watch.longest), orphans + watch.orphans
            print(f"sweep {round_}: {len(found)} trials, kills so far {kills}", flush=True)
    print(f"{kills} in {round_} sweeps of {TRIALS} trials, {restarts} restarts, {time.monotonic() - begun:.0f} s:")
    print(f"  {lost} acknowledged results lost, {different} sweeps with other results than one that nobody touched,")
    print(f"  {zombies} trials left as running, {orphans} processes alive 5 s after their coordinator,")
    print(f"  {longest:.0f} s the longest time without progress")
    return 1 if lost or different or zombies or orphans else 0


if __name__ == "__main__":
    sys.exit(main())

"""Many processes that hand trials in to one store at once, while one takes them and others read.

    python benchmarks/store_writers.py            # 3 processes, 10 trials each
    python benchmarks/store_writers.py --long     # 8 processes, 200 trials each

Each process hands in its trials, each with an artefact, and some of its neighbour's besides. Meanwhile the coordinator
takes what has come, a reader counts it, and a second coordinator tries to open the store. In the end every trial must
be there once, with its own numbers. It prints the rates and how fast the second was refused; where anything is wrong it
says so and exits with 1.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sparsewire.errors import StoreError
from sparsewire.lab.spec import Spec
from sparsewire.lab.storage.artefacts import write_arrays
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in, pending
from sparsewire.lab.store import Store

SPEC = Spec(experiment="writers")
KINDS = {"writers": Spec}
COMMON = 5  # of a neighbour's trials are handed in by two


def work(root: Path, number: int, trials: int, processes: int) -> None:
    """One process: waits for the sign, then hands in its trials and some of the next one's."""
    while not (root / "begin").exists():
        time.sleep(0.005)
    following = (number + 1) % processes * trials
    for seed in [*range(number * trials, (number + 1) * trials), *range(following, following + COMMON)]:
        array = write_arrays(root / "work" / str(number) / "array.safetensors", {"x": np.arange(4) + seed})
        content = Content({"twice": 2.0 * seed}, {"loss": [(step, seed + step / 7) for step in range(20)]}, {})
        hand_in(root, SPEC, seed, Ending("done", None, None, 0.1, {}), content, {"array": array})


def watch(root: Path) -> None:
    """A reader, which counts until it is told to end; any error is an error of the whole."""
    counts = [0]
    while not (root / "end").exists():
        with Store.open(root, write=False) as store:
            counts.append(store.count())
            store.rows(limit=10, sort="twice", descending=True)
    assert counts == sorted(counts), "a reader saw trials vanish"


def intrude(root: Path) -> None:
    """A second coordinator: prints the seconds until it was refused, and the message."""
    begin = time.perf_counter()
    try:
        Store.open(root).close()
    except StoreError as error:
        print(time.perf_counter() - begin, error)


def start(role: str, root: Path, *numbers: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--role", role, str(root), *map(str, numbers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def measure(root: Path, processes: int, trials: int) -> list[str]:
    """Does it all and returns what is wrong."""
    faults, taken, longest = [], 0, 0.0
    with Store.open(root) as store:
        writers = [start("work", root, number, trials, processes) for number in range(processes)]
        others = [start("watch", root), start("intrude", root)]
        time.sleep(1.0)
        begin = time.perf_counter()
        (root / "begin").touch()
        while any(writer.poll() is None for writer in writers) or pending(root):
            before = time.perf_counter()
            taken += len(store.ingest())
            longest = max(longest, time.perf_counter() - before)
            time.sleep(0.02)
        seconds = time.perf_counter() - begin
        (root / "end").touch()
        said = [child.communicate(timeout=60) for child in (*writers, *others)]
        faults += [error for _, error in said if error]
        faults += [f"refused: {refusal}" for refusal in store.refusals]
        found = store.outcomes("writers", KINDS)
    waited, _, message = said[-1][0].partition(" ")
    if float(waited or 99) > 2 or f"process {os.getpid()} on host {socket.gethostname()}" not in message:
        faults.append(f"the second coordinator was not refused as it should be: {said[-1]}")
    if [outcome.seed for outcome in found] != list(range(processes * trials)) or taken != processes * trials:
        faults.append(f"{len(found)} trials are there and {taken} were taken, expected {processes * trials}")
    for outcome in found:
        seed, loss = outcome.seed, outcome.series["loss"]
        if (
            outcome.metrics["twice"] != 2.0 * seed
            or loss[3] != (3, seed + 3 / 7)
            or outcome.arrays("array")["x"][0] != seed
        ):
            faults.append(f"seed {seed} has other numbers than its own")
    print(
        f"{len(found):,} trials of {processes} processes, each once, in {seconds:.1f} s: {taken / seconds:.0f} a second"
    )
    print(f"longest taking in: {longest:.2f} s; second coordinator refused after {waited[:4]} s: {message.strip()}")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="8 processes, 200 trials each")
    parser.add_argument("--role", choices=("work", "watch", "intrude"), help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        root, *numbers = arguments.rest
        {"work": work, "watch": watch, "intrude": intrude}[arguments.role](Path(root), *map(int, numbers))
        return
    with tempfile.TemporaryDirectory() as folder:
        faults = measure(Path(folder), *((8, 200) if arguments.long else (3, 10)))
    sys.exit("\n".join(faults) or None)


if __name__ == "__main__":
    main()

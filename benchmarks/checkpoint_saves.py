"""SIGKILL inside the save of a large state: the last state that was kept must come back whole, or the one after it.

    python benchmarks/checkpoint_saves.py [--kills 20] [--megabytes 50 200] [--folder FOLDER] [--seed 0] [--long]

A child process saves one state after the other and says when a save begins and when it has returned. It is killed at a
random moment of a save, every third time between its two files or just behind them, then the folder is loaded here:
every number of the state must be that of one save, not older than the last one that had returned, without a warning,
and no temporary file may be left. The next child goes on in the same folder. TMPDIR is on another file system than the
folder. Printed: kills by what was found, times and memory of whole saves. The exit status is 1 if anything was wrong.
The long form is 200 kills.
"""

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from sparsewire.lab.checkpoint_folder import CheckpointFolder
from sparsewire.training.state import State

ELSEWHERE = Path("/dev/shm")


def state(number: int, megabytes: int) -> State:
    """A state of which every part says its number."""
    count = megabytes * 250_000 // 4
    tensors: dict[str, Tensor] = {f"layer{k}.weight": torch.full((count,), float(number)) for k in range(4)}
    return State({**tensors, "step": torch.tensor(number)}, {"number": number, "loss": 1 / number})


def number_of(found: State) -> int:
    """Which one it is, or -1 if its parts do not agree."""
    number = int(found.tensors["step"])
    whole = all(bool(tensor.eq(number).all()) for tensor in found.tensors.values())
    return number if whole and found.facts == {"number": number, "loss": 1 / number} else -1


def child(folder: Path, number: int, megabytes: int) -> None:
    kept = CheckpointFolder(folder)
    while True:
        one = state(number, megabytes)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print("begin", number, flush=True)
        start = time.perf_counter()
        kept.save(one)
        spent = time.perf_counter() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print("end", number, f"{spent:.6f}", f"{grown:.1f}", flush=True)
        number += 1
        del one


def killed(
    folder: Path, number: int, megabytes: int, delay: float, aimed: bool
) -> tuple[int, bool, list[tuple[float, float]]]:
    """The last save that returned, whether the kill fell inside one, and (seconds, MiB) of the whole ones."""
    command = [sys.executable, __file__, "--child", str(folder), str(number), str(megabytes)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(ELSEWHERE)}
    ) as process:
        assert process.stdout is not None
        lines = [_until(process.stdout, "end"), _until(process.stdout, "begin")]
        if aimed:
            tensors = folder / f"{lines[-1][1]}.safetensors"
            while not tensors.exists() and process.poll() is None:
                time.sleep(0.0002)
            time.sleep(delay / 100)
        else:
            time.sleep(delay)
        process.kill()
        lines += [line.split() for line in process.stdout if line.endswith("\n")]
    ends = [line for line in lines if line[0] == "end"]
    inside = lines[-1][0] == "begin"
    return int(ends[-1][1]), inside, [(float(line[2]), float(line[3])) for line in ends]


def _until(lines: IO[str], word: str) -> list[str]:
    for line in lines:
        if line.startswith(word):
            return line.split()
    raise SystemExit("the child ended by itself")


def looked_at(folder: Path, kept: int) -> tuple[int, str]:
    """The number of what is found after a kill, and what kind of end that is."""
    stray = [path for path in folder.iterdir() if path.name.endswith(".part")]
    half = {path.stem for path in folder.glob("*.safetensors")} - {path.stem for path in folder.glob("*.json")}
    loader = CheckpointFolder(folder)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = loader.load()
    number = number_of(found) if found else 0
    left = [path.name for path in folder.iterdir()]
    if told or number == -1 or number < kept or number > kept + 1:
        return number, f"WRONG: kept {kept}, found {number}, told {[str(one.message) for one in told]}"
    if any(name.endswith(".part") for name in left) or len(left) > 4:
        return number, f"WRONG: left behind: {left}"
    if number > kept:
        return number, "the new state, whose save had not returned"
    where = (
        "its tensors half written"
        if stray and not half
        else "its tensors written, no manifest"
        if half
        else "nothing yet"
    )
    return number, f"the state before; of the next {where}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--megabytes", type=int, nargs=2, default=(50, 200))
    parser.add_argument("--folder", type=Path, help="where, on a disk; a new folder in it is used and removed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(Path(options.child[0]), int(options.child[1]), int(options.child[2]))
    chance, found = random.Random(options.seed), Counter[str]()
    number, saves, rates, inside = 1, list[tuple[float, float]](), list[float](), 0
    kills = 200 if options.long else options.kills
    with tempfile.TemporaryDirectory(dir=options.folder or Path.cwd()) as root:
        folder = Path(root) / "checkpoints"
        print(f"folder on device {os.stat(root).st_dev}, TMPDIR on device {os.stat(ELSEWHERE).st_dev}")  # noqa: PTH116
        for turn in range(kills):
            megabytes = chance.randint(*options.megabytes)
            usual = statistics.median(rates) * megabytes if rates else 0.2
            kept, fell, whole = killed(folder, number, megabytes, chance.uniform(0, 1.15 * usual), turn % 3 == 2)
            saves += whole
            rates += [seconds / megabytes for seconds, _ in whole]
            inside += fell
            number, what = looked_at(folder, kept)
            found[what] += 1
            number = max(number, kept) + 1
    print(f"{kills} kills, {inside} of them inside a save of {options.megabytes[0]} to {options.megabytes[1]} MB:")
    for what, count in found.most_common():
        print(f"{count:5} {what}")
    print(f"{len(saves)} whole saves: median {statistics.median(seconds for seconds, _ in saves):.2f} s,", end=" ")
    print(f"at most {max(grown for _, grown in saves):.0f} MiB more memory than the state")
    return any(what.startswith("WRONG") for what in found)


if __name__ == "__main__":
    sys.exit(main())

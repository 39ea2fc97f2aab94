"""Mutated files given to every reader of ours: none may crash it, hang it, take much memory or load with other numbers.

    python benchmarks/checkpoint_fuzz.py [--cases 700] [--seed 0] [--kind KIND] [--long]

A case is a whole file of some kind (a checkpoint folder, masks, a compact checkpoint, a plan; safetensors and both of
torch's formats by others) to which one to three things were done: bits flipped, bytes set, cut, inserted, deleted,
repeated or exchanged, a number in a header or in the text changed, a piece or the whole taken from another good file. A
child process for each kind reads them under a limit of memory. Printed for each kind: how many were refused, how many
loaded with the same numbers, how many fell back to the state before and said so, how many loaded with other numbers,
which formats of others cannot notice, the slowest and the most memory. The exit status is 1 where one of our own loaded
other numbers, or any reader did anything but read or refuse. The long form is 100,000 cases. `--kind KIND --only N`
does one case again.
"""

import argparse
import io
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sparsewire.errors import FileError
from sparsewire.execution.compact import load_compact, save_compact
from sparsewire.execution.measuring import Timing
from sparsewire.execution.plans import Plan, PlanRow
from sparsewire.lab.checkpoint_folder import CheckpointFolder
from sparsewire.lab.checkpoints import read_checkpoint, write_checkpoint
from sparsewire.structure.masks import Masks
from sparsewire.training.state import State

MEMORY, SECONDS = 1 << 30, 10.0
Numbers = tuple[tuple[str, str, tuple[int, ...], bytes], ...]


class Kind(NamedTuple):
    """How a file of one kind is made, from a seed, and how it is read: as numbers that can be compared."""

    names: tuple[str, ...]
    make: Callable[[Path, int], None]
    read: Callable[[Path], Any]
    ours: bool = True


def numbers(tensors: Mapping[str, Tensor]) -> Numbers:
    return tuple(
        (
            name,
            str(tensor.dtype),
            tuple(tensor.shape),
            tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(),
        )
        for name, tensor in sorted(tensors.items())
    )


def weights(seed: int) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return {
        "0.weight": torch.randn(4, 3, generator=chance),
        "0.bias": torch.randn(4, generator=chance).half(),
        "step": torch.tensor(seed),
        "mask": torch.rand(5, generator=chance) < 0.5,
    }


def make_folder(path: Path, seed: int) -> None:
    folder = CheckpointFolder(path)
    for number in (1, 2):
        folder.save(State(weights(10 * seed + number), {"epoch": number, "loss": 0.1 * seed + number}))


def read_folder(path: Path) -> tuple[Any, bool]:
    """The state, and whether something was said."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = CheckpointFolder(path).load()
    return (numbers(found.tensors), repr(found.facts)) if found else None, bool(told)


def make_masks(path: Path, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    Masks({name: torch.rand(5, 7, generator=chance) < 0.5 for name in "ab"}).save(path / "a")


def make_compact(path: Path, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    model = nn.Linear(9, 5)
    model.weight.data = torch.randn(5, 9, generator=chance)
    model.bias.data = torch.randn(5, generator=chance)
    save_compact(model, path / "a", Masks({"weight": torch.rand(5, 9, generator=chance) < 0.4}))


def read_compact(path: Path) -> object:
    state, masks = load_compact(path / "a")
    return numbers(state), numbers(masks)


def make_plan(path: Path, seed: int) -> None:
    timings = (Timing(32, 0.25 + seed, 0.125, 2.0),)
    Plan((PlanRow("0.weight", ("0.weight",), (30, 20 + seed), 0.1, "sparse", "2.0× faster", timings),)).save(path / "a")


def make_safetensors(path: Path, seed: int) -> None:
    write_checkpoint(path / "a.safetensors", weights(seed))
    (path / "a.safetensors").rename(path / "a")


def make_torch(new: bool) -> Callable[[Path, int], None]:
    def make(path: Path, seed: int) -> None:
        whole = io.BytesIO()
        torch.save({"state_dict": weights(seed), "epoch": 3}, whole, _use_new_zipfile_serialization=new)
        (path / "a").write_bytes(whole.getvalue())

    return make


FOLDER = ("1.json", "1.safetensors", "2.json", "2.safetensors")
KINDS = {
    "folder": Kind(FOLDER, make_folder, read_folder),
    "masks": Kind(("a",), make_masks, lambda path: numbers(Masks.load(path / "a"))),
    "compact": Kind(("a",), make_compact, read_compact),
    "plan": Kind(("a",), make_plan, lambda path: Plan.load(path / "a")),
    "safetensors": Kind(("a",), make_safetensors, lambda path: numbers(read_checkpoint(path / "a")), ours=False),
    "torch zip": Kind(("a",), make_torch(True), lambda path: numbers(read_checkpoint(path / "a")), ours=False),
    "torch legacy": Kind(("a",), make_torch(False), lambda path: numbers(read_checkpoint(path / "a")), ours=False),
}
LENGTHS = (0, 1, 7, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


def mutated(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """A file to which one thing was done."""
    whole = bytearray(content)
    size = len(whole)
    place, length = chance.randrange(size + 1), min(chance.choice((1, 1, 2, 4, 8, 40, size)), size)
    to = chance.randrange(size + 1)
    match chance.randrange(11):
        case 0:
            for _ in range(chance.choice((1, 1, 1, 3, 20))):
                if whole:
                    whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        case 1:
            whole[place : place + 1] = bytes([chance.choice((0, 1, 48, 57, 127, 128, 255))])
        case 2:
            del whole[place:]
        case 3:
            whole[place:place] = chance.randbytes(length)
        case 4:
            del whole[place : place + length]
        case 5:
            whole[to:to] = whole[place : place + length]
        case 6:
            width = chance.choice((1, 2, 4, 8))
            start = chance.choice((0, place))
            whole[start : start + width] = (chance.choice(LENGTHS) % 256**width).to_bytes(width, "little")
        case 7:
            whole[place : place + length] = other[place : place + length]
        case 8:
            return other
        case 9:
            digits = [index for index, byte in enumerate(whole) if 48 <= byte <= 57]
            if digits:
                whole[chance.choice(digits)] = chance.choice(b"0123456789-.eE")
        case 10:
            first, second = bytes(whole[place : place + length]), bytes(whole[to : to + length])
            whole = bytearray(bytes(whole).replace(first, second, 1)) if first else whole
    return bytes(whole)


class Bench:
    """Good files of one kind, and a folder in which mutated ones are read."""

    def __init__(self, name: str, seed: int, root: Path) -> None:
        self._kind, self._name, self._seed, self._place = KINDS[name], name, seed, root / "mutated"
        self._good, self._expected = [], []
        for number in (0, 1):
            path = root / f"good{number}"
            path.mkdir()
            self._kind.make(path, number)
            self._good.append({one: (path / one).read_bytes() for one in self._kind.names})
            self._expected.append(self._kind.read(path))
        self._place.mkdir()
        self._before = (numbers(weights(1)), repr({"epoch": 1, "loss": 1.0}))  # what a folder may fall back to

    def case(self, number: int) -> str:
        """What the reader does with one case: "refused", "same", …; anything in capitals is wrong."""
        chance = random.Random(f"{self._seed}-{self._name}-{number}")
        files = dict(self._good[0])
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            name = chance.choice(self._kind.names)
            other = self._good[1][name]
            if self._name == "folder" and chance.random() < 0.2:  # a part of the other state in the same folder
                other = files[chance.choice(self._kind.names)]
            files[name] = mutated(files[name], other, chance)
        for name, content in files.items():
            (self._place / name).write_bytes(content)
        return self._ended()

    def _ended(self) -> str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self._kind.read(self._place)
        except FileError as cause:
            return "refused" if "\n" not in str(cause) else "MANY LINES"
        except BaseException as cause:  # noqa: BLE001
            return f"ENDED IN {type(cause).__name__}: {cause!s:.200}"
        if self._name == "folder":
            return self._ended_in_folder(*found)
        if found == self._expected[0]:
            return "same"
        if found == self._expected[1]:  # pieces of it make it up, but for bytes that say nothing
            return "the other good file"
        return "OTHER NUMBERS" if self._kind.ours else "other numbers"

    def _ended_in_folder(self, found: Any, told: bool) -> str:
        known = {self._expected[0][0]: "same", self._before: "the state before"}
        whole = known.get(found)
        if whole == "same":
            return "same" if not told else "TOLD FOR NOTHING"
        if whole:
            return whole if told else "SILENTLY OLD"
        other = [numbers(weights(10 + number)) for number in (1, 2)]
        return "the other good file" if found and found[0] in other else "OTHER NUMBERS"


def fuzzed(name: str, seed: int, cases: Iterable[int], root: Path) -> tuple[Counter[str], list[str], float]:
    """What became of some cases: counts by kind of end, what was wrong, and the seconds of the slowest."""
    bench, found, wrong, slowest = Bench(name, seed, root), Counter[str](), [], 0.0
    for number in cases:
        start = time.process_time()
        ended = bench.case(number)
        spent = time.process_time() - start
        slowest = max(slowest, spent)
        found[ended.split(":")[0]] += 1
        if ended[:2].isupper() or spent > SECONDS:
            wrong.append(f"--seed {seed} --kind '{name}' --only {number}: {ended}, {spent:.2f} s")
    return found, wrong, slowest


def child(name: str, seed: int, cases: range) -> None:
    """One kind in this process; a line of JSON at the end, which is missing where it crashed."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as root:
        warm = Path(root) / "warm"
        warm.mkdir()
        fuzzed(name, seed, range(20), warm)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found, wrong, slowest = fuzzed(name, seed, cases, Path(root))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    print(json.dumps({"found": found, "wrong": wrong, "slowest": slowest, "grown": grown}))


def judged(name: str, seed: int, cases: range, patience: float) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-X", "faulthandler", __file__, "--kind", name, "--seed", str(seed)]
    command += ["--child", str(cases.start), str(cases.stop)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience)
    except subprocess.TimeoutExpired:
        return {"found": {}, "wrong": [f"{name}: no end after {patience:.0f} s"], "slowest": patience, "grown": 0}
    if done.returncode:
        told = f"{name}: ended with {done.returncode}: {done.stderr[-400:]}"
        return {"found": {}, "wrong": [told], "slowest": 0.0, "grown": 0}
    return dict(json.loads(done.stdout))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=700, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=sorted(KINDS))
    parser.add_argument("--only", type=int, help="the number of one case")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.kind, options.seed, range(*options.child))
        return 0
    if options.only is not None:
        with tempfile.TemporaryDirectory() as root:
            print(fuzzed(options.kind, options.seed, [options.only], Path(root)))
        return 0
    kinds = [options.kind] if options.kind else list(KINDS)
    count = -(-(100_000 if options.long else options.cases) // len(kinds))
    print("| kind | cases | refused | same | state before, told | other good file | other numbers | slowest | memory |")
    print("|" + " --- |" * 9)
    wrong = []
    for name in kinds:
        ended = judged(name, options.seed, range(count), patience=120 + count * 0.2)
        found, wrong = ended["found"], wrong + ended["wrong"]
        columns = ("refused", "same", "the state before", "the other good file", "other numbers")
        cells = [f"{found.get(column, 0):,}" for column in columns]
        print("|", " | ".join([name, f"{sum(found.values()):,}", *cells, f"{ended['slowest'] * 1e3:.0f} ms",
              f"{ended['grown']} MiB"]), "|", flush=True)  # fmt: skip
    print(*wrong or ["no crash, no hang, and none of our own files loaded with other numbers"], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Mutated stores and parcels: each must open with the numbers that were kept, or be refused with an error of ours.

    python benchmarks/store_fuzz.py            # 200 mutations
    python benchmarks/store_fuzz.py --long     # 50,000

Bits are flipped, bytes cut, inserted and overwritten, pages swapped, in a store, in a store of version 1, in parcels
and in packed parcels. Each lot runs in a process of its own, so that a crash or a hang (10 s) is seen. It prints what
became of them; a crash, a hang, another kind of error, lost trials or a changed number is a fault, is printed with its
seed, and ends in exit status 1.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from sparsewire.errors import StoreError
from sparsewire.lab.spec import Spec
from sparsewire.lab.storage.artefacts import write_arrays
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in, pack, pending, unpack
from sparsewire.lab.store import Store

SPEC = Spec(experiment="fuzz")
KINDS = {"fuzz": Spec}
LOT = 200
GOLDEN = Path(__file__).parents[1] / "tests" / "lab" / "storage" / "golden" / "store_1.sql"
PAGE = 4096


def hand(root: Path, seed: int) -> Path:
    """A trial with everything that one can have."""
    array = write_arrays(root / "work" / "array.safetensors", {"x": np.arange(5) + seed})
    content = Content(
        {"accuracy": seed / 7, "loss": float("nan")},
        {"loss": [(step, seed + step / 3) for step in range(40)], "odd": [(7, 1.0), (-2, float("inf"))]}, {},
    )  # fmt: skip
    ending = Ending("diverged" if seed == 1 else "done", "no" if seed == 1 else None, None, 0.5, {"cpu": "abacus"})
    return hand_in(root, SPEC, seed, ending, content, {"array": array})


class Class1(Spec):
    """The specs of the store of version 1."""

    experiment: str = "toy"
    paths: int = 20
    sizes: tuple[int, ...] = (3, 2)


def seen(root: Path, kinds: dict[str, type[Spec]] | None = None) -> str:
    """Everything that one can read in a store, as text, in which NaN equals NaN."""
    with Store.open(root, write=False) as store:
        counts = store.experiments()
        outcomes = store.outcomes(None, kinds or KINDS)
        rows = store.rows(sort="seed")
        curves = store.curves([row.trial for row in rows])
        found = [counts, outcomes, [list(outcome.series.items()) for outcome in outcomes], rows, curves, store.count()]
    if kinds is None:
        found.append([outcome.arrays("array")["x"].tolist() for outcome in outcomes if outcome.artefacts])
    return repr(found)


def mutated(data: bytes, draw: random.Random) -> bytes:
    """The bytes with one to four changes."""
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        place, length = draw.randrange(len(changed) or 1), draw.choice([1, 2, 8, 60, 1000])
        kind = draw.choice(["bit", "bit", "byte", "cut", "insert", "tail", "zeros", "noise", "swap"])
        if not changed:
            break
        if kind == "bit":
            changed[place] ^= 1 << draw.randrange(8)
        elif kind == "byte":
            changed[place] = draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])
        elif kind == "cut":
            del changed[place : place + length]
        elif kind == "insert":
            changed[place:place] = draw.randbytes(length)
        elif kind == "tail":
            del changed[place:]
        elif kind == "zeros":
            changed[place : place + length] = bytes(len(changed[place : place + length]))
        elif kind == "noise":
            changed[place : place + length] = draw.randbytes(len(changed[place : place + length]))
        elif len(changed) >= 2 * PAGE:
            one, other = (PAGE * draw.randrange(len(changed) // PAGE) for _ in range(2))
            changed[one : one + PAGE], changed[other : other + PAGE] = (
                changed[other : other + PAGE], changed[one : one + PAGE]
            )  # fmt: skip
    return bytes(changed)


def fuzz_store(root: Path, draw: random.Random, kinds: dict[str, type[Spec]] | None = None) -> str:
    path = root / "store.sqlite"
    whole = path.read_bytes()
    expected = (root / "expected.txt").read_text(encoding="utf-8")
    path.write_bytes(mutated(whole, draw))
    try:
        found = seen(root, kinds)
        return "as kept" if found == expected else f"CHANGED: {found} from {expected}"
    finally:
        for leftover in root.glob("store.sqlite*"):
            leftover.unlink()
        path.write_bytes(whole)


def fuzz_version_1(root: Path, draw: random.Random) -> str:
    return fuzz_store(root / "old", draw, {"toy": Class1})


def fuzz_parcel(root: Path, draw: random.Random) -> str:
    """A parcel beside a whole one: the whole one is taken, the other refused or taken as it was."""
    here = root / "here"
    shutil.copytree(root / "spooled", here)
    path = draw.choice(sorted(path for path in pending(here)[0].rglob("*") if path.is_file()))
    whole = path.read_bytes()
    changed = mutated(whole, draw)
    path.write_bytes(changed)
    try:
        with Store.open(here) as store:
            refusals = store.refusals
        found = seen(here)
        if changed != whole and not refusals:
            return "CHANGED: not noticed"
        return (
            "refused"
            if found == (root / "without.txt").read_text()
            else "as kept"
            if not refusals
            else f"CHANGED: {found}"
        )
    finally:
        shutil.rmtree(here)


def fuzz_packed(root: Path, draw: random.Random) -> str:
    whole = (root / "packed").read_bytes()
    changed = mutated(whole, draw)
    try:
        unpack(root / "there", changed)
    finally:
        arrived = pending(root / "there")
        shutil.rmtree(root / "there", ignore_errors=True)
    return "as kept" if changed == whole and arrived else "CHANGED: not noticed"


KINDS_OF_FUZZ: dict[str, Callable[[Path, random.Random], str]] = {
    "store": fuzz_store, "store of version 1": fuzz_version_1, "parcel": fuzz_parcel, "packed parcel": fuzz_packed,
}  # fmt: skip
SHARES = {"store": 40, "store of version 1": 5, "parcel": 15, "packed parcel": 40}  # percent


def prepare(root: Path) -> None:
    for seed in range(3):
        hand(root, seed)
    Store.open(root).close()
    (root / "old").mkdir()
    with closing(sqlite3.connect(root / "old" / "store.sqlite")) as database:
        database.executescript(GOLDEN.read_text(encoding="utf-8"))
    (root / "expected.txt").write_text(seen(root), encoding="utf-8")
    (root / "old" / "expected.txt").write_text(seen(root / "old", {"toy": Class1}), encoding="utf-8")
    for seed in range(2):
        hand(root / "spooled", seed)
    (root / "packed").write_bytes(pack(hand(root / "sent", 5)))
    shutil.copytree(root / "spooled", root / "one")
    shutil.rmtree(pending(root / "one")[0])
    Store.open(root / "one").close()
    (root / "without.txt").write_text(seen(root / "one").replace("/one/", "/here/"))


def one(root: Path, kind: str, seed: int) -> str:
    """What became of one mutation."""
    signal.alarm(10)  # kills the process, which is then a fault
    try:
        return KINDS_OF_FUZZ[kind](root, random.Random(f"{kind} {seed}"))
    except StoreError:
        return "refused"
    except BaseException:  # noqa: BLE001 - whatever else comes out is a fault
        return f"CHANGED: {traceback.format_exc()}"
    finally:
        signal.alarm(0)


def lot(root: Path, kind: str, seeds: range, report: Path) -> None:
    """Does some in this process, and writes down each before it is begun."""
    limit = 2 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    counts: Counter[str] = Counter()
    with report.open("w", encoding="utf-8") as file:
        for seed in seeds:
            print(f"began {seed}", file=file, flush=True)
            found = one(root, kind, seed)
            counts[found.partition(":")[0]] += 1
            if found.startswith("CHANGED"):
                print(f"fault: {kind} {seed}: {found[:1500]}", file=file, flush=True)
        for name, count in counts.items():
            print(f"count {count} {name}", file=file, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="50,000 mutations")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "SEED"), help="a single mutation again")
    arguments = parser.parse_args()
    fast = "/dev/shm" if Path("/dev/shm").is_dir() else None  # nothing here needs to outlive the machine
    with tempfile.TemporaryDirectory(dir=fast) as folder:
        if arguments.one:
            prepare(Path(folder))
            sys.exit(print(one(Path(folder), arguments.one[0], int(arguments.one[1]))))
        faults = all_of(Path(folder), 50_000 if arguments.long else 200)
    sys.exit("\n".join(faults) or None)


def all_of(folder: Path, number: int) -> list[str]:
    faults = []
    root, report = folder / "root", folder / "report.txt"
    prepare(root)
    for kind, share in SHARES.items():
        each = number * share // 100
        counts: Counter[str] = Counter()
        for begin in range(0, each, LOT):
            child = os.fork()
            if child == 0:
                lot(root, kind, range(begin, min(begin + LOT, each)), report)
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            lines = report.read_text(encoding="utf-8").split("\n")
            faults += [line for line in lines if line.startswith("fault")]
            if status:
                last = [line for line in lines if line.startswith("began")][-1]
                faults.append(f"{kind}: the process ended with {status}; {last}")
            for line in lines:
                if line.startswith("count"):
                    _, count, name = line.split(" ", 2)
                    counts[name] += int(count)
        print(f"{kind}: {each:,} mutations: {dict(counts)}", flush=True)
    return faults


if __name__ == "__main__":
    main()

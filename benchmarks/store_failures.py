"""What becomes of a store where the disk is full, cannot be written, fails, or has lost the end of the file.

    python benchmarks/store_failures.py            # some cuts, I/O errors
    python benchmarks/store_failures.py --long     # every cut of the last 4,096 bytes, errors of every kind

After each failure the store must hold what it held before, or what the command was to add; the message must be one of
ours; and the same command must succeed when the cause is gone. It prints a line for each kind of failure; where
anything is wrong it says so and exits with 1. Injected errors need a C compiler, the full disk the right to mount.
"""

import argparse
import contextlib
import ctypes
import errno
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from sparsewire.errors import StoreError
from sparsewire.lab.spec import Spec
from sparsewire.lab.storage.artefacts import write_arrays
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store

SPEC = Spec(experiment="failures")
faults: list[str] = []


def command(root: Path, seeds: int = 3) -> None:
    """What a user runs: does the trials that are not done yet, and keeps them."""
    with Store.open(root) as store:
        store.enlist([SPEC])
        for seed in range(seeds):
            if not store.is_done(SPEC, seed):
                net = write_arrays(root / "work" / str(seed) / "net.safetensors", {"w": np.arange(50) + seed})
                content = Content({"seed": seed}, {"loss": [(step, seed / (step + 1)) for step in range(300)]}, {})
                hand_in(root, SPEC, seed, Ending("done", None, None, 0.1, {}), content, {"net": net})
                store.ingest()


def held(root: Path) -> list[int]:
    """The seeds that the store holds, each with its own numbers."""
    with Store.open(root, write=False) as store:
        found = store.outcomes("failures", {"failures": Spec})
    for outcome in found:
        seed = outcome.seed
        whole = outcome.metrics["seed"] == seed and outcome.series["loss"][299] == (299, seed / 300)
        if not whole or outcome.arrays("net")["w"][0] != seed:
            faults.append(f"seed {seed} has other numbers than its own")
    return [outcome.seed for outcome in found]


def fresh(scratch: Path) -> Path:
    """A store with two trials."""
    root = Path(tempfile.mkdtemp(dir=scratch)) / "runs"
    command(root, 2)
    return root


def refused(name: str, work: Callable[[], object]) -> str:
    """The message with which work is refused; "" where it was not."""
    try:
        work()
    except StoreError as error:
        return str(error)
    except BaseException as error:  # noqa: BLE001 - whatever else comes out is a fault
        faults.append(f"{name}: {type(error).__name__}: {error}")
        return "?"
    return ""


def check(name: str, root: Path) -> None:
    """After a failure: the old state or the new, and the same command works."""
    if held(root) not in ([0, 1], [0, 1, 2]):
        faults.append(f"{name}: the store holds {held(root)}")
    command(root)
    if held(root) != [0, 1, 2]:
        faults.append(f"{name}: afterwards the store holds {held(root)}")
    if leftovers := [str(path) for path in (root / "spool").rglob("*.part")]:
        faults.append(f"{name}: left behind: {leftovers}")


def injected(scratch: Path, long: bool) -> None:
    """An error at each call that writes: once, and from then on; runs in a process that has loaded failing_calls.c."""
    library = ctypes.CDLL(None)
    template = fresh(scratch)
    kinds = [(errno.EIO, False)]
    kinds += [(errno.EIO, True), (errno.ENOSPC, False), (errno.ENOSPC, True), (errno.EDQUOT, True)] if long else []
    for number, forever in kinds:
        outcomes: Counter[str] = Counter()
        for moment in range(1, 1000, 1 if long else 3):
            root = scratch / f"{number}-{forever}-{moment}"
            shutil.copytree(template, root)
            name = f"{os.strerror(number)} at call {moment}"
            child = os.fork()  # what a dead process left is removed, what a living one holds is not
            if child == 0:
                faults.clear()
                library.fail_calls(os.fsencode(root), moment, number, forever)
                message = refused(name, lambda root=root: command(root))
                is_over = library.called() < moment
                print("\n".join(faults), end="", flush=True)
                os._exit(4 if faults else 2 * is_over + bool(message))
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status not in range(4):
                faults.append(f"{name}: status {status}")
            outcomes["refused" if status % 2 else "went on"] += 1
            check(name, root)
            shutil.rmtree(root)
            if status in (2, 3):
                break
        how = "from each call on" if forever else "once at each call"
        print(f"{os.strerror(number)}, {how}: {moment - 1} calls, {dict(outcomes)}")


def with_injected(scratch: Path, long: bool) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        print("I/O errors: no C compiler here, left out")
        return
    library = scratch / "failing_calls.so"
    source = Path(__file__).with_name("failing_calls.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    child = [sys.executable, __file__, "--injected", str(scratch), *(["--long"] if long else [])]
    done = subprocess.run(child, env={**os.environ, "LD_PRELOAD": str(library)}, check=False)
    if done.returncode:
        faults.append("injected errors: see above")


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A disk of its own; yields whether there may be one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    works = os.geteuid() == 0 and not subprocess.run(mount, check=False, capture_output=True).returncode
    try:
        yield works
    finally:
        if works:
            subprocess.run(["umount", str(folder)], check=True)


def full(scratch: Path, step: int) -> None:
    """A disk with less and less room, until nothing can be kept any more."""
    with small_disk(scratch / "disk", 2) as works:
        if not works:
            print("full disk: no right to mount one; files that cannot grow stand for it")
            return limited(scratch, step // 2)
        root = scratch / "disk" / "runs"
        seen: Counter[bool] = Counter()
        for room in range(0, 160_000, step):
            shutil.rmtree(root, ignore_errors=True)
            command(root, 2)
            free = os.statvfs(root).f_bavail * 4096
            (root.parent / "ballast").write_bytes(b"x" * (free - room))
            seen[bool(refused("full disk", lambda: command(root)))] += 1
            if held(root) not in ([0, 1], [0, 1, 2]):
                faults.append(f"full disk: the store holds {held(root)}")
            (root.parent / "ballast").unlink()
            check("full disk", root)
        print(f"full disk, 0 to 160 kB left: {seen[True]} times refused, {seen[False]} times enough")
    return None


def limited(scratch: Path, step: int) -> None:
    seen: Counter[bool] = Counter()
    for size in range(0, 80_000, step):
        root = fresh(scratch)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            seen[bool(refused("full disk", lambda root=root: command(root)))] += 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        check("full disk", root)
    print(f"files of at most 0 to 80 kB: {seen[True]} times refused, {seen[False]} times enough")


def read_only(scratch: Path) -> None:
    """A folder that cannot be written: reading works, writing is refused."""
    with small_disk(scratch / "sealed", 4) as works:
        root = scratch / "sealed" / "runs"
        command(root, 2)
        seal = ["mount", "-o", "remount,ro", str(root.parent)], ["mount", "-o", "remount,rw", str(root.parent)]
        if works:
            subprocess.run(seal[0], check=True)
        elif os.geteuid():
            root.chmod(0o555)
        else:
            return print("read-only folder: root without the right to mount can write everywhere, left out")
        message = refused("read-only folder", lambda: command(root))
        if "cannot write" not in message or held(root) != [0, 1]:
            faults.append(f"read-only folder: {message!r}, the store holds {held(root)}")
        if works:
            subprocess.run(seal[1], check=True)
        else:
            root.chmod(0o755)
        check("read-only folder", root)
    return print(f"read-only folder: {message}")


def opened(root: Path, write: bool) -> None:
    Store.open(root, write).close()


def cut(scratch: Path, long: bool) -> None:
    """A store without its end: refused, or all that was there; and whole again with the whole file."""
    root = fresh(scratch)
    path = root / "store.sqlite"
    whole = path.read_bytes()
    tail = [len(whole) - gone for gone in range(1, 4097, 1 if long else 101)]
    messages: Counter[str] = Counter()
    for size in [*range(0, len(whole), 1021 if long else 4099), *tail]:
        path.write_bytes(whole[:size])
        for write in (False, True):
            message = refused("a cut", lambda write=write: opened(root, write))
            messages[message.split(": ", 1)[-1][:70]] += 1
            if not message:
                faults.append(f"a cut at {size} was not noticed")
    path.write_bytes(whole)
    check("a cut", root)
    print(f"cuts: {sum(messages.values())}, each refused, most often:")
    for message, count in messages.most_common(3):
        print(f"    {count} × {message}")


def newer(scratch: Path) -> None:
    root = fresh(scratch)
    with contextlib.closing(sqlite3.connect(root / "store.sqlite")) as database:
        database.execute("PRAGMA user_version = 3")
    messages = [refused("a newer store", lambda write=write: Store.open(root, write)) for write in (False, True)]
    if not all("written by a newer sparsewire" in message for message in messages):
        faults.append(f"a newer store: {messages}")
    with contextlib.closing(sqlite3.connect(root / "store.sqlite")) as database:
        database.execute("PRAGMA user_version = 2")
    check("a newer store", root)
    print(f"a newer store: {messages[0]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="every cut, errors of every kind")
    parser.add_argument("--injected", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.injected:
        injected(arguments.injected, arguments.long)
    else:
        fast = "/dev/shm" if Path("/dev/shm").is_dir() else None  # nothing here needs to outlive the machine
        with tempfile.TemporaryDirectory(dir=fast) as folder:
            scratch = Path(folder)
            newer(scratch)
            cut(scratch, arguments.long)
            read_only(scratch)
            full(scratch, 1024 if arguments.long else 16_384)
            with_injected(scratch, arguments.long)
    sys.exit("\n".join(faults) or None)


if __name__ == "__main__":
    main()

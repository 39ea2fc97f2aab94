"""The spool: where trials that have ended are handed in, whole, by any number of processes.

spool/<run id>-<seed>.trial/     a parcel: renamed to this name when it is whole and on the disk
spool/.….part/                   one that is being written, or was when its process died
spool/refused/                   what was no parcel, each beside a text that says why
"""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import socket
import stat
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sparsewire.errors import RequestError, StoreError
from sparsewire.files import flush
from sparsewire.lab.spec import Spec
from sparsewire.lab.storage.artefacts import Artefact
from sparsewire.lab.storage.parcels import ARTEFACT, LARGEST, parcel_name, parsed, read_parcel, read_plain, written
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.runs import run_of

SPOOL = "spool"
_MAGIC = b"sparsewire parcel 1\n"
_STALE_SECONDS = 86_400.0


class Refused(NamedTuple):
    """Something in the spool that is no parcel: its name, and why."""

    name: str
    reason: str


def hand_in(
    root: Path, spec: Spec, seed: int, ending: Ending, content: Content, artefacts: Mapping[str, Artefact]
) -> Path:
    """Hands a trial in that has ended, and returns its parcel; its artefacts are moved there.

    Trials are deterministic: where the parcel lies there already, this one is dropped. A failed trial keeps its
    numbers, but no artefacts.

    Args:
        root: the store's folder.
        spec: what was done.
        seed: which repetition.
        ending: how it ended.
        content: what it found; what it says of artefacts is not looked at.
        artefacts: name → file.

    Raises:
        RequestError: the trial is too large to be kept, or holds a name that is none.
        StoreError: the disk is full or cannot be written; then nothing is handed in, and the artefacts are where they
            were.

    Example:
        >>> import tempfile
        >>> from sparsewire.lab.store import Store
        >>> root, spec = Path(tempfile.mkdtemp()), Spec(experiment="demo")
        >>> ending = Ending("done", None, None, 0.5, {})
        >>> hand_in(root, spec, 0, ending, Content({"accuracy": 0.9}, {}, {}), {}).name
        'b32df87e9aae13e4-0.trial'
        >>> with Store.open(root) as store:  # takes what lies in the spool
        ...     store.is_done(spec, 0)
        True
    """
    run = run_of(spec)
    kept = {} if ending.state == "failed" else artefacts
    data = written(run, seed, ending, content, {name: artefact.sha256 for name, artefact in kept.items()})
    with _place(root, parcel_name(run.run, seed, ending.state)) as (aside, parcel):
        _write(aside / "trial.json", data)
        if kept:
            (aside / "artefacts").mkdir()
            for name, artefact in kept.items():
                _link(artefact.path, aside / "artefacts" / f"{name}.safetensors")
            flush(aside / "artefacts")
    for artefact in kept.values():
        with contextlib.suppress(OSError):  # the trial is handed in; what is left of it here goes with its folder
            artefact.path.unlink()
    return parcel


def pack(parcel: Path) -> bytes:
    """A parcel as bytes, for a worker that does not share the store's folder; the parcel stays where it is.

    Raises:
        StoreError: it is no whole parcel.
    """
    try:
        found = read_parcel(parcel, parcel)
        names = ["trial.json", *(f"artefacts/{name}.safetensors" for name in found.artefacts)]
        contents = [read_plain(parcel / name, 1 << 40) for name in names]
    except OSError as cause:
        raise StoreError(f"cannot read the parcel {parcel}: {cause.strerror or cause}") from cause
    except StoreError as cause:
        raise StoreError(f"the parcel {parcel}: {cause}") from None
    head = json.dumps([(name, len(content)) for name, content in zip(names, contents, strict=True)]).encode()
    return b"".join([_MAGIC, struct.pack("<Q", len(head)), head, *contents])


def unpack(root: Path, data: bytes) -> Path:
    """Hands in a parcel that has travelled as bytes.

    Raises:
        StoreError: they are those of no whole parcel, or the disk is full or cannot be written.
    """
    files = _files(data)
    trial = parsed(bytes(files["trial.json"]))
    if {f"artefacts/{name}.safetensors": sha for name, sha in trial.artefacts.items()} != {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != "trial.json"
    }:
        raise StoreError("the packed parcel holds other artefacts than its trial.json names")
    with _place(root, parcel_name(trial.run.run, trial.seed, trial.ending.state)) as (aside, parcel):
        _write(aside / "trial.json", files["trial.json"])
        if trial.artefacts:
            (aside / "artefacts").mkdir()
            for name in files.keys() - {"trial.json"}:
                _write(aside / name, files[name])
            flush(aside / "artefacts")
    return parcel


def _files(data: bytes) -> dict[str, memoryview]:
    """Name → content; every name is one that a parcel can hold."""
    begin = len(_MAGIC) + 8
    try:
        if data[: len(_MAGIC)] != _MAGIC:
            raise ValueError
        (size,) = struct.unpack("<Q", data[len(_MAGIC) : begin])
        if size > 1 << 20:
            raise ValueError
        head = json.loads(data[begin : begin + size])
        names, sizes = [str(name) for name, _ in head], [int(length) for _, length in head]
        inner = [name.removeprefix("artefacts/").removesuffix(".safetensors") for name in names[1:]]
        expected = ["trial.json", *(f"artefacts/{name}.safetensors" for name in inner)]
        if names != expected or len({*names}) != len(names) or not all(map(ARTEFACT.fullmatch, inner)):
            raise ValueError
        if min(sizes) < 0 or sizes[0] > LARGEST or begin + size + sum(sizes) != len(data):
            raise ValueError
    except (ValueError, TypeError, struct.error, RecursionError):
        raise StoreError("the packed parcel is torn, or is none") from None
    files, place = {}, begin + size
    for name, length in zip(names, sizes, strict=True):
        files[name] = memoryview(data)[place : place + length]
        place += length
    return files


def pending(root: Path) -> list[Path]:
    """The parcels that wait to be taken into the store, failed attempts first; all that bears such a name.

    Example:
        >>> pending(Path("nowhere"))
        []
    """
    found = [entry for entry in (root / SPOOL).glob("*.trial") if not entry.name.startswith(".")]
    return sorted(found, key=lambda entry: (not entry.name.endswith("-failed.trial"), entry.name))


def refused(root: Path) -> list[Refused]:
    """What was refused, for people to look at, and why."""
    found = []
    for entry in (root / SPOOL / "refused").glob("*.txt"):
        with contextlib.suppress(OSError, StoreError):
            reason = read_plain(entry, 10_000).decode("utf-8", "replace").strip()
            found.append(Refused(entry.name.removesuffix(".txt"), reason))
    return sorted(found)


def refuse(parcel: Path, reason: str) -> Refused:
    """Moves what is no parcel out of the way of the others, and writes the reason beside it."""
    home = parcel.parent / "refused"
    home.mkdir(exist_ok=True)
    name, number = parcel.name, 1
    while os.path.lexists(home / name) or os.path.lexists(home / f"{name}.txt"):
        number += 1
        name = f"{parcel.name}-{number}"
    parcel.rename(home / name)
    (home / f"{name}.txt").write_text(f"{reason}\n", encoding="utf-8", errors="replace")
    return Refused(name, reason)


def clear(root: Path) -> None:
    """Removes parcels that dead processes left half written."""
    for entry in (root / SPOOL).glob(".*.part"):
        with contextlib.suppress(OSError, ValueError):
            host, process = entry.name.split(".")[-4:-2]
            is_dead = not _is_alive(int(process)) if host == _host() else _age(entry) > _STALE_SECONDS
            if is_dead and stat.S_ISDIR(entry.lstat().st_mode):
                shutil.rmtree(entry, ignore_errors=True)


def remove(parcel: Path) -> None:
    """Removes a parcel that was taken or is not needed, so that a kill leaves what is still known to be one."""
    shutil.rmtree(parcel / "artefacts", ignore_errors=True)
    with contextlib.suppress(OSError):  # the same trial may have been handed in again
        (parcel / "trial.json").unlink(missing_ok=True)
        parcel.rmdir()


@contextlib.contextmanager
def _place(root: Path, name: str) -> Iterator[tuple[Path, Path]]:
    """A folder of one's own to fill and the parcel that it becomes, unless there is one already."""
    spool = root / SPOOL
    parcel, aside = spool / name, None
    try:
        if not spool.is_dir():
            spool.mkdir(parents=True, exist_ok=True)
            flush(root)
        aside = spool / f".{name}.{_host()}.{os.getpid()}.{secrets.token_hex(4)}.part"
        aside.mkdir()  # not private, as mkdtemp makes it: the coordinator may be another user
        yield aside, parcel
        flush(aside)
        try:
            aside.rename(parcel)
        except OSError as cause:
            if cause.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            aside = None
        flush(spool)
    except OSError as cause:
        raise StoreError(
            f"cannot hand in {parcel}: {cause.strerror or cause}; free some space or look at the rights of its folder, "
            "and run the same command again"
        ) from cause
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    """Gives a file a second place, so that a kill before the parcel is whole leaves it in the first."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise RequestError(f"hand_in: there is no artefact {source}") from None
    except OSError:  # another disk, or one that knows no links
        _write(target, source.read_bytes())


def _write(path: Path, data: bytes | memoryview) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _host() -> str:
    """This machine, as a few letters that a file's name can hold."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _age(entry: Path) -> float:
    return time.time() - entry.lstat().st_mtime

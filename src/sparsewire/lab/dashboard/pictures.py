"""The network's picture: drawn by a process of its own, one at a time, for it needs what the server does without."""

import asyncio
import contextlib
import os
import stat
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from sparsewire.errors import RequestError, StoreError
from sparsewire.lab.dashboard.single_trials import Key
from sparsewire.lab.trials.live import work_folder

NETWORK = "network"
_LARGEST = 64_000_000  # bytes of arrays
_LARGEST_PICTURE = 8_000_000
_SECONDS = 40.0
_KEPT, _WAITING = 24, 8


class Source(NamedTuple):
    """Where a network's arrays are; `stamp` changes with them; `sha256` is what was kept, "" for a trial under way."""

    path: Path
    sha256: str
    stamp: str


def kept_network(root: Path, key: Key, artefacts: Mapping[str, str]) -> Source | None:
    """The arrays that an ended trial kept as its network; None where it kept none."""
    sha = artefacts.get(NETWORK)
    if sha is None:
        return None
    return Source(root / "artefacts" / key.run / str(key.seed) / f"{NETWORK}.safetensors", sha, sha[:16])


def live_network(root: Path, key: Key) -> Source | None:
    """The arrays that a trial under way shows as its network; None where it shows none."""
    path = work_folder(root, key.run, key.seed) / f"{NETWORK}.safetensors"
    with contextlib.suppress(OSError):
        about = path.lstat()
        if stat.S_ISREG(about.st_mode):
            return Source(path, "", f"{about.st_mtime_ns}-{about.st_size}")
    return None


class Pictures:
    """Draws networks, and keeps the last drawings."""

    def __init__(self) -> None:
        self._drawing = asyncio.Lock()
        self._waiting = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    async def svg(self, source: Source) -> bytes:
        """The picture as an SVG file for light and dark.

        Raises:
            RequestError: there are no arrays of a network, or too many for a picture, or matplotlib is missing.
            StoreError: the file is not what was kept, or the drawing failed or took too long.
        """
        name = f"{source.path} {source.stamp}"
        if name not in self._kept:
            if self._waiting >= _WAITING:
                raise StoreError("other networks are being drawn; try again in a moment")
            _check(source.path)
            self._waiting += 1
            try:
                async with self._drawing:
                    if name not in self._kept:
                        self._kept[name] = await _drawn(source)
            finally:
                self._waiting -= 1
        self._kept.move_to_end(name)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[name]


def _check(path: Path) -> None:
    try:
        about = path.lstat()
    except OSError as cause:
        raise StoreError(f"cannot read the artefact {path}: {cause.strerror or cause}") from cause
    if not stat.S_ISREG(about.st_mode):
        raise StoreError(f"the artefact {path} is no regular file")
    if about.st_size > _LARGEST:
        raise RequestError(
            f"the network's arrays have {about.st_size:,} bytes, more than the {_LARGEST:,} that are drawn here; "
            "draw it with sparsewire.draw.network"
        )


async def _drawn(source: Source) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sparsewire.lab.dashboard.draw_network",
        str(source.path.absolute()), source.sha256 or "-",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_SECONDS):
            picture, complaint = await process.communicate()
    except TimeoutError:
        raise StoreError(f"drawing the network took more than {_SECONDS:.0f} seconds") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0 and len(picture) <= _LARGEST_PICTURE:
        return picture
    lines = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["the drawing failed"]
    raise (RequestError if process.returncode == 2 else StoreError)(lines[0][:2_000])

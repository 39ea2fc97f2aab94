"""Taking known files out of a .tar.gz: by name, with their sizes bounded, and nothing else of it."""

import contextlib
import io
import tarfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from gzip import GzipFile
from pathlib import Path
from typing import IO

from sparsewire.errors import DataError
from sparsewire.files import write_aside

_MOST_BYTES = 1 << 28  # 256 MiB unpacked: the four archives of CIFAR hold at most 187 MB
_MOST_ENTRIES = 1000
_CHUNK = 1 << 20


def members(archive: Path, wanted: Collection[str]) -> Iterator[tuple[str, io.BufferedIOBase, int]]:
    """The wanted files in a .tar.gz, in its order, each as its name, a stream that is good until the next, its size.

    Only plain files under exactly these names are given out: links, devices, files with holes and other paths are
    passed over, and nothing is written, so that the archive has no say in what happens where.

    Args:
        archive: the file.
        wanted: paths in it, such as "cifar-10-batches-bin/test_batch.bin".

    Raises:
        DataError: it is no such archive, is cut off, lacks a wanted file or holds it twice, or unpacks to more than
            256 MiB or 1000 entries. Reading from a stream raises it, too.
    """
    found: set[str] = set()
    with (
        _told(archive),
        archive.open("rb") as packed,
        GzipFile(fileobj=packed) as unpacked,
        _Bounded(unpacked, archive) as stream,
        tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK) as entries,
    ):
        for count, entry in enumerate(entries):
            if count >= _MOST_ENTRIES:
                raise DataError(f"{archive}: found more than {_MOST_ENTRIES} entries, expected some ten")
            name = entry.name.removeprefix("./")
            # A file with holes may claim any size: it would be read as so many zeros.
            plain = name in wanted and entry.isreg() and not entry.issparse()
            if not plain or (content := entries.extractfile(entry)) is None:
                continue
            if name in found:
                raise DataError(f"{archive}: found {name} twice, expected it once")
            found.add(name)
            yield name, _Content(content, archive), entry.size
        while stream.read(_CHUNK):
            pass  # to the end, where the checksum is
    if missing := sorted(set(wanted) - found):
        raise DataError(f"{archive}: found no {missing[0]} in it, expected it among {len(wanted)} files")


def unpack(archive: Path, folder: Path, wanted: Mapping[str, int]) -> None:
    """Puts the wanted files of an archive below the folder; each is there whole or not at all.

    Args:
        archive: a .tar.gz.
        folder: where to; the wanted paths are below it.
        wanted: paths in the archive → their sizes in bytes.

    Raises:
        DataError: as `members`, or a file is not of its size, or cannot be written.
    """
    for name, content, size in members(archive, wanted):
        if size != wanted[name]:
            raise DataError(f"{archive}: found {name} of {size:,} bytes, expected {wanted[name]:,}")
        write_aside(folder / name, lambda aside, content=content: _copy(content, aside), DataError)  # type: ignore[misc]


def _copy(content: io.BufferedIOBase, target: Path) -> None:
    with target.open("wb") as out:
        while chunk := content.read(_CHUNK):
            out.write(chunk)


@contextlib.contextmanager
def _told(archive: Path) -> Iterator[None]:
    """Turns what a broken archive makes of tarfile into a DataError; chained headers make it call itself."""
    try:
        yield
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, OverflowError, RecursionError) as cause:
        told = getattr(cause, "strerror", None) or cause
        raise DataError(f"{archive}: this is no whole .tar.gz archive ({told}); fetch it again") from cause


class _Content(io.BufferedIOBase):
    """One file's content: it is read when `members` has handed it out, and may turn out to be broken only then."""

    def __init__(self, stream: IO[bytes], archive: Path) -> None:
        self._stream, self._archive = stream, archive

    def read(self, size: int | None = -1) -> bytes:
        with _told(self._archive):
            return self._stream.read(-1 if size is None else size)


class _Bounded(io.BufferedIOBase):
    """A stream to read that ends with an error after 256 MiB: an archive of zeros unpacks to a thousand times that."""

    def __init__(self, stream: GzipFile, archive: Path) -> None:
        self._stream, self._archive, self._left = stream, archive, _MOST_BYTES

    def read(self, size: int | None = -1) -> bytes:
        most = self._left + 1
        chunk = self._stream.read(most if size is None or size < 0 else min(size, most))
        self._left -= len(chunk)
        if self._left < 0:
            raise DataError(f"{self._archive}: found more than {_MOST_BYTES:,} bytes when unpacked, expected fewer")
        return chunk

"""Fetching published data sets: resumable downloads that are believed only when their checksum is right."""

import contextlib
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO

from sparsewire.data.archives import unpack
from sparsewire.data.sources import SOURCES, RemoteFile, Source, cache_folder
from sparsewire.errors import DataError, RequestError, UnknownNameError
from sparsewire.files import write_aside

Progress = Callable[[str, int, int], None]

_CHUNK = 1 << 18
_TRIES = 3


def fetch(
    name: str,
    root: str | os.PathLike[str] | None = None,
    *,
    base_url: str | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> Path:
    """The folder that holds a data set's files, after those that were missing have been downloaded.

    A file gets its name only when its size and SHA-256 are the published ones; until then it is a `.part` beside it,
    with which the next call goes on (HTTP Range). A file that is there and right is not fetched again; one that is
    wrong is replaced. Of several processes that fetch the same, one works and the others wait. CIFAR is an archive,
    which is kept for its checksum; the files that are needed of it are taken out of it beside it (355 MB in all).

    Args:
        name: "mnist", "fashion_mnist", "cifar10" or "cifar100".
        root: the data folder; the files go into a folder in it (`mnist`, `cifar-10`, …), where `mnist(root)`, … find
            them. Without it: the user's cache, where `mnist()`, … find them.
        base_url: a folder on the web (http or https) to fetch from, instead of the known mirrors.
        progress: called as `progress(file name, bytes there, bytes in all)`.
        timeout: seconds to wait for an answer, or for the next bytes of one.

    Raises:
        UnknownNameError: no such data set can be fetched.
        RequestError: `base_url` is not a web address, or `timeout` is not positive.
        DataError: no mirror gave the right file (the message says what each did), or the disk could not be written.

    Example:
        >>> fetch("mnist", base_url="file:///etc")
        Traceback (most recent call last):
            ...
        sparsewire.errors.RequestError: base_url: found 'file:///etc', expected an address such as https://host/folder/
    """
    known = name.replace("-", "_")
    if known not in SOURCES:
        raise UnknownNameError("data set that can be fetched", name, SOURCES)
    return fetch_source(SOURCES[known], root, base_url=base_url, progress=progress, timeout=timeout)


def fetch_source(
    source: Source,
    root: str | os.PathLike[str] | None = None,
    *,
    base_url: str | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> Path:
    """As `fetch`, for any published data set."""
    mirrors = source.mirrors if base_url is None else (base_url,)
    for mirror in mirrors:
        address = urllib.parse.urlsplit(mirror)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise RequestError(f"base_url: found {mirror!r}, expected an address such as https://host/folder/")
    if not timeout > 0:
        raise RequestError(f"timeout: found {timeout}, expected a positive number of seconds")
    folder = (cache_folder() if root is None else Path(root)) / source.folders[0]
    with _disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            for file in source.files:
                urls = [mirror.rstrip("/") + "/" + file.name for mirror in mirrors]
                _fetch_file(file, folder, urls, progress or (lambda *_: None), timeout)
            _unpack(source, folder)
    return folder


def _unpack(source: Source, folder: Path) -> None:
    """Takes the files out of the archive, where they are not all there and of their sizes already."""
    if any(_size(folder / name) != size for name, size in source.unpacked):
        unpack(folder / source.files[0].name, folder, dict(source.unpacked))


class _TroubleError(Exception):
    """What went wrong with one mirror; the next may do better."""


def _fetch_file(file: RemoteFile, folder: Path, urls: list[str], progress: Progress, timeout: float) -> None:
    target, part = folder / file.name, folder / f"{file.name}.part"
    if target.is_file() and not _wrong(target, file):
        progress(file.name, file.size, file.size)
        return
    troubles = []
    for url in urls:
        try:
            _from_mirror(url, part, file, progress, timeout)
        except _TroubleError as trouble:
            troubles.append(f"{url}: {trouble}")
            continue
        write_aside(target, lambda aside: _move(part, aside), DataError)
        return
    kept = f"; {_size(part):,} bytes are kept, run it again to go on" if part.exists() else ""
    raise DataError(f"cannot fetch {file.name}: {'; '.join(troubles)}{kept}; or put the file into {folder} yourself")


def _move(part: Path, aside: Path) -> None:
    """Makes the part write_aside's temporary file, so that it is flushed and renamed, not copied."""
    part.replace(aside)


def _from_mirror(url: str, part: Path, file: RemoteFile, progress: Progress, timeout: float) -> None:
    """Brings the part to its full, right content."""
    trouble = ""
    for _ in range(_TRIES):
        begun = _size(part)
        if begun < file.size:
            _download(url, part, file, progress, timeout)
        size = _size(part)
        trouble = (
            _wrong(part, file) if size >= file.size else f"the connection ended after {size:,} of {file.size:,} bytes"
        )
        if not trouble:
            return
        if size >= file.size:
            part.unlink()
            if not begun:
                break  # all of it came from this mirror; otherwise the old beginning may be at fault: once more
        elif size == begun:
            break
    raise _TroubleError(trouble)


def _download(url: str, part: Path, file: RemoteFile, progress: Progress, timeout: float) -> None:
    """Appends to the part as much as comes, or starts it anew if the server does not go on in the middle."""
    begun = _size(part)
    response = _ask(url, begun, timeout)
    if response is None:
        part.unlink()
        return
    with response:
        start = _start(response, begun)
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and start + int(length) != file.size:
            raise _TroubleError(f"found {start + int(length):,} bytes, expected {file.size:,}")
        try:
            with part.open("ab" if start else "wb") as out:
                _copy(response, out, start, file, progress)
        except OSError:
            part.unlink(missing_ok=True)  # a full disk is not left full
            raise


def _ask(url: str, begun: int, timeout: float) -> http.client.HTTPResponse | None:
    """The server's answer, not yet read; None if it has no byte `begun`."""
    headers = {"User-Agent": "sparsewire", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers | ({"Range": f"bytes={begun}-"} if begun else {}))
    try:
        response: http.client.HTTPResponse = _opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        if begun and refusal.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None
        raise _TroubleError(f"the server answered {refusal.code} {refusal.reason}") from refusal
    except (OSError, http.client.HTTPException, UnicodeError) as cause:
        raise _TroubleError(str(getattr(cause, "reason", cause)) or type(cause).__name__) from cause
    return response


def _start(response: http.client.HTTPResponse, begun: int) -> int:
    """From which byte on the answer is: `begun`, or 0 if the server sends the whole."""
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        return 0
    stated = response.headers.get("Content-Range", "")
    if not begun or not re.fullmatch(rf"bytes {begun}-\d+/(\d+|\*)", stated):
        raise _TroubleError(f"found an answer with the range {stated!r}, expected bytes {begun}-")
    return begun


def _copy(response: IO[bytes], out: IO[bytes], start: int, file: RemoteFile, progress: Progress) -> None:
    there = start
    progress(file.name, there, file.size)
    while there <= file.size:
        # One byte more than the file has, so that an endless answer is cut and is noticed.
        want = min(_CHUNK, file.size + 1 - there)
        try:
            chunk = response.read(want)
        except (OSError, http.client.HTTPException):
            return
        if not chunk:
            return
        out.write(chunk)
        there += len(chunk)
        progress(file.name, min(there, file.size), file.size)


def _wrong(path: Path, file: RemoteFile) -> str:
    """What is wrong with a file's content; empty if nothing is."""
    if (size := _size(path)) != file.size:
        return f"found {size:,} bytes, expected {file.size:,}"
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    return "" if found == file.sha256 else f"found the SHA-256 {found}, expected {file.sha256}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Turns what the disk refuses into a DataError."""
    try:
        yield
    except OSError as cause:
        raise DataError(f"cannot write into {folder}: {cause.strerror or cause}; nothing there was replaced") from cause


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Waits until no other process fetches into the folder."""
    try:
        import fcntl
    except ImportError:  # Windows: there an open part cannot be renamed, so two at once fail rather than mix
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks; the checksum still holds
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class _FewRedirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 3


def _opener() -> urllib.request.OpenerDirector:
    """An opener for the web alone: urllib's usual one would also read file:, ftp: and data: addresses."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        _FewRedirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener

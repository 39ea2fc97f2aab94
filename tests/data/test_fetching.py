import contextlib
import hashlib
import http.server
import io
import itertools
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparsewire.data.fetching import fetch, fetch_source
from sparsewire.data.sources import SOURCES, RemoteFile, Source
from sparsewire.errors import DataError, RequestError, UnknownNameError

CONTENT = bytes(range(256)) * 40
OTHER = b"\0" * 100


def published(name: str, content: bytes) -> RemoteFile:
    return RemoteFile(name, len(content), hashlib.sha256(content).hexdigest())


TINY = Source(
    "tiny", "A tiny set", "nobody", (published("a.gz", CONTENT), published("b.gz", OTHER)), (), ("tiny", "Tiny")
)


class Server(http.server.ThreadingHTTPServer):
    """A web server on this machine: `files` by path, `asked` = (path, Range header), and one odd behaviour per path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/a.gz": CONTENT, "/b.gz": OTHER}
        self.asked: list[tuple[str, str | None]] = []
        self.odd: dict[str, Callable[[Handler], None]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def ranges(self, path: str) -> list[str | None]:
        return [wanted for asked, wanted in self.asked if asked == path]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.asked.append((self.path, wanted))
        if self.path in self.server.odd:
            self.server.odd[self.path](self)
        elif self.path not in self.server.files:
            self.send_error(404)
        elif wanted is None:
            self.whole(self.server.files[self.path])
        else:
            self.rest(int(wanted.removeprefix("bytes=").removesuffix("-")))

    def whole(self, content: bytes, announced: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) if announced is None else announced))
        self.end_headers()
        self.wfile.write(content)

    def rest(self, start: int) -> None:
        content = self.server.files[self.path]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def get(server: Server, root: Path, **more: object) -> Path:
    return fetch_source(TINY, root, base_url=server.url, timeout=5, **more)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


WHOLE = {"a.gz": CONTENT, "b.gz": OTHER}


def test_everything_is_downloaded_with_progress_and_only_once(server: Server, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    folder = get(server, tmp_path, progress=lambda *step: steps.append(step))
    assert folder == tmp_path / "tiny"
    assert contents(folder) == WHOLE
    assert steps[0] == ("a.gz", 0, len(CONTENT))
    assert steps[-1] == ("b.gz", len(OTHER), len(OTHER))
    assert [there for name, there, _ in steps if name == "a.gz"] == sorted(
        there for name, there, _ in steps if name == "a.gz"
    )
    assert server.asked == [("/a.gz", None), ("/b.gz", None)]
    get(server, tmp_path)
    assert len(server.asked) == 2


def test_only_files_that_are_missing_or_wrong_are_fetched(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path)
    (tmp_path / "tiny" / "b.gz").write_bytes(OTHER[:-1] + b"!")
    server.asked.clear()
    get(server, tmp_path)
    assert server.asked == [("/b.gz", None)]
    assert contents(tmp_path / "tiny") == WHOLE


def test_a_download_that_was_cut_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    def cut(handler: Handler) -> None:
        del server.odd["/a.gz"]
        handler.whole(CONTENT[:4000], announced=len(CONTENT))

    server.odd["/a.gz"] = cut
    get(server, tmp_path)
    assert server.ranges("/a.gz") == [None, "bytes=4000-"]
    assert contents(tmp_path / "tiny") == WHOLE


def test_a_server_that_always_cuts_leaves_a_part_with_which_the_next_call_goes_on(
    server: Server, tmp_path: Path
) -> None:
    server.odd["/a.gz"] = lambda handler: handler.whole(CONTENT[:1000], announced=len(CONTENT))
    with pytest.raises(DataError, match=r"ended after 1,000 of 10,240 bytes; 1,000 bytes are kept, run it again"):
        get(server, tmp_path)
    assert contents(tmp_path / "tiny") == {"a.gz.part": CONTENT[:1000]}
    server.odd.clear()
    server.asked.clear()
    get(server, tmp_path)
    assert server.ranges("/a.gz") == ["bytes=1000-"]
    assert contents(tmp_path / "tiny") == WHOLE


def test_a_server_that_knows_no_ranges_sends_the_whole_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "a.gz.part").write_bytes(b"?" * 500)
    server.odd["/a.gz"] = lambda handler: handler.whole(CONTENT)
    get(server, tmp_path)
    assert server.ranges("/a.gz") == ["bytes=500-"]
    assert contents(tmp_path / "tiny") == WHOLE


@pytest.mark.parametrize("size", [500, len(CONTENT), len(CONTENT) + 7])
def test_a_part_with_a_wrong_beginning_is_thrown_away(server: Server, tmp_path: Path, size: int) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "a.gz.part").write_bytes(b"?" * size)
    get(server, tmp_path)
    assert server.ranges("/a.gz")[-1] is None
    assert contents(tmp_path / "tiny") == WHOLE


def test_a_part_that_is_whole_needs_no_server(server: Server, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "a.gz.part").write_bytes(CONTENT)
    get(server, tmp_path)
    assert server.ranges("/a.gz") == []
    assert contents(tmp_path / "tiny") == WHOLE


def test_a_range_that_cannot_be_had_starts_anew(server: Server, tmp_path: Path) -> None:
    def refuse(handler: Handler) -> None:
        del server.odd["/a.gz"]
        handler.send_error(416)

    server.odd["/a.gz"] = refuse
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "a.gz.part").write_bytes(CONTENT[:500])
    get(server, tmp_path)
    assert server.ranges("/a.gz") == ["bytes=500-", None]
    assert contents(tmp_path / "tiny") == WHOLE


def test_another_range_than_was_asked_for_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "a.gz.part").write_bytes(CONTENT[:500])
    server.odd["/a.gz"] = lambda handler: handler.rest(400)
    with pytest.raises(DataError, match=r"range 'bytes 400-10239/10240', expected bytes 500-"):
        get(server, tmp_path)
    assert contents(tmp_path / "tiny") == {"a.gz.part": CONTENT[:500]}


def wrong_bytes(handler: Handler) -> None:
    handler.whole(b"!" * len(CONTENT))


def a_page(handler: Handler) -> None:
    handler.whole(b"<html>please log in</html>")


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"!" * 65536)


def gone(handler: Handler) -> None:
    handler.send_error(404)


def rubbish(handler: Handler) -> None:
    handler.wfile.write(b"what?\r\n\r\n")


def silence(handler: Handler) -> None:
    handler.rfile.read(1)  # until the other side gives up


def to(url: str) -> Callable[[Handler], None]:
    def redirect(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return redirect


FAILURES: dict[str, tuple[Callable[[Handler], None], str]] = {
    "wrong bytes": (wrong_bytes, f"found the SHA-256 [0-9a-f]{{64}}, expected {TINY.files[0].sha256}"),
    "a page": (a_page, "found 26 bytes, expected 10,240"),
    "endless": (endless, "found 10,241 bytes, expected 10,240"),
    "404": (gone, "the server answered 404"),
    "rubbish": (rubbish, "a.gz: what"),
    "silence": (silence, "timed out"),
    "redirect to a file": (to("file:///etc/hosts"), "302 .*'file:///etc/hosts' is not allowed"),
    "redirect to an archive": (to("ftp://127.0.0.1/a.gz"), "unknown url type: ftp"),
    "redirect for ever": (to("/a.gz"), "302 .*infinite loop"),
}


@pytest.mark.parametrize(("behaviour", "says"), FAILURES.values(), ids=FAILURES.keys())
def test_what_a_bad_server_sends_is_refused_and_not_kept(
    server: Server, tmp_path: Path, behaviour: Callable[[Handler], None], says: str
) -> None:
    server.odd["/a.gz"] = behaviour
    with pytest.raises(DataError, match=f"cannot fetch a.gz: http://127.0.0.1.*({says})"):
        fetch_source(TINY, tmp_path, base_url=server.url, timeout=0.3)
    assert contents(tmp_path / "tiny") == {}
    assert len(server.asked) <= 6


@pytest.mark.parametrize("behaviour", [wrong_bytes, gone], ids=["wrong bytes", "404"])
def test_the_next_mirror_is_asked_when_one_fails(
    server: Server, tmp_path: Path, behaviour: Callable[[Handler], None]
) -> None:
    server.odd["/first/a.gz"] = behaviour
    server.files["/first/b.gz"] = OTHER
    mirrors = (server.url + "first", server.url)
    source = Source("tiny", "", "", TINY.files, mirrors, ("tiny",))
    assert contents(fetch_source(source, tmp_path)) == WHOLE
    assert [path for path, _ in server.asked] == ["/first/a.gz", "/a.gz", "/first/b.gz"]


def test_a_redirect_on_the_web_is_followed(server: Server, tmp_path: Path) -> None:
    server.files["/moved"] = CONTENT
    server.odd["/a.gz"] = to("/moved")
    assert contents(get(server, tmp_path)) == WHOLE


def test_more_than_three_redirects_are_too_many(server: Server, tmp_path: Path) -> None:
    stations = ["/a.gz", "/1", "/2", "/3", "/4"]
    for here, there in itertools.pairwise(stations):
        server.odd[here] = to(there)
    server.files["/4"] = CONTENT
    with pytest.raises(DataError, match=r"cannot fetch a\.gz: .* answered 302"):
        get(server, tmp_path)
    server.odd["/2"] = to("/4")
    assert contents(get(server, tmp_path)) == WHOLE


def test_nobody_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DataError, match=r"cannot fetch a\.gz: .*refused; or put the file into .*tiny yourself"):
        fetch_source(TINY, tmp_path, base_url=f"http://127.0.0.1:{port}")


def test_a_file_that_is_there_survives_a_failed_replacement(server: Server, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "a.gz").write_bytes(b"mine")
    server.odd["/a.gz"] = wrong_bytes
    with pytest.raises(DataError, match="SHA-256"):
        get(server, tmp_path)
    assert contents(tmp_path / "tiny") == {"a.gz": b"mine"}


def test_a_full_disk_is_named_and_not_left_full(server: Server, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full to stand for a full disk")
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "a.gz.part").symlink_to("/dev/full")
    with pytest.raises(
        DataError, match=r"cannot write into .*tiny: No space left on device; nothing there was replaced"
    ):
        get(server, tmp_path)
    assert contents(tmp_path / "tiny") == {}


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "tiny").write_text("a file in the way")
    with pytest.raises(DataError, match=r"cannot write into .*tiny: File exists"):
        get(server, tmp_path)


def test_several_at_once_fetch_each_file_once(server: Server, tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="folders are locked on POSIX systems only")
    troubles: list[Exception] = []

    def work() -> None:
        try:
            get(server, tmp_path)
        except DataError as trouble:
            troubles.append(trouble)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert sorted(server.asked) == [("/a.gz", None), ("/b.gz", None)]
    assert contents(tmp_path / "tiny") == WHOLE


@pytest.mark.parametrize("url", ["file:///etc", "ftp://host/", "/etc", "http://", "mnist.example"])
def test_only_the_web_is_fetched_from(tmp_path: Path, url: str) -> None:
    with pytest.raises(RequestError, match=r"base_url: found .*expected an address such as"):
        fetch("mnist", tmp_path, base_url=url)
    assert contents(tmp_path) == {}


def test_requests_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UnknownNameError, match="no data set that can be fetched is named 'mnits'; did you mean 'mnist'"
    ):
        fetch("mnits", tmp_path)
    with pytest.raises(RequestError, match="timeout: found 0"):
        fetch("mnist", tmp_path, timeout=0)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "fashion-mnist"])
def test_a_real_name_asks_for_its_first_file_in_its_own_folder(server: Server, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot fetch train-images-idx3-ubyte\.gz: .* answered 404"):
        fetch(name, tmp_path, base_url=server.url)
    assert server.asked == [("/train-images-idx3-ubyte.gz", None)]
    assert (tmp_path / name.replace("-", "_")).is_dir()


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_the_published_files_are_described_in_full(source: Source) -> None:
    assert len({file.sha256 for file in source.files}) == len(source.files) == (1 if source.unpacked else 4)
    assert all(len(file.sha256) == 64 and file.size > 4000 for file in source.files)
    assert all(mirror.startswith(("https://", "http://")) and mirror.endswith("/") for mirror in source.mirrors)


def packed() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name in ("in/a.bin", "in/b.bin", "in/readme.html"):
            about = tarfile.TarInfo(name)
            about.size = len(OTHER)
            archive.addfile(about, io.BytesIO(OTHER))
    return content.getvalue()


def test_what_is_needed_of_an_archive_is_unpacked_beside_it(server: Server, tmp_path: Path) -> None:
    archive = packed()
    server.files["/in.tar.gz"] = archive
    wanted = (("in/a.bin", len(OTHER)), ("in/b.bin", len(OTHER)))
    source = Source(
        "packed", "A packed set", "nobody", (published("in.tar.gz", archive),), (server.url,), ("packed",),
        forms=(tuple(name for name, _ in wanted), ("in.tar.gz",)), unpacked=wanted,
    )  # fmt: skip
    folder = fetch_source(source, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["in", "in.tar.gz"]
    assert contents(folder / "in") == {"a.bin": OTHER, "b.bin": OTHER}
    assert source.form_in(folder) == ("in/a.bin", "in/b.bin")
    before = (folder / "in/b.bin").stat().st_ino
    (folder / "in/a.bin").write_bytes(OTHER[:-1])
    fetch_source(source, tmp_path)
    assert contents(folder / "in") == {"a.bin": OTHER, "b.bin": OTHER}
    assert (folder / "in/b.bin").stat().st_ino != before  # all of them anew
    before = (folder / "in/b.bin").stat().st_ino
    fetch_source(source, tmp_path)
    assert (folder / "in/b.bin").stat().st_ino == before
    assert len(server.asked) == 1

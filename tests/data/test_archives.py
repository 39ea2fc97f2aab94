import gzip
import io
import random
import tarfile
from pathlib import Path

import pytest

from sparsewire.data.archives import members, unpack
from sparsewire.errors import DataError

WANTED = {"in/a": 3, "in/b": 4}


def entry(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    about = tarfile.TarInfo(name)
    about.type, about.linkname, about.size = kind, link, len(content)
    return about, content


GOOD = [entry("in/a", b"aaa"), entry("in/b", b"bbbb")]


def packed(path: Path, entries: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for about, content in entries:
            archive.addfile(about, io.BytesIO(content))
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_wanted_files_are_unpacked_and_nothing_else(tmp_path: Path) -> None:
    strange = [
        entry("in", kind=tarfile.DIRTYPE),
        entry("in/readme.html", b"<html>"),
        entry("../out", b"out"),
        entry("/tmp/out-of-an-archive", b"out"),
        entry("in/../in/a", b"zzz"),
        entry("in/link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        entry("in/device", kind=tarfile.CHRTYPE),
        entry("in/pipe", kind=tarfile.FIFOTYPE),
    ]
    archive = packed(tmp_path / "x.tar.gz", [*strange, *GOOD, *strange])
    (tmp_path / "to").mkdir()
    unpack(archive, tmp_path / "to", WANTED)
    assert files(tmp_path / "to") == {"in/a": b"aaa", "in/b": b"bbbb"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["to", "x.tar.gz"]
    assert not Path("/tmp/out-of-an-archive").exists()
    dotted = packed(tmp_path / "y.tar.gz", [entry("./in/a", b"aaa"), entry("./in/b", b"bbbb")])
    assert [(name, stream.read()) for name, stream, _ in members(dotted, WANTED)] == [
        ("in/a", b"aaa"),
        ("in/b", b"bbbb"),
    ]


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (GOOD[:1], "found no in/b in it, expected it among 2 files"),
        ([*GOOD, GOOD[0]], "found in/a twice"),
        ([GOOD[0], entry("in/b", kind=tarfile.SYMTYPE, link="/etc/passwd")], "found no in/b"),
        ([GOOD[0], entry("in/b", kind=tarfile.LNKTYPE, link="in/a")], "found no in/b"),
        ([GOOD[0], entry("in/b", kind=tarfile.FIFOTYPE)], "found no in/b"),
        ([GOOD[0], entry("in/b", b"bbb")], "found in/b of 3 bytes, expected 4"),
        ([], "found no in/a"),
        ([entry(f"{number}") for number in range(1001)], "found more than 1000 entries"),
    ],
)
def test_archives_of_something_else_are_refused(
    tmp_path: Path, entries: list[tuple[tarfile.TarInfo, bytes]], says: str
) -> None:
    with pytest.raises(DataError, match=rf"x\.tar\.gz: {says}"):
        unpack(packed(tmp_path / "x.tar.gz", entries), tmp_path, WANTED)
    assert not (tmp_path / "in/b").exists() or says.startswith("found in/a twice")


def test_a_cut_or_changed_archive_is_refused(tmp_path: Path) -> None:
    archive = packed(tmp_path / "x.tar.gz", GOOD)
    whole = archive.read_bytes()
    spoiled = [whole[:end] for end in range(0, len(whole), 7)]
    spoiled += [whole[:-8] + bytes(8), gzip.compress(b"no tar", mtime=0), b"\x1f\x8b\x08", bytes(100)]
    for content in spoiled:
        archive.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.tar\.gz: (this is no whole|found no)"):
            unpack(archive, tmp_path / "to", WANTED)
    with pytest.raises(DataError, match="No such file"):
        unpack(tmp_path / "none.tar.gz", tmp_path / "to", WANTED)


@pytest.mark.parametrize("broken", ["cut", "changed"])
def test_a_file_that_breaks_off_while_it_is_read_is_refused(tmp_path: Path, broken: str) -> None:
    """Large enough that its end is not yet unpacked when its beginning is handed out."""
    noise = random.Random(0).randbytes(3 << 20)
    archive = packed(tmp_path / "x.tar.gz", [entry("in/a", noise), entry("in/b", b"bbbb")])
    whole = bytearray(archive.read_bytes())
    whole[2 << 20] ^= 1
    archive.write_bytes(whole if broken == "changed" else whole[: 2 << 20])
    with pytest.raises(DataError, match=r"x\.tar\.gz: this is no whole"):
        [stream.read(size) for _, stream, size in members(archive, WANTED)]
    with pytest.raises(DataError, match=r"x\.tar\.gz: this is no whole"):
        unpack(archive, tmp_path / "to", {**WANTED, "in/a": len(noise)})


def test_a_cut_tar_in_a_whole_gzip_is_refused(tmp_path: Path) -> None:
    archive = packed(tmp_path / "x.tar.gz", [entry("in/a", bytes(4000))])
    archive.write_bytes(gzip.compress(gzip.decompress(archive.read_bytes())[:2000], mtime=0))
    with pytest.raises(DataError, match=r"this is no whole .* \(unexpected end of data\)"):
        unpack(archive, tmp_path / "to", {"in/a": 4000})


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_chain_of_headers_is_refused(tmp_path: Path, kind: bytes) -> None:
    """Each makes tarfile call itself once more."""
    archive = packed(tmp_path / "x.tar.gz", [*([entry("name", b"11 path=ab\n", kind)] * 3000), *GOOD])
    with pytest.raises(DataError, match="this is no whole"):
        unpack(archive, tmp_path, WANTED)


def test_a_file_with_holes_is_passed_over(tmp_path: Path) -> None:
    """Its 512 bytes of header stand for as many zeros as it likes."""
    about = tarfile.TarInfo("in/a")
    about.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 28)}
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(about)
    with pytest.raises(DataError, match="found no in/a"):
        unpack(tmp_path / "x.tar.gz", tmp_path, {"in/a": 1 << 28})


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsewire.data.archives._MOST_BYTES", 1 << 20)
    archive = packed(tmp_path / "x.tar.gz", [entry("zeros", bytes(2 << 20)), *GOOD])
    assert archive.stat().st_size < 10_000
    with pytest.raises(DataError, match="found more than 1,048,576 bytes when unpacked"):
        unpack(archive, tmp_path, WANTED)
    (tmp_path / "y.tar.gz").write_bytes(gzip.compress(bytes(2 << 20), mtime=0))
    with pytest.raises(DataError, match=r"y\.tar\.gz: "):
        unpack(tmp_path / "y.tar.gz", tmp_path, WANTED)


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    archive = packed(tmp_path / "x.tar.gz", GOOD)
    (tmp_path / "to/in/b").mkdir(parents=True)
    with pytest.raises(DataError, match=r"cannot write .*b: it is a folder"):
        unpack(archive, tmp_path / "to", WANTED)
    assert files(tmp_path / "to") == {"in/a": b"aaa"}

import contextlib
import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sparsewire.data.idx import TYPES, read_idx, write_idx
from sparsewire.errors import DataError, RequestError

# By hand: two zero bytes, type 08 = uint8, 2 dimensions, sizes 2 and 3, then the rows 1 2 3 and 4 5 6.
SMALL = bytes.fromhex("0000 08 02 00000002 00000003 010203 040506")
ROWS = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8)


def put(folder: Path, content: bytes, name: str = "some.idx") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_file_written_by_hand_is_read(tmp_path: Path) -> None:
    for content in (SMALL, gzip.compress(SMALL, mtime=0)):
        array = read_idx(put(tmp_path, content))
        assert array.dtype == np.uint8
        assert array.tolist() == ROWS.tolist()


def test_the_highest_byte_comes_first(tmp_path: Path) -> None:
    # Type 0b = int16: 01 00 is 256, ff fe is −2.
    assert read_idx(put(tmp_path, bytes.fromhex("00000b01 00000002 0100 fffe"))).tolist() == [256, -2]


@given(
    array=npst.arrays(
        st.sampled_from([np.dtype(text).newbyteorder("=") for text in TYPES.values()]),
        npst.array_shapes(max_dims=4, min_side=0, max_side=4),
    ),
    packed=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, packed: bool) -> None:
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if packed else "a")
    write_idx(path, array)
    back = read_idx(path)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()  # also for NaN and −0.0
    assert back.flags.writeable
    assert back.dtype.isnative


def test_the_same_array_gives_the_same_bytes(tmp_path: Path) -> None:
    write_idx(tmp_path / "one.gz", ROWS)
    write_idx(tmp_path / "two.gz", ROWS)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    assert (tmp_path / "one.gz").read_bytes()[4:8] == bytes(4)  # the place of the time


@pytest.mark.parametrize("array", [np.zeros(2, dtype=np.int64), np.zeros(2, dtype=bool), np.array(["a"])])
def test_types_that_idx_has_not_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(RequestError, match="found dtype"):
        write_idx(tmp_path / "a", array)


def test_a_single_number_has_no_dimensions_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="1 to 8 dimensions"):
        write_idx(tmp_path / "a", np.array(1, dtype=np.uint8))


@pytest.mark.parametrize("content", [SMALL, gzip.compress(SMALL, mtime=0)], ids=["plain", "packed"])
def test_every_cut_and_every_appended_byte_is_noticed(tmp_path: Path, content: bytes) -> None:
    for changed in [content[:length] for length in range(len(content))] + [content + b"\0", content + content]:
        with pytest.raises(DataError, match=r"some\.idx"):
            read_idx(put(tmp_path, changed))


def test_every_changed_byte_of_a_plain_header_is_noticed_or_changes_the_type_alone(tmp_path: Path) -> None:
    # Without a checksum, 08 (uint8) → 09 (int8) cannot be noticed: the sizes are the same.
    passed = []
    for place in range(12):
        for value in range(256):
            changed = bytearray(SMALL)
            changed[place] = value
            try:
                array = read_idx(put(tmp_path, bytes(changed)))
            except DataError:
                continue
            if changed != SMALL:
                passed.append((place, value, array.dtype, array.shape))
    assert passed == [(2, 9, np.dtype(np.int8), (2, 3))]


def test_no_changed_byte_of_a_packed_file_changes_a_number(tmp_path: Path) -> None:
    content, refused = gzip.compress(SMALL, mtime=0), 0
    for place in range(len(content)):
        for value in range(256):
            changed = content[:place] + bytes([value]) + content[place + 1 :]
            try:
                assert read_idx(put(tmp_path, changed)).tolist() == ROWS.tolist()
            except DataError:
                refused += 1
    # What passes are bytes of the gzip header that say nothing about the content: its time, its system, two flags.
    assert refused > 0.7 * 255 * len(content)


@given(content=st.binary(max_size=40), start=st.sampled_from([b"", b"\0\0\x08", b"\0\0\x08\x01", b"\x1f\x8b\x08\0"]))
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_an_array_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes
) -> None:
    path = put(tmp_path_factory.getbasetemp(), start + content)
    with contextlib.suppress(DataError):
        array = read_idx(path)
        assert 4 + 4 * array.ndim + array.nbytes == len(start + content)


def header(code: int, *sizes: int) -> bytes:
    return struct.pack(f">HBB{len(sizes)}I", 0, code, len(sizes), *sizes)


@pytest.mark.parametrize(
    "content",
    [
        header(8, 0xFFFFFFFF, 0xFFFFFFFF),
        header(14, 0xFFFFFFFF),
        header(8, 0, *[0xFFFFFFFF] * 7),  # holds nothing, but numpy cannot have such a shape
        gzip.compress(header(8, 1 << 28, 1 << 3), mtime=0),
    ],
)
def test_an_announced_size_beyond_the_limit_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="expected at most 268,435,456 bytes"):
        read_idx(put(tmp_path, content))


def test_a_bomb_is_unpacked_to_one_byte_more_than_it_announces(tmp_path: Path) -> None:
    bomb = gzip.compress(header(8, 10) + bytes(50_000_000), mtime=0)
    path = put(tmp_path, bomb)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="found more bytes of values, expected 10"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(bomb) + 100_000
    finally:
        tracemalloc.stop()


def test_a_file_larger_than_the_limit_is_not_read_whole(tmp_path: Path) -> None:
    path = put(tmp_path, SMALL)
    os.truncate(path, 1 << 34)  # 16 GiB that take no place on the disk
    with pytest.raises(DataError, match="found a file of more than"):
        read_idx(path, at_most=1000)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "found 0 bytes of content"),
        (b"\x89PNG", "first bytes 89 50 4e 47"),
        (header(7, 1), "first bytes 00 00 07 01"),
        (header(8), "found 0 dimensions, expected 1 to 8"),
        (header(8, *[1] * 9), "found 9 dimensions, expected 1 to 8"),
        (header(8, 1, 1)[:9], "expected a header of 12"),
        (SMALL[:-2], "found 4 bytes of values, expected 6"),
        (gzip.compress(SMALL, mtime=0)[:-9], "cut after"),
        (gzip.compress(SMALL, mtime=0) + b"\0\0", "found 2 bytes after the end"),
    ],
)
def test_the_message_says_what_was_found(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_idx(put(tmp_path, content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    for path, says in [
        (tmp_path, "a folder or a device"),
        (tmp_path / "pipe", "a folder or a device"),
        (Path("/dev/zero"), "a folder or a device"),
        (tmp_path / "absent", "cannot read .*absent: No such file"),
        (tmp_path / ("long" * 100), "cannot read .*name too long"),
        (tmp_path / "a\0b", "cannot read"),
    ]:
        with pytest.raises(DataError, match=says):
            read_idx(path)

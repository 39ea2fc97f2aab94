import contextlib
import pickle
import pickletools
import struct
import tracemalloc
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.data.pickled_batch import read_pickled_batch
from sparsewire.errors import DataError

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 12)
BATCH = {b"batch_label": b"one", b"labels": [6, 9], b"data": PIXELS, b"filenames": [b"a.png", b"b.png"]}


def text(content: bytes) -> bytes:
    """A text as Python 2 wrote it."""
    size = len(content)
    return (b"U" + bytes([size]) if size < 256 else b"T" + struct.pack("<i", size)) + content


def array_of_python_2(
    content: bytes, shape: tuple[int, int], *, kind: bytes = b"u1", by_columns: bytes = b"\x89"
) -> bytes:
    """An array as numpy 1 under Python 2 wrote it with protocol 2."""
    sizes = b"".join(b"M" + struct.pack("<H", size) for size in shape)
    made = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\t" + text(b"b") + b"\x87q\nRq\x0b"
    )
    dtype = b"cnumpy\ndtype\nq\x0c" + text(kind) + b"K\x00K\x01\x87q\rRq\x0e"
    order = b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return made + b"(K\x01" + sizes + b"\x86q\x0f" + dtype + order + by_columns + text(content) + b"tb"


def python_2(pixels: np.ndarray = PIXELS, labels: bytes = b"(K\x06K\x09e", **more: bytes) -> bytes:
    """A whole batch as the published files have it."""
    array = array_of_python_2(pixels.tobytes(), pixels.shape, **more)
    head = b"\x80\x02}q\x01(" + text(b"batch_label") + b"q\x02" + text(b"one") + b"q\x03"
    return (
        head
        + text(b"labels")
        + b"q\x04]q\x05"
        + labels
        + text(b"data")
        + b"q\x06"
        + array
        + text(b"filenames")
        + (b"]q\x10(" + text(b"a.png") + text(b"b.png") + b"eu.")
    )


def plain(value: Any) -> Any:
    """What `pickle` gives for it, with texts for keys, to compare with."""
    return {key.decode() if isinstance(key, bytes) else key: held for key, held in value.items()}


def equal(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return list(one) == list(two) and all(np.array_equal(one[key], two[key]) for key in one)


def test_a_file_of_python_2_is_read() -> None:
    held = read_pickled_batch(python_2(), "file")
    assert list(held) == ["batch_label", "labels", "data", "filenames"]
    assert (held["labels"], held["filenames"], held["batch_label"]) == ([6, 9], [b"a.png", b"b.png"], b"one")
    assert held["data"].dtype == np.uint8
    assert np.array_equal(held["data"], PIXELS)
    assert equal(held, plain(pickle.loads(python_2(), encoding="bytes")))  # noqa: S301


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("size", [1, 2, 3000])
def test_files_of_python_3_are_read(protocol: int, size: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size, 12), dtype=np.uint8)
    batch = BATCH | {b"data": pixels, b"labels": [number % 70_000 for number in range(size)], b"more": (None, True, 1)}
    held = read_pickled_batch(pickle.dumps(batch, protocol=protocol), "file")
    assert equal(held, plain(batch))
    as_texts = {key.decode(): value for key, value in batch.items()}
    assert equal(read_pickled_batch(pickle.dumps(as_texts, protocol=protocol), "file"), as_texts)


class Mine:
    """Something that a pickle can hold."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


def pickled(value: object, protocol: int = 4) -> bytes:
    return pickle.dumps({"labels": value}, protocol=protocol)


HOSTILE = {
    "a call": (pickled(Mine()), "found the name '(builtins|__builtin__) print'"),
    "a call of protocol 2": (pickled(Mine(), 2), "found the name '(builtins|__builtin__) print'"),
    "another class": (pickled(OrderedDict()), "found the name 'collections OrderedDict'"),
    "a tensor": (pickled(torch.zeros(1)), "found the name 'torch"),
    "a lookup": (b"\x80\x02cnumpy\nload\n.", "found the name 'numpy load'"),
    "a long name": (b"\x80\x02c" + b"x" * 99_999 + b"\ny\n.", "found the name 'x{40}'…, expected a short one"),
    "a name of numbers": (b"\x80\x04K\x01K\x02\x93.", "found the name ''"),
    "floats": (pickled([1.5]), "found the pickle operation BINFLOAT"),
    "a set": (pickled({1}), "found the pickle operation EMPTY_SET"),
    "a persistent id": (b"\x80\x02K\x01Q.", "found the pickle operation BINPERSID"),
    "an instance": (b"(ios\nsystem\n.", "found the pickle operation INST"),
    "an extension": (b"\x80\x02\x82\x01.", "found the pickle operation EXT1"),
    "a new object": (b"\x80\x02cnumpy\nndarray\n)\x81.", "found the pickle operation NEWOBJ"),
    "protocol 0": (pickle.dumps({"a": [1]}, protocol=0), "found the pickle operation"),
    "protocol 5": (pickle.dumps({"a": PIXELS}, protocol=5), "found pickle protocol 5, expected 2 to 4"),
    "an array as function": (b"\x80\x02cnumpy\nndarray\n)R.", "found a call of what is no function"),
    "a number as function": (b"\x80\x02K\x01)R.", "found a call of what is no function"),
    "a list as arguments": (b"\x80\x02cnumpy\ndtype\n]R.", "found a call of what is no function"),
    "another array type": (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\n\x85R.", "a kind of its own"),
    "no arguments": (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R.", "found an array of a kind of its own"),
    "another text form": (
        b"\x80\x02c_codecs\nencode\nX\x01\0\0\0aX\x03\0\0\0rot\x86R.",
        "or a text that is not encoded as latin1",
    ),
    "floats in an array": (pickled(np.zeros(3)), "found an array of type 'f8', expected u1"),
    "objects in an array": (pickled(np.array([None])), "found an array of type 'O8', expected u1"),
    "columns first": (pickled(np.asfortranarray(PIXELS)), "in another order than row by row of uint8"),
    "too little content": (
        python_2().replace(b"M\x02\x00M\x0c\x00", b"M\x03\x00M\x0c\x00"),
        "found 24 bytes as the content of an array of 36 elements",
    ),
    "a huge shape": (
        python_2().replace(b"M\x02\x00M\x0c\x00", b"\x8a\x0f" + b"\x01" * 14 + b"\x01M\x0c\x00"),
        "found an array without a shape",
    ),
    "a list as shape": (python_2().replace(b"M\x02\x00M\x0c\x00\x86", b"]"), "found an array without a shape"),
    "content twice": (python_2().replace(b"tbU\x09filenames", b"tbNbU\x09filenames"), "found content for a "),
    "content for a list": (b"\x80\x02](K\x01tb.", "found content for a list"),
    "a list of keys": (b"\x80\x02}]K\x01s.", "found a list as key of a dictionary"),
    "a number as key": (b"\x80\x02}K\x01K\x01s.", "found a int as key"),
    "values in a number": (b"\x80\x02K\x01K\x01a.", "found values put into a int, expected a list"),
    "entries in a list": (b"\x80\x02]K\x01K\x01s.", "found entries put into a list, expected a dictionary"),
    "half an entry": (b"\x80\x02}(K\x01u.", "found entries put into a dict"),
    "a list alone": (b"\x80\x02].", "found a list, expected a dictionary"),
    "two values": (b"\x80\x02}}.", "found more than one value"),
    "a mark left over": (b"\x80\x02(}.", "found more than one value"),
    "a strange key": (b"\x80\x03}C\x01\xffK\x01s.", r"found the key b'\\xff'"),
    "a long key": (
        b"\x80\x02}T\xe9\x03\0\0" + b"x" * 1001 + b"K\x01s.",
        "found a bytes as key .* expected a short text",
    ),
    "a number to encode": (b"\x80\x02c_codecs\nencode\nK\x01X\x06\0\0\0latin1\x86R.", "found a int to encode"),
    "one text encoded often": (
        b"\x80\x02}U\x01a](X\xe8\x03\0\0"
        + b"x" * 1000
        + b"q\x00"
        + b"c_codecs\nencode\nh\x00X\x06\0\0\0latin1\x86R" * 9
        + b"es.",
        "encoded again and again",
    ),
    "a name without an end": (b"\x80\x02cnumpy\nload", "found the name .*expected a short one"),
    "no operation": (b"\x80\x02\xff.", "found the pickle operation b.*xff"),
    "nothing": (b"", "no pickle of such data"),
    "no stop": (b"\x80\x02}", "no pickle of such data"),
    "an empty stack": (b"\x80\x02.", "no pickle of such data"),
    "an empty stack below a mark": (b"\x80\x02](a.", "no pickle of such data"),
    "no mark": (b"\x80\x02]e.", "no pickle of such data"),
    "an unknown place": (b"\x80\x02h\x07.", "no pickle of such data"),
    "a web page": (b"<!DOCTYPE html>", "found the pickle operation b'<'"),
    "a text beyond the end": (b"\x80\x02T\xff\xff\xff\x7fabc.", "no pickle of such data"),
    "bytes beyond all ends": (b"\x80\x04\x8e" + b"\xff" * 8 + b".", "no pickle of such data"),
    "a negative length": (b"\x80\x02T\xff\xff\xff\xff.", "no pickle of such data"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_batch_does_not_need_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, says = HOSTILE[name]
    with pytest.raises(DataError, match=says) as caught:
        read_pickled_batch(content, "the file")
    assert str(caught.value).startswith("the file: ")
    assert len(str(caught.value)) < 300
    assert capsys.readouterr().out == ""


def test_a_shared_value_is_held_once_however_often_it_is_named() -> None:
    """Tuples of tuples, each twice in the next: 2 to the 400th numbers, if they were written out."""
    content = b"\x80\x02}U\x01aK\x01" + b"q\x00h\x00\x86" * 400 + b"s."
    tracemalloc.start()
    held = read_pickled_batch(content, "file")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert type(held["a"]) is tuple
    assert peak < 1 << 20
    with pytest.raises(DataError, match="found a tuple as key"):
        read_pickled_batch(b"\x80\x02}K\x01" + b"q\x00h\x00\x86" * 400 + b"K\x01s.", "file")


def test_a_list_may_hold_itself() -> None:
    held = read_pickled_batch(b"\x80\x02}U\x01a]q\x00h\x00as.", "file")
    assert held["a"][0] is held["a"]


def test_too_many_operations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsewire.data.pickled_batch._MOST_OPERATIONS", 50)
    with pytest.raises(DataError, match="found more than 50 operations"):
        read_pickled_batch(pickle.dumps({"labels": [1] * 100}, protocol=2), "file")


@pytest.mark.parametrize("end", range(0, len(python_2()), 3))
def test_a_cut_file_is_refused(end: int) -> None:
    with pytest.raises(DataError, match="file: "):
        read_pickled_batch(python_2()[:end], "file")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_gives_a_data_error_or_a_dictionary(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([python_2(), *(pickle.dumps(BATCH, protocol=p) for p in (2, 3, 4))])))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        assert type(read_pickled_batch(bytes(content), "file")) is dict


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([op for op in pickletools.opcodes if op.arg is None]), max_size=30))
def test_any_order_of_operations_gives_a_data_error_or_a_dictionary(operations: list[pickletools.OpcodeInfo]) -> None:
    content = b"\x80\x04" + b"".join(op.code.encode("latin1") for op in operations) + b"."
    with contextlib.suppress(DataError):
        assert type(read_pickled_batch(content, "file")) is dict

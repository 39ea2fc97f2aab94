"""Tensors in a file: every bit comes back, safetensors itself reads the same, and no lie of a header is believed."""

import hashlib
import json
import os
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from sparsewire.errors import CheckpointError
from sparsewire.lab.checkpointing.tensor_files import _DTYPES, Damage, Part, read_tensors, write_tensors


def bits(tensor: Tensor) -> tuple[torch.dtype, tuple[int, ...], bytes]:
    whole = tensor.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    return tensor.dtype, tuple(tensor.shape), whole.reshape(-1).view(torch.uint8).numpy().tobytes()


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert bits(found[name]) == bits(tensor), name
        assert found[name].is_contiguous()


@st.composite
def some_tensors(draw: st.DrawFn) -> Tensor:
    """Any bits as any type, so NaN with payloads and -0.0; whole, turned, with steps, or a part of something larger."""
    dtype = draw(st.sampled_from(list(_DTYPES.values())))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    seed = draw(st.integers(0, 99))
    raw = torch.randint(0, 256, (*shape, dtype.itemsize), generator=torch.Generator().manual_seed(seed))
    tensor = raw.to(torch.uint8).view(dtype).squeeze(-1) if dtype != torch.bool else raw.squeeze(-1) > 127
    form = draw(st.sampled_from(["whole", "turned", "steps", "expanded", "gradient"]))
    if form == "turned":
        return tensor.permute(list(reversed(range(tensor.ndim))))
    if form == "steps" and tensor.ndim:
        return tensor[::2]
    if form == "expanded":
        return tensor.expand(3, *tensor.shape)
    if form == "gradient" and dtype in (torch.float32, torch.float64):
        return tensor.requires_grad_()
    return tensor


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.text(max_size=8), some_tensors(), max_size=5))
def test_every_bit_comes_back(tensors: dict[str, Tensor]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        part = write_tensors(path, tensors)
        content = path.read_bytes()
        assert part == Part(len(content), hashlib.sha256(content).hexdigest())
        assert_same(read_tensors(path, part), tensors)


def test_safetensors_reads_the_same(tmp_path: Path) -> None:
    values = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    tensors = {
        "flags": values > 0, "turned": values.T, "half": values.half(), "0-d": torch.tensor(-0.0), "none": values[:0],
        "wide": values.double(), "brain": values.bfloat16(), "ä/\n\"": torch.arange(3), "small": values.to(torch.int8),
        "float8": values.to(torch.float8_e4m3fn), "pair": values[0, :2].to(torch.complex64), "one": torch.ones(1),
        "a payload": torch.tensor([0x7FC12345, -1], dtype=torch.int32).view(torch.float32),
    }  # fmt: skip
    part = write_tensors(tmp_path / "a.safetensors", tensors)
    theirs, ours = load_file(tmp_path / "a.safetensors"), read_tensors(tmp_path / "a.safetensors", part)
    assert_same({name: theirs[name] for name in ours}, ours)
    assert_same(ours, tensors)


def test_shared_memory_comes_apart(tmp_path: Path) -> None:
    weight = torch.arange(6.0)
    tensors = {"a": weight, "same": weight, "part": weight[2:4], "view": weight.view(2, 3).T}
    found = read_tensors(tmp_path / "a", write_tensors(tmp_path / "a", tensors))
    assert_same(found, tensors)
    found["a"].zero_()
    assert found["same"].sum() == 15


def test_lazy_conjugates_and_negatives_are_their_values(tmp_path: Path) -> None:
    pair = torch.tensor([1 + 2j, -0.0 + 3j])
    tensors = {"conjugate": pair.conj(), "negative": pair.conj().imag}
    found = read_tensors(tmp_path / "a", write_tensors(tmp_path / "a", tensors))
    assert_same(found, {name: tensor.resolve_conj().resolve_neg() for name, tensor in tensors.items()})


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"w": torch.eye(2).to_sparse()}, "'w' is torch.float32, torch.sparse_coo; expected a dense"),
        ({"w": torch.ones(2, device="meta")}, "'w' is a tensor without data"),
        ({"w": torch.ones(2, dtype=torch.complex128)}, "'w' is torch.complex128"),
        ({"__metadata__": torch.ones(2)}, "another name than '__metadata__'"),
    ],
)
def test_what_safetensors_cannot_hold_is_refused_before_anything_is_written(
    tensors: dict[str, Tensor], told: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=told):
        write_tensors(tmp_path / "a", tensors)
    assert not list(tmp_path.iterdir())


def test_more_tensors_than_could_be_read_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot write .*more than the 1,000,000 that are read"):
        write_tensors(tmp_path / "a", dict.fromkeys(map(str, range(150_000)), torch.ones(0)))
    assert not list(tmp_path.iterdir())


def test_writing_takes_no_second_copy_and_reading_takes_one(tmp_path: Path) -> None:
    tensors = {str(number): torch.ones(250_000) for number in range(10)}
    tracemalloc.start()
    part = write_tensors(tmp_path / "a", tensors)
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert part.size > 10_000_000
    assert written < 2_000_000  # numpy and Python tell tracemalloc; torch does not, and has nothing to copy here


def crafted(path: Path, header: Any, data: bytes, length: int | None = None) -> Part:
    """A file whose checksum is right, whatever it says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return Part(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


def entry(**changes: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


LIES = {
    "no JSON": (b"{no}", "no JSON"),
    "nested without end": (b'{"a":' * 100_000, "no JSON"),
    "a list": (b"[1]", "list instead of"),
    "a number of a million digits": (b'{"a": ' + b"9" * 10**6 + b"}", "no JSON"),
    "a million lists": (b'{"a": [' + b"[]," * 10**6 + b"[]]}", "about 2,000,003 values"),
    "no text": (b"\xff\xfe{}", "no JSON"),
    "an entry that is none": ({"w": 3}, "is described as 3"),
    "an unknown type": (entry(dtype="F31"), "is described as"),
    "a type that is a list": (entry(dtype=["F32"]), "is described as"),
    "another size": (entry(shape=[3]), "is described as"),
    "a negative side": (entry(shape=[-1, -2]), "is described as"),
    "a side that is a truth value": (entry(shape=[True, 2]), "is described as"),
    "2^63": (entry(shape=[2**63]), "is described as"),
    "2^63 times nothing": (entry(shape=[0, 2**63], data_offsets=[0, 0]), "is described as"),
    "65 dimensions": (entry(shape=[1] * 64 + [2]), "is described as"),
    "three offsets": (entry(data_offsets=[0, 8, 9]), "is described as"),
    "offsets in words": (entry(data_offsets=["0", "8"]), "is described as"),
    "a hole": (entry(data_offsets=[4, 12]), "begins at byte 4 instead of 0"),
    "before its beginning": (entry(data_offsets=[-8, 0]), "begins at byte -8"),
    "an overlap": ({**entry(), "v": entry()["w"]}, "begins at byte 0 instead of 8"),
    "too few": ({}, "take 0 bytes, it has 8"),
    "too many": (entry(shape=[4], data_offsets=[0, 16]), "take 16 bytes, it has 8"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_with_a_right_checksum_is_not_believed(name: str, tmp_path: Path) -> None:
    header, told = LIES[name]
    part = crafted(tmp_path / "a", header, bytes(8))
    with pytest.raises(Damage, match=told):
        read_tensors(tmp_path / "a", part)


def test_lengths_are_not_believed(tmp_path: Path) -> None:
    for length in (17 << 20, 2**63, 2**64 - 1, 100):
        with pytest.raises(Damage, match="its header claims"):
            read_tensors(tmp_path / "a", crafted(tmp_path / "a", entry(), bytes(8), length))
    for content in (b"", b"1234567"):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(Damage, match="ends too early"):
            read_tensors(tmp_path / "a", Part(len(content), ""))
    with pytest.raises(Damage, match="it has 7 bytes, 8 were written"):
        read_tensors(tmp_path / "a", Part(8, ""))


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    part = write_tensors(tmp_path / "real", {})
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(Damage, match="no regular file"):
        read_tensors(tmp_path / "pipe", part)
    with pytest.raises(OSError, match="symbolic links"):
        read_tensors(tmp_path / "link", part)
    with pytest.raises(Damage, match="no regular file"):
        read_tensors(tmp_path, part)

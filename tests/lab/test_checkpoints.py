"""Weights out of anybody's files, and into files: what is there comes back, what is wrong is said in one line."""

import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter, OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sparsewire.errors import CheckpointError, RequestError
from sparsewire.lab.checkpoints import identity, not_finite, read_checkpoint, write_checkpoint


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    """Equal bit for bit, NaN included."""
    return found.keys() == expected.keys() and all(
        found[name].dtype == tensor.dtype
        and found[name].shape == tensor.shape
        and found[name].contiguous().view(torch.uint8).equal(tensor.detach().contiguous().view(torch.uint8))
        for name, tensor in expected.items()
        if tensor.ndim
    )


def lstm() -> nn.Module:
    return nn.ModuleDict({"rnn": nn.LSTM(3, 4), "out": nn.Linear(4, 2)})


MODELS = {
    "mlp": lambda: nn.Sequential(*(nn.Linear(3, 3) for _ in range(12))),
    "conv": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2)),
    "lstm": lstm,
    "none": lambda: nn.Sequential(nn.ReLU()),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".bin", ".ckpt"])
@pytest.mark.parametrize("model", MODELS)
def test_what_is_written_comes_back_in_the_order_of_the_model(model: str, suffix: str, tmp_path: Path) -> None:
    state = MODELS[model]().state_dict()
    write_checkpoint(tmp_path / f"a{suffix}", state)
    found = read_checkpoint(tmp_path / f"a{suffix}")
    assert same(found, state)
    weights = [name for name in found if name.endswith("weight")]
    assert weights == [name for name in state if name.endswith("weight")]


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {"state_dict": state}, "mean": torch.ones(3)},
        lambda state: {"model_state_dict": dict(state), "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}},
        lambda state: {**state, "step": 7, 5: torch.ones(1), "note": "text", "extra": {"deep": torch.ones(2)}},
    ],
    ids=["plain", "state_dict", "nested", "training", "mixed"],
)
def test_the_state_dict_is_found_in_what_training_programs_save(wrap, new: bool, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    state = nn.Linear(3, 2).state_dict()
    torch.save(wrap(state), tmp_path / "a.pt", _use_new_zipfile_serialization=new)
    assert same(read_checkpoint(tmp_path / "a.pt"), state)


def test_a_lightning_checkpoint_with_optimizer_and_scheduler_is_read(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    content = {
        "epoch": 4,
        "global_step": 100,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": OrderedDict(model.state_dict()),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 5}}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5), "dirpath": "/x"}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [{"milestones": Counter({30: 1}), "gamma": 0.1, "seen": {1, 2}}],
        "hyper_parameters": {"width": 3, "device": torch.device("cpu"), "dtype": torch.float32},
    }
    torch.save(content, tmp_path / "last.ckpt")
    assert same(read_checkpoint(tmp_path / "last.ckpt"), model.state_dict())


DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool,
          torch.float8_e4m3fn, torch.uint16]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3), st.sampled_from([".pt", ".safetensors"]))
def test_any_dtype_and_shape_survives(dtype: torch.dtype, shape: list[int], suffix: str) -> None:
    values = torch.randint(0, 255, (*shape, 8), dtype=torch.uint8).clamp(max=1 if dtype == torch.bool else 255)
    tensor = values.view(dtype) if dtype != torch.bool else values.bool()
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(f"{folder}/any{suffix}", {"w": tensor})
        assert same(read_checkpoint(f"{folder}/any{suffix}"), {"w": tensor})


def test_parameters_come_back_without_gradient(tmp_path: Path) -> None:
    torch.save(dict(nn.Linear(2, 2).named_parameters()), tmp_path / "a.pt")
    found = read_checkpoint(tmp_path / "a.pt")
    assert type(found["weight"]) is Tensor or type(found["weight"]) is nn.Parameter
    assert not any(tensor.requires_grad for tensor in found.values())


def test_nan_and_infinity_are_allowed_and_counted(tmp_path: Path) -> None:
    state = {
        "a": torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0]),
        "b": torch.tensor([float("nan")]).to(torch.float8_e4m3fn),
        "c": torch.tensor([1, 2]),
    }
    write_checkpoint(tmp_path / "a.safetensors", state)
    assert not_finite(read_checkpoint(tmp_path / "a.safetensors").values()) == 4


def test_the_metadata_of_safetensors_is_kept(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "a.safetensors", {"format": "pt", "author": "somebody"})
    write_checkpoint(tmp_path / "b.safetensors", {"w": torch.zeros(2)}, like=tmp_path / "a.safetensors")
    with safe_open(tmp_path / "b.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "author": "somebody"}
    torch.save({}, tmp_path / "c.pt")
    write_checkpoint(tmp_path / "d.safetensors", {"w": torch.zeros(2)}, like=tmp_path / "c.pt")
    with safe_open(tmp_path / "d.safetensors", "pt") as file:
        assert file.metadata() is None


def test_tied_weights_stay_tied_where_the_format_can_say_so(tmp_path: Path) -> None:
    weight = torch.ones(3, 2)
    tied = {"a": weight, "b": weight, "part": torch.arange(1000.0)[:2], "turned": weight.T}
    write_checkpoint(tmp_path / "a.pt", tied)
    found = read_checkpoint(tmp_path / "a.pt")
    assert identity(found["a"]) == identity(found["b"]) != identity(found["turned"])
    assert found["part"].untyped_storage().nbytes() == 8
    write_checkpoint(tmp_path / "a.safetensors", tied)
    assert same(read_checkpoint(tmp_path / "a.safetensors"), {name: tensor.clone() for name, tensor in tied.items()})


def test_the_suffix_says_how_to_write(tmp_path: Path) -> None:
    for name, found in {"a.txt": r"the suffix '\.txt'", "weights": "no suffix"}.items():
        with pytest.raises(RequestError, match=f"{name}: found {found}, expected one of .safetensors, .pt"):
            write_checkpoint(tmp_path / name, {"w": torch.ones(1)})
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_cannot_be_written_leaves_everything_as_it_was(suffix: str, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(CheckpointError, match=r"cannot write .*; nothing was changed"):
        write_checkpoint(blocked / f"a{suffix}", {"w": torch.ones(1)})
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(CheckpointError, match="it is a folder"):
        write_checkpoint(tmp_path / f"folder{suffix}", {"w": torch.ones(1)})
    with pytest.raises(CheckpointError, match="cannot write"):
        write_checkpoint(tmp_path / f"sparse{suffix}", {"w": torch.eye(2).to_sparse()})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", f"folder{suffix}"]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_full_disk_destroys_nothing(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    write_checkpoint(path, {"w": torch.ones(2)})
    before = path.read_bytes()
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(
            CheckpointError, match=rf"cannot write .*a\{suffix}: .*File too large.*; nothing was changed"
        ):
            write_checkpoint(path, {"w": torch.ones(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def header(text: str, data: bytes = b"", length: int | None = None) -> bytes:
    return (len(text.encode()) if length is None else length).to_bytes(8, "little") + text.encode() + data


def entry(**changes: object) -> str:
    return json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes})


FOREIGN = {
    "nothing": (b"", "it is empty"),
    "text": (b"weights = [1, 2, 3]", "begins with b'weights '"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "looks like HDF5"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "unpack it first"),
    "a cut header": (header("{", length=100), "truncated: its header should have 100 bytes"),
    "a header without end": (header("{", length=2**63), "truncated: its header"),
    "a header of 17 MiB": (header("{" + " " * (17 << 20)), "header has 17,825,793 bytes"),
    "no JSON": (header("{no}"), "truncated or corrupt"),
    "JSON nested without end": (header("{" + '"a":{' * 100_000), "truncated or corrupt"),
    "cut numbers": (header(entry(), bytes(7)), "truncated or corrupt"),
    "a hole": (header(entry(data_offsets=[4, 12]), bytes(12)), "truncated or corrupt"),
    "a shape that does not fit": (header(entry(shape=[3]), bytes(8)), "truncated or corrupt"),
    "an overflow": (header(entry(shape=[2**62, 4]), bytes(8)), "truncated or corrupt"),
    "an unknown dtype": (header(entry(dtype="F31"), bytes(8)), "truncated or corrupt"),
    "overlapping tensors": (
        header(json.dumps({n: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for n in "ab"}), bytes(8)),
        "truncated or corrupt",
    ),
    "numpy's zip": (b"PK\x03\x04" + bytes(100), "truncated or corrupt"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_and_broken_files_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, told = FOREIGN[name]
    (tmp_path / "odd.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"cannot read .*odd\.safetensors: .*{told}") as refusal:
        read_checkpoint(tmp_path / "odd.safetensors")
    assert "\n" not in str(refusal.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such file"):
        read_checkpoint(tmp_path / "absent.pt")
    with pytest.raises(CheckpointError, match="it is a folder"):
        read_checkpoint(tmp_path)
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(CheckpointError, match="no regular file"):
        read_checkpoint(tmp_path / "pipe.pt")
    with pytest.raises(CheckpointError, match="cannot read a"):
        read_checkpoint("a\0b.pt")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (torch.ones(2), "a single tensor without a name"),
        ([torch.ones(2)], "it holds a list"),
        ({"epoch": 3, "note": "x"}, "no tensors by name, only 'epoch', 'note'"),
        ({1: torch.ones(2)}, "no tensors by name, only 1"),
    ],
)
def test_files_without_named_tensors_say_what_they_hold(content: object, told: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=told):
        read_checkpoint(tmp_path / "a.pt")


def test_every_truncation_of_safetensors_is_noticed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a.safetensors", {"w": torch.arange(4.0)})
    content = (tmp_path / "a.safetensors").read_bytes()
    for length in range(len(content)):
        (tmp_path / "a.safetensors").write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(tmp_path / "a.safetensors")


def test_reading_starts_no_process_and_opens_no_connection(tmp_path: Path) -> None:
    """Python's own audit of a child that reads a good file and a hostile one."""
    whole = io.BytesIO()
    torch.save(nn.Linear(2, 2).state_dict(), whole)
    (tmp_path / "good.pt").write_bytes(whole.getvalue())
    (tmp_path / "bad.pt").write_bytes(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    code = """
import sys
from sparsewire.errors import CheckpointError
from sparsewire.lab.checkpoints import read_checkpoint
def watch(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn")):
        print("SEEN", event, flush=True)
sys.addaudithook(watch)
read_checkpoint(sys.argv[1])
try:
    read_checkpoint(sys.argv[2])
except CheckpointError:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "good.pt"), str(tmp_path / "bad.pt")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "refused\n"

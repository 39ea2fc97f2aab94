"""Torch files by strangers: what torch writes is read, whatever else is refused before torch.load sees it."""

import io
import pickle
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sparsewire.errors import CheckpointError
from sparsewire.lab.checkpoints import read_checkpoint

HEAD = b"\x80\x02"


def archive(pickled: bytes, storages: dict[str, bytes] | None = None, **options: int) -> bytes:
    """A file in torch's zip format with a pickle of our own."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as out:
        entries = {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n"}
        entries |= {f"data/{key}": content for key, content in (storages or {}).items()}
        for name, content in entries.items():
            out.writestr(f"archive/{name}", content, **options)
    return whole.getvalue()


def legacy(pickled: bytes) -> bytes:
    """A file in the format of torch < 1.6 with a pickle of our own."""
    whole = io.BytesIO()
    torch.save({}, whole, _use_new_zipfile_serialization=False)
    start = sum(len(pickle.dumps(part, 2)) for part in _legacy_beginning())
    return whole.getvalue()[:start] + pickled + pickle.dumps([], 2)


def _legacy_beginning() -> list[object]:
    return [
        torch.serialization.MAGIC_NUMBER,
        torch.serialization.PROTOCOL_VERSION,
        {
            "protocol_version": torch.serialization.PROTOCOL_VERSION,
            "little_endian": True,
            "type_sizes": {"short": 2, "int": 4, "long": 4},
        },
    ]


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def tensor(numel: int = 4, size: int = 4, stride: int = 1, storage: bytes = b"ctorch\nFloatStorage\n") -> bytes:
    """The pickle of one 1-D tensor over the storage "0"."""

    def number(value: int) -> bytes:
        raw = value.to_bytes(16, "little", signed=True)
        return b"\x8a\x10" + raw

    named = b"(" + text("storage") + storage + text("0") + text("cpu") + number(numel) + b"tQ"
    shape = number(size) + b"\x85" + number(stride) + b"\x85"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + named + b"K\x00" + shape + b"\x89ccollections\nOrderedDict\n)RtR"


def state(value: bytes) -> bytes:
    return HEAD + b"}" + text("w") + value + b"s."


def call(module: str, name: str, argument: str) -> bytes:
    return f"c{module}\n{name}\n".encode() + text(argument) + b"\x85R"


def test_the_hand_made_file_is_read_where_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(archive(state(tensor()), {"0": torch.arange(4.0).numpy().tobytes()}))
    assert read_checkpoint(tmp_path / "a.pt")["w"].tolist() == [0, 1, 2, 3]
    (tmp_path / "b.pt").write_bytes(legacy(HEAD + b"}."))
    assert read_checkpoint(tmp_path / "b.pt") == {}


MARK = "touch MARKER"
GADGETS = {
    "os.system": call("os", "system", MARK),
    "posix.system": call("posix", "system", MARK),
    "subprocess.Popen": call("subprocess", "Popen", MARK),
    "builtins.eval": call("builtins", "eval", "__import__('os').system('touch MARKER')"),
    "builtins.exec": call("builtins", "exec", "open('MARKER', 'w')"),
    "builtins.open": b"cbuiltins\nopen\n" + text("MARKER") + text("w") + b"\x86R",
    "python 2's eval": call("__builtin__", "eval", "open('MARKER', 'w')"),
    "torch.hub.load": call("torch.hub", "load", "x/y"),
    "torch.load": call("torch", "load", "other.pt"),
    "numpy.load": call("numpy", "load", "other.npy"),
    "importlib": call("importlib", "import_module", "antigravity"),
    "getattr": call("builtins", "getattr", "x"),
    "a model": call("torch.nn.modules.linear", "Linear", "x"),
    "own class": call("__main__", "Net", "x"),
    "bytearray of any size": b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R",
    "a tensor of any size": b"ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R",
    "from_type_v2": call("torch._tensor", "_rebuild_from_type_v2", "x"),
    "STACK_GLOBAL": text("os") + text("system") + b"\x93" + text(MARK) + b"\x85R",
    "INST": b"(" + text(MARK) + b"ios\nsystem\n",
    "OBJ": b"(cos\nsystem\n" + text(MARK) + b"o",
    "EXT1": b"\x82\x01",
    "NEWOBJ_EX": b"cos\nsystem\n)}\x92",
}


@pytest.mark.parametrize("form", [archive, legacy], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", GADGETS)
def test_no_gadget_ever_runs(
    name: str, form: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bomb.pt").write_bytes(form(state(GADGETS[name])))
    with pytest.raises(CheckpointError, match=r"bomb\.pt: .*(would run|pickle operation)") as refusal:
        read_checkpoint("bomb.pt")
    assert "\n" not in str(refusal.value)
    assert not Path("MARKER").exists()


def test_a_plain_pickle_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "bomb.pt").write_bytes(HEAD + call("os", "system", f"touch {tmp_path}/MARKER") + b".")
    with pytest.raises(CheckpointError, match="it is a pickle"):
        read_checkpoint(tmp_path / "bomb.pt")
    assert not (tmp_path / "MARKER").exists()


def test_a_whole_model_is_refused_with_advice(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Linear(2, 2)), tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"'torch.nn.modules.container.Sequential'.*save model.state_dict\(\)"):
        read_checkpoint(tmp_path / "model.pt")


LIES = {
    "more elements than the file has bytes": (tensor(numel=2**40), "claims 1,099,511,627,776 elements"),
    "2^63 elements": (tensor(numel=2**63 - 1), "elements, more than the file"),
    "fewer than no elements": (tensor(numel=-1), "claims -1 elements"),
    "a view of 64 GiB": (tensor(size=2**34, stride=0), "stand for many"),
    "a view past its end": (tensor(size=5), "resize|out of bounds"),
    "a view before its start": (tensor(size=4, stride=-1), "negative|stride"),
    "a negative size": (tensor(size=-4), "overflow|negative"),
    "elements by way of the memo": (
        b"K\x04q\x01s" + text("v") + tensor().replace(b"\x8a\x10\x04" + bytes(15) + b"tQ", b"h\x01tQ"),
        "in a way that torch.save does not",
    ),
    "an unknown storage": (tensor(storage=b"ctorch\nNoStorage\n"), "would run 'torch.NoStorage'"),
    "a deep tuple as a key": (b"})" + b"\x85" * 1_000_000 + b"K\x01s", "nests tuples"),
    "a deep tuple by way of the memo": (b"})q\x01" + b"0h\x01\x85q\x01" * 101 + b"K\x01s", "nests tuples"),
    "a deep size": (b"})" + b"q\x010ctorch\nSize\nh\x01\x85R" * 101 + b"K\x01s", "nests tuples"),
    "eight million lists in each other": (b"]" * 8_000_000 + b"a" * 7_999_999, "longer than so few tensors need"),
    "eight million numbers": (b"K\x01" * 8_000_000, "longer than so few tensors need"),
    "a tuple of 2^60 entries by way of the memo": (
        b"])q\x01a" + b"h\x01h\x01\x86q\x01a" * 60 + b"}h\x01K\x01sa",
        "looks up more tuples",
    ),
    "a set of such tuples": (
        b"cbuiltins\nset\n])q\x01a" + b"h\x01h\x01\x86q\x01a" * 60 + b"\x85R",
        "looks up more tuples",
    ),
    "40,000 keys that collide": (
        b"}("
        + b"".join(b"\x8a\x0a" + (k * (2**61 - 1)).to_bytes(10, "little") + b"N" for k in range(1, 40_000))
        + b"u",
        "looks up more tuples or large numbers",
    ),
    "a text in a slow coding": (b"c_codecs\nencode\n" + text("ä" * 100) + text("punycode") + b"\x86R", "as latin1"),
    "a text in a slow coding by way of the memo": (
        b"]" + text("latin1") + b"q\x01a" + text("punycode") + b"q\x02a"
        b"c_codecs\nencode\nq\x03a(h\x01h\x02tq\x04ah\x03h\x04Ra",
        "as latin1",
    ),
    "a text in the coding that is usual": (b"c_codecs\nencode\n" + text("a") + b"\x85R", "as latin1"),
    "a copy of the top of the stack": (b"N2a", "operation DUP"),
    "60,000 dimensions": (
        tensor().replace(
            b"K\x00\x8a\x10" + (4).to_bytes(16, "little") + b"\x85" + b"\x8a\x10\x01" + bytes(15) + b"\x85",
            b"K\x00" + (b"(" + b"K\x01" * 60_000 + b"t") * 2,
        ),
        "hundreds of dimensions",
    ),
    "an empty stack": (b"\x85", "corrupt"),
    "too few for what is built": (b"K\x010000s", "corrupt"),
    "no mark": (b"t", "corrupt"),
    "a sparse tensor": (call("torch._utils", "_rebuild_sparse_tensor", "x"), "sparse tensor"),
    "a quantised tensor": (call("torch._utils", "_rebuild_qtensor", "x"), "quantised tensor"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_about_sizes_and_shapes_are_refused(name: str, tmp_path: Path) -> None:
    pickled, told = LIES[name]
    (tmp_path / "lie.pt").write_bytes(archive(state(pickled), {"0": bytes(16)}))
    with pytest.raises(CheckpointError, match=told) as refusal:
        read_checkpoint(tmp_path / "lie.pt")
    assert "\n" not in str(refusal.value)


def test_what_training_programs_keep_beside_the_weights_is_read(tmp_path: Path) -> None:
    beside = {
        "bytes": [b"a", b"\xff\x00"],
        "curve": [(step, step / 7) for step in range(20_000)],
        "seeds": [2**63 - 1, -(2**63)],
        "seen": {(1, 2), (3, 4)},
        "pairs": {(1, 2): 3},
        "milestones": Counter({30: 1}),
    }
    whole = {"state_dict": {"w": torch.ones(2)}, **beside}
    for new in (True, False):
        torch.save(whole, tmp_path / "a.pt", _use_new_zipfile_serialization=new)
        assert read_checkpoint(tmp_path / "a.pt")["w"].tolist() == [1, 1]


def test_a_checkpoint_of_many_tensors_is_read(tmp_path: Path) -> None:
    one = torch.zeros(1)
    torch.save({str(number): one.view(1) for number in range(21_000)}, tmp_path / "a.pt")
    assert len(read_checkpoint(tmp_path / "a.pt")) == 21_000


def test_real_tensors_that_are_not_dense_are_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):
        quantised = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    odd = {"sparse": torch.eye(3).to_sparse(), "quantised": quantised, "without data": torch.ones(3, device="meta")}
    for name, value in odd.items():
        torch.save({"w": value}, tmp_path / "odd.pt")
        with pytest.raises(CheckpointError, match=name):
            read_checkpoint(tmp_path / "odd.pt")


def test_an_expanded_tensor_is_not_made_large(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(10**10)}, tmp_path / "wide.pt")
    with pytest.raises(CheckpointError, match=r"claim more than 40,000,000,000 bytes"):
        read_checkpoint(tmp_path / "wide.pt")


def test_archives_that_torch_would_not_write_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.pt"
    path.write_bytes(archive(state(tensor()), {"0": bytes(16)}, compress_type=zipfile.ZIP_DEFLATED))
    with pytest.raises(CheckpointError, match="compressed"):
        read_checkpoint(path)

    with zipfile.ZipFile(path, "w") as out:
        out.writestr("archive/data.pkl", state(tensor()))
        out.writestr("archive/DATA.pkl", state(GADGETS["os.system"]))
    with pytest.raises(CheckpointError, match="two entries of one name"):
        read_checkpoint(path)

    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.txt", "text")
    with pytest.raises(CheckpointError, match="not a torch checkpoint"):
        read_checkpoint(path)

    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a/data.pkl", state(tensor()))
        out.writestr("b/data.pkl", state(tensor()))
    with pytest.raises(CheckpointError, match="not in one folder"):
        read_checkpoint(path)

    path.write_bytes(archive(state(b"K\x01" * (9 << 20))))
    with pytest.raises(CheckpointError, match="not a torch checkpoint"):
        read_checkpoint(path)

    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(CheckpointError, match=r"expected safetensors or a file of torch\.save"):
        read_checkpoint(path)  # an archive of nothing


def test_an_entry_marked_as_a_folder_is_refused(tmp_path: Path) -> None:
    """torch.load gives back memory that nobody wrote for it."""
    content = archive(state(tensor()), {"0": bytes(16)})
    entry = content.rindex(b"archive/data/0") - 46  # its line in the list at the end: 46 bytes, then the name
    content = content[: entry + 38] + (0x10).to_bytes(4, "little") + content[entry + 42 :]
    (tmp_path / "folder.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="an entry is no plain file"):
        read_checkpoint(tmp_path / "folder.pt")


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as out:
        out.writestr("a/data.pkl", HEAD + b"}.")
        out.writestr("a/constants.pkl", HEAD + b").")
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_checkpoint(tmp_path / "script.pt")


def test_every_changed_byte_of_the_numbers_is_noticed(tmp_path: Path) -> None:
    """torch.load does not look at the checksums that its own archives hold."""
    whole = io.BytesIO()
    torch.save({"w": torch.arange(16.0)}, whole)
    content = whole.getvalue()
    begin = content.index(torch.arange(16.0).numpy().tobytes())
    path = tmp_path / "changed.pt"
    for position in range(begin, begin + 64):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(CheckpointError, match=r"the checksum of 'changed/data/0'|the checksum of 'archive/data/0'"):
            read_checkpoint(path)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_every_truncation_is_noticed(new: bool, tmp_path: Path) -> None:
    whole = io.BytesIO()
    torch.save({"w": torch.arange(4.0)}, whole, _use_new_zipfile_serialization=new)
    path = tmp_path / "cut.pt"
    for length in range(0, len(whole.getvalue()), 1 if not new else 7):
        path.write_bytes(whole.getvalue()[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_mutated_files_are_read_or_refused_never_anything_else(data: st.DataObject) -> None:
    content = bytearray(_SMALL[data.draw(st.sampled_from(sorted(_SMALL)))])
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        cut = data.draw(st.integers(0, 8))
        content[position : position + cut] = data.draw(st.binary(max_size=8))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.pt"
        path.write_bytes(content)
        try:
            read_checkpoint(path)
        except CheckpointError as refusal:
            assert "\n" not in str(refusal)  # noqa: PT017


def _small(new: bool) -> bytes:
    whole = io.BytesIO()
    torch.save(nn.Linear(2, 2).state_dict(), whole, _use_new_zipfile_serialization=new)
    return whole.getvalue()


_SMALL = {"zip": _small(True), "legacy": _small(False)}

"""Artefacts: arrays of every kind come back, changed files are noticed, and only leftovers of ours are removed."""

import numpy as np
import pytest
import torch

from sparsewire.errors import RequestError, StoreError
from sparsewire.lab.storage.artefacts import bring_home, read_arrays, sweep, write_arrays

RUN = "0123456789abcdef"


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 3), np.float32), np.array(2.5), np.array([np.nan, -np.inf, -0.0]), np.array([True, False]),
     np.arange(6, dtype=">i4").reshape(2, 3)[:, ::-1], np.arange(3, dtype=np.uint8), np.ones(2, np.float16),
     torch.eye(3, dtype=torch.bool), torch.rand(4, 3, generator=torch.Generator().manual_seed(0)).T,
     torch.ones(2, requires_grad=True)],
)  # fmt: skip
def test_arrays_come_back_bit_for_bit(tmp_path, array):
    expected = array.detach().numpy() if isinstance(array, torch.Tensor) else array
    found = read_arrays(write_arrays(tmp_path / "a.safetensors", {"x": array}))["x"]
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype.newbyteorder("=")
    assert found.tobytes() == np.asarray(expected, dtype=found.dtype, order="C").tobytes()


def test_bfloat16_becomes_float32(tmp_path):
    tensor = torch.tensor([1.0, 3.140625], dtype=torch.bfloat16)
    found = read_arrays(write_arrays(tmp_path / "a.safetensors", {"x": tensor}))["x"]
    assert found.dtype == np.float32
    assert found.tolist() == [1.0, 3.140625]


@pytest.mark.parametrize(
    "array", [np.array([object()]), np.array(["a"]), np.array([1j]), torch.eye(2).to_sparse(), torch.ones(1) * 1j]
)
def test_other_arrays_are_refused(tmp_path, array):
    with pytest.raises(RequestError, match="keep: array 'x' is"):
        write_arrays(tmp_path / "a.safetensors", {"x": array})
    assert not list(tmp_path.iterdir())


def test_every_changed_byte_and_every_cut_is_noticed(tmp_path):
    artefact = write_arrays(tmp_path / "a.safetensors", {"x": np.arange(3)})
    whole = artefact.path.read_bytes()
    for place in range(len(whole)):
        artefact.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StoreError, match="SHA-256 has changed"):
            read_arrays(artefact)
        artefact.path.write_bytes(whole[:place])
        with pytest.raises(StoreError, match="SHA-256 has changed"):
            read_arrays(artefact)
    artefact.path.unlink()
    with pytest.raises(StoreError, match=r"cannot read the artefact .*No such file"):
        read_arrays(artefact)


def test_a_folder_is_brought_home_in_the_place_of_what_a_kill_left(tmp_path):
    assert write_arrays(tmp_path / "parcel" / "a.safetensors", {"x": np.arange(3)}).path.is_file()
    touched = bring_home(tmp_path / "parcel", tmp_path / "artefacts", RUN, 0)
    assert touched == {tmp_path, tmp_path / "artefacts", tmp_path / "artefacts" / RUN}
    for size in (3, 2):
        write_arrays(tmp_path / "parcel" / "a.safetensors", {"x": np.arange(size)})
        touched = bring_home(tmp_path / "parcel", tmp_path / "artefacts", RUN, -1)
    assert touched == {tmp_path / "artefacts" / RUN}
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.safetensors")) == [
        f"artefacts/{RUN}/-1/a.safetensors", f"artefacts/{RUN}/0/a.safetensors",
    ]  # fmt: skip
    assert (tmp_path / "artefacts" / RUN / "-1" / "a.safetensors").stat().st_size == 80


def test_a_marked_folder_goes_unless_its_trial_has_a_row(tmp_path):
    (tmp_path / ".working").mkdir()
    for seed in (-3, 1):
        write_arrays(tmp_path / RUN / str(seed) / "a.safetensors", {"x": np.arange(3)})
        (tmp_path / ".working" / f"{RUN}-{seed}.publishing").touch()
    sweep(tmp_path, lambda run, seed: (run, seed) == (RUN, -3))
    assert [path.name for path in (tmp_path / RUN).iterdir()] == ["-3"]
    assert not list((tmp_path / ".working").iterdir())
    sweep(tmp_path, lambda run, seed: False)
    assert (tmp_path / RUN / "-3" / "a.safetensors").is_file()


def test_the_sweep_takes_leftovers_and_nothing_else(tmp_path):
    def put(name):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    ours = [f"{RUN}/7/a.safetensors", f"{RUN}/7/.a.safetensors.xyz.part", f".working/{RUN}-7.publishing",
            f".working/{RUN}-3/a.safetensors"]  # fmt: skip
    others = [f"{RUN}/0/a.safetensors", f"{RUN}/9/thesis.tex", "mine/1/a.safetensors", ".working/mine/data.csv",
              ".working/notes", ".working/..-1.publishing"]  # fmt: skip
    for name in [*ours, *others, f".working/{RUN}-9.publishing", f".working/{RUN}-11.publishing"]:
        put(name)
    (tmp_path / RUN / "11").symlink_to(tmp_path / "mine" / "1")
    (tmp_path / ".working" / "link").symlink_to(tmp_path / "mine" / "1")
    sweep(tmp_path, lambda run, seed: False)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {*others}
    assert (tmp_path / RUN / "11").is_symlink()
    sweep(tmp_path / "none", lambda run, seed: False)

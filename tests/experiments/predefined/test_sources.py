"""The data of the experiments: cut, padded, drawn by the seed."""

import pytest
import torch

from sparsewire.data import digits
from sparsewire.errors import DataError, RequestError
from sparsewire.experiments.predefined.sources import images, morse_frames
from sparsewire.lab.experiment import Trial


def test_zeros_go_around_the_images() -> None:
    data = images("digits", side=12)
    assert data.input_shape == (1, 12, 12)
    assert torch.equal(data.train.inputs[:, :, 2:10, 2:10], digits().train.inputs)
    assert data.train.inputs.sum() == digits().train.inputs.sum()


def test_fewer_images_are_the_first_ones() -> None:
    data = images("digits", 10, 5)
    assert torch.equal(data.train.inputs, digits().train.inputs[:10])
    assert torch.equal(data.test.labels, digits().test.labels[:5])


def test_images_do_not_shrink() -> None:
    with pytest.raises(RequestError, match="side: found 7, expected at least 8"):
        images("digits", side=7)


def test_cifar_100_needs_its_files(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SPARSEWIRE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError):
        images("cifar100")


def test_morse_code_follows_the_seed_alone(tmp_path) -> None:
    one, same, other = (morse_frames(3, 1, Trial(seed, tmp_path)) for seed in (0, 0, 1))
    assert torch.equal(one.train.inputs, same.train.inputs)
    assert not torch.equal(one.train.inputs, other.train.inputs)
    assert (len(one.train.labels), len(one.test.labels)) == (192, 64)

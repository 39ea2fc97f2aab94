import numpy as np
import pytest
import torch

from sparsewire.data.embedded import digits


def test_digits_are_small_grey_images_in_a_fixed_split() -> None:
    data = digits()
    assert (data.name, data.classes, data.input_shape) == ("digits", 10, (1, 8, 8))
    assert (len(data.train.labels), len(data.test.labels)) == (1437, 360)
    for samples in (data.train, data.test):
        assert (samples.inputs.dtype, samples.labels.dtype) == (torch.float32, torch.int64)
        assert (samples.inputs.min(), samples.inputs.max()) == (0, 1)
        assert torch.equal((samples.inputs * 16).round() / 16, samples.inputs)


def test_the_split_is_stratified() -> None:
    data = digits()
    test, whole = data.test.labels.bincount(), data.test.labels.bincount() + data.train.labels.bincount()
    assert whole.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert ((test - whole / 5).abs() < 1).all()


def test_the_digits_are_those_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    original = datasets.load_digits()
    # The split as the docstring states it: sorted by label, the first, sixth, eleventh, … are for the test.
    test = np.sort(np.argsort(original.target, kind="stable")[::5])
    train = np.setdiff1d(np.arange(1797), test)
    data = digits()
    for samples, chosen in ((data.train, train), (data.test, test)):
        assert np.array_equal(samples.inputs[:, 0].numpy() * 16, original.images[chosen])
        assert np.array_equal(samples.labels.numpy(), original.target[chosen])


def test_every_call_gives_tensors_of_its_own() -> None:
    digits().train.inputs.zero_()
    assert digits().train.inputs.any()

import pytest
import torch

from sparsewire.data.samples import DataSet, Samples
from sparsewire.errors import RequestError


def numbered(count: int) -> Samples:
    """Each input is filled with its own label, so that a mixed-up pair shows."""
    labels = torch.arange(count)
    return Samples(labels.float().reshape(-1, 1, 1, 1).expand(-1, 1, 2, 3), labels)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_flat_keeps_the_order_of_samples_and_pixels(count: int) -> None:
    pixels = torch.arange(count * 6.0).reshape(count, 1, 2, 3)
    flat = Samples(pixels, torch.arange(count)).flat()
    assert flat.inputs.shape == (count, 6)
    assert torch.equal(flat.inputs.reshape(-1), torch.arange(count * 6.0))


@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_split_gives_two_parts_that_make_up_the_whole(count: int) -> None:
    whole = numbered(5)
    first, rest = whole.split(count)
    assert len(first.labels) == count
    assert torch.equal(torch.cat([first.inputs, rest.inputs]), whole.inputs)
    assert torch.equal(torch.cat([first.labels, rest.labels]), whole.labels)
    assert torch.equal(whole.take(count).labels, first.labels)


@pytest.mark.parametrize("count", [-1, 6])
def test_more_than_there_is_cannot_be_taken(count: int) -> None:
    with pytest.raises(RequestError, match=f"found {count}, expected 0 to 5"):
        numbered(5).take(count)


def test_shuffled_keeps_pairs_together_and_is_repeatable() -> None:
    whole = numbered(50)
    once, again, other = (whole.shuffled(generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(once.inputs[:, 0, 0, 0].long(), once.labels)
    assert torch.equal(once.labels.sort().values, whole.labels)
    assert torch.equal(once.labels, again.labels)
    assert not torch.equal(once.labels, other.labels)
    assert not torch.equal(once.labels, whole.labels)


def test_shuffled_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    numbered(5).shuffled(generator=torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_data_set_says_its_shape() -> None:
    data = DataSet("numbers", numbered(4), numbered(2), classes=4)
    assert (data.input_shape, data.features) == ((1, 2, 3), 6)
    assert (data.flat().input_shape, data.flat().features) == ((6,), 6)
    assert data.flat().test.inputs.shape == (2, 6)
    assert (data.flat().name, data.flat().classes) == ("numbers", 4)
    assert repr(data) == "DataSet('numbers', 4 + 2 samples of (1, 2, 3), 4 classes)"


def test_a_data_set_is_frozen() -> None:
    with pytest.raises(AttributeError, match="name"):
        DataSet("numbers", numbered(1), numbered(1), 1).name = "other"  # type: ignore[misc]

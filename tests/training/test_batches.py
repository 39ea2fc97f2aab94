import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler, default_collate

from sparsewire.errors import RequestError
from sparsewire.training.batches import augmented, feed

INPUTS, LABELS = torch.arange(22.0).view(11, 2), torch.arange(11)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Squares(Dataset):
    def __len__(self):
        return 7

    def __getitem__(self, index):
        return torch.tensor([float(index)]), index**2


class Several(Squares):
    """Gives whole batches of samples at once, and says which it was asked for."""

    def __init__(self):
        self.asked = []

    def __getitems__(self, indices):
        self.asked.append(indices)
        return [self[index] for index in indices]


class Stream(IterableDataset):
    def __iter__(self):
        yield from ((torch.tensor([float(index)]), index) for index in range(5))


def taken(source, order=None, reuse=False):
    return [(inputs.clone(), labels.clone()) for inputs, labels in source.passes(order, reuse)]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 99), st.booleans())
def test_every_sample_comes_once_with_its_label_in_full_batches(count, size, seed, reuse):
    labels = torch.arange(count)
    source = feed((labels.double()[:, None] * 3, labels), size)
    found = taken(source, generator(seed), reuse)
    assert len(found) == source.steps == -(-count // size)
    assert all(len(part) == size for _, part in found[:-1])
    together = torch.cat([part for _, part in found])
    assert sorted(together.tolist()) == labels.tolist()
    assert torch.equal(torch.cat([inputs for inputs, _ in found])[:, 0], together * 3.0)


def test_the_order_is_a_new_permutation_from_the_generator_in_every_pass():
    source, order = feed((INPUTS, LABELS), 11), generator(4)
    first, second = (taken(source, order)[0][1] for _ in range(2))
    expected = generator(4)
    assert torch.equal(first, torch.randperm(11, generator=expected))
    assert torch.equal(second, torch.randperm(11, generator=expected))


def test_without_a_generator_the_order_is_that_of_the_data():
    assert torch.equal(torch.cat([labels for _, labels in taken(feed((INPUTS, LABELS), 4))]), LABELS)
    assert torch.equal(torch.cat([inputs for inputs, _ in taken(feed(Squares(), 4))])[:, 0], torch.arange(7.0))


def tensor_squares():
    numbers = torch.arange(7)
    return TensorDataset(numbers.float()[:, None], numbers**2)


@pytest.mark.parametrize("make", [Squares, tensor_squares])
def test_a_dataset_is_shuffled_like_tensors(make):
    found = taken(feed(make(), 3), generator(2))
    order = torch.randperm(7, generator=generator(2))
    assert [len(labels) for _, labels in found] == [3, 3, 1]
    assert torch.equal(torch.cat([labels for _, labels in found]), order**2)


def test_a_dataset_that_can_give_several_samples_is_asked_for_several():
    data = Several()
    taken(feed(data, 4))
    assert data.asked == [[0, 1, 2, 3], [4, 5, 6]]


def shuffled(**options):
    return DataLoader(TensorDataset(INPUTS, LABELS), 4, shuffle=True, **options)


LOADERS = {
    "shuffled from a generator": lambda: shuffled(generator=generator(3)),
    "shuffled from the global seed": shuffled,
    "in order": lambda: DataLoader(TensorDataset(INPUTS, LABELS), 3),
    "without the last": lambda: shuffled(generator=generator(3), drop_last=True),
    "own sampler": lambda: DataLoader(
        TensorDataset(INPUTS, LABELS), 4, sampler=WeightedRandomSampler(LABELS + 1.0, 9, generator=generator(6))
    ),
    "own collation": lambda: shuffled(collate_fn=lambda some: [2 * part for part in default_collate(some)]),
    "batches of one": lambda: DataLoader(TensorDataset(INPUTS, LABELS), batch_size=None),
    "another dataset": lambda: DataLoader(Squares(), 2, shuffle=True, generator=generator(1)),
}


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("name", LOADERS)
def test_a_loader_gives_its_own_batches_and_draws_what_it_would_draw(name, reuse):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        loader = LOADERS[name]()
        expected = [[part.clone() for part in batch] for _ in range(2) for batch in loader]
        end = torch.get_rng_state()
        torch.manual_seed(5)
        source = feed(LOADERS[name](), 99)
        found = [batch for _ in range(2) for batch in taken(source, generator(0), reuse)]
        assert torch.equal(torch.get_rng_state(), end)
    assert len(found) == len(expected) == 2 * source.steps
    for ours, theirs in zip(found, expected, strict=True):
        assert all(map(torch.equal, ours, theirs))


def test_any_iterable_of_batches_will_do():
    batches = [(INPUTS[:3], LABELS[:3]), [INPUTS[3:], LABELS[3:]]]
    source = feed(batches, 99)
    assert source.steps == 2
    assert torch.equal(torch.cat([labels for _, labels in taken(source)]), LABELS)
    assert feed(iter(batches), 99).steps is None


def test_with_reuse_the_memory_is_the_same_and_without_it_is_not():
    for reuse, memories in ((True, 2), (False, 3)):  # two full batches share a buffer, the smaller last one has its own
        found = list(feed((INPUTS, LABELS), 5).passes(generator(), reuse))
        assert len({inputs.data_ptr() for inputs, _ in found}) == memories


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((INPUTS, LABELS[:5]), r"found inputs of shape \(11, 2\) and labels of shape \(5,\)"),
        ((INPUTS[:0], LABELS[:0]), "at least one"),
        ((torch.tensor(1.0), torch.tensor(1)), "at least one"),
        (Stream(), "IterableDataset"),
        (INPUTS, "found Tensor"),
        ("mnist", "found str"),
        (7, "found int"),
    ],
)
def test_what_is_no_data_is_refused(data, message):
    with pytest.raises(RequestError, match=message):
        feed(data, 3)


def test_what_is_no_batch_is_refused():
    with pytest.raises(RequestError, match="found a batch of 3 parts"):
        taken(feed([(INPUTS, LABELS, LABELS)], 3))
    with pytest.raises(RequestError, match="found a batch of Tensor"):
        taken(feed([INPUTS], 3))


@pytest.mark.parametrize("size", [0, 2.5, True])
def test_impossible_batch_sizes_are_refused(size):
    with pytest.raises(RequestError, match="batch_size: found"):
        feed((INPUTS, LABELS), size)


class TestAugmented:
    def noisy(self, size=3):
        return augmented(
            feed((INPUTS, LABELS), size), lambda inputs, own: inputs + torch.rand(inputs.shape, generator=own)
        )

    def test_inputs_are_changed_and_labels_and_their_order_are_not(self):
        order = generator(3)
        torch.randint(2**62, (), generator=order)  # what the augmentation draws first
        plain, changed = taken(feed((INPUTS, LABELS), 3), order), taken(self.noisy(), generator(3))
        for (inputs, labels), (others, theirs) in zip(plain, changed, strict=True):
            assert torch.equal(labels, theirs)
            noise = others - inputs
            assert 0 <= noise.min() < noise.max() < 1.001

    def test_it_draws_anew_for_every_batch_and_pass_and_the_same_from_the_same_generator(self):
        source, order = self.noisy(), generator(5)
        first, second = taken(source, order), taken(source, order)
        noises = [inputs - INPUTS[labels] for inputs, labels in first[:-1] + second[:-1]]
        assert len({tuple(noise.flatten().tolist()) for noise in noises}) == len(noises)
        again = taken(source, generator(5))
        assert all(torch.equal(one, other) for (one, _), (other, _) in zip(first, again, strict=True))

    @pytest.mark.parametrize("reuse", [False, True])
    def test_a_pass_can_be_taken_up_in_its_middle(self, reuse):
        source = self.noisy()
        assert source.can_skip
        assert source.samples is None  # else a native epoch would go past it
        whole = taken(source, generator(6), reuse)
        rest = [(inputs.clone(), labels) for inputs, labels in source.passes(generator(6), reuse, 2)]
        assert len(rest) == len(whole) - 2
        assert all(torch.equal(one, other) for (one, _), (other, _) in zip(whole[2:], rest, strict=True))

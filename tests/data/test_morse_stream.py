import pytest
import torch
from torch import nn

from sparsewire.data.morse_stream import MorseStream
from sparsewire.errors import RequestError
from sparsewire.training.loop import fit


def stream(seed: int = 0, *, batches: int = 4, size: int = 16) -> MorseStream:
    return MorseStream(size, batches=batches, leading=True, generator=torch.Generator().manual_seed(seed))


def test_no_batch_comes_twice_in_any_pass() -> None:
    source = stream()
    passes = [[frames for frames, _ in source] for _ in range(3)]
    assert [len(one) for one in passes] == [len(source)] * 3 == [4] * 3
    assert len({frames.numpy().tobytes() for one in passes for frames in one}) == 12
    assert source.drawn == 12


def test_batches_are_those_of_the_seed_whenever_they_are_made() -> None:
    source, same, other = stream(), stream(), stream(1)
    later = same.batch(3)
    batches = list(source)
    assert torch.equal(batches[3].inputs, later.inputs)
    assert torch.equal(batches[3].labels, later.labels)
    assert same.drawn == 0
    assert not torch.equal(other.batch(3).inputs, later.inputs)
    before = torch.random.get_rng_state()
    source.batch(0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_stopped_stream_goes_on() -> None:
    source, other = stream(), stream(7)
    walk = iter(source)
    next(walk), next(walk)
    other.load_state_dict(source.state_dict())
    assert torch.equal(next(iter(other)).inputs, next(walk).inputs)
    for wrong in ({}, {"seed": 1}, {"seed": 1, "drawn": 2, "more": 3}):
        with pytest.raises(RequestError, match=r"state_dict: found the entries .*, expected drawn and seed"):
            source.load_state_dict(wrong)
    with pytest.raises(RequestError, match=r"state_dict\['drawn'\]: found -1"):
        source.load_state_dict({"seed": 1, "drawn": -1})


def test_classes_are_drawn_uniformly() -> None:
    counts = stream(size=6400).batch(0).labels.bincount(minlength=64).float()
    assert ((counts - 100) ** 2 / 100).sum() < 110  # chi-square of 63 degrees


def test_one_can_train_on_it() -> None:
    torch.manual_seed(0)
    source = stream()
    history = fit(nn.Linear(64, 64), source, optimizer=lambda some: torch.optim.SGD(some, lr=0.1), epochs=2)
    assert len(history.loss) == 2
    assert source.drawn == 8


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_impossible_counts_are_named(wrong: int) -> None:
    generator = torch.Generator()
    with pytest.raises(RequestError, match="batch_size: found"):
        MorseStream(wrong, generator=generator)
    with pytest.raises(RequestError, match="batches: found"):
        MorseStream(batches=wrong, generator=generator)
    with pytest.raises(RequestError, match="frame: found 40"):
        MorseStream(frame=40, generator=generator)
    with pytest.raises(RequestError, match="index: found"):
        stream().batch(wrong if wrong else -1)

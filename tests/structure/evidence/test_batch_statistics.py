import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.evidence.batch_statistics import STATISTICS, statistics_of_batches


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).eval()


def inputs():
    return torch.randn(20, 3, generator=torch.Generator().manual_seed(0)) * 5 + 3


def test_it_is_what_training_does_without_what_training_stores():
    model, batch = network(), inputs()
    buffers = dict(model.named_buffers())
    kept = {name: buffer.clone() for name, buffer in buffers.items()}
    with statistics_of_batches(model, "batch"):
        found = model(batch)
    assert all(buffer is buffers[name] and torch.equal(buffer, kept[name]) for name, buffer in model.named_buffers())
    assert not any(module.training for module in model.modules())
    model[1].train()
    torch.testing.assert_close(model(batch), found)


@pytest.mark.parametrize("seen", [False, True])
def test_auto_takes_what_was_stored_as_soon_as_anything_was(seen):
    model, batch = network(), inputs()
    if seen:
        model.train()(batch)
        model.eval()
    found = {}
    for statistics in STATISTICS:
        with statistics_of_batches(model, statistics):
            found[statistics] = model(batch)
    assert torch.equal(found["auto"], found["stored" if seen else "batch"])
    assert not torch.allclose(found["stored"], found["batch"])


def test_what_stores_nothing_is_left_alone():
    model = nn.BatchNorm1d(3, track_running_stats=False).eval()
    with statistics_of_batches(model, "batch"):
        found = model(inputs())
    torch.testing.assert_close(found.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    assert model.running_mean is None


def test_buffers_are_back_after_an_error():
    model = network()
    with pytest.raises(KeyError), statistics_of_batches(model, "batch"):
        raise KeyError
    with pytest.raises(ValueError, match="mine"), statistics_of_batches(model, "batch"):
        raise ValueError("mine")
    with (
        pytest.raises(RequestError, match="data: found a batch with a single value for a channel"),
        statistics_of_batches(model, "batch"),
    ):
        model(inputs()[:1])
    assert model[1].running_mean.tolist() == [0.0] * 4
    assert model[1].running_var.tolist() == [1.0] * 4


@pytest.mark.parametrize("bad", ["bach", None, 3])
def test_other_choices_are_refused(bad):
    with pytest.raises(UnknownNameError, match="no batch statistics is named"), statistics_of_batches(network(), bad):
        pass

import copy

import pytest
import torch

import sparsewire as sw
from sparsewire.models.zoo import mlp
from sparsewire.structure.masks import Masks
from sparsewire.training.judging import evaluate
from sparsewire.training.loop import fit
from sparsewire.training.phases import EVERY_LAYER, Network, Phase, Setting, train
from sparsewire.training.retraining import Retraining

SOURCE = torch.Generator().manual_seed(0)
INPUTS = torch.rand(40, 6, generator=SOURCE)
DATA = INPUTS, INPUTS[:, :4].argmax(1)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.02)


def setting(retrain=Retraining(), validation=None):  # noqa: B008 - a frozen value
    return Setting(DATA, adam, retrain, 10, None, validation, None, None, None)


def chain():
    return mlp((6, 12, 4), generator=torch.Generator().manual_seed(1))


def test_a_phase_is_a_fit():
    model, other = chain(), chain()
    masks = sw.prune(model, score="magnitude", density=0.5)
    found = train(setting(), Network(model, adam), Phase(masks, 3, 0, 5), None)
    history = fit(other, DATA, optimizer=adam, epochs=3, batch_size=10, masks=masks,
                  generator=torch.Generator().manual_seed(5))  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert (found.judged, found.epochs, found.steps) == (evaluate(other, DATA), 3, history.steps)


def test_sparse_layers_come_back_dense():
    model, other = chain(), chain()
    masks = sw.prune(model, score="magnitude", density=0.5)
    train(setting(), Network(model, adam), Phase(masks, 2, 0, 5, plan=EVERY_LAYER), None)
    train(setting(), Network(other, adam), Phase(masks, 2, 0, 5), None)
    assert Masks.from_weights(model) == masks
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_network_and_its_memory_come_back(epochs):
    network = Network(chain(), adam)
    train(setting(), network, Phase(None, epochs, 0, 5), None)
    told = network.told(tensors := {})
    tensors = copy.deepcopy(tensors)
    again = Network(chain(), adam)
    again.load_(told, tensors)
    for one in (network, again):
        train(setting(), one, Phase(None, 1, 0, 6), None)
    assert all(torch.equal(a, b) for a, b in zip(network.model.parameters(), again.model.parameters(), strict=True))


def test_epochs_are_told_and_gains_end_it():
    seen = []
    phase = Phase(None, 9, 0, 5, pruned=evaluate(chain(), DATA), after_epoch=seen.append)
    found = train(setting(Retraining(9, gain=2.0)), Network(chain(), adam), phase, None)
    assert (found.epochs, seen, len(found.accuracies)) == (1, [1], 1)

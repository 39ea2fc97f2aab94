"""Whatever a model, an optimizer or the data are like: the quick way through `fit` ends where autograd ends."""

import math

import pytest
import torch
from torch import nn

from sparsewire.training.history import Epoch, Evaluation, History
from sparsewire.training.loop import evaluate, fit

SOURCE = torch.Generator().manual_seed(1)
INPUTS = torch.randn(60, 6, generator=SOURCE)
LABELS = torch.randint(0, 4, (60,), generator=SOURCE)


def network(middle: int = 5) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(6, middle), nn.ReLU(), nn.Linear(middle, 4))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=generator)
    return model


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.2)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.05)


def with_gradients_left(make):
    """Frozen only after a backward pass, so that `.grad` still holds something."""

    def setting(model):
        nn.functional.cross_entropy(model(INPUTS), LABELS).backward()
        model[0].requires_grad_(False)
        return {"optimizer": make}

    return setting


def frozen_on_the_way(make):
    return lambda model: {"optimizer": make, "on_epoch": lambda epoch, model, history: model[0].requires_grad_(False)}


def scheduled_within_an_epoch(model):
    optimizer = sgd(model.parameters())
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.8)
    return {"optimizer": optimizer, "progress": lambda *_: schedule.step()}


def clipped_with_strangers(model):
    return {"optimizer": sgd(model[2].parameters()), "clip_norm": 0.1}


def on_one_memory(model):
    model[0], model[2] = nn.Linear(6, 6), nn.Linear(6, 6)
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            parameter.normal_(generator=torch.Generator().manual_seed(index))
    model[2].weight = nn.Parameter(model[0].weight.detach().t())
    return {}


def with_its_own_loss(model):
    loss = nn.CrossEntropyLoss()
    loss.forward = lambda outputs, labels: outputs.pow(2).mean()
    return {"loss": loss}


def by_groups(model):
    groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters(), "maximize": True}]
    return {"optimizer": torch.optim.SGD(groups, lr=torch.tensor(0.01))}


def of_batches(batches):
    return lambda model: {"data": batches}


SETTINGS = {
    "plain": lambda model: {},
    "gradients left, SGD": with_gradients_left(sgd),
    "gradients left, Adam": with_gradients_left(adam),
    "frozen on the way, SGD": frozen_on_the_way(sgd),
    "frozen on the way, Adam": frozen_on_the_way(adam),
    "scheduled within an epoch": scheduled_within_an_epoch,
    "clipped with strangers": clipped_with_strangers,
    "two parameters on one memory": on_one_memory,
    "a loss with its own forward": with_its_own_loss,
    "groups": by_groups,
    "sparse inputs": of_batches([(INPUTS.to_sparse(), LABELS)]),
    "strided inputs": of_batches([(INPUTS.t().contiguous().t(), LABELS), (INPUTS[::2], LABELS[::2])]),
    "labels that do not count": of_batches([(INPUTS, LABELS.where(torch.arange(60) % 3 > 0, -100))]),
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
def test_both_routes_end_at_the_same_weights(setting) -> None:
    ends, losses = [], []
    for fused in (None, False):
        model = network()
        options = {"data": (INPUTS, LABELS), "optimizer": sgd, "epochs": 3, "batch_size": 16} | setting(model)
        losses.append(fit(model, fused=fused, **options).loss)
        ends.append([parameter.detach().clone() for parameter in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("fused", [None, False])
def test_inputs_that_ask_for_a_gradient_get_one(fused) -> None:
    inputs = INPUTS.clone().requires_grad_()
    fit(network(), [(inputs, LABELS)], optimizer=sgd, epochs=1, fused=fused)
    assert inputs.grad is not None


def test_a_loss_that_is_no_number_is_never_the_best() -> None:
    judged = [Evaluation(loss, math.nan, 3) for loss in (math.nan, 0.5)]
    history = History(tuple(Epoch(number, 1, 1.0, 1.0, one, "update") for number, one in enumerate(judged, start=1)))
    assert history.best.number == 2


def test_accuracy_is_of_the_labels_that_count() -> None:
    # Of four labels two count, and both are the largest output's.
    assert evaluate(nn.Identity(), (torch.eye(4), torch.tensor([0, 1, -100, -100]))).accuracy == 1.0


def test_one_output_is_no_choice_among_classes() -> None:
    def loss(outputs, labels):
        return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], labels.float())

    assert math.isnan(evaluate(nn.Linear(6, 1), (INPUTS, (LABELS > 1).long()), loss=loss).accuracy)

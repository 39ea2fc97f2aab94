"""Networks side by side end where each ends by itself, bit for bit."""

import copy

import pytest
import torch
from torch import nn

from sparsewire.errors import DivergedError, RequestError
from sparsewire.kernels import native
from sparsewire.lab.checkpoint_folder import CheckpointFolder
from sparsewire.models.zoo import mlp
from sparsewire.structure.masks import Masks
from sparsewire.training.loop import fit
from sparsewire.training.replicas import replicate


def drawn(seed):
    return torch.Generator().manual_seed(seed)


def networks(count):
    return [mlp((12, 16, 4), ("relu", "tanh")[seed % 2], generator=drawn(seed)) for seed in range(count)]


def masks_of(model, seed, density=0.1):
    source = drawn(seed)
    return Masks({n: torch.rand(m.shape, generator=source) < density for n, m in Masks.from_model(model).items()})


def data(count=90):
    source = drawn(9)
    inputs = torch.randn(count, 12, generator=source)
    return inputs, torch.randint(4, (count,), generator=source)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.01)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("masked", [True, False])
def test_they_end_where_each_ends_by_itself(masked, threads):
    models, before = networks(4), torch.get_num_threads()
    masks = [masks_of(model, seed) if masked and seed < 3 else None for seed, model in enumerate(models)]
    makers = [adam, sgd, adam, sgd]
    alone = copy.deepcopy(models)
    options = {"epochs": 3, "batch_size": 20, "validation": data(30)}
    torch.set_num_threads(threads)
    try:
        histories = replicate(
            models, data(), optimizer=makers, masks=masks, generators=[drawn(seed) for seed in range(4)], **options
        )
        for seed, (model, make) in enumerate(zip(alone, makers, strict=True)):
            history = fit(model, data(), optimizer=make, masks=masks[seed], generator=drawn(seed), **options)
            assert history.loss == histories[seed].loss
            assert history.validation == histories[seed].validation
            assert [epoch.route for epoch in history.epochs] == [epoch.route for epoch in histories[seed].epochs]
            assert all(map(torch.equal, model.parameters(), models[seed].parameters()))
            if masked and seed < 3 and native.is_at_hand():
                assert history.epochs[0].route == "native"
    finally:
        torch.set_num_threads(before)


def test_float_and_double_and_other_models_may_be_mixed():
    models = [networks(1)[0], networks(1)[0], nn.Sequential(nn.Linear(12, 4), nn.GELU(), nn.Linear(4, 4))]
    masks = [masks_of(models[0], 0), masks_of(models[1], 1), None]
    histories = replicate(models, data(), optimizer=adam, masks=masks, epochs=1, batch_size=20)
    assert [history.steps for history in histories] == [5, 5, 5]
    assert histories[2].epochs[0].route == "autograd"
    assert all(not module.training or module is not None for model in models for module in model.modules())


def test_no_models_are_no_work():
    assert replicate([], data(), optimizer=adam, epochs=3) == []


def test_one_that_diverges_is_named():
    models = networks(3)
    with torch.no_grad():
        models[1][0].weight[0, 0] = torch.nan
    masks = [masks_of(model, 0) for model in models]
    masks[1] = Masks({n: mask | (torch.arange(mask.numel()).view_as(mask) == 0) for n, mask in masks[1].items()})
    with pytest.raises(DivergedError) as error:
        replicate(models, data(), optimizer=adam, masks=masks, epochs=1, batch_size=20)
    assert error.value.__notes__ == ["This was model 1 of 3, counted from 0."]


def test_what_does_not_fit_is_refused():
    models, generator, folder = networks(2), drawn(0), CheckpointFolder("unused")
    both = adam([weight for model in models for weight in model.parameters()])
    for options, message in [
        ({"optimizer": [adam]}, "optimizer: found 1"),
        ({"masks": [None]}, "masks: found 1"),
        ({"generators": generator}, "generators: found Generator"),
        ({"generators": [generator, generator]}, "generators: found one that two models share"),
        ({"optimizer": [both, both]}, "optimizer: found one that two models share"),
        ({"checkpoints": [folder, folder]}, "checkpoints: found one that two models share"),
        ({"rules": [None, lambda *_: None]}, "rule: found one without masks"),
    ]:
        with pytest.raises(RequestError, match=message):
            replicate(models, data(), **{"optimizer": adam, "epochs": 1} | options)
    with pytest.raises(RequestError, match="share"):
        replicate([models[0], models[0]], data(), optimizer=adam, epochs=1)

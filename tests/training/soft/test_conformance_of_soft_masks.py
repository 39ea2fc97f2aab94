"""What every soft mask does, whatever the network."""

from typing import Any

import pytest
import torch
from tests.training.shelf import Shelf, Stopped
from tests.training.soft.small_supermasks import DATA, INPUTS, METHODS, NETWORKS, adam, chain, source

from sparsewire.structure.masks import Masks
from sparsewire.training.judging import evaluate
from sparsewire.training.soft.learning import Supermask, learn_masks

METHOD = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
NETWORK = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def learn(model: Any, method: Any, **options: Any) -> Supermask:
    settings = {"generator": source(), "optimizer": adam, "epochs": 3, "batch_size": 20, "validation": DATA} | options
    return learn_masks(model, DATA, method(model), **settings)


def same(one: Supermask, other: Supermask) -> bool:
    scores = all(torch.equal(one.scores[name], other.scores[name]) for name in one.scores)
    return scores and one.masks == other.masks and one.history.loss == other.history.loss and one.judged == other.judged


@METHOD
@NETWORK
def test_nothing_of_the_model_is_trained_and_the_applied_masks_are_what_was_judged(method, network):
    model, before = network(), network()
    flags = [parameter.requires_grad for parameter in model.parameters()]
    found = learn(model, method)
    soft = method(model)
    weights = dict(before.named_parameters())
    assert list(weights) == [name for name, _ in model.named_parameters()]
    for name, weight in model.named_parameters():
        factor = soft.factor(found.masks[name]) if name in found.masks else 1.0
        assert torch.equal(weight, weights[name] * factor)
    assert flags == [parameter.requires_grad for parameter in model.parameters()]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(module.training for module in model.modules())
    assert found.masks.keys() == Masks.from_model(model).keys() == found.scores.keys()
    assert found.history.masks == found.masks
    assert evaluate(found.masks.apply_(model), DATA) == found.judged


@METHOD
def test_the_last_epochs_judgement_is_that_of_the_final_network(method):
    found = learn(chain(), method)
    if not getattr(method(chain()), "draw", False):  # each draw is another network
        assert found.history.validation[-1].accuracy == found.judged.accuracy
        assert found.history.validation[-1].loss == pytest.approx(found.judged.loss, rel=1e-6)


@METHOD
@NETWORK
def test_the_same_generator_gives_the_same_bits_and_no_other_is_drawn_from(method, network):
    def run(seed: int) -> Supermask:
        model = network()
        torch.manual_seed(7)  # dropout alone draws from it
        return learn(model, method, generator=source(seed))

    assert same(run(0), run(0))
    assert not same(run(0), run(1))
    model = chain()
    torch.manual_seed(7)
    state = torch.get_rng_state()
    learn(model, method, epochs=1)
    assert torch.equal(torch.get_rng_state(), state)


@METHOD
@pytest.mark.parametrize("stops", [(1,), (2, 3, 6), (4,)])
def test_a_training_that_was_stopped_goes_on_to_the_same_bits(method, stops):
    options: dict[str, Any] = {"rate": lambda epoch: 0.05 / (1 + epoch)}
    model = NETWORKS["convolution"]()  # seeds what its dropout draws from
    expected = learn(model, method, **options)
    shelf = Shelf(stops)
    for _ in stops:
        once = NETWORKS["convolution"]()
        with pytest.raises(Stopped):
            learn(once, method, checkpoints=shelf, **options)
    again = NETWORKS["convolution"]()
    found = learn(again, method, checkpoints=shelf, **options)
    assert same(found, expected)
    assert all(torch.equal(one, model.state_dict()[name]) for name, one in again.state_dict().items())


@METHOD
def test_it_learns(method):
    found = learn(chain(), method, epochs=15)
    assert found.history.loss[-1] < found.history.loss[0]
    assert torch.isfinite(torch.cat([scores.flatten() for scores in found.scores.values()])).all()


@METHOD
def test_no_epoch_means_the_masks_of_the_first_scores(method):
    model = chain()
    found = learn(model, method, epochs=0)
    generator, soft = source(), method(model)
    weights = dict(chain().named_parameters())
    first = {name: soft.begin(name, weights[name].detach(), generator) for name in found.scores}
    assert all(torch.equal(first[name], found.scores[name]) for name in first)
    assert found.masks == Masks({name: soft.decide(name, scores, generator) for name, scores in first.items()})


@METHOD
def test_what_is_not_meant_keeps_all(method):
    model = chain()
    found = learn(model, method, only="2")
    assert found.scores.keys() == {"2.weight"}
    assert found.masks["0.weight"].all()
    assert found.masks["4.weight"].all()
    assert torch.equal(model[0].weight, chain()[0].weight)


@METHOD
def test_half_precision_and_frozen_weights_are_learned_too(method):
    model = chain().double().requires_grad_(False)
    data = INPUTS.double(), DATA[1]
    found = learn_masks(model, data, method(model), generator=source(), optimizer=adam, epochs=1)
    assert all(scores.dtype == torch.float64 for scores in found.scores.values())
    short = chain().bfloat16()
    data = INPUTS.bfloat16(), DATA[1]
    found = learn_masks(short, data, method(short), generator=source(), optimizer=adam, epochs=1)
    assert all(scores.dtype == torch.float32 for scores in found.scores.values())
    assert all(weight.dtype == torch.bfloat16 for weight in short.parameters())

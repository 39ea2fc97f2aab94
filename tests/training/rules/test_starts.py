import copy
import io
from itertools import pairwise

import pytest
import torch
from tests.training.rules.small_training import network, sparse, train
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.convert import sparsify
from sparsewire.structure.masks import Masks
from sparsewire.structure.select import prune
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rule_contract import is_dense, moment_of, recall, remembered
from sparsewire.training.rules.starts import FITNESSES, bernoulli_masks, k_starts


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def by_hand(model, steps, k, every, fitness, removed=0.5):
    """Algorithm 1, mask by mask, on a plain optimizer."""
    source = drawn()
    layers = [model[0].weight, model[2].weight]
    masks = []
    for weight in layers:
        chance = torch.rand(k, weight.numel(), generator=source)
        masks.append([(row >= removed).view(weight.shape) for row in chance])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    sums = [torch.zeros_like(weight) for weight in layers]

    def after(step):
        with torch.no_grad():
            for place, weight in enumerate(layers):
                sums[place] += weight.grad
                measured = {
                    "signed": weight, "magnitude": weight.abs(), "gradient": weight.grad,
                    "accumulated_gradient": sums[place],
                }[fitness]  # fmt: skip
                fitnesses = [float((measured * mask).sum()) for mask in masks[place]]
                best = masks[place][fitnesses.index(max(fitnesses))]
                if (step + 1) % every == 0 and len(masks[place]) > 1:
                    del masks[place][fitnesses.index(min(fitnesses))]
                weight *= best

    train(model, optimizer, steps, after)
    return [len(left) for left in masks]


@pytest.mark.parametrize("fitness", FITNESSES)
def test_it_is_algorithm_1(fitness):
    slow, rule = network(), k_starts(0.5, k=4, every=3, fitness=fitness, generator=drawn())
    left = by_hand(slow, 14, 4, 3, fitness)
    fast, optimizer = sparse(rule)
    train(fast, optimizer, 14)
    assert left == [1, 1]
    assert [len(numbers) for numbers in rule.left.values()] == left
    for one, other in zip(slow.parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert all(torch.equal(fast.get_parameter(name) != 0, mask) for name, mask in optimizer.masks.items())


def test_one_mask_is_left_after_k_minus_1_drops_and_then_nothing_is_asked():
    rule, counts = k_starts(k=10, generator=drawn()), []
    model, optimizer = sparse(rule)
    train(model, optimizer, 60, lambda step: counts.append(len(rule.left["0.weight"])))
    assert counts[43:46] == [2, 1, 1]  # after 44, 45, 46 steps
    assert [step for step in range(60) if rule.acts_at(step)] == [0]  # of another training
    masks = optimizer.masks
    train(model, optimizer, 5)
    assert optimizer.masks == masks
    assert model[0].weight.grad[~masks["0.weight"]].abs().max() > 0  # dense to the end


def test_zeroed_weights_move_and_are_judged_by_where_they_went():
    layer = nn.Linear(2, 1, bias=False)
    nn.init.constant_(layer.weight, 0.0)
    rule = k_starts(0.5, k=6, generator=drawn(2))
    optimizer = SparseOptimizer(torch.optim.SGD(layer.parameters(), lr=1.0), layer, Masks.from_model(layer), rule)
    weights = []
    for _ in range(3):
        layer.weight.grad = torch.tensor([[-1.0, 2.0]])
        optimizer.step()
        weights.append(layer.weight.tolist()[0])
    # A mask that keeps the first alone is the fittest at every step: the second moves to −2, and is set back.
    assert weights == [[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]


def test_signed_sums_change_masks_often_and_magnitudes_never():
    changes = {}
    for fitness in ("signed", "magnitude"):
        source, layer = drawn(1), nn.Linear(64, 10)
        nn.init.normal_(layer.weight, generator=source)
        rule, worn = k_starts(k=10, fitness=fitness, generator=drawn()), []
        adam = torch.optim.Adam(layer.parameters(), lr=0.1)
        optimizer = SparseOptimizer(adam, layer, Masks.from_model(layer), rule)
        for _ in range(45):
            optimizer.zero_grad()
            outputs = layer(torch.rand(1, 64, generator=source))
            nn.functional.cross_entropy(outputs, torch.randint(10, (1,), generator=source)).backward()
            optimizer.step()
            worn.append(rule.worn["weight"])
        changes[fitness] = sum(before != after for before, after in pairwise(worn))
    assert changes["magnitude"] == 0
    assert changes["signed"] > 30


def test_one_start_is_a_static_random_mask():
    model = network()
    masks = bernoulli_masks(model, 0.4, generator=drawn(3))
    # From all weights: the same masks after the first step, whose gradients are of the dense network.
    other, optimizer = sparse(k_starts(0.4, k=1, generator=drawn(3)))
    train(other, optimizer, 1)
    assert optimizer.masks == masks
    # From these masks: the same bits for ever, as elementwise optimizers give zeroed weights no part in anything.
    ends = []
    for rule in (None, k_starts(0.4, k=1, generator=drawn(3))):
        trained = network()
        train(trained, SparseOptimizer(torch.optim.Adam(trained.parameters(), lr=0.01), trained, masks, rule), 8)
        ends.append(list(trained.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_masks_stay_within_those_of_the_beginning_and_biases_dense():
    model, optimizer = sparse(k_starts(0.2, k=3, generator=drawn()), density=0.5)
    start = optimizer.masks
    train(model, optimizer, 20, lambda step: None)
    assert optimizer.masks & start == optimizer.masks
    assert all(model[place].bias.all() for place in (0, 2))


def test_only_some_weights_compete():
    rule = k_starts(0.5, k=3, generator=drawn(), only="2.*")
    model, optimizer = sparse(rule)
    train(model, optimizer, 4)
    assert optimizer.masks["0.weight"].all()
    assert 0 < optimizer.masks["2.weight"].sum() < 40
    assert set(rule.left) == {"2.weight"}


def test_gates_compete_by_themselves():
    model = nn.GRU(3, 4)
    rule = k_starts(0.5, k=3, generator=drawn(), only="h2h:new")
    optimizer = SparseOptimizer(torch.optim.Adam(model.parameters()), model, Masks.from_model(model), rule)
    model(torch.ones(2, 1, 3))[0].sum().backward()
    optimizer.step()
    kept = optimizer.masks["weight_hh_l0"]
    assert kept[:8].all()
    assert 0 < kept[8:].sum() < 16


@pytest.mark.parametrize("stop", [1, 7, 15, 30])
@pytest.mark.parametrize("fitness", ["signed", "accumulated_gradient"])
def test_a_saved_run_goes_on_to_the_same_bits(stop, fitness):
    def make(seed):
        return sparse(k_starts(0.5, k=5, every=4, fitness=fitness, generator=drawn(seed)))

    whole_model, whole = make(0)
    train(whole_model, whole, 30)
    first, before = make(0)
    train(first, before, stop)
    file = io.BytesIO()
    torch.save({"model": first.state_dict(), "optimizer": before.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    second, after = make(99)
    second.load_state_dict(state["model"])
    after.load_state_dict(state["optimizer"])
    copied_model, copied = copy.deepcopy((second, after))
    for model, optimizer in ((second, after), (copied_model, copied)):
        for step in range(stop, 30):
            optimizer.zero_grad()
            inputs = torch.randn(16, 10, generator=torch.Generator().manual_seed(step))
            (model(inputs) - inputs[:, :5].sin()).square().mean().backward()
            optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(whole_model.parameters(), model.parameters(), strict=True))
        assert optimizer.masks == whole.masks


def test_it_is_dense_and_sparse_layers_refuse_it():
    rule = k_starts(generator=drawn())
    assert (moment_of(rule), is_dense(rule)) == ("after", True)
    model = network()
    model = sparsify(model, prune(model, score="magnitude", density=0.3), "sparse")
    masks = Masks.from_model(model)
    with pytest.raises(RequestError, match=r"rule: found k_starts\(.*\), which is dense: .* train the masked form"):
        SparseOptimizer(torch.optim.Adam(model.parameters()), model, masks, rule)


BAD = {
    "removed": ({"removed": 1.5}, "removed: found 1.5, expected a number from 0 to 1"),
    "removed, negative": ({"removed": -0.1}, "removed: found -0.1, expected a number from 0 to 1"),
    "removed, NaN": ({"removed": float("nan")}, "removed: found nan, expected a number from 0 to 1"),
    "removed, a truth value": ({"removed": True}, "removed: found True, expected a number from 0 to 1"),
    "k": ({"k": 0}, "k: found 0, expected a whole number of at least 1"),
    "k, a fraction": ({"k": 2.5}, "k: found 2.5, expected a whole number"),
    "every": ({"every": 0}, "every: found 0, expected a whole number of at least 1"),
    "generator": ({"generator": 3}, "generator: found 3, expected one"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_is_refused_when_it_is_made(arguments, message):
    with pytest.raises(RequestError, match=message):
        k_starts(**{"generator": drawn(), **arguments})


def test_an_unknown_fitness_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="no fitness is named 'signd'; did you mean 'signed'"):
        k_starts(fitness="signd", generator=drawn())
    with pytest.raises(RequestError, match="removed: found 2"):
        bernoulli_masks(network(), 2, generator=drawn())
    with pytest.raises(RequestError, match="generator: found None"):
        bernoulli_masks(network(), generator=None)


def test_memory_of_another_kind_is_refused():
    rule, small = k_starts(k=5, generator=drawn()), k_starts(k=2, generator=drawn())
    model, optimizer = sparse(rule)
    train(model, optimizer, 2)
    with pytest.raises(RequestError, match=r"found a memory of nothing, but k_starts.* remembers generator"):
        recall(rule, {})
    with pytest.raises(RequestError, match=r"found a memory of more masks than k_starts\(.*k=2"):
        recall(small, remembered(rule))
    fitted = k_starts(k=5, generator=drawn())
    recall(fitted, remembered(rule))
    small_ones = {name: torch.ones(1, 3) for name in optimizer.masks}
    masks = Masks({name: one.bool() for name, one in small_ones.items()})
    with pytest.raises(RequestError, match="make another k_starts"):
        fitted(2, masks, small_ones, small_ones)


def test_a_second_training_draws_its_masks_anew():
    rule = k_starts(0.5, k=3, every=1, generator=drawn())
    densities = []
    for _ in range(2):
        model, optimizer = sparse(rule)
        train(model, optimizer, 6)
        densities.append(optimizer.masks.density)
    assert densities == pytest.approx([0.5, 0.5], abs=0.2)  # not 1, for want of anything to choose from


def test_gradients_of_half_precision_add_up_in_single():
    rule = k_starts(0.5, k=2, every=1000, fitness="accumulated_gradient", generator=drawn())
    weights, full = {"weight": torch.ones(1, 4).bfloat16()}, Masks({"weight": torch.ones(1, 4).bool()})
    for step in range(600):
        rule(step, full, weights, {"weight": torch.full((1, 4), 2.0**-6).bfloat16()})
    assert remembered(rule)["sums"]["weight"].tolist() == [[600 / 64] * 4]

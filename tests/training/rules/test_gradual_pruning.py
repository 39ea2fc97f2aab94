import copy
import io

import pytest
import torch
from tests.training.rules.small_training import network, sparse, train

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.masks import Masks
from sparsewire.structure.patterns import Neurons
from sparsewire.structure.schedules import cubic, one_shot, relative
from sparsewire.structure.scores import OptimalBrainDamage
from sparsewire.structure.select import prune
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rule_contract import recall, remembered
from sparsewire.training.rules import gradual


@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize("scope", ["blind", "uniform", "erk", {"0.weight": 0.5}])
def test_the_density_is_the_schedules_at_every_step_and_masks_only_shrink(every, scope):
    schedule = cubic(0.1, begin=4, until=24, every=4)
    _, optimizer = sparse(gradual(schedule, scope=scope, every=every))
    before = optimizer.masks

    def check(step):
        nonlocal before
        masks = optimizer.masks
        assert masks & before == masks
        if isinstance(scope, str):
            assert masks.count == int(schedule(step) * masks.total + 0.5)
        elif schedule(step) < 1:
            # A mapping gives the density of the layers that it names, the schedule that of the others.
            assert masks["0.weight"].sum() == 40
            assert masks["2.weight"].sum() == int(schedule(step) * 40 + 0.5)
        before = masks

    train(_, optimizer, 30, check)
    assert optimizer.masks.density < 0.4


def test_it_selects_what_prune_selects_of_the_weights_at_that_moment():
    wishes = []
    rule = gradual(relative(0.3, begin=2, every=3, until=20), score="magnitude", scope="distributed")

    def spy(step, masks, weights, gradients):
        answer = rule(step, masks, weights, gradients)
        if answer is not None:
            model.load_state_dict(dict(weights), strict=False)
            density = 0.7 ** len(wishes) * 0.7
            wishes.append(step)
            assert answer == prune(model, score="magnitude", density=density, scope="distributed", masks=masks)
        return answer

    model, optimizer = sparse(spy)
    copied = copy.deepcopy(model)
    train(copied, SparseOptimizer(torch.optim.Adam(copied.parameters(), lr=0.01), copied, optimizer.masks, rule), 30)
    train(model, optimizer, 30)
    assert wishes == [2, 5, 8, 11, 14, 17, 20]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), copied.parameters(), strict=True))


def test_only_the_chosen_weights_are_pruned_and_whole_neurons_if_so_wished():
    _, optimizer = sparse(gradual(one_shot(0.5, begin=3), only="0.*", pattern=Neurons(), score="neuron_l2"))
    train(_, optimizer, 5)
    rows = optimizer.masks["0.weight"].sum(1).tolist()
    assert sorted(rows) == [0] * 4 + [10] * 4
    assert optimizer.masks["2.weight"].all()


def test_every_looks_at_the_schedule_at_its_multiples_only():
    seen = {}
    _, optimizer = sparse(gradual(one_shot(0.5, begin=3), every=5))
    train(_, optimizer, 8, lambda step: seen.update({step: optimizer.masks.density}))
    assert list(seen.values()) == [1.0] * 5 + [0.5] * 3


def test_where_the_schedule_stays_nothing_is_pruned_anew():
    masks, weights = Masks.from_model(network()), dict(network().named_parameters())
    answers = [gradual(one_shot(0.5, begin=2))(step, masks, weights, {}) for step in range(5)]
    assert [answer is None for answer in answers] == [True, True, False, True, True]


def test_masks_that_hold_less_than_the_schedule_asks_wait_for_it():
    densities = []
    _, optimizer = sparse(gradual(relative(0.25)), density=0.5)
    train(_, optimizer, 5, lambda step: densities.append(optimizer.masks.count))
    # 0.75, 0.5625 and then 0.421875, 0.31640625, 0.2373… of 120 weights
    assert densities == [60, 60, 51, 38, 28]


def test_chance_comes_from_the_generator_alone_and_is_restored():
    def rule(seed):
        return gradual(relative(0.2), score="random", generator=torch.Generator().manual_seed(seed))

    ends = []
    for seed in (1, 1, 2):
        _, optimizer = sparse(rule(seed))
        train(_, optimizer, 4)
        ends.append(optimizer.masks)
    assert ends[0] == ends[1] != ends[2]

    first, second = rule(1), rule(7)
    masks, weights = Masks.from_model(network()), dict(network().named_parameters())
    first(0, masks, weights, {})
    file = io.BytesIO()
    torch.save(remembered(first), file)
    file.seek(0)
    recall(second, torch.load(file, weights_only=True))
    twin = copy.deepcopy(second)
    assert first(1, masks, weights, {}) == second(1, masks, weights, {}) == twin(1, masks, weights, {})


def test_a_score_may_look_at_the_gradients_of_the_step():
    seen = []

    def taylor(weight):
        seen.append(weight.grad.abs().sum() > 0)
        return (weight * weight.grad).abs()

    model, optimizer = sparse(gradual(one_shot(0.25, begin=1), score=taylor, pattern="fan-in"))
    train(model, optimizer, 3)
    assert len(seen) == 2  # one call for each weight, at the one pruning
    assert all(seen)
    assert optimizer.masks.density == 0.25


@pytest.mark.parametrize("score", ["obd", "gradient", "taylor", OptimalBrainDamage()])
def test_scores_that_ask_for_data_are_none_of_a_rule(score):
    with pytest.raises(RequestError, match=r"score: found .*, which asks for data, but a rule sees weights"):
        gradual(one_shot(0.5), score=score)


def test_memory_of_another_kind_of_gradual_is_refused():
    without = gradual(relative(0.5))
    drawing = gradual(relative(0.5), score="random", generator=torch.Generator())
    with pytest.raises(RequestError, match=r"found a memory of generator, but gradual.* remembers nothing"):
        recall(without, remembered(drawing))
    with pytest.raises(RequestError, match=r"found a memory of nothing, but gradual.* remembers generator"):
        recall(drawing, remembered(without))


def test_a_request_that_cannot_be_is_refused_when_it_is_made():
    with pytest.raises(RequestError, match=r"schedule: found 0.5, expected a function step → density"):
        gradual(0.5)
    with pytest.raises(RequestError, match="every: found 0, expected a whole number"):
        gradual(relative(0.5), every=0)
    with pytest.raises(UnknownNameError, match="no score is named 'magnitud'; did you mean 'magnitude'"):
        gradual(relative(0.5), score="magnitud")
    with pytest.raises(UnknownNameError, match="no scope is named 'blnd'; did you mean 'blind'"):
        gradual(relative(0.5), scope="blnd")
    with pytest.raises(RequestError, match="pattern: found 'neuron', expected a pattern such as"):
        gradual(relative(0.5), pattern="neuron")


BAD = {
    "a density that is none": (gradual(lambda step: 1.5), "density: found 1.5, expected a number from 0 to 1"),
    "a name that fits nothing": (gradual(relative(0.5), only="3.*"), r"no weight to prune is named '3.\*'"),
    "scores that are no numbers": (gradual(relative(0.5), score=lambda weight: weight / 0), "score: found NaN or inf"),
    "no generator": (gradual(relative(0.5), score="random"), "generator: found None"),
}


@pytest.mark.parametrize(("rule", "message"), BAD.values(), ids=BAD)
def test_a_request_that_prune_refuses_is_refused_at_the_step(rule, message):
    model, optimizer = sparse(rule)
    with pytest.raises(RequestError, match=message):
        train(model, optimizer, 1)
    assert optimizer.masks.density == 1

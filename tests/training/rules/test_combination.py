from itertools import pairwise

import pytest
import torch
from tests.training.rules.small_training import ends_of_a_run_and_of_one_stopped, network, sparse, train

from sparsewire.errors import RequestError
from sparsewire.execution.convert import sparsify
from sparsewire.structure.masks import Masks
from sparsewire.structure.schedules import one_shot
from sparsewire.structure.select import prune
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.rule_contract import grows, is_dense, moment_of, recall
from sparsewire.training.rules.combination import combined
from sparsewire.training.rules.dissipation import dissipating_gradients
from sparsewire.training.rules.gradual_pruning import gradual
from sparsewire.training.rules.starts import k_starts
from sparsewire.training.rules.unmoved import static


def paper(seed=0, k=3):
    starts = k_starts(0.5, k=k, every=2, generator=torch.Generator().manual_seed(seed))
    return combined(starts, dissipating_gradients(4, 2, removed=0.5))


def test_the_mask_is_the_product():
    rule = paper()
    starts, dissipating = rule.rules
    masks, source = Masks({"weight": torch.ones(4, 6).bool()}), torch.Generator().manual_seed(0)
    alone = [k_starts(0.5, k=3, every=2, generator=torch.Generator().manual_seed(0)),
             dissipating_gradients(4, 2, removed=0.5)]  # fmt: skip
    own, present = [masks, masks], masks
    for step in range(12):
        weights, gradients = ({"weight": torch.randn(4, 6, generator=source)} for _ in range(2))
        for place, one in enumerate(alone):
            answer = one(step, own[place], weights, gradients) if one.acts_at(step) else None
            own[place] = own[place] if answer is None else answer
        answer = rule(step, present, weights, gradients)
        present = present if answer is None else answer
        assert present == own[0] & own[1]
    assert own[1]["weight"].sum() == 12
    assert present.count < 12
    assert not rule.acts_at(12)
    assert (starts.acts_at(7), dissipating.acts_at(7)) == (False, True)


def test_what_one_of_them_dropped_does_not_return_when_another_changes_its_mind():
    rule = combined(
        k_starts(0.3, k=6, every=3, generator=torch.Generator().manual_seed(0)),
        dissipating_gradients(2, 1, removed=0.5),
    )
    model, optimizer = sparse(rule)
    gone = None

    def check(step):
        nonlocal gone
        if step == 1:
            gone = ~rule._own[1]["0.weight"]
        if gone is not None:
            assert not model[0].weight[gone].any()

    before = []
    train(model, optimizer, 20, lambda step: (check(step), before.append(optimizer.masks)))
    assert gone.sum() > 10
    assert any(one & other != other for one, other in pairwise(before[2:])), "some return"


def test_it_says_of_itself_what_its_rules_say():
    rule = paper()
    assert (moment_of(rule), is_dense(rule), grows(rule)) == ("after", True, True)
    light = combined(static(), dissipating_gradients(3))
    assert (moment_of(light), is_dense(light), grows(light)) == ("after", False, False)
    assert [light.acts_at(step) for step in (5, 6)] == [True, False]
    model = network()
    model = sparsify(model, prune(model, score="magnitude", density=0.3), "sparse")
    with pytest.raises(RequestError, match=r"rule: found combined\(k_starts\(.*\), which is dense"):
        SparseOptimizer(torch.optim.Adam(model.parameters()), model, Masks.from_model(model), rule)


def test_rules_that_are_not_dense_combine_as_well():
    rule = combined(gradual(one_shot(0.5, begin=1)), dissipating_gradients(2, 1, removed=0.5))
    model, optimizer = sparse(rule)
    train(model, optimizer, 4)
    assert 0 < optimizer.masks.count < 60


@pytest.mark.parametrize("stop", [1, 5, 9])
def test_a_saved_run_goes_on_to_the_same_bits(stop):
    ends = ends_of_a_run_and_of_one_stopped(lambda: paper(k=5), lambda: paper(seed=7, k=5), 14, stop)
    assert ends[0][1] == ends[1][1]
    assert all(torch.equal(a, b) for a, b in zip(ends[0][0], ends[1][0], strict=True))


def test_what_cannot_be_is_refused():
    with pytest.raises(RequestError, match="rules: found 1, expected two or more"):
        combined(static())
    same = dissipating_gradients(2)
    with pytest.raises(RequestError, match="rules: found one of them twice"):
        combined(same, static(), same)
    with pytest.raises(RequestError, match="rule: found 3, expected a function"):
        combined(static(), 3)
    with pytest.raises(RequestError, match="found a memory of nothing that is not one of 2 rules"):
        recall(paper(), {})
    with pytest.raises(RequestError, match="that is not one of 2 rules"):
        recall(paper(), {"rules": [{}], "masks": []})

import pytest
import torch
from tests.training.rules.small_training import sparse

from sparsewire.errors import RequestError
from sparsewire.structure.schedules import cubic, relative
from sparsewire.training.rule_contract import acts_at, grows, is_dense, moment_of, recall, remembered
from sparsewire.training.rules import gradual, static


def ask(step, masks, weights, gradients):
    return None


def test_a_plain_function_acts_before_the_step_is_not_dense_and_remembers_nothing():
    assert moment_of(ask) == "before"
    assert not is_dense(ask)
    assert remembered(ask) == {}
    recall(ask, {})
    with pytest.raises(RequestError, match=r"found a memory of \['sums'\], but <function ask .*> remembers nothing"):
        recall(ask, {"sums": 1})


def test_what_an_object_says_is_believed_and_what_it_remembers_is_given_back():
    class Late:
        when, dense = "after", True

        def __init__(self):
            self.seen = 3

        def __call__(self, step, masks, weights, gradients):
            return None

        def state_dict(self):
            return {"seen": self.seen}

        def load_state_dict(self, state):
            self.seen = state["seen"]

    rule = Late()
    assert (moment_of(rule), is_dense(rule), remembered(rule)) == ("after", True, {"seen": 3})
    recall(rule, {"seen": 5})
    assert rule.seen == 5


@pytest.mark.parametrize("rule", [None, "static", 3])
def test_what_cannot_be_called_is_no_rule(rule):
    with pytest.raises(RequestError, match=r"rule: found .*, expected a function of"):
        moment_of(rule)


def test_a_rule_that_acts_at_another_moment_is_none():
    class Never:
        when = "never"

        def __call__(self, step, masks, weights, gradients):
            return None

    with pytest.raises(RequestError, match="is 'before' or 'after'"):
        moment_of(Never())


@pytest.mark.parametrize("rule", [static, gradual, lambda step, masks: None])
def test_what_cannot_be_called_as_a_rule_is_refused_when_the_optimizer_is_made(rule):
    with pytest.raises(
        RequestError, match=r"takes no \(step, masks, weights, gradients\); what makes a rule is called"
    ):
        sparse(rule)


def test_a_rule_may_act_at_every_step_and_grow_unless_it_says_otherwise():
    assert acts_at(ask, 7)
    assert grows(ask)
    assert not acts_at(static(), 7)
    assert not grows(static())
    rule = gradual(cubic(0.1, begin=4, until=16, every=3, initial=0.5), every=1)
    assert [step for step in range(30) if acts_at(rule, step)] == [4, 7, 10, 13, 16]
    assert not grows(rule)
    assert grows(gradual(relative(0.5), score=torch.abs))  # may look at a gradient

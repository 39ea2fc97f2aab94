import re

import pytest
import torch
from tests.search.genomes import EXAMPLES, labelled

from sparsewire.errors import RequestError
from sparsewire.search import limits
from sparsewire.search.costing import genome_cost
from sparsewire.search.limits import check_limits, exceeded, step_seconds

CHAIN, SHAPE = EXAMPLES["chain"], (1, 8, 8)
COST = genome_cost(CHAIN, SHAPE, 10)
NEEDED = {"parameters": COST.parameters, "multiply_adds": COST.multiply_adds, "memory": COST.training_bytes(7)}


@pytest.mark.parametrize("name", NEEDED)
def test_a_limit_is_the_most_that_is_allowed(name):
    assert exceeded(CHAIN, SHAPE, 10, batch=7, **{name: NEEDED[name]}) == ()
    (line,) = exceeded(CHAIN, SHAPE, 10, batch=7, **{name: NEEDED[name] - 1})
    assert re.fullmatch(rf"{name}: found {NEEDED[name]:,}.*, expected at most {NEEDED[name] - 1:,}", line)


def test_all_that_is_exceeded_is_told_in_one_error():
    check_limits(CHAIN, SHAPE, 10)
    check_limits(CHAIN, SHAPE, 10, **NEEDED, batch=7)
    with pytest.raises(
        RequestError, match=r"^parameters: found .*; multiply_adds: .* for an image.*; memory: .* bytes"
    ):
        check_limits(CHAIN, SHAPE, 10, parameters=1, multiply_adds=1, memory=1)


def test_only_memory_depends_on_the_batch():
    allowed = {"parameters": NEEDED["parameters"], "multiply_adds": NEEDED["multiply_adds"], "memory": NEEDED["memory"]}
    assert exceeded(CHAIN, SHAPE, 10, batch=7, **allowed) == ()
    assert [line.split(":")[0] for line in exceeded(CHAIN, SHAPE, 10, batch=8, **allowed)] == ["memory"]


def test_seconds_are_measured_on_a_small_step_first(monkeypatch):
    asked = []

    def told(genome, input_shape, classes, *, batch):
        asked.append(batch)
        return batch / 100

    monkeypatch.setattr(limits, "step_seconds", told)
    assert exceeded(CHAIN, SHAPE, 10, seconds=1, batch=80) == ()
    assert asked == [10, 80]
    lines = exceeded(CHAIN, SHAPE, 10, seconds=0.5, batch=80)
    assert lines == ("seconds: found 0.8 for a step of 80 images, expected at most 0.5",)
    asked.clear()
    lines = exceeded(CHAIN, SHAPE, 10, seconds=0.05, batch=80)
    assert lines == ("seconds: found 0.1 for a step of 10 images, expected at most 0.05",)
    assert asked == [10]
    asked.clear()
    assert exceeded(CHAIN, SHAPE, 10, seconds=0.05, parameters=1, batch=80)[0].startswith("parameters")
    assert asked == []


@pytest.mark.parametrize("batch", [1, 2, 20])
def test_a_step_is_really_measured(batch):
    before = torch.random.get_rng_state()
    assert 0 < step_seconds(CHAIN, SHAPE, 10, batch=batch, repeats=1) < 60
    assert torch.equal(before, torch.random.get_rng_state())
    assert exceeded(CHAIN, SHAPE, 10, seconds=60, batch=batch) == ()
    assert exceeded(CHAIN, SHAPE, 10, seconds=1e-9, batch=batch)[0].startswith("seconds: found")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameters": 0}, "parameters: found 0"),
        ({"parameters": 1e6}, "parameters: found 1000000.0"),
        ({"multiply_adds": -5}, "multiply_adds: found -5"),
        ({"memory": True}, "memory: found True"),
        ({"seconds": 0}, "seconds: found 0, expected a positive number"),
        ({"seconds": float("nan")}, "seconds: found nan"),
        ({"seconds": float("inf")}, "seconds: found inf"),
        ({"seconds": True}, "seconds: found True"),
        ({"seconds": "1"}, "seconds: found '1'"),
        ({"batch": 0}, "batch: found 0"),
        ({"classes": 0}, "classes: found 0"),
        ({"input_shape": (3, 8)}, "input_shape: found"),
        ({"genome": 3}, "genome: found int"),
    ],
)
def test_mistakes_are_told(change, message):
    arguments = {"genome": CHAIN, "input_shape": SHAPE, "classes": 10} | change
    for function in (exceeded, check_limits):
        with pytest.raises(RequestError, match=message):
            function(**arguments)


@pytest.mark.parametrize("change", [{"batch": 0}, {"repeats": 0}, {"repeats": 1.5}])
def test_mistakes_of_measuring_are_told(change):
    with pytest.raises(RequestError, match=f"{next(iter(change))}: found"):
        step_seconds(CHAIN, SHAPE, 10, **change)


def test_one_number_a_channel_is_too_little_to_learn_from():
    with pytest.raises(RequestError, match=r"^batch: found 1 image of 1 × 1, .* expected at least 2$"):
        step_seconds(CHAIN, (3, 1, 1), 10, batch=1)
    assert step_seconds(CHAIN, (3, 1, 1), 10, batch=2, repeats=1) > 0
    assert step_seconds(CHAIN, (3, 1, 2), 10, batch=1, repeats=1) > 0
    assert step_seconds(labelled("max_pool sum", (0, 1)), (3, 1, 1), 10, batch=1, repeats=1) > 0


def test_a_step_of_one_image_is_not_asked_for_two(monkeypatch):
    asked = []
    monkeypatch.setattr(limits, "step_seconds", lambda *_, batch: asked.append(batch) or 1)
    assert exceeded(CHAIN, SHAPE, 10, seconds=2, batch=1) == ()
    assert asked == [1]

"""Conditions: what people write is read as they mean it."""

import contextlib
import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sparsewire.errors import RequestError
from sparsewire.lab.storage.conditions import Comparison, Condition, condition


@pytest.mark.parametrize(
    ("text", "expected"),
    [("epochs>=5", ("epochs", ">=", 5)), (" a.b = 0.5 ", ("a.b", "=", 0.5)), ("a==1", ("a", "=", 1)),
     ("a!=true", ("a", "!=", True)), ("a=None", ("a", "=", None)), ("a=", ("a", "=", None)), ("a='5'", ("a", "=", "5")),
     ('a=""', ("a", "=", "")), ("reason~out of = memory", ("reason", "~", "out of = memory")), ("a~5", ("a", "~", "5")),
     ("a<-1e-3", ("a", "<", -1e-3)), ("a<=inf", ("a", "<=", math.inf)), ("a=[3, 2]", ("a", "=", "[3,2]")),
     ("a=[3", ("a", "=", "[3")), ("share at 10 > .5", ("share at 10", ">", 0.5)), ("a=1.2.3", ("a", "=", "1.2.3")),
     (f"a={'9' * 30}", ("a", "=", 1e30)), ("a=1_000", ("a", "=", "1_000"))],
)  # fmt: skip
def test_texts_and_what_they_say(text, expected):
    assert condition(text) == Condition(*expected)
    assert type(condition(text).value) is type(expected[2])


def test_nan_is_a_number():
    assert math.isnan(condition("loss=nan").value)


@pytest.mark.parametrize("text", ["", "a", "=5", "  >5", "~"])
def test_texts_that_say_nothing(text):
    with pytest.raises(RequestError, match="expected NAME=VALUE"):
        condition(text)


def test_conditions_that_cannot_be():
    with pytest.raises(RequestError, match="found the comparison 'is', expected one of = !="):
        Condition("a", "is", 1)
    with pytest.raises(RequestError, match="name: found ''"):
        Condition("", "=", 1)


@given(some.text(max_size=20))
def test_any_text_is_a_condition_or_refused(text):
    with contextlib.suppress(RequestError):
        found = condition(text)
        assert found.name in text
        assert found.comparison in get_args(Comparison)


@pytest.mark.parametrize("run", ["0123456789012345", "12345678e0123456", "1234567890123456", "b32df87e9aae13e4"])
def test_the_id_of_a_run_is_a_text_whatever_it_looks_like(run):
    assert condition(f"run={run}") == condition(f"run='{run}'") == Condition("run", "=", run)

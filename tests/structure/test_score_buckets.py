import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.structure.score_buckets import bucket, buckets


@pytest.mark.parametrize(
    ("size", "kept"),
    # ascending 1, 2, 3, 4 with the running sums 1, 3, 6, 10
    [(0, 4), (0.5, 4), (1, 3), (2.9, 3), (3, 2), (6, 1), (9.99, 1), (10, 0), (99, 0)],
)
def test_bucket_by_hand(size, kept):
    assert bucket(torch.tensor([[4.0, 1.0], [2.0, 3.0]]), size) == kept
    assert bucket({"a": torch.tensor([3.0]), "b": torch.tensor([1, 4, 2])}, size) == kept


@settings(deadline=None, max_examples=80)
@given(st.lists(st.integers(0, 9), max_size=20), st.integers(0, 100))
def test_bucket_is_filled_one_by_one(scores, size):
    left, room = sorted(scores), size
    while left and left[0] <= room:
        room -= left.pop(0)
    assert bucket(torch.tensor(scores), size) == len(left)


@pytest.mark.parametrize("scores", [[-1.0], [math.nan], [math.inf]])
def test_bucket_needs_sums_that_grow(scores):
    with pytest.raises(RequestError, match="scores: found"):
        bucket(torch.tensor(scores), 1)


@pytest.mark.parametrize("size", [-1, math.nan, math.inf, True])
def test_bucket_needs_a_size(size):
    with pytest.raises(RequestError, match="size: found"):
        bucket(torch.ones(3), size)


def test_bucket_of_nothing():
    assert bucket({}, 1) == 0


def test_buckets_say_the_density_of_what_a_bucket_leaves():
    scores = torch.tensor([4.0, 1.0, 2.0, 3.0])
    assert buckets(3)(scores, 4) == 0.5
    assert buckets(3)({"a": scores[:1], "b": scores[1:]}, 10) == 0.2


@pytest.mark.parametrize("size", [-1, math.nan, math.inf, True, "5"])
def test_buckets_need_a_size(size):
    with pytest.raises(RequestError, match="size: found"):
        buckets(size)


def test_buckets_need_a_total():
    with pytest.raises(RequestError, match="total: found 0"):
        buckets(1.0)(torch.ones(3), 0)

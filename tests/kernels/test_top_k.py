import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels.top_k import PIECE, _keep_elsewhere, keep_top, keep_top_of_rows

FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn]
SIGNED = [torch.int8, torch.int16, torch.int32, torch.int64]
UNSIGNED = [torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def slow_keep_top(scores: Tensor, count: int) -> Tensor:
    numbers = [number for row in scores.reshape(1, -1).tolist() for number in row]
    best = sorted(range(len(numbers)), key=lambda i: (-numbers[i], i))[:count]
    return torch.tensor([i in set(best) for i in range(len(numbers))], dtype=torch.bool).view(scores.shape)


def assert_same_mask(found: Tensor, expected: Tensor) -> None:
    assert found.dtype == torch.bool
    assert found.shape == expected.shape
    assert torch.equal(found.cpu(), expected)


def test_ties_go_to_the_lower_flat_index():
    # 3 is there three times; one 3 of flat index 1 and one of index 2 are kept, that of index 3 is not.
    assert keep_top(torch.tensor([[1.0, 3.0], [3.0, 3.0]]), 2).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", FLOATS + SIGNED + UNSIGNED, ids=str)
def test_equals_the_first_of_a_stable_sort(dtype, device):
    generator = torch.Generator().manual_seed(0)
    low = 0 if dtype in UNSIGNED else -4
    for size in (1, 2, 7, 60):
        scores = torch.randint(low, 5, (size,), generator=generator).to(dtype)
        for count in {0, 1, size // 3, size // 2, size - 1, size}:
            assert_same_mask(keep_top(scores.to(device), count), slow_keep_top(scores, count))


@pytest.mark.parametrize("size", [2**15 + 777, 2 * PIECE + 5])  # where the digits get longer, and of several pieces
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int32, torch.int64], ids=str)
def test_equals_a_stable_argsort_on_long_rows(dtype, size):
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(size, generator=generator, dtype=torch.float64)
    scores = (scores * 1e8).to(dtype) if not dtype.is_floating_point else scores.to(dtype)
    scores[torch.randperm(size, generator=generator)[: size // 2]] = scores[0].clone()
    for count in (1, size // 20, size // 2, size - 3):
        best = torch.argsort(scores, descending=True, stable=True)[:count]
        expected = torch.zeros(size, dtype=torch.bool).index_fill(0, best, True)
        assert_same_mask(keep_top(scores, count), expected)


@pytest.mark.parametrize("value", [0.0, -math.inf, math.inf, -1.5])
def test_where_all_are_equal_the_first_are_kept(value):
    for size in (5, 70_000):
        assert keep_top(torch.full((size,), value), 3).nonzero().flatten().tolist() == [0, 1, 2]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.floats(allow_nan=False, width=32) | st.sampled_from([0.0, -0.0, 1.0]), max_size=40),
    st.floats(0, 1),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_any_floats_infinite_subnormal_and_signed_zeros(numbers, fraction, dtype):
    scores, count = torch.tensor(numbers, dtype=dtype), int(fraction * len(numbers))
    assert_same_mask(keep_top(scores, count), slow_keep_top(scores, count))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20), st.floats(0, 1))
def test_any_integers_without_loss(numbers, fraction):
    count = int(fraction * len(numbers))
    signed = torch.tensor(numbers)
    assert_same_mask(keep_top(signed, count), slow_keep_top(signed, count))
    unsigned = signed.view(torch.uint64)
    assert_same_mask(keep_top(unsigned, count), slow_keep_top(unsigned, count))


def test_signed_zeros_are_equal():
    assert keep_top(torch.tensor([-0.0, 0.0]), 1).tolist() == [True, False]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 6), st.integers(0, 9), st.floats(0, 1), st.integers(0, 999))
def test_each_row_is_a_keep_top_by_itself(rows, columns, fraction, seed):
    scores = torch.randint(0, 4, (rows, columns), generator=torch.Generator().manual_seed(seed)).float()
    count = int(fraction * columns)
    found = keep_top_of_rows(scores, count)
    expected = torch.stack([slow_keep_top(row, count) for row in scores]) if rows else torch.zeros(scores.shape).bool()
    assert_same_mask(found, expected)
    if rows and columns:  # what other devices run
        assert_same_mask(_keep_elsewhere(scores, count), expected)


def test_other_devices_refuse_nan_too():
    with pytest.raises(RequestError, match="NaN"):
        _keep_elsewhere(torch.tensor([[1.0, math.nan]]), 1)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (2, 3, 4)])
def test_any_shape(shape):
    scores = torch.ones(shape)
    assert keep_top(scores, 0).shape == shape
    assert not keep_top(scores, 0).any()
    assert keep_top(scores, scores.numel()).all()


def test_flat_index_is_that_of_the_logical_order_not_of_the_memory():
    scores = torch.tensor([[1.0, 2.0], [2.0, 1.0]]).t().flip(0)
    assert not scores.is_contiguous()
    assert_same_mask(keep_top(scores, 1), slow_keep_top(scores, 1))


def test_scores_are_left_alone_and_may_need_gradients():
    scores = torch.tensor([3.0, -0.0, 2.0], requires_grad=True)
    assert keep_top(scores, 1).tolist() == [True, False, False]
    assert math.copysign(1, scores.tolist()[1]) == -1


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_nan_is_refused(dtype, count):
    with pytest.raises(RequestError, match="scores: found NaN"):
        keep_top(torch.tensor([math.nan, 1.0]).to(dtype), count)


@pytest.mark.parametrize("count", [-1, 4, True, 1.0, None])
def test_an_impossible_count_is_refused(count):
    with pytest.raises(RequestError, match=r"count: found .* from 0 to 3"):
        keep_top(torch.ones(3), count)


@pytest.mark.parametrize("scores", [torch.ones(2, dtype=torch.complex64), torch.eye(2).to_sparse()])
def test_scores_without_an_order_are_refused(scores):
    with pytest.raises(RequestError, match="scores: found"):
        keep_top(scores, 1)

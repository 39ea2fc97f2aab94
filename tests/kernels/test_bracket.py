import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels import bracket, native
from sparsewire.kernels.bracket import SHORTEST, is_for, mask_from, threshold_of
from sparsewire.kernels.top_k import _keep, _place_by_digits, keep_top

pytestmark = pytest.mark.skipif(
    not native.is_at_hand(), reason="the native library was not built; nothing here would run"
)
DTYPES = [torch.float32, torch.float64]
SIZE = 3 * SHORTEST + 13  # not a whole number of vectors


def spread(kind: str, size: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    normal = torch.randn(size, generator=generator, dtype=torch.float64)
    made = {
        "normal": normal,
        "absolute": normal.abs(),
        "pruned": torch.where(torch.rand(size, generator=generator) < 0.9, -math.inf, normal.abs()),
        "few values": normal.round(),
        "two zeros": torch.where(normal > 0, 0.0, -0.0),
        "rising": torch.arange(size, dtype=torch.float64),
        "falling": -torch.arange(size, dtype=torch.float64),
        "periodic": (torch.arange(size) % 64).double(),
        "heavy tails": normal.exp().pow(20),
        "infinite": torch.where(normal > 1, math.inf, torch.where(normal < -1, -math.inf, normal)),
        "one apart": torch.nn.functional.one_hot(torch.tensor(size - 2), size).double(),
        "subnormal": normal * 1e-43,
    }
    return made[kind].to(dtype)


KINDS = ["normal", "absolute", "pruned", "few values", "two zeros", "rising", "falling", "periodic", "heavy tails"]
KINDS += ["infinite", "one apart", "subnormal"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_mask_is_that_of_the_plain_way(kind, dtype):
    values = spread(kind, SIZE, dtype)
    for count in (1, 2, SIZE // 100, SIZE // 10, SIZE // 2, SIZE - 7, SIZE - 1, SIZE):
        threshold = threshold_of(values, count)
        assert threshold is not None, "all of these are of the kinds that a bracket is found for"
        assert threshold == np.sort(values.numpy())[SIZE - count]
        assert torch.equal(mask_from(values, threshold, count), _keep(values[None], count, _place_by_digits)[0])
        assert torch.equal(keep_top(values, count), mask_from(values, threshold, count))


def test_a_sample_that_misleads_is_noticed_and_the_mask_is_exact_all_the_same():
    places = torch.randint(SIZE, (SIZE // 32,), generator=torch.Generator().manual_seed(0))  # as the sample is drawn
    values = torch.rand(SIZE, generator=torch.Generator().manual_seed(1))
    values[places] -= 5  # the sample sees small numbers only
    count = SIZE // 2
    assert threshold_of(values, count) is None
    assert torch.equal(keep_top(values, count), _keep(values[None], count, _place_by_digits)[0])


def test_too_many_between_the_bounds_is_noticed_as_well(monkeypatch):
    monkeypatch.setattr(bracket, "_bounds", lambda values, place: (-math.inf, math.inf))
    values = spread("normal", SIZE, torch.float32)
    assert threshold_of(values, SIZE // 3) is None
    assert int(keep_top(values, SIZE // 3).sum()) == SIZE // 3


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("place", [0, 17, SIZE - 1])
def test_nan_is_seen_wherever_it_is(place, dtype):
    values = spread("normal", SIZE, dtype)
    values[place] = math.nan
    assert math.isnan(threshold_of(values, 5) or 0.0)
    with pytest.raises(RequestError, match="scores: found NaN"):
        keep_top(values, 5)
    with pytest.raises(RequestError, match="scores: found NaN"):
        keep_top(values, 0)


def test_the_mask_is_the_same_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(bracket, "_A_THREAD", 1000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for kind in ("normal", "pruned", "few values", "two zeros"):
        values = spread(kind, SIZE, torch.float32)
        for count in (1, SIZE // 5, SIZE - 3):
            expected = _keep(values[None], count, _place_by_digits)[0]
            assert torch.equal(keep_top(values, count), expected), kind


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=6),
    st.integers(0, 999),
    st.floats(0, 1),
    st.sampled_from(DTYPES),
)
def test_any_few_numbers_in_any_mixture(numbers, seed, fraction, dtype):
    drawn = torch.randint(len(numbers), (SHORTEST + 5,), generator=torch.Generator().manual_seed(seed))
    values = torch.tensor(numbers, dtype=dtype)[drawn]
    count = int(fraction * len(values))
    assert torch.equal(keep_top(values, count), _keep(values[None], count, _place_by_digits)[0])


def test_expanded_and_transposed_scores_too():
    assert int(keep_top(torch.ones(1).expand(SIZE), 9).sum()) == 9
    scores = spread("normal", 2 * SHORTEST, torch.float32).view(2, -1).t()
    assert torch.equal(keep_top(scores, 99), _keep(scores.reshape(1, -1), 99, _place_by_digits).view(scores.shape))


def test_others_go_the_plain_way():
    assert is_for(torch.ones(SHORTEST))
    assert not is_for(torch.ones(SHORTEST - 1))
    assert not is_for(torch.ones(SHORTEST, dtype=torch.int32))

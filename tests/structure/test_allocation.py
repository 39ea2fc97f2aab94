import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.allocation import (
    SCOPES,
    Layer,
    blind,
    budgets,
    checked_density,
    count_of,
    distributed,
    distributed_with_zeros,
    erk,
    nearest_set_bits,
    share,
    sums_of_multiples,
    uniform,
    uniform_amount,
)


def layer(weight, live=None, scores=None):
    """A layer of single weights, scored by magnitude unless told."""
    live = torch.ones_like(weight, dtype=torch.bool) if live is None else live
    scores = weight.abs() if scores is None else scores
    return Layer(weight, live, torch.where(live, scores.float(), -math.inf), int(live.sum()))


def layers_of(*shapes):
    generator = torch.Generator().manual_seed(0)
    return {str(i): layer(torch.randn(shape, generator=generator)) for i, shape in enumerate(shapes)}


@st.composite
def some_layers(draw):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    layers = {}
    for i in range(draw(st.integers(1, 5))):
        shape = draw(st.tuples(st.integers(0, 6), st.integers(0, 6)))
        weight = torch.randint(-2, 3, shape, generator=generator).float()  # few values: many ties
        layers[str(i)] = layer(weight, torch.rand(shape, generator=generator) < draw(st.floats(0, 1)))
    return layers


@pytest.mark.parametrize("allocate", SCOPES.values(), ids=SCOPES)
@settings(deadline=None, max_examples=60)
@given(some_layers(), st.floats(0, 1))
def test_counts_are_exact_and_within_what_each_layer_has(allocate, layers, fraction):
    total = int(fraction * sum(part.room for part in layers.values()))
    counts = allocate(layers, total)
    assert list(counts) == list(layers)
    assert sum(counts.values()) == total
    assert all(0 <= counts[name] <= layers[name].room for name in layers)


def test_blind_is_one_ranking_with_ties_to_the_lower_index_over_the_layers():
    layers = {"a": layer(torch.tensor([[1.0, 5.0]])), "b": layer(torch.tensor([[5.0, 5.0, 2.0]]))}
    # ranking: a1 = 5, b0 = 5, b1 = 5, b2 = 2, a0 = 1
    assert [blind(layers, total) for total in range(6)] == [
        {"a": 0, "b": 0},
        {"a": 1, "b": 0},
        {"a": 1, "b": 1},
        {"a": 1, "b": 2},
        {"a": 1, "b": 3},
        {"a": 2, "b": 3},
    ]


def test_uniform_rounds_by_largest_remainder_with_ties_to_the_earlier_layer():
    layers = layers_of((1, 3), (1, 3), (1, 4))
    # 5 of 10: shares 1.5, 1.5, 2 → 1, 1, 2 and one more for the first of the two equal remainders
    assert uniform(layers, 5) == {"0": 2, "1": 1, "2": 2}
    # 7 of 10: shares 2.1, 2.1, 2.8 → the last has the largest remainder
    assert uniform(layers, 7) == {"0": 2, "1": 2, "2": 3}


def test_uniform_spreads_what_a_layer_cannot_give_any_more():
    layers = layers_of((1, 10), (1, 10), (1, 20))
    layers["0"] = layers["0"]._replace(room=2)
    # 20 of 40 would be 5, 5, 10; the first gives 2, so 18 are shared as 6 : 12
    assert uniform(layers, 20) == {"0": 2, "1": 6, "2": 12}


def test_uniform_amount_removes_as_many_from_each_layer_while_it_has_some():
    layers = layers_of((1, 10), (1, 20), (1, 30))
    assert uniform_amount(layers, 60 - 15) == {"0": 5, "1": 15, "2": 25}
    assert uniform_amount(layers, 60 - 16) == {"0": 4, "1": 15, "2": 25}  # 16 = 6 + 5 + 5, the earlier layer first
    # 40 removed would be 13.3 of each; the first has 10 only, so 15 of each other
    assert uniform_amount(layers, 60 - 40) == {"0": 0, "1": 5, "2": 15}


def test_distributed_divides_by_the_deviation_of_the_live_signed_weights():
    # a: mean 0, deviation 1;  b: mean 0, deviation √((36 + 36 + 64 + 64) / 4) = √50
    a, b = torch.tensor([[1.0, -1.0]]), torch.tensor([[6.0, -6.0, 8.0, -8.0]])
    assert distributed({"a": layer(a), "b": layer(b)}, 2) == {"a": 0, "b": 2}  # 8 / √50 = 1.13 > 1
    assert distributed({"a": layer(a), "b": layer(b)}, 4) == {"a": 2, "b": 2}  # 6 / √50 = 0.85 < 1
    assert blind({"a": layer(a), "b": layer(b)}, 4) == {"a": 0, "b": 4}
    # the pruned 100 is left out of the deviation: else b's would be about 40 and its scores the smallest
    b, live = torch.tensor([[6.0, -6.0, 8.0, -8.0, 100.0]]), torch.tensor([[True] * 4 + [False]])
    assert distributed({"a": layer(a), "b": layer(b, live)}, 2) == {"a": 0, "b": 2}


def test_distributed_uses_signed_weights_not_magnitudes():
    # magnitudes of a do not deviate at all, its signed weights do by 1
    a, b = torch.tensor([[1.0, -1.0]]), torch.tensor([[3.0, 1.0, -1.0, -3.0]])  # b: deviation √5
    assert distributed({"a": layer(a), "b": layer(b)}, 3) == {"a": 1, "b": 2}  # 3/√5 = 1.34 > 1 > 1/√5


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_distributed_ranks_a_layer_without_deviation_above_all(scale):
    a, b = torch.full((1, 3), scale), torch.tensor([[1e6, -1e6]])
    assert distributed({"b": layer(b), "a": layer(a)}, 3) == {"b": 0, "a": 3}


def test_distributed_keeps_what_is_dead_below_what_scores_worst():
    a = layer(torch.ones(1, 4), torch.tensor([[False, True, True, False]]), torch.tensor([[0.0, -1.0, -2.0, 0.0]]))
    assert distributed({"a": a, "b": layer(torch.tensor([[1.0, 2.0]]))}, 4) == {"a": 2, "b": 2}


def test_distributed_with_zeros_counts_what_is_pruned_as_zero():
    # a: 6, -6 and two pruned: mean 0, σ² = 72 / 3 = 24;  b: 3, -3, 1, -1: σ² = 20 / 3
    a, live = torch.tensor([[6.0, -6.0, 50.0, 90.0]]), torch.tensor([[True, True, False, False]])
    layers = {"a": layer(a, live), "b": layer(torch.tensor([[3.0, -3.0, 1.0, -1.0]]))}
    # 6 / √24 = 1.22 and 3 / √(20 / 3) = 1.16, 0.39; live ones alone: 6 / 6 = 1 and 3 / √5 = 1.34
    assert distributed_with_zeros(layers, 2) == {"a": 2, "b": 0}
    assert distributed(layers, 2) == {"a": 0, "b": 2}
    assert distributed_with_zeros(layers, 4) == {"a": 2, "b": 2}


def test_distributed_with_zeros_takes_the_deviation_that_torch_and_the_reference_take():
    # two equal layers but for their size: σ² = 2 / 1 and 4 / 3, so the larger one ranks above
    layers = {"a": layer(torch.tensor([[1.0, -1.0]])), "b": layer(torch.tensor([[1.0, -1.0, 1.0, -1.0]]))}
    assert distributed_with_zeros(layers, 4) == {"a": 0, "b": 4}
    assert distributed(layers, 4) == {"a": 2, "b": 2}
    alone = {"b": layers["b"], "one": layer(torch.tensor([[1e-3]])), "none": layer(torch.zeros(0, 3))}
    assert distributed_with_zeros(alone, 1) == {"b": 0, "one": 1, "none": 0}


def test_erk_by_hand():
    # (100, 10): 110 · ε;  conv (4, 2, 5, 5): 16 · ε;  (10, 4): 14 · ε;  70 = 140 ε / 2, so ε = 0.5
    counts = erk(layers_of((100, 10), (4, 2, 5, 5), (10, 4)), 70)
    assert counts == {"0": 55, "1": 8, "2": 7}


def test_erk_keeps_small_layers_whole_and_rescales_the_others():
    # the sums of the dimensions are 200, 110 and 4: the last would get 604 · 4 / 314 = 7.7 of its 4 weights
    layers = layers_of((100, 100), (100, 10), (2, 2))
    # so it stays whole, and 600 are shared as 200 : 110 → 387.10, 212.90
    assert erk(layers, 604) == {"0": 387, "1": 213, "2": 4}


def test_erk_equals_its_equation():
    shapes = [(300, 784), (100, 300), (10, 100), (16, 3, 5, 5)]
    layers = {str(i): layer(torch.zeros(shape)) for i, shape in enumerate(shapes)}
    size = sum(math.prod(shape) for shape in shapes)
    total = size // 5
    whole = set()
    while True:  # the derivation of Evci et al.: fix at 1 what exceeds it, and solve for ε again
        rest = total - sum(math.prod(shapes[i]) for i in whole)
        epsilon = rest / sum(sum(shapes[i]) for i in range(4) if i not in whole)
        over = {i for i in range(4) if i not in whole and epsilon * sum(shapes[i]) / math.prod(shapes[i]) > 1}
        if not over:
            break
        whole |= over
    assert whole  # the case is not trivial
    expected = [math.prod(s) if i in whole else epsilon * sum(s) for i, s in enumerate(shapes)]
    assert [*erk(layers, total).values()] == [pytest.approx(count, abs=1) for count in expected]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=6), st.floats(0, 1))
def test_share_is_proportional_up_to_the_rooms(sizes, fraction):
    layers = {str(i): Layer(None, None, None, room) for i, (room, _) in enumerate(sizes)}
    rates = [Fraction(rate, 3) for _, rate in sizes]
    total = int(fraction * sum(room for room, _ in sizes))
    counts = list(share(total, rates, layers).values())
    assert sum(counts) == total
    # slow: raise one factor in small steps until the capped shares add up to the total
    low, high = Fraction(0), Fraction(100)
    for _ in range(60):
        middle = (low + high) / 2
        enough = sum(min(middle * rate, room) for rate, (room, _) in zip(rates, sizes, strict=True)) >= total
        low, high = (low, middle) if enough else (middle, high)
    for count, rate, (room, _) in zip(counts, rates, sizes, strict=True):
        assert abs(count - min(high * rate, Fraction(room))) < 1 + Fraction(1, 10**6)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=4))
def test_sums_of_multiples_are_all_sums(pairs):
    found = sums_of_multiples([step for step, _ in pairs], [most for _, most in pairs])
    sums = {0}
    for i, (step, most) in enumerate(pairs):
        assert found[i] == sum(1 << total for total in sums)
        sums = {total + times * step for total in sums for times in range(most + 1)}
    assert found[-1] == sum(1 << total for total in sums)


@pytest.mark.parametrize(("place", "nearest"), [(0, [0]), (1, [0, 4]), (3, [0, 4]), (5, [4, 6]), (9, [6])])
def test_nearest_set_bits(place, nearest):
    assert sorted({*nearest_set_bits(0b1010001, place)}) == nearest


@pytest.mark.parametrize(
    ("density", "total", "count"),
    [(0.25, 10, 3), (0.5, 5, 3), (0.1, 266_200, 26_620), (0, 7, 0), (1, 7, 7), (0.05, 9, 0), (0.35, 10, 4), (1, 0, 0)],
)
def test_counts_are_rounded_half_up(density, total, count):
    assert count_of(density, total) == count


@pytest.mark.parametrize(
    "density", [-0.01, 1.01, math.nan, math.inf, True, "0.5", None, torch.ones(2), torch.tensor(True), 1j]
)
def test_an_impossible_density_is_refused(density):
    with pytest.raises(RequestError, match=r"fraction kept: found .* from 0 to 1"):
        checked_density(density, "fraction kept")


@pytest.mark.parametrize(
    "density", [0, 1, 0.5, Fraction(1, 2), np.float32(0.5), np.int64(1), np.array(0.5), torch.tensor(0.5)]
)
def test_any_real_number_is_a_density(density):
    assert checked_density(density) == float(density)


NAMES = ["encoder.0.weight", "encoder.1.weight", "head.weight"]


def test_a_named_scope_is_one_budget_for_all():
    [(names, density, allocate)] = budgets("erk", NAMES, 0.3)
    assert (list(names), density, allocate) == (NAMES, 0.3, erk)


def test_a_mapping_is_one_budget_for_each_layer():
    found = budgets({"*": 0.9, "encoder.*": 0.8, "encoder.1.weight": 0.1}, NAMES, 0.3)
    # an exact name comes first, then the first pattern that fits
    assert [(list(names), density) for names, density, _ in found] == [
        (NAMES[:1], 0.9),
        (NAMES[1:2], 0.1),
        (NAMES[2:], 0.9),
    ]
    found = budgets({"encoder.*": 0.8}, NAMES, 0.3)
    assert [density for _, density, _ in found] == [0.8, 0.8, 0.3]


def test_what_is_no_scope_is_refused():
    with pytest.raises(UnknownNameError, match=r"no scope is named 'unifrom'; did you mean 'uniform'"):
        budgets("unifrom", NAMES, 0.3)
    with pytest.raises(UnknownNameError, match=r"no selected layer is named 'hed.weight'; did you mean 'head.weight'"):
        budgets({"hed.weight": 0.5}, NAMES, 0.3)
    with pytest.raises(RequestError, match=r"scope\['head.weight'\]: found 2"):
        budgets({"head.weight": 2}, NAMES, 0.3)
    with pytest.raises(RequestError, match=r"scope: found 0.5, expected one of blind, uniform"):
        budgets(0.5, NAMES, 0.3)

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.training import surgery
from sparsewire.training.surgery import damped, refitted, removal_costs


def problem(seed, rows, inputs, samples=40):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(inputs, inputs, generator=generator, dtype=torch.float64)
    seen = torch.randn(samples, inputs, generator=generator, dtype=torch.float64) @ mixing
    weights = torch.randn(rows, inputs, generator=generator, dtype=torch.float64)
    return weights, damped((seen.T @ seen / samples)[None], 1e-3, "w")[0], seen


def everything(weights):
    return torch.ones_like(weights, dtype=torch.bool)


def slowly(row, moments, live):
    """One removal after the other as the papers write it, with an inverse that is computed anew each time."""
    left, there, costs, highest = row.clone(), live.clone(), torch.zeros_like(row), 0.0
    order = []
    while there.any():
        places = there.nonzero().flatten()
        inverse = torch.linalg.inv(moments[places][:, places])
        cost = 0.5 * left[places] ** 2 / inverse.diagonal()
        least = int(cost.argmin())
        left[places] -= left[places[least]] / inverse[least, least] * inverse[:, least]
        there[places[least]] = False
        left[places[least]] = 0
        highest = max(highest, float(cost[least]))
        costs[places[least]] = highest
        order.append(left.clone())
    return costs, order


@pytest.mark.parametrize("seed", range(4))
def test_the_costs_are_those_of_one_removal_after_the_other(seed):
    weights, moments, _ = problem(seed, rows=3, inputs=7)
    live = everything(weights)
    if seed % 2:
        live = torch.rand(3, 7, generator=torch.Generator().manual_seed(seed)) < 0.6
        weights = torch.where(live, weights, 0)
    costs = removal_costs(weights, moments, live, at_once=1, block=99)
    for row in range(3):
        expected, left = slowly(weights[row], moments, live[row])
        torch.testing.assert_close(costs[row], expected)
        assert (costs[row][~live[row]] == 0).all()
        order = costs[row].masked_fill(~live[row], 9e9).argsort(stable=True)
        assert len(set(costs[row][live[row]].tolist())) == int(live[row].sum())  # no ties: the order is known
        for removed, exact in enumerate(left[:-1], start=1):
            kept = live[row].clone()
            kept[order[:removed]] = False
            torch.testing.assert_close(refitted(weights[row : row + 1], moments, kept[None])[0], exact)


def test_costs_by_hand():
    # H = [[2, 1], [1, 2]], its inverse [[2, -1], [-1, 2]] / 3; w = (1, 2): ½ w² · 3 / 2 = 0.75 and 3
    # without the first the second is 2 − 1 / (2/3) · (−1/3) = 2.5, alone with H = 2: ½ · 2.5² · 2 = 6.25
    moments = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    weights = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    costs = removal_costs(weights, moments, everything(weights), at_once=1, block=2)
    torch.testing.assert_close(costs, torch.tensor([[0.75, 6.25]], dtype=torch.float64))
    apart = removal_costs(weights, moments, everything(weights), at_once=1, block=1)
    torch.testing.assert_close(apart, torch.tensor([[1.0, 4.0]], dtype=torch.float64))  # ½ w² H_jj


@pytest.mark.parametrize("at_once", [1, 2, 3, 99])
def test_of_several_at_once_the_costs_add_up_to_the_whole_loss(at_once):
    # all costs of a row that never had to be raised are those of going from w to 0: ½ wᵀ H w
    weights, moments, _ = problem(1, rows=5, inputs=6)
    costs = removal_costs(weights, moments, everything(weights), at_once, block=6)
    whole = 0.5 * (weights @ moments * weights).sum(1)
    assert (costs.sum(1) >= whole * (1 - 1e-9)).all()
    assert (costs > 0).all()


def test_memory_is_bounded_by_taking_rows_in_turns(monkeypatch):
    weights, moments, _ = problem(2, rows=9, inputs=5)
    kept = torch.rand(9, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    expected = removal_costs(weights, moments, everything(weights), 1, 5), refitted(weights, moments, kept)
    monkeypatch.setattr(surgery, "ROOM", 50)  # two rows together
    torch.testing.assert_close(removal_costs(weights, moments, everything(weights), 1, 5), expected[0])
    torch.testing.assert_close(refitted(weights, moments, kept), expected[1])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 6))
def test_refitted_rows_are_least_squares_solutions(seed, rows, inputs):
    weights, _, seen = problem(seed, rows, inputs)
    moments = seen.T @ seen / len(seen)
    kept = torch.rand(rows, inputs, generator=torch.Generator().manual_seed(seed)) < 0.5
    fitted = refitted(weights, moments, kept)
    assert (fitted[~kept] == 0).all()
    for row in range(rows):
        if kept[row].any():
            solution = torch.linalg.lstsq(seen[:, kept[row]], seen @ weights[row]).solution
            torch.testing.assert_close(fitted[row][kept[row]], solution, rtol=1e-5, atol=1e-7)


def test_a_row_that_keeps_everything_is_not_touched():
    weights, moments, _ = problem(0, rows=2, inputs=4)
    kept = everything(weights)
    kept[1, 0] = False
    assert torch.equal(refitted(weights, moments, kept)[0], weights[0])
    assert not torch.equal(refitted(weights, moments, kept)[1], weights[1])


def test_the_first_removal_is_the_best_of_all():
    weights, moments, _ = problem(3, rows=1, inputs=6)
    first = int(removal_costs(weights, moments, everything(weights), 1, 6).argmin())
    losses = []
    for place in range(6):
        kept = everything(weights)
        kept[0, place] = False
        change = refitted(weights, moments, kept) - weights
        losses.append(float((change @ moments * change).sum()))
    assert losses[first] == min(losses)


def test_inputs_that_depend_on_each_other_need_damping():
    twice = torch.tensor([[[1.0, 1.0], [1.0, 1.0]]], dtype=torch.float64)
    with pytest.raises(RequestError, match=r"damping: found 0.0, but the inputs of 'a.weight' depend on each other"):
        damped(twice, 0.0, "a.weight")
    assert damped(twice, 0.5, "a.weight").tolist() == [[[1.5, 1.0], [1.0, 1.5]]]
    assert damped(twice * 0, 0.5, "a.weight").tolist() == [[[0.5, 0.0], [0.0, 0.5]]]  # inputs that are all zero
    with pytest.raises(RequestError, match=r"data: found NaN or infinity in the inputs of 'a.weight'"):
        damped(twice * float("nan"), 0.5, "a.weight")

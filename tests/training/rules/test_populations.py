import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.training.rules.populations import Population, bernoulli

MASKS = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]).bool()


def test_the_fittest_is_worn_and_the_weakest_goes():
    population = Population(MASKS)
    # sums: 3, 5, 7 → the last; then 3, −1, −3 → the first is best, the last goes
    assert population.wear(torch.tensor([1.0, 2.0, 3.0, 4.0])).tolist() == MASKS[2].tolist()
    values = torch.tensor([4.0, -1.0, 0.0, -3.0])
    assert population.wear(values).tolist() == MASKS[0].tolist()
    population.drop(values)
    assert (population.numbers, population.worn, population.is_decided) == ([0, 1], 0, False)
    population.drop(values)
    assert population.is_decided
    population.drop(values)
    assert population.numbers == [0]
    assert population.wear(-values) is None


def test_of_equals_the_first_is_worn_and_the_last_goes():
    population = Population(MASKS)
    assert population.wear(torch.ones(4)).tolist() == MASKS[0].tolist()
    population.drop(torch.ones(4))
    assert population.numbers == [0, 1]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 20), st.integers(0, 100))
def test_one_product_chooses_what_a_loop_over_masks_chooses(count, places, seed):
    source = torch.Generator().manual_seed(seed)
    masks = torch.rand(count, places, generator=source) < 0.5
    population, left, worn = Population(masks), list(range(count)), -1
    for _ in range(count + 1):
        values = torch.randint(-50, 50, (places,), generator=source).double()  # whose sums are exact in any order
        sums = [float(values[masks[number]].sum()) for number in left]
        best = left[max(range(len(left)), key=lambda place: (sums[place], -place))]
        answer = population.wear(values)
        assert (answer is None) == (best == worn)
        assert answer is None or torch.equal(answer, masks[best])
        worn = best
        population.drop(values)
        if len(left) > 1:
            del left[min(range(len(left)), key=lambda place: (sums[place], -place))]
        assert (population.numbers, population.worn) == (left, worn)


def test_what_is_kept_is_a_bit_a_place_and_comes_back():
    population = Population(torch.rand(5, 13, generator=torch.Generator().manual_seed(0)) < 0.5)
    values = torch.randn(13, generator=torch.Generator().manual_seed(1))
    population.wear(values)
    population.drop(values)
    state = population.state()
    assert (state["bits"].dtype, state["bits"].shape) == (torch.uint8, (4, 2))
    twin = Population.restored(state)
    assert (twin.numbers, twin.worn, twin.places) == (population.numbers, population.worn, 13)
    for _ in range(4):
        values = -values.roll(1)
        one, other = population.wear(values), twin.wear(values)
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)
        population.drop(values)
        twin.drop(values)
    assert population.numbers == twin.numbers


STATE = Population(MASKS).state()
BAD = {
    "empty": {},
    "another dtype": STATE | {"bits": STATE["bits"].int()},
    "too few numbers": STATE | {"numbers": [0]},
    "more places than bits": STATE | {"places": 9},
    "no masks": STATE | {"bits": STATE["bits"][:0], "numbers": []},
    "a worn text": STATE | {"worn": "0"},
}


@pytest.mark.parametrize("state", BAD.values(), ids=BAD)
def test_what_is_no_population_is_refused(state):
    with pytest.raises(RequestError, match=r"rule: found a memory of \[.*\] that is no population of masks"):
        Population.restored(state)


def test_masks_are_drawn_within_the_frame_place_by_place():
    frame = torch.ones(100, 100).bool()
    frame[0] = False
    drawn = bernoulli(frame, 0.3, 4, torch.Generator().manual_seed(0))
    assert drawn.shape == (4, 10_000)
    assert not drawn[:, :100].any()
    shares = drawn[:, 100:].double().mean(1)
    assert ((shares - 0.7).abs() < 0.02).all()  # four standard deviations
    assert len(set(shares.tolist())) > 1  # approximately, not exactly, so many
    assert not bernoulli(frame, 1.0, 2, torch.Generator()).any()
    assert torch.equal(bernoulli(frame, 0.0, 1, torch.Generator())[0], frame.flatten())


def test_sums_are_made_in_the_values_own_precision():
    masks = torch.tensor([[True, False], [False, True]])
    close = torch.tensor([1.0, 1.0 + 1e-12], dtype=torch.float64)
    assert Population(masks).wear(close).tolist() == [False, True]
    assert Population(masks).wear(torch.tensor([1.0, 2.0]).bfloat16()).tolist() == [False, True]

"""Clash-free patterns: every law that a memory, a neuron and an edge must keep, for every kind and size."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.structure.degrees import fan_out_step
from sparsewire.structure.priors import interleaved
from sparsewire.structure.priors.interleavers import read_order

KINDS = [(kind, dither) for kind in (1, 2, 3) for dither in (False, True)]
# Left, right, fan-out, memories: right neurons inside a sweep, across two, nearly all of both; one memory, as many as
# neurons; one neuron.
CASES = [
    (12, 8, 2, 4),
    (12, 8, 2, 1),
    (12, 8, 2, 12),
    (12, 9, 3, 4),
    (12, 9, 6, 4),
    (12, 11, 11, 4),
    (8, 6, 3, 4),
    (10, 15, 12, 5),
    (20, 25, 20, 4),
    (16, 17, 17, 8),
    (9, 6, 4, 3),
    (30, 20, 18, 10),
    (6, 1, 1, 2),
    (1, 5, 5, 1),
    (64, 24, 9, 8),
]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_lawful(case: tuple[int, int, int, int], kind: int, dither: bool, seed: int) -> None:
    n_in, n_out, fan_out, memories = case
    fan_in, depth = n_in * fan_out // n_out, n_in // memories
    order = read_order(*case, kind=kind, dither=dither, generator=seeded(seed))
    cycles = order.reshape(-1, memories)
    # Clash-free: in every cycle each memory is read once.
    assert torch.equal((cycles % memories).sort(dim=1).values, torch.arange(memories).expand(len(cycles), -1))
    # In every sweep each left neuron is read once.
    sweeps = order.reshape(fan_out, n_in)
    assert torch.equal(sweeps.sort(dim=1).values, torch.arange(n_in).expand(fan_out, -1))
    # No right neuron gets an edge twice.
    by_neuron = order.reshape(n_out, fan_in).sort(dim=1).values
    assert (by_neuron[:, 1:] > by_neuron[:, :-1]).all()
    if not dither:
        assert torch.equal(cycles % memories, torch.arange(memories).expand(len(cycles), -1))
    if kind > 1:  # each memory is read upwards, and round
        by_memory = sweeps.reshape(fan_out, depth, memories)
        by_memory = by_memory.gather(2, (by_memory % memories).argsort(dim=2)) // memories
        assert ((by_memory[:, 1:] - by_memory[:, :-1]) % depth == (1 if depth > 1 else 0)).all()
    if kind == 3:
        assert (sweeps == sweeps[0]).all()
    pattern = interleaved(*case, kind=kind, dither=dither, generator=seeded(seed))
    assert pattern.shape == (n_out, n_in)
    assert (pattern.sum(0) == fan_out).all()
    assert (pattern.sum(1) == fan_in).all()


@pytest.mark.parametrize(("kind", "dither"), KINDS)
@pytest.mark.parametrize("case", CASES)
def test_the_laws_hold_for_all_kinds(case, kind, dither):
    for seed in range(20):
        assert_lawful(case, kind, dither, seed)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 40), st.data(), st.sampled_from(KINDS))
def test_the_laws_hold_for_any_sizes(memories, depth, n_out, data, how):
    n_in = memories * depth
    step = fan_out_step(n_in, n_out)
    fan_out = step * data.draw(st.integers(1, n_out // step))
    assert_lawful((n_in, n_out, fan_out, memories), *how, seed=data.draw(st.integers(0, 1000)))


def test_the_slow_obvious_reading_gives_the_same_pattern():
    case = (12, 8, 2, 4)
    order = read_order(*case, kind=2, generator=seeded(3)).tolist()
    pattern = interleaved(*case, kind=2, generator=seeded(3))
    for edge, left in enumerate(order):
        assert pattern[edge // 3, left]


@pytest.mark.parametrize("kind", [1, 2])
def test_all_orders_that_are_lawful_occur(kind):
    # Two memories of three addresses, one sweep: 3!·3! orders of kind 1, 3·3 starts of kind 2.
    found = {tuple(read_order(6, 3, 1, 2, kind=kind, generator=seeded(seed)).tolist()) for seed in range(600)}
    assert len(found) == (36 if kind == 1 else 9)


def test_a_sweep_after_a_shared_neuron_avoids_what_it_has_and_nothing_else():
    # One memory of four addresses, fan-in 3: right neuron 1 gets the last of sweep 0 and the first two of sweep 1.
    seen = set()
    for seed in range(400):
        order = read_order(4, 4, 3, 1, generator=seeded(seed))
        assert order[3] not in order[4:6]
        seen.add(tuple(order[3:8].tolist()))
    assert len(seen) == 4 * 3 * 2 * 2  # the last one, two of the three others in order, the two that are left in order


def test_the_generator_alone_decides():
    before = torch.get_rng_state()
    for kind, dither in KINDS:
        first = interleaved(64, 24, 9, 8, kind=kind, dither=dither, generator=seeded(1))
        assert torch.equal(first, interleaved(64, 24, 9, 8, kind=kind, dither=dither, generator=seeded(1)))
        assert not torch.equal(first, interleaved(64, 24, 9, 8, kind=kind, dither=dither, generator=seeded(2)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memories": 5}, r"memories: found 5, expected a divisor of n_in = 12, .* nearest requests are 4 and 6"),
        ({"memories": 24}, r"memories: found 24, .* nearest request is 12"),
        ({"memories": 0}, r"memories: found 0, expected a whole number of at least 1; the nearest request is 1"),
        ({"memories": 2.5}, "memories: found 2.5"),
        ({"memories": True}, "memories: found True"),
        ({"memories": math.nan}, "memories: found nan"),
        ({"kind": 4}, "kind: found 4, expected 1, 2 or 3"),
        ({"kind": True}, "kind: found True"),
        ({"kind": 1.0}, "kind: found 1.0"),
        ({"kind": torch.tensor([1, 2])}, "kind: found tensor"),
        ({"dither": 1}, "dither: found 1, expected True or False"),
        ({"fan_out": 3}, r"fan_out: found 3, .* nearest regular requests are 2 and 4"),
        ({"fan_out": 9}, "fan_out: found 9, more edges than places"),
        ({"n_in": 0}, "n_in: found 0"),
        ({"generator": None}, "generator: found None"),
    ],
)
def test_impossible_requests_are_refused(arguments, message):
    usual = {"n_in": 12, "n_out": 8, "fan_out": 2, "memories": 4, "generator": seeded(0)}
    with pytest.raises(RequestError, match=message):
        interleaved(**{**usual, **arguments})

"""Regular patterns: exact degrees for all sizes, and the uniform law as far as a test can tell."""

import math
import random
from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
import torch
from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.kernels import native
from sparsewire.structure.degrees import degrees, fan_out_step
from sparsewire.structure.priors import fixed_degree, fixed_degree_edges, regular
from sparsewire.structure.priors.trades import MOST_LABELS

# Dense and sparse, more left than right neurons and the reverse, one neuron, all edges, exactly half of the places.
CASES = [
    (8, 4, 2),
    (4, 8, 6),
    (1, 1, 1),
    (1, 7, 7),
    (7, 1, 1),
    (2, 2, 1),
    (3, 3, 2),
    (6, 6, 3),
    (9, 6, 4),
    (12, 12, 12),
    (64, 1024, 512),
    (1024, 64, 32),
    (4096, 512, 8),
    (784, 10, 5),
    (300, 200, 2),
    (96, 96, 24),
    (96, 96, 95),
]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_regular(pattern: Tensor, n_in: int, n_out: int, fan_out: int) -> None:
    assert pattern.dtype == torch.bool
    assert pattern.shape == (n_out, n_in)
    assert (pattern.sum(0) == fan_out).all()
    assert (pattern.sum(1) == n_in * fan_out // n_out).all()


def row_by_row(n_in: int, n_out: int, fan_out: int, source: random.Random) -> Tensor:
    """The plain sampler: right neurons in turn take left ones that have edges to give; who must give is taken first."""
    quota = [fan_out] * n_in
    pattern = torch.zeros(n_out, n_in, dtype=torch.bool)
    for row in range(n_out):
        must = [left for left in range(n_in) if quota[left] == n_out - row]
        may = [left for left in range(n_in) if 0 < quota[left] < n_out - row]
        for left in must + source.sample(may, n_in * fan_out // n_out - len(must)):
            pattern[row, left] = True
            quota[left] -= 1
    return pattern


def all_patterns(n_in: int, n_out: int, fan_out: int) -> set[bytes]:
    """Every regular pattern, found by trying all rows."""
    fan_in = n_in * fan_out // n_out
    rows = [sum(1 << left for left in chosen) for chosen in combinations(range(n_in), fan_in)]
    found = set()
    for chosen in product(rows, repeat=n_out):
        if all(sum(row >> left & 1 for row in chosen) == fan_out for left in range(n_in)):
            found.add(bytes(row >> left & 1 for row in chosen for left in range(n_in)))
    return found


def deviation(counts: Counter[bytes], outcomes: int) -> float:
    """How many standard deviations chi-square lies above what equal probabilities give."""
    expected = counts.total() / outcomes
    seen = sum((count - expected) ** 2 for count in counts.values()) + (outcomes - len(counts)) * expected**2
    return (seen / expected - (outcomes - 1)) / math.sqrt(2 * (outcomes - 1))


def four_cycles(pattern: Tensor) -> float:
    """In how many ways two right neurons share two left ones."""
    shared = (pattern.double() @ pattern.double().T).fill_diagonal_(0)
    return float((shared * (shared - 1)).sum()) / 4


@pytest.mark.parametrize("case", CASES)
def test_patterns_are_regular_and_the_edges_are_the_same(case):
    pattern = fixed_degree(*case, generator=seeded(1))
    assert_regular(pattern, *case)
    block = fixed_degree_edges(*case, generator=seeded(1))
    assert block.format == "csr"
    assert block.dtype == np.float32
    assert block.has_canonical_format
    assert (block.data == 1).all()
    listed = torch.from_numpy(block.toarray() > 0)
    assert_regular(listed, *case)
    assert torch.equal(listed, pattern)


def test_random_requests_are_regular_or_refused():
    source = random.Random(0)
    refused = 0
    for number in range(1000):
        n_in, n_out, fan_out = (source.randint(1, 40) for _ in range(3))
        if number % 2:  # not only the few that happen to divide
            fan_out = fan_out_step(n_in, n_out) * source.randint(1, math.gcd(n_in, n_out))
        if fan_out <= n_out and n_in * fan_out % n_out == 0:
            assert_regular(fixed_degree(n_in, n_out, fan_out, generator=seeded(number)), n_in, n_out, fan_out)
        else:
            refused += 1
            with pytest.raises(RequestError, match=r"^fan_out: found .* the nearest regular request"):
                fixed_degree(n_in, n_out, fan_out, generator=seeded(number))
    assert 200 < refused < 500


@pytest.mark.parametrize(
    "case", [(5, 3, 1), (5, 3, 2), (7, 10, 3), (10, 7, 6), (100, 30, 1), (30, 100, 33), (64, 50, 9)]
)
def test_uneven_patterns_are_as_even_as_can_be(case):
    fan_out = case[2]
    asked = degrees(*case[:2], fan_out=fan_out, uneven=True)
    assert not asked.is_regular
    for seed in range(20):
        pattern = fixed_degree(*case, uneven=True, generator=seeded(seed))
        assert (pattern.sum(0) == fan_out).all()
        assert (int(pattern.sum(1).min()), int(pattern.sum(1).max())) == asked.fan_in
        block = fixed_degree_edges(*case, uneven=True, generator=seeded(seed))
        assert set(np.asarray(block.sum(axis=0)).ravel()) == {fan_out}
        assert set(np.asarray(block.sum(axis=1)).ravel()) == set(asked.fan_in)


@pytest.mark.parametrize(
    ("case", "outcomes", "draws"),
    [((4, 4, 2), 90, 1800), ((6, 3, 1), 90, 900), ((6, 3, 2), 90, 900), ((3, 6, 2), 90, 900), ((6, 4, 2), 1860, 2790),
     ((5, 5, 2), 2040, 3060), ((4, 4, 1), 24, 600), ((2, 2, 1), 2, 200)],
)  # fmt: skip
def test_all_regular_patterns_are_equally_probable(case, outcomes, draws):
    generator = seeded(2)
    counts = Counter(fixed_degree(*case, generator=generator).numpy().tobytes() for _ in range(draws))
    if outcomes <= 90:
        assert set(counts) == all_patterns(*case)
        assert len(counts) == outcomes
    # Where one or two of each are expected chi-square is no normal, but its mean and its deviation hold.
    assert abs(deviation(counts, outcomes)) < 3


def test_uneven_patterns_are_equally_probable_too():
    # Three left neurons of fan-out 1 for two right ones, 1 and 2: 2 · 3 patterns.
    generator = seeded(2)
    counts = Counter(fixed_degree(3, 2, 1, uneven=True, generator=generator).numpy().tobytes() for _ in range(600))
    assert len(counts) == 6
    assert abs(deviation(counts, 6)) < 3


def test_the_plain_sampler_is_regular_but_not_uniform():
    source = random.Random(0)
    counts = Counter(row_by_row(4, 4, 2, source).numpy().tobytes() for _ in range(4500))
    assert set(counts) == all_patterns(4, 4, 2)
    assert deviation(counts, 90) > 5


@pytest.mark.parametrize("case", [(40, 40, 4), (24, 24, 12), (60, 20, 2)])
def test_pairs_of_edges_are_as_frequent_as_after_a_long_sequential_chain(case):
    """Against the textbook chain: one random swap of two edges after another, each refused if its places are taken."""
    source = np.random.default_rng(0)
    pattern = fixed_degree(*case, generator=seeded(0)).numpy().copy()
    right, left = (list(part) for part in np.nonzero(pattern))
    chain = []
    for draw in range(100):
        for _ in range((8 if draw else 60) * len(left)):
            one, other = source.integers(len(left)), source.integers(len(left))
            if pattern[right[one], left[other]] or pattern[right[other], left[one]]:
                continue
            pattern[right[one], left[one]] = pattern[right[other], left[other]] = False
            left[one], left[other] = left[other], left[one]
            pattern[right[one], left[one]] = pattern[right[other], left[other]] = True
        chain.append(four_cycles(torch.from_numpy(pattern)))
    generator = seeded(1)
    ours = [four_cycles(fixed_degree(*case, generator=generator)) for _ in range(150)]
    error = math.hypot(np.std(chain) / math.sqrt(len(chain)), np.std(ours) / math.sqrt(len(ours)))
    assert abs(np.mean(ours) - np.mean(chain)) < 3.5 * error
    assert 0.7 < np.std(ours) / np.std(chain) < 1.4


def test_the_generator_alone_decides():
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    generator = seeded(1)
    first, second = (fixed_degree(64, 48, 6, generator=generator) for _ in range(2))
    assert torch.equal(first, fixed_degree(64, 48, 6, generator=seeded(1)))
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


@pytest.mark.parametrize("case", [(96, 96, 4), (96, 96, 24), (70, 30, 1), (5, 9, 7)])
def test_patterns_are_the_same_without_the_native_library(case, monkeypatch):
    drawn = [draw(*case, uneven=True, generator=seeded(3)) for draw in (fixed_degree, fixed_degree_edges)]
    monkeypatch.setattr(native, "is_at_hand", lambda: False)
    assert torch.equal(fixed_degree(*case, uneven=True, generator=seeded(3)), drawn[0])
    assert (fixed_degree_edges(*case, uneven=True, generator=seeded(3)) != drawn[1]).nnz == 0


@pytest.mark.parametrize("case", [(64, 64, 4), (128, 64, 2)])
def test_dealt_rows_are_as_random_as_mixed_ones(case, monkeypatch):
    generator = seeded(4)
    dealt = [four_cycles(fixed_degree(*case, generator=generator)) for _ in range(800)]
    monkeypatch.setattr(regular, "_DEALT", 0)
    mixed = [four_cycles(fixed_degree(*case, generator=generator)) for _ in range(800)]
    assert abs(np.mean(dealt) - np.mean(mixed)) < 3.5 * math.hypot(np.std(dealt), np.std(mixed)) / math.sqrt(800)
    assert 0.9 < np.std(dealt) / np.std(mixed) < 1.1


@pytest.mark.parametrize("draw", [fixed_degree, fixed_degree_edges])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((112, 10, 3), r"fan_out: found 3, which gives 336 edges .* nearest regular request is 5"),
        ((112, 10, 11), "fan_out: found 11, more edges than places"),
        ((112, 10, 0), "fan_out: found 0"),
        ((112, 10, 2.5), "fan_out: found 2.5"),
        ((112, 10, True), "fan_out: found True"),
        ((0, 10, 5), "n_in: found 0"),
        ((112, -1, 5), "n_out: found -1"),
        ((math.nan, 10, 5), "n_in: found nan"),
        ((MOST_LABELS, 1, 1), "n_in: found 536870912, expected less than 536870912 neurons"),
    ],
)
def test_impossible_requests_are_refused(draw, arguments, message):
    with pytest.raises(RequestError, match=message):
        draw(*arguments, generator=seeded(0))


@pytest.mark.parametrize("draw", [fixed_degree, fixed_degree_edges])
def test_a_number_is_no_generator(draw):
    with pytest.raises(RequestError, match="generator: found 0, expected one"):
        draw(8, 4, 2, generator=0)

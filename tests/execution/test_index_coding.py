import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.execution.index_coding import CodedMask, decode, encode


def random_mask(size, density, seed=0):
    return np.random.default_rng(seed).random(size) < density


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000, 65_537])
@pytest.mark.parametrize("density", [0.0, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.999, 1.0])
def test_decoding_gives_the_mask_back(size, density):
    mask = random_mask(size, density)
    found = decode(encode(mask), size)
    assert found.dtype == bool
    assert np.array_equal(found, mask)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.booleans(), max_size=80) | st.lists(st.integers(0, 30), max_size=12))
def test_any_mask_comes_back(numbers):
    runs = numbers if all(type(number) is int for number in numbers) else []
    mask = np.array([i % 2 for i, run in enumerate(runs) for _ in range(run)] if runs else numbers, dtype=bool)
    assert np.array_equal(decode(encode(mask), mask.size), mask)


def test_a_tiny_one_by_hand():
    # Kept are 2 and 9 of 24 places: gaps of 2 and 6. The low bits: 0 0 (padded); halves: 01 0001 (padded).
    mask = np.zeros(24, bool)
    mask[[2, 9]] = True
    coded = encode(mask)
    assert (coded.coding, coded.marks, coded.width) == ("gaps", 2, 1)
    assert [f"{byte:08b}" for byte in coded.data] == ["00000000", "01000100"]


@pytest.mark.parametrize(("density", "slack"), [(0.5, 1.01), (0.3, 1.15), (0.2, 1.05), (0.1, 1.03), (0.01, 1.03)])
def test_random_masks_take_little_more_than_their_entropy(density, slack):
    mask = random_mask(200_000, density)
    entropy = -(density * math.log2(density) + (1 - density) * math.log2(1 - density)) * mask.size
    assert encode(mask).data.size * 8 < entropy * slack


@pytest.mark.parametrize(
    ("mask", "most"),
    [
        (np.kron(random_mask(400, 0.5).reshape(20, 20), np.ones((16, 16), bool)).reshape(-1), 4000),  # blocks
        (np.repeat(random_mask(100, 0.3), 784), 70),  # whole rows
        (np.ones(10**6, bool), 4),
        (np.zeros(10**6, bool), 0),
    ],
)
def test_structured_masks_take_less(mask, most):
    coded = encode(mask)
    assert coded.data.size <= most
    assert np.array_equal(decode(coded, mask.size), mask)


GOOD = encode(random_mask(1000, 0.05))


@pytest.mark.parametrize(
    "bad",
    [
        GOOD._replace(coding="zip"),
        GOOD._replace(coding="bits"),
        GOOD._replace(marks=GOOD.marks + 1),
        GOOD._replace(marks=-1),
        GOOD._replace(marks=10**15),
        GOOD._replace(width=GOOD.width + 1),
        GOOD._replace(width=63),
        GOOD._replace(width=-1),
        GOOD._replace(data=GOOD.data[:-1]),
        GOOD._replace(data=np.append(GOOD.data, np.uint8(0))),
        GOOD._replace(data=GOOD.data.astype(np.int16)),
        GOOD._replace(data=GOOD.data.reshape(1, -1)),
        CodedMask("bits", 0, 0, np.zeros(124, np.uint8)),
        CodedMask("bits", 1, 0, np.zeros(125, np.uint8)),
        CodedMask("gaps", 1, 0, np.array([0] * 200 + [1], np.uint8)),  # a gap of 1607
        CodedMask("gaps", 2, 9, np.array([255] * 3 + [0b11000000], np.uint8)),  # 511 + 511 and two
        CodedMask("runs", 1, 9, np.array([255, 128, 0b01000000], np.uint8)),  # 1023
    ],
)
def test_what_is_no_mask_is_refused(bad):
    with pytest.raises(ValueError, match="its index"):
        decode(bad, 1000)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(["bits", "gaps", "runs"]),
    st.integers(-1, 40),
    st.integers(-1, 60),
    st.binary(max_size=20),
    st.integers(0, 2**40) | st.integers(0, 200),
)
def test_any_bytes_are_a_mask_or_refused(coding, marks, width, data, size):
    size = min(size, 10**6)
    try:
        mask = decode(CodedMask(coding, marks, width, np.frombuffer(data, np.uint8)), size)
    except ValueError:
        return
    assert mask.size == size
    assert coding != "gaps" or np.count_nonzero(mask) == marks

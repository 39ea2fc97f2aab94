"""Windows of layers: equal tiles where there are any, near-equal groups elsewhere, padding nowhere."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.windows import Layout, window_count

SHAPES = st.one_of(
    st.tuples(st.integers(1, 40)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
)


@settings(deadline=None, max_examples=200)
@given(SHAPES, st.sampled_from(["channels_first", "channels_last"]), st.data())
def test_every_window_is_there_and_they_differ_by_one_neuron_at_most(shape, order, data):
    layout = Layout(shape, order)
    count = data.draw(st.integers(1, layout.neurons))
    windows = layout.windows(count)
    assert windows.dtype == torch.int64
    assert windows.shape == (layout.neurons,)
    sizes = torch.bincount(windows)
    assert len(sizes) == count
    assert sizes.max() - sizes.min() <= (layout.neurons % count != 0)


def grids(height, width, count):
    """Every grid of equal tiles, found by trying all."""
    return [
        (height // rows, width // (count // rows))
        for rows in range(1, count + 1)
        if count % rows == 0 and height % rows == 0 and width % (count // rows) == 0
    ]


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 14), st.integers(1, 14), st.data())
def test_tiles_of_an_image_are_as_square_as_they_can_be(height, width, data):
    count = data.draw(st.integers(1, height * width))
    tiles = grids(height, width, count)
    found = Layout((height, width)).windows(count).view(height, width)
    if not tiles:
        return  # near-equal groups: the test above
    boxes = set()
    for window in range(count):
        rows, columns = torch.nonzero(found == window, as_tuple=True)
        boxes.add((int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1))
    assert len(boxes) == 1
    best = min(Fraction(max(tile), min(tile)) for tile in tiles)
    assert boxes <= {tile for tile in tiles if Fraction(max(tile), min(tile)) == best}


@settings(deadline=None, max_examples=60)
@given(st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)), st.data())
def test_the_order_of_flattening_only_moves_the_neurons(shape, data):
    count = data.draw(st.integers(1, math.prod(shape)))
    real = torch.rand(shape, generator=torch.Generator().manual_seed(count)) < 0.7
    real[0, 0, 0] = True
    first, last = (Layout(shape, order, real=real).windows(count) for order in ("channels_first", "channels_last"))
    assert torch.equal(first.view(shape).permute(1, 2, 0).reshape(-1), last)


@pytest.mark.parametrize(
    ("shape", "count", "corner"),
    [
        ((28, 28), 16, (7, 7)),  # Figure 5(a)
        ((32, 32), 16, (8, 8)),
        ((28, 28), 98, (2, 4)),  # fan-out 28 of 784-224: 2 x 4 and 4 x 2 are the nearest to squares
        ((8, 32), 16, (4, 4)),  # square tiles, not a square number of them
        ((256, 4, 4), 8, (64 * 2, 2, 2)),  # CIFAR, fan-outs 1: space in four, features in two
        ((256, 4, 4), 64, (64, 1, 1)),
        ((256, 4, 4), 2, (128, 4, 4)),
        ((64, 7, 7), 4, (16, 7, 7)),  # MNIST conv, fan-out 1: 7 has no half
        ((64, 7, 7), 98, (32, 1, 1)),
        ((64, 7, 7), 14, (32, 1, 7)),
    ],
)
def test_grids_of_the_papers_layers(shape, count, corner):
    windows = Layout(shape).windows(count).view(shape)
    places = torch.nonzero(windows == 0)
    assert tuple((places.max(0).values + 1).tolist()) == corner
    assert len(places) == math.prod(shape) // count


def test_a_row_is_cut_where_the_formula_says():
    # ⌊i · 3 / 7⌋
    assert Layout((7,)).windows(3).tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_a_count_without_a_grid_winds_through_bands():
    # 15 neurons in 4 windows: a square window is 1.94 wide, so two bands, of rows 0-1 and row 2, there and back.
    assert Layout((3, 5)).windows(4).view(3, 5).tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 3, 2, 2]]
    # Features come one after the other: 12 in 8 windows, each way up the first column and down the second.
    assert Layout((3, 2, 2)).windows(5).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 4, 3, 4]


def test_padding_is_in_no_window_and_moves_none():
    real = torch.zeros(32, 32, dtype=torch.bool)
    real[2:30, 2:30] = True
    padded = Layout((32, 32), real=real)
    windows = padded.windows(16)
    assert torch.equal(windows[padded.real], Layout((32, 32)).windows(16)[padded.real])
    assert windows[~padded.real].unique().tolist() == [-1]
    sides = torch.tensor([6, 8, 8, 6])
    assert torch.bincount(windows[windows >= 0]).tolist() == (sides[:, None] * sides).reshape(-1).tolist()
    assert padded.neurons == 1024
    assert Layout((16,), real=10).windows(8).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, *[-1] * 6]


def test_layouts_are_values():
    real = torch.tensor([True, False, True])
    one = Layout((3,), real=real)
    real[1] = True
    assert one.real.tolist() == [True, False, True]
    assert one == Layout((3,), real=torch.tensor([True, False, True]))
    assert one != Layout((3,), real=2)
    assert one != Layout((3,))
    assert Layout((3,)) == Layout([3])
    assert Layout((2, 1, 1)) != Layout((2, 1, 1), "channels_last")
    assert one != 3
    with pytest.raises(AttributeError, match="shape"):
        one.shape = (4,)


@pytest.mark.parametrize("fan", range(1, 20))
@pytest.mark.parametrize("neurons", [1, 4, 10])
def test_window_counts_of_regular_junctions(fan, neurons):
    found = window_count(fan, neurons)
    assert found.windows == min(fan, neurons)
    assert found.ideal == (fan / neurons if fan > neurons else 1)


def test_window_counts_of_means_are_rounded_down_and_of_nothing_one():
    assert window_count(2.99, 10) == (2, 1)
    assert window_count(0, 10) == (1, 1)
    assert window_count(0.2, 10) == (1, 1)
    assert window_count(10.5, 10) == (10, 1.05)
    assert 0.29 * 100 < 29
    assert window_count(0.29 * 100, 100).windows == 29
    assert window_count(math.inf, 64) == window_count(10**400, 64) == (64, math.inf)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (lambda: Layout(()), r"shape: found \(\), expected \(neurons,\)"),
        (lambda: Layout(16), "shape: found 16"),
        (lambda: Layout((1, 2, 3, 4)), "shape: found"),
        (lambda: Layout((4, 0)), r"shape\[1\]: found 0, expected a whole number of at least 1"),
        (lambda: Layout((4.0,)), r"shape\[0\]: found 4.0"),
        (lambda: Layout((True,)), r"shape\[0\]: found True"),
        (lambda: Layout((4,), real=0), "real: found 0"),
        (lambda: Layout((4,), real=5), "real: found 5, expected at most 4"),
        (lambda: Layout((4,), real=2.5), "real: found 2.5"),
        (lambda: Layout((4,), real=torch.ones(4)), "real: found torch.float32 of shape"),
        (lambda: Layout((4,), real=torch.ones(2, 2, dtype=torch.bool)), r"of shape \(2, 2\), expected torch.bool"),
        (lambda: Layout((4,), real=torch.zeros(4, dtype=torch.bool)), "real: found no neuron among 4"),
        (lambda: Layout((4,)).windows(0), "count: found 0"),
        (lambda: Layout((4,)).windows(5), "count: found 5 windows for 4 neurons, expected at most as many"),
        (lambda: Layout((4,)).windows(1.5), "count: found 1.5"),
        (lambda: window_count(-1, 4), "fan: found -1"),
        (lambda: window_count(math.nan, 4), "fan: found nan"),
        (lambda: window_count(True, 4), "fan: found True"),
        (lambda: window_count("2", 4), "fan: found '2'"),
        (lambda: window_count(2, 0), "neurons: found 0"),
    ],
)
def test_what_cannot_be_is_refused(request_, message):
    with pytest.raises(RequestError, match=message):
        request_()


def test_an_unknown_order_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'channels_last'"):
        Layout((4, 2, 2), "channels_lst")

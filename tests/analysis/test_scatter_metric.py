"""Scatter: the worked examples, the paper's equation (1) in plain loops, known values of random patterns."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import nn

from sparsewire.analysis import scatter_metric
from sparsewire.analysis.scatter_metric import scatter
from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks
from sparsewire.structure.windows import Layout

SEEDS = st.integers(0, 2**32 - 1)


def pattern(rows, n_in):
    """The pattern whose right neurons are connected to these left ones."""
    found = torch.zeros(len(rows), n_in, dtype=torch.bool)
    for target, sources in enumerate(rows):
        found[target, sources] = True
    return found


def random_regular(n_in, n_out, fan_out, seed):
    """Rows in turn, uniformly among the left neurons with connections left; those that must be taken are."""
    rng = np.random.default_rng(seed)
    found, left = torch.zeros(n_out, n_in, dtype=torch.bool), np.full(n_in, fan_out)
    for row in range(n_out):
        wish = np.where(left == n_out - row, 2, np.where(left == 0, -1, rng.random(n_in)))
        taken = np.argsort(-wish)[: n_in * fan_out // n_out]
        found[row, taken] = True
        left[taken] -= 1
    assert not left.any()
    return found


def random_net(sizes, fan_outs, seed=0):
    parts = zip(pairwise(sizes), fan_outs, strict=True)
    return [random_regular(*ends, fan_out, seed + place) for place, (ends, fan_out) in enumerate(parts)]


def slow_direction(patterns, layouts, soft):
    """Equation (1), written out: right neurons, left windows, and the neurons of each."""
    n_in, n_out = len(patterns[0][0]), len(patterns[-1])
    every = [[[int(cell) for cell in row] for row in part] for part in patterns]
    fan = Fraction(sum(map(sum, products(every, None))), n_out)
    count = max(1, math.floor(min(fan, n_in)))
    exists = [[True] * layout.neurons if layout.real is None else layout.real.tolist() for layout in layouts]
    paths = products(every, exists)
    ideal = max(Fraction(1), Fraction(sum(map(sum, paths)), sum(exists[-1]) * sum(exists[0])))
    window = layouts[0].windows(count).tolist()
    windows = [[k for k in range(n_in) if window[k] == number] for number in range(count)]
    total, entries = Fraction(0), 0
    for j in range(n_out):
        for members in windows:
            if exists[-1][j] and members:
                entry = sum(paths[j][k] for k in members)
                total += min(Fraction(1), entry / ideal) if soft else int(entry >= 1)
                entries += 1
    return float(total / entries)


def products(patterns, exists):
    """A_J … A_1, with the neurons that do not exist cut off."""
    cut = [
        [
            [cell if exists is None or (exists[place + 1][j] and exists[place][k]) else 0 for k, cell in enumerate(row)]
            for j, row in enumerate(part)
        ]
        for place, part in enumerate(patterns)
    ]
    found = cut[0]
    for part in cut[1:]:
        columns = list(zip(*found, strict=True))
        found = [[sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in part]
    return found


def slow_scatter(patterns, layouts, soft=False):
    plain = [part.tolist() for part in patterns]
    spans = [(place, place + 1) for place in range(len(plain))] + ([(0, len(plain))] if len(plain) > 1 else [])
    vector = []
    for start, end in spans:
        chain, ends = plain[start:end], layouts[start : end + 1]
        turned = [list(map(list, zip(*part, strict=True))) for part in reversed(chain)]
        vector += [slow_direction(chain, ends, soft), slow_direction(turned, ends[::-1], soft)]
    return vector


@st.composite
def nets(draw):
    sizes = draw(st.lists(st.integers(1, 9), min_size=2, max_size=4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    density = draw(st.sampled_from([0.0, 0.1, 0.3, 0.6, 1.0]))
    return [torch.rand(n_out, n_in, generator=generator) < density for n_in, n_out in pairwise(sizes)]


def layouts_of(draw, patterns):
    layouts = []
    for neurons in [patterns[0].shape[1], *(part.shape[0] for part in patterns)]:
        shapes = [(neurons,), *((h, neurons // h) for h in range(1, neurons + 1) if neurons % h == 0)]
        shapes += [(c, h, neurons // c // h) for c in (2, 3) for h in (1, 2) if neurons % (c * h) == 0]
        real = torch.tensor(draw(st.lists(st.booleans(), min_size=neurons, max_size=neurons)))
        shape, order = draw(st.sampled_from(shapes)), draw(st.sampled_from(["channels_first", "channels_last"]))
        layouts.append(Layout(shape, order, real=real if real.any() and draw(st.booleans()) else None))
    return layouts


@settings(deadline=None, max_examples=200)
@given(nets(), st.booleans(), st.data())
def test_scatter_is_the_equation_in_loops(patterns, soft, data):
    layouts = layouts_of(data.draw, patterns)
    assert scatter(patterns, layouts, soft=soft).vector == pytest.approx(slow_scatter(patterns, layouts, soft))


@pytest.mark.parametrize("soft", [False, True])
def test_many_columns_are_done_in_several_goes(monkeypatch, soft):
    net = [torch.rand(*shape, generator=torch.Generator().manual_seed(0)) < 0.1 for shape in [(90, 200), (150, 90)]]
    whole = scatter(net, soft=soft).vector
    monkeypatch.setattr(scatter_metric, "AT_ONCE", 1)
    assert scatter(net, soft=soft).vector == pytest.approx(whole, abs=1e-12)


FIRST = pattern([[0, 1], [2, 4], [3, 5], [6, 7]], 8)


def test_the_worked_example():
    found = scatter([FIRST, pattern([[0, 2], [1, 3], [0, 2], [1, 3]], 4)])
    assert found.vector == (0.75, 1, 1, 1, 0.75, 1)
    assert found.minimum == 0.75
    assert found.names == ("S1f", "S1b", "S2f", "S2b", "Sf", "Sb")


def test_the_worked_example_changed():
    found = scatter([FIRST, pattern([[0, 2], [1, 3], [0, 3], [1, 2]], 4)])
    assert found.vector == (0.75, 1, 1, 1, 0.625, 1)
    assert found.minimum == 0.625


def test_a_single_junction_has_two_numbers():
    found = scatter(FIRST)
    assert found.vector == (0.75, 1)
    assert found.names == ("S1f", "S1b")
    assert str(found).splitlines()[1].split() == ["1", "8", "→", "4", "0.750", "2", "1.000", "1"]


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 5), (7, 3, 4), (5, 9, 2, 6)])
def test_full_connection_has_all_ones(sizes, soft):
    full = [torch.ones(n_out, n_in, dtype=torch.bool) for n_in, n_out in pairwise(sizes)]
    layouts = [Layout((size,), real=max(1, size - 2)) for size in sizes]
    assert set(scatter(full, soft=soft).vector) == {1.0}
    assert set(scatter(full, layouts, soft=soft).vector) == {1.0}


def test_appendix_52_windows_of_one_neuron():
    # Fan-outs 128 and 8: 1024 paths between 64 and 64 neurons, so 64 windows, from each 16 paths ideally. Here every
    # hidden neuron h is connected to the inputs ≡ h mod 8 and to the outputs ≡ ⌊h / 8⌋ mod 8: exactly 16 each.
    hidden, ends = torch.arange(1024), torch.arange(64)
    even = [hidden[:, None] % 8 == ends % 8, ends[:, None] % 8 == hidden // 8 % 8]
    found = scatter(even, soft=True)
    assert found.junctions[-1] == ("1:2", (64, 64), 1, 1, 64, 64)
    # Where hidden neurons go to the outputs that are as their inputs, mod 8, there are 128 paths from each of eight
    # inputs to an output, and none from the other 56: an eighth, soft or not.
    narrow = [even[0], ends[:, None] % 8 == hidden % 8]
    assert scatter(narrow, soft=True).vector[-2:] == scatter(narrow).vector[-2:] == (1 / 8, 1 / 8)


def test_soft_is_less_where_paths_are_uneven():
    # Two inputs, two hidden, one output, all but one connection: 2 paths from input 0, 1 from input 1; mean fan 3, two
    # windows, ideal 1.5. Backward: the inputs have 2 and 1 paths, mean 1.5, one window, ideal 1.5 / 1.
    net = [pattern([[0, 1], [0]], 2), pattern([[0, 1]], 2)]
    assert scatter(net).vector[-2:] == (1, 1)
    assert scatter(net, soft=True).vector[-2:] == pytest.approx(((1 + 1 / 1.5) / 2, (1 + 1 / 1.5) / 2))


@pytest.mark.parametrize(
    ("sizes", "fan_outs", "expected"),
    [
        ((64, 1024, 64), (128, 8), (0.68, 0.64, 0.66, 0.62, 1, 1)),
        ((64, 1024, 64), (512, 32), (0.75, 0.74, 0.75, 0.73, 1, 1)),
        ((1024, 64, 16), (1, 4), 0.64),
        ((3136, 784, 10), (1, 5), 0.68),
        ((4096, 512, 16), (1, 2), 0.65),
    ],
)
def test_random_regular_patterns_are_near_their_known_scatter(sizes, fan_outs, expected):
    found = scatter(random_net(sizes, fan_outs))
    if isinstance(expected, tuple):
        assert found.vector == pytest.approx(expected, abs=0.015)
    else:
        assert found.minimum == pytest.approx(expected, abs=0.04)


def test_low_density_comes_to_one_less_one_over_e():
    # Forward only: what this sampler is forced to take at the end lies together for the left neurons.
    assert scatter(random_regular(2048, 2048, 32, 0)).vector[0] == pytest.approx(1 - 1 / math.e, abs=0.01)


def test_two_dimensional_windows_see_what_rows_do_not():
    # One right neuron reads a column of the image, another a row; of 4 windows in tiles each meets two.
    image = pattern([[0, 4, 8, 12], [0, 1, 2, 3]], 16)
    assert scatter(image, [Layout((4, 4)), None]).vector[0] == 0.5
    assert scatter(image).vector[0] == (4 + 1) / 8


@pytest.mark.parametrize("shape", [(256, 4, 4), (6, 5, 3)])
def test_channels_first_and_channels_last_are_the_same_network(shape):
    neurons = math.prod(shape)
    net = [torch.rand(32, neurons, generator=torch.Generator().manual_seed(1)) < 0.1]
    moved = [net[0].view(32, *shape).permute(0, 2, 3, 1).reshape(32, neurons)]
    first = scatter(net, [Layout(shape), None])
    assert scatter(moved, [Layout(shape, "channels_last"), None]) == first
    assert scatter(moved, [Layout(shape), None]) != first


def test_padding_of_an_image_is_left_out():
    # 32 x 32 around 28 x 28; 16 windows of 8 x 8. Each right neuron reads the outermost corner of each window.
    real = torch.zeros(32, 32, dtype=torch.bool)
    real[2:30, 2:30] = True
    steps = torch.tensor([0, 8, 16, 24])
    reads = (steps[:, None] * 32 + steps).reshape(-1).tolist()
    net = pattern([reads] * 2, 1024)
    assert scatter(net, [Layout((32, 32)), None]).vector[0] == 1
    # The corners of the first row and the first column of windows are padding: 3 x 3 remain, of 16 windows.
    padded = scatter(net, [Layout((32, 32), real=real), None])
    assert padded.vector[0] == 9 / 16
    assert padded.junctions[0].left_windows == 16
    # Backward there is one window (mean fan-out 32 / 1024): 9 of the 784 pixels are read.
    assert padded.vector[1] == 9 / 784


def test_windows_of_padding_only_do_not_count_and_no_path_leads_through_padding():
    # Outputs 2 and 3 are padding; fan-out 4: windows of one output each, two of them empty.
    full = torch.ones(4, 3, dtype=torch.bool)
    assert scatter([full], [None, Layout((4,), real=2)]).vector == (1, 1)
    # Input 1 reaches the output through the hidden neuron 1 only, which is padding.
    net = [torch.eye(2, dtype=torch.bool), torch.ones(1, 2, dtype=torch.bool)]
    assert scatter(net).vector[-2:] == (1, 1)
    assert scatter(net, [None, Layout((2,), real=1), None]).vector[-2:] == (0.5, 0.5)


def test_irregular_patterns_are_judged_by_the_mean_rounded_down():
    # Fan-ins 3, 2, 0 and 2, mean 7 / 4: one window, which three of four neurons reach.
    uneven = pattern([[0, 1, 2], [0, 3], [], [1, 2]], 4)
    found = scatter(uneven)
    assert found.junctions == (("1", (4, 4), 0.75, 1, 1, 1),)
    # Degrees 2 and 3, as even as 10 connections to 4 neurons can be, each window reached: scatter 1 exists.
    assert scatter(pattern([[0, 2, 3], [1, 2], [0, 3], [1, 2, 0]], 4)).vector[0] == 1


@pytest.mark.parametrize("soft", [False, True])
def test_nothing_connected_is_zero(soft):
    nothing = torch.zeros(3, 4, dtype=torch.bool)
    assert set(scatter(nothing, soft=soft).vector) == {0}
    assert scatter([nothing, torch.ones(2, 3, dtype=torch.bool)], soft=soft).vector == (0, 0, 1, 1, 0, 0)


def test_more_paths_than_a_float_can_count():
    layers = 400
    full = [torch.ones(8, 8, dtype=torch.bool)] * layers  # 8 ** 400 paths
    for soft in (False, True):
        assert set(scatter(full, soft=soft).vector) == {1.0}
    assert scatter([*full, ~full[0]], soft=True).vector[-2:] == (0, 0)
    eye = [torch.eye(8, dtype=torch.bool)] * layers
    assert set(scatter(eye, soft=True).vector) == {1.0}


def test_all_forms_of_one_network_have_the_same_scatter():
    net = random_net((16, 8, 4), (2, 2))
    expected = scatter(net)
    blocks = [sparse.csr_array(part.numpy().astype(np.float32)) for part in net]
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
    kernel = torch.rand(4, 1, 3, 3) < 0.5
    masks = Masks({"0.weight": kernel, "2.weight": net[0], "4.weight": net[1]})
    graph = NetGraph((16, 8, 4), {(0, 1): blocks[0], (1, 2): blocks[1]})
    forms = [blocks, masks, dict(masks), masks.apply_(model), graph, tuple(net), [part.numpy() for part in net]]
    forms += [[blocks[0].tocoo(), net[1]], [blocks[0].tocsc(), sparse.csr_matrix(blocks[1])]]
    for form in forms:
        assert scatter(form) == expected
    assert scatter(masks, [Layout((4, 2, 2)), None, None]) == scatter(net, [Layout((4, 2, 2)), None, None])


def test_a_block_has_the_connections_that_it_stores_once():
    twice = sparse.csr_array((np.array([1.0, 2.0, 0.0]), np.array([0, 0, 1]), np.array([0, 3])), shape=(1, 2))
    assert scatter(twice).vector == (1, 1)
    assert twice.nnz == 3


@pytest.mark.parametrize(
    ("connections", "message"),
    [
        ([torch.ones(4, 8).bool(), torch.ones(3, 5).bool()], r"'0' of shape \(4, 8\) leads to 4 neurons.*'1' of shape"),
        (Masks({"a": torch.ones(4, 8).bool(), "b": torch.ones(3, 5).bool()}), r"'a' of shape.*'b' of shape \(3, 5\)"),
        ([], "found no junction"),
        (Masks({"kernel": torch.ones(4, 1, 3, 3).bool()}), "found no junction, expected a 2-D mask"),
        ([torch.ones(4, 8)], r"'0' is torch.float32 of shape \(4, 8\), expected a torch.bool tensor.*weight != 0"),
        ({"a": torch.ones(4, 8)}, "'a' is torch.float32"),
        (torch.ones(4).bool(), r"'0' is torch.bool of shape \(4,\)"),
        (torch.ones(0, 4).bool(), r"shape \(0, 4\), expected.*neither of them 0"),
        (np.ones((2, 2)), "'0' is float64"),
        (sparse.csr_array((0, 4)), r"'0' is csr_array of shape \(0, 4\)"),
        (None, "'0' is NoneType"),
        ("masks", "'0' is str"),
        (NetGraph((2, 2, 2), {(0, 2): sparse.csr_array(np.eye(2))}), r"blocks \[\(0, 2\)\], expected a chain"),
        (NetGraph((2, 2, 2), {(0, 1): sparse.csr_array(np.eye(2))}), r"expected a chain: \[\(0, 1\), \(1, 2\)\]"),
    ],
)
def test_what_is_no_chain_is_refused(connections, message):
    with pytest.raises(RequestError, match=f"connections: .*{message}"):
        scatter(connections)


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (
            [Layout((8,))],
            r"windows: found 1 layouts, expected a Layout or None for each of the 3 layers of \[8, 4, 2\]",
        ),
        (Layout((8,)), "windows: found Layout"),
        ([Layout((9,)), None, None], r"windows\[0\]: found one of shape \(9,\), expected a Layout of 8 neurons"),
        ([None, None, 2], r"windows\[2\]: found 2"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(windows, message):
    with pytest.raises(RequestError, match=message):
        scatter([torch.ones(4, 8).bool(), torch.ones(2, 4).bool()], windows)


def test_a_soft_entry_of_one_path_is_whole_where_paths_are_fewer_than_neurons():
    first = torch.tensor([[True, False, False, False], [False, False, False, False]])
    found = scatter([first, torch.tensor([[True, False]] * 4)], soft=True)
    assert found.vector[-2:] == (1.0, 0.25)

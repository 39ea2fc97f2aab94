import copy
import dataclasses
import gc
import itertools
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from sparsewire.errors import RequestError
from sparsewire.kernels import junctions
from sparsewire.kernels.junctions import GROUP, Junction, blocks_of, junction_of, layout_for

SHAPES = [(0, 0), (0, 5), (5, 0), (1, 1), (4, 4), (5, 7), (9, 13), (3, 40), (17, 6)]
DENSITIES = (0.0, 0.1, 0.5, 1.0)


def mask_of(outputs, inputs, density, seed=0):
    return torch.rand(outputs, inputs, generator=torch.Generator().manual_seed(seed)) < density


def slow_positions(mask, block, group):
    """The order of the values as the module's words have it, weight by weight."""
    outputs, inputs = mask.shape
    found = []
    for first in range(0, max(inputs, 1), block):
        columns = range(first, min(first + block, inputs))
        if group == 1:
            found += [row * inputs + c for row in range(outputs) for c in columns if mask[row, c]]
            continue
        for top in range(0, outputs, GROUP):
            rows = range(top, min(top + GROUP, outputs))
            for pattern in range(1, 2**GROUP):
                wanted = {top + bit for bit in range(GROUP) if pattern >> bit & 1}
                alike = [c for c in columns if {row for row in rows if mask[row, c]} == wanted]
                found += [row * inputs + c for row in sorted(wanted) for c in alike]
    return found


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 11), st.integers(0, 15), st.floats(0, 1), st.integers(1, 16), st.sampled_from([1, 4]), st.integers(0)
)
def test_the_order_is_the_one_that_is_described(outputs, inputs, density, block, group, seed):
    mask = mask_of(outputs, inputs, density, seed % 2**32)
    junction = junction_of(mask, block, group)
    assert junction.positions().tolist() == slow_positions(mask, block, group)
    assert torch.equal(junction.mask(), mask)
    assert junction.count == int(mask.sum())
    assert (junction.columns.dtype, junction.starts.dtype) == (torch.int16, torch.int32)
    assert not junction.count or 0 <= int(junction.columns.min()) <= int(junction.columns.max()) < min(block, inputs)
    assert (junction.starts >= 0).all()
    lines = (outputs + 1,) if group == 1 else (-(-outputs // GROUP), 17)
    assert junction.starts.shape == (blocks_of(inputs, block), *lines)


def test_arrays_worked_out_by_hand():
    mask = torch.tensor([[1, 0, 1, 0, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 0, 1, 0, 1], [1, 0, 0, 0, 0]]).bool()
    rows = junction_of(mask, block=3, group=1)
    assert rows.columns.tolist() == [0, 2, 2, 2, 0, 1, 0, 1]
    assert rows.starts.tolist() == [[0, 2, 3, 3, 4, 5], [5, 6, 7, 7, 8, 8]]
    # Columns 0 … 4 of rows 0 … 3 have the patterns 1, 0, 1 + 2 + 8, 2 and 1 + 8; row 4 is a group of its own.
    groups = junction_of(mask, block=5, group=4)
    assert groups.columns.tolist() == [0, 3, 4, 2, 0]
    starts = [0, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 4, 4, 4, 4, 4]
    assert groups.starts.tolist() == [[[*starts, 0], [4] + [5] * 15 + [7]]]
    assert groups.positions().tolist() == [0, 8, 4, 19, 2, 7, 17, 20]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("layout", [{}, {"group": 1}, {"group": 4}, {"block": 3}, {"block": 2, "group": 4}])
def test_values_and_weights_go_back_and_forth(shape, density, layout):
    mask = mask_of(*shape, density)
    junction = junction_of(mask, **layout)
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    values = junction.values_of(weight)
    assert torch.equal(junction.weight_of(values), torch.where(mask, weight, 0))
    assert torch.equal(junction.values_of(junction.weight_of(values)), values)
    assert torch.equal(junction.values_of(weight.t().contiguous().t()), values)
    assert torch.equal(junction.places, junction.positions())
    assert junction.density == (int(mask.sum()) / mask.numel() if mask.numel() else 1)
    assert junction.bytes == 2 * junction.columns.numel() + 4 * junction.starts.numel()


def test_weights_have_gradients():
    junction = junction_of(mask_of(3, 4, 0.5))
    values = torch.randn(junction.count, requires_grad=True)
    grad = torch.arange(12.0).view(3, 4)
    junction.weight_of(values).backward(grad)
    assert torch.equal(values.grad, junction.values_of(grad))


@pytest.mark.parametrize("view", ["transposed", "expanded", "every second"])
def test_a_mask_may_lie_in_memory_as_it_likes(view):
    mask = mask_of(6, 6, 0.5)
    mask = {"transposed": mask.t(), "expanded": mask[:1].expand(6, 6), "every second": mask[::2, ::2]}[view]
    for group in (1, 4):
        assert torch.equal(junction_of(mask, group=group).mask(), mask)


def test_the_layout_is_legal_for_every_size():
    for outputs, inputs in itertools.product((0, 1, 4, 300, 4096), (0, 1, 783, 5000, 100_000)):
        for density in (0, 0.001, 0.01, 0.1, 0.149, 0.15, 0.5, 1):
            block, group = layout_for(outputs, inputs, int(density * outputs * inputs))
            assert 1 <= block <= junctions._LARGEST_BLOCK
            assert group in (1, GROUP)


def test_the_layout_depends_on_size_and_density_alone():
    one, other = (junction_of(mask_of(20, 30, 0.3)[order]) for order in (slice(None), torch.arange(19, -1, -1)))
    assert (one.block, one.group) == (other.block, other.group) == layout_for(20, 30, one.count)


@pytest.mark.parametrize("twin_of", [copy.deepcopy, copy.copy, lambda j: pickle.loads(pickle.dumps(j))])  # noqa: S301
def test_a_copy_stands_on_its_own_arrays(twin_of):
    junction = junction_of(mask_of(50, 60, 0.3))
    expected, before = junction.mask(), len(pickle.dumps(junction))
    assert junction.described == (*junction.numbers, junction.columns.data_ptr(), junction.starts.data_ptr())
    assert len(junction.places) == junction.count
    assert len(pickle.dumps(junction)) == before  # what was derived is not written
    twin = twin_of(junction)
    assert set(vars(twin)) == {field.name for field in dataclasses.fields(Junction)}
    del junction
    gc.collect()
    assert twin.described[-2:] == (twin.columns.data_ptr(), twin.starts.data_ptr())
    assert torch.equal(twin.mask(), expected)


def test_addresses_follow_arrays_that_move():
    # What sending a model to another process does.
    junction = junction_of(mask_of(50, 60, 0.3))
    before = junction.described
    junction.columns.share_memory_()
    junction.starts.share_memory_()
    assert junction.described[:-2] == before[:-2]
    assert junction.described[-2:] == (junction.columns.data_ptr(), junction.starts.data_ptr())
    assert junction.described != before


def test_a_junction_elsewhere_has_no_addresses_for_the_native_library():
    with pytest.raises(RequestError, match="junction: found its arrays on meta, expected the CPU"):
        _ = junction_of(mask_of(2, 2, 1)).to("meta").described


def test_it_is_a_frozen_value_that_says_what_it_is():
    junction = junction_of(mask_of(2, 3, 1.0))
    assert repr(junction) == "Junction(2 × 3, 6 weights, density 1)"
    assert junction.to("cpu").columns is junction.columns
    with pytest.raises(dataclasses.FrozenInstanceError):
        junction.count = 3


@pytest.mark.parametrize(
    ("mask", "options", "message"),
    [
        ([[True]], {}, "mask: found list, expected a torch.bool tensor of shape"),
        (torch.ones(2, 2), {}, r"mask: found torch.float32 of shape \(2, 2\)"),
        (torch.ones(2).bool(), {}, r"mask: found torch.bool of shape \(2,\)"),
        (torch.ones(2, 2).bool(), {"block": 0}, "block, group: found 0 and "),
        (torch.ones(2, 2).bool(), {"block": -3}, "found -3 and "),
        (torch.ones(2, 2).bool(), {"block": 16385}, "expected a block from 1 to 16,384"),
        (torch.ones(2, 2).bool(), {"group": 0}, "found 2 and 0 for 4 weights"),
        (torch.ones(2, 2).bool(), {"group": 2}, "a group of 1 or 4"),
    ],
)
def test_what_is_no_junction_is_refused(mask, options, message):
    with pytest.raises(RequestError, match=message):
        junction_of(mask, **options)


def test_more_weights_than_an_int32_counts_are_refused(monkeypatch):
    monkeypatch.setattr(junctions, "_MOST", 5)
    with pytest.raises(RequestError, match=r"for 6 weights.*at most 5 weights"):
        junction_of(torch.ones(2, 3).bool())


def test_weights_and_values_of_another_shape_are_refused():
    junction = junction_of(mask_of(2, 3, 1.0))
    with pytest.raises(RequestError, match=r"weight: found shape \(3, 2\), expected \(2, 3\)"):
        junction.values_of(torch.ones(3, 2))
    with pytest.raises(RequestError, match=r"values: found shape \(5,\), expected \(6,\)"):
        junction.weight_of(torch.ones(5))


@pytest.mark.parametrize("group", [1, GROUP])
def test_positions_are_known_where_tensors_have_no_numbers(group):
    mask = torch.rand(32, 24, generator=torch.Generator().manual_seed(0)) < 0.4
    junction = junction_of(mask, group=group)
    expected = junction.positions().tolist()
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert junction.positions().tolist() == expected

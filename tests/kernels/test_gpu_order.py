import copy
import gc
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.kernels.gpu_order import _known, lines_of
from sparsewire.kernels.junctions import Junction, junction_of


def slow_lines(junction, by_column):
    """Starts, others and places by a loop over the matrix."""
    place_of = {position: place for place, position in enumerate(junction.positions().tolist())}
    lines, length = (junction.inputs, junction.outputs) if by_column else (junction.outputs, junction.inputs)
    starts, others, places = [0], [], []
    for line in range(lines):
        for other in range(length):
            row, column = (other, line) if by_column else (line, other)
            place = place_of.get(row * junction.inputs + column)
            if place is not None:
                others.append(other)
                places.append(place)
        starts.append(len(others))
    return starts, others, places


def as_lists(lines):
    return lines.starts.tolist(), lines.others.tolist(), lines.places.tolist()


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 9),
    st.integers(0, 13),
    st.floats(0, 1),
    st.sampled_from([1, 4]),
    st.integers(1, 14),
    st.integers(0, 9),
)
def test_lines_are_those_of_a_walk_through_the_matrix(outputs, inputs, density, group, block, seed):
    mask = torch.rand(outputs, inputs, generator=torch.Generator().manual_seed(seed)) < density
    junction = junction_of(mask, block, group)
    for by_column in (False, True):
        lines = lines_of(junction, by_column)
        assert as_lists(lines) == slow_lines(junction, by_column)
        assert lines.starts.dtype == lines.places.dtype == torch.int32
        assert lines.mean * lines.count == pytest.approx(junction.count)


@pytest.mark.parametrize(("inputs", "dtype"), [(2**15, torch.int16), (2**15 + 1, torch.int32)])
def test_numbers_are_as_short_as_the_line_permits(inputs, dtype):
    mask = torch.zeros(1, inputs, dtype=torch.bool)
    mask[0, -1] = True
    lines = lines_of(junction_of(mask))
    assert lines.others.dtype == dtype
    assert lines.others.tolist() == [inputs - 1]


def test_lines_are_derived_once_for_the_same_tensors():
    junction = junction_of(torch.eye(4, dtype=torch.bool))
    again = Junction(4, 4, junction.block, junction.group, junction.columns, junction.starts, junction.count)
    assert lines_of(again) is lines_of(junction)
    assert lines_of(junction, by_column=True) is lines_of(again, by_column=True)
    assert lines_of(junction, by_column=True) is not lines_of(junction)


def test_writing_a_new_structure_into_the_tensors_is_noticed():
    # What load_state_dict does to a layer's buffers.
    old, new = (junction_of(torch.tensor([row]), group=1) for row in ([True, False, True], [False, True, True]))
    assert lines_of(old).others.tolist() == [0, 2]
    with torch.no_grad():
        old.columns.copy_(new.columns)
        old.starts.copy_(new.starts)
    assert lines_of(old).others.tolist() == [1, 2]


def test_one_tensor_of_columns_may_serve_matrices_of_other_sizes():
    wide = junction_of(torch.tensor([[True, False, True]]), group=1)
    wider = Junction(1, 5, 5, 1, wide.columns, wide.starts, wide.count)
    assert lines_of(wide, by_column=True).starts.tolist() == [0, 1, 1, 2]
    assert lines_of(wider, by_column=True).starts.tolist() == [0, 1, 1, 2, 2, 2]


def test_a_copy_has_lines_of_its_own_and_nothing_outlives_its_tensors():
    junction = junction_of(torch.ones(3, 3, dtype=torch.bool))
    twin = copy.deepcopy(junction)
    assert as_lists(lines_of(twin)) == as_lists(lines_of(junction))
    assert lines_of(twin) is not lines_of(junction)
    assert not vars(junction.columns)  # torch.save would write attributes of a tensor into the file
    lines, before = weakref.ref(lines_of(junction)), len(_known)
    del junction
    gc.collect()
    assert lines() is None
    assert len(_known) == before - 1


def test_tensors_of_inference_mode_have_lines_too():
    with torch.inference_mode():
        junction = junction_of(torch.eye(3, dtype=torch.bool), group=1)
        assert lines_of(junction).others.tolist() == [0, 1, 2]

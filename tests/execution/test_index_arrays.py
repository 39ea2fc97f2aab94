"""Index arrays: what `junction_of` makes is accepted as it is, and whatever else is accepted is such a thing too."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.execution.index_arrays import PARTS, arrays_of, checked_junction
from sparsewire.kernels.junctions import Junction, junction_of


@st.composite
def junctions(draw: st.DrawFn) -> Junction:
    outputs, inputs = draw(st.integers(0, 11)), draw(st.integers(0, 20))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    mask = torch.rand(outputs, inputs, generator=generator) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    return junction_of(mask, draw(st.sampled_from([None, 1, 3, 8, 16384])), draw(st.sampled_from([None, 1, 4])))


def checked(junction: Junction, arrays: dict[str, torch.Tensor], count: int) -> Junction:
    return checked_junction("w", (junction.outputs, junction.inputs), torch.ones(count), *arrays.values())


@given(junctions())
@settings(deadline=None, max_examples=150)
def test_every_junction_comes_back(junction: Junction) -> None:
    arrays = dict(arrays_of(junction))
    found = checked(junction, arrays, junction.count)
    assert tuple(arrays) == PARTS
    assert (found.block, found.group, found.count) == (junction.block, junction.group, junction.count)
    assert torch.equal(found.columns, junction.columns)
    assert torch.equal(found.starts, junction.starts)
    assert found.columns.data_ptr() != junction.columns.data_ptr() or not junction.columns.numel()


@given(junctions(), st.data())
@settings(deadline=None, max_examples=400)
def test_what_passes_after_damage_is_what_junction_of_would_make(junction: Junction, data: st.DataObject) -> None:
    arrays = {name: array.clone() for name, array in arrays_of(junction).items()}
    for _ in range(data.draw(st.integers(1, 3))):
        array = arrays[data.draw(st.sampled_from(PARTS))].view(-1)
        if len(array):
            least, most = (0, 255) if array.dtype == torch.uint8 else (-3, 40)
            array[data.draw(st.integers(0, len(array) - 1))] = data.draw(st.integers(least, most))
    try:
        found = checked(junction, arrays, junction.count)
    except RequestError:
        return
    made = junction_of(found.mask(), found.block, found.group)
    assert torch.equal(made.columns, found.columns)
    assert torch.equal(made.starts, found.starts)
    assert made.count == found.count == junction.count


def test_the_message_names_weight_finding_and_remedy() -> None:
    junction = junction_of(torch.ones(1, 3, dtype=torch.bool))
    with pytest.raises(RequestError, match=r"'w' in the state: found 2 values for 3 weights; load a whole state of"):
        checked(junction, dict(arrays_of(junction)), 2)
    with pytest.raises(RequestError, match=r"found nothing as values, expected a 1-D tensor of floats"):
        checked_junction("w", (1, 3), None, *arrays_of(junction).values())

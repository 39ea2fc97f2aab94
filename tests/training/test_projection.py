import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.structure.masks import Masks
from sparsewire.training.projection import Projection

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128]


def bytes_of(tensor):
    return tensor.contiguous().view(torch.uint8)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_it_equals_masked_fill_bit_by_bit_in_every_dtype(dtype):
    torch.manual_seed(0)
    tensor = torch.randn(5, 6, dtype=dtype)
    mask = torch.rand(5, 6) < 0.5
    expected = tensor.clone()
    expected[~mask] = 0
    Projection(Masks({"w": mask}))({"w": tensor})
    assert torch.equal(bytes_of(tensor), bytes_of(expected))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.booleans()), min_size=1, max_size=20))
def test_any_bits_inside_stay_and_any_bits_outside_become_plus_zero(entries):
    bits = torch.tensor([pattern for pattern, _ in entries], dtype=torch.int32)
    mask = torch.tensor([kept for _, kept in entries])
    Projection(Masks({"w": mask}))({"w": bits.view(torch.float32)})  # all sorts of NaN, infinities, −0.0, denormals
    assert bits.tolist() == [pattern if kept else 0 for pattern, kept in entries]


def test_strided_tensors_are_written_where_they_lie():
    whole = torch.ones(6, 8)
    mask = torch.zeros(4, 3, dtype=torch.bool)
    Projection(Masks({"w": mask}))({"w": whole[::2, ::2].T})
    assert whole.sum() == 6 * 8 - 4 * 3
    assert not whole[::2, ::2].any()


def test_one_call_projects_each_by_its_own_mask_and_may_leave_some_out():
    project = Projection(Masks({"a": torch.tensor([True, False]), "b": torch.tensor([[False], [True]])}))
    a, b = torch.ones(2), torch.ones(2, 1)
    project({"b": b})
    assert (a.tolist(), b.tolist()) == ([1, 1], [[0], [1]])
    project({"a": a, "b": b})
    assert a.tolist() == [1, 0]
    project({})


def test_a_tensor_that_comes_in_another_type_is_noticed():
    project = Projection(Masks({"w": torch.tensor([True, False])}))
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.complex64, torch.float32):
        tensor = torch.full((2,), -1.0, dtype=dtype)
        project({"w": tensor})
        assert tensor.tolist() == [-1, 0]


def test_it_is_no_step_of_autograd_but_seen_by_it():
    weight = torch.nn.Parameter(torch.ones(2))
    used = (weight * weight).sum()
    Projection(Masks({"w": torch.tensor([True, False])}))({"w": weight})
    assert weight.requires_grad
    assert weight.is_leaf
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        used.backward()  # torch notices that a saved tensor was changed, as after every in-place operation

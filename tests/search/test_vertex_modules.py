import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sparsewire.search.genotype import OPERATIONS, Vertex
from sparsewire.search.shaping import SMALLEST, pooled
from sparsewire.search.vertex_modules import Convolved, Pooled, Stacked, Summed, convolution, module_of

KINDS = {
    "conv3": Convolved, "conv5": Convolved, "conv7": Convolved, "max_pool": Pooled, "avg_pool": Pooled,
    "sum": Summed, "concat": Stacked, "skip": Stacked,
}  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def maps_of(*shapes):
    return [torch.randn(2, *shape, generator=generator(place)) for place, shape in enumerate(shapes)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_has_its_module(operation):
    vertex = Vertex(operation, 6 if operation.startswith("conv") else 0)
    module = module_of(vertex, [(3, 8, 8), (3, 4, 4)], generator())
    assert type(module) is KINDS[operation]
    shape = {Convolved: (6, 4, 4), Pooled: (6, 4, 4), Summed: (3, 8, 8), Stacked: (6, 4, 4)}[KINDS[operation]]
    assert module(maps_of((3, 8, 8), (3, 4, 4))).shape == (2, *shape)
    assert "Conv2d" in repr(module) or "×" in repr(module) or "projections" in repr(module)


def test_a_convolution_is_torchs_own_with_norm_and_relu():
    vertex, (images,) = Convolved([(3, 5, 7)], 4, 5, generator()), maps_of((3, 5, 7))
    weight = nn.Conv2d(3, 4, 5, padding=2, bias=False, device="meta").to_empty(device="cpu").weight
    nn.init.kaiming_uniform_(weight, a=5**0.5, generator=generator())
    assert torch.equal(vertex.convolution.weight, weight)
    inner = nn.functional.conv2d(images, weight, padding=2)
    mean, variance = inner.mean((0, 2, 3), keepdim=True), inner.var((0, 2, 3), unbiased=False, keepdim=True)
    torch.testing.assert_close(vertex([images]), torch.relu((inner - mean) / (variance + 1e-5).sqrt()))


def test_a_stack_takes_the_maxima_of_larger_maps():
    large = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]])[None, None]
    small = torch.tensor([[-1.0, -2], [-3, -4]])[None, None]
    found = Stacked([(1, 4, 4), (1, 2, 2)])([large, small])
    assert found.tolist() == [[[[6, 8], [14, 16]], [[-1, -2], [-3, -4]]]]


def test_one_map_alone_passes_a_stack_and_a_sum_untouched():
    (images,) = maps_of((3, 5, 7))
    assert Stacked([(3, 5, 7)])([images]) is images
    summed = Summed([(3, 5, 7)], generator())
    assert summed([images]) is images
    assert not list(summed.parameters())


def test_a_sum_projects_fewer_channels_and_puts_zeros_below_and_right():
    wide, tall = maps_of((2, 1, 3), (3, 2, 2))
    summed = Summed([(2, 1, 3), (3, 2, 2)], generator())
    weight = summed.projections["0"].weight
    assert weight.shape == (3, 2, 1, 1)
    expected = torch.zeros(2, 3, 2, 3)
    expected[:, :, :1, :] += torch.einsum("oi,bihw->bohw", weight[:, :, 0, 0], wide)
    expected[:, :, :, :2] += tall
    torch.testing.assert_close(summed([wide, tall]), expected)


def test_pooling_halves_large_sides_and_keeps_small_ones():
    column = torch.tensor([1.0, 2, 3, 4, 5, 6, 7])[None, None, :, None]
    assert Pooled([(1, 7, 1)], is_average=False)([column]).flatten().tolist() == [2, 4, 6]
    assert Pooled([(1, 7, 1)], is_average=True)([column]).flatten().tolist() == [1.5, 3.5, 5.5]
    kept = -column[:, :, :4]  # negative: zeros outside would be maxima
    assert Pooled([(1, 4, 1)], is_average=False)([kept]).flatten().tolist() == [-1, -1, -2, -3]
    assert Pooled([(1, 4, 1)], is_average=True)([kept]).flatten().tolist() == [-1.5, -2, -3, -3.5]


@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 12), width=st.integers(1, 12), is_average=st.booleans())
def test_a_pixel_of_pooling_is_about_its_window(height, width, is_average):
    images = torch.randn(1, 2, height, width, generator=generator(height * 20 + width))
    found = Pooled([(2, height, width)], is_average=is_average)([images])
    assert found.shape == (1, 2, pooled(height), pooled(width))
    windows = [
        [(2 * at, 2 * at + 2) if side > SMALLEST else (max(at - 1, 0), at + 2) for at in range(pooled(side))]
        for side in (height, width)
    ]
    for row, (top, bottom) in enumerate(windows[0]):
        for column, (left, right) in enumerate(windows[1]):
            inside = images[:, :, top:bottom, left:right]
            expected = inside.mean((2, 3)) if is_average else inside.amax((2, 3))
            torch.testing.assert_close(found[:, :, row, column], expected)


def test_a_convolution_draws_from_its_generator_alone():
    before = torch.random.get_rng_state()
    first, second = (convolution(3, 4, 3, generator()) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.weight.abs().max() <= 27**-0.5

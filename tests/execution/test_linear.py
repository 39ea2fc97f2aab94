"""The sparse linear layer: what is its own, beside the table in test_sparse_module.py."""

import math

import pytest
import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.execution.linear import SparseLinear


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("outputs", "inputs"), [(0, 3), (3, 0), (0, 0), (1, 1), (5, 400)])
@pytest.mark.parametrize("bias", [True, False])
def test_odd_sizes(outputs: int, inputs: int, bias: bool) -> None:
    mask = torch.rand(outputs, inputs, generator=generator()) < 0.5
    layer = SparseLinear(inputs, outputs, mask, bias, generator=generator())
    x = torch.randn(4, inputs, generator=generator())
    dense = layer.to_dense()
    assert (dense.in_features, dense.out_features) == (inputs, outputs)
    torch.testing.assert_close(layer(x), dense(x), rtol=1e-5, atol=1e-5)
    layer(x).sum().backward()


def test_leading_dimensions() -> None:
    layer = SparseLinear(3, 2, torch.ones(2, 3, dtype=torch.bool))
    for shape in [(3,), (1, 3), (2, 5, 3), (2, 0, 3)]:
        assert layer(torch.ones(shape)).shape == (*shape[:-1], 2)


def test_values_and_biases_are_drawn_within_the_bound_of_the_live_fan_in() -> None:
    mask = torch.zeros(3, 400, dtype=torch.bool)
    mask[0, :4] = mask[1] = True
    layer = SparseLinear(400, 3, mask, generator=generator())
    weight = layer.dense_weight("weight")
    assert 0.1 < weight[0].abs().max() <= 0.5
    assert 0.04 < weight[1].abs().max() <= 0.05
    assert weight[1].std().item() == pytest.approx(0.05 / math.sqrt(3), rel=0.1)
    assert layer.bias[1].abs() <= 0.05
    assert layer.bias[2] == 0


def test_a_full_layer_is_drawn_as_torch_draws_it() -> None:
    layer = SparseLinear(100, 60, torch.ones(60, 100, dtype=torch.bool), generator=generator())
    dense = nn.Linear(100, 60)
    for one, other in ((layer.weight, dense.weight), (layer.bias, dense.bias)):
        assert one.abs().max() <= 0.1
        assert one.std().item() == pytest.approx(other.std().item(), rel=0.3)


def test_the_generator_decides_and_the_global_seed_is_left_alone() -> None:
    mask, state = torch.ones(2, 3, dtype=torch.bool), torch.random.get_rng_state()
    one, other = (SparseLinear(3, 2, mask, generator=generator(7)) for _ in range(2))
    one.to_dense(), SparseLinear.from_dense(one.to_dense(), mask)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one.weight, other.weight)
    one.reset_parameters(generator(8))
    assert not torch.equal(one.weight, other.weight)


def test_a_masked_nan_is_gone_and_a_live_one_stays() -> None:
    dense = nn.Linear(2, 1)
    nn.init.constant_(dense.weight, math.nan)
    sparse = SparseLinear.from_dense(dense, torch.tensor([[True, False]]))
    weight = sparse.to_dense().weight
    assert weight.isnan().tolist() == [[True, False]]
    assert not torch.signbit(weight[0, 1])


def test_repr_shows_the_density() -> None:
    assert repr(SparseLinear(4, 5, torch.eye(5, 4).bool(), bias=False)) == (
        "SparseLinear(in_features=4, out_features=5, bias=False, density=0.2)"
    )


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(3, 2, dtype=torch.bool), r"mask: found shape \(3, 2\), expected \(2, 3\)"),
        (torch.ones(2, 3), "found torch.float32 of shape"),
        (None, "found nothing, expected a torch.bool tensor"),
    ],
)
def test_wrong_masks_are_refused(mask: Tensor, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        SparseLinear(3, 2, mask)
    with pytest.raises(RequestError, match=r"mask"):
        SparseLinear.from_dense(nn.Linear(3, 2), mask)


def test_other_modules_are_refused() -> None:
    with pytest.raises(RequestError, match=r"linear: found Bilinear, expected torch.nn.Linear"):
        SparseLinear.from_dense(nn.Bilinear(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))


def test_a_parameter_of_another_size_is_refused_before_it_reaches_a_kernel() -> None:
    layer = SparseLinear(3, 2, torch.ones(2, 3, dtype=torch.bool))
    layer.weight.data = torch.zeros(1)
    with pytest.raises(RequestError, match="values of layer 0: found"):
        layer(torch.ones(1, 3))


def test_memory_is_that_of_the_live_weights() -> None:
    mask = torch.rand(512, 1024, generator=generator()) < 0.02
    layer = SparseLinear(1024, 512, mask)
    held = sum(t.numel() * t.element_size() for t in (*layer.parameters(), *layer.buffers()))
    assert held < 512 * 1024 * 4 * 0.05

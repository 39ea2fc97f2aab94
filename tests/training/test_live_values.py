import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.execution.linear import SparseLinear
from sparsewire.structure.sparse_weights import sparse_weights
from sparsewire.training.live_values import await_step_, forget_gradients_, gradient_of, move_
from sparsewire.training.rules import gradual, static

INPUT = torch.tensor([3.0, 4.0, 5.0])


def growing(step, masks, weights, gradients):
    return None


def layer(*kept, values=None):
    made = SparseLinear(3, 1, torch.tensor([kept]) != 0, bias=False)
    with torch.no_grad():
        made.weight.copy_(torch.tensor(values) if values else torch.arange(1.0, 1 + made.weight.numel()))
    return made, sparse_weights(made)["weight"]


def test_layers_are_told_whether_a_step_needs_dense_gradients():
    made, weight = layer(1, 0, 1)
    await_step_({"weight": weight}, growing, 0)
    assert made.wants_dense_gradients
    made(INPUT).sum().backward()
    assert made.dense_gradients["weight"].tolist() == [[3.0, 4.0, 5.0]]
    await_step_({"weight": weight}, static(), 1)
    assert not made.wants_dense_gradients
    assert not made.dense_gradients
    await_step_({"weight": weight}, gradual(lambda step: 1 / (step + 1)), 1)
    assert not made.wants_dense_gradients  # it prunes by magnitude


def test_the_gradient_for_a_rule_is_that_of_the_values_and_elsewhere_what_the_layer_noted():
    made, weight = layer(1, 0, 1)
    await_step_({"weight": weight}, growing, 0)
    assert gradient_of("weight", weight, growing).tolist() == [[0.0, 0.0, 0.0]]  # nothing was computed yet
    made(INPUT).sum().backward()
    assert gradient_of("weight", weight, growing).tolist() == [[3.0, 4.0, 5.0]]
    made.weight.grad /= 8  # clipped by norm
    assert gradient_of("weight", weight, growing).tolist() == [[3 / 8, 4 / 8, 5 / 8]]
    made.weight.grad.copy_(torch.tensor([0.5, 0.1]))  # by no one factor
    assert gradient_of("weight", weight, growing).tolist() == [[0.5, 4.0, pytest.approx(0.1)]]
    assert gradient_of("weight", weight, static()).tolist() == [[0.5, 0.0, pytest.approx(0.1)]]
    forget_gradients_([weight])
    with pytest.raises(
        RequestError, match=r"gradient of 'weight': found none outside the mask .* zero_grad before the"
    ):
        gradient_of("weight", weight, growing)


@pytest.mark.parametrize("with_gradient", [False, True])
def test_values_memory_and_gradient_move_together(with_gradient):
    made, weight = layer(1, 0, 1)
    optimizer = torch.optim.SGD(made.parameters(), lr=0.0, momentum=0.9)
    made(INPUT).sum().backward()
    optimizer.step()
    gradient = torch.tensor([[30.0, 40.0, 50.0]]) if with_gradient else None
    move_(optimizer, weight, torch.tensor([[False, True, True]]), gradient)
    assert made.dense_weight("weight").tolist() == [[0.0, 0.0, 2.0]]
    assert weight.dense(optimizer.state[made.weight]["momentum_buffer"]).tolist() == [[0.0, 0.0, 5.0]]
    assert made.weight.grad.tolist() == ([40.0, 50.0] if with_gradient else [0.0, 5.0])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 9999), st.sampled_from([(1, 1), (7, 5), (64, 300), (40, 3)]), st.floats(0, 1), st.floats(0, 1))
def test_moving_equals_moving_the_dense_form(seed, shape, before, after):
    source = torch.Generator().manual_seed(seed)
    old, new = (torch.rand(shape, generator=source) < density for density in (before, after))
    made = SparseLinear(shape[1], shape[0], old, bias=False, generator=source)
    weight = sparse_weights(made)["weight"]
    optimizer = torch.optim.Adam(made.parameters())
    for _ in range(2):
        made.weight.grad = torch.randn(made.weight.shape, generator=source)
        optimizer.step()
    dense = {"values": made.weight.detach(), "grad": made.weight.grad, **optimizer.state[made.weight]}
    dense = {key: weight.dense(value) for key, value in dense.items() if key != "step"}
    move_(optimizer, weight, new)
    moved = {"values": made.weight.detach(), "grad": made.weight.grad, **optimizer.state[made.weight]}
    for key, value in dense.items():
        assert torch.equal(weight.dense(moved[key]), value * new), key

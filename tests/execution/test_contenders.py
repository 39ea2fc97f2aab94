"""What is timed is what is compared: both layers compute the same."""

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.execution.contenders import layers, measured, pass_of
from sparsewire.execution.subjects import Subject, masked_layers
from sparsewire.structure.masks import Masks

LAYERS = {
    "linear": lambda: nn.Linear(8, 5),
    "no bias": lambda: nn.Linear(8, 5, bias=False),
    "double": lambda: nn.Linear(8, 5).double(),
    "conv": lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1),
    "conv 1 × 1": lambda: nn.Conv2d(3, 4, 1, bias=False),
    "rnn": lambda: nn.RNN(8, 5, 2, nonlinearity="relu"),
    "gru": lambda: nn.GRU(8, 5, bias=False),
    "lstm": lambda: nn.LSTM(8, 5, bidirectional=True),
    "dilated": lambda: nn.Conv2d(3, 4, (20, 2), dilation=(1, 2)),
}


def subject_of(name: str) -> Subject:
    model = LAYERS[name]()
    whole = Masks.from_model(model)
    masks = Masks({name: (torch.arange(mask.numel()) % 3 == 0).view(mask.shape) for name, mask in whole.items()})
    subject = masked_layers(model, masks)[0].subject
    assert subject is not None
    return subject


@pytest.mark.parametrize("name", LAYERS)
def test_the_dense_layer_is_rebuilt_and_the_sparse_one_computes_the_same(name: str) -> None:
    subject, original = subject_of(name), LAYERS[name]()
    dense, sparse = layers(subject, torch.Generator().manual_seed(0))
    assert repr(dense) == repr(original)
    assert next(dense.parameters()).dtype == next(original.parameters()).dtype
    shapes = {nn.Linear: (2, 8), nn.Conv2d: (2, 3, 24, 24)}
    x = torch.randn(shapes.get(type(original), (7, 2, 8)), generator=torch.Generator().manual_seed(1))
    x = x.to(next(dense.parameters()).dtype)
    torch.testing.assert_close(sparse(x), dense(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_can_be_timed(name: str, training: bool) -> None:
    timings = measured(subject_of(name), (1, 3), training, seconds=0.0)
    assert [timing.batch for timing in timings] == [1, 3]
    assert all(min(timing.dense, timing.sparse, timing.ratio) > 0 for timing in timings)


@pytest.mark.parametrize("density", [0.0, 1e-3, 1.0])
def test_extreme_densities_can_be_timed(density: float) -> None:
    subject = Subject("Linear", (4, 8), True, density, "float32", "cpu")
    assert measured(subject, (2,), True, seconds=0.0)[0].sparse > 0


def test_the_modes_around_it_do_not_matter_and_stay() -> None:
    subject = subject_of("linear")
    state = torch.get_rng_state()
    with torch.inference_mode(), torch.autocast("cpu"):
        assert measured(subject, (2,), True, seconds=0.0)
        assert torch.is_inference_mode_enabled()
    with torch.no_grad():
        assert measured(subject, (2,), True, seconds=0.0)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_training_step_makes_every_gradient_and_a_forward_pass_none() -> None:
    layer, x = nn.Linear(3, 2), torch.ones(4, 3)
    pass_of(layer, x, training=False)()
    assert layer.weight.grad is None
    step = pass_of(layer, x, training=True)
    step()
    step()
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad, torch.full((2, 3), 4.0))  # made anew, not added to
    assert x.grad is None


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(RequestError, match="found the kind 'Bilinear', expected one of Linear, "):
        layers(Subject("Bilinear", (1, 1), True, 0.5, "float32", "cpu"), torch.Generator())

"""The sparse convolution against torch's, over the shapes that it knows."""

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError
from sparsewire.execution.convolution import SparseConv2d

SHAPES = [
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 2), "dilation": (2, 1)},
    {"kernel_size": 3, "padding": "same"},
    {"kernel_size": (2, 4), "padding": "same", "dilation": (1, 2), "bias": False},
    {"kernel_size": 3, "padding": "valid", "stride": 3},
    {"kernel_size": 1},
    {"kernel_size": 1, "stride": 2},
    {"kernel_size": 1, "stride": (1, 2), "padding": 1},
    {"kernel_size": 7, "padding": 3},
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch's own doing
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("batch", [None, 0, 1, 3])
def test_outputs_and_gradients_are_torchs(shape: dict[str, object], batch: int | None) -> None:
    generator = torch.Generator().manual_seed(0)
    dense = nn.Conv2d(2, 3, **shape, dtype=torch.float64)
    mask = torch.rand(dense.weight.shape, generator=generator) < 0.5
    sparse = SparseConv2d.from_dense(dense, mask)
    with torch.no_grad():
        dense.weight.masked_fill_(~mask, 0)
    x = torch.randn((2, 9, 8) if batch is None else (batch, 2, 9, 8), generator=generator, dtype=torch.float64)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [layer(given) for layer, given in zip((dense, sparse), inputs, strict=True)]
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-10)
    assert outputs[1].is_contiguous()
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=0, atol=1e-10)
    expected = sparse.junction("weight").values_of(dense.weight.grad.flatten(1))
    torch.testing.assert_close(sparse.weight.grad, expected, rtol=0, atol=1e-10)
    assert repr(sparse.to_dense()) == repr(dense)


def test_the_arguments_are_those_of_a_convolution() -> None:
    mask = torch.ones(4, 2, 3, 5, dtype=torch.bool)
    layer = SparseConv2d(2, 4, mask, stride=2, padding=(1, 2), dilation=(2, 1), generator=torch.Generator())
    assert (layer.in_channels, layer.out_channels, layer.kernel_size) == (2, 4, (3, 5))
    assert layer.weight.abs().max() <= 30**-0.5
    other = nn.Conv2d(2, 4, (3, 5), stride=2, padding=(1, 2), dilation=(2, 1))
    assert repr(layer.to_dense()) == repr(other)
    assert "density=1" in repr(layer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": 2}, "found groups=2, expected 1"),
        ({"padding_mode": "reflect", "padding": 1}, "found padding_mode='reflect', expected 'zeros'"),
    ],
)
def test_what_is_not_supported_is_named(arguments: dict[str, object], message: str) -> None:
    dense = nn.Conv2d(2, 2, 3, **arguments)
    with pytest.raises(RequestError, match=message):
        SparseConv2d.from_dense(dense, torch.ones_like(dense.weight, dtype=torch.bool))


def test_wrong_arguments_are_refused() -> None:
    mask = torch.ones(2, 3, 4, 4, dtype=torch.bool)
    with pytest.raises(RequestError, match=r"mask: found shape \(2, 3, 4, 4\), expected \(3, 2, height, width\)"):
        SparseConv2d(2, 3, mask)
    with pytest.raises(RequestError, match=r"'same' with stride=\(2, 2\), expected stride 1"):
        SparseConv2d(3, 2, mask, stride=2, padding="same")
    with pytest.raises(RequestError, match="padding: found 'some'"):
        SparseConv2d(3, 2, mask, padding="some")
    for wrong in ({"stride": 0}, {"stride": (1, 2, 3)}, {"stride": 1.5}, {"padding": -1}, {"dilation": 0}):
        with pytest.raises(RequestError, match=f"{next(iter(wrong))}: found .*, expected a whole number of at least"):
            SparseConv2d(3, 2, mask, **wrong)
    with pytest.raises(RequestError, match=r"mask: found shape \(2, 3, 0, 4\)"):
        SparseConv2d(3, 2, mask[:, :, :0])
    with pytest.raises(RequestError, match=r"found Linear, expected torch.nn.Conv2d"):
        SparseConv2d.from_dense(nn.Linear(1, 1), torch.ones(1, 1, dtype=torch.bool))
    layer = SparseConv2d(3, 2, mask)
    for shape in [(1, 2, 8, 8), (8, 8), (1, 3, 3, 8)]:
        with pytest.raises(RequestError, match="x: found"):
            layer(torch.ones(shape))

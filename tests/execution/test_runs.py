"""Where the runs of a model begin and end."""

import pytest
import torch
from torch import nn

from sparsewire.execution.contenders import measured, run
from sparsewire.execution.runs import RunSubject, masked_runs
from sparsewire.execution.sequences import SparseSequential
from sparsewire.execution.subjects import Subject, masked_layers
from sparsewire.structure.masks import Masks


def half(model: nn.Module) -> Masks:
    whole = Masks.from_model(model)
    return Masks({name: (torch.arange(mask.numel()) % 2 == 0).view(mask.shape) for name, mask in whole.items()})


class Own(nn.Linear):
    """A layer that may compute anything."""


@pytest.mark.parametrize(
    ("children", "names"),
    [
        ([nn.Linear(4, 4), nn.Linear(4, 4)], [("0.weight", "1.weight")]),
        ([nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh()], [("0.weight", "2.weight")]),
        ([nn.Linear(4, 4), nn.ReLU()], []),
        ([nn.Linear(4, 4), nn.ReLU(), nn.ReLU(), nn.Linear(4, 4)], []),
        ([nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4)], []),
        ([nn.Linear(4, 4), Own(4, 4), nn.Linear(4, 4)], []),
        ([nn.Linear(4, 3), nn.Linear(4, 4), nn.Linear(4, 2)], [("1.weight", "2.weight")]),  # it would fail when called
        ([nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4)], [("1.weight", "2.weight")]),
        ([nn.Linear(4, 4) for _ in range(2)] + [nn.GELU()] + [nn.Linear(4, 4) for _ in range(2)],
         [("0.weight", "1.weight"), ("3.weight", "4.weight")]),
        ([nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4)), nn.Linear(4, 4)],
         [("0.0.weight", "0.2.weight")]),
    ],
)  # fmt: skip
def test_a_run_is_what_follows_without_a_break(children: list[nn.Module], names: list[tuple[str, ...]]) -> None:
    model = nn.Sequential(*children)
    assert [found.names for found in masked_runs(model, masked_layers(model, half(model)))] == names


def test_layers_without_masks_belong_to_a_run_but_are_not_free() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
    found = masked_runs(model, masked_layers(model, {"0.weight": torch.eye(4).bool()}))
    (only,) = found
    assert (only.free, only.activations) == ((True, False), ("relu", "identity"))
    assert [(layer.bias, layer.density) for layer in only.layers][1] == (False, 1.0)
    assert not masked_runs(model, [])


def test_a_tied_weight_is_not_free() -> None:
    one, other = nn.Linear(4, 4), nn.Linear(4, 4)
    other.weight = one.weight
    model = nn.Sequential(one, other)
    assert not masked_runs(model, masked_layers(model, {"0.weight": torch.eye(4).bool()}))


@pytest.mark.parametrize("sparse", [(True, True, True), (True, False, True), (False, True, False)])
def test_both_forms_of_a_run_compute_the_same(sparse: tuple[bool, ...]) -> None:
    sizes = (6, 5), (7, 6), (2, 7)
    layers = tuple(Subject("Linear", size, size[0] != 7, 0.5, "float64", "cpu") for size in sizes)
    subject = RunSubject(layers, ("relu", "tanh", "identity"), sparse)
    dense, ours = run(subject, torch.Generator().manual_seed(0))
    x = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert type(ours) is SparseSequential
    torch.testing.assert_close(ours(x), dense(x), rtol=1e-10, atol=1e-10)
    assert [timing.batch for timing in measured(subject, (1, 2), training=True, seconds=0.0)] == [1, 2]


def test_what_tells_one_run_from_another() -> None:
    layer = Subject("Linear", (4, 4), True, 0.5, "float32", "cpu")
    keys = {
        RunSubject((layer,) * 2, activations, sparse).key
        for activations in (("relu", "identity"), ("relu", "relu"), ("tanh", "relu"))
        for sparse in ((True, True), (True, False), (False, True))
    }
    assert len(keys) == 9

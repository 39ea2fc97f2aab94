"""What a plan asks about a layer, and which layers it does not ask about."""

import pytest
import torch
from torch import nn

from sparsewire.execution import subjects
from sparsewire.execution.subjects import STEP, Subject, class_of_density, masked_layers
from sparsewire.structure.masks import Masks


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


@pytest.fixture(autouse=True)
def _every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a plan asks does not depend on how the sparse forms are made."""
    forms = dict.fromkeys((nn.Linear, nn.Conv2d, nn.RNN, nn.GRU, nn.LSTM))
    monkeypatch.setattr(subjects, "SPARSE_FORMS", forms)


class Own(nn.Linear):
    """May compute anything."""


def half(model: nn.Module) -> Masks:
    g = torch.Generator().manual_seed(0)
    return Masks({name: torch.rand(mask.shape, generator=g) < 0.5 for name, mask in Masks.from_model(model).items()})


WHY_NOT = {
    "a subclass": (lambda: nn.Sequential(Own(4, 3)), "not a layer that can run sparse: Own"),
    "bilinear": (lambda: nn.Sequential(nn.Bilinear(2, 2, 3)), "not a layer that can run sparse: Bilinear"),
    "one dimension": (lambda: nn.Sequential(nn.Conv1d(2, 2, 3)), "not a layer that can run sparse: Conv1d"),
    "groups": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)), "not a layer that can run sparse: Conv2d with"),
    "reflection": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3, padding_mode="reflect")), "not a layer that can run"),
    "projection": (lambda: nn.Sequential(nn.LSTM(4, 5, proj_size=2)), "not a layer that can run sparse: LSTM"),
    "cell": (lambda: nn.Sequential(nn.GRUCell(4, 5)), "not a layer that can run sparse: GRUCell"),
    "attention": (lambda: nn.Sequential(nn.MultiheadAttention(4, 2)), "not a layer that can run sparse: Multihead"),
    "tied": (tied, "shares its weight with another layer"),
    "empty": (lambda: nn.Sequential(nn.Linear(0, 3)), "no weights to compute with"),
    "meta": (lambda: nn.Sequential(nn.Linear(2, 3, device="meta")), "no weights to compute with"),
}


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("name", WHY_NOT)
def test_layers_that_cannot_run_sparse_say_why(name: str) -> None:
    make, why_not = WHY_NOT[name]
    model = make()
    masks = Masks({name: torch.zeros(mask.shape).bool() for name, mask in Masks.from_model(model).items()})
    layers = masked_layers(model, masks)
    assert layers
    assert layers[0].subject is None
    assert layers[0].why_not.startswith(why_not)


def test_nothing_is_measured_where_every_weight_is_kept() -> None:
    model = nn.Linear(4, 3)
    assert masked_layers(model, Masks.from_model(model))[0].why_not == "nothing to gain: every weight is kept"


SUBJECTS = {
    "linear": (lambda: nn.Linear(4, 3, bias=False), "Linear", (3, 4), False),
    "conv": (lambda: nn.Conv2d(2, 4, (3, 1), stride=2, padding=1), "Conv2d", (4, 2, 3, 1, 2, 2, 1, 1, 1, 1), True),
    "same": (lambda: nn.Conv2d(2, 4, 3, padding="same"), "Conv2d", (4, 2, 3, 3, 1, 1, 0, 0, 1, 1), True),
    "rnn": (lambda: nn.RNN(4, 5, 2, nonlinearity="relu"), "RNN relu", (4, 5, 2, 1), True),
    "gru": (lambda: nn.GRU(4, 5, bidirectional=True), "GRU", (4, 5, 1, 2), True),
    "lstm": (lambda: nn.LSTM(4, 5, bias=False), "LSTM", (4, 5, 1, 1), False),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_layer_is_one_subject(name: str) -> None:
    make, kind, sizes, bias = SUBJECTS[name]
    model = make()
    masks = half(model)
    (layer,) = masked_layers(model, masks)
    assert layer.weights == tuple(masks)
    assert layer.density == masks.density
    assert layer.subject == Subject(kind, sizes, bias, class_of_density(masks.density), "float32", "cpu")


def test_a_recurrent_layer_is_asked_for_as_a_whole() -> None:
    model = nn.ModuleDict({"rnn": nn.LSTM(4, 5), "out": nn.Linear(5, 2)})
    layers = masked_layers(model, half(model))
    assert [layer.name for layer in layers] == ["rnn", "out.weight"]
    assert layers[0].weights == ("rnn.weight_ih_l0", "rnn.weight_hh_l0")
    assert layers[0].shape == (5, 4, 1)


def test_biases_stay_as_they_are_and_belong_to_no_layer() -> None:
    model = nn.ModuleDict({"rnn": nn.GRU(2, 2), "out": nn.Linear(2, 2)})
    masks = {"rnn.weight_ih_l0": torch.eye(6, 2).bool(), "rnn.bias_ih_l0": torch.zeros(6).bool(),
             "out.bias": torch.zeros(2).bool()}  # fmt: skip
    layers = masked_layers(model, masks)
    assert [layer.name for layer in layers] == ["rnn", "rnn.bias_ih_l0", "out.bias"]
    assert layers[0].weights == ("rnn.weight_ih_l0",)
    assert [layer.why_not for layer in layers[1:]] == ["not a layer that can run sparse: a bias"] * 2


def test_weights_without_a_mask_count_as_kept() -> None:
    model = nn.RNN(4, 4)
    only = Masks({"weight_hh_l0": torch.zeros(4, 4).bool()})
    assert masked_layers(model, only)[0].density == 0.5


@pytest.mark.parametrize("density", [1.0, 0.97, 0.5, 0.1, 0.033, 0.001, 1e-7])
def test_a_class_of_densities_is_five_per_cent_wide(density: float) -> None:
    found = class_of_density(density)
    assert found / STEP**0.5001 <= density <= found * STEP**0.5001
    assert class_of_density(found) == found
    assert 0 < found <= 1


def test_no_weights_at_all_are_a_class_of_their_own() -> None:
    assert class_of_density(0.0) == 0.0


def test_keys_tell_subjects_apart() -> None:
    subjects = [
        Subject(kind, sizes, bias, density, dtype, device)
        for kind in ("Linear", "GRU")
        for sizes in ((3, 4), (34,), (4, 3))
        for bias in (True, False)
        for density in (0.0, STEP**-1, STEP**-2, STEP**-200)
        for dtype in ("float32", "bfloat16")
        for device in ("cpu", "Some GPU")
    ]
    assert len({subject.key for subject in subjects}) == len(subjects)

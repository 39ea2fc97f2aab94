"""Every contender starts and ends with the connections that it is said to have."""

import pytest
import torch

from sparsewire.data.samples import Samples
from sparsewire.experiments.initial_pruning import contenders
from sparsewire.experiments.initial_pruning.contenders import METHODS, NAMES, WHEN, rule_of, starting_masks
from sparsewire.models.zoo import mlp
from sparsewire.structure.masks import Masks
from sparsewire.training.loop import fit

DENSE_AT_THE_START = ("dense", *WHEN["in its first steps"], "gradual", "magnitude_after", "edge_popup")
BY_CHANCE = ("k_starts", "k_starts_dissipating")  # about so many weights
DENSITY = 0.2


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch) -> None:
    monkeypatch.setattr(contenders, "ROUNDS", 5)


@pytest.fixture(scope="module")
def data() -> Samples:
    inputs = torch.rand(200, 12, generator=stream(7))
    return Samples(inputs, inputs[:, :4].argmax(1))


def network():
    return mlp((12, 20, 16, 4), generator=stream())


def test_each_has_a_name_and_a_moment() -> None:
    assert list(NAMES) == list(METHODS)
    assert sorted(name for names in WHEN.values() for name in names) == sorted(set(METHODS) - {"dense"})


@pytest.mark.parametrize("method", METHODS)
def test_the_start_is_dense_or_exact(method, data) -> None:
    model = network()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    masks = starting_masks(method, model, DENSITY, data, stream())
    wanted = 1.0 if method in DENSE_AT_THE_START else 0.5 if method == "granet" else DENSITY
    assert masks.density == pytest.approx(wanted, abs=1e-3)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("method", METHODS)
def test_the_same_stream_gives_the_same_start(method, data) -> None:
    one, other = (starting_masks(method, network(), DENSITY, data, stream(3)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize("method", [*WHEN["in its first steps"], *WHEN["during training"]])
@pytest.mark.parametrize("epochs", [2, 5])
def test_masks_move_and_end_at_the_density(method, epochs, data) -> None:
    model, steps = network(), 20
    masks = starting_masks(method, model, DENSITY, data, stream())
    rule = rule_of(method, DENSITY, steps, epochs, stream(1))
    history = fit(
        model, data, optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.01), epochs=epochs, batch_size=10,
        masks=masks, rule=rule, generator=stream(2),
    )  # fmt: skip
    assert history.masks is not None
    assert history.masks != masks
    assert history.masks.density == pytest.approx(DENSITY, abs=0.05 if method in BY_CHANCE else 1e-3)


@pytest.mark.parametrize("method", [*WHEN["before training"], "dense", "magnitude_after", "edge_popup"])
def test_the_others_have_no_rule(method) -> None:
    assert rule_of(method, DENSITY, 20, 5, stream()) is None


def test_masks_settle_before_the_last_quarter() -> None:
    for method in WHEN["during training"]:
        rule = rule_of(method, DENSITY, 600, 5, stream())
        assert not any(rule.acts_at(step) for step in range(2251, 3000))
        assert any(rule.acts_at(step) for step in range(2000, 2251))


def test_a_density_above_granets_start_begins_there(data) -> None:
    assert starting_masks("granet", network(), 0.8, data, stream()) == Masks.from_model(network())
    assert rule_of("granet", 0.8, 20, 5, stream()) is not None

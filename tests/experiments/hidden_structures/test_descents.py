"""One way down: how many weights each step leaves, when it ends, and what stands beside it."""

import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.experiments.hidden_structures import descents
from sparsewire.experiments.hidden_structures.descents import Descent, number_removed, run_descents, share_removed
from sparsewire.experiments.hidden_structures.relative import RelativeSpec
from sparsewire.experiments.hidden_structures.setup import SMOKE, network, retrain
from sparsewire.lab.experiment import Trial

SPEC = RelativeSpec(**{**SMOKE, "hidden": (5,), "epochs": 1, "least": 50})
TOTAL = 64 * 5 + 5 * 10


def ran(descent: Descent, tmp_path, **fields) -> Trial:
    trial = Trial(0, tmp_path)
    run_descents(SPEC.model_copy(update=fields), trial, [descent])
    return trial


def column(trial: Trial, name: str) -> list[float]:
    return [value for _, value in trial.series[name]]


def test_fractions_of_what_is_left_until_little_is(tmp_path) -> None:
    trial = ran(Descent("way", "blind", share_removed(0.5), 1), tmp_path)
    assert column(trial, "way weights") == [TOTAL, 185, 93, 47]
    assert column(trial, "way epochs") == [0, 1, 2, 3]
    assert column(trial, "way removed") == pytest.approx([100 * (1 - left / TOTAL) for left in (TOTAL, 185, 93, 47)])
    for gain, before, after in zip(
        *(column(trial, f"way {what}") for what in ("gain", "before", "after")), strict=True
    ):
        assert gain == pytest.approx(after - before)
    assert column(trial, "way after")[0] == trial.metrics["base"]


def test_a_network_without_weights_is_not_made(tmp_path) -> None:
    assert column(ran(Descent("way", "random", number_removed(160), 1), tmp_path), "way weights")[-1] >= 50


def test_two_of_one_name_are_refused(tmp_path) -> None:
    twice = [Descent("way", "blind", share_removed(0.5), 1)] * 2
    with pytest.raises(RequestError, match="'way' twice"):
        run_descents(SPEC, Trial(0, tmp_path), twice)


def test_a_single_step(tmp_path) -> None:
    assert column(ran(Descent("way", "uniform", share_removed(0.5), 1, False, True), tmp_path), "way weights") == [
        370,
        185,
    ]


def test_an_empty_layer_ends_it(tmp_path, monkeypatch) -> None:
    from sparsewire.structure.masks import Masks

    def first_layer_only(model, method, kept, masks, spec, generator):
        names = list(masks)
        return Masks({name: masks[name] if name == names[0] else masks[name] & False for name in names})

    monkeypatch.setattr(descents, "pruned", first_layer_only)
    assert column(ran(Descent("way", "blind", share_removed(0.1), 1), tmp_path), "way weights") == [TOTAL, 320]


def test_a_variable_retraining_ends_with_an_epoch_that_is_no_better(tmp_path) -> None:
    trial = Trial(0, tmp_path)
    model = network(SPEC, trial)
    perfect = retrain(model, SPEC, epochs=5, generator=trial.generator("x"), start=1.0)
    assert len(perfect) == 1
    told = retrain(model, SPEC, epochs=5, generator=trial.generator("x"))
    assert len(told) == 5


def test_the_control_is_as_long_as_the_longest_and_sees_the_same_batches(tmp_path, monkeypatch) -> None:
    seen = []

    def noted(model, spec, **options):
        order = options["generator"]
        seen.append((options.get("masks") is None, order.initial_seed(), order.get_state()))
        return retrain(model, spec, **options)

    monkeypatch.setattr(descents, "retrain", noted)
    trial = Trial(0, tmp_path)
    run_descents(SPEC, trial, [Descent(one, "blind", share_removed(0.6), 2) for one in ("a", "b")])
    assert len(column(trial, "control")) == 1 + 2 * 2 + 0 or len(column(trial, "control")) == 1 + 2 * 3
    assert column(trial, "control")[0] == trial.metrics["base"]
    assert len(column(trial, "control")) - 1 == column(trial, "a epochs")[-1]
    first = [state for is_control, _, state in seen if is_control]
    starts = [state for is_control, _, state in seen if not is_control]
    assert len({seed for _, seed, _ in seen}) == 1
    assert torch.equal(first[0], starts[0])
    half = len(starts) // 2
    assert all(torch.equal(one, other) for one, other in zip(starts[:half], starts[half:], strict=True))
    assert column(trial, "a after") == column(trial, "b after")

"""One copy of a trial: what is removed, what is left alone, what is recorded, and how a stopped trial goes on."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sparsewire.data.reber_samples import reber_set
from sparsewire.experiments.hidden_structures.recurrent import bigram_accuracy, run
from sparsewire.experiments.hidden_structures.recurrent_published import CELLS, SCOPES
from sparsewire.experiments.hidden_structures.recurrent_setup import (
    KeptAtItsEnd,
    RecurrentSpec,
    Strings,
    accuracy,
    masks_at,
    network,
    pruned,
)
from sparsewire.lab.checkpoint_folder import Stopped
from sparsewire.lab.experiment import Trial
from sparsewire.training.state import State

SMALL = {"strings": 64, "test_strings": 32, "embedding": 4, "hidden": 5, "layers": 2, "epochs": 2, "retraining": 1}
PART = {"both": "weight_", "i2h": "weight_ih", "h2h": "weight_hh"}


def of(cell="gru", seed=0, **fields):
    spec = RecurrentSpec(cell=cell, **{**SMALL, **fields})
    return spec, network(spec, torch.Generator().manual_seed(seed))


def by_percentile(weights, removed: int) -> list:
    """The paper's code: what is strictly below NumPy's percentile goes."""
    threshold = np.percentile(np.concatenate([weight.ravel() for weight in weights]), removed)
    return [weight >= threshold for weight in weights]


@pytest.mark.parametrize("threshold", ["pooled", "layer"])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("cell", CELLS)
def test_kept_is_what_the_papers_code_keeps(cell, scope, threshold) -> None:
    spec, model = of(cell, threshold=threshold, embedding=10, hidden=10)
    weights = {name: each.detach().abs().numpy() for name, each in model.named_parameters() if PART[scope] in name}
    for removed in (10, 50, 90, 100):
        masks = masks_at(model, scope, removed, spec)
        assert list(masks) == list(weights)
        groups = [list(weights)] if threshold == "pooled" else [[name] for name in weights]
        for group in groups:
            expected = by_percentile([weights[name] for name in group], removed)
            for name, mask in zip(group, expected, strict=True):
                assert np.array_equal(masks[name].numpy(), mask), (removed, name)


@pytest.mark.parametrize(("threshold", "one", "left"), [("pooled", True, 1), ("layer", True, 4), ("pooled", False, 0)])
def test_at_all_of_it_one_weight_stays_or_none(threshold, one, left) -> None:
    spec, model = of(threshold=threshold, leaves_one=one)
    assert masks_at(model, "both", 100, spec).count == left


@pytest.mark.parametrize("execution", ["sparse", "masked"])
@pytest.mark.parametrize("removed", [50, 100])
def test_a_pruned_copy_has_only_what_is_kept_and_the_base_stays(execution, removed) -> None:
    spec, model = of("lstm", execution=execution)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    masks = masks_at(model, "h2h", removed, spec)
    words = torch.randint(1, 128, (3, 6), generator=torch.Generator().manual_seed(0))
    found = pruned(model, masks, spec)(words)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert torch.allclose(found, masks.apply_(model)(words), atol=1e-6)


def test_what_a_trial_records(tmp_path) -> None:
    spec, _ = of("tanh", scopes=("h2h",), removed=(50, 100), retraining=2)
    trial = Trial(0, tmp_path)
    run(spec, trial)
    assert [step for step, _ in trial.series["base accuracy"]] == [1, 2]
    assert [step for step, _ in trial.series["h2h 50 % accuracy"]] == [0, 1, 2]
    assert trial.metrics["h2h 50 % weights left"] == 25  # of two layers of 5 × 5
    assert trial.metrics["h2h 100 % weights left"] == 1
    assert 50 <= trial.metrics["bigram accuracy"] <= 100


def test_every_copy_starts_from_the_base(tmp_path) -> None:
    """10 % after 90 % is as 10 % alone: nothing of the copy before is left."""
    found = []
    for place, removed in enumerate(((90, 10), (10,))):
        spec, _ = of("relu", scopes=("both",), removed=removed)
        trial = Trial(0, tmp_path / str(place))
        run(spec, trial)
        found.append(trial.series["both 10 % accuracy"] + trial.series["both 10 % loss"])
    assert found[0] == found[1]


def test_masked_and_sparse_agree(tmp_path) -> None:
    """Without clipping, which counts other gradients, the two are the same but for rounding."""
    losses = []
    for execution in ("sparse", "masked"):
        spec, _ = of("gru", scopes=("both",), removed=(50,), clip=1e6, execution=execution)
        trial = Trial(0, tmp_path / execution)
        run(spec, trial)
        losses.append(trial.metrics["both 50 % loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_a_stopped_trial_goes_on_and_does_no_finished_training_again(tmp_path, monkeypatch) -> None:
    spec, _ = of("tanh", scopes=("i2h",), removed=(30, 60))
    whole = Trial(0, tmp_path / "whole")
    run(spec, whole)

    asked = []
    stopped = Trial(0, tmp_path / "stopped", recorded=lambda name, *_: asked.append(name), every=1e9)

    def stop(fraction: float, note: str = "") -> None:
        if "60 %" in note:
            raise Stopped("stopped")

    monkeypatch.setattr(stopped, "report", stop)
    with pytest.raises(Stopped):
        run(spec, stopped)
    assert "i2h 30 % accuracy" in asked

    asked.clear()
    again = Trial(0, tmp_path / "stopped", recorded=lambda name, *_: asked.append(name), every=1e9)
    run(spec, again)
    assert again.series == whole.series
    assert "base accuracy" not in asked  # it was read, not trained again
    assert asked.count("i2h 30 % loss") == 0
    assert asked.count("i2h 60 % loss") == 1


def test_the_end_of_a_training_is_kept() -> None:
    class Never:
        kept = 0

        def load(self) -> None:
            return None

        def is_due(self) -> bool:
            return False

        def save(self, state: State) -> None:
            self.kept += 1

    never = Never()
    kept = KeptAtItsEnd(never)
    assert not kept.is_due()
    kept.ended = True
    assert kept.is_due()
    kept.save(State({}, {}))
    assert never.kept == 1
    assert kept.load() is None


def test_judged_in_batches_of_the_training() -> None:
    """A network that reads the padding sees a string's batch mates: one string at a time is another test."""
    data = reber_set(10, 40, generator=torch.Generator().manual_seed(0))
    _, model = of("tanh", seed=1)
    strings = Strings(data.train, data.test, 8)
    assert [len(labels) for _, labels in strings.test] == [8] * 5
    assert 0 <= accuracy(model, strings) <= 100
    inputs = data.test.inputs
    together = model(inputs[:8])
    longest = (inputs[:8] != 0).sum(1).max()
    assert torch.allclose(together, model(inputs[:8, :longest]))
    assert not torch.allclose(together[:1], model(inputs[:1]))


def test_pairs_of_neighbours_tell_as_many_as_in_the_paper() -> None:
    data = reber_set(10, 4000, generator=torch.Generator().manual_seed(0))
    assert bigram_accuracy(data.test) == pytest.approx(93.9, abs=1.5)


@pytest.mark.parametrize(
    "fields",
    [
        {"cell": "rnn"}, {"scopes": ()}, {"scopes": ("i2i",)}, {"removed": (0,)}, {"removed": (101,)},
        {"removed": (1.5,)}, {"epochs": True}, {"rate": 0.0}, {"clip": -1.0}, {"strings": 0},
    ],
)  # fmt: skip
def test_impossible_fields_are_refused(fields) -> None:
    with pytest.raises(ValidationError):
        RecurrentSpec(**fields)

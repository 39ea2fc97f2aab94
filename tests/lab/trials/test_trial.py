"""What a trial keeps beside its numbers: pictures of networks, plans, checkpoints with all that was found by then."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load

import sparsewire as sw
from sparsewire.errors import CheckpointError, RequestError
from sparsewire.lab.checkpoint_folder import CheckpointFolder, Stopped
from sparsewire.lab.storage.artefacts import read_arrays
from sparsewire.lab.trials.trial import Trial
from sparsewire.models.zoo import mlp
from sparsewire.training.state import State


def test_a_picture_holds_the_strongest_edges(tmp_path):
    model = mlp((100, 80, 10))
    trial = Trial(0, tmp_path)
    trial.show(sw.NetGraph.from_model(model))
    live = load((tmp_path / "network.safetensors").read_bytes())
    trial.finish()
    arrays = read_arrays(trial.artefacts["network"])
    assert live.keys() == arrays.keys()
    assert all(np.array_equal(live[name], arrays[name]) for name in arrays)
    assert arrays["sizes"].tolist() == [100, 80, 10]
    assert sum(len(arrays[name]) for name in arrays if name.startswith("values")) == 4000
    weight = model[0].weight.detach().numpy()
    rows, columns = arrays["rows_0_1"], arrays["columns_0_1"]
    assert np.array_equal(arrays["values_0_1"], weight[rows, columns])
    weakest = min(abs(arrays[name]).min() for name in arrays if name.startswith("values"))
    strengths = torch.cat([layer.weight.detach().abs().flatten() for layer in (model[0], model[2])])
    assert weakest == strengths.sort(descending=True).values[3999]


def test_the_last_picture_is_kept_also_after_a_stop(tmp_path):
    first, last = mlp((5, 4, 3)), mlp((5, 4, 3))
    trial = Trial(0, tmp_path)
    trial.show(sw.NetGraph.from_model(first))
    trial.show(sw.NetGraph.from_model(last))  # too soon for who watches
    trial.checkpoints().save(State({}, {}))
    again = Trial(0, tmp_path)
    again.checkpoints().load()
    again.finish()
    found = read_arrays(again.artefacts["network"])
    assert found["values_1_2"].tolist() == last[2].weight.detach().flatten().tolist()
    Trial(1, tmp_path).finish()  # nothing was shown: nothing is kept


def test_a_plan_is_made_once_and_kept(tmp_path):
    model = mlp((64, 64, 10))
    masks = sw.prune(model, score="random", density=0.1, generator=torch.Generator().manual_seed(0))
    made = []

    def make():
        made.append(1)
        return sw.plan(model, masks, batch=8)

    trial = Trial(0, tmp_path)
    first = trial.plan("net", make)
    again = Trial(0, tmp_path)
    assert again.plan("net", make).to_json() == first.to_json()
    assert len(made) == 1
    assert again.plans == {"net": first.to_json()}


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 101, "a b"])
def test_names_are_names_of_files(name, tmp_path):
    trial = Trial(0, tmp_path)
    for call in (trial.checkpoints, lambda name: trial.plan(name, lambda: None), lambda name: trial.keep(name, {})):
        with pytest.raises(RequestError, match="expected letters, digits"):
            call(name)


def test_a_checkpoint_brings_back_what_was_found_by_then(tmp_path):
    trial = Trial(0, tmp_path)
    trial.record("loss", 0.1, 1)
    trial.record("loss", float("nan"), 2)
    trial.keep("weights", {"w": np.arange(3)})
    trial.checkpoints().save(State({"x": torch.ones(2)}, {"epoch": 3}))
    trial.record("loss", 0.3, 3)
    trial.keep("weights", {"w": np.arange(5)})

    told = []
    again = Trial(0, tmp_path)
    again.on_restart = told.append
    again.record("loss", 0.1, 1)  # what a trial does before its training it does again
    state = again.checkpoints().load()
    assert (state.tensors["x"].tolist(), state.facts) == ([1.0, 1.0], {"epoch": 3})
    assert repr(again.series) == "{'loss': [(1, 0.1), (2, nan)]}"
    assert read_arrays(again.artefacts["weights"])["w"].tolist() == [0, 1, 2]
    assert len(told[0]) == 2
    again.keep("weights", {"w": np.arange(7)})
    assert again.artefacts["weights"].path == trial.artefacts["weights"].path  # the second file, anew
    assert read_arrays(again.artefacts["weights"])["w"].tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_trainings_of_one_trial_have_checkpoints_of_their_own(tmp_path):
    trial = Trial(0, tmp_path)
    trial.checkpoints("parent").save(State({}, {"epoch": 1}))
    assert trial.checkpoints("child").load() is None
    with pytest.raises(RequestError, match="found 'parent' twice, expected another one for each training"):
        trial.checkpoints("parent")
    assert Trial(0, tmp_path).checkpoints("parent").load().facts == {"epoch": 1}


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    CheckpointFolder(tmp_path / "checkpoints" / "training").save(State({}, {"epoch": 1}))
    with pytest.raises(CheckpointError, match="is not one of a trial"):
        Trial(0, tmp_path).checkpoints().load()


def test_a_trial_that_is_asked_to_stop_ends_at_its_next_word(tmp_path):
    trial = Trial(0, tmp_path, is_stopped=lambda: True)
    with pytest.raises(Stopped):
        trial.report(0.5)
    with pytest.raises(Stopped):
        trial.record("loss", 1.0)
    patient = Trial(0, tmp_path, is_stopped=lambda: True)
    kept = patient.checkpoints()
    patient.report(0.5)  # its training keeps a checkpoint first
    assert kept.is_due()
    with pytest.raises(Stopped):
        kept.save(State({}, {}))


def test_how_far_a_trial_is_lies_between_0_and_1(tmp_path):
    told = []
    trial = Trial(0, tmp_path, lambda fraction, note: told.append(fraction))
    for fraction in (-1, 0.5, 7, float("nan")):
        trial.report(fraction)
    assert told == [0.0, 0.5, 1.0, 0.0]

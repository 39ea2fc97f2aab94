"""Doing one trial: what is handed in, what is left behind, with and without a folder in common."""

import warnings
from typing import Literal

import pytest
import torch

from sparsewire.errors import DivergedError, StoreError
from sparsewire.lab.checkpoint_folder import Stopped
from sparsewire.lab.executors.contract import Order
from sparsewire.lab.experiment import Experiment
from sparsewire.lab.spec import Spec, canonical, run_id
from sparsewire.lab.storage.spool import pending, unpack
from sparsewire.lab.store import Store
from sparsewire.lab.trials.live import running, work_folder
from sparsewire.lab.trials.room import StopSign
from sparsewire.lab.trials.work import do


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    size: int = 3


class Panic(BaseException):
    """No Exception, as those of some extension modules."""


class Mute(Exception):
    def __str__(self):
        return None


def order(root, seed=0, **more):
    return Order("toy", canonical(Toy()), seed, str(root), **more)


def toy(trial):
    return Experiment("toy", "", "", Toy, lambda scale: [Toy()], {"smoke": 1}, trial, lambda outcomes: None)


def draw(spec, trial):
    for step in range(spec.size):
        trial.record("loss", 1 / (step + 1), step)
    trial.keep("noise", {"noise": torch.rand(4, generator=trial.generator("noise"))})


def taken(root):
    with Store.open(root) as store:
        return store.outcomes("toy", {"toy": Toy})


def test_what_was_found_is_handed_in_and_the_room_is_left(tmp_path):
    assert do(toy(draw), order(tmp_path)) == (run_id(Toy()), 0, "done", None, "")
    assert [parcel.name for parcel in pending(tmp_path)] == [f"{run_id(Toy())}-0.trial"]
    assert running(tmp_path) == []
    [outcome] = taken(tmp_path)
    assert dict(outcome.series) == {"loss": [(0, 1.0), (1, 0.5), (2, 1 / 3)]}
    assert outcome.arrays("noise")["noise"].shape == (4,)
    assert set(outcome.environment) == {"sparsewire", "torch", "cpu", "threads", "started"}


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (DivergedError("the loss is nan"), "diverged", "the loss is nan"),
        (ValueError("no"), "failed", "ValueError: no"),
        (MemoryError(), "failed", "out of memory (MemoryError)"),
        (RuntimeError("can't allocate memory: you tried"), "failed", "out of memory (RuntimeError: can't"),
        (RecursionError("deep"), "failed", "RecursionError: deep"),
        (SystemExit(3), "failed", "SystemExit: 3"),
        (Panic("in Rust"), "failed", "Panic: in Rust"),
        (Mute(), "failed", "Mute, whose message cannot be told (TypeError)"),
    ],
)  # fmt: skip
def test_how_a_trial_ends_is_told_with_its_reason(error, state, reason, tmp_path):
    def stumble(spec, trial):
        trial.record("loss", 1.0, 0)
        raise error

    assert do(toy(stumble), order(tmp_path)).state == state
    [outcome] = taken(tmp_path)
    assert outcome.state == state
    assert outcome.reason.startswith(reason)
    assert ("in stumble" in (outcome.traceback or "")) == (state == "failed")
    assert outcome.metrics == {"loss": 1.0}


def test_a_trial_too_large_for_the_memory_is_a_failed_one(tmp_path):
    def huge(spec, trial):
        torch.empty(1 << 60)

    assert do(toy(huge), order(tmp_path)).state == "failed"
    assert taken(tmp_path)[0].reason.startswith("out of memory (RuntimeError: ")


def test_a_stopped_trial_hands_in_nothing_and_keeps_its_room(tmp_path):
    def stopped(spec, trial):
        draw(spec, trial)
        raise Stopped

    assert do(toy(stopped), order(tmp_path)).state == "stopped"
    assert pending(tmp_path) == []
    assert len(running(tmp_path)) == 1


def test_without_a_folder_in_common_the_parcel_travels(tmp_path):
    receipt = do(toy(draw), order(tmp_path / "far", sweep="s"))
    assert receipt.state == "done"
    assert not (tmp_path / "far").exists()
    unpack(tmp_path / "home", receipt.parcel)
    sign = StopSign(tmp_path / "near", "s")
    sign.begin()
    assert do(toy(draw), order(tmp_path / "near", sweep="s")).parcel is None
    one, other = taken(tmp_path / "home")[0], taken(tmp_path / "near")[0]
    assert one.metrics == other.metrics
    assert one.arrays("noise")["noise"].tobytes() == other.arrays("noise")["noise"].tobytes()


def test_what_cannot_be_written_is_a_problem_and_no_outcome(tmp_path):
    def full(spec, trial):
        raise StoreError("the disk is full")

    receipt = do(toy(full), order(tmp_path))
    assert (receipt.state, receipt.problem) == ("stopped", "the disk is full")
    (tmp_path / "file").write_text("")
    assert "cannot work in" in do(toy(draw), order(tmp_path / "file")).problem
    (work_folder(tmp_path, run_id(Toy()), 1) / "head.json").mkdir(parents=True)
    assert "cannot work in" in do(toy(draw), order(tmp_path, 1)).problem


def test_global_streams_start_alike_and_are_put_back(tmp_path):
    import random

    import numpy as np

    seen = []

    def careless(spec, trial):
        seen.append((float(torch.rand(())), random.random(), np.random.rand()))  # noqa: NPY002

    states = torch.get_rng_state(), random.getstate()
    do(toy(careless), order(tmp_path, 4))
    do(toy(careless), order(tmp_path, 4))
    do(toy(careless), order(tmp_path, 5))
    assert seen[0] == seen[1]
    assert all(one != other for one, other in zip(seen[0], seen[2], strict=True))
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()


def test_a_checkpoint_that_cannot_be_written_costs_no_trial(tmp_path, monkeypatch):
    from sparsewire.lab.checkpoint_folder import CheckpointFolder
    from sparsewire.training.state import State

    def trains(spec, trial):
        kept = trial.checkpoints()
        assert kept.load() is None
        for _ in range(3):
            if kept.is_due():
                kept.save(State({}, {}))

    def full(self, state):
        from sparsewire.errors import CheckpointError

        raise CheckpointError("cannot write: the disk is full")

    monkeypatch.setattr(CheckpointFolder, "save", full)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert do(toy(trains), order(tmp_path, every=0.0)).state == "done"
    assert "the disk is full; the training goes on without it" in str(told[0].message)


def test_settings_that_a_trial_changes_are_put_back(tmp_path):
    seen = []

    def careless(spec, trial):
        seen.append((torch.get_default_dtype(), torch.is_grad_enabled(), torch.zeros(()).device.type))
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_grad_enabled(False)
        torch.use_deterministic_algorithms(True)
        raise ValueError

    for seed in range(2):
        do(toy(careless), order(tmp_path, seed))
    assert seen == [(torch.float32, True, "cpu")] * 2
    assert torch._C._len_torch_function_stack() == 0  # no device is put before later calls
    assert not torch.are_deterministic_algorithms_enabled()

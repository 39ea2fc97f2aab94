"""A trial's random numbers, what it notes, and what an outcome gives back."""

import math
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.experiment import Outcome, Trial, stream
from sparsewire.lab.spec import Spec

NOWHERE = Path("unused")


class Toy(Spec):
    experiment: Literal["toy"] = "toy"


def test_streams_are_frozen():
    # sha256("order") begins with 3eeb7e96; literals, because every kept result depends on them
    assert (stream(0, "order"), stream(1, "order"), stream(0, "weights")) == (0x3EEB7E96, 0x3EEB7E97, 2584907832)
    assert Trial(7, NOWHERE).generator("order").initial_seed() == stream(7, "order")


def test_seeds_and_purposes_have_streams_of_their_own():
    purposes = ("weights", "order", "masks", "noise", "global")
    draws = {
        torch.rand(8, generator=Trial(seed, NOWHERE).generator(purpose)).numpy().tobytes()
        for seed in range(100)
        for purpose in purposes
    }
    assert len(draws) == 500


def test_a_stream_starts_anew_each_time_and_knows_no_spec():
    one, other = Trial(3, NOWHERE), Trial(3, NOWHERE)
    other.generator("weights")  # an unrelated purpose disturbs nothing
    first = torch.randperm(50, generator=one.generator("order"))
    assert torch.equal(first, torch.randperm(50, generator=one.generator("order")))
    assert torch.equal(first, torch.randperm(50, generator=other.generator("order")))


def test_a_metric_is_the_value_without_a_step_or_else_the_last():
    trial = Trial(0, NOWHERE)
    for name, value, step in [("loss", 2.0, 1), ("acc", 0.5, 1), ("loss", 1.0, 2), ("acc", 0.9, None), ("acc", 0.7, 2),
                              ("size", 3, None), ("size", 4, None), ("zero", -0.0, None)]:  # fmt: skip
        trial.record(name, value, step)
    assert trial.metrics == {"loss": 1.0, "acc": 0.9, "size": 4.0, "zero": 0.0}
    assert list(trial.metrics) == ["loss", "acc", "size", "zero"]
    assert math.copysign(1, trial.metrics["zero"]) == 1
    assert trial.series == {"loss": [(1, 2.0), (2, 1.0)], "acc": [(1, 0.5), (2, 0.7)]}


def test_a_tensor_of_one_element_is_a_number():
    trial = Trial(0, NOWHERE)
    trial.record("loss", torch.tensor(0.5), step=np.int64(3))
    assert trial.series == {"loss": [(3, 0.5)]}


@pytest.mark.parametrize("name", ["", "a\nb", "\ud800", "\x1b[31m", 3])
def test_names_that_cannot_be_shown_are_refused(name):
    with pytest.raises(RequestError, match="record: name"):
        Trial(0, NOWHERE).record(name, 1.0)


def test_a_step_that_the_store_cannot_hold_is_refused():
    with pytest.raises(RequestError, match=r"step: found .*, which is too large"):
        Trial(0, NOWHERE).record("loss", 1.0, step=2**63)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 101])
def test_artefact_names_stay_inside_their_folder(tmp_path, name):
    with pytest.raises(RequestError, match="keep: name"):
        Trial(0, tmp_path).keep(name, {"x": np.zeros(1)})
    assert not list(tmp_path.iterdir())


def test_kept_arrays_come_back(tmp_path):
    trial = Trial(0, tmp_path / "work")
    trial.keep("net", {"a": torch.zeros(1)})
    trial.keep("net", {"a": torch.arange(6).view(2, 3).T, "b": np.float64(0.1)})  # replaces the first
    outcome = Outcome(Toy(), 0, "done", None, 0.1, trial.metrics, trial.series, trial.artefacts)
    arrays = outcome.arrays("net")
    assert np.array_equal(arrays["a"], [[0, 3], [1, 4], [2, 5]])
    assert arrays["b"].shape == ()
    assert arrays["b"] == 0.1
    with pytest.raises(UnknownNameError, match="no artefact is named 'nte'; did you mean 'net'"):
        outcome.arrays("nte")


def test_progress_is_told_between_0_and_1():
    heard = []
    trial = Trial(0, NOWHERE, lambda fraction, note: heard.append((fraction, note)))
    trial.report(0.5, "epoch 1")
    trial.report(7)
    trial.report(-1)
    assert heard == [(0.5, "epoch 1"), (1.0, ""), (0.0, "")]
    Trial(0, NOWHERE).report(0.5)

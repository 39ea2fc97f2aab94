"""Findings of runs that are half done, of several specs, or that did not come out: what they claim, and what not."""

import numpy as np
import pytest

from sparsewire.experiments import find, report_of
from sparsewire.experiments.lightning import initializations, path_training
from sparsewire.experiments.lightning.initializations import OTHERS, InitializationSpec
from sparsewire.experiments.lightning.path_training import PathTrainingSpec
from sparsewire.experiments.lightning.rebuild import RebuildSpec
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.lab.runner import run
from sparsewire.lab.store import Store

SMALL = {"data": "digits", "hidden": (8,), "epochs": 1}


def verdicts(section) -> list[str]:
    return [claim.verdict for _, claim in section.claims()]


@pytest.mark.parametrize(
    ("name", "specs"),
    [
        ("lightning.rebuild", [RebuildSpec(**SMALL, active=(0.3,)), RebuildSpec(**SMALL, active=(0.1, 0.5))]),
        (
            "lightning.path_training",
            [PathTrainingSpec(**SMALL, edges=(30,)), PathTrainingSpec(**SMALL, edges=(40, 70))],
        ),
    ],
)
def test_specs_with_different_measures_stand_side_by_side(name, specs, tmp_path) -> None:
    [experiment] = find(name)
    with Store.open(tmp_path) as store:
        run(experiment, specs, store, seeds=1)
        [section] = report_of(name, store).sections
    titles = [getattr(block, "title", "") for block in section.blocks]
    assert len(set(titles)) == len(titles)
    assert set(verdicts(section)) == {"no published number"}


@pytest.mark.parametrize(("last", "verdict"), [(0.5, "reproduced"), (0.001, "reproduced"), (0.0, "differs")])
def test_a_share_that_stays_where_it_is_does_not_rise(last, verdict) -> None:
    series = {"accuracy": [(1, 90.0), (2, 91.0)], "share at 1000": [(0, 0.0), (1, 0.0), (2, last)]}
    outcome = Outcome(PathTrainingSpec(edges=(1000,)), 0, "done", None, 1.0, {}, series)
    assert verdicts(path_training.findings([outcome])) == [verdict]


def trained(name: str, seed: int, folder) -> Outcome:
    """A trial of one start, lightning with 6 % error after the first epoch and the others with 9 %."""
    trial = Trial(seed, folder)
    trial.keep("quantiles", {"output": np.linspace(0, 1, 501, dtype=np.float32)})
    accuracy = 94.0 if name == "lightning" else 91.0
    series = {"accuracy": [(1, accuracy), (2, 98.0)], "share": [(0, 1.0), (1, 1.0), (2, 1.0)]}
    return Outcome(InitializationSpec(initialization=name), seed, "done", None, 1.0, {}, series, trial.artefacts)


def test_lightning_is_compared_only_with_all_the_others(tmp_path) -> None:
    names = ("lightning", *OTHERS)
    for name in names:
        (tmp_path / name).mkdir()
    outcomes = [trained(name, 0, tmp_path / name) for name in names]
    # 1 - 6 / 9 = 33 % below the others after epoch 1; equal, so 0 % below, at the end.
    assert verdicts(initializations.findings(outcomes)) == ["reproduced", "reproduced", "differs", "reproduced"]
    assert verdicts(initializations.findings(outcomes[:-1])) == ["not run", "not run", "not run", "reproduced"]
    assert verdicts(initializations.findings(outcomes[1:])) == ["not run"] * 4

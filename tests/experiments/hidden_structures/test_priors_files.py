"""A study in files: the table, predictors that foretell as they did, graphs that are the trials' own."""

import csv
import dataclasses
import importlib.util

import numpy as np
import pytest
import torch
from tests.experiments.hidden_structures.made_priors import made

from sparsewire.analysis.prediction.predictors import Predictor
from sparsewire.analysis.topology.properties import graph_properties
from sparsewire.errors import FileError, RequestError, UnknownNameError
from sparsewire.experiments.hidden_structures.priors import EXPERIMENT
from sparsewire.experiments.hidden_structures.priors_files import MEASURE, write_study
from sparsewire.experiments.hidden_structures.priors_published import PROPERTIES
from sparsewire.experiments.hidden_structures.priors_readings import accuracies, features, graph_of
from sparsewire.experiments.hidden_structures.priors_setup import PriorsSpec, drawn_graph
from sparsewire.lab.experiment import Outcome, Trial, stream
from sparsewire.lab.runner import run
from sparsewire.lab.spec import Spec
from sparsewire.lab.store import Store
from sparsewire.structure.graph_files import read_graph

TINY = {"most_nodes": 14, "strings": 20, "test_strings": 10, "epochs": 1, "batch": 10}
SPECS = [PriorsSpec(cell="tanh", family=family, **TINY) for family in ("watts_strogatz", "barabasi_albert")]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> list[Outcome]:
    folder = tmp_path_factory.mktemp("store")
    with Store.open(folder, write=True) as store:
        run(EXPERIMENT, SPECS, store, seeds=2)
        return store.outcomes(EXPERIMENT.name, {EXPERIMENT.name: PriorsSpec})


def rows_of(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_kept_graph_is_the_drawn_one(outcomes) -> None:
    assert [outcome.state for outcome in outcomes] == ["done"] * 4
    for outcome in outcomes:
        spec = outcome.spec
        seed = stream(outcome.seed, f"graph: {spec.family}, {spec.cell}")
        graph = graph_of(outcome)
        assert graph == drawn_graph(spec, torch.Generator().manual_seed(seed))
        assert {name: outcome.metrics[name] for name in PROPERTIES} == dict(graph_properties(graph))


def test_seeds_cells_and_families_have_graphs_of_their_own(outcomes) -> None:
    graphs = [graph_of(outcome) for outcome in outcomes]
    assert not any(one == other for place, one in enumerate(graphs) for other in graphs[:place])


def test_the_files_hold_what_was_found(outcomes, tmp_path) -> None:
    written = write_study(outcomes, tmp_path / "new" / "study")
    names = [path.relative_to(tmp_path / "new" / "study").as_posix() for path in written]
    assert names == ["trials.csv"] + [
        f"graphs/tanh-{family}-{seed}.graphml" for family in ("watts_strogatz", "barabasi_albert") for seed in (0, 1)
    ]
    graphs = {path.stem: read_graph(path) for path in written[1:]}
    for outcome in outcomes:
        assert graphs[f"tanh-{outcome.spec.family}-{outcome.seed}"] == graph_of(outcome)
    for row, outcome in zip(rows_of(written[0]), outcomes, strict=True):
        assert {name: float(row[name]) for name in (*PROPERTIES, "accuracy")} == {
            name: outcome.metrics[name] for name in (*PROPERTIES, "accuracy")
        }


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed")
@pytest.mark.parametrize("regressor", ["bayesian_ridge", "random_forest"])
def test_a_predictor_for_each_cell_of_enough_trials(outcomes, tmp_path, monkeypatch, regressor) -> None:
    monkeypatch.setattr(
        "sparsewire.experiments.hidden_structures.priors_files.graph_of", lambda _: graph_of(outcomes[0])
    )
    trials = [*made("gru", 10), *made("tanh", 9)]
    written = write_study(trials, tmp_path, regressor=regressor)
    assert [path.name for path in written[:3]] == ["trials.csv", "gru.safetensors", written[2].name]
    assert written[2].suffix == ".graphml"
    predictor = Predictor.load(written[1])
    assert dict(predictor.notes) == {"cell": "gru", "measure": MEASURE}
    assert predictor.names == PROPERTIES
    columns = {name: [float(row[name]) for row in rows_of(written[0])[:20]] for name in PROPERTIES}
    own = Predictor.fit(features(trials[:20]), accuracies(trials[:20]), regressor)
    assert np.allclose(predictor.predict(columns).mean, own.predict(columns).mean, atol=1e-9)


def test_accuracies_that_are_all_the_same_teach_nothing(outcomes, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        "sparsewire.experiments.hidden_structures.priors_files.graph_of", lambda _: graph_of(outcomes[0])
    )
    same = [dataclasses.replace(one, metrics={**one.metrics, "accuracy": 50.0}) for one in made("gru", 12)]
    assert not list(tmp_path.glob("*.safetensors"))
    assert len(write_study(same, tmp_path)) == 1 + 24


def test_what_did_not_end_well_is_in_the_table_alone(outcomes, tmp_path) -> None:
    lost = dataclasses.replace(outcomes[0], seed=9, state="diverged", reason="loss", metrics={}, artefacts={})
    written = write_study([*outcomes, lost], tmp_path)
    assert len(written) == 1 + 4
    assert [row["state"] for row in rows_of(written[0])] == ["done"] * 4 + ["diverged"]


def test_a_graph_that_was_kept_in_part_is_refused(outcomes) -> None:
    larger = dataclasses.replace(outcomes[0], metrics={**outcomes[0].metrics, "edges": 5000.0})
    with pytest.raises(RequestError, match=r"of the 5,000 edges of its graph .* were kept, expected all"):
        graph_of(larger)


def test_a_trial_without_a_graph() -> None:
    with pytest.raises(UnknownNameError, match="network"):
        graph_of(made("gru", 1)[0])


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        (list, "outcomes: found none that ended well"),
        (lambda: [dataclasses.replace(one, state="failed") for one in made("gru", 1)], "found none that ended well"),
        (lambda: [*made("gru", 1), *made("gru", 1, merge="pre")], "found trials of 2 setups, expected one"),
        (lambda: [Outcome(Spec(experiment="demo"), 0, "done", None, 1.0, {}, {})], "a trial of 'demo'"),
    ],
)
def test_what_is_no_study_is_refused_before_anything_is_written(trials, message, tmp_path) -> None:
    with pytest.raises(RequestError, match=message):
        write_study(trials(), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_folder_that_is_a_file(outcomes, tmp_path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(FileError, match="cannot write"):
        write_study(outcomes, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_stopped_trial_goes_on_to_the_same_end(tmp_path) -> None:
    from sparsewire.lab.checkpoint_folder import Stopped

    spec = SPECS[0].model_copy(update={"epochs": 3})
    whole = Trial(0, tmp_path / "whole")
    EXPERIMENT.trial(spec, whole)

    class Halted(Trial):
        def report(self, fraction: float, note: str = "") -> None:
            if "epoch 2" in note:
                raise Stopped("stopped")

    with pytest.raises(Stopped):
        EXPERIMENT.trial(spec, Halted(0, tmp_path / "parts", every=0.0))
    again = Trial(0, tmp_path / "parts", every=0.0)
    EXPERIMENT.trial(spec, again)
    assert again.series == whole.series
    assert again.metrics == whole.metrics

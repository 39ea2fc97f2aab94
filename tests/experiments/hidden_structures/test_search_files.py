"""A study of searches in files: the table, a predictor that foretells as it did, the best genome in three forms."""

import csv
import dataclasses

import numpy as np
import pytest
from tests.experiments.hidden_structures.made_search import SMALL, led

from sparsewire.analysis.prediction.predictors import Predictor
from sparsewire.errors import FileError, RequestError, UnknownNameError
from sparsewire.experiments.hidden_structures.search_files import COSTS, MEASURE, write_search
from sparsewire.experiments.hidden_structures.search_prediction import LEAST
from sparsewire.experiments.hidden_structures.search_readings import best_genome, studies, table
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.spec import Spec
from sparsewire.search.genome_files import genome_from_text, read_genome
from sparsewire.search.measures import FEATURES, features

pytest.importorskip("sklearn")
FIRST = CandidateSpec(**SMALL)


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return led(FIRST)


def test_the_files_hold_what_was_found(outcomes, tmp_path) -> None:
    written = write_search(outcomes, tmp_path / "new" / "study", regressor="bayesian_ridge")
    assert [path.name for path in written] == [
        "meta.csv", "predictor.safetensors", "best.json", "best.graphml", "best.svg",
    ]  # fmt: skip
    [study] = studies(outcomes)
    columns, accuracy, _ = table(study)
    with written[0].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["genome", *FEATURES, "accuracy", *COSTS]
    assert len(rows) == len(accuracy) >= LEAST
    assert [float(row["accuracy"]) for row in rows] == accuracy.tolist()
    genome = genome_from_text(rows[3]["genome"])
    assert {name: float(rows[3][name]) for name in FEATURES} == features(genome, input_channels=1)
    predictor = Predictor.load(written[1])
    assert dict(predictor.notes) == {"data": "digits", "measure": MEASURE}
    own = Predictor.fit(columns, accuracy, "bayesian_ridge")
    assert np.allclose(predictor.predict(columns).mean, own.predict(columns).mean, atol=1e-9)
    assert read_genome(written[2]) == best_genome(study)
    assert read_genome(written[3]).key == best_genome(study).key
    assert written[4].read_text(encoding="utf-8").lstrip().startswith("<svg")


@pytest.mark.parametrize("few", [True, False])
def test_too_little_teaches_nothing(few, tmp_path) -> None:
    spec = CandidateSpec(**{**SMALL, "searches": 1, "trainings": 6}) if few else FIRST
    names = [path.name for path in write_search(led(spec, worth=lambda _: 50.0), tmp_path)]
    assert names == ["meta.csv", "best.json", "best.graphml", "best.svg"]


def test_what_did_not_end_well_is_in_no_table(outcomes, tmp_path) -> None:
    lost = [dataclasses.replace(one, state="diverged", metrics={}) for one in outcomes[-3:]]
    written = write_search([*outcomes[:-3], *lost], tmp_path, regressor="bayesian_ridge")
    text = written[0].read_text(encoding="utf-8")
    assert "nan" not in text


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        (lambda found: found[1:], "found trials of 0 studies, expected one, with its first trial"),
        (lambda found: found[:1], "found no genome that was trained"),
        (
            lambda found: [*found, dataclasses.replace(found[0], spec=FIRST.model_copy(update={"population": 9}))],
            "found trials of 2 studies",
        ),
        (lambda _: [Outcome(Spec(experiment="demo"), 0, "done", None, 1.0, {}, {})], "a trial of 'demo'"),
    ],
)
def test_what_is_no_study_is_refused_before_anything_is_written(outcomes, trials, message, tmp_path) -> None:
    with pytest.raises(RequestError, match=message):
        write_search(trials(outcomes), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_regressor_that_is_none(outcomes, tmp_path) -> None:
    with pytest.raises(UnknownNameError, match="oracle"):
        write_search(outcomes, tmp_path, regressor="oracle")


def test_a_folder_that_is_a_file(outcomes, tmp_path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(FileError, match="cannot write"):
        write_search(outcomes, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"

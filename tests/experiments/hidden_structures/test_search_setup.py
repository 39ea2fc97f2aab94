"""A candidate and its training: the fields, the images, what is recorded, and when a training ends before its time."""

import pytest
import torch
from pydantic import ValidationError
from tests.experiments.hidden_structures.made_search import SMALL

from sparsewire.errors import DataError, DivergedError, RequestError
from sparsewire.experiments.hidden_structures.search import specs
from sparsewire.experiments.hidden_structures.search_published import DEPTHS, FEATURES, RANDOM_DEPTHS, SIGNS
from sparsewire.experiments.hidden_structures.search_setup import (
    CLASSES,
    SEARCH_FIELDS,
    CandidateSpec,
    candidate,
    chain,
    shape_of,
)
from sparsewire.experiments.hidden_structures.search_training import (
    genome_of,
    limits_of,
    pictures_of,
    train_candidate,
)
from sparsewire.lab.checkpoint_folder import Stopped
from sparsewire.lab.experiment import Trial
from sparsewire.lab.spec import canonical, run_id
from sparsewire.search import measures
from sparsewire.search.building import phenotype
from sparsewire.search.genotype import PAPER_INITIAL, PAPER_RANDOM

FIRST = CandidateSpec(**SMALL)
LINE = '{"vertices":[["conv3",4],["max_pool"],["conv3",8]],"edges":[[0,1],[1,2]]}'
IDS = ["61a3045c72e1ab61", "a7aea80df7d15f66", "565a6ba288f2f840"]  # as of the first version
ENDS = {"best validation accuracy", "test accuracy", "epochs", "training seconds"}
CURVES = {"validation accuracy", "validation loss", "training loss"}


def test_the_papers_numbers_are_the_searchs() -> None:
    spec = CandidateSpec()
    assert (spec.population, spec.mutation, spec.crossover, spec.worst, spec.estimated) == (30, 0.5, 0, 0.1, 0.5)
    assert (spec.least_depth, spec.most_depth) == DEPTHS == PAPER_INITIAL
    assert (spec.random_least_depth, spec.random_most_depth) == RANDOM_DEPTHS == PAPER_RANDOM
    assert len(measures.FEATURES) == FEATURES
    assert set(SIGNS) <= set(measures.FEATURES)
    assert len(SIGNS) == 10


def test_a_candidate_is_its_training_alone() -> None:
    one = candidate(FIRST, LINE)
    other = candidate(FIRST.model_copy(update={"searches": 7, "methods": ("random",), "trainings": 3}), LINE)
    assert one == other
    assert one != candidate(FIRST.model_copy(update={"epochs": 3}), LINE)
    assert {name for name in type(one).model_fields if getattr(one, name) != getattr(FIRST, name)} <= {
        "genome", *SEARCH_FIELDS,
    }  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"data": "imagenet"}, {"images": -1}, {"validation": 0}, {"test_images": -1}, {"side": -1}, {"side": 33},
        {"data": "digits", "side": 9}, {"epochs": 0}, {"batch": 1}, {"rate": 0.0}, {"most_multiply_adds": -1},
        {"most_memory": 0}, {"device": "tpu"}, {"bars": (float("inf"),)}, {"methods": ()}, {"methods": ("hill",)},
        {"methods": ("random", "random")}, {"searches": 0}, {"trainings": 0}, {"generations": -1}, {"population": 1},
        {"mutation": 1.5}, {"crossover": -0.1}, {"worst": 1.0}, {"estimated": 1.0}, {"regressor": "oracle"},
        {"least_tried": 3}, {"channels": ()}, {"channels": (0,)}, {"channels": (8.5,)}, {"least_depth": 0},
        {"least_depth": 7, "most_depth": 6}, {"random_least_depth": 37}, {"hopeless": 1.0}, {"epochs": True},
        {"genome": 3}, {"genomes": ""}, {"timed": 1}, {"objectives": ()}, {"objectives": ("speed",)},
        {"methods": ("nsga2",), "objectives": ("parameters", "accuracy")},
        {"methods": ("nsga2",), "objectives": ("accuracy", "seconds", "seconds")},
        {"objectives": ("accuracy", "parameters")},
    ],
)  # fmt: skip
def test_impossible_fields_are_refused(fields) -> None:
    with pytest.raises(ValidationError):
        CandidateSpec(**fields)


def test_the_message_names_field_and_bound() -> None:
    with pytest.raises(ValidationError, match="least_depth at most most_depth, 6; found 7"):
        CandidateSpec(least_depth=7, most_depth=6)
    with pytest.raises(ValidationError, match="side at most 8, the images' own; found 9"):
        CandidateSpec(data="digits", side=9)
    with pytest.raises(ValidationError, match="methods each once; found random, random"):
        CandidateSpec(methods=("random", "random"))

    with pytest.raises(ValidationError, match="objectives each once, accuracy first; found seconds, accuracy"):
        CandidateSpec(methods=("nsga2",), objectives=("seconds", "accuracy"))
    with pytest.raises(ValidationError, match="accuracy alone with the methods random, as only nsga2 looks at others"):
        CandidateSpec(methods=("random",), objectives=("accuracy", "seconds"))


def test_ids_are_what_they_were_before_there_were_objectives() -> None:
    """What a store holds must be found again: fields that came later are left out of the ids."""
    fields = {"data": "digits", "epochs": 2, "images": 60, "methods": ("genetic",)}
    assert run_id(CandidateSpec(**fields)) == run_id(CandidateSpec(**fields, objectives=("accuracy",), timed=False))
    assert canonical(CandidateSpec(epochs=2)) == '{"epochs":2,"experiment":"hidden_structures.search"}'
    assert [run_id(spec) for spec in (CandidateSpec(), *specs("desk"))] == IDS


def test_candidates_are_timed_where_the_search_looks_at_seconds() -> None:
    aims = {"methods": ("nsga2", "random"), "objectives": ("accuracy", "seconds")}
    timed = candidate(FIRST.model_copy(update=aims), LINE)
    assert (timed.timed, timed.objectives) == (True, ("accuracy",))
    assert candidate(FIRST.model_copy(update={**aims, "objectives": ("accuracy", "parameters")}), LINE) == candidate(
        FIRST, LINE
    )
    assert canonical(candidate(FIRST, LINE)) == canonical(timed).replace(',"timed":true', "")


@pytest.mark.parametrize("scale", ["smoke", "desk", "full"])
def test_every_scale_begins_with_a_chain_within_its_limits(scale) -> None:
    for spec in specs(scale):
        assert not spec.genome
        assert limits_of(spec, genome_of(spec)) == ()


@pytest.mark.parametrize("depth", [1, 2, 6, 9])
def test_the_chain_is_one(depth) -> None:
    genome = chain(4, depth)
    assert (genome.depth, len(genome.edges)) == (depth, depth - 1)
    assert phenotype(genome, (1, 8, 8), CLASSES)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_images_are_apart_and_the_same_for_all() -> None:
    pictures, again = pictures_of(FIRST), pictures_of(candidate(FIRST, LINE))
    assert [len(part.labels) for part in pictures] == [60, 40, 40]
    assert pictures.train.inputs.shape[1:] == shape_of(FIRST)
    assert all(torch.equal(one.inputs, other.inputs) for one, other in zip(pictures, again, strict=True))
    train, held = ({tuple(image) for image in part.inputs.flatten(1).tolist()} for part in pictures[:2])
    assert not train & held
    whole = pictures_of(FIRST.model_copy(update={"images": 0, "test_images": 0}))
    assert [len(part.labels) for part in whole] == [1437 - 40, 40, 360]
    assert torch.equal(whole.validation.inputs, pictures.validation.inputs)


def test_images_are_averaged_down() -> None:
    small = pictures_of(FIRST.model_copy(update={"side": 4}))
    full = pictures_of(FIRST)
    assert small.train.inputs.shape[1:] == (1, 4, 4)
    assert torch.allclose(small.train.inputs[0, 0, 0, 0], full.train.inputs[0, 0, :2, :2].mean())


def test_more_images_than_there_are() -> None:
    with pytest.raises(RequestError, match="images: found 1,400 and 40 for validation, expected 1,437 together"):
        pictures_of(FIRST.model_copy(update={"images": 1_400}))
    with pytest.raises(RequestError, match="expected 1,437 together"):
        pictures_of(FIRST.model_copy(update={"images": 0, "validation": 1_437}))


@pytest.mark.parametrize("genome", ["", LINE])
def test_what_a_trial_records(genome, tmp_path) -> None:
    spec = candidate(FIRST, genome)
    trial, again = Trial(0, tmp_path / "one"), Trial(0, tmp_path / "two")
    train_candidate(spec, trial)
    assert set(trial.metrics) == {*measures.FEATURES, "parameters", "multiply_adds", *CURVES, *ENDS}
    assert set(trial.series) == CURVES
    assert all([step for step, _ in points] == [1, 2] for points in trial.series.values())
    accuracies = [value for _, value in trial.series["validation accuracy"]]
    assert trial.metrics["best validation accuracy"] == max(accuracies)
    assert trial.metrics["parameters"] == sum(
        each.numel() for each in phenotype(genome_of(spec), (1, 8, 8), CLASSES).parameters()
    )
    train_candidate(spec, again)
    timed = {"training seconds"}
    assert all(again.metrics[name] == value for name, value in trial.metrics.items() if name not in timed)
    other = Trial(1, tmp_path / "three")
    train_candidate(spec, other)
    assert other.series != trial.series


def test_a_trial_that_is_timed_records_how_long_a_pass_takes(tmp_path) -> None:
    spec = candidate(FIRST, LINE)
    plain, timed = Trial(0, tmp_path / "plain"), Trial(0, tmp_path / "timed")
    train_candidate(spec, plain)
    train_candidate(spec.model_copy(update={"timed": True}), timed)
    assert set(timed.metrics) - set(plain.metrics) == {"forward seconds"}
    assert 0 < timed.metrics["forward seconds"] < 60
    assert timed.series == plain.series


def test_a_genome_above_the_limits_is_not_trained(tmp_path) -> None:
    spec = candidate(FIRST.model_copy(update={"most_multiply_adds": 1_000}), LINE)
    trial = Trial(0, tmp_path)
    train_candidate(spec, trial)
    assert trial.metrics["refused"] == 1.0
    assert not trial.series
    assert "multiply_adds: found" in limits_of(spec, genome_of(spec))[0]
    small = CandidateSpec(data="digits", most_memory=1, batch=5_000)
    assert "memory: found" in limits_of(small, chain(64))[0]


def test_a_hopeless_training_ends(tmp_path) -> None:
    spec = candidate(FIRST, LINE, (0.0, 101.0)).model_copy(update={"epochs": 4})
    trial = Trial(0, tmp_path)
    train_candidate(spec, trial)
    assert trial.metrics["epochs"] == 2
    easy = Trial(0, tmp_path / "easy")
    train_candidate(spec.model_copy(update={"bars": (0.0, 0.0)}), easy)
    assert easy.metrics["epochs"] == 4


def test_a_training_that_diverges_says_so(tmp_path) -> None:
    with pytest.raises(DivergedError):
        train_candidate(candidate(FIRST, LINE).model_copy(update={"rate": 1e30, "epochs": 5}), Trial(0, tmp_path))


@pytest.mark.parametrize("text", ["no genome", "[]", '{"vertices":[],"edges":[]}'])
def test_what_is_no_genome_is_refused(text) -> None:
    with pytest.raises((DataError, RequestError)) as caught:
        genome_of(FIRST.model_copy(update={"genome": text}))
    assert "\n" not in str(caught.value)


def test_a_stopped_training_goes_on_to_the_same_end(tmp_path) -> None:
    spec = candidate(FIRST, LINE).model_copy(update={"epochs": 3})
    whole = Trial(0, tmp_path / "whole")
    train_candidate(spec, whole)

    class Halted(Trial):
        def report(self, fraction: float, note: str = "") -> None:
            if "epoch 2" in note:
                raise Stopped("stopped")

    with pytest.raises(Stopped):
        train_candidate(spec, Halted(0, tmp_path / "parts", every=0.0))
    again = Trial(0, tmp_path / "parts", every=0.0)
    train_candidate(spec, again)
    assert again.series == whole.series
    assert again.metrics["test accuracy"] == whole.metrics["test accuracy"]

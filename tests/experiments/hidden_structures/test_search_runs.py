"""The search as the lab runs it: stopped and taken up again, by other workers, it ends with the same trials."""

import pytest
from tests.experiments.hidden_structures.made_search import SMALL

from sparsewire.experiments import report_of
from sparsewire.experiments.hidden_structures import search_courses
from sparsewire.experiments.hidden_structures.search import EXPERIMENT
from sparsewire.experiments.hidden_structures.search_fronts import front_of
from sparsewire.experiments.hidden_structures.search_readings import studies
from sparsewire.experiments.hidden_structures.search_setup import NAME, CandidateSpec
from sparsewire.lab.runner import run, trials_left
from sparsewire.lab.store import Store

pytest.importorskip("sklearn")
FIRST = CandidateSpec(
    **{
        **SMALL,
        "images": 40,
        "validation": 20,
        "test_images": 20,
        "epochs": 1,
        "batch": 20,
        "searches": 1,
        "trainings": 8,
    }
)


def outcomes_of(store):
    return {
        (outcome.spec, outcome.seed): {name: value for name, value in outcome.metrics.items() if "seconds" not in name}
        for outcome in store.outcomes(EXPERIMENT.name, {EXPERIMENT.name: CandidateSpec})
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("whole"), write=True) as store:
        summary = run(EXPERIMENT, [FIRST], store, seeds=1)
        assert summary.failed == 0
        yield outcomes_of(store)


def test_a_search_is_one_run(whole) -> None:
    assert FIRST in {spec for spec, _ in whole}
    assert len(whole) == len({spec for spec, _ in whole})
    assert 1 + 8 <= len(whole) <= 1 + 3 * 8


@pytest.mark.parametrize("after", [1, 5, 6])  # within the first generation, and at its end
def test_stopped_and_taken_up_again(whole, after, tmp_path) -> None:
    class Enough(Exception):
        pass

    ended = []

    def stop(progress) -> None:
        if progress.done > after and not ended:
            ended.append(progress.done)
            raise Enough

    with Store.open(tmp_path, write=True) as store:
        with pytest.raises(Enough):
            run(EXPERIMENT, [FIRST], store, seeds=1, progress=stop)
        assert trials_left(EXPERIMENT, [FIRST], store, seeds=1) > 0
        run(EXPERIMENT, [FIRST], store, seeds=1)
        assert trials_left(EXPERIMENT, [FIRST], store, seeds=1) == 0
        assert outcomes_of(store) == whole


def test_the_report_is_of_the_search_that_was_asked_for(tmp_path) -> None:
    small = FIRST.model_copy(update={"methods": ("random",), "trainings": 6})
    with Store.open(tmp_path, write=True) as store:
        run(EXPERIMENT, [FIRST], store, seeds=1)
        before = len(outcomes_of(store))
        run(EXPERIMENT, [small], store, seeds=1)
        assert len(outcomes_of(store)) == before + 1  # its candidates are those of the first
        [section] = report_of(EXPERIMENT.name, store, [small]).sections
        assert "7 trials" in section.intro
        both = studies(store.outcomes(EXPERIMENT.name, {EXPERIMENT.name: CandidateSpec}))
        assert [len(study.courses) for study in both] == [3, 1]


def test_a_search_by_several_objectives_is_taken_up_again_with_the_same_front(tmp_path) -> None:
    aims = {"methods": ("nsga2",), "trainings": 10, "objectives": ("accuracy", "parameters", "multiply_adds")}
    first = FIRST.model_copy(update=aims)

    class Enough(Exception):
        pass

    def stop(progress) -> None:
        if progress.done in (3, 8):
            raise Enough

    fronts = []
    for name, attempts in (("whole", 0), ("parts", 2)):
        with Store.open(tmp_path / name, write=True) as store:
            for _ in range(attempts):
                with pytest.raises(Enough):
                    run(EXPERIMENT, [first], store, seeds=1, progress=stop)
            summary = run(EXPERIMENT, [first], store, seeds=1)
            assert (summary.failed, summary.is_open) == (0, False)
            [study] = studies(store.outcomes(EXPERIMENT.name, {EXPERIMENT.name: CandidateSpec}))
            fronts.append(front_of(study))
    assert fronts[0] == fronts[1]
    assert len(fronts[0]) > 1


def test_a_measured_time_is_measured_once(tmp_path) -> None:
    first = FIRST.model_copy(update={"methods": ("nsga2",), "objectives": ("accuracy", "seconds")})
    with Store.open(tmp_path, write=True) as store:
        run(EXPERIMENT, [first], store, seeds=1)
        found = [one.metrics["forward seconds"] for one in store.outcomes(EXPERIMENT.name, {NAME: CandidateSpec})]
        [study] = studies(store.outcomes(EXPERIMENT.name, {NAME: CandidateSpec}))
        front = front_of(study)
        assert trials_left(EXPERIMENT, [first], store, seeds=1) == 0
        run(EXPERIMENT, [first], store, seeds=1)
        again = store.outcomes(EXPERIMENT.name, {NAME: CandidateSpec})
        assert [one.metrics["forward seconds"] for one in again] == found
        search_courses._begun.cache_clear()
        search_courses._after.cache_clear()
        [study] = studies(again)
        assert front_of(study) == front

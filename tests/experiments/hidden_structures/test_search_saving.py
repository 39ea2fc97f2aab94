"""What the surrogate saves, less its own time: by hand, with a clock of our own."""

import itertools

import pytest
from tests.experiments.hidden_structures.made_search import SMALL, led

from sparsewire.experiments.hidden_structures import search_surrogate_time
from sparsewire.experiments.hidden_structures.search_readings import studies, until
from sparsewire.experiments.hidden_structures.search_saving import Saving, saving_claims, saving_grid, savings
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec
from sparsewire.experiments.hidden_structures.search_surrogate_time import (
    MOST,
    _spread,
    seconds_a_generation,
    with_surrogate,
)

pytest.importorskip("sklearn")
FIRST = CandidateSpec(**{**SMALL, "searches": 2, "trainings": 24})


@pytest.fixture(scope="module")
def study():
    [found] = studies(led(FIRST))
    return found


@pytest.fixture
def ticking(monkeypatch):
    """Whatever is timed takes a tenth of a second."""
    ticks = itertools.count()
    monkeypatch.setattr(search_surrogate_time.time, "perf_counter", lambda: next(ticks) / 10)


def test_a_saving_by_hand() -> None:
    saving = Saving(0, 3, 60.0, 100.0, 4, 8.0, -0.5)
    assert (saving.share, saving.net) == (pytest.approx(40.0), pytest.approx(32.0))


def test_every_generation_of_a_surrogate_is_counted(study, ticking) -> None:
    found = savings(study)
    assert [one.seed for one in found] == [0, 1]
    for one, course in zip(found, study.of("genetic"), strict=True):
        assert one.surrogates == len(with_surrogate(course, one.generation)) > 0
        assert one.surrogate == pytest.approx(0.1 * one.surrogates)
        assert one.foretelling == len(until(course, one.generation))  # a made-up training takes a second
        assert one.net == pytest.approx(one.share - 100 * one.surrogate / one.training)
    grid, table = saving_grid(study, found, ""), saving_claims(found, "")
    assert [row[0] for row in grid.rows] == ["0", "1"]
    for row, one in zip(grid.rows, found, strict=True):
        saved = one.training - one.foretelling - one.surrogate
        assert row[-1] == f"{saved:,.1f}".replace("-", "−")
    assert "A surrogate, Bayesian ridge, took 0.1 s" in grid.note
    assert [claim.ours for claim in table.claims[:2]] == [
        tuple(one.share for one in found), tuple(one.net for one in found),
    ]  # fmt: skip


def test_without_a_clock_only_trainings_are_counted(study) -> None:
    found = savings(study, timed=False)
    labels = [claim.label for claim in saving_claims(found, "").claims]
    assert labels == ["training time that foretelling saves", "best validation accuracy with − without"]
    assert [row[-2:] for row in saving_grid(study, found, "").rows] == [("", "")] * 2
    assert saving_grid(study, found, "").note == ""


def test_the_time_is_measured_and_leads_nowhere(study) -> None:
    course, before = study.of("genetic")[0], study.of("genetic")[0].state
    assert 0 < seconds_a_generation(course, course.state.generation) < 60
    assert course.state is before


def test_who_foretells_nothing_needs_no_time(study) -> None:
    [course, *_] = study.of("all_trained")
    assert with_surrogate(course, 10) == []
    assert seconds_a_generation(course, 10) != seconds_a_generation(course, 10)  # NaN
    assert with_surrogate(study.of("genetic")[0], 0) == []


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100])
def test_at_most_a_few_generations_are_timed(count) -> None:
    places = list(range(1, count + 1))
    found = _spread(places, MOST)
    assert len(found) == len(set(found)) == min(count, MOST)
    assert (found[0], found[-1]) == (1, count)

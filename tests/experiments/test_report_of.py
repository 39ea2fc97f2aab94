"""Which trials a report shows: those of one scale, or of the specs that were asked for, never a mixture."""

from dataclasses import replace

import pytest

from sparsewire import experiments
from sparsewire.experiments import find, report_of
from sparsewire.experiments.lightning.path_curves import PathCurveSpec
from sparsewire.lab.reporting.findings import Section
from sparsewire.lab.runner import run
from sparsewire.lab.store import Store


@pytest.fixture
def store(tmp_path):
    [experiment] = find("lightning.path_curves")
    own = PathCurveSpec(data="digits", hidden=(8,), draws=2)
    with Store.open(tmp_path, write=True) as store:
        run(experiment, "smoke", store)
        run(experiment, [own], store, seeds=1)
        yield store, own


def intro(report) -> str:
    [section] = report.sections
    return section.intro


def test_the_scale_that_is_there(store) -> None:
    assert "Smoke scale, 2 trials." in intro(report_of("lightning.path_curves", store[0]))


def test_a_spec_of_ones_own(store) -> None:
    assert "Own spec, 1 trial." in intro(report_of("lightning.path_curves", store[0], [store[1]]))


def test_a_scale_that_is_not_there(store) -> None:
    report = report_of("lightning.path_curves", store[0], "desk")
    assert "Nothing has been run yet: sparsewire run lightning.path_curves" in str(report.sections)


def test_without_a_name_only_what_has_trials_is_shown(store) -> None:
    assert [section.title for section in report_of(None, store[0]).sections] == [find("lightning.path_curves")[0].title]


def test_trials_that_failed_alike_are_one_note(tmp_path) -> None:
    def fail(spec, trial) -> None:
        raise ValueError("no file")

    [experiment] = find("lightning.robustness")
    broken = replace(experiment, trial=fail)
    with Store.open(tmp_path, write=True) as store:
        run(broken, "smoke", store)
        notes = [block.text for block in report_of("lightning.robustness", store).sections[0].blocks]
    assert len(notes) == 1
    assert notes[0].startswith("4 trials, the first of seed 0, failed: ")
    assert "no file" in notes[0]


def test_what_followed_is_shown_with_what_it_followed_from(tmp_path, monkeypatch) -> None:
    def deeper(first, outcomes):
        draws = max(outcome.spec.draws for outcome in outcomes)
        return [spec.model_validate({**spec.model_dump(), "draws": draws + 1}) for spec in first if draws < 4]

    [listed] = find("lightning.path_curves")
    shown: list[int] = []

    def findings(outcomes) -> Section:
        shown[:] = [outcome.spec.draws for outcome in outcomes]
        return Section("", "", "", ())

    following = replace(listed, follow=deeper, findings=findings)
    monkeypatch.setattr(experiments, "find", lambda name=None: [following])
    own = PathCurveSpec(data="digits", hidden=(8,), draws=2)
    with Store.open(tmp_path, write=True) as store:
        run(following, [own.model_validate({**own.model_dump(), "draws": 9})], store, seeds=1)
        run(following, [own], store, seeds=1)
        assert "Own spec, 3 trials." in intro(report_of(listed.name, store, [own]))
        assert shown == [2, 3, 4]

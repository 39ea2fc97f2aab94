"""Trials that follow from others: the same course whoever does them, however often the run is stopped, fails, dies."""

import json
import os
import random
import signal
import sys
import time
from typing import Literal

import cloudpickle
import pytest
import torch

from sparsewire.errors import DivergedError, RequestError
from sparsewire.lab.executors.contract import Ended
from sparsewire.lab.experiment import Experiment, Outcome
from sparsewire.lab.following import course_of, found_of, go_on
from sparsewire.lab.runner import run, trials_left
from sparsewire.lab.spec import Spec
from sparsewire.lab.store import Store
from sparsewire.lab.trials.work import do

ROUNDS = 4


class Hop(Spec):
    experiment: Literal["hops"] = "hops"
    place: int = 0
    step: int = 3


KINDS: dict[str, type[Spec]] = {"hops": Hop}


def height(spec, trial):
    """A hill whose height depends on the place alone, and a little on the seed."""
    trial.record("height", float(torch.rand((), generator=trial.generator(f"hill {spec.place}"))))


def climb(first, outcomes):
    """From the highest place of each round two hops, the larger the higher; those of the seeds count together."""
    heights: dict[Hop, float] = {}
    for outcome in outcomes:
        heights[outcome.spec] = heights.get(outcome.spec, 0.0) + outcome.metrics.get("height", -1.0)
    listed = list(heights)
    newest = listed[len(first) + 2 * ((len(listed) - len(first)) // 2 - 1) :] if len(listed) > len(first) else listed
    if len(listed) >= len(first) + 2 * ROUNDS:
        return []
    best = max(newest, key=lambda spec: heights[spec])
    hop = first[0].step + int(1000 * heights[best])
    last = max(spec.place for spec in listed)
    return [Hop(place=last + hop, step=best.step), Hop(place=last + hop + 1, step=best.step)]


def hops(trial=height, follow=climb):
    return Experiment(
        "hops", "Hops", "none", Hop, lambda scale: [Hop(), Hop(place=1)], {"smoke": 1, "desk": 2, "full": 3}, trial,
        lambda outcomes: None, follow,
    )  # fmt: skip


def kept(folder):
    with Store.open(folder, write=False) as store:
        return [(one.spec.place, one.seed, one.state, dict(one.metrics)) for one in store.outcomes("hops", KINDS)]


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """What a run finds that nothing disturbs."""
    folder = tmp_path_factory.mktemp("calm")
    with Store.open(folder) as store:
        run(hops(), "desk", store)
    return kept(folder)


def test_a_run_goes_on_until_nothing_follows(tmp_path):
    asked, moments = [], []

    def noted(first, outcomes):
        asked.append([(outcome.spec.place, outcome.seed) for outcome in outcomes])
        assert first == (Hop(), Hop(place=1))
        return climb(first, outcomes)

    with Store.open(tmp_path) as store:
        assert trials_left(hops(), "desk", store) == 4  # the others are not known yet
        summary = run(hops(follow=noted), "desk", store, progress=moments.append)
        assert trials_left(hops(), "desk", store) == 0
        again = run(hops(), "desk", store)
    trials = [(place, seed) for place, seed, *_ in kept(tmp_path)]
    assert asked == [trials[: 4 * round_] for round_ in range(1, ROUNDS + 2)]
    assert (summary.total, summary.done, summary.skipped, summary.is_open) == (20, 20, 0, False)
    assert (again.total, again.done, again.skipped, again.is_open) == (20, 0, 20, False)
    assert str(again).startswith("hops: 0 done, 20 kept from before of 20 trials in ")
    told = [(now.done, now.total, now.rounds, now.is_open) for now in moments if not now.ended and not now.running]
    assert told == [(4 * round_, 4 * round_ + 4, round_, True) for round_ in range(ROUNDS + 1)]


def test_an_experiment_of_which_nothing_follows_is_over_at_once():
    plain = hops(follow=None)
    course = course_of(plain, [Hop(), Hop(place=1), Hop()])
    assert course == go_on(plain, course, [0], []) == ((Hop(), Hop(place=1)), (Hop(), Hop(place=1)), 0, True)


class LastFirst:
    """Does the newest order first, and three at a time."""

    name, capacity = "last first", 3

    def __init__(self):
        self.orders = []

    def submit(self, order):
        self.orders.append(order)

    def ended(self, timeout):
        return [
            Ended(order, do(hops(), order)) for order in reversed(self.orders[-2:]) if not self.orders.remove(order)
        ]

    def close(self, grace):
        pass


def test_the_course_is_the_same_whoever_does_the_trials(tmp_path, calm):
    with Store.open(tmp_path) as store:
        summary = run(hops(), "desk", store, executor=LastFirst())
    assert (summary.done, kept(tmp_path)) == (20, calm)


def test_the_course_is_the_same_on_two_workers(tmp_path, calm):
    pytest.importorskip("distributed")
    from sparsewire.lab.executors.cluster import Cluster

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)  # workers cannot import the tests
    try:
        cluster = Cluster.local(2, lambda order: do(hops(), order))
        try:
            with Store.open(tmp_path) as store:
                summary = run(hops(), "desk", store, executor=cluster)
        finally:
            cluster.close(0.0)
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    assert (summary.done, kept(tmp_path)) == (20, calm)


@pytest.mark.parametrize("moment", [1, 3, 4, 5, 12, 19])
def test_ctrl_c_at_any_trial_changes_no_course(moment, tmp_path, calm):
    begun = 0

    def interrupted(spec, trial):
        nonlocal begun
        begun += 1
        if begun == moment:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(500):
                time.sleep(0.01)
                trial.report(0.5)
        height(spec, trial)

    with Store.open(tmp_path) as store:
        first = run(hops(interrupted), "desk", store)
        assert (first.interrupted, first.done, first.is_open) == (True, moment - 1, True)
        assert f"of {first.total} trials so far in" in str(first)
        second = run(hops(), "desk", store)
    assert (second.done, second.skipped) == (21 - moment, moment - 1)
    assert kept(tmp_path) == calm


def test_a_budget_ends_the_run_between_two_rounds(tmp_path, calm):
    def long(spec, trial):
        height(spec, trial)
        time.sleep(0.2)  # and does not look whether it should stop

    with Store.open(tmp_path) as store:
        cut = run(hops(long), [Hop()], store, seeds=1, budget=0.1)
        assert (cut.done, cut.total, cut.out_of_time, cut.is_open) == (1, 3, True, True)
        assert str(cut).endswith("the time is used up: run the same command again to go on")
        assert run(hops(), "desk", store, budget=0.0).done == 0
        assert run(hops(), "desk", store, budget=1000.0).done == 19
    assert kept(tmp_path) == calm


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_kills_at_random_moments_change_no_course(tmp_path, calm):
    def slow(spec, trial):
        height(spec, trial)
        time.sleep(0.002)

    moments, kills = random.Random(0), 0
    with Store.open(tmp_path):
        pass
    for _ in range(8):
        child = os.fork()
        if child == 0:
            try:
                with Store.open(tmp_path) as store:
                    run(hops(slow), "desk", store)
            finally:
                os._exit(0)
        time.sleep(moments.uniform(0.0, 0.06))
        os.kill(child, signal.SIGKILL)
        kills += os.waitpid(child, 0)[1] == signal.SIGKILL
        assert all(trial in calm for trial in kept(tmp_path))
    assert kills >= 3
    with Store.open(tmp_path) as store:
        run(hops(), "desk", store)
    assert kept(tmp_path) == calm


def test_what_failed_is_waited_for(tmp_path, calm):
    """Chance must not lead elsewhere: nothing follows until the next run has mended what failed."""
    third = calm[8][0]

    def stumbling(spec, trial):
        if (spec.place, trial.seed) == (third, 1):
            raise OSError("no space")
        height(spec, trial)

    with Store.open(tmp_path) as store:
        first = run(hops(stumbling), "desk", store)
        assert (first.done, first.failed, first.total, first.is_open) == (11, 1, 12, True)
        assert "of 12 trials so far in" in str(first)
        assert str(first).endswith("what follows waits for what failed: run the same command again to go on")
        assert run(hops(stumbling), "desk", store).failed == 1  # it is tried again, and waited for again
        assert trials_left(hops(), "desk", store) == 1
        assert run(hops(), "desk", store).done == 9
    assert kept(tmp_path) == calm


def test_what_diverged_is_a_result_that_leads_on(tmp_path):
    def wild(spec, trial):
        if spec.place > 1 and spec.place % 2:
            raise DivergedError("the loss is nan")
        height(spec, trial)

    seen = []

    def noted(first, outcomes):
        seen[:] = [outcome.state for outcome in outcomes]
        return climb(first, outcomes)

    with Store.open(tmp_path) as store:
        summary = run(hops(wild, noted), "smoke", store)
        assert (summary.total, summary.failed, summary.is_open) == (10, 0, False)
        assert (seen.count("diverged"), len(seen)) == (summary.diverged, 10)
        assert summary.diverged >= ROUNDS
        assert run(hops(), "smoke", store).done == 0


def test_what_else_the_store_holds_makes_no_difference(tmp_path, calm):
    with Store.open(tmp_path) as store:
        run(hops(), [Hop(place=calm[-1][0]), Hop(place=1)], store, seeds=[5, 1])  # the last, and another course
        run(hops(), [Hop(step=4)], store, seeds=1)
        summary = run(hops(), "desk", store)
        course = go_on(hops(), course_of(hops(), hops().specs("desk")), [1, 0], store.outcomes("hops", KINDS))
    assert summary.skipped >= 1
    assert [spec.place for spec in course.specs] == [place for place, *_ in calm[::2]]
    assert (course.rounds, course.is_over) == (ROUNDS, True)
    assert [trial for trial in kept(tmp_path) if trial in calm] != []


def test_watchers_are_told_of_each_round(tmp_path):
    """`work/<sweep>.run`, from which the dashboard takes how many trials there are."""
    plans = []

    def watched(spec, trial):
        [sign] = (tmp_path / "work").glob("*.run")
        plans.append(json.loads(sign.read_text()))
        height(spec, trial)

    with Store.open(tmp_path) as store:
        run(hops(watched), "smoke", store)
    assert plans[::2] == [{"total": 2 * n, "behind": 2 * (n - 1), "held": 2 * (n - 1)} for n in range(1, ROUNDS + 2)]
    assert not list((tmp_path / "work").iterdir())


class Other(Spec):
    experiment: Literal["other"] = "other"


def test_what_follows_must_be_of_the_same_experiment(tmp_path):
    with Store.open(tmp_path) as store:
        with pytest.raises(RequestError, match="spec: found one of 'other', expected one of 'hops'"):
            run(hops(follow=lambda first, outcomes: [Other()]), "smoke", store)
        assert len(store.outcomes("hops", KINDS)) == 2
        assert not list((tmp_path / "work").iterdir())
        assert run(hops(), "smoke", store).skipped == 2


def test_known_specs_that_follow_again_are_nothing_new(tmp_path):
    with Store.open(tmp_path) as store:
        summary = run(hops(follow=lambda first, outcomes: [Hop(place=1), Hop(place=2), Hop(place=2)]), "smoke", store)
    assert (summary.total, summary.done, summary.is_open) == (3, 3, False)


def outcome(place, seed=0, state="done"):
    return Outcome(Hop(place=place), seed, state, None, 0.0, {"height": 0.001 * place}, {})


def test_found_are_the_outcomes_of_one_course_in_its_order():
    def next_place(first, outcomes):
        return [Hop(place=one.spec.place + len(outcomes)) for one in outcomes if len(outcomes) < 8]

    experiment = hops(follow=next_place)
    # of one seed: 0, then 1, then 2 and 3, then 4 to 7; of two seeds: 0, then 2, then 4 and 6
    stored = [outcome(place) for place in (9, 4, 3, 2, 1, 0, 50)]
    found, is_all = found_of(experiment, [Hop()], 1, stored)
    assert ([one.spec.place for one in found], is_all) == ([0, 1, 2, 3, 4], False)
    full = [outcome(place) for place in range(9)]
    found, is_all = found_of(experiment, [Hop(), Other()], 1, full)
    assert ([one.spec.place for one in found], is_all) == (list(range(8)), True)
    assert {one.seed for one in found} == {0}
    # the first spec has a second seed by now, with which nothing follows yet: the course of the first one is shown
    assert found_of(experiment, [Hop()], 1, [*full, outcome(0, 1)]) == (found, True)
    assert found_of(experiment, [Other()], 1, full) == ([], False)
    assert found_of(experiment, [Hop()], 1, []) == ([], False)
    # run with two seeds, though one is its own number
    both = [outcome(place, seed) for place in (0, 2, 6, 4) for seed in (1, 0)]
    found, is_all = found_of(experiment, [Hop()], 1, both)
    assert is_all
    assert [(one.spec.place, one.seed) for one in found] == [(place, seed) for place in (0, 2, 4, 6) for seed in (0, 1)]
    failed = [outcome(0, 0, "failed")]
    assert found_of(experiment, [Hop()], 1, failed) == (failed, False)


def test_found_of_trials_that_do_not_depend_on_each_other():
    plain = hops(follow=None)
    stored = [outcome(2), outcome(0), outcome(0, 1), outcome(1, 0, "failed")]
    assert found_of(plain, [Hop(), Hop(place=1)], 1, stored) == (stored[1:], True)
    assert found_of(plain, [Hop()], 3, stored) == (stored[1:3], False)

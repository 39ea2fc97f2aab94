"""The runner: every trial once, whatever happens; kills, interrupts, failures and divergence included."""

import math
import os
import random
import signal
import time
from collections import Counter
from typing import Literal

import numpy as np
import pytest
import torch

from sparsewire.errors import DivergedError, RequestError, StoreError, UnknownNameError
from sparsewire.lab.executors.contract import Ended, Order
from sparsewire.lab.experiment import Experiment
from sparsewire.lab.runner import run, trials_left
from sparsewire.lab.spec import Spec, canonical
from sparsewire.lab.store import Store
from sparsewire.lab.trials import interruption
from sparsewire.lab.trials.work import do
from sparsewire.models.zoo import mlp
from sparsewire.training.loop import fit


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    paths: int = 20


KINDS: dict[str, type[Spec]] = {"toy": Toy}


def draw(spec, trial):
    """Finds numbers that depend on the spec, the seed and nothing else."""
    noise = torch.rand(50, generator=trial.generator("noise"))
    for step in range(5):
        trial.record("loss", float(noise[step]) / spec.paths, step)
    trial.record("sum", float((noise * spec.paths).sum()))
    trial.keep("noise", {"noise": noise})


def toy(trial=draw):
    return Experiment(
        "toy", "A toy", "none", Toy, lambda scale: [Toy(paths=paths) for paths in (3, 20, 7)],
        {"smoke": 2, "desk": 3, "full": 4}, trial, lambda outcomes: None,
    )  # fmt: skip


def kept(folder):
    with Store.open(folder, write=False) as store:
        return store.outcomes("toy", KINDS)


def values(outcomes):
    return [(outcome.spec, outcome.seed, outcome.state, outcome.metrics, outcome.series,
             outcome.arrays("noise")["noise"].tobytes()) for outcome in outcomes]  # fmt: skip


def test_a_run_does_every_trial_once(tmp_path):
    calls = []

    def counted(spec, trial):
        calls.append((spec.paths, trial.seed))
        draw(spec, trial)

    with Store.open(tmp_path) as store:
        assert trials_left(toy(), "smoke", store) == 6
        first = run(toy(counted), "smoke", store)
        assert (trials_left(toy(), "smoke", store), trials_left(toy(), "desk", store)) == (0, 3)
        assert calls == [(3, 0), (20, 0), (7, 0), (3, 1), (20, 1), (7, 1)]  # each spec's first seed comes first
        again = run(toy(counted), "smoke", store)
        assert len(calls) == 6
        more = run(toy(counted), "desk", store)
        assert calls[6:] == [(3, 2), (20, 2), (7, 2)]
    assert (first.total, first.done, first.skipped, first.failed, first.interrupted) == (6, 6, 0, 0, False)
    assert (again.total, again.done, again.skipped) == (6, 0, 6)
    assert (more.total, more.done, more.skipped) == (9, 3, 6)
    assert str(again).startswith("toy: 0 done, 6 kept from before of 6 trials in ")
    found = kept(tmp_path)
    assert [(outcome.spec.paths, outcome.seed) for outcome in found] == [
        (paths, seed) for paths in (3, 20, 7) for seed in range(3)
    ]
    assert set(found[0].environment) == {"sparsewire", "torch", "cpu", "threads", "started"}
    assert found[0].environment["torch"] == torch.__version__
    assert found[0].seconds > 0


def test_the_same_spec_and_seed_give_the_same_bits(tmp_path):
    def careless(spec, trial):
        draw(spec, trial)
        trial.record("layer", torch.nn.Linear(3, 3).weight.sum().item())  # draws from the global stream

    for name, specs in [("a", [Toy(paths=3), Toy()]), ("b", [Toy(), Toy(paths=3)])]:
        torch.manual_seed(len(name) + len(specs[0].model_fields_set))
        with Store.open(tmp_path / name) as store:
            run(toy(careless), specs, store, seeds=[5, 2])
    one, other = (sorted(map(repr, values(kept(tmp_path / name)))) for name in "ab")
    assert one == other
    assert len(one) == 4


def test_the_global_stream_and_threads_are_left_alone(tmp_path):
    seen = []
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Store.open(tmp_path) as store:
            run(toy(lambda spec, trial: seen.append((torch.get_num_threads(), torch.rand(1)))), "smoke", store)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert [threads for threads, _ in seen] == [1] * 6
    assert torch.equal(torch.rand(3), expected)


def test_specs_share_streams_but_not_the_seeds(tmp_path):
    with Store.open(tmp_path) as store:
        run(toy(), "smoke", store)
        noise = {
            (outcome.spec.paths, outcome.seed): outcome.arrays("noise")["noise"].tobytes()
            for outcome in store.outcomes("toy", KINDS)
        }
    assert noise[3, 0] == noise[20, 0] == noise[7, 0]
    assert noise[3, 0] != noise[3, 1]


def stumble(spec, trial):
    """Diverges for 3 paths, fails for 7."""
    trial.record("loss", math.nan if spec.paths == 3 else 1.0, step=0)
    if spec.paths == 3:
        raise DivergedError("the loss is nan at step 0")
    if spec.paths == 7:
        raise [ValueError("no such thing\nsecond line"), MemoryError()][trial.seed]


def test_diverged_trials_are_results_and_failed_ones_are_tried_again(tmp_path):
    with Store.open(tmp_path) as store:
        first = run(toy(stumble), "smoke", store)
        found = {(outcome.spec.paths, outcome.seed): outcome for outcome in store.outcomes("toy", KINDS)}
        assert (first.done, first.diverged, first.failed, first.interrupted) == (2, 2, 2, False)
        assert "2 done, 2 diverged, 2 failed of 6 trials" in str(first)
        assert str(first).count("failed: run ") == 2
        assert "seed 0: ValueError: no such thing" in str(first)
        assert "second line" not in str(first)
        assert found[3, 0].state == "diverged"
        assert found[3, 0].reason == "the loss is nan at step 0"
        assert math.isnan(found[3, 0].metrics["loss"])
        assert found[7, 0].reason == "ValueError: no such thing\nsecond line"
        assert "in stumble" in found[7, 0].traceback
        assert found[7, 1].reason == "out of memory (MemoryError)"
        mended = run(toy(draw), "smoke", store)
        assert (mended.done, mended.skipped, mended.failed) == (2, 4, 0)
        assert [outcome.state for outcome in store.outcomes("toy", KINDS)] == ["diverged"] * 2 + ["done"] * 4


def test_messages_that_are_no_text_are_kept_all_the_same(tmp_path):
    def hostile(spec, trial):
        raise FileNotFoundError("\udcff\x00" + "x" * 100_000)

    with Store.open(tmp_path) as store:
        assert run(toy(hostile), "smoke", store).failed == 6
        outcome = store.outcomes("toy", KINDS)[0]
    assert outcome.reason.startswith("FileNotFoundError: ?\x00xxx")
    assert len(outcome.reason) == 2000


def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(tmp_path):
    def interrupted(spec, trial):
        draw(spec, trial)
        if (spec.paths, trial.seed) == (7, 0):
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(500):
                time.sleep(0.01)
                trial.report(0.5)

    before = signal.getsignal(signal.SIGINT)
    with Store.open(tmp_path) as store:
        summary = run(toy(interrupted), "smoke", store)
        assert (summary.interrupted, summary.done) == (True, 2)
        assert "4 left of 6 trials" in str(summary)
        assert str(summary).endswith("interrupted: run the same command again to go on")
        assert len(store.outcomes("toy", KINDS)) == 2
        assert run(toy(), "smoke", store).done == 4
    assert signal.getsignal(signal.SIGINT) is before
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize("again", [True, False])
def test_a_trial_that_does_not_listen_is_left_when_the_time_is_up_or_at_the_second_ctrl_c(again, tmp_path, monkeypatch):
    monkeypatch.setattr(interruption, "GRACE", 60.0 if again else 0.2)

    def deaf(spec, trial):
        os.kill(os.getpid(), signal.SIGINT)
        if again:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)

    with Store.open(tmp_path) as store:
        begin = time.monotonic()
        assert run(toy(deaf), "smoke", store).interrupted
        assert time.monotonic() - begin < 25
        assert run(toy(), "smoke", store).done == 6


def trains(spec, trial):
    """A training with a checkpoint at each step, and what it looks like at the end."""
    inputs = torch.rand(40, 5, generator=trial.generator("inputs"))
    model = mlp((5, 8, 3), generator=trial.generator("weights"))
    trial.record("begun", 1.0)
    trial.keep("before", {"weight": model[0].weight})

    def tell(epoch, model, history):
        trial.record("loss", history.loss[-1], epoch)
        trial.keep("last", {"weight": model[0].weight})

    fit(
        model, (inputs, inputs[:, :3].argmax(1)), optimizer=torch.optim.Adam, epochs=4, batch_size=10,
        generator=trial.generator("order"), checkpoints=trial.checkpoints(), on_epoch=tell,
    )  # fmt: skip
    trial.keep("after", {"weight": model[0].weight, "bias": model[2].bias})


def everything(folder):
    return [
        (outcome.spec, outcome.seed, outcome.state, dict(outcome.metrics),
         {name: list(curve) for name, curve in outcome.series.items()},
         {name: {k: v.tobytes() for k, v in outcome.arrays(name).items()} for name in sorted(outcome.artefacts)})
        for outcome in kept(folder)
    ]  # fmt: skip


def test_a_training_that_is_stopped_goes_on_with_what_it_had_found(tmp_path):
    with Store.open(tmp_path / "whole") as store:
        run(toy(trains), [Toy()], store, seeds=1)
    stops = 0

    def stopping(spec, trial):
        """Asks for an end at the n-th look, n rising from run to run."""
        looks, sign = 0, trial._is_stopped

        def is_stopped():
            nonlocal looks
            looks += 1
            return looks > 3 + stops or sign()

        trial._is_stopped = is_stopped
        trains(spec, trial)

    with Store.open(tmp_path / "parts") as store:
        for _ in range(100):
            if run(toy(stopping), [Toy()], store, seeds=1, every=0.0, budget=1e-9 if stops < 0 else 0.05).done:
                break
            stops += 1
    assert everything(tmp_path / "parts") == everything(tmp_path / "whole")
    assert len(everything(tmp_path / "whole")[0][4]["loss"]) == 4


def test_a_budget_ends_the_run(tmp_path):
    def slow(spec, trial):
        for _ in range(400):
            time.sleep(0.01)
            trial.report(0.0)

    with Store.open(tmp_path) as store:
        summary = run(toy(slow), "smoke", store, budget=0.1)
        assert (summary.out_of_time, summary.interrupted, summary.done) == (True, False, 0)
        assert str(summary).endswith("the time is used up: run the same command again to go on")
        assert run(toy(), "smoke", store, budget=1000).done == 6


def test_a_worker_that_is_lost_again_and_again_fails_its_trial_alone(tmp_path):
    class Losing:
        name, capacity = "losing", 2

        def __init__(self):
            self.orders = []
            self.given = Counter()

        def submit(self, order):
            self.orders.append(order)
            self.given[order.spec, order.seed] += 1

        def ended(self, timeout):
            order = self.orders.pop()
            if order.seed == 1 or self.given[order.spec, order.seed] < 3:
                return [Ended(order, None, "it was killed")]
            return [Ended(order, do(toy(), order))]

        def close(self, grace):
            pass

    executor = Losing()
    with Store.open(tmp_path) as store:
        summary = run(toy(), "smoke", store, executor=executor)
        assert (summary.done, summary.failed) == (3, 3)
        assert set(executor.given.values()) == {3}
        reasons = {outcome.reason for outcome in store.outcomes("toy", KINDS) if outcome.state == "failed"}
        assert reasons == {"its worker was lost 3 times: it was killed"}
        assert run(toy(), "smoke", store).done == 3


def test_a_worker_that_is_lost_after_it_has_handed_in_has_done_its_trial(tmp_path):
    class Silent:
        name, capacity = "silent", 1

        def __init__(self):
            self.orders = []

        def submit(self, order):
            self.orders.append(order)

        def ended(self, timeout):
            order = self.orders.pop()
            do(toy(), order)
            return [Ended(order, None, "it was killed")]

        def close(self, grace):
            pass

    with Store.open(tmp_path) as store:
        assert run(toy(), "smoke", store, executor=Silent()).done == 6


def test_a_store_that_fails_ends_the_run_and_the_next_goes_on(tmp_path):
    with Store.open(tmp_path) as store:
        run(toy(), [Toy()], store, seeds=1)
        store._connection.execute("PRAGMA max_page_count = 1")
        store._connection.execute("PRAGMA cache_size = 1")
        with pytest.raises(StoreError, match="full; nothing was changed"):
            run(toy(), "full", store, seeds=300)
    with Store.open(tmp_path) as store:
        assert 1 <= len(store.outcomes("toy", KINDS)) < 900
        run(toy(), "smoke", store)
        assert run(toy(), "smoke", store).skipped == 6


def test_an_error_of_the_store_inside_a_trial_is_not_the_trials(tmp_path):
    def full(spec, trial):
        raise StoreError("the disk is full")

    with Store.open(tmp_path) as store:
        with pytest.raises(StoreError, match="the disk is full"):
            run(toy(full), "smoke", store)
        assert store.outcomes("toy", KINDS) == []


def test_progress_tells_where_the_run_is(tmp_path):
    def telling(spec, trial):
        trial.report(0.5, "half")

    heard = []
    with Store.open(tmp_path) as store:
        run(toy(draw), [Toy()], store, seeds=1)
        run(toy(telling), "smoke", store, seeds=1, progress=heard.append)
    told = [
        (step.done, step.total, [(t.spec.paths, t.fraction, t.note) for t in step.running], step.ended)
        for step in heard
    ]
    assert told == [
        (1, 3, [], ""), (1, 3, [(3, 0.0, "")], ""), (1, 3, [(3, 0.5, "half")], ""), (2, 3, [], "done"),
        (2, 3, [(7, 0.0, "")], ""), (2, 3, [(7, 0.5, "half")], ""), (3, 3, [], "done"),
    ]  # fmt: skip


def test_a_broken_progress_bar_fails_no_trial(tmp_path):
    def broken(step):
        raise BrokenPipeError("nobody reads")

    with Store.open(tmp_path) as store:
        with pytest.raises(BrokenPipeError, match="nobody reads"):
            run(toy(), "smoke", store, progress=broken)
        assert [outcome.state for outcome in store.outcomes("toy", KINDS)] == ["done"]


def test_requests_that_make_no_sense(tmp_path):
    class Other(Spec):
        experiment: Literal["other"] = "other"

    with Store.open(tmp_path) as store:
        with pytest.raises(UnknownNameError, match="no scale is named 'dekk'; did you mean 'desk'"):
            run(toy(), "dekk", store)
        with pytest.raises(RequestError, match="spec: found one of 'other', expected one of 'toy'"):
            run(toy(), [Other()], store, seeds=1)
        for seeds in [None, 0, -1, [], [2**63], [0.5], np.zeros(0, dtype=int)]:
            with pytest.raises(RequestError, match=r"seeds: found .*expected a number of 1 or more"):
                run(toy(), [Toy()], store, seeds=seeds)
        for wrong in ({"budget": math.nan}, {"every": math.nan}, {"every": -1.0}):
            with pytest.raises(RequestError, match="expected seconds, 0 or more"):
                run(toy(), [Toy()], store, seeds=1, **wrong)
        assert run(toy(), [Toy(), Toy(paths=20)], store, seeds=np.array([4, 4]), budget=math.inf).total == 1
        assert store.experiments() == {"toy": {"done": 1}}


def slow(spec, trial):
    draw(spec, trial)
    time.sleep(0.002)


def present(folder):
    """What a killed run has left: nothing, where the kill came before the store was made."""
    try:
        return values(kept(folder))
    except StoreError as error:
        if "holds no" in str(error):
            return []
        raise


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_kills_at_random_moments_lose_and_double_nothing(tmp_path):
    with Store.open(tmp_path / "calm") as store:
        run(toy(), "desk", store, seeds=4)
    expected = values(kept(tmp_path / "calm"))
    moments = random.Random(0)
    kills = 0
    for _ in range(10):
        child = os.fork()
        if child == 0:
            try:
                with Store.open(tmp_path / "killed") as store:
                    run(toy(slow), "desk", store, seeds=4)
            finally:
                os._exit(0)
        time.sleep(moments.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        kills += os.waitpid(child, 0)[1] == signal.SIGKILL
        assert all(trial in expected for trial in present(tmp_path / "killed"))
    assert kills >= 3
    with Store.open(tmp_path / "killed") as store:
        before = len(store.outcomes("toy", KINDS))
        last = run(toy(), "desk", store, seeds=4)
    assert (last.skipped, last.done) == (before, 12 - before)
    assert values(kept(tmp_path / "killed")) == expected
    assert len(list((tmp_path / "killed").rglob("*.safetensors"))) == 12
    assert not list((tmp_path / "killed").rglob("*.part"))


def test_what_workers_of_an_earlier_run_hand_in_is_kept_and_not_counted(tmp_path):
    def beside(spec, trial):
        draw(spec, trial)
        do(toy(), Order("toy", canonical(Toy(paths=99)), trial.seed, str(tmp_path)))

    heard = []
    with Store.open(tmp_path) as store:
        summary = run(toy(beside), [Toy()], store, seeds=2, progress=heard.append)
        assert (summary.total, summary.done, "left" in str(summary)) == (2, 2, False)
        assert store.experiments() == {"toy": {"done": 4}}
    assert max(told.done for told in heard) == 2

"""Doing the trials of an experiment that are not done yet: what is given out, what comes back, when it ends."""

import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral
from typing import get_args

from sparsewire.errors import RequestError, StoreError, UnknownNameError
from sparsewire.lab.executors.contract import Ended, Executor, Order, Receipt
from sparsewire.lab.executors.here import Here
from sparsewire.lab.experiment import Experiment, Scale
from sparsewire.lab.following import Course, course_of, go_on
from sparsewire.lab.spec import Spec, canonical, run_id
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in, unpack
from sparsewire.lab.store import Store
from sparsewire.lab.trials.interruption import GRACE, interruptible
from sparsewire.lab.trials.progress import Progress, Watcher
from sparsewire.lab.trials.room import StopSign, sweep_rooms
from sparsewire.lab.trials.summary import Summary
from sparsewire.lab.trials.surroundings import machine
from sparsewire.lab.trials.work import do

_ATTEMPTS = 3
_INGEST_SECONDS = 0.25


def run(
    experiment: Experiment,
    what: Scale | Sequence[Spec],
    store: Store,
    *,
    seeds: int | Sequence[int] | None = None,
    progress: Callable[[Progress], None] | None = None,
    threads: int = 1,
    executor: Executor | None = None,
    budget: float | None = None,
    every: float = 30.0,
    loggers: Sequence[str] = (),
) -> Summary:
    """Does the trials that the store does not hold yet, and keeps each one as soon as it has ended.

    Every spec gets its first seed before any gets its second, so that whatever is there can be compared. A trial that
    meets a number that is not finite (`DivergedError`) has diverged, which is a result; one that raises anything else
    or loses its worker three times has failed, and is tried again by the next run. Ctrl-C ends the run within five
    seconds: trials under way keep a checkpoint, and go on from it by the next run. A second Ctrl-C ends it at once.

    Where trials follow from others (`Experiment.follow`), the run goes on with what follows until nothing does. It
    stops at a trial that failed: see `lab.following.go_on`.

    Args:
        experiment: whose trials.
        what: a scale, which the experiment turns into specs, or the specs themselves.
        store: open for writing.
        seeds: how many (0, 1, …), or which; needed where `what` is specs, else the experiment's own for the scale.
        progress: is told where the run is: when a trial begins, tells how far it is, and ends.
        threads: how many torch may use in each trial; the same bits are promised for the same number only.
        executor: who does the trials; None: this process, one after another. It is not closed.
        budget: seconds after which no trial is begun, and those under way keep a checkpoint and stop; None: no limit.
        every: seconds between two checkpoints of a trial.
        loggers: where else the metrics go, see `lab.trials.loggers`.

    Raises:
        RequestError: a spec is of another experiment, or the scale, the seeds or a time make no sense.
        StoreError: the store cannot be written; what was kept before stays.
    """
    for name, seconds in (("budget", budget), ("every", every)):
        if seconds is not None and not seconds >= 0:
            raise RequestError(f"{name}: found {seconds!r}, expected seconds, 0 or more")
    course, numbers = _plan(experiment, what, seeds)
    store.enlist(course.specs)
    make = partial(Order, threads=threads, every=every, loggers=tuple(loggers))
    return _Sweep(experiment, store, executor, Watcher(progress), make, course).done(numbers, budget)


def trials_left(
    experiment: Experiment, what: Scale | Sequence[Spec], store: Store, *, seeds: int | Sequence[int] | None = None
) -> int:
    """How many trials `run` would have to do, with the same arguments.

    Where trials follow from others, these are the ones known now; 0 means all the same that nothing is left to do.

    Raises:
        RequestError: as `run` does.
    """
    course, numbers = _plan(experiment, what, seeds)
    return len(_left(_as_far_as(experiment, course, numbers, store).specs, numbers, store))


def _as_far_as(experiment: Experiment, course: Course, seeds: Sequence[int], store: Store) -> Course:
    """The course as far as the store's outcomes lead it."""
    if course.is_over:
        return course
    return go_on(experiment, course, seeds, store.outcomes(experiment.name, {experiment.name: experiment.spec}))


def _left(specs: Sequence[Spec], seeds: Sequence[int], store: Store) -> list[tuple[str, int]]:
    """(canonical text, seed) of the trials that the store does not hold yet; each spec's first seed comes first."""
    runs = {run_id(spec): canonical(spec) for spec in specs}
    kept = store.done(runs)
    return [(text, seed) for seed in seeds for run, text in runs.items() if (run, seed) not in kept]


def _plan(
    experiment: Experiment, what: Scale | Sequence[Spec], seeds: int | Sequence[int] | None
) -> tuple[Course, list[int]]:
    """The first specs, each once, and the seeds."""
    if isinstance(what, str):
        if what not in get_args(Scale):
            raise UnknownNameError("scale", what, get_args(Scale))
        specs, seeds = experiment.specs(what), experiment.seeds[what] if seeds is None else seeds
    else:
        specs = what
    course = course_of(experiment, specs)
    numbers = list(range(seeds) if isinstance(seeds, int) else () if seeds is None else seeds)
    if not numbers or not all(isinstance(number, Integral) and -(2**63) <= number < 2**63 for number in numbers):
        raise RequestError(f"seeds: found {seeds!r}, expected a number of 1 or more, or a list of seeds")
    return course, list(dict.fromkeys(map(int, numbers)))


class _Sweep:
    """One run: its orders, who does them, and what became of them."""

    def __init__(
        self,
        experiment: Experiment,
        store: Store,
        executor: Executor | None,
        watcher: Watcher,
        order: Callable[..., Order],
        course: Course,
    ) -> None:
        self._experiment, self._store, self._watcher, self._course = experiment, store, watcher, course
        self._executor, self._is_own = executor or Here(self._work), executor is None
        self._name = f"sweep-{secrets.token_hex(6)}"
        self._sign = StopSign(store.folder, self._name)
        self._order = partial(order, experiment=experiment.name, root=str(store.folder.absolute()), sweep=self._name)
        self._todo: deque[Order] = deque()
        self._flying: dict[Order, Spec] = {}
        self._left: set[tuple[str, int]] = set()  # what this run is to do: workers of an earlier one may hand in, too
        self._specs: dict[str, Spec] = {}
        self._losses: Counter[Order] = Counter()
        self._counts: Counter[str] = Counter()
        self._failures: list[str] = []
        self._ingested = 0.0
        self._skipped = 0

    def _work(self, order: Order) -> Receipt:
        watch = partial(self._watcher.here, self._specs[order.spec], order.seed)
        watch(0.0, "")
        return do(self._experiment, order, watch)

    def done(self, seeds: Sequence[int], budget: float | None) -> Summary:
        """Everything that can be done before an end is asked for."""
        begin, cut = time.monotonic(), False
        sweep_rooms(self._store.folder, self._store.is_kept)
        self._sign.begin()
        # a trial in this process lets nobody else act
        alarm = threading.Timer(min(budget or 0.0, threading.TIMEOUT_MAX), self._sign.put_up)
        alarm.daemon = True
        if budget is not None:
            alarm.start()
        try:
            with interruptible(self._sign.put_up) as interruption:
                try:
                    cut = self._round_after_round(seeds, begin, budget, lambda: interruption.asked)
                except KeyboardInterrupt:
                    interruption.asked = True
        finally:
            alarm.cancel()
            self._sign.end()
        self._ingest()
        return Summary(
            self._experiment.name, len(self._course.specs) * len(seeds), self._counts["done"], self._counts["diverged"],
            self._counts["failed"], self._skipped, interruption.asked, time.monotonic() - begin, tuple(self._failures),
            cut, not self._course.is_over,
        )  # fmt: skip

    def _round_after_round(
        self, seeds: Sequence[int], begin: float, budget: float | None, asked: Callable[[], bool]
    ) -> bool:
        """Until nothing follows, a trial has failed or an end is asked for; whether the time was used up."""
        self._course, known, cut = _as_far_as(self._experiment, self._course, seeds, self._store), 0, False
        while len(self._course.specs) > known and not cut and not asked():
            known = len(self._course.specs)
            self._take_up(seeds)
            cut = self._through(begin, budget, asked)
            if not cut and not asked():
                self._course = _as_far_as(self._experiment, self._course, seeds, self._store)
        return cut

    def _take_up(self, seeds: Sequence[int]) -> None:
        """Plans what of the course is not done yet, and tells who watches."""
        self._store.enlist(self._course.specs)
        self._specs = {canonical(spec): spec for spec in self._course.specs}
        total, left = len(self._specs) * len(seeds), _left(self._course.specs, seeds, self._store)
        self._left.update((run_id(self._specs[text]), seed) for text, seed in left)
        self._todo.extend(self._order(spec=text, seed=seed) for text, seed in left)
        behind = total - len(left)
        self._skipped = behind - self._counts["done"] - self._counts["diverged"]
        self._watcher.begin(behind, total, self._course.rounds, not self._course.is_over)
        self._sign.begin({"total": total, "behind": behind, "held": self._store.count()})

    def _through(self, begin: float, budget: float | None, asked: Callable[[], bool]) -> bool:
        """Until nothing is left or an end is asked for; whether the time was used up."""
        end: float | None = None
        while self._flying or (self._todo and end is None):
            now = time.monotonic()
            late = budget is not None and now - begin >= budget
            if end is None and (late or asked()):
                self._sign.put_up()
                end = now + (GRACE if asked() else 60.0)
            if end is not None and now >= end:
                break
            while end is None and self._todo and len(self._flying) < 2 * self._executor.capacity:
                self._submit(self._todo.popleft())
            for ended in self._executor.ended(0.2):
                self._settle(ended)
            if not self._flying or now - self._ingested >= _INGEST_SECONDS:
                self._ingest()
            if not self._is_own:
                given = {(order.spec, order.seed): spec for order, spec in self._flying.items()}
                self._watcher.look(self._store.folder, given)
        return end is not None and not asked()

    def _submit(self, order: Order) -> None:
        self._flying[order] = self._specs[order.spec]
        self._executor.submit(order)

    def _settle(self, ended: Ended) -> None:
        order, receipt = ended.order, ended.receipt
        if self._flying.pop(order, None) is None:
            return
        if receipt is not None and receipt.problem:
            raise StoreError(receipt.problem)
        if receipt is not None and receipt.parcel is not None:
            unpack(self._store.folder, receipt.parcel)
        if receipt is not None and receipt.state == "stopped":
            self._todo.appendleft(order)
        elif receipt is None:
            self._lost(order, ended.loss)

    def _lost(self, order: Order, loss: str) -> None:
        self._ingest()
        if self._store.is_kept(run_id(self._specs[order.spec]), order.seed):
            return  # it had handed in, and died before it could say so
        self._losses[order] += 1
        if self._losses[order] < _ATTEMPTS:
            self._todo.appendleft(order)
            return
        reason = f"its worker was lost {_ATTEMPTS} times: {loss or 'no reason is known'}"
        started = {**machine(), "threads": str(order.threads), "started": ""}
        ending = Ending("failed", reason, None, 0.0, started)
        hand_in(self._store.folder, self._specs[order.spec], order.seed, ending, Content({}, {}, {}), {})

    def _ingest(self) -> None:
        self._ingested = time.monotonic()
        for taken in self._store.ingest():
            if (taken.run, taken.seed) not in self._left:
                continue
            self._counts[taken.ending.state] += 1
            if taken.ending.state == "failed":
                self._failures.append(f"run {taken.run}, seed {taken.seed}: {_first_line(taken.ending.reason)}")
            self._watcher.end(taken.ending.state)


def _first_line(reason: str | None) -> str:
    return (reason or "").partition("\n")[0][:300]

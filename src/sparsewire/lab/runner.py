"""Doing the trials of an experiment that are not done yet, one after another in this process."""

import contextlib
import functools
import platform
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, get_args

import sparsewire
from sparsewire.errors import DivergedError, RequestError, StoreError, UnknownNameError
from sparsewire.lab.experiment import Experiment, Scale, State, Trial, stream
from sparsewire.lab.rows import Ending
from sparsewire.lab.spec import Spec, run_id
from sparsewire.lab.store import Store

_LONGEST_REASON = 2_000
_LONGEST_TRACEBACK = 20_000


class Progress(NamedTuple):
    """Where a run is: trials behind it (`done`, those of earlier runs included) of all; the trial under way."""

    done: int
    total: int
    spec: Spec
    seed: int
    fraction: float
    note: str


@dataclass(frozen=True)
class Summary:
    """What a run did: how many trials ended how, and how many were `skipped` because the store held them already."""

    experiment: str
    total: int
    done: int
    diverged: int
    failed: int
    skipped: int
    interrupted: bool
    seconds: float
    failures: tuple[str, ...]

    def __str__(self) -> str:
        """The summary for people.

        Example:
            >>> print(Summary("demo", 9, 4, 1, 1, 2, True, 3.2, ("run 81ab, seed 0: ValueError: no",)))
            demo: 4 done, 1 diverged, 1 failed, 2 kept from before, 1 left of 9 trials in 3.2 seconds
            failed: run 81ab, seed 0: ValueError: no
            interrupted: run the same command again to go on
        """
        left = self.total - self.done - self.diverged - self.failed - self.skipped
        counts = [(self.done, "done"), (self.diverged, "diverged"), (self.failed, "failed"),
                  (self.skipped, "kept from before"), (left, "left")]  # fmt: skip
        parts = ", ".join(f"{count} {word}" for count, word in counts if count or word == "done")
        lines = [f"{self.experiment}: {parts} of {self.total} trials in {self.seconds:.1f} seconds"]
        lines += [f"failed: {failure}" for failure in self.failures[:5]]
        lines += ["interrupted: run the same command again to go on"] if self.interrupted else []
        return "\n".join(lines)


def run(
    experiment: Experiment,
    what: Scale | Sequence[Spec],
    store: Store,
    *,
    seeds: int | Sequence[int] | None = None,
    progress: Callable[[Progress], None] | None = None,
    threads: int = 1,
) -> Summary:
    """Does the trials that the store does not hold yet, and keeps each one as soon as it has ended.

    Every spec gets its first seed before any gets its second, so that whatever is there can be compared. A trial that
    meets a number that is not finite (`DivergedError`) has diverged, which is a result; one that raises anything else
    has failed, and is tried again by the next run. Ctrl-C ends the run and loses only the trial under way.

    Args:
        experiment: whose trials.
        what: a scale, which the experiment turns into specs, or the specs themselves.
        store: open for writing.
        seeds: how many (0, 1, …), or which; needed where `what` is specs, else the experiment's own for the scale.
        progress: is told where the run is, at the beginning and end of each trial and whenever the trial reports.
        threads: how many torch may use; results are promised to be the same bits for the same number only.

    Raises:
        RequestError: a spec is of another experiment, or the scale or the seeds make no sense.
        StoreError: the store cannot be written; what was kept before stays.
    """
    specs, numbers = _plan(experiment, what, seeds)
    store.enlist(specs)
    trials = [(spec, seed) for seed in numbers for spec in specs]
    todo = [(spec, seed) for spec, seed in trials if not store.is_done(spec, seed)]
    skipped, counts, failures, interrupted = len(trials) - len(todo), Counter[State](), [], False
    watcher = _Watcher(progress, len(trials))
    begin = time.perf_counter()
    try:
        with _threads(threads):
            for spec, seed in todo:
                watcher.begin(skipped + counts.total(), spec, seed)
                ending = _do(experiment, spec, seed, store, watcher, threads)
                counts[ending.state] += 1
                if ending.state == "failed":
                    failures.append(f"run {run_id(spec)}, seed {seed}: {_first_line(ending.reason)}")
                watcher.end(skipped + counts.total(), ending.state)
    except KeyboardInterrupt:
        interrupted = True
    return Summary(
        experiment.name, len(trials), counts["done"], counts["diverged"], counts["failed"], skipped, interrupted,
        time.perf_counter() - begin, tuple(failures),
    )  # fmt: skip


def _plan(
    experiment: Experiment, what: Scale | Sequence[Spec], seeds: int | Sequence[int] | None
) -> tuple[list[Spec], list[int]]:
    """The specs, each once, and the seeds."""
    if isinstance(what, str):
        if what not in get_args(Scale):
            raise UnknownNameError("scale", what, get_args(Scale))
        specs, seeds = experiment.specs(what), experiment.seeds[what] if seeds is None else seeds
    else:
        specs = what
    for spec in specs:
        if type(spec) is not experiment.spec or spec.experiment != experiment.name:
            raise RequestError(f"spec: found one of {spec.experiment!r}, expected one of {experiment.name!r}")
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(dict.fromkeys(seeds or ()))
    if not numbers or not all(-(2**63) <= number < 2**63 for number in numbers):
        raise RequestError(f"seeds: found {seeds!r}, expected a number of 1 or more, or a list of seeds")
    return list({run_id(spec): spec for spec in specs}.values()), numbers


def _do(experiment: Experiment, spec: Spec, seed: int, store: Store, watcher: "_Watcher", threads: int) -> Ending:
    """Does one trial and keeps it."""
    environment = {**_machine(), "threads": str(threads), "started": datetime.now(UTC).isoformat(timespec="seconds")}
    state: State = "done"
    reason = trace = None
    with store.working_folder(spec, seed) as folder:
        trial = Trial(seed, folder, watcher.report)
        begin = time.perf_counter()
        try:
            with _own_stream(seed):
                experiment.trial(spec, trial)
        except DivergedError as error:
            state, reason = "diverged", _text(str(error), _LONGEST_REASON)
        except StoreError:
            raise  # not the trial's fault: the disk is full or gone, and so would be the next trial's
        except Exception as error:  # noqa: BLE001 - whatever a trial throws is an outcome, and the run goes on
            state, reason = "failed", _text(f"{type(error).__name__}: {error}", _LONGEST_REASON)
            trace = _text(traceback.format_exc()[-_LONGEST_TRACEBACK:], _LONGEST_TRACEBACK)
        ending = Ending(state, reason, trace, time.perf_counter() - begin, environment)
        store.record(spec, trial, ending)
    return ending


def _text(text: str, longest: int) -> str:
    """Text as SQLite takes it: a file's name that is not UTF-8 may stand in an error's message."""
    return text[:longest].encode("utf-8", "replace").decode()


def _first_line(reason: str | None) -> str:
    return (reason or "").partition("\n")[0][:300]


class _Watcher:
    """Tells the caller where the run is; if the caller's function fails, that is no trial's failure."""

    def __init__(self, progress: Callable[[Progress], None] | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._broken: Exception | None = None

    def begin(self, done: int, spec: Spec, seed: int) -> None:
        self._done, self._spec, self._seed = done, spec, seed
        self.report(0.0, "")

    def report(self, fraction: float, note: str) -> None:
        if self._progress is not None and self._broken is None:
            try:
                self._progress(Progress(self._done, self._total, self._spec, self._seed, fraction, note))
            except Exception as error:  # noqa: BLE001 - raised by `end`, after the trial was kept
                self._broken = error

    def end(self, done: int, note: str) -> None:
        self._done = done
        self.report(1.0, note)
        if self._broken is not None:
            raise self._broken


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _own_stream(seed: int) -> Iterator[None]:
    """The global stream, from which layers draw when they are built, starts alike in each trial and is put back."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream(seed, "global"))
        yield


@functools.cache
def _machine() -> dict[str, str]:
    """What decides the bits of a result besides spec and seed."""
    import torch

    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    cpu = f"{model}, {torch.backends.cpu.get_cpu_capability()}"
    return {"sparsewire": sparsewire.__version__, "torch": torch.__version__, "cpu": cpu}

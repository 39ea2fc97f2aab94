"""Doing one trial, wherever that is: from an order to what is handed in."""

import contextlib
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sparsewire.errors import DivergedError, RequestError, StoreError
from sparsewire.lab.checkpoint_folder import Stopped
from sparsewire.lab.executors.contract import Order, Receipt
from sparsewire.lab.experiment import Experiment, State
from sparsewire.lab.spec import Spec, run_id
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in, pack
from sparsewire.lab.trials.live import LiveStream
from sparsewire.lab.trials.loggers import Logger, make
from sparsewire.lab.trials.room import StopSign, leave, room
from sparsewire.lab.trials.surroundings import machine, own_settings, own_stream, threads
from sparsewire.lab.trials.trial import Trial

_LONGEST_REASON, _LONGEST_TRACEBACK = 2_000, 20_000

Watch = Callable[[float, str], None]


def do(experiment: Experiment, order: Order, watch: Watch | None = None) -> Receipt:
    """Does the trial and hands in what it found; goes on from its checkpoints, if it was begun before.

    A number that is not finite (`DivergedError`) is a result: the trial has diverged. Whatever else the trial raises,
    lack of memory included, means that it has failed, with the reason. The store itself is not opened.

    Args:
        experiment: whose trial it is.
        order: which one.
        watch: is told how far it is, in this process.

    Returns:
        The receipt; "stopped" if the sweep was asked to stop, or if nothing can be written: then `problem` says why.
    """
    spec = experiment.spec.model_validate_json(order.spec)
    run, sign = run_id(spec), StopSign(Path(order.root), order.sweep)
    try:
        with _root(order, sign) as root, room(root, run, order.seed) as folder:
            ending, parcel = _worked(experiment, spec, order, _Place(root, folder, sign), watch)
            if ending is None or parcel is None:
                return Receipt(run, order.seed, "stopped")
            content = None if root == Path(order.root) else pack(parcel)
            leave(folder)
            return Receipt(run, order.seed, ending.state, content)
    except StoreError as error:  # not the trial's fault, and the next trial would fare alike
        return Receipt(run, order.seed, "stopped", problem=str(error))


class _Place(NamedTuple):
    """Where a trial works: the store's folder or what stands for it, the trial's own, and the sweep's sign."""

    root: Path
    folder: Path
    sign: StopSign


@contextlib.contextmanager
def _root(order: Order, sign: StopSign) -> Iterator[Path]:
    """The store's folder, or a temporary one where that is not to be seen from here."""
    if not order.sweep or sign.is_seen():
        yield Path(order.root)
    else:
        with tempfile.TemporaryDirectory(prefix="sparsewire-") as folder:
            yield Path(folder)


def _worked(
    experiment: Experiment, spec: Spec, order: Order, place: _Place, watch: Watch | None
) -> tuple[Ending | None, Path | None]:
    """How the trial ended and its parcel; None and None if it was stopped."""
    run, seed = run_id(spec), order.seed
    head = {"run": run, "experiment": experiment.name, "spec": order.spec, "seed": seed}
    try:
        stream = LiveStream(place.folder, head)
    except OSError as cause:
        raise StoreError(f"cannot work in {place.folder}: {cause.strerror or cause}") from cause
    loggers = _loggers(order, place.root / "logs" / f"{run}-{seed}")

    def progress(fraction: float, note: str) -> None:
        stream.progress(fraction, note)
        if watch is not None:
            watch(fraction, note)

    def recorded(name: str, value: float, step: int | None) -> None:
        stream.record(name, value, step)
        for logger in loggers:
            logger.metric(name, value, step)

    trial = Trial(seed, place.folder, progress, recorded=recorded, is_stopped=place.sign.is_up, every=order.every)
    trial.on_restart = stream.restart
    begun = {"threads": str(order.threads), "started": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        _begin(loggers, head, spec)
        ending = _tried(experiment, spec, trial, {**machine(), **begun})
    except Stopped:
        _end(loggers, "stopped", None)
        return None, None
    finally:
        stream.close()
    _end(loggers, ending.state, ending.reason)
    if ending.state != "failed":
        trial.finish()
    content = Content(trial.metrics, trial.series, {name: kept.sha256 for name, kept in trial.artefacts.items()})
    return ending, hand_in(place.root, spec, seed, ending, content, trial.artefacts)


def _loggers(order: Order, folder: Path) -> list[Logger]:
    try:
        return make(order.loggers, folder)
    except RequestError as cause:  # a package that this worker lacks
        raise StoreError(f"on this worker: {cause}") from cause


def _end(loggers: Sequence[Logger], state: str, reason: str | None) -> None:
    for logger in loggers:
        logger.end(state, reason)


def _begin(loggers: Sequence[Logger], head: dict[str, object], spec: Spec) -> None:
    for logger in loggers:
        logger.begin({**head, "fields": spec.model_dump(mode="json")})


def _tried(experiment: Experiment, spec: Spec, trial: Trial, environment: dict[str, str]) -> Ending:
    state: State = "done"
    reason = trace = None
    start = time.perf_counter()
    try:
        with threads(int(environment["threads"])), own_settings(), own_stream(trial.seed):
            experiment.trial(spec, trial)
    except DivergedError as error:
        state, reason = "diverged", _text(str(error), _LONGEST_REASON)
    except (StoreError, Stopped, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a trial throws, SystemExit too, is an outcome
        state, reason = "failed", _text(_reason(error), _LONGEST_REASON)
        trace = _text(traceback.format_exc()[-_LONGEST_TRACEBACK:], _LONGEST_TRACEBACK)
    plans = {f"plan.{name}": plan for name, plan in trial.plans.items()}
    return Ending(state, reason, trace, time.perf_counter() - start, {**environment, **plans})


def _reason(error: BaseException) -> str:
    try:
        told = f"{type(error).__name__}: {error}"
    except Exception as cause:  # noqa: BLE001 - an error that cannot tell itself is an outcome as well
        told = f"{type(error).__name__}, whose message cannot be told ({type(cause).__name__})"
    # torch has no class of its own for the CPU's lack of memory
    lack = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "can't allocate memory" in told
    return f"out of memory ({told.rstrip(': ')})" if lack else told


def _text(text: str, longest: int) -> str:
    """Text as SQLite takes it: a file's name that is not UTF-8 may stand in an error's message."""
    return text[:longest].encode("utf-8", "replace").decode()

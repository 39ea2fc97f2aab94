"""Loggers: other programs that are told what a trial records, while it runs.

The store needs none of them. One that fails is left out from there on, and never costs a trial.
"""

import importlib.util
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.trials.trackers import MLflow, TensorBoard, WeightsAndBiases

# name → (the package that it needs, what pip installs for it)
_PACKAGES = {
    "jsonl": None,
    "mlflow": ("mlflow", "mlflow-skinny"),
    "tensorboard": ("tensorboard", "tensorboard"),
    "wandb": ("wandb", "wandb"),
}


class Logger(Protocol):
    """What is told about one trial: `begin` once, `metric` for every number, `end` once, also when it was stopped.

    A trial that goes on after a stop begins again, and may repeat the numbers of steps that it does again.
    """

    def begin(self, facts: Mapping[str, Any]) -> None:
        """The trial starts; what is known of it, such as "experiment", "run", "seed" and "fields", as plain values."""

    def metric(self, name: str, value: float, step: int | None) -> None:
        """A number was recorded; it may be NaN or infinite."""

    def end(self, state: str, reason: str | None) -> None:
        """The trial is "done", "diverged", "failed" or "stopped"; why, unless it is done."""


def chosen(names: Sequence[str]) -> list[tuple[str, str]]:
    """The loggers' names with their destinations, "" where none is given, after a look at whether they can be used.

    Args:
        names: each "tensorboard", "mlflow", "wandb" or "jsonl", and with ":DESTINATION" where it shall log to.

    Raises:
        RequestError: no logger bears the name, its package is missing, or the same one is asked for twice.

    Example:
        >>> chosen(["jsonl", "jsonl:elsewhere"])
        [('jsonl', ''), ('jsonl', 'elsewhere')]
    """
    found = []
    for text in names:
        name, colon, destination = text.partition(":")
        if name not in _PACKAGES:
            raise UnknownNameError("logger", name[:60], _PACKAGES)
        if colon and not destination:
            raise RequestError(f"logger: found {text!r}, expected a folder or an address after the colon")
        package = _PACKAGES[name]
        if package and importlib.util.find_spec(package[0]) is None:
            raise RequestError(f"logger {name!r}: its package is not installed; pip install {package[1]}")
        if (name, destination) in found:
            raise RequestError(f"logger: found {text!r} twice, expected each once")
        found.append((name, destination))
    return found


def make(names: Sequence[str], folder: Path) -> list[Logger]:
    """The loggers of one trial; nothing is imported or written before they begin.

    Args:
        names: as `chosen` takes them. Without a destination TensorBoard and JSON lines go into the folder, Weights &
            Biases keeps its local files there, and MLflow goes where MLFLOW_TRACKING_URI says. A destination is a
            folder for the runs of many trials; for MLflow an address, such as "http://127.0.0.1:5000".
        folder: the trial's own; its name names the run.

    Raises:
        RequestError: as `chosen` does.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "b32df87e9aae13e4-0"
        >>> [logger] = make(["jsonl"], folder)
        >>> logger.begin({"seed": 0}), logger.metric("loss", 0.5, 1), logger.end("done", None)
        (None, None, None)
        >>> print((folder / "log.jsonl").read_text().splitlines()[1])
        {"metric": "loss", "value": 0.5, "step": 1}
    """
    return [Guarded(name, _made(name, destination, folder)) for name, destination in chosen(names)]


def _made(name: str, destination: str, folder: Path) -> Logger:
    run = folder.name
    if name == "tensorboard":
        return TensorBoard(Path(destination) / run if destination else folder)
    if name == "mlflow":
        return MLflow(destination, run)
    if name == "wandb":
        return WeightsAndBiases(Path(destination) if destination else folder, run)
    return JsonLines(Path(destination) / f"{run}.jsonl" if destination else folder / "log.jsonl")


class Guarded:
    """A logger that never raises: it tells its first failure as a warning and does nothing from then on.

    Args:
        name: of the logger, for the warning.
        logger: the one that may raise.
    """

    def __init__(self, name: str, logger: Logger) -> None:
        self._name = name
        self._logger: Logger | None = logger

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Passed on."""
        self._try(lambda logger: logger.begin(facts))

    def metric(self, name: str, value: float, step: int | None) -> None:
        """Passed on."""
        self._try(lambda logger: logger.metric(name, value, step))

    def end(self, state: str, reason: str | None) -> None:
        """Passed on."""
        self._try(lambda logger: logger.end(state, reason))

    def _try(self, tell: Callable[[Logger], None]) -> None:
        if self._logger is None:
            return
        try:
            tell(self._logger)
        except Exception as error:  # noqa: BLE001 - whatever another program's library throws is not the trial's fault
            self._logger = None
            told = f"logger {self._name!r} failed and is left out of this trial: {type(error).__name__}: {error}"
            warnings.warn(told[:2_000], RuntimeWarning, stacklevel=3)


class JsonLines:
    """One line of JSON for each thing that is told; numbers that JSON lacks are texts: "nan", "inf", "-inf".

    Args:
        path: the file; a trial that begins again goes on in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Writes {"begin": facts}."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._write({"begin": dict(facts)})

    def metric(self, name: str, value: float, step: int | None) -> None:
        """Writes {"metric": name, "value": value, "step": step or null}."""
        self._write({"metric": name, "value": value if math.isfinite(value) else str(value), "step": step})

    def end(self, state: str, reason: str | None) -> None:
        """Writes {"end": state, "reason": reason or null}."""
        self._write({"end": state, "reason": reason})

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, allow_nan=False)
        with self._path.open("a", encoding="utf-8") as file:  # each time: nothing is left open if the trial dies
            file.write(text + "\n")

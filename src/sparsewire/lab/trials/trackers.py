"""Three programs that keep experiments, each as a `Logger`; a package is imported when its logger begins."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PROJECT = "sparsewire"  # under which the trials stand


class TensorBoard:
    """Event files for TensorBoard.

    Args:
        folder: the run's; TensorBoard is started on a folder above it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Opens an event file and writes the facts as a text."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder))
        self._text("facts", json.dumps(facts, indent=1, default=str))

    def metric(self, name: str, value: float, step: int | None) -> None:
        """Writes a scalar."""
        self._writer.add_scalar(name, value, step)

    def end(self, state: str, reason: str | None) -> None:
        """Writes state and reason as texts and closes the file."""
        self._text("state", state)
        if reason is not None:
            self._text("reason", reason)
        self._writer.close()

    def _text(self, name: str, text: str) -> None:
        # texts are shown as Markdown, in which four spaces make every line one of code: no word acts in it
        self._writer.add_text(name, "\n".join(f"    {line}" for line in text.splitlines()))


class MLflow:
    """A run in MLflow, through a client of its own, so that MLflow's global state stays as it is.

    Args:
        store: an address such as "http://127.0.0.1:5000" or "sqlite:///runs.db"; a folder, which MLflow 3 takes only if
            MLFLOW_ALLOW_FILE_STORE is "true"; or "" for what MLFLOW_TRACKING_URI says.
        run: what the run is called.
    """

    def __init__(self, store: str, run: str) -> None:
        self._store = store
        self._name = run
        self._client: Any = None
        self._run = ""

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Makes the run under the experiment's name, with the facts as its parameters."""
        from mlflow import MlflowClient  # type: ignore[import-not-found,unused-ignore]

        is_folder = self._store and "://" not in self._store
        uri = Path(self._store).resolve().as_uri() if is_folder else self._store or None
        self._client = MlflowClient(tracking_uri=uri)
        experiment = self._experiment(str(facts.get("experiment", PROJECT)))
        self._run = self._client.create_run(experiment, run_name=self._name).info.run_id
        for key, value in flat(facts):
            self._client.log_param(self._run, _mlflow_name(key), str(value)[:500])

    def _experiment(self, name: str) -> str:
        """The number of the experiment of this name, which is made if there is none."""
        from mlflow.exceptions import MlflowException  # type: ignore[import-not-found,unused-ignore]

        known = self._client.get_experiment_by_name(name)
        if known is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException:  # another trial may have made it meanwhile
                known = self._client.get_experiment_by_name(name)
                if known is None:
                    raise
        return str(known.experiment_id)

    def metric(self, name: str, value: float, step: int | None) -> None:
        """Writes a metric; characters that MLflow refuses in names become `_`."""
        self._client.log_metric(self._run, _mlflow_name(name), value, step=step)

    def end(self, state: str, reason: str | None) -> None:
        """Ends the run as finished, failed, or killed if it was stopped, with state and reason as tags."""
        self._client.set_tag(self._run, "state", state)
        if reason is not None:
            self._client.set_tag(self._run, "reason", reason[:500])
        status = {"done": "FINISHED", "stopped": "KILLED"}.get(state, "FAILED")
        self._client.set_terminated(self._run, status=status)


class WeightsAndBiases:
    """A run in Weights & Biases; whether it goes over the network is up to WANDB_MODE, as ever.

    Args:
        folder: for its local files.
        run: what the run is called.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self._folder = folder
        self._name = run
        self._run: Any = None

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Starts the run, or goes on with the one of this name, with the facts as its configuration."""
        import wandb  # type: ignore[import-not-found,unused-ignore]

        self._folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=PROJECT, id=self._name, name=self._name, resume="allow", dir=str(self._folder),
            group=str(facts.get("experiment", PROJECT)), config=dict(facts), reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )  # fmt: skip
        # its own step only ever rises, while each metric here counts its steps for itself
        self._run.define_metric("*", step_metric="step")

    def metric(self, name: str, value: float, step: int | None) -> None:
        """Writes a value."""
        self._run.log({name: value} if step is None else {name: value, "step": step})

    def end(self, state: str, reason: str | None) -> None:
        """Ends the run, with state and reason in its summary."""
        self._run.summary["state"] = state
        if reason is not None:
            self._run.summary["reason"] = reason
        self._run.finish(exit_code=0 if state == "done" else 1)


def flat(facts: Mapping[str, Any], begin: str = "") -> Iterator[tuple[str, Any]]:
    """The facts without mappings in them, under names with dots.

    Example:
        >>> list(flat({"seed": 0, "fields": {"epochs": 5}}))
        [('seed', 0), ('fields.epochs', 5)]
    """
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{begin}{name}.")
        else:
            yield f"{begin}{name}", value


def _mlflow_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_. /-]", "_", name)[:250]

"""Loggers: what they write, what is refused before a trial starts, and that none costs a trial."""

import importlib.machinery
import json
import math
import sys
import types
import warnings

import pytest

from sparsewire.errors import RequestError
from sparsewire.lab.trials.loggers import Guarded, JsonLines, chosen, make
from sparsewire.lab.trials.trackers import MLflow, TensorBoard, WeightsAndBiases

FACTS = {"experiment": "demo", "run": "b32df87e9aae13e4", "seed": 0, "fields": {"epochs": 5, "hidden": [30, 20]}}


def tell(logger) -> None:
    logger.begin(FACTS)
    logger.metric("loss", 0.5, 1)
    logger.metric("loss", math.nan, 2)
    logger.metric("best <accuracy>", 0.9, None)
    logger.end("diverged", "loss is nan\n<script>")


@pytest.fixture
def installed(monkeypatch):
    """Makes a package look as if it were installed."""

    def install(name: str) -> types.ModuleType:
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return install


@pytest.fixture
def missing(monkeypatch):
    for name in ("tensorboard", "mlflow", "wandb"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("tensorboard", "mlflow", "wandb") else find(name)
    )


def test_json_lines_say_all_that_was_told(tmp_path):
    tell(JsonLines(tmp_path / "deep" / "log.jsonl"))
    lines = [json.loads(line) for line in (tmp_path / "deep" / "log.jsonl").read_text().splitlines()]
    assert lines == [
        {"begin": FACTS}, {"metric": "loss", "value": 0.5, "step": 1}, {"metric": "loss", "value": "nan", "step": 2},
        {"metric": "best <accuracy>", "value": 0.9, "step": None},
        {"end": "diverged", "reason": "loss is nan\n<script>"},
    ]  # fmt: skip


def test_json_lines_are_there_while_the_trial_runs_and_go_on_when_it_begins_again(tmp_path):
    [one] = make(["jsonl"], tmp_path)
    one.begin(FACTS)
    one.metric("loss", 0.5, 1)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2
    one.end("stopped", None)
    [again] = make(["jsonl"], tmp_path)
    tell(again)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3 + 5


def test_a_destination_holds_the_runs_of_many_trials(tmp_path):
    for seed in (0, 1):
        [logger] = make([f"jsonl:{tmp_path / 'all: here'}"], tmp_path / "logs" / f"b32d-{seed}")
        tell(logger)
    assert sorted(path.name for path in (tmp_path / "all: here").iterdir()) == ["b32d-0.jsonl", "b32d-1.jsonl"]
    assert not (tmp_path / "logs").exists()


FAULTY = [
    (["tensorbord"], "no logger is named 'tensorbord'; did you mean 'tensorboard'"),
    (["jsonl:"], "found 'jsonl:', expected a folder or an address after the colon"),
    (["jsonl", "jsonl"], "found 'jsonl' twice"),
    (["tensorboard"], "'tensorboard': its package is not installed; pip install tensorboard"),
    (["mlflow:http://127.0.0.1:5000"], "'mlflow': its package is not installed; pip install mlflow-skinny"),
    (["jsonl", "wandb"], "'wandb': its package is not installed; pip install wandb"),
]


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize(("names", "message"), FAULTY)
def test_what_cannot_be_used_is_refused_before_anything_is_written(tmp_path, names, message):
    with pytest.raises(RequestError, match=message):
        make(names, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_destinations_are_told_from_names(installed):
    installed("mlflow")
    assert chosen(["mlflow:http://127.0.0.1:5000", "jsonl"]) == [("mlflow", "http://127.0.0.1:5000"), ("jsonl", "")]
    assert chosen([]) == []


class Broken:
    def __init__(self, failing: str) -> None:
        self.failing = failing
        self.told: list[str] = []

    def _tell(self, what: str) -> None:
        self.told.append(what)
        if what == self.failing:
            raise OSError(f"no {what}")

    def begin(self, facts) -> None:
        self._tell("begin")

    def metric(self, name, value, step) -> None:
        self._tell("metric")

    def end(self, state, reason) -> None:
        self._tell("end")


@pytest.mark.parametrize(
    ("failing", "told"),
    [("begin", ["begin"]), ("metric", ["begin", "metric"]), ("end", ["begin", "metric", "metric", "metric", "end"])],
)
def test_a_logger_that_fails_is_told_once_and_left_out(failing, told):
    broken = Broken(failing)
    with pytest.warns(
        RuntimeWarning, match=f"'mine' failed and is left out of this trial: OSError: no {failing}"
    ) as caught:
        tell(Guarded("mine", broken))
    assert broken.told == told
    assert len(caught) == 1


def test_a_logger_that_works_warns_of_nothing():
    working = Broken("")
    tell(Guarded("mine", working))
    assert working.told == ["begin", "metric", "metric", "metric", "end"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_logger_does_not_hold_up_the_end_of_the_program(error):
    class Stopping(Broken):
        def begin(self, facts) -> None:
            raise error

    with pytest.raises(error):
        Guarded("mine", Stopping("")).begin(FACTS)


def test_a_full_folder_or_facts_without_json_cost_no_trial(tmp_path):
    (tmp_path / "file").write_text("")
    for path, facts in [(tmp_path / "file" / "log.jsonl", FACTS), (tmp_path / "log.jsonl", {"fields": {1, 2}})]:
        with pytest.warns(RuntimeWarning, match="'jsonl' failed"):
            Guarded("jsonl", JsonLines(path)).begin(facts)


def test_tensorboard_reads_what_was_told(tmp_path):
    pytest.importorskip("tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # inside tensorboard and protobuf
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        [logger] = make(["tensorboard"], tmp_path / "b32d-0")
        tell(logger)
        events = EventAccumulator(str(tmp_path / "b32d-0"))
        events.Reload()
    one, two = events.Scalars("loss")
    assert (one.step, one.value, two.step) == (1, 0.5, 2)
    assert math.isnan(two.value)
    texts = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in events.Tags()["tensors"]}
    assert texts["reason/text_summary"] == "    loss is nan\n    <script>"
    assert json.loads(texts["facts/text_summary"]) == FACTS
    assert texts["state/text_summary"] == "    diverged"


def test_tensorboard_of_a_destination_names_the_run(tmp_path):
    pytest.importorskip("tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        [logger] = make([f"tensorboard:{tmp_path / 'all'}"], tmp_path / "logs" / "b32d-0")
        tell(logger)
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["b32d-0"]


class Recorder:
    """Stands for a package: notes every call, and answers with more of itself."""

    def __init__(self, calls: list, path: str = "") -> None:
        self._calls, self._path = calls, path

    def __getattr__(self, name: str):
        return Recorder(self._calls, f"{self._path}.{name}")

    def __call__(self, *arguments, **options):
        self._calls.append((self._path.removeprefix("."), arguments, options))
        return self

    def __setitem__(self, name: str, value: str) -> None:
        self._calls.append((f"{self._path.removeprefix('.')}[]", (name, value), {}))


def test_wandb_is_called_rightly_as_far_as_a_fake_can_tell(tmp_path, installed):
    calls: list = []
    package, fake = installed("wandb"), Recorder(calls)
    package.init, package.Settings = fake.init, lambda **options: options
    [logger] = make(["wandb"], tmp_path / "b32d-0")
    tell(logger)
    (name, _, options), *others = calls
    assert name == "init"
    assert options == {
        "project": "sparsewire", "id": "b32d-0", "name": "b32d-0", "resume": "allow", "dir": str(tmp_path / "b32d-0"),
        "group": "demo", "config": FACTS, "reinit": "create_new", "settings": {"silent": True, "console": "off"},
    }  # fmt: skip
    assert others[0] == ("init.define_metric", ("*",), {"step_metric": "step"})
    assert others[1] == ("init.log", ({"loss": 0.5, "step": 1},), {})
    assert others[3] == ("init.log", ({"best <accuracy>": 0.9},), {})
    assert others[4:] == [
        ("init.summary[]", ("state", "diverged"), {}), ("init.summary[]", ("reason", "loss is nan\n<script>"), {}),
        ("init.finish", (), {"exit_code": 1}),
    ]  # fmt: skip


class FakeMlflow:
    """A client with one memory for all, in which another process may be first to make the experiment."""

    def __init__(self, calls: list, exception: type[Exception], *, is_raced: bool) -> None:
        self.calls, self.exception, self.is_raced, self.known = calls, exception, is_raced, None

    def __call__(self, tracking_uri):
        self.calls.append(("client", tracking_uri))
        return self

    def get_experiment_by_name(self, name):
        return self.known

    def create_experiment(self, name):
        self.known = types.SimpleNamespace(experiment_id="7")
        if self.is_raced:
            raise self.exception(f"{name} exists")
        return "7"

    def create_run(self, experiment, run_name):
        self.calls.append(("run", experiment, run_name))
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r"))

    def __getattr__(self, name):
        return lambda *arguments, **options: self.calls.append((name, *arguments, *options.values()))


@pytest.mark.parametrize("is_raced", [False, True])
def test_mlflow_is_called_rightly_as_far_as_a_fake_can_tell(tmp_path, installed, is_raced):
    calls: list = []
    package, errors = installed("mlflow"), installed("mlflow.exceptions")
    errors.MlflowException = type("MlflowException", (Exception,), {})
    package.MlflowClient = FakeMlflow(calls, errors.MlflowException, is_raced=is_raced)
    [logger] = make([f"mlflow:{tmp_path}"], tmp_path / "b32d-0")
    tell(logger)
    assert calls[:2] == [("client", tmp_path.as_uri()), ("run", "7", "b32d-0")]
    assert ("log_param", "r", "fields.hidden", "[30, 20]") in calls
    assert ("log_metric", "r", "loss", 0.5, 1) in calls
    assert ("log_metric", "r", "best _accuracy_", 0.9, None) in calls
    assert calls[-3:] == [
        ("set_tag", "r", "state", "diverged"), ("set_tag", "r", "reason", "loss is nan\n<script>"),
        ("set_terminated", "r", "FAILED"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("store", "uri"),
    [("", None), ("http://127.0.0.1:5000", "http://127.0.0.1:5000"), ("sqlite:///a.db", "sqlite:///a.db")],
)
def test_mlflow_goes_where_it_is_told_as_far_as_a_fake_can_tell(installed, store, uri):
    calls: list = []
    package, errors = installed("mlflow"), installed("mlflow.exceptions")
    errors.MlflowException = Exception
    package.MlflowClient = FakeMlflow(calls, Exception, is_raced=False)
    MLflow(store, "b32d-0").begin({})
    assert calls == [("client", uri), ("run", "7", "b32d-0")]


def test_trackers_import_nothing_and_write_nothing_before_they_begin(tmp_path):
    TensorBoard(tmp_path / "a"), WeightsAndBiases(tmp_path / "b", "run"), MLflow(str(tmp_path / "c"), "run")
    assert list(tmp_path.iterdir()) == []

"""The options of `run`, and the commands that look at what was run: trials, report."""

import csv
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sparsewire.cli import commands
from sparsewire.cli.choices import Duration
from sparsewire.cli.sweep_screen import Pace, duration, line
from sparsewire.errors import RequestError
from sparsewire.experiments import names
from sparsewire.lab.executors import by_name
from sparsewire.lab.executors.here import Here
from sparsewire.lab.trials.progress import Progress

SMALL = ("-s", "data=digits", "-s", "hidden=[8]", "-s", "epochs=1", "--executor", "here")


def do(*arguments: object) -> Result:
    return CliRunner().invoke(commands, [str(argument) for argument in arguments], prog_name="sparsewire")


def refused(told: str, *arguments: object) -> None:
    result = do(*arguments)
    assert result.exit_code == 2, result.output
    assert re.fullmatch(rf"sparsewire: [^\n]*{told}[^\n]*\n", result.stderr), result.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two numbers of lightnings, two strengths, two seeds: eight small trials."""
    folder = tmp_path_factory.mktemp("runs") / "store"
    result = do(
        "run", "lightning.robustness", *SMALL, "-g", "lightnings=5,9", "-g", "strength=0.1,0.4", "--scale", "smoke",
        "--seeds", 2, "--store", folder,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "8 done of 8 trials" in result.stdout
    return folder


def test_trials_are_listed_filtered_and_sorted(store: Path) -> None:
    everything = json.loads(do("trials", "--store", store, "--json").stdout)
    assert everything["total"] == len(everything["trials"]) == 8
    assert everything["running"] == []
    found = json.loads(
        do(
            "trials", "lightning", "--store", store, "--where", "lightnings=9", "--where", "strength>0.2",
            "--sort", "seed", "--descending", "--json",
        ).stdout
    )  # fmt: skip
    assert [(one["fields"]["lightnings"], one["fields"]["strength"], one["seed"]) for one in found["trials"]] == [
        (9, 0.4, 1), (9, 0.4, 0)
    ]  # fmt: skip
    shown = do("trials", "--store", store, "--limit", 3)
    assert "3 of 8 trials; in this store lightning.robustness: 8 done" in shown.stdout
    header = do("trials", "--store", store).stdout.splitlines()[1]
    assert "lightnings" in header
    assert "strength" in header
    assert "hidden" not in header  # the same everywhere
    header = do("trials", "--store", store, "--show", "metric.best_accuracy", "--sort", "strength").stdout.splitlines()[
        1
    ]
    assert header.split() == ["run", "seed", "state", "best_accuracy", "seconds"]


def test_what_cannot_be_listed_is_refused(store: Path) -> None:
    refused("did you mean 'strength'", "trials", "--store", store, "--where", "strengh=1")
    refused("'lightnings'", "trials", "--store", store, "--sort", "lightning")
    refused("expected", "trials", "--store", store, "--where", "nonsense")
    refused("did you mean 'strength'", "trials", "--store", store, "--show", "strenth")


def test_tables_for_other_programs(store: Path, tmp_path: Path) -> None:
    result = do("report", "--store", store, "--csv", tmp_path / "t.csv", "--curves", tmp_path / "c.csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert len(rows) == 8
    points = list(csv.DictReader((tmp_path / "c.csv").read_text().splitlines()))
    assert {point["name"] for point in points} == {"accuracy", "loss"}
    assert len(points) == 16
    refused("--curves: found .* expected a file that ends with", "report", "--store", store, "--curves", "c.txt")


def test_a_budget_stops_and_the_same_command_goes_on(tmp_path: Path) -> None:
    command = ("run", "lightning.robustness", *SMALL, "-g", "lightnings=5,9", "--scale", "smoke", "--store", tmp_path)
    first = do(*command, "--budget", "0.001s")
    assert first.exit_code == 0, first.output
    assert "the time is used up: run the same command again to go on" in first.stdout
    assert re.search(r"[1-9] done(, \d kept from before)? of 4 trials", do(*command).stdout)
    assert "0 done, 4 kept from before of 4 trials" in do(*command).stdout


@pytest.mark.parametrize(
    ("told", "more"),
    [
        ("no field is named 'lightning'; did you mean 'lightnings'", ("-s", "lightning=3")),
        ("-g 'epoch=1'.*did you mean 'epochs'", ("-g", "epoch=1")),
        ("expected FIELD=VALUE", ("-s", "epochs")),
        ("--budget: found 'soon', expected a time above 0", ("--budget", "soon")),
        ("--workers: found 3, but this process does one trial at a time", ("--workers", "3", "--executor", "here")),
        ("no executor is named 'lokal'; did you mean 'local'", ("--executor", "lokal")),
        ("no logger is named 'tensorbord'; did you mean 'tensorboard'", ("--log", "tensorbord")),
    ],
)
def test_options_that_make_no_sense_are_refused(told: str, more: tuple[str, ...], tmp_path: Path) -> None:
    refused(told, "run", "lightning.robustness", "--scale", "smoke", "--store", tmp_path / "s", *more)


def test_metrics_go_to_a_logger_too(tmp_path: Path) -> None:
    command = ("run", "lightning.robustness", *SMALL, "--scale", "smoke", "--seeds", 1, "--store", tmp_path / "s")
    result = do(*command, "--log", "jsonl")
    assert result.exit_code == 0, result.output
    files = list((tmp_path / "s" / "logs").rglob("*.jsonl"))
    assert files
    assert any("accuracy" in file.read_text() for file in files)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1.5", 1.5), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("5 min", 300)]
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1s", "1w", "h", "1e3", "inf", "٣s nope"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="expected a time above 0"):
        Duration().convert(text, None, None)


def test_the_time_left_is_that_of_the_present_pace() -> None:
    pace = Pace(now=100.0)
    assert pace.words(0.5, 101.0) == ""  # half was done by earlier runs
    assert pace.words(0.6, 110.0) == "40 s left"
    assert pace.words(1.0, 200.0) == "0 s left"
    assert [duration(seconds) for seconds in (0, 59.6, 60, 3600, 3661, 90000)] == [
        "0 s", "1 min", "1 min", "1 h", "1 h 1 min", "1 d 1 h"
    ]  # fmt: skip
    assert line("x", Progress(0, 0), "") == "x: 0 % (0 of 0 trials)"


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """All experiments of a paper, with a field that is not the scale's; those on CIFAR-10 do not have it."""
    folder = tmp_path_factory.mktemp("paper") / "store"
    small = ("--scale", "smoke", "--seeds", 1, "-s", "hidden=[12, 8]", "--executor", "here")
    return folder, do("run", "lightning", *small, "--store", folder)


def test_the_report_of_a_changed_paper_holds_all_of_its_experiments(paper: tuple[Path, Result]) -> None:
    assert paper[1].exit_code == 0, paper[1].output
    assert paper[1].stdout.count("Own spec, ") == len(names("lightning"))
    assert "Nothing has been run yet" not in paper[1].stdout


def test_trials_of_a_paper_are_sorted_among_each_other(paper: tuple[Path, Result]) -> None:
    asked = ("trials", "lightning", "--store", paper[0], "--sort", "seconds", "--json")
    everything = json.loads(do(*asked).stdout)
    seconds = [one["seconds"] for one in everything["trials"]]
    assert everything["total"] == len(seconds) == 16
    assert seconds == sorted(seconds)
    assert {one["experiment"] for one in everything["trials"]} == set(names("lightning"))
    hidden = {one["experiment"]: one["fields"].get("hidden") for one in everything["trials"]}
    assert sorted(map(str, hidden.values())) == ["None"] * 3 + ["[12, 8]"] * 5
    few = json.loads(do(*asked, "--limit", 3, "--descending").stdout)
    assert [one["seconds"] for one in few["trials"]] == seconds[:-4:-1]
    assert json.loads(do("trials", "demo", "--store", paper[0], "--json").stdout)["total"] == 0


def test_workers_are_not_waited_for_a_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graces: list[float] = []

    class Noting(Here):
        def close(self, grace: float) -> None:
            graces.append(grace)

    monkeypatch.setattr(by_name, "executor", lambda name, work, workers: Noting(work))
    result = do("run", "lightning.robustness", *SMALL[:-1], "local", "--scale", "smoke", "--store", tmp_path / "s")
    assert result.exit_code == 0, result.output
    assert graces == [0.0]


def test_list_shows_what_can_be_changed_as_a_file_that_runs(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(do("list", "lightning.robustness").stdout)
    text = (tmp_path / "my.toml").read_text()
    assert "\nhidden = [300, 100]\n" in text
    assert "# specs at each scale: smoke: 4 × 1 seeds" in text
    result = do("run", tmp_path / "my.toml", *SMALL, "--store", tmp_path / "s")
    assert "1 done of 1 trials" in result.stdout, result.output
    assert len(do("list", "lightning").stdout.split("experiment = ")) == 1 + len(names("lightning"))
    refused("no experiment is named 'lightnin'; did you mean 'lightning'", "list", "lightnin")

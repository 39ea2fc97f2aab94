"""`sparsewire search`: a tiny search, stopped and gone on with; a genome that is shown; requests that make no sense."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sparsewire.cli import commands, searching
from sparsewire.cli.search_results import Found, Results, show_results
from sparsewire.experiments.hidden_structures.search_setup import METHODS, OBJECTIVES, chain
from sparsewire.search.genome_files import genome_from_text, read_genome, write_genome

FIELDS = {
    "images": 100, "validation": 60, "test_images": 60, "batch": 50, "most_multiply_adds": 500_000, "least_tried": 4,
    "channels": [4, 8], "random_least_depth": 6, "random_most_depth": 12,
}  # fmt: skip
TINY = (
    "--population", "4", "--trainings", "6", "--epochs", "1", "--executor", "here",
    *(part for name, value in FIELDS.items() for part in ("-s", f"{name}={value}")),
)  # fmt: skip


def do(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["search", *map(str, arguments)], prog_name="sparsewire")


def refused(status: int, told: str, *arguments: object) -> None:
    result = do(*arguments)
    assert result.exit_code == status, result.output
    assert re.fullmatch(rf"sparsewire: [^\n]*(?:{told})[^\n]*\n", result.stderr), result.stderr
    assert not result.stdout


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "store"
    result = do(*TINY, "--store", folder)
    assert result.exit_code == 0, result.output
    (folder / "said.txt").write_text(result.stdout)
    (folder / "told.txt").write_text(result.stderr)
    return folder


def test_a_search_ends_with_its_best_genomes_and_where_they_are(store: Path) -> None:
    said, told = (store / "said.txt").read_text(), (store / "told.txt").read_text()
    assert "7 done of 7 trials in" in said  # six, and the one that was drawn by hand
    assert re.search(r"generation \d+: 6 trained, \d+ foretold, \d+ known already", said)
    assert re.search(
        r"^ *1 +\d+\.?\d* +\d+\.?\d* +[\d,]+ +[\d,]+ +\d+ +\d+ +\d+ +(drawn|mutation) +[0-9a-f]{12}", said, re.M
    )
    assert "A chain that was drawn by hand reaches" in said
    assert "Too few genomes were trained" in said
    assert f"genome: {store / 'best.json'}\nreport: {store / 'search.html'}\n" in said
    assert (store / "search.html").read_text().startswith("<!doctype html>")
    assert len(read_genome(store / "best.json")) >= 6
    assert re.search(r"search: +\d+% generation \d+: best \d+\.\d %, \d+ trained, \d+ foretold", told)
    assert re.search(r"search: 100% generation", told)


def test_the_same_command_finds_the_same_and_trains_nothing_again(store: Path, tmp_path: Path) -> None:
    result = do(*TINY, "--store", store, "--json", "--genome", tmp_path / "best.graphml")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["trained"], found["over"], len(found["best"])) == (6, True, 6)
    assert found["report"] == str(store / "search.html")
    best = genome_from_text(found["best"][0]["genome"])
    assert (
        best.key == found["best"][0]["key"] == read_genome(found["genome"]).key == read_genome(store / "best.json").key
    )
    accuracies = [one["validation"] for one in found["best"]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert "7 kept from before" in do(*TINY, "--store", store).stdout


def test_a_search_that_is_stopped_again_and_again_finds_the_same(store: Path, tmp_path: Path) -> None:
    whole = json.loads(do(*TINY, "--store", store, "--json").stdout)
    for budget in ("0.001s", "0.001s", "0.5s", "1s"):
        part = json.loads(do(*TINY, "--store", tmp_path / "s", "--budget", budget, "--json").stdout)
        assert {one["key"] for one in part["best"]} <= {one["key"] for one in whole["best"]}
    last = json.loads(do(*TINY, "--store", tmp_path / "s", "--json").stdout)
    for name in ("best", "trained", "foretold", "duplicates", "generation", "drawn", "why", "over"):
        assert last[name] == whole[name], name


def test_a_search_without_a_surrogate_foretells_nothing(store: Path) -> None:
    command = (*TINY, "--store", store, "--no-surrogate", "--generations", 1, "--trainings", 5)
    result = do(*command, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["foretold"] == 0
    random = json.loads(do(*TINY, "--store", store, "--method", "random", "--trainings", 3, "--json").stdout)
    assert {one["operator"] for one in random["best"]} == {"drawn"}


def test_several_searches_of_one_command_are_shown_together(store: Path) -> None:
    found = json.loads(do(*TINY, "--store", store, "-s", "searches=2", "--json").stdout)
    assert found["trained"] == 12


def test_a_search_whose_training_fails_waits_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSEWIRE_DATA", str(tmp_path / "nothing"))
    command = (*TINY, "--data", "cifar10", "--store", tmp_path / "s")
    result = do(*command)
    assert result.exit_code == 1, result.output
    assert re.search("failed: run [0-9a-f]+, seed 0: [^\n]*nothing", result.stdout), result.stdout
    assert "what follows waits for what failed: run the same command again to go on" in result.stdout
    assert "No genome has been trained yet." in result.stdout
    assert not (tmp_path / "s" / "best.json").exists()
    again = do(*command, "--json")
    assert (again.exit_code, json.loads(again.stdout)["best"], json.loads(again.stdout)["over"]) == (1, [], False)
    assert "1 failed of 1 trials so far" in again.stderr


def test_generations_alone_are_bound_enough() -> None:
    first = searching._first("digits", "genetic", {"generations": 2, "trainings": None}, ())
    assert (first.generations, first.trainings) == (2, searching._MOST)
    assert searching._first("mnist", "random", {"epochs": 3}, ()).epochs == 3
    assert searching._first("cifar10", "random", {}, ("side=8",)).side == 8


FRONT = (*TINY, "--method", "nsga2", "--objectives", "accuracy,parameters,seconds", "--trainings", 7)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("front") / "store"
    result = do(*FRONT, "--store", folder)
    assert result.exit_code == 0, result.output
    (folder / "said.txt").write_text(result.stdout)
    return folder


def test_a_search_by_several_objectives_shows_its_front(front: Path) -> None:
    said = (front / "said.txt").read_text()
    assert "8 done of 8 trials in" in said
    assert "The front: genomes that no other of them beats (nowhere worse, somewhere better)." in said
    assert re.search(r"\d+ of \d+ beat the hand-drawn chain", said)
    assert "ms: a forward pass of a batch by one thread" in said
    found = json.loads(do(*FRONT, "--store", front, "--json").stdout)
    assert 1 <= len(found["front"]) <= 7
    for one in found["front"]:
        assert genome_from_text(one["genome"]).key == one["key"]
        assert one["forward_seconds"] > 0
        assert one["chain"] in ("beats it", "is beaten", "neither")
    accuracies = [one["validation"] for one in found["front"]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] == found["best"][0]["validation"]
    assert found["chain"]["validation"] == found["drawn"]
    page = (front / "search.html").read_text()
    assert "Accuracy and parameters" in page
    assert "Accuracy and a forward pass" in page


def test_a_front_that_is_stopped_again_and_again_is_the_same(front: Path, tmp_path: Path) -> None:
    """Without seconds: they are measured anew in another store."""
    command = (*TINY, "--method", "nsga2", "--trainings", 7)
    whole = json.loads(do(*command, "--store", tmp_path / "whole", "--json").stdout)
    for budget in ("0.001s", "0.3s"):
        assert do(*command, "--store", tmp_path / "s", "--budget", budget).exit_code == 0
    last = json.loads(do(*command, "--store", tmp_path / "s", "--json").stdout)
    for name in ("front", "chain", "best", "trained", "generation", "over"):
        assert last[name] == whole[name], name
    assert all(one["forward_seconds"] is None for one in last["front"])


def test_what_several_objectives_are_by_themselves() -> None:
    assert searching._objectives("nsga2", None) == ("accuracy", "parameters")
    assert searching._objectives("nsga2", "accuracy, multiply_adds") == ("accuracy", "multiply_adds")
    assert searching._objectives("random", None) == ("accuracy",)
    assert set(searching.METHODS) == {*METHODS} - {"all_trained"}  # that is --no-surrogate
    assert searching.OBJECTIVES == OBJECTIVES


def test_before_any_training_nothing_is_best(capsys: pytest.CaptureFixture[str]) -> None:
    show_results(Results([], None, 0, 0, 0, 0, []))
    assert "No genome has been trained yet." in capsys.readouterr().out


def test_a_front_without_the_chain_does_not_speak_of_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    one = Found(chain(4), 50.0, 49.0, 300, 4000, 1, "drawn", chain="neither")
    show_results(Results([one], 40.0, 1, 0, 0, 1, [], "a random forest", [one], one._replace(chain=None)))
    said = capsys.readouterr().out
    assert "The last row is the hand-drawn chain." in said
    assert "0 of 1 beat the hand-drawn chain" in said
    alone = one._replace(chain=None)
    show_results(Results([alone], None, 1, 0, 0, 1, [], "a random forest", [alone]))
    said = capsys.readouterr().out
    assert "The hand-drawn chain was not trained to an end." in said
    assert "last row" not in said
    assert "beat the hand-drawn chain" not in said


def test_a_genome_is_shown(tmp_path: Path) -> None:
    write_genome(chain(8), tmp_path / "chain.json")
    result = do("--show", tmp_path / "chain.json", "--data", "mnist")
    assert result.exit_code == 0, result.output
    assert "6 vertices, 5 edges, depth 6; images of 1 × 16 × 16, 10 classes" in result.stdout  # as a search takes them
    whole = do("--show", tmp_path / "chain.json", "--data", "cifar10", "-s", "side=0")
    assert "images of 3 × 32 × 32, 10 classes" in whole.stdout
    shown = json.loads(do("--show", tmp_path / "chain.json", "--json").stdout)
    assert (shown["image"], shown["depth"], shown["key"]) == ([1, 8, 8], 6, chain(8).key)


@pytest.mark.parametrize(
    ("status", "told", "arguments"),
    [
        (2, "no method is named 'genetik'; did you mean 'genetic'", ("--method", "genetik")),
        (2, "no data is named 'cifar'; did you mean 'cifar10'", ("--data", "cifar")),
        (2, "--no-surrogate: found together with --method random", ("--no-surrogate", "--method", "random")),
        (2, "--population.* 1 is not in the range x>=2", ("--population", 1)),
        (2, "--epochs.* 10000001 is not in the range|--epochs: .*; found 10000001", ("--epochs", 10_000_001)),
        (2, "--budget: found 'soon', expected a time above 0", ("--budget", "soon")),
        (2, "--genome: found best.txt, expected a file that ends with .json or .graphml", ("--genome", "best.txt")),
        (2, "no field is named 'epoch'; did you mean 'epochs'", ("-s", "epoch=3")),
        (2, "-s genome: found .*, but a search begins without one; see --show", ("-s", "genome=x")),
        (2, "--workers: found 3, but this process does one trial", ("--workers", 3, "--executor", "here")),
        (2, "no executor is named 'lokal'; did you mean 'local'", ("--executor", "lokal")),
        (2, "--show: found a.json together with an option of a search", ("--show", "a.json", "--population", 5)),
        (2, "--show: found a.json together with an option of a search", ("--show", "a.json", "--no-surrogate")),
        (2, "--show: found a.json together with an option of a search", ("--show", "a.json", "--method", "random")),
        (2, "--show: found a.json together with an option", ("--show", "a.json", "--objectives", "accuracy,seconds")),
        (2, "--objectives: found 'accuracy,seconds' with --method genetic, which looks at accuracy alone; set --method "
         "nsga2", ("--objectives", "accuracy,seconds")),
        (2, "no objective is named 'second'; did you mean 'seconds'",
         ("--method", "nsga2", "--objectives", "accuracy,second")),
        (2, "--objectives: found 'parameters,accuracy', expected accuracy first, then at least one more, each",
         ("--method", "nsga2", "--objectives", "parameters,accuracy")),
        (2, "--objectives: found 'accuracy', expected", ("--method", "nsga2", "--objectives", "accuracy")),
        (2, "--objectives: found 'accuracy,seconds,seconds'",
         ("--method", "nsga2", "--objectives", "accuracy,seconds,seconds")),
        (2, "no objective is named ''", ("--method", "nsga2", "--objectives", "")),
        (2, "as only nsga2 looks at others", ("-s", "objectives=['accuracy','seconds']")),
        (2, "--no-surrogate: found together with --method nsga2", ("--no-surrogate", "--method", "nsga2")),
        (2, "most_multiply_adds: found 9, but the smallest of 100 genomes that were drawn needs .*; allow more",
         ("-s", "most_multiply_adds=9")),
        (1, "a.json.*there is no such file", ("--show", "a.json")),
        (2, "a.txt, expected a name that ends in .json or .graphml", ("--show", "a.txt")),
    ],
)  # fmt: skip
def test_requests_that_make_no_sense_get_one_line(
    status: int, told: str, arguments: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(status, told, *arguments)
    assert not list(tmp_path.rglob("store.sqlite"))


def test_the_genome_and_the_report_are_two_files(tmp_path: Path) -> None:
    same = tmp_path / "x.json"
    refused(2, "--html: .*x.json is the file of --genome; name another file", "--genome", same, "--html", same)
    refused(1, "--html: .* is a folder; name a file", "--html", tmp_path)

"""`sparsewire compare`: which trials it takes, what it says, and that bad input gets one clear line."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sparsewire.cli import commands
from sparsewire.experiments import find
from sparsewire.experiments.lightning.robustness import RobustnessSpec
from sparsewire.lab.runner import run
from sparsewire.lab.store import Store

NAME = "lightning.robustness"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two numbers of lightnings with seven seeds each, and one with another strength."""
    folder = tmp_path_factory.mktemp("store")
    [experiment] = find(NAME)
    specs = [RobustnessSpec(data="digits", hidden=(8,), epochs=1, lightnings=number) for number in (5, 50)]
    with Store.open(folder) as opened:
        run(experiment, specs, opened, seeds=7)
        run(experiment, [specs[0].model_copy(update={"strength": 0.5})], opened, seeds=1)
    return folder


def do(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["compare", *map(str, arguments)], prog_name="sparsewire")


def test_two_groups_of_the_same_seeds_are_paired(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "compared.html"
    groups = ("--a", "lightnings=5", "--a", "strength<0.2", "--b", "lightnings>5")
    result = do(NAME, *groups, "--metric", "best_accuracy", "--store", store, "--html", page)
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "Paired: t interval, exact sign flips." in words
    assert words.count("(n=7)") == 2
    assert "lightnings=5, strength&lt;0.2" in page.read_text(encoding="utf-8")
    assert "<script" not in page.read_text(encoding="utf-8")


def test_json_holds_every_number(store: Path) -> None:
    result = do(NAME, "--by", "lightnings", "--metric", "best_accuracy", "--store", store, "--json", "--level", 0.9)
    found = json.loads(result.output)
    assert (found["experiment"], found["metric"]) == (NAME, "best_accuracy")
    [one] = found["comparisons"]
    assert (one["a"]["name"], one["b"]["name"]) == ("lightnings=5", "lightnings=50")
    assert (one["a"]["count"], one["b"]["count"], one["design"], one["level"]) == (8, 7, "independent", 0.9)
    assert one["p"] == one["p_adjusted"]
    assert one["interval"][0] < one["difference"] < one["interval"][1]
    assert one["remarks"] == ["lightnings=5: trials of 2 specs together"]


def test_where_chooses_before_groups_are_made(store: Path) -> None:
    asked = ("--by", "lightnings", "--where", "strength=0.1", "--where", "seed<3")
    found = json.loads(do(NAME, *asked, "--metric", "loss", "--store", store, "--json").output)["comparisons"][0]
    assert (found["a"]["count"], found["b"]["count"], found["design"]) == (3, 3, "paired")
    assert found["verdict"] == "no difference was shown"
    assert found["remarks"] == ["3 pairs are too few for sign flips; Student's test takes differences to be normal"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((NAME, "--a", "seed=1", "--metric", "loss"), "expected --a and --b"),
        ((NAME, "--a", "seed=1", "--by", "rate", "--metric", "loss"), "found --by together with --a"),
        ((NAME, "--a", "seed=99", "--b", "seed=1", "--metric", "loss"), "--a: none of the store's 15 trials"),
        ((NAME, "--a", "seed=1", "--b", "seed=1", "--metric", "loss"), "seed 1 is in both groups"),
        ((NAME, "--a", "seed", "--b", "seed=1", "--metric", "loss"), "condition: found 'seed'"),
        ((NAME, "--by", "lightning", "--metric", "loss"), "did you mean 'lightnings'"),
        ((NAME, "--by", "rate", "--metric", "loss"), "--by: found 1 value"),
        ((NAME, "--by", "lightnings", "--metric", "lost"), "no metric is named 'lost'; did you mean 'loss'"),
        (("lightning", "--by", "rate", "--metric", "loss"), "lightning is a paper; name one of its experiments"),
        (("lightening", "--by", "rate", "--metric", "loss"), "did you mean 'lightning'"),
    ],
)
def test_refuses(arguments: tuple[str, ...], told: str, store: Path) -> None:
    result = do(*arguments, "--store", store)
    assert result.exit_code == 2
    assert re.fullmatch(rf"sparsewire: [^\n]*{re.escape(told)}[^\n]*\n", result.stderr), result.stderr


def test_a_store_that_is_not_there_is_no_fault_of_the_request(tmp_path: Path) -> None:
    result = do(NAME, "--by", "rate", "--metric", "loss", "--store", tmp_path / "none")
    assert result.exit_code == 1
    assert not (tmp_path / "none").exists()


def test_needs_no_torch(store: Path) -> None:
    code = (
        "import sys; from sparsewire.cli import commands; sys.argv[0] = 'sparsewire'\n"
        "commands.main(sys.argv[1:], standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)"
    )
    asked = ["compare", NAME, "--by", "lightnings", "--metric", "loss", "--store", str(store), "--json"]
    done = subprocess.run([sys.executable, "-c", code, *asked], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""The command line: what it prints, how it ends, and that bad input gets one clear line and changes nothing."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn

import sparsewire
from sparsewire.cli import commands
from sparsewire.cli.choices import SCALES, SCOPES, SCORES
from sparsewire.cli.endings import status_of
from sparsewire.errors import CheckpointError, RequestError
from sparsewire.experiments import CATALOGUE
from sparsewire.lab.checkpoints import read_checkpoint, write_checkpoint

SPARSEWIRE = [sys.executable, "-m", "sparsewire"]


def do(*arguments: object) -> Result:
    return CliRunner().invoke(commands, [str(argument) for argument in arguments], prog_name="sparsewire")


def refused(status: int, told: str, *arguments: object) -> None:
    """The command ends with this status and one message that matches, and shows no traceback."""
    result = do(*arguments)
    assert result.exit_code == status, result.output
    assert re.fullmatch(rf"sparsewire: [^\n]*{told}[^\n]*\n", result.stderr), result.stderr
    assert "Traceback" not in result.output
    assert not result.stdout


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))


def conv() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 5), nn.Linear(5, 2))


def lstm() -> nn.Module:
    return nn.ModuleDict({"rnn": nn.LSTM(3, 4), "out": nn.Linear(4, 2)})


def made(path: Path, model: Callable[[], nn.Module] = mlp) -> Path:
    torch.manual_seed(0)
    write_checkpoint(path, model().state_dict())
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, which is left as it was but for what the test expects."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Help


def _all_commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _all_commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(_all_commands(commands)), ids=" ".join)
def test_every_command_has_a_summary_and_an_example_that_it_understands(path: tuple[str, ...]) -> None:
    result = do(*path, "--help")
    assert result.exit_code == 0
    command: click.Command = commands
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert len((command.help or "").split("\n")[0]) < 100
    examples = result.stdout.split("Example:\n")[1].strip().splitlines()
    assert [line.strip() for line in examples] == command.example.splitlines()  # type: ignore[attr-defined]
    for line in examples:
        words = [word.strip("'") for word in line.split()]
        assert words[: 1 + len(path)] == ["sparsewire", *path]
        context = commands.make_context("sparsewire", words[1:], resilient_parsing=True)
        name, found, rest = commands.resolve_command(context, words[1:])
        assert found is not None
        if not isinstance(found, click.Group):
            found.make_context(name, rest)  # an option that does not exist would be an error


def test_without_arguments_it_shows_help() -> None:
    assert do().stdout == do("--help").stdout
    assert do().exit_code == 0
    assert do("data").stdout == do("data", "--help").stdout


def test_the_version() -> None:
    assert do("--version").stdout == f"sparsewire {sparsewire.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["run", "--help"], ["list", "--json"], ["data", "list"], ["run", "nonsense"],
     ["prune", "a.pt", "--density", "2", "--output", "b.pt"]],
    ids=" ".join,
)  # fmt: skip
def test_help_lists_and_refusals_do_not_wait_for_torch(arguments: list[str], here: Path) -> None:
    code = (
        "import sys\nfrom sparsewire.cli import main\n"
        "try:\n    main()\nfinally:\n    sys.stderr.write(str(sorted({'torch', 'numpy', 'scipy'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.stderr.endswith("[]"), done.stderr


def test_names_in_the_options_are_those_of_the_library() -> None:
    from typing import get_args

    from sparsewire.lab.experiment import Scale
    from sparsewire.structure.allocation import SCOPES as SCOPES_THERE
    from sparsewire.structure.scores import SCORES as SCORES_THERE

    assert set(SCORES) == set(SCORES_THERE)
    assert set(SCOPES) == set(SCOPES_THERE)
    assert get_args(Scale) == SCALES


# Refusals of the request


@pytest.mark.parametrize(
    ("told", "arguments"),
    [
        ("no command is named 'runn'; did you mean 'run'", ["runn", "demo"]),
        ("no command is named 'lst'; did you mean 'list'.*see sparsewire data --help", ["data", "lst"]),
        ("no option is named '--scal'; did you mean '--scale'.*; see sparsewire run", ["run", "demo", "--scal", "x"]),
        ("no option is named '--helpp'; did you mean '--help'", ["--helpp"]),
        ("no experiment is named 'dmo'; did you mean 'demo'", ["run", "dmo"]),
        ("no experiment is named 'lightning.rebuilt'; did you mean 'lightning.rebuild'", ["run", "lightning.rebuilt"]),
        ("no experiment is named 'x'", ["report", "x"]),
        ("no scale is named 'dsk'; did you mean 'desk'", ["run", "demo", "--scale", "dsk"]),
        ("Missing argument 'NAME", ["run"]),
        ("'--seeds': 0 is not in the range x>=1", ["run", "demo", "--seeds", "0"]),
        ("'--seeds': 'two' is not a valid integer", ["run", "demo", "--seeds", "two"]),
        ("unexpected extra argument", ["list", "demo", "more"]),
        ("absent.toml: No such file", ["run", "absent.toml"]),
        ("no data set that can be fetched is named 'mnits'; did you mean 'mnist'", ["data", "fetch", "mnits"]),
        ("expected an address", ["data", "fetch", "mnist", "--from", "file:///etc", "--to", "data"]),
        ("Missing option '--density'", ["prune", "a.pt", "--output", "b.pt"]),
        ("Missing option '--output'", ["prune", "a.pt", "--density", "0.5"]),
        *(
            (f"--density: found '{density}', expected a fraction from 0 to 1", ["prune", "a.pt", f"--density={density}",
                                                                                "--output", "b.pt"])
            for density in ("0.5x", "-1", "2", "nan", "inf", "")
        ),
    ],
)  # fmt: skip
def test_a_wrong_request_ends_with_2(told: str, arguments: list[str], here: Path) -> None:
    refused(2, told, *arguments)
    assert not list(here.iterdir())


def test_a_wrong_spec_ends_with_2(here: Path) -> None:
    Path("a.toml").write_text('experiment = "demmo"\n')
    refused(2, r"a\.toml, line 1: no experiment is named 'demmo'; did you mean 'demo'", "run", "a.toml")
    Path("a.toml").write_text('experiment = "demo"\nepoch = 3\n')
    refused(2, r"a\.toml, line 2: no field is named 'epoch'; did you mean 'epochs'", "run", "a.toml")
    Path("a.toml").write_text('experiment = "demo"\n')
    refused(2, "--scale: found 'smoke' together with a.toml", "run", "a.toml", "--scale", "smoke")
    assert [path.name for path in here.iterdir()] == ["a.toml"]


@pytest.mark.parametrize(
    ("told", "arguments"),
    [
        ("no weight to prune is named 'fc.*'", ["--only", "fc.*"]),
        ("no weight to prune is named '0.wieght'; did you mean '0.weight'", ["--only", "0.wieght"]),
        ("pattern: found 'squares', expected a pattern such as Neurons", ["--pattern", "squares"]),
        ("does not divide '0.weight'", ["--pattern", "block:4x4"]),
        ("n: found 3 of every 2", ["--pattern", "3:2"]),
        ("no score is named 'magnitud'; did you mean 'magnitude'", ["--score", "magnitud"]),
        ("need the pattern Neurons", ["--score", "neuron_l2"]),
        ("no scope is named 'blnd'; did you mean 'blind'", ["--scope", "blnd"]),
        ("found the suffix '.txt', expected one of .safetensors", ["--output", "b.txt"]),
        ("a.pt is the checkpoint itself", ["--output", "a.pt"]),
        ("a.pt is the checkpoint itself", ["--output", "./a.pt", "--force"]),
        ("old.pt exists; name another file, or replace it with --force", ["--output", "old.pt"]),
    ],
)
def test_prune_refuses_what_cannot_be(told: str, arguments: list[str], here: Path) -> None:
    made(here / "a.pt")
    made(here / "old.pt")
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    refused(2, told, "prune", "a.pt", "--density", "0.5", "--output", "b.pt", *arguments)
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


# Files that are not what they should be

BOMB = b"\x80\x02cos\nsystem\nX\x0c\x00\x00\x00touch MARKER\x85R."


def _broken(folder: Path) -> dict[str, str]:
    """Broken checkpoints by name, and what is said about each."""
    good = made(folder / "good.safetensors").read_bytes()
    torch.save(mlp(), folder / "model.pt")
    torch.save({"epoch": 3}, folder / "empty_handed.pt")
    (folder / "cut.safetensors").write_bytes(good[:-5])
    (folder / "cut.pt").write_bytes(made(folder / "good.pt").read_bytes()[:500])
    (folder / "bomb.pt").write_bytes(BOMB)
    (folder / "text.pt").write_text("import antigravity\n")
    (folder / "none.pt").write_bytes(b"")
    (folder / "folder.pt").mkdir()
    return {
        "absent.pt": "there is no such file",
        "folder.pt": "it is a folder",
        "none.pt": "it is empty",
        "cut.safetensors": "truncated or corrupt",
        "cut.pt": "truncated or corrupt",
        "text.pt": "expected safetensors or a file of torch.save",
        "bomb.pt": "it is a pickle",
        "model.pt": "would run 'torch.nn.modules.container.Sequential'",
        "empty_handed.pt": "no tensors by name, only 'epoch'",
    }


def test_bad_checkpoints_end_with_1_and_one_line(here: Path) -> None:
    broken = _broken(here)
    before = sorted(here.iterdir())
    for name, told in broken.items():
        refused(1, f"cannot read {re.escape(name)}: .*{re.escape(told)}", "inspect", name)
        refused(
            1, f"cannot read {re.escape(name)}", "inspect", name, "--json", "--picture", "p.svg", "--html", "p.html"
        )
        refused(1, f"cannot read {re.escape(name)}", "prune", name, "--density", "0.5", "--output", "out.pt")
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "a.pt", "--html", "blocked/a.html"],
        ["inspect", "a.pt", "--picture", "blocked/a.svg"],
        ["prune", "a.pt", "--density", "0.5", "--output", "blocked/b.pt"],
        ["prune", "a.pt", "--density", "0.5", "--output", "blocked/deep/b.pt"],
        ["run", "demo", "--html", "blocked/a.html"],
        ["run", "demo", "--store", "blocked"],
        ["report", "--html", "blocked/a.html"],
        ["report", "--csv", "blocked/a.csv"],
        ["report", "--store", "blocked"],
        ["data", "fetch", "mnist", "--to", "blocked"],
    ],
    ids=" ".join,
)
def test_where_nothing_can_be_written_it_ends_with_1(arguments: list[str], here: Path) -> None:
    made(here / "a.pt")
    (here / "blocked").write_text("a file, where a folder should be")
    refused(1, "blocked", *arguments)
    assert sorted(path.name for path in here.iterdir()) == ["a.pt", "blocked"]


def test_a_folder_in_place_of_a_file_is_refused(here: Path) -> None:
    made(here / "a.pt")
    (here / "b.pt").mkdir()
    refused(1, "b.pt is a folder; name a file", "prune", "a.pt", "--density", "1", "--output", "b.pt", "--force")


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "a.pt", "--picture", "pipe.svg"],
        ["inspect", "a.pt", "--html", "pipe.svg"],
        ["prune", "a.pt", "--density", "0.5", "--output", "pipe.pt", "--force"],
        ["report", "--csv", "pipe.svg"],
        ["report", "--html", "pipe.svg"],
        ["run", "demo", "--html", "pipe.svg"],
    ],
    ids=" ".join,
)
def test_a_device_or_pipe_is_not_replaced_by_a_file(arguments: list[str], here: Path) -> None:
    made(here / "a.pt")
    for name in ("pipe.svg", "pipe.pt"):
        os.mkfifo(here / name)
    refused(1, "pipe.* is a device or a pipe", *arguments)
    assert (here / "pipe.svg").is_fifo()
    assert (here / "pipe.pt").is_fifo()


@pytest.mark.parametrize(
    ("told", "arguments"),
    [
        ("--html: a.pt is the file that is read", ["inspect", "a.pt", "--html", "a.pt"]),
        ("--html: link is the file that is read", ["inspect", "a.pt", "--html", "link"]),
        ("--html: a.svg is the file of --picture", ["inspect", "a.pt", "--picture", "a.svg", "--html", "./a.svg"]),
        ("--csv: a.html is the file of --html", ["report", "--html", "a.html", "--csv", "a.html"]),
        ("--html: a.toml is the file that is read", ["run", "a.toml", "--html", "a.toml"]),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_no_file_is_written_over_one_that_the_command_reads_or_writes(
    told: str, arguments: list[str], here: Path
) -> None:
    made(here / "a.pt")
    (here / "link").symlink_to("a.pt")
    (here / "a.toml").write_text('experiment = "demo"')
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    refused(2, told, *arguments)
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_full_disk_leaves_what_was_there(suffix: str, here: Path) -> None:
    write_checkpoint(here / "large.pt", {"weight": torch.rand(300, 300)})
    made(here / f"out{suffix}")
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        refused(1, f"cannot write out{suffix}: .*File too large.*nothing was changed",
                "prune", "large.pt", "--density", "0.5", "--output", f"out{suffix}", "--force")  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


# inspect


def test_inspect_by_hand(here: Path) -> None:
    """0 → 0 → 0 is the one complete path; input 1 is read by nobody, hidden neuron 1 has no input, 2 no output."""
    first = torch.tensor([[4.0, 0.0], [0.0, 0.0], [3.0, 0.0]])
    write_checkpoint(
        "a.safetensors", {"0.weight": first, "0.bias": torch.ones(3), "2.weight": torch.tensor([[2.0, 1.0, 0]])}
    )
    found = json.loads(do("inspect", "a.safetensors", "--json").stdout)
    assert [(layer["name"], layer["live"], layer["silent"], layer["unread"]) for layer in found["layers"]] == [
        ("0.weight", 2, 1, 1),
        ("2.weight", 2, 0, 1),
    ]
    assert (found["weights"], found["live"], found["other_numbers"], found["stored_bytes"]) == (9, 4, 3, 48)
    assert found["neurons"] == [
        {"size": 2, "constant": 0, "unread": 1, "alive": 1},
        {"size": 3, "constant": 1, "unread": 1, "alive": 1},
        {"size": 1, "constant": 0, "unread": 0, "alive": 1},
    ]
    assert found["complete_paths"] == [{"edges": 1, "fraction": 0.0}, {"edges": 2, "fraction": 0.0},
                                       {"edges": 4, "fraction": 0.5}]  # fmt: skip
    shown = do("inspect", "a.safetensors").stdout
    assert "0.weight" in shown
    assert "density: 0.4444" in shown


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    ("model", "layers", "chain"),
    [
        (mlp, ["0.weight", "2.weight", "4.weight"], ["0.weight", "2.weight", "4.weight"]),
        (conv, ["0.weight", "3.weight", "4.weight"], ["3.weight", "4.weight"]),
        (lstm, ["rnn.weight_ih_l0", "rnn.weight_hh_l0", "out.weight"], ["out.weight"]),
        (lambda: nn.Sequential(nn.ReLU()), [], []),
        (lambda: nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)]), ["0.weight", "1.weight"], []),
    ],
    ids=["mlp", "conv", "lstm", "empty", "no chain"],
)
def test_inspect_shows_any_model(
    model: Callable[[], nn.Module], layers: list[str], chain: list[str], suffix: str, here: Path
) -> None:
    found = json.loads(do("inspect", made(here / f"a{suffix}", model), "--json").stdout)
    assert sorted(layer["name"] for layer in found["layers"]) == sorted(layers)
    assert found["chain"] == chain
    assert (found["no_chain"] is None) == bool(chain)
    assert found["weights"] == found["live"] == sum(w.numel() for w in model().state_dict().values() if w.ndim > 1)
    result = do("inspect", f"a{suffix}")
    assert result.exit_code == 0
    assert not result.stderr
    assert all(name in result.stdout for name in layers)


def test_inspect_shows_what_is_not_finite(here: Path) -> None:
    state = {"0.weight": torch.tensor([[float("nan"), 1.0], [0.0, float("inf")]])}
    write_checkpoint("a.pt", state)
    result = do("inspect", "a.pt")
    assert result.exit_code == 0
    assert "0.weight holds 2 numbers that are NaN or infinite" in result.stdout
    assert json.loads(do("inspect", "a.pt", "--json").stdout)["layers"][0]["not_finite"] == 2


def test_inspect_writes_a_picture_and_a_page(here: Path) -> None:
    pytest.importorskip("matplotlib")
    made(here / "a.pt")
    for name, begin in {"a.svg": b"<?xml", "a.png": b"\x89PNG", "a.pdf": b"%PDF"}.items():
        result = do("inspect", "a.pt", "--picture", name, "--edges", "20")
        assert f"written: {name}" in result.stdout, result.output
        assert Path(name).read_bytes().startswith(begin)
    assert "written: a.html" in do("inspect", "a.pt", "--html", "a.html").stdout
    page = Path("a.html").read_text()
    assert "2.weight" in page
    assert "<svg" in page
    refused(2, "--picture: found the suffix '.gif', expected one of .svg", "inspect", "a.pt", "--picture", "a.gif")
    write_checkpoint("b.pt", {"0.weight": torch.ones(2, 3), "1.weight": torch.ones(2, 3)})
    refused(2, "--picture: there is no network to draw: .*no chain", "inspect", "b.pt", "--picture", "b.svg")


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202eevil\r\nsecond.weight"


@pytest.mark.parametrize(
    "arguments", [["inspect"], ["prune", "--density", "0.5", "--output", "b.pt"]], ids=lambda a: a[0]
)
def test_names_from_files_cannot_steer_the_terminal(arguments: list[str], here: Path) -> None:
    write_checkpoint("a.pt", {HOSTILE: torch.ones(2, 2), "[red]weight": torch.full((2, 2), float("nan"))})
    for extra in ([], ["--json"], ["--only", "x"] if arguments[0] == "prune" else ["--picture", "a.svg"]):
        shown = do(arguments[0], "a.pt", *arguments[1:], *extra).output
        assert not set(shown) & {"\x1b", "\x07", "\r", "\u202e"}
    if arguments[0] == "inspect":
        assert "[red]weight" in do("inspect", "a.pt").stdout
        assert HOSTILE in [layer["name"] for layer in json.loads(do("inspect", "a.pt", "--json").stdout)["layers"]]


# prune


def _live(state: dict[str, Tensor], *names: str) -> int:
    return sum(int((state[name] != 0).sum()) for name in names)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("model", [mlp, conv, lstm], ids=["mlp", "conv", "lstm"])
def test_prune_keeps_exactly_what_was_asked_for(model: Callable[[], nn.Module], suffix: str, here: Path) -> None:
    before = read_checkpoint(made(here / f"a{suffix}", model))
    weights = [name for name, tensor in before.items() if tensor.ndim > 1]
    total = sum(before[name].numel() for name in weights)
    result = do("prune", f"a{suffix}", "--density", "0.25", "--output", "b.safetensors", "--json")
    found = json.loads(result.stdout)
    after = read_checkpoint("b.safetensors")
    kept = int(total * 0.25 + 0.5)
    assert found["weights"] == found["live_before"] == total
    assert found["live_after"] == _live(after, *weights) == kept
    assert [layer["live_after"] for layer in found["layers"]] == [_live(after, l["name"]) for l in found["layers"]]  # noqa: E741
    strongest = torch.cat([before[name].abs().flatten() for name in weights]).topk(kept).values.min()
    for name, tensor in before.items():
        expected = tensor.where(tensor.abs() >= strongest, 0) if name in weights else tensor
        assert torch.equal(after[name], expected)
    model().load_state_dict(after)


def test_prune_with_every_option(here: Path) -> None:
    made(here / "a.pt")
    base = ["prune", "a.pt", "--density", "0.5", "--output", "b.pt", "--force"]
    result = do(*base, "--only", "0.weight", "--only", "2.*")
    assert "written: b.pt" in result.stdout, result.output
    after = read_checkpoint("b.pt")
    assert (_live(after, "0.weight", "2.weight"), _live(after, "4.weight")) == (25, 12)

    do(*base, "--score", "random", "--scope", "uniform", "--seed", "1")
    first = read_checkpoint("b.pt")
    do(*base, "--score", "random", "--scope", "uniform", "--seed", "1")
    assert all(torch.equal(first[name], tensor) for name, tensor in read_checkpoint("b.pt").items())
    do(*base, "--score", "random", "--scope", "uniform", "--seed", "2")
    assert not torch.equal(first["0.weight"], read_checkpoint("b.pt")["0.weight"])

    do(*base, "--pattern", "1:2", "--only", "0.weight")
    assert (read_checkpoint("b.pt")["0.weight"].reshape(-1, 2) != 0).sum(1).tolist() == [1] * 15
    do(*base, "--pattern", "fan-in", "--only", "0.weight")
    assert (read_checkpoint("b.pt")["0.weight"] != 0).sum(1).tolist() == [3] * 5
    do(*base, "--pattern", "block:1x3", "--only", "0.weight")
    assert (read_checkpoint("b.pt")["0.weight"].reshape(-1, 3) != 0).sum(1).tolist().count(3) == 5
    do(*base, "--pattern", "neurons", "--score", "neuron_l2", "--only", "2.weight")
    assert sorted((read_checkpoint("b.pt")["2.weight"] != 0).sum(1).tolist()) == [0, 0, 5, 5]


def test_prune_says_that_a_layer_lost_everything(here: Path) -> None:
    torch.save({"0.weight": torch.full((2, 2), 0.1), "2.weight": torch.ones(2, 2)}, "a.pt")
    base = ["prune", "a.pt", "--density", "0.5", "--output", "b.pt", "--force"]
    assert "note: nothing is left of 0.weight; --scope erk" in do(*base).stdout
    assert "note:" not in do(*base, "--scope", "uniform").stdout


def test_pruned_tied_weights_stay_equal(here: Path) -> None:
    weight = torch.rand(4, 4)
    torch.save({"a.weight": weight, "b.weight": weight}, "a.pt")
    found = json.loads(do("prune", "a.pt", "--density", "0.5", "--output", "b.pt", "--json").stdout)
    after = read_checkpoint("b.pt")
    assert found["weights"] == 16
    assert torch.equal(after["a.weight"], after["b.weight"])
    assert after["a.weight"].data_ptr() == after["b.weight"].data_ptr()
    assert _live(after, "a.weight") == 8


def test_float8_is_pruned_like_any_other(here: Path) -> None:
    weight = torch.tensor([[1.0, -4.0], [2.0, 0.5]])
    write_checkpoint("a.pt", {"weight": weight.to(torch.float8_e4m3fn)})
    assert json.loads(do("prune", "a.pt", "--density", "0.5", "--output", "b.pt", "--json").stdout)["live_after"] == 2
    assert read_checkpoint("b.pt")["weight"].float().tolist() == [[0, -4], [2, 0]]


def test_an_empty_checkpoint_has_nothing_to_prune(here: Path) -> None:
    write_checkpoint("a.pt", {})
    refused(2, "no weights that can be pruned", "prune", "a.pt", "--density", "0.5", "--output", "b.pt")
    assert not Path("b.pt").exists()


# list, data


def test_list_names_every_experiment() -> None:
    found = json.loads(do("list", "--json").stdout)["experiments"]
    assert [row["name"] for row in found] == list(CATALOGUE)
    assert all(name in do("list").stdout for name in CATALOGUE)


def test_data_list_says_where_everything_is(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSEWIRE_DATA", str(here))
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    found = {row["name"]: row for row in json.loads(do("data", "list", "--json").stdout)["data"]}
    assert found["digits"]["embedded"]
    assert found["mnist"]["folder"] is None
    assert "sparsewire data fetch mnist" in do("data", "list").stdout


def test_a_mirror_that_does_not_answer_ends_with_1(here: Path) -> None:
    refused_here = "http://127.0.0.1:9/"  # the port "discard": nothing listens there
    refused(
        1,
        "cannot fetch .*127.0.0.1:9.*put the file into",
        "data",
        "fetch",
        "mnist",
        "--from",
        refused_here,
        "--to",
        "d",
    )


# run, report


def test_report_of_a_store_that_is_not_there_ends_with_1(here: Path) -> None:
    refused(1, "sparsewire-runs", "report")
    assert not list(here.iterdir())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The smallest run of an experiment, done once."""
    folder = tmp_path_factory.mktemp("runs") / "store"
    return folder, do("run", "lightning.rebuild", "--scale", "smoke", "--store", folder, "--seeds", "1")


def test_run_says_what_it_did_and_what_was_found(store: tuple[Path, Result]) -> None:
    _, result = store
    assert result.exit_code == 0, result.output
    assert "lightning.rebuild: 1 done of 1 trials" in result.stdout
    assert "Table 1: changed connections" in result.stdout
    assert "lightning.rebuild: 100 % (1 of 1 trials)" in result.stderr


def test_run_again_does_nothing_and_more_seeds_go_on(store: tuple[Path, Result]) -> None:
    folder, _ = store
    again = do("run", "lightning.rebuild", "--scale", "smoke", "--store", folder, "--seeds", "1")
    assert "0 done, 1 kept from before of 1 trials" in again.stdout
    more = do("run", "lightning.rebuild", "--scale", "smoke", "--store", folder, "--seeds", "2")
    assert "1 done, 1 kept from before of 2 trials" in more.stdout


def test_report_in_every_form(store: tuple[Path, Result], here: Path) -> None:
    folder, _ = store
    found = json.loads(do("report", "--store", folder, "--json").stdout)
    assert {claim["table"] for claim in found["claims"]} >= {"Table 1: changed connections"}
    result = do("report", "lightning", "--store", folder, "--html", "a.html", "--csv", "a.csv")
    assert "written: a.html" in result.stdout
    assert Path("a.html").read_text().startswith("<!doctype html>")
    header, first, *_ = Path("a.csv").read_text().splitlines()
    assert header.startswith("experiment,run,seed,state")
    assert first.startswith("lightning.rebuild,")


def test_run_a_spec_and_write_its_page(here: Path) -> None:
    Path("my.toml").write_text(
        'experiment = "lightning.rebuild"\nseeds = 2\n\n'
        '[spec]\ndata = "digits"\nhidden = [5, 4]\nepochs = 1\nactive = [0.5]\n'
    )
    result = do("run", "my.toml", "--store", "runs", "--html", "page/my.html", "--seeds", "1")
    assert result.exit_code == 0, result.output
    assert "1 done of 1 trials" in result.stdout
    assert "report: page/my.html" in result.stdout
    assert Path("page/my.html").exists()


def test_run_demo_writes_a_page_into_its_store(here: Path) -> None:
    pytest.importorskip("matplotlib")
    result = do("run", "demo", "--scale", "smoke", "--store", "runs")
    assert result.exit_code == 0, result.output
    assert "report: runs/report.html" in result.stdout
    assert "<svg" in Path("runs/report.html").read_text()


# How it ends


def test_every_kind_of_error_has_its_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPARSEWIRE_DEBUG", raising=False)

    def fail(error: BaseException, **wishes: bool) -> tuple[int, str]:
        def work() -> None:
            raise error

        return status_of(work, wishes), capsys.readouterr().err

    assert status_of(lambda: None, {}) == 0
    assert status_of(lambda: 1, {}) == 1
    assert fail(RequestError("a\x1b[2Jb")) == (2, "sparsewire: a\\x1b[2Jb\n")
    assert fail(CheckpointError("no")) == (1, "sparsewire: no\n")
    assert fail(MemoryError()) == (1, "sparsewire: there is not enough memory for this\n")
    assert fail(PermissionError(13, "Permission denied", "a.txt")) == (1, "sparsewire: a.txt: Permission denied\n")
    status, told = fail(KeyboardInterrupt())
    assert (status, told.count("\n")) == (130, 1)
    assert "run the same command again" in told
    status, told = fail(ZeroDivisionError("ours"))
    assert status == 1
    assert "Traceback" in told
    assert told.endswith("sparsewire: this is a bug in sparsewire, please report it with the lines above: "
                         "ZeroDivisionError('ours')\n")  # fmt: skip
    assert "Traceback" in fail(RequestError("x"), debug=True)[1]
    monkeypatch.setenv("SPARSEWIRE_DEBUG", "1")
    assert "Traceback" in fail(CheckpointError("x"))[1]


def test_debug_shows_the_traceback(here: Path) -> None:
    result = do("--debug", "inspect", "absent.pt")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "there is no such file" in result.stderr


def test_ctrl_c_ends_a_run_that_can_go_on(here: Path) -> None:
    command = [*SPARSEWIRE, "run", "lightning.rebuild", "--scale", "smoke", "--seeds", "500", "--executor", "here"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()  # the first trial is done: now it is at work
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert "(1 of 500 trials)" in first
    assert process.returncode == 130, out + err
    assert "run the same command again to go on" in out
    assert "Traceback" not in out + err
    done = int(re.findall(r"(\d+) done", out)[0])
    again = do("run", "lightning.rebuild", "--scale", "smoke", "--seeds", done)
    assert f"0 done, {done} kept from before" in again.stdout


def test_a_reader_that_leaves_early_is_no_error(here: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*SPARSEWIRE, "list"], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_said(here: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*SPARSEWIRE, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "sparsewire: cannot write the output: No space left on device\n"


def test_a_terminal_without_our_letters_is_no_error(here: Path) -> None:
    made(here / "a.pt")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*SPARSEWIRE, "inspect", "a.pt"], capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert b"0.weight" in done.stdout


def test_shell_completion_knows_the_experiments() -> None:
    environment = {
        **os.environ,
        "_SPARSEWIRE_COMPLETE": "bash_complete",
        "COMP_WORDS": "sparsewire run light",
        "COMP_CWORD": "2",
    }
    code = "from sparsewire.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "plain,lightning.rebuild" in done.stdout
    assert "plain,demo" not in done.stdout


# What layers gain


BENCH = ["bench", "--seconds", "0.001", "--density", "0.5"]


def test_bench_measures_the_layers_that_are_named() -> None:
    result = do(*BENCH, "--layer", "8x4", "--layer", "6x5", "--density", "0.1", "--batch", "2", "--batch", "3")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Training step (forward and backward), float32, ")
    rows = re.findall(r"(\d+×\d+) +([\d.]+) +(\d+) .*(?:sparse: [\d.]+× faster|use dense: [\d.]+×)", result.stdout)
    assert rows == [(s, d, b) for s in ("8×4", "6×5") for d in ("0.5", "0.1") for b in "23"]


def test_bench_as_json() -> None:
    found = json.loads(do(*BENCH, "--layer", "8x4", "--batch", "2", "--inference", "--threads", "1", "--json").stdout)
    assert found["limits"]["threads"] == 1
    (row,) = found["layers"]
    assert (row["inputs"], row["outputs"], row["batch"], row["pass"]) == (8, 4, 2, "inference")
    assert min(row["dense_seconds"], row["sparse_seconds"], row["ratio"], row["fraction_of_limit"]) > 0


def test_bench_takes_the_layers_of_a_checkpoint_at_their_own_density(here: Path) -> None:
    write_checkpoint(here / "a.pt", {"a.weight": torch.eye(4), "b.weight": torch.zeros(3, 2, 2), "bias": torch.ones(4)})
    found = json.loads(do("bench", "a.pt", "--seconds", "0.001", "--batch", "2", "--json").stdout)["layers"]
    assert [(row["inputs"], row["outputs"], row["density"]) for row in found] == [(4, 4, 0.25)]
    dense = made(here / "b.pt")
    found = json.loads(do(*BENCH, dense, "--batch", "2", "--json").stdout)["layers"]
    assert [(row["inputs"], row["outputs"], row["density"]) for row in found] == [(6, 5, 0.5), (5, 4, 0.5), (4, 3, 0.5)]


def test_bench_takes_the_layers_of_the_zoo() -> None:
    found = json.loads(do(*BENCH, "--model", "perceptron", "--batch", "1", "--inference", "--json").stdout)["layers"]
    assert [(row["inputs"], row["outputs"]) for row in found] == [(784, 10)]


def test_bench_draws(here: Path) -> None:
    pytest.importorskip("matplotlib")
    result = do(*BENCH, "--density", "0", "--layer", "8x4", "--batch", "2", "--svg", "a.svg", "--html", "page/a.html")
    assert result.exit_code == 0, result.output
    assert "written: a.svg" in result.stdout
    assert "<svg" in Path("a.svg").read_text()
    assert Path("page/a.html").read_text().count("<svg") == 1


def test_bench_refuses(here: Path) -> None:
    made(here / "a.pt")
    write_checkpoint(here / "none.pt", {"bias": torch.ones(4)})
    refused(2, "--layer: found '8', expected INPUTSxOUTPUTS, such as 784x300", "bench", "--layer", "8")
    refused(2, "--layer: found '0x4'", "bench", "--layer", "0x4")
    refused(2, "--layer: found '99999x99999'", "bench", "--layer", "99999x99999")
    refused(2, "--density: found '2'", "bench", "--density", "2")
    refused(2, "expected one of them", "bench", "a.pt", "--layer", "8x4")
    refused(2, "did you mean 'lenet_300_100'", "bench", "--model", "lenet_300_10")
    refused(1, "none.pt holds no matrix of a linear layer; name shapes with --layer", "bench", "none.pt")
    refused(1, "absent.pt", "bench", "absent.pt")
    refused(1, "--svg: . is a folder", "bench", "--svg", ".")
    refused(2, "found 16 layers and batches, expected at most 15", "bench", "--svg", "a.svg",
            *(word for batch in "1234" for word in ("--batch", batch)))  # fmt: skip
    assert not Path("a.svg").exists()


def test_the_help_of_bench_does_not_wait_for_torch() -> None:
    code = (
        "import sys\nfrom sparsewire.cli import main\ntry:\n    main()\nfinally:\n    sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, "bench", "--help"], capture_output=True, check=False)
    assert done.returncode == 0

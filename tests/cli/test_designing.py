"""`sparsewire design`: what it shows, what it says where nothing fits, and that bad input gets one clear line."""

import json
import re
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner, Result

import sparsewire as sw
from sparsewire.cli import commands
from sparsewire.cli.designing import PATTERNS, SORTS
from sparsewire.structure.predefined_masks import predefined

MORSE = ("--sizes", "64,1024,64", "--density", "0.25", "--at-most", "3", "--no-speed")


def do(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["design", *map(str, arguments)], prog_name="sparsewire")


def test_the_table() -> None:
    result = do(*MORSE)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "64-1024-64: all dense it has 132,160 parameters, 528,640 bytes."
    assert max(map(len, lines[:-1])) <= 100
    columns = re.split(r"\s{2,}", next(line for line in lines if "fan-outs" in line).strip())
    assert columns == ["fan-outs", "densities %", "all %", "parameters", "bytes", "scatter", "planned"]
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines if re.match(r" ?\d+, \d+ ", line)]
    assert [row[:5] for row in rows] == [
        ["16, 31", "1.56, 48.4", "25", "33,856", "270,856"],
        ["128, 24", "12.5, 37.5", "25", "33,856", "270,856"],
        ["256, 16", "25, 25", "25", "33,856", "270,856"],
    ]
    assert "No regular split" not in result.stdout
    assert "Speed" not in result.stdout


def test_the_line_to_use_one_runs() -> None:
    line = do(*MORSE, "--sort", "scatter").stdout.splitlines()[-1]
    found = re.fullmatch(
        r"To use the first: sw\.predefined\(model, fan_outs=(\(.*?\)), pattern='(\w+)', generator=.*", line
    )
    assert found is not None
    fan_outs = tuple(map(int, found[1].strip("()").split(",")))
    model = sw.zoo.morse_1024()
    assert predefined(model, fan_outs=fan_outs, pattern=found[2], generator=torch.Generator()).density == 0.25


def test_where_nothing_fits_it_shows_the_nearest() -> None:
    result = do("--sizes", "784,100,10", "--density", "0.1", "--at-most", "2", "--no-speed")
    assert result.exit_code == 0
    assert "No regular split has density 0.1: fan-outs are multiples of 25 (784→100) and 1 (100→10)," in result.stdout
    assert "Nearest below: none, above: 0.248111." in result.stdout
    assert "Nearer to it with other sizes: --sizes 784,112,10" in result.stdout
    assert "25, 1 " in result.stdout
    told = do("--sizes", "4096,512,16", "--density", "0.0039", "--no-speed", "--at-most", "1").stdout
    assert "Nearest below: 0.00389105, above: 0.00413424." in told
    assert "other sizes" not in told


def test_where_few_fit_it_says_why() -> None:
    asked = ("--sizes", "784,100,10", "--density", "0.5", "--no-speed")
    told = do(*asked).stdout
    assert "Only one regular split has density 0.5: fan-outs are multiples of 25 (784→100) and 1 (100→10)," in told
    assert "More of them are near: --tolerance 0.01" in told
    for more in (("--at-most", "1"), ("--tolerance", "0.01")):  # as many as asked for
        assert "Only" not in do(*asked, *more).stdout
    for alone in (("4,2", "0.5"), ("4,4", "1")):  # nothing else is near
        told = do("--sizes", alone[0], "--density", alone[1], "--no-speed").stdout
        assert "Only one regular split has" in told
        assert "are near" not in told
    # By hand: 784 a is a multiple of 100 where a is one of 25, and 100 b always of 10; 784 a + 100 b = 39,700.
    ways = [(a, b) for a in range(1, 101) for b in range(1, 11) if 784 * a % 100 == 0 and 784 * a + 100 * b == 39_700]
    assert ways == [(50, 5)]


def test_the_speed() -> None:
    asked = ("--sizes", "16,8,4", "--density", "0.5", "--at-most", "2", "--batch", "4")
    training, inference = do(*asked), do(*asked, "--inference")
    assert "Speed: a training step of 4 samples, times as fast as all dense" in training.stdout
    assert "Speed: a forward pass of 4 samples" in inference.stdout
    assert training.exit_code == inference.exit_code == 0


def test_as_json() -> None:
    found = json.loads(do(*MORSE, "--json", "--pattern", "clustered").stdout)
    assert found["asked"] == {"density": 0.25, "tolerance": 0.0, "pattern": "clustered", "speed": None}
    assert found["met"] is True
    assert [one["fan_outs"] for one in found["configurations"]] == [[16, 31], [128, 24], [256, 16]]
    assert all(one["scatter"] < one["scatter_planned"] for one in found["configurations"])
    assert (
        json.loads(do("--sizes", "784,100,10", "--density", "0.1", "--no-speed", "--json", "--at-most", "1").stdout)[
            "met"
        ]
        is False
    )


def test_a_tolerance_widens_the_choice() -> None:
    found = json.loads(
        do("--sizes", "784,112,10", "--density", "0.2", "--tolerance", "0.02", "--no-speed", "--json").stdout
    )
    assert found["met"] is True
    assert all(abs(one["density"] - 0.2) <= 0.02 for one in found["configurations"])


def test_the_seed_decides() -> None:
    assert do(*MORSE, "--seed", 3).stdout == do(*MORSE, "--seed", 3).stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("--sizes", "784", "--density", ".1"),
            "--sizes: found '784', expected at least two whole numbers of at least 1",
        ),
        (("--sizes", "784,0", "--density", ".1"), "--sizes: found '784,0'"),
        (("--sizes", "784,a", "--density", ".1"), "--sizes: found '784,a'"),
        (("--sizes", "784,-5", "--density", ".1"), "--sizes: found '784,-5'"),
        (("--sizes", "784,1.5", "--density", ".1"), "--sizes: found '784,1.5'"),
        (("--sizes", "", "--density", ".1"), "--sizes: found ''"),
        (("--sizes", "8,4", "--density", "0"), "--density: found 0, expected a fraction above 0"),
        (("--sizes", "8,4", "--density", "1.1"), "--density: found '1.1', expected a fraction from 0 to 1"),
        (("--sizes", "8,4", "--density", "nan"), "--density: found 'nan'"),
        (("--sizes", "8,4", "--density", "much"), "--density: found 'much'"),
        (
            ("--sizes", "8,4", "--density", ".5", "--tolerance", "nan"),
            "--tolerance: found nan, expected a fraction from 0",
        ),
        (("--sizes", "8,4", "--density", ".5", "--tolerance", "-1"), "--tolerance"),
        (("--sizes", "8,4", "--density", ".5", "--at-most", "0"), "--at-most"),
        (("--sizes", "8,4", "--density", ".5", "--batch", "0"), "--batch"),
        (("--sizes", "8,4", "--density", ".5", "--pattern", "planed"), "did you mean 'planned'"),
        (("--sizes", "8,4", "--density", ".5", "--sort", "scater"), "did you mean 'scatter'"),
        (("--sizes", "99999,99999", "--density", ".5"), "9,999,800,001 weights between 99,999 and 99,999"),
        (("--sizes", "8,4"), "Missing option '--density'"),
    ],
    ids=" ".join,
)
def test_bad_input_gets_one_clear_line(arguments: tuple[str, ...], told: str) -> None:
    result = do(*arguments)
    assert result.exit_code == 2, result.output
    assert re.fullmatch(r"sparsewire: [^\n]*\n", result.stderr), result.stderr
    assert told in result.stderr
    assert not result.stdout


def test_names_in_the_options_are_those_of_the_library() -> None:
    from sparsewire.analysis import configurations
    from sparsewire.structure import drawn_patterns

    assert tuple(configurations.SORTS) == SORTS
    assert drawn_patterns.NAMES == PATTERNS


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--sizes", "8", "--density", "1"),
        ("--sizes", "8,4", "--density", "0"),
        ("--sizes", "8,4", "--density", "1", "--tolerance", "nan"),
    ],
    ids=" ".join,
)
def test_help_and_refusals_do_not_wait_for_torch(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom sparsewire.cli import main\n"
        "try:\n    main()\nfinally:\n    sys.stderr.write(str(sorted({'torch', 'numpy', 'scipy'} & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "design", *arguments], capture_output=True, text=True, check=False
    )
    assert done.stderr.endswith("[]"), done.stderr

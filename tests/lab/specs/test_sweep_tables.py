"""Sweeps in files: what they say, and what is wrong with which line."""

from typing import Literal

import pytest
from pydantic import Field

from sparsewire.errors import RequestError
from sparsewire.lab.spec import Part, Spec
from sparsewire.lab.specs.draws import Between, OneOf
from sparsewire.lab.specs.fields import dotted
from sparsewire.lab.specs.spec_files import read_spec
from sparsewire.lab.specs.sweep_tables import sweep_of
from sparsewire.lab.specs.sweeps import Samples, Sweep


class Window(Part):
    low: float = 0.0
    high: float = 1.0


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    paths: int = Field(default=20, ge=1)
    sizes: tuple[int, ...] = (300, 100)
    rate: float = 0.5
    scope: Literal["blind", "uniform"] = "blind"
    densities: dict[str, float] = Field(default_factory=dict)
    window: Window = Window()


WHOLE = """
experiment = "toy"
seeds = [0, 5]

[spec]
rate = 0.1
window.low = 0.5

[[sweep.list]]
scope = "blind"
[[sweep.list]]
scope = "uniform"
window.high = 2.0

[sweep.grid]
sizes = [
  [30, 20],
  [300, 100],
]
densities."0.weight" = [0.1]

[sweep.random]
samples = 2
seed = 4
paths = { low = 1, high = 1000, scale = "log" }
"""


def test_a_whole_file_is_read(tmp_path):
    (tmp_path / "a.toml").write_text(WHOLE)
    file = read_spec(tmp_path / "a.toml", {"toy": Toy})
    assert file.seeds == (0, 5)
    one, two = 51, 309  # frozen: the same file means the same specs for ever
    assert [(spec.scope, spec.window.high, spec.sizes, spec.paths) for spec in file.specs] == [
        ("blind", 1.0, (30, 20), one), ("blind", 1.0, (30, 20), two),
        ("blind", 1.0, (300, 100), one), ("blind", 1.0, (300, 100), two),
        ("uniform", 2.0, (30, 20), one), ("uniform", 2.0, (30, 20), two),
        ("uniform", 2.0, (300, 100), one), ("uniform", 2.0, (300, 100), two),
    ]  # fmt: skip
    assert all((spec.rate, spec.window.low, spec.densities) == (0.1, 0.5, {"0.weight": 0.1}) for spec in file.specs)


def test_fields_may_stand_beside_the_name(tmp_path):
    (tmp_path / "a.toml").write_text('experiment = "toy"\nrate = 0.1\nsweep.grid.paths = [1, 2]\n')
    assert read_spec(tmp_path / "a.toml", {"toy": Toy}).specs == (Toy(rate=0.1, paths=1), Toy(rate=0.1, paths=2))


TABLES = [
    ({}, Sweep()),
    ({"list": [{}]}, Sweep(({},))),
    ({"grid": {}}, Sweep()),
    ({"grid": {"window": {"low": [1, 2]}}}, Sweep(grid=((("window", "low"), (1, 2)),))),
    (
        {"random": {"samples": 1, "window": {"low": {"low": 1, "high": 2}, "high": {"choices": [3]}}}},
        Sweep(random=Samples(1, 0, ((("window", "low"), Between(1, 2)), (("window", "high"), OneOf((3,)))))),
    ),
]


@pytest.mark.parametrize(("table", "sweep"), TABLES)
def test_tables_are_read(table, sweep):
    assert sweep_of(table, dotted) == sweep


FAULTY = [
    ("[sweep.gird]\npaths = [1]", "line 2: no entry of sweep is named 'gird'; did you mean 'grid'"),
    ("sweep = 3", "line 2: sweep: found 3, expected a table"),
    ("[sweep.grid]\npahts = [1]", "line 3: no field is named 'pahts'; did you mean 'paths'"),
    ("[sweep.grid]\nwindow.hihg = [1.0]", "line 3: no field is named 'hihg'; did you mean 'high'"),
    ("[sweep.grid]\npaths = 3", "line 3: field 'paths': found 3, expected a list of one or more values"),
    ("[sweep.grid]\npaths = []", "line 3: field 'paths': found .., expected a list of one or more values"),
    (
        "[sweep.grid]\nrate = [0.1]\npaths = [\n1,\n0]",
        "line 4: field 'paths': found 0, expected: greater than or equal",
    ),
    ("[sweep]\ngrid = 3", "line 3: sweep.grid: found 3, expected a table of fields"),
    (
        "[sweep.list]\npaths = 3",
        "line 2: sweep.list: found {'paths': 3}, expected tables, each under a line ..sweep.list",
    ),
    ("[sweep]\nlist = []", "line 3: sweep.list: found .., expected tables"),
    ("[sweep]\nlist = [3]", "line 3: sweep.list: found .3., expected tables"),
    ("[[sweep.list]]\n[[sweep.list]]\nscope = 'x'", "line 4: field 'scope': found 'x', expected: 'blind' or 'uniform'"),
    ("[[sweep.list]]\n[[sweep.list]]\nscpe = 'x'", "line 4: no field is named 'scpe'; did you mean 'scope'"),
    ("[sweep.random]\nrate = {low = 0.1, high = 1.0}", "line 2: sweep.random: samples is missing"),
    ("[sweep.random]\nsamples = 0\nrate = {low = 0.1, high = 1.0}", "line 3: sweep.random: samples: found 0, expected"),
    (
        "[sweep.random]\nsamples = 1\nseed = 'a'\nrate = {low = 0.1, high = 1.0}",
        "line 4: sweep.random: seed: found 'a'",
    ),
    ("[sweep.random]\nsamples = 1", "line 2: sweep.random: no field is drawn"),
    (
        "[sweep.random]\nsamples = 1\nrate = {lo = 0.1, high = 1.0}",
        "line 4: no entry of sweep.random.rate is named 'lo'; did you mean 'low'",
    ),
    ("[sweep.random]\nsamples = 1\nrate = {low = 0.1}", "line 4: field 'rate': high is missing"),
    ("[sweep.random]\nsamples = 1\nrate = {}", "line 4: field 'rate': found {}, expected { low"),
    ("[sweep.random]\nsamples = 1\nrate = 0.1", "line 4: field 'rate': found 0.1, expected { low"),
    ("[sweep.random]\nsamples = 1\nrate = {choice = [1]}", "line 4: field 'rate.choice': found .1., expected { low"),
    ("[sweep.random]\nsamples = 1\nrate = {choices = []}", "line 4: field 'rate': choices: found none"),
    ("[sweep.random]\nsamples = 1\nrate = {choices = 3}", "line 4: field 'rate': choices: found 3, expected a list"),
    (
        "[sweep.random]\nsamples = 1\nrate = {choices = [1], low = 3}",
        "line 4: no entry of sweep.random.rate is named 'low'",
    ),
    ("[sweep.random]\nsamples = 1\nrate = {low = 2, high = 1}", "line 4: field 'rate': low: found 2, expected at most"),
    (
        "[sweep.random]\nsamples = 1\nrate = {low = 0, high = 1, scale = 'log'}",
        "line 4: field 'rate': low: found 0, expected a number above 0",
    ),
    (
        "[sweep.random]\nsamples = 1\nrate = {low = 1, high = 2, scale = 'lin'}",
        "line 4: field 'rate': no scale is named 'lin'; did you mean",
    ),
    (
        "[sweep.random]\nsamples = 1\npaths = {low = 0.5, high = 1}",
        "line 4: field 'paths': found 0.*, expected: a valid integer",
    ),
    (
        "[sweep.grid]\npaths = [1]\n[sweep.random]\nsamples = 1\npaths = {choices = [1]}",
        "line 6: field 'paths' varies in sweep.grid and sweep.random",
    ),
    (
        "[sweep.grid]\npaths = [1]\n[[sweep.list]]\npaths = 1",
        "line 3: field 'paths' varies in sweep.list and sweep.grid",
    ),
    ("[spec]\nrate = 'x'\n[sweep.grid]\npaths = [1]", "line 3: field 'rate': found 'x'"),
    (
        "[sweep.random]\nsamples = 1000000\nrate = {low = 0.1, high = 1.0}\n[sweep.grid]\npaths = [1, 2]",
        "line 2: the sweep makes 2,000,000 specs",
    ),
]


@pytest.mark.parametrize(("text", "message"), FAULTY)
def test_faults_are_named_with_their_line(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(f'experiment = "toy"\n{text}')
    with pytest.raises(RequestError, match=rf"a\.toml, {message}"):
        read_spec(tmp_path / "a.toml", {"toy": Toy})

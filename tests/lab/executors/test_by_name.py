"""What a command line may say, and what it is told where that cannot be."""

import importlib.util
from pathlib import Path

import pytest

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.executors.by_name import executor, read_options
from sparsewire.lab.executors.contract import Order, Receipt
from sparsewire.lab.executors.here import Here
from sparsewire.lab.executors.kubernetes import KubernetesOptions
from sparsewire.lab.executors.slurm import SlurmOptions


def work(order: Order) -> Receipt:
    return Receipt("r", order.seed, "done")


def test_here() -> None:
    assert isinstance(executor("here", work), Here)
    assert isinstance(executor("here", work, workers=1), Here)


@pytest.mark.parametrize(
    ("name", "workers", "kind", "says"),
    [
        ("hree", None, UnknownNameError, "no executor is named 'hree'; did you mean 'here'"),
        ("local:3", None, UnknownNameError, "no executor is named 'local:3'"),
        ("http://127.0.0.1:80", None, UnknownNameError, "no executor is named 'http"),
        ("", None, UnknownNameError, "no executor is named ''"),
        ("here", 4, RequestError, "workers: found 4, but the executor 'here' is one process; name 'local' for more"),
        ("local", 0, RequestError, "workers: found 0, expected 1 to 10,000"),
        ("tcp://127.0.0.1:8786", 4, RequestError, "workers: found 4, but a scheduler that others started"),
        ("tcp://10.1.2.3:8786", None, RequestError, "can run any code as the user of its workers; .* insecure[+]tcp"),
        ("tcp://cluster.example:8786", None, RequestError, "can run any code"),
        ("tcp://127.0.0.1", None, RequestError, "expected tcp://HOST:PORT"),
        ("tls://127.0.0.1:port", None, RequestError, "expected tcp://HOST:PORT or tls://HOST:PORT"),
        ("slurm", None, RequestError, "expected slurm:FILE.toml"),
        ("kubernetes:", None, RequestError, "expected kubernetes:FILE.toml"),
    ],
)
def test_what_cannot_be(name: str, workers: int | None, kind: type[Exception], says: str) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(kind, match=says):
        executor(name, work, workers)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("local", "distributed", "sweep"),
        ("tls://10.1.2.3:8786", "distributed", "sweep"),
        ("slurm:x.toml", "dask-jobqueue", "slurm"),
        ("kubernetes:x.toml", "dask-kubernetes", "k8s"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    there = {"distributed"} if extra in ("slurm", "k8s") else set()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in there else None)
    with pytest.raises(RequestError, match=rf'needs the package {package}: pip install "sparsewire\[{extra}\]"'):
        executor(name, work)


def test_options_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text('jobs = 8\nmemory = "2GB"\ndirectives = ["--exclusive"]\nprologue = ["module load python"]\n')
    options = SlurmOptions(jobs=8, memory="2GB", directives=("--exclusive",), prologue=("module load python",))
    assert read_options(path, SlurmOptions) == options
    assert read_options(path, SlurmOptions, jobs=None) == options
    assert read_options(path, SlurmOptions, jobs=3).jobs == 3
    path.write_text('image = "sparsewire:1"')
    assert read_options(path, KubernetesOptions, workers=4) == KubernetesOptions(image="sparsewire:1", workers=4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("jbos = 3", r"no option of .*x\.toml is named 'jbos'; did you mean 'jobs'"),
        ("jobs = '3'", "jobs: Input should be a valid integer, found '3'"),
        ("jobs = 0", "jobs: Input should be greater than or equal to 1, found 0"),
        ("memory = '1GB'", "jobs: Field required$"),
        ("jobs = 1\nmemory = 'much'", "memory: String should match pattern .* found 'much'"),
        ("jobs = 1\nwalltime = '2 h'", "walltime: .* found '2 h'"),
        ('jobs = 1\nqueue = "a\\nb"', r"queue: .* found 'a\\nb'"),
        ('jobs = 1\ndirectives = ["a\\nrm"]', r"directives\.0: .* found 'a\\nrm'"),
        ("jobs = ", "x.toml is no TOML"),
        ("jobs = 1\njobs = 2", "x.toml is no TOML"),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(RequestError, match=says):
        read_options(path, SlurmOptions)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot read .*y\.toml: No such file"):
        read_options(tmp_path / "y.toml", SlurmOptions)
    (tmp_path / "z.toml").write_bytes(b"\xff")
    with pytest.raises(RequestError, match=r"z\.toml is no TOML"):
        read_options(tmp_path / "z.toml", SlurmOptions)

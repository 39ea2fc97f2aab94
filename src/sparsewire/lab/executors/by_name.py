"""From what a command line says to an executor."""

import importlib.util
import json
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.executors.contract import Executor, Work
from sparsewire.lab.executors.here import Here
from sparsewire.lab.spec import Part

O = TypeVar("O", bound=Part)  # noqa: E741 - the options of one kind of executor

_KNOWN = ("here", "local", "slurm:FILE.toml", "kubernetes:FILE.toml", "tcp://HOST:PORT", "tls://HOST:PORT")
_EXTRAS = {"slurm": "slurm", "kubernetes": "k8s"}  # kind → the extra that holds what it needs; else "sweep"


def executor(name: str, work: Work, workers: int | None = None) -> Executor:
    """The executor that a name stands for; it starts at once.

    Args:
        name: "here": in this process; "local": on this machine's cores; "tcp://…" or "tls://…": at a dask scheduler;
            "slurm:FILE.toml" and "kubernetes:FILE.toml", see `SlurmOptions` and `KubernetesOptions`.
        work: does one order.
        workers: how many, from 1; None: what the file says, or as many as there are cores.

    Raises:
        UnknownNameError: no executor is named so.
        RequestError: a package is missing, an option is wrong, or `workers` does not suit.

    Example:
        >>> executor("here", work=lambda order: ...).name
        'this process'
        >>> executor("locla", work=lambda order: ...)
        Traceback (most recent call last):
        sparsewire.errors.UnknownNameError: no executor is named 'locla'; did you mean 'local'? ...
    """
    if workers is not None and not 1 <= workers <= 10_000:
        raise RequestError(f"workers: found {workers}, expected 1 to 10,000")
    kind, colon, rest = name.partition(":")
    if name == "here":
        _refuse(workers if workers != 1 else None, "the executor 'here' is one process; name 'local' for more")
        return Here(work)
    if name not in ("local", "slurm", "kubernetes") and not (colon and kind in (*_FILES, *_SCHEMES)):
        raise UnknownNameError("executor", name, _KNOWN)
    if not rest and kind in _FILES:
        raise RequestError(f"executor: found {name!r}, expected {kind}:FILE.toml; the file says what a worker is given")
    _demand("distributed", name, kind)
    from sparsewire.lab.executors.cluster import Cluster

    if name == "local":
        return Cluster.local(workers, work)
    if kind in _SCHEMES:
        _refuse(workers, "a scheduler that others started has the workers that it has")
        return Cluster.at(name.removeprefix("insecure+"), work, insecure=kind.startswith("insecure+"))
    return _from_file(kind, Path(rest), work, workers)


_FILES = ("slurm", "kubernetes")
_SCHEMES = ("tcp", "tls", "insecure+tcp")


def _from_file(kind: str, path: Path, work: Work, workers: int | None) -> Executor:
    from sparsewire.lab.executors.cluster import Cluster

    if kind == "slurm":
        from sparsewire.lab.executors.slurm import SlurmOptions

        _demand("dask_jobqueue", kind, kind)
        return Cluster.slurm(read_options(path, SlurmOptions, jobs=workers), work)
    from sparsewire.lab.executors.kubernetes import KubernetesOptions

    _demand("dask_kubernetes", kind, kind)
    return Cluster.kubernetes(read_options(path, KubernetesOptions, workers=workers), work)


def read_options(path: Path, kind: type[O], **instead: int | None) -> O:
    """The options in a TOML file.

    Args:
        path: the file.
        kind: which options.
        instead: values that go before those of the file, where they are not None.

    Raises:
        RequestError: the file cannot be read, or a field is unknown, missing or wrong; the message names the nearest.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise RequestError(f"executor: cannot read {path}: {cause.strerror or cause}") from None
    except ValueError as cause:  # no TOML, or no UTF-8
        raise RequestError(f"executor: {path} is no TOML: {cause}") from None
    for name in fields:
        if name not in kind.model_fields:
            raise UnknownNameError(f"option of {path}", name, kind.model_fields)
    fields.update({name: value for name, value in instead.items() if value is not None})
    try:
        return kind.model_validate_json(json.dumps(fields, default=str))
    except ValidationError as cause:
        [fault, *_] = cause.errors()
        where = ".".join(map(str, fault["loc"]))
        found = "" if fault["type"] == "missing" else f", found {fault['input']!r}"
        raise RequestError(f"executor: {path}: {where}: {fault['msg']}{found}") from None


def _demand(package: str, name: str, kind: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise RequestError(
            f"executor: {name} needs the package {package.replace('_', '-')}: "
            f'pip install "sparsewire[{_EXTRAS.get(kind, "sweep")}]"'
        )


def _refuse(workers: int | None, why: str) -> None:
    if workers is not None:
        raise RequestError(f"workers: found {workers}, but {why}")

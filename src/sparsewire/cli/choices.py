"""What an argument may be: names that are completed and corrected, fractions, paths that can be written."""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from sparsewire.errors import FileError, RequestError, UnknownNameError
from sparsewire.files import no_file

if TYPE_CHECKING:
    Word = click.ParamType[str]
    Number = click.ParamType[float]
    Numbers = click.ParamType[tuple[int, ...]]
else:  # before click 8.5 it takes no parameter
    Word = Number = Numbers = click.ParamType

STORE = "sparsewire-runs"
SCALES = ("smoke", "desk", "full")
SCORES = ("magnitude", "random", "neuron_l1", "neuron_l2")
DATA_SCORES = ("obd", "gradient", "taylor", "taylor_signed", "snip", "grasp", "synflow", "fisher")
SCOPES = ("blind", "uniform", "uniform_amount", "distributed", "distributed_with_zeros", "erk")


# By kind of name: those that exist, but not on a command line, and why.
ELSEWHERE = {
    "score": (
        DATA_SCORES,
        "asks for the model and data, and a checkpoint has weights alone; call sparsewire.prune(model, …) in Python",
    )
}


class OneOf(Word):
    """One of a few names; another one is an error that offers the nearest, or says where it is one."""

    def __init__(self, kind: str, names: Callable[[], Iterable[str]]) -> None:
        self.name = kind
        self._names = names

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str | None:
        """The names, or the kind for an argument."""
        return None if isinstance(param, click.Argument) else "|".join(self._names())

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name itself."""
        names, (others, reason) = list(self._names()), ELSEWHERE.get(self.name, ((), ""))
        if value not in names and value in others:
            raise RequestError(f"--{self.name}: found {value!r}, which {reason}, or choose one of {', '.join(names)}")
        if value not in names:
            raise UnknownNameError(self.name, value, self._names())
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin so."""
        return [CompletionItem(name) for name in self._names() if name.startswith(incomplete)]


class Runnable(Word):
    """An experiment's name, or the path of a spec; which of them, and whether it exists, is seen when it is run."""

    name = "NAME|SPEC.toml"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The experiments and papers that begin so, and files."""
        return [*_experiments(incomplete), CompletionItem(incomplete, type="file")]


class ExperimentName(Word):
    """An experiment's or a paper's name."""

    name = "NAME"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The experiments and papers that begin so."""
        return _experiments(incomplete)


def _experiments(incomplete: str) -> list[CompletionItem]:
    from sparsewire.experiments import CATALOGUE

    papers = {name.split(".")[0]: CompletionItem(name.split(".")[0]) for name in CATALOGUE}
    known = papers | {name: CompletionItem(name, help=entry.title) for name, entry in CATALOGUE.items()}
    return [item for name, item in known.items() if name.startswith(incomplete)]


class Density(Number):
    """A fraction from 0 to 1."""

    name = "FRACTION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= 1:
            raise RequestError(
                f"--density: found {value!r}, expected a fraction from 0 to 1, such as 0.1 to keep a tenth"
            )
        return number


class Sizes(Numbers):
    """Neurons per layer, such as 784,100,10."""

    name = "N,N,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers."""
        parts = [part.strip() for part in str(value).split(",")]
        if len(parts) < 2 or not all(re.fullmatch(r"0*[1-9]\d{0,8}", part, re.ASCII) for part in parts):
            raise RequestError(
                f"--sizes: found {value!r}, expected at least two whole numbers of at least 1, inputs first, such as "
                "784,100,10"
            )
        return tuple(map(int, parts))


class Duration(Number):
    """A time such as 90s, 30m or 2h; a number alone is seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """In seconds."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|)", str(value).strip())
        if found is None or not 0 < float(found[1]) < 1e9:
            option = param.opts[0] if param is not None else "time"
            raise RequestError(f"{option}: found {value!r}, expected a time above 0, such as 90s, 30m, 2h or 1.5d")
        return float(found[1]) * {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}[found[2]]


def writable(path: Path, option: str) -> Path:
    """The path, where a file can be written there as far as can be seen; asked before hours of work are begun.

    Raises:
        FileError: it is a folder, a device or a pipe, lies below a file, or its folder cannot be written.
    """
    try:
        hindrance = no_file(path)
    except OSError as cause:
        raise FileError(f"{option}: cannot write {path}: {cause.strerror or cause}") from None
    if hindrance:
        raise FileError(f"{option}: {path} is {hindrance}; name a file")
    folder = Path(os.path.realpath(path)).parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise FileError(f"{option}: cannot write {path}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"{option}: cannot write {path}: the folder {folder} may not be written by this user")
    return path


def outputs(wanted: Mapping[str, Path | None], read: Path | None = None) -> None:
    """Asks of all files that a command writes whether they can be written, and whether each is a file of its own.

    Args:
        wanted: option → its file, None where it was not given.
        read: the file that the command reads, which must stay.

    Raises:
        RequestError: two of them are one file, or one is the file that is read.
        FileError: see `writable`.
    """
    taken = {} if read is None else {os.path.realpath(read): "the file that is read"}
    for option, path in wanted.items():
        if path is None:
            continue
        other = taken.setdefault(os.path.realpath(path), f"the file of {option}")
        if other != f"the file of {option}":
            raise RequestError(f"{option}: {path} is {other}; name another file")
        writable(path, option)

"""Specs as TOML files: read with what varies and how often each is repeated, and written."""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.spec import Spec
from sparsewire.lab.specs.fields import Place, Where, is_too_deep, shown
from sparsewire.lab.specs.sweep_tables import sweep_of
from sparsewire.lab.specs.sweeps import MOST, Sweep, expand
from sparsewire.lab.specs.toml_keys import line_of

_LARGEST_FILE = 1 << 20
# The parser takes a time that grows with the square of a key's dots.
_DEEP_KEY = re.compile(r"""(?:(?:"[^"\n]*"|'[^'\n]*'|(?<![\w-])[\w-]++)[ \t]*+\.[ \t]*+){50}""")


@dataclass(frozen=True)
class SpecFile:
    """What a spec's file says: the specs of one experiment, each once, and the seeds that each gets.

    Args:
        specs: in the order in which the sweep makes them; one where the file has no sweep.
        seeds: how many (0, 1, …), or which; `None` where the file does not say it.
    """

    specs: tuple[Spec, ...]
    seeds: tuple[int, ...] | int | None = None


def read_spec(path: str | os.PathLike[str], kinds: Mapping[str, type[Spec]]) -> SpecFile:
    r"""The specs that a TOML file describes.

    The file says `experiment = "NAME"`, if it likes `seeds = 3` or `seeds = [0, 5, 7]`, and the fields that differ from
    their defaults, either under `[spec]` or beside the name. What varies stands under `[sweep.grid]`, `[[sweep.list]]`
    and `[sweep.random]`; see `sparsewire.lab.specs.sweeps.expand` for the order.

    Args:
        path: the file.
        kinds: experiment's name → its class of spec.

    Raises:
        RequestError: the file cannot be read or is not TOML, or a name or a value in it is wrong; the message names the
            file, the line, the field, and for an unknown name the nearest one.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "demo.toml"
        >>> file.write_text('experiment = "demo"\nseeds = 3\n') and None
        >>> read_spec(file, {"demo": Spec})
        SpecFile(specs=(Spec(experiment='demo'),), seeds=3)
    """
    text, table = _content(Path(path))

    def place(where: Where) -> str:
        line = line_of(text, where)
        return str(path) if line is None else f"{path}, line {line}"

    kind = _kind(table, kinds, str(path), place)
    try:
        seeds = _seeds(table.pop("seeds", None))
    except RequestError as cause:
        raise RequestError(f"{place(('seeds',))}: {cause}") from None
    sweep = sweep_of(table.pop("sweep"), place) if "sweep" in table else Sweep()
    name = {"experiment": table.pop("experiment")}
    if "spec" not in table:
        return SpecFile(expand(name | table, sweep, kind, place, beside=("seeds", "sweep")), seeds)
    fields = _section(table, place)

    def under_spec(where: Where) -> str:
        return place(where if where[:1] == ("sweep",) else ("spec", *where))

    return SpecFile(expand(name | fields, sweep, kind, under_spec), seeds)


def _kind(table: Mapping[str, Any], kinds: Mapping[str, type[Spec]], path: str, place: Place) -> type[Spec]:
    """The class of specs of the experiment that a file names."""
    name = table.get("experiment")
    if not isinstance(name, str):
        known = ", ".join(sorted(kinds))
        raise RequestError(f'{path} names no experiment; begin it with experiment = "NAME". There are: {known}')
    if name not in kinds:
        raise RequestError(f"{place(('experiment',))}: {UnknownNameError('experiment', name[:60], kinds)}")
    return kinds[name]


def _section(table: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The fields under `[spec]`, beside which nothing else may stand."""
    fields = table["spec"]
    if not isinstance(fields, dict):
        raise RequestError(f"{place(('spec',))}: spec: found {shown(fields)}, expected a table, [spec]")
    for stray in table:
        if stray != "spec":
            found = UnknownNameError("entry beside [spec]", stray[:60], ("experiment", "seeds", "spec", "sweep"))
            raise RequestError(f"{place((stray,))}: {found}; fields of the spec go under [spec]")
    return fields


def _content(path: Path) -> tuple[str, dict[str, Any]]:
    """A TOML file's text and content, which holds nothing that JSON cannot say."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise RequestError(f"{path} is larger than 1 MB; that is no spec")
        text = path.read_text(encoding="utf-8")
        table = {} if (is_deep := bool(_DEEP_KEY.search(text))) else tomllib.loads(text)
        if is_deep or is_too_deep(table):
            raise RecursionError
        json.dumps(table)
    except OSError as cause:
        raise RequestError(f"cannot read the spec {path}: {cause.strerror or cause}") from None
    except UnicodeDecodeError as cause:
        raise RequestError(f"{path} is not TOML: byte {cause.start} is not UTF-8 text") from None
    except RecursionError:
        raise RequestError(f"{path} is nested too deeply; a spec needs two levels") from None
    except TypeError:
        raise RequestError(f"{path}: a spec has no dates and times; write them as text in quotes") from None
    except tomllib.TOMLDecodeError as cause:
        raise RequestError(f"{path} is not TOML: {cause}") from None
    except ValueError as cause:  # an integer of more than 4,300 digits
        raise RequestError(f"{path}: {cause}") from None
    return text, table


def _seeds(value: Any) -> tuple[int, ...] | int | None:
    if value is None or (type(value) is int and 1 <= value <= MOST):
        return value
    numbers = value if isinstance(value, list) else []
    if numbers and all(type(number) is int and -(2**63) <= number < 2**63 for number in numbers):
        if len(set(numbers)) < len(numbers):
            raise RequestError(f"seeds: found {shown(value)}, expected each seed once")
        return tuple(numbers)
    expected = f"a number of 1 or more (up to {MOST:,}), or a list of seeds such as [0, 5, 7]"
    raise RequestError(f"seeds: found {shown(value)}, expected {expected}")


def write_spec(what: Spec | SpecFile) -> str:
    """TOML text from which `read_spec` makes equal specs; it shows the defaults too.

    Several specs are written as a list: what all of them share under `[spec]`, the rest under `[[sweep.list]]`.

    Args:
        what: a spec, or specs of one experiment with their seeds.

    Raises:
        RequestError: a field is `None` and its default is not, for which TOML has no word; or there are no specs, or
            of several experiments.

    Example:
        >>> print(write_spec(SpecFile((Spec(experiment="demo"),), seeds=3)))
        experiment = "demo"
        seeds = 3
        <BLANKLINE>
        [spec]
        <BLANKLINE>
    """
    file = SpecFile((what,)) if isinstance(what, Spec) else what
    names = {spec.experiment for spec in file.specs}
    if len(names) != 1:
        raise RequestError(f"specs: found {', '.join(sorted(names)) or 'none'}, expected those of one experiment")
    lines = [f"experiment = {_toml(names.pop(), 'experiment')}"]
    lines += [] if file.seeds is None else [f"seeds = {_toml(file.seeds, 'seeds')}"]
    texts = [{name: _toml(value, name) for name, value in _said(spec) if name != "experiment"} for spec in file.specs]
    first, *others = texts
    shared = {name: text for name, text in first.items() if all(other.get(name) == text for other in others)}
    lines += ["", "[spec]", *_entries(shared)]
    for own in texts if others else ():
        lines += ["", "[[sweep.list]]", *_entries({name: own[name] for name in own if name not in shared})]
    return "\n".join([*lines, ""])


def _entries(texts: Mapping[str, str]) -> list[str]:
    return [f"{_key(name)} = {text}" for name, text in texts.items()]


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _toml(name, name)


def _said(part: BaseModel) -> list[tuple[str, Any]]:
    """The fields that a file must show: all but those that are `None` by default."""
    fields = type(part).model_fields
    return [(name, value) for name, value in part if value is not None or fields[name].default is not None]


def _toml(value: Any, where: str) -> str:
    if isinstance(value, bool | int | float | str):
        # JSON's texts, numbers and truth values are TOML's, but for DEL, which TOML wants escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml(item, where) for item in value)}]"
    if isinstance(value, Mapping | BaseModel):
        entries = _said(value) if isinstance(value, BaseModel) else value.items()
        inner = [f"{_key(key)} = {_toml(item, f'{where}.{key}')}" for key, item in entries]
        return f"{{ {', '.join(inner)} }}" if inner else "{}"
    raise RequestError(f"spec: field {where!r} holds {shown(value)}, which TOML cannot say")

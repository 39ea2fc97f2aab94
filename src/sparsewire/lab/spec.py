"""Specs: what is to be run, as a frozen value, as a TOML file, as one canonical text and as a short id."""

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sparsewire.errors import RequestError, UnknownNameError

_RESERVED = ("seeds", "spec")  # they have a meaning of their own in a spec's file
_LARGEST_FILE = 1 << 20


class Part(BaseModel):
    """A frozen group of fields inside a spec; texts are not read as numbers, unknown fields and NaN are refused.

    Example:
        >>> class Training(Part):
        ...     epochs: int = 5
        >>> Training(epochs=3)
        Training(epochs=3)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True, validate_default=True)


class Spec(Part):
    """What one run is: the experiment's name and its fields.

    Each subclass gives `experiment` its own name as the default. A field that is added later needs a default that means
    "as before", because the id of a run leaves defaults out; for the same reason a default is never changed. Fields
    are numbers, texts, truth values, tuples, mappings with texts as keys, and `Part`s.

    Example:
        >>> from typing import Literal
        >>> class Rebuild(Spec):
        ...     experiment: Literal["lightning.rebuild"] = "lightning.rebuild"
        ...     paths: int = 20
        >>> canonical(Rebuild()), canonical(Rebuild(paths=30))
        ('{"experiment":"lightning.rebuild"}', '{"experiment":"lightning.rebuild","paths":30}')
    """

    experiment: str

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        for name in _RESERVED:
            if name in cls.model_fields:
                raise TypeError(f"{cls.__name__}: a spec cannot have a field {name!r}, a spec's file uses that word")


@dataclass(frozen=True)
class SpecFile:
    """What a spec's file says: the spec, and how many seeds; `None` where the file does not say it."""

    spec: Spec
    seeds: int | None = None


def canonical(spec: Spec) -> str:
    """The one text that stands for a spec: JSON with sorted keys, the experiment's name, and what is not a default.

    Raises:
        RequestError: a field holds something that JSON cannot say in one way only, such as a set.
    """
    fields = {"experiment": spec.experiment, **spec.model_dump(exclude_defaults=True, warnings=False)}
    plain = {name: _plain(value, name) for name, value in fields.items()}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def run_id(spec: Spec) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the canonical text; equal specs have equal ids.

    Example:
        >>> run_id(Spec(experiment="demo"))
        'b32df87e9aae13e4'
    """
    return hashlib.sha256(canonical(spec).encode()).hexdigest()[:16]


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, float):
        return value + 0.0  # -0.0 equals 0.0, so it must not have another id
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(item, where) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(item, f"{where}.{key}") for key, item in value.items()}
    raise RequestError(
        f"spec: field {where!r} holds {type(value).__name__}, which has no single text; "
        "use numbers, texts, tuples, or mappings whose keys are texts"
    )


def read_spec(path: str | os.PathLike[str], kinds: Mapping[str, type[Spec]]) -> SpecFile:
    r"""The spec that a TOML file describes.

    The file says `experiment = "NAME"`, if it likes `seeds = 3`, and the fields that differ from their defaults, either
    under `[spec]` or beside the name.

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
        SpecFile(spec=Spec(experiment='demo'), seeds=3)
    """
    text, table = _table(Path(path))
    name = table.pop("experiment", None)
    if not isinstance(name, str):
        known = ", ".join(sorted(kinds))
        raise RequestError(f'{path} names no experiment; begin it with experiment = "NAME". There are: {known}')
    if name not in kinds:
        raise RequestError(f"{_place(path, text, ('experiment',))}: {UnknownNameError('experiment', name, kinds)}")
    seeds = table.pop("seeds", None)
    if seeds is not None and (type(seeds) is not int or seeds < 1):
        place = _place(path, text, ("seeds",))
        raise RequestError(f"{place}: seeds: found {_shown(seeds)}, expected a number of 1 or more")
    section, fields = (("spec",), table.pop("spec")) if "spec" in table else ((), table)
    if section and table:
        stray = next(iter(table))
        found = UnknownNameError("entry beside [spec]", stray, ("experiment", "seeds", "spec"))
        raise RequestError(f"{_place(path, text, (stray,))}: {found}; fields of the spec go under [spec]")
    if not isinstance(fields, dict):
        raise RequestError(f"{_place(path, text, section)}: spec: found {_shown(fields)}, expected a table, [spec]")
    try:
        # by way of JSON, because only there pydantic's strict mode takes an array for a tuple
        return SpecFile(kinds[name].model_validate_json(json.dumps({"experiment": name} | fields)), seeds)
    except ValidationError as cause:
        raise RequestError(_faults(cause, kinds[name], path, text, section)) from None


def _table(path: Path) -> tuple[str, dict[str, Any]]:
    """A TOML file's text and content, which holds nothing that JSON cannot say."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise RequestError(f"{path} is larger than 1 MB; that is no spec")
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
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


def _faults(
    cause: ValidationError, kind: type[Spec], path: str | os.PathLike[str], text: str, section: tuple[str, ...]
) -> str:
    """Every fault of a file on a line of its own, in our words."""
    faults = []
    for fault in cause.errors(include_url=False):
        where = tuple(str(part) for part in fault["loc"])
        field = ".".join(where) or "spec"
        if fault["type"] == "extra_forbidden":
            beside = ["seeds"] if section + where[:-1] == () else []
            found = str(UnknownNameError("field", where[-1], _fields(kind, where[:-1]) + beside))
        elif fault["type"] == "json_invalid":  # we made the JSON: only its depth can be wrong
            found = "it is nested too deeply; a spec needs two levels"
        elif fault["type"] == "missing":
            found = f"field {field!r} is missing; it has no default"
        else:
            expected = fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            found = f"field {field!r}: found {_shown(fault['input'])}, expected: {expected}"
        faults.append(f"{_place(path, text, section + where)}: {found}")
    return "\n".join(faults[:8])


def _fields(kind: type[BaseModel], where: tuple[str, ...]) -> list[str]:
    for part in where:
        inner = kind.model_fields[part].annotation if part in kind.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        kind = inner
    return [name for name in kind.model_fields if name != "experiment"]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _place(path: str | os.PathLike[str], text: str, where: tuple[str, ...]) -> str:
    """File and line of a key; tomllib keeps no lines, so the line is looked for, and left out where it is not found."""
    here: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+([^\[\]]+)\]", line):
            here = _keys(header[1])
            if here == where:
                return f"{path}, line {number}"
        elif entry := re.match(r"\s*([^=#]+?)\s*=", line):
            key = here + _keys(entry[1])
            if key == where[: len(key)] and len(key) > len(here):
                return f"{path}, line {number}"
    return str(path)


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(key.strip().strip("\"'") for key in dotted.split("."))


def write_spec(spec: Spec) -> str:
    """TOML text from which `read_spec` makes an equal spec; it shows the defaults too.

    Raises:
        RequestError: a field is `None` and its default is not; TOML has no word for that.

    Example:
        >>> print(write_spec(Spec(experiment="demo")))
        experiment = "demo"
        <BLANKLINE>
        [spec]
        <BLANKLINE>
    """
    lines = [f"{_toml(name, name)} = {_toml(value, name)}" for name, value in _said(spec) if name != "experiment"]
    return "\n".join([f"experiment = {_toml(spec.experiment, 'experiment')}", "", "[spec]", *lines, ""])


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
        inner = [f"{_toml(key, where)} = {_toml(item, f'{where}.{key}')}" for key, item in entries]
        return f"{{ {', '.join(inner)} }}" if inner else "{}"
    raise RequestError(f"spec: field {where!r} holds {_shown(value)}, which TOML cannot say")

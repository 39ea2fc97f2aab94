"""Fields set from the command line: `training.epochs=5` as an override, `lightnings=100,1000` as a grid."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sparsewire.errors import RequestError
from sparsewire.lab.spec import Spec
from sparsewire.lab.specs.fields import (
    DEEPEST,
    S,
    Where,
    annotation_at,
    dotted,
    filled,
    is_too_deep,
    overlap,
    put,
    reads_text,
    shown,
)
from sparsewire.lab.specs.sweeps import Path, Sweep, expand, once
from sparsewire.lab.specs.toml_keys import keys_before

_PIECE = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|.", re.DOTALL)


def override(what: S | type[S], texts: Sequence[str], option: str = "-s") -> S:
    """The spec with fields set as the texts say.

    The right side is a TOML value, as strict as in a file; a field of text also takes it without quotes.

    Args:
        what: a spec, or a class of specs, which stands for its defaults.
        texts: each FIELD=VALUE; a part's field has a dot, as in "training.epochs=5".
        option: what the message calls them.

    Raises:
        RequestError: a text has no FIELD=VALUE, a field is unknown or set twice, or a value is wrong; the message names
            the option's text, the field, what was found and expected, and for an unknown field the nearest one.

    Example:
        >>> override(Spec(experiment="demo"), [])
        Spec(experiment='demo')
    """
    kind = what if isinstance(what, type) else type(what)
    changes = {path: _value(right, kind, path) for path, right in _split(texts, option).items()}
    _refuse_experiment(changes, option)
    fields = put(_defaults(what) if isinstance(what, type) else _plain(what), changes.items())
    return filled(kind, fields, _placed(dict(zip(changes, texts, strict=True)), option))


def apply_overrides(specs: Iterable[S], texts: Sequence[str], option: str = "-s") -> tuple[S, ...]:
    """The specs, each with the fields set as the texts say, and each once.

    Raises:
        RequestError: as `override` does.
    """
    return once(override(spec, texts, option) for spec in specs)


def meant_for(kind: type[Spec], texts: Sequence[str], others: Sequence[type[Spec]]) -> tuple[str, ...]:
    """The texts that one of several experiments takes: whose field it has, or which none of the others has either.

    Args:
        kind: the class of its specs.
        texts: each FIELD=VALUE or FIELD=VALUE,VALUE,….
        others: the classes of the other experiments' specs.

    Example:
        >>> class Deep(Spec):
        ...     depth: int = 3
        >>> meant_for(Spec, ["depth=4", "width=5"], [Deep])
        ('width=5',)
    """

    def has(one: type[Spec], text: str) -> bool:
        split = keys_before(text, "=")
        return split is not None and split[0][0] in one.model_fields

    return tuple(text for text in texts if has(kind, text) or not any(has(other, text) for other in others))


def grid(texts: Sequence[str], kind: type[Spec], option: str = "-g") -> Sweep:
    """The grid that the texts describe.

    Args:
        texts: each FIELD=VALUE,VALUE,…; the first varies slowest.
        kind: the class of the specs, which says what is read as text.
        option: what the message calls them.

    Raises:
        RequestError: a text has no FIELD=VALUE, or a field is set twice. Fields and values are checked by `expand`.

    Example:
        >>> grid(["hidden=[30,20],[300,100]"], Spec).grid
        ((('hidden',), ([30, 20], [300, 100])),)
    """
    rights = _split(texts, option)
    _refuse_experiment(rights, option)
    found: list[tuple[Path, tuple[Any, ...]]] = []
    for (path, right), text in zip(rights.items(), texts, strict=True):
        values = [item.strip() for item in _items(right)]
        if not all(values):
            raise RequestError(f"{option} {shown(text)}: a value is empty; expected FIELD=VALUE,VALUE,…")
        found.append((path, tuple(_value(value, kind, path) for value in values)))
    return Sweep(grid=tuple(found))


def apply_grid(specs: Iterable[S], texts: Sequence[str], option: str = "-g") -> tuple[S, ...]:
    """The specs, each with every cell of the grid that the texts describe, and each once.

    Raises:
        RequestError: a text has no FIELD=VALUE, a field is unknown or set twice, a value is wrong, or there are more
            than 1,000,000 specs.
    """
    found: list[S] = []
    for spec in specs:
        sweep = grid(texts, type(spec), option)
        named = dict(zip((path for path, _ in sweep.grid), texts, strict=True))
        found += expand(_plain(spec), sweep, type(spec), _placed(named, option))
    return once(found)


def _split(texts: Sequence[str], option: str) -> dict[Path, str]:
    """The right side of each text, under the path of its field."""
    found: dict[Path, str] = {}
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise RequestError(f"{option} {shown(text)}: it is not UTF-8 text") from None
        if (split := keys_before(text, "=")) is None:
            raise RequestError(f"{option} {shown(text)}: expected FIELD=VALUE, such as {option} training.epochs=5")
        path, right = split
        if len(path) > DEEPEST:
            raise RequestError(f"{option} {shown(text)}: it is nested too deeply; a spec needs two levels")
        for other in found:
            if overlap(path, other):
                raise RequestError(f"{option} {shown(text)}: field {dotted(other)!r} is set before; once is enough")
        found[path] = right.strip()
    return found


def _value(right: str, kind: type[Spec], path: Path) -> Any:
    """What a text says for a field: a TOML value, or the text itself where the field takes texts or it is no value.

    What is no value is handed on as text, so that the message about it names what the field expects.
    """
    takes = reads_text(annotation_at(kind, path))
    try:
        table = tomllib.loads(f"value = {right}")
    except (ValueError, RecursionError):
        return right
    value = table.pop("value")
    is_value = not table and not is_too_deep(value) and not _holds_dates(value)
    return value if is_value and (takes != "only" or isinstance(value, str)) else right


def _holds_dates(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_holds_dates(inner) for inner in (value.values() if isinstance(value, dict) else value))
    return not isinstance(value, bool | int | float | str)


def _items(right: str) -> list[str]:
    """The pieces between commas that stand in no quotes and no brackets."""
    items, depth = [""], 0
    for piece in _PIECE.findall(right):
        depth += (piece in "[{") - (piece in "]}")
        if piece == "," and depth == 0:
            items.append("")
        else:
            items[-1] += piece
    return items


def _refuse_experiment(paths: Iterable[Path], option: str) -> None:
    if ("experiment",) in paths:
        raise RequestError(f"{option} experiment: an experiment's spec cannot become another's; run that one")


def _plain(spec: Spec) -> dict[str, Any]:
    return spec.model_dump(mode="json", warnings=False)


def _defaults(kind: type[Spec]) -> dict[str, Any]:
    """The fields that have a default, as plain values."""
    return _plain(kind.model_construct())


def _placed(texts: Mapping[Path, str], option: str) -> Callable[[Where], str]:
    """Places a fault in the text that set the field."""

    def place(where: Where) -> str:
        names = tuple(str(part) for part in where)
        names = names[2:] if names[:2] == ("sweep", "grid") else names
        found = next((text for path, text in texts.items() if names and overlap(path, names)), None)
        return option if found is None else f"{option} {shown(found)}"

    return place

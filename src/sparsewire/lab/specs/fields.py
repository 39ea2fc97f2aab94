"""The fields of a class of specs: found by their path, filled from plain values, and what is wrong with them."""

import enum
import json
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.spec import Spec

# Where something stands: the keys that lead to it, and numbers for elements of arrays.
Where = tuple[str | int, ...]
# How a message names a place, e.g. "my.toml, line 3".
Place = Callable[[Where], str]
S = TypeVar("S", bound=Spec)

DEEPEST = 50  # levels of tables and lists that a file may have
_MOST_FAULTS = 8


def filled(kind: type[S], fields: Mapping[str, Any], place: Place, beside: Sequence[str] = ()) -> S:
    """The spec with these fields; the others keep their defaults.

    Args:
        kind: its class.
        fields: name → plain value, as a file holds them: numbers, texts, truth values, lists, and mappings for parts.
        place: how a message names the place of a field.
        beside: words that may stand beside the fields, for the message about an unknown one.

    Raises:
        RequestError: a field is unknown, missing or wrong; every fault stands on a line of its own.

    Example:
        >>> filled(Spec, {"experiment": "demo"}, dotted)
        Spec(experiment='demo')
    """
    try:
        # by way of JSON, because only there pydantic's strict mode takes an array for a tuple
        return kind.model_validate_json(json.dumps(fields))
    except ValidationError as cause:
        raise RequestError(_faults(cause, kind, place, beside)) from None
    except (TypeError, ValueError, RecursionError) as cause:
        raise RequestError(f"{place(())}: a field holds what JSON cannot say: {cause}") from None


def dotted(where: Where) -> str:
    """A place without a file: its keys with dots between them.

    Example:
        >>> dotted(("sweep", "grid", "epochs"))
        'sweep.grid.epochs'
    """
    return ".".join(str(part) for part in where) or "spec"


def names_in(kind: type[BaseModel], path: Sequence[str]) -> list[str]:
    """The fields that there are in the part to which `path` leads; none where it leads to no part."""
    part = part_of(annotation_at(kind, path)) if path else kind
    return [name for name in part.model_fields if name != "experiment"] if part else []


def annotation_at(kind: type[BaseModel], path: Sequence[str]) -> Any:
    """The type of the field to which `path` leads, None where there is no such field."""
    here: Any = kind
    for name in path:
        part = part_of(here)
        if part is not None:
            if name not in part.model_fields:
                return None
            here = part.model_fields[name].annotation
        else:
            insides = [get_args(leaf) for leaf in _leaves(here)]
            here = next((inside[1] for inside in insides if len(inside) == 2 and inside[0] is str), None)
    return here


def part_of(annotation: Any) -> type[BaseModel] | None:
    """The one group of fields that a type stands for, also in `Part | None`; None for every other type."""
    parts = [leaf for leaf in _leaves(annotation) if isinstance(leaf, type) and get_origin(leaf) is None]
    groups = [part for part in parts if issubclass(part, BaseModel)]
    return groups[0] if len(groups) == 1 else None


def reads_text(annotation: Any) -> Literal["never", "also", "only"]:
    """Whether a field of this type takes texts: literals and enumerations of texts count as text, None as nothing.

    Example:
        >>> reads_text(int), reads_text(float | str), reads_text(Literal["a", "b"] | None)
        ('never', 'also', 'only')
    """
    texts = [leaf is str for leaf in _leaves(annotation) if leaf is not types.NoneType]
    if annotation is Any:
        return "also"
    return "never" if not any(texts) else "only" if all(texts) else "also"


def leaves_of(fields: Mapping[str, Any], kind: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every field that a mapping sets, as (path, value); a mapping is gone into only where a part is expected."""
    for name, value in fields.items():
        part = part_of(annotation_at(kind, (name,)))
        if part is not None and isinstance(value, Mapping):
            yield from (((name, *path), inner) for path, inner in leaves_of(value, part))
        else:
            yield (name,), value


def put(fields: Mapping[str, Any], changes: Iterable[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    """The same fields, but for those that change.

    Args:
        fields: as plain values.
        changes: (path, value) pairs; what is missing on the way to a field is made.

    Example:
        >>> put({"epochs": 5, "training": {"rate": 0.1}}, [(("training", "epochs"), 7)])
        {'epochs': 5, 'training': {'rate': 0.1, 'epochs': 7}}
    """
    found = _copied(fields)
    for path, value in changes:
        here = found
        for name in path[:-1]:
            if not isinstance(here.get(name), dict):
                here[name] = {}
            here = here[name]
        here[path[-1]] = _copied(value) if isinstance(value, Mapping) else value
    return found


def _copied(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copied(value) if isinstance(value, Mapping) else value for name, value in fields.items()}


def overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two paths lead to the same field, or one into the other."""
    shorter = min(len(one), len(other))
    return tuple(one[:shorter]) == tuple(other[:shorter])


def is_too_deep(value: Any) -> bool:
    """Whether lists and mappings lie in each other deeper than any spec needs; goes into no recursion itself."""
    level = [value]
    for _ in range(DEEPEST):
        groups = [inner.values() if isinstance(inner, Mapping) else inner for inner in level
                  if isinstance(inner, Mapping | list | tuple)]  # fmt: skip
        level = [inner for group in groups for inner in group]
        if not level:
            return False
    return True


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _leaves(annotation: Any) -> Iterator[Any]:
    """The types that a type is made of; literals and enumerations count as the types of their values."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _leaves(member)
    elif origin is Literal:
        yield from {type(value) for value in get_args(annotation)}
    elif isinstance(annotation, type) and origin is None and issubclass(annotation, enum.Enum):
        yield from {type(member.value) for member in annotation}
    else:
        yield annotation


def _faults(cause: ValidationError, kind: type[BaseModel], place: Place, beside: Sequence[str]) -> str:
    """Every fault on a line of its own, in our words."""
    faults = []
    for fault in cause.errors(include_url=False)[:_MOST_FAULTS]:
        where = tuple(str(part) for part in fault["loc"])
        field = ".".join(where) or "spec"
        if fault["type"] == "extra_forbidden":
            known = [*names_in(kind, where[:-1]), *(beside if len(where) == 1 else ())]
            found = str(UnknownNameError("field", where[-1][:60], known))
        elif fault["type"] == "json_invalid":  # we made the JSON: only its depth can be wrong
            found = "it is nested too deeply; a spec needs two levels"
        elif fault["type"] == "missing":
            found = f"field {field!r} is missing; it has no default"
        else:
            expected = fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            found = f"field {field!r}: found {shown(fault['input'])}, expected: {expected}"
        faults.append(f"{place(where)}: {found}")
    return "\n".join(faults)

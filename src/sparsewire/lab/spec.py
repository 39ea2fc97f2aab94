"""Specs: what is to be run, as a frozen value, as one canonical text and as a short id."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from sparsewire.errors import RequestError

_RESERVED = ("seeds", "spec", "sweep")  # they have a meaning of their own in a spec's file


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

"""Parcels: a trial that has ended, as a folder that travels: `trial.json` and beside it `artefacts/`.

    {"sha256":"…","trial":{…}}          the digest is that of the bytes after `"trial":`, without the last brace

Whoever reads one trusts nothing in it.
"""

import base64
import errno
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from sparsewire.errors import RequestError, StoreError
from sparsewire.lab.experiment import State
from sparsewire.lab.storage.curves import Packed, is_sound, packed
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.runs import Run, identity

LARGEST = 1 << 28  # bytes of trial.json: 25 million points
ARTEFACT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
NAME = re.compile(r"([0-9a-f]{16})-(-?(?:0|[1-9][0-9]{0,18}))(-failed)?\.trial")
_HEAD = b'{"sha256":"%s","trial":'
_BEGIN = len(_HEAD % (b"0" * 64))


class Parcel(NamedTuple):
    """What a parcel says."""

    run: Run
    seed: int
    ending: Ending
    metrics: dict[str, float]
    curves: dict[str, Packed]
    artefacts: dict[str, str]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1]
    run: str
    experiment: str
    spec: str
    fields: str
    seed: int
    state: State
    reason: str | None
    traceback: str | None
    seconds: float
    environment: dict[str, str]
    metrics: list[tuple[str, float]]
    curves: list[tuple[str, int, int, int, str | None, str]]  # name, then as in `Packed`, in base64
    artefacts: dict[str, str]


def parcel_name(run: str, seed: int, state: State) -> str:
    """The name of a parcel's folder; a failed attempt never stands in the way of one that succeeded."""
    return f"{run}-{seed}{'-failed' if state == 'failed' else ''}.trial"


def written(run: Run, seed: int, ending: Ending, content: Content, artefacts: Mapping[str, str]) -> bytes:
    """The bytes of `trial.json`.

    Raises:
        RequestError: the trial is larger than a parcel may be, or holds what cannot be kept.
    """
    curves = [(name, packed(points)) for name, points in content.series.items()]
    # + 0.0 turns -0.0 into 0.0, which SQLite does on its own in some places and not in others
    body = json.dumps(
        {
            "version": 1, **run._asdict(), "seed": seed, "state": ending.state, "reason": _text(ending.reason),
            "traceback": _text(ending.traceback), "seconds": float(ending.seconds) + 0.0,
            "environment": {_text(name): _text(value) for name, value in ending.environment.items()},
            "metrics": [(name, float(value) + 0.0) for name, value in content.metrics.items()],
            "curves": [
                (name, curve.length, curve.start, curve.stride, None if curve.steps is None else _letters(curve.steps),
                 _letters(curve.values))
                for name, curve in curves
            ],
            "artefacts": dict(artefacts),
        },
        separators=(",", ":"),
    ).encode()  # fmt: skip
    if len(body) > LARGEST - 100:
        raise RequestError(
            f"run {run.run}, seed {seed}: {len(body):,} bytes of numbers, at most {LARGEST:,} can be kept; record less"
        )
    try:
        _parsed(body)
    except StoreError as cause:
        raise RequestError(f"run {run.run}, seed {seed} cannot be kept: {cause}") from None
    return _HEAD % hashlib.sha256(body).hexdigest().encode() + body + b"}"


def _text(text: str | None) -> str | None:
    """Text as SQLite takes it: a file's name that is not UTF-8 may stand in an error's message."""
    return None if text is None else text.encode("utf-8", "replace").decode()


def _letters(data: bytes) -> str:
    return base64.b64encode(data).decode()


def parsed(data: bytes) -> Parcel:
    """What the bytes of a `trial.json` say.

    Raises:
        StoreError: they are torn, were changed, or say what no trial can be.
    """
    body = data[_BEGIN:-1]
    if data != _HEAD % hashlib.sha256(body).hexdigest().encode() + body + b"}":
        raise StoreError("its trial.json is torn, or was changed after it was written")
    return _parsed(body)


def _parsed(body: bytes) -> Parcel:
    try:
        form = _Form.model_validate_json(body)
        curves = {
            name: Packed(length, start, stride, None if steps is None else _bytes(steps), _bytes(values))
            for name, length, start, stride, steps, values in form.curves
        }
    except ValidationError as cause:
        fault = cause.errors(include_url=False)[0]
        raise StoreError(f"its trial.json: {'.'.join(map(str, fault['loc']))}: {fault['msg']}"[:300]) from None
    except (ValueError, RecursionError) as cause:
        raise StoreError(f"its trial.json: {cause}"[:300]) from None
    if wrong := _fault(form, curves):
        raise StoreError(f"its trial.json: {wrong}")
    ending = Ending(form.state, form.reason, form.traceback, form.seconds, form.environment)
    run = Run(form.run, form.experiment, form.spec, form.fields)
    return Parcel(run, form.seed, ending, dict(form.metrics), curves, form.artefacts)


def _bytes(letters: str) -> bytes:
    return base64.b64decode(letters, validate=True)


def _fault(form: _Form, curves: Mapping[str, Packed]) -> str:
    """What no trial can be; "" where all is well."""
    names = [name for name, _ in form.metrics] + [name for name, *_ in form.curves]
    if identity(form.spec) != (form.run, form.experiment):
        return "its spec is not the one that its run and experiment name"
    if not _is_flat(form.fields):
        return "its fields are no JSON object of plain values"
    if not -(2**63) <= form.seed < 2**63:
        return "its seed does not fit into 64 bits"
    if len(dict(form.metrics)) != len(form.metrics) or len(curves) != len(form.curves):
        return "a name stands there twice"
    if math.isnan(form.seconds) or any(map(_is_minus_zero, (form.seconds, *(value for _, value in form.metrics)))):
        return "a number is one that the store could not give back: -0.0, or seconds that are none"
    if not all(name and name.isprintable() for name in names):
        return "a name is empty or cannot be printed"
    if not all(is_sound(curve) for curve in curves.values()):
        return "a curve's length does not agree with its count of points"
    if not all(ARTEFACT.fullmatch(name) and re.fullmatch("[0-9a-f]{64}", sha) for name, sha in form.artefacts.items()):
        return "an artefact's name or digest is none"
    if form.state == "failed" and form.artefacts:
        return "a failed trial keeps no artefacts"
    return ""


def _is_flat(text: str) -> bool:
    try:
        fields = json.loads(text, parse_constant=_no_constant)
        json.dumps(fields, ensure_ascii=False).encode()  # half of a character pair is no text for SQLite
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and not any(isinstance(value, dict) for value in fields.values())


def _is_minus_zero(number: float) -> bool:
    return number == 0 and math.copysign(1.0, number) < 0


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON, and SQLite would refuse it")


def read_parcel(parcel: Path, home: Path) -> Parcel:
    """What a parcel says, if it is whole: all its artefacts are there, and are what its digests say.

    Args:
        parcel: its folder.
        home: the folder of the store's artefacts, to which a killed writer may have moved those of the parcel.

    Raises:
        StoreError: it is torn, foreign or was changed.
        OSError: it cannot be read now.
    """
    name = NAME.fullmatch(parcel.name)
    if name is None or not stat.S_ISDIR(parcel.lstat().st_mode):
        raise StoreError("it is no parcel of ours")
    if strangers := {entry.name for entry in parcel.iterdir()} - {"trial.json", "artefacts"}:
        raise StoreError(f"it holds {sorted(strangers)[0]!r}, which is no part of a trial")
    found = parsed(read_plain(parcel / "trial.json", LARGEST))
    if parcel.name != parcel_name(found.run.run, found.seed, found.ending.state):
        raise StoreError(f"its trial.json is that of {parcel_name(found.run.run, found.seed, found.ending.state)}")
    place = parcel / "artefacts" if os.path.lexists(parcel / "artefacts") else home / found.run.run / str(found.seed)
    if found.artefacts or place.parent == parcel:
        _compare(place, found.artefacts)
    return found


def _compare(place: Path, artefacts: Mapping[str, str]) -> None:
    """Raises unless a folder holds these artefacts and nothing else."""
    if not place.is_dir() or place.is_symlink():
        raise StoreError("its artefacts are missing")
    if {entry.name for entry in place.iterdir()} != {f"{name}.safetensors" for name in artefacts}:
        raise StoreError("its artefacts are others than its trial.json names")
    for name, sha in artefacts.items():
        if _sha256(place / f"{name}.safetensors") != sha:
            raise StoreError(f"its artefact {name!r} is not what was kept: its SHA-256 has changed")


def _sha256(path: Path) -> str:
    with os.fdopen(_opened(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_plain(path: Path, largest: int) -> bytes:
    """The content of a plain file, which is no link and no larger than `largest` bytes.

    Raises:
        StoreError: it is none.
        OSError: it cannot be read.
    """
    with os.fdopen(_opened(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest:
            raise StoreError(f"its {path.name} is larger than {largest:,} bytes")
        return file.read(size)


def _opened(path: Path) -> int:
    """A handle to a plain file; a link is not followed, a pipe is not waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise StoreError(f"its {path.name} is missing") from None
    except OSError as cause:
        if cause.errno in (errno.ELOOP, errno.ENXIO):
            raise StoreError(f"its {path.name} is no plain file") from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise StoreError(f"its {path.name} is no plain file")
    return handle


def facts(parcel: Parcel) -> dict[str, Any]:
    """A parcel as keyword arguments of `rows.insert`."""
    return {
        "run": parcel.run.run, "seed": parcel.seed, "ending": parcel.ending, "metrics": parcel.metrics,
        "curves": parcel.curves, "artefacts": parcel.artefacts,
    }  # fmt: skip

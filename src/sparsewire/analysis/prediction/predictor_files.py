"""A predictor in a file: safetensors for its numbers, a line of JSON for its names, with a checksum."""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.prediction.held_out import Scaling
from sparsewire.analysis.prediction.learnt_models import stored_model
from sparsewire.analysis.prediction.predictors import Predictor
from sparsewire.analysis.prediction.r2_scores import R2
from sparsewire.analysis.prediction.stored_parts import checked_part
from sparsewire.errors import FileError, RequestError
from sparsewire.structure.sealed_arrays import read_arrays, sealed_text, write_sealed

FORMAT, VERSION = "sparsewire-predictor", 1
_HEADER_CAP = 1 << 20  # bytes
_MODEL = "model."


def write_predictor(predictor: Predictor, path: str | os.PathLike[str]) -> None:
    """Writes a predictor; a whole file or none.

    Raises:
        FileError: the file cannot be written.
    """
    parts = {
        "lowest": predictor.scaling.lowest,
        "highest": predictor.scaling.highest,
        "floor": np.array([predictor.floor]),
        "misses": predictor.misses,
        "r2": np.array(predictor.r2),
        **{_MODEL + name: part for name, part in predictor.model.arrays().items()},
    }
    parts = {name: np.ascontiguousarray(part) for name, part in parts.items()}
    about = json.dumps({"regressor": predictor.regressor, "features": predictor.names, "notes": dict(predictor.notes)})
    write_sealed(path, parts, f"{FORMAT}-{VERSION}", ("about", about), _HEADER_CAP, FileError)


def read_predictor(path: str | os.PathLike[str]) -> Predictor:
    """Reads what `write_predictor` wrote; every changed byte is noticed, and what was made by hand must fit together.

    Raises:
        FileError: there is no such file, it is no predictor, of a newer format, or was changed.
    """
    name = os.fspath(path)
    metadata, parts = read_arrays(path, "a predictor", _HEADER_CAP, FileError)
    _check_format(name, metadata.get("format"))
    about = sealed_text(path, metadata, parts, "about", FileError)
    try:
        return _put_together(json.loads(about), parts)
    except (ValueError, RecursionError) as cause:  # a RequestError is a ValueError
        raise FileError(f"{name} holds no predictor: {cause}") from cause


def _check_format(name: str, found: str | None) -> None:
    kind, _, version = (found or "").rpartition("-")
    if kind != FORMAT or not version.isdecimal():
        raise FileError(
            f"{name} holds no predictor: its format is {found or 'not stated'!r}, expected '{FORMAT}-{VERSION}'; save "
            "one with Predictor.save"
        )
    if int(version) != VERSION:
        raise FileError(
            f"{name} is a predictor of format {version[:20]}, expected {VERSION}, which this sparsewire reads; install "
            "a newer one"
        )


def _put_together(about: Any, parts: Mapping[str, NDArray[Any]]) -> Predictor:
    names = about.get("features") if isinstance(about, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(one, str) and one for one in names):
        raise RequestError("its features have no names")
    if len(set(names)) != len(names):
        raise RequestError("two of its features have the same name")
    lowest, highest = (checked_part("predictor", parts, end, (len(names),)) for end in ("lowest", "highest"))
    misses, floor = (checked_part("predictor", parts, name, (None,)) for name in ("misses", "floor"))
    r2 = checked_part("predictor", parts, "r2", (3,))
    in_order = len(misses) and misses[0] >= 0 and np.all(np.diff(misses) >= 0)
    if not (np.all(lowest <= highest) and in_order and len(floor) == 1 and floor[0] > 0):
        raise RequestError("its ranges or its misses are not in order")
    arrays = {name.removeprefix(_MODEL): part for name, part in parts.items() if name.startswith(_MODEL)}
    model = stored_model(str(about.get("regressor")), arrays, len(names))
    return Predictor(
        regressor=about["regressor"],
        names=tuple(names),
        scaling=Scaling(lowest, highest),
        model=model,
        floor=float(floor[0]),
        misses=misses,
        r2=R2(*map(float, r2)),
        notes=about.get("notes") or {},
    )

"""A predictor in a file: safetensors for its numbers, a line of JSON for its names, with a checksum."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsewire.analysis.prediction.held_out import Scaling
from sparsewire.analysis.prediction.learnt_models import stored_model
from sparsewire.analysis.prediction.predictors import Predictor
from sparsewire.analysis.prediction.r2_scores import R2
from sparsewire.analysis.prediction.stored_parts import checked_part
from sparsewire.errors import FileError, RequestError
from sparsewire.files import check_header, write_aside
from sparsewire.structure.mask_files import digest

FORMAT, VERSION = "sparsewire-predictor", 1
_HEADER_CAP = 1 << 20  # bytes
_MODEL = "model."


def write_predictor(predictor: Predictor, path: str | os.PathLike[str]) -> None:
    """Writes a predictor; a whole file or none.

    Raises:
        FileError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

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
    metadata = {"format": f"{FORMAT}-{VERSION}", "about": about, "sha256": digest(parts, about)}

    def write(aside: Path) -> None:
        try:
            save_file(parts, aside, metadata)
            check_header(aside, _HEADER_CAP)  # what could not be read again is not kept
        except SafetensorError as cause:  # safetensors does not let the system's own error through
            raise OSError(str(cause)) from cause

    write_aside(path, write, FileError)


def read_predictor(path: str | os.PathLike[str]) -> Predictor:
    """Reads what `write_predictor` wrote; every changed byte is noticed, and what was made by hand must fit together.

    Raises:
        FileError: there is no such file, it is no predictor, of a newer format, or was changed.
    """
    from safetensors import SafetensorError, safe_open

    name = os.fspath(path)
    try:
        check_header(Path(path), _HEADER_CAP)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            parts = {part: file.get_tensor(part) for part in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise FileError(f"no predictor at {name}: there is no such file") from None
    except (OSError, SafetensorError, ValueError, TypeError) as cause:
        raise FileError(f"cannot read a predictor from {name}: {cause}") from cause
    _check_format(name, metadata.get("format"))
    about = metadata.get("about", "")
    if metadata.get("sha256") != digest(parts, about):
        raise FileError(f"{name} was changed or cut after it was written: its checksum is wrong")
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

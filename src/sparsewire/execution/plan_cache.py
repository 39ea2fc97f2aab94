"""Measured times kept on this machine: one JSON file for each machine, number of threads and build."""

import hashlib
import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from sparsewire.errors import FileError
from sparsewire.execution.machine import Facts
from sparsewire.execution.measuring import Timing
from sparsewire.execution.sealed_json import sealed, unsealed
from sparsewire.files import write_aside

VARIABLE = "SPARSEWIRE_CACHE"
FORMAT = "sparsewire-timings-1"
_KEYS = {"format", "machine", "timings"}
_CAP = 16 << 20  # bytes
Timings = dict[str, Timing]


def cache_file(machine: Facts) -> Path:
    """Where the times measured on such a machine are kept: in the folder that SPARSEWIRE_CACHE names, or the user's.

    Example:
        >>> cache_file({"processor": "abacus"}).name
        'timings-af8d798ae16a5db1.json'
    """
    folder = Path(os.environ.get(VARIABLE) or platformdirs.user_cache_path("sparsewire"))
    return folder / f"timings-{hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()[:16]}.json"


def read_timings(path: Path, machine: Facts) -> Timings:
    """The times in a file; none if there is no such file, and none, with a warning, if it is damaged or foreign."""
    try:
        with path.open("rb") as file:
            content = file.read(_CAP)  # a larger one is cut, and so is no JSON
        text = unsealed(content)
        found = json.loads((content if text is None else text).decode())
        if found["format"] != FORMAT or found["machine"] != machine or found.keys() != _KEYS:
            raise ValueError("it holds something else")
        return {str(key): _timing(key, numbers) for key, numbers in found["timings"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
        warnings.warn(
            f"{path} cannot be used ({cause}): layers are measured anew, and the file is written anew",
            RuntimeWarning,
            stacklevel=2,
        )
        return {}


def add_timings(path: Path, machine: Facts, timings: Mapping[str, Timing]) -> None:
    """Adds times to those in the file, whole or not at all; a file that cannot be written is a warning.

    Who writes at the same moment replaces the whole file too: what one of the two added is then measured once more.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it was said when the file was read
        known = read_timings(path, machine)
    whole = {key: [one.batch, one.dense, one.sparse, one.ratio] for key, one in sorted({**known, **timings}.items())}
    content = sealed(json.dumps({"format": FORMAT, "machine": machine, "timings": whole}, indent=1))

    def write(aside: Path) -> None:
        aside.write_bytes(content)

    try:
        write_aside(path, write, FileError)
    except FileError as cause:
        warnings.warn(f"measured times are not kept: {cause}", RuntimeWarning, stacklevel=2)


def _timing(key: str, numbers: object) -> Timing:
    if not isinstance(numbers, list) or len(numbers) != 4 or not all(type(part) in (int, float) for part in numbers):
        raise ValueError(f"{key!r} is not four numbers")
    batch, *times = numbers
    if not (type(batch) is int and batch > 0 and all(math.isfinite(part) and part > 0 for part in times)):
        raise ValueError(f"{key!r} holds numbers that no measurement gives")
    return Timing(batch, *map(float, times))

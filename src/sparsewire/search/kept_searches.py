"""A search in a file: how it goes about and where it stands; whole or not there."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

from sparsewire.errors import CheckpointError, RequestError
from sparsewire.files import write_aside
from sparsewire.search.settings import Settings
from sparsewire.search.spaces import Space
from sparsewire.search.state_texts import state_from_text, state_text
from sparsewire.search.states import State

G = TypeVar("G")

KIND: Final = "sparsewire search"
_MOST_BYTES = 1 << 30


def keep(path: str | os.PathLike[str], space: Space[G], settings: Settings, state: State[G]) -> None:
    """Writes the search; two lines of JSON, the settings and the state.

    Raises:
        CheckpointError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> from sparsewire.search.evolution import begin
        >>> from sparsewire.search.spaces import genomes
        >>> path, settings = Path(tempfile.mkdtemp()) / "search.json", Settings(population=4)
        >>> state = begin(genomes(), settings, seed=0)
        >>> keep(path, genomes(), settings, state)
        >>> kept(path, genomes(), settings, seed=0) == state
        True
    """
    head = json.dumps({"kind": KIND, "settings": asdict(settings)})
    text = f"{head}\n{state_text(space, state)}\n"
    write_aside(path, lambda aside: _write(aside, text), CheckpointError)


def kept(path: str | os.PathLike[str], space: Space[G], settings: Settings, seed: int) -> State[G] | None:
    """Where the search in the file stands; None where there is no file.

    Raises:
        CheckpointError: the file cannot be read, or is no such file.
        RequestError: it is of a search with other settings or another seed, or the path is none.
    """
    if not isinstance(path, str | os.PathLike):
        raise RequestError(f"checkpoints: found {path!r:.60}, expected the path of a file")
    place = Path(path)
    if not place.exists():
        return None
    head, text = _lines(place)
    _check_same(place, head, asdict(settings))
    try:
        state = state_from_text(space, text)
    except RequestError as cause:
        raise CheckpointError(f"{place}: {cause}; remove it to begin anew") from None
    if state.seed != seed:
        raise RequestError(f"checkpoints: {place} is of the seed {state.seed}, found {seed}; name another file")
    return state


def _lines(place: Path) -> tuple[dict[str, Any], str]:
    try:
        if not place.is_file() or place.stat().st_size > _MOST_BYTES:
            raise CheckpointError(f"{place}: is no regular file, or larger than {_MOST_BYTES:,} bytes")
        first, _, rest = place.read_text(encoding="utf-8").partition("\n")
        head = json.loads(first)
    except (OSError, ValueError, RecursionError) as cause:
        raise CheckpointError(f"{place}: cannot be read as a search: {cause}; remove it to begin anew") from None
    if not isinstance(head, dict) or head.get("kind") != KIND or not isinstance(head.get("settings"), dict):
        raise CheckpointError(f"{place}: is no search that was kept; name another file")
    return head["settings"], rest


def _check_same(place: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    """Through JSON, so that tuples equal lists."""
    for name, value in json.loads(json.dumps(here)).items():
        if name not in there or there[name] != value:
            raise RequestError(
                f"checkpoints: {place} is of a search with {name}={there.get(name)!r}, found {value!r}; name another "
                "file, or ask for the same"
            )


def _write(aside: Path, text: str) -> None:
    aside.write_text(text, encoding="utf-8")

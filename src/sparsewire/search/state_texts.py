"""A search's state as one line of JSON, and back: to keep it, to move it, to look into it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar, get_args

from sparsewire.errors import RequestError
from sparsewire.search.settings import Direction
from sparsewire.search.spaces import Space
from sparsewire.search.states import OPERATORS, OUTCOMES, Candidate, State
from sparsewire.structure.blocks import whole

G = TypeVar("G")

FORMAT: Final = 1
_COUNTS = ("seed", "generation", "duplicates", "idle")
_PARTS = {field.name for field in fields(Candidate)}


def state_text(space: Space[G], state: State[G]) -> str:
    """The state as one line of JSON; numbers come back to the last bit.

    Raises:
        RequestError: `Space.to_text` gives no text.

    Example:
        >>> from sparsewire.search.evolution import begin
        >>> from sparsewire.search.settings import Settings
        >>> from sparsewire.search.spaces import genomes
        >>> state = begin(genomes(), Settings(population=4), seed=0)
        >>> state_from_text(genomes(), state_text(genomes(), state)) == state
        True
    """
    told = {name: getattr(state, name) for name in _COUNTS}
    told |= {"objectives": state.objectives, "living": state.living, "new": state.new, "finished": state.finished}
    history = [{**vars(one), "genome": _text(space, one.genome)} for one in state.history]
    return json.dumps({"format": FORMAT, **told, "history": history}, allow_nan=False)


def state_from_text(space: Space[G], text: str) -> State[G]:
    """The state that `state_text` wrote. Nothing in the text is run.

    Raises:
        RequestError: it is none, of another format, or does not hold together: a genome with another's key, somebody
            alive who is not in the history.

    Example:
        >>> from sparsewire.search.spaces import genomes
        >>> state_from_text(genomes(), "{}")
        Traceback (most recent call last):
        sparsewire.errors.RequestError: text: found the format None, expected 1, as state_text writes it
    """
    try:
        read = json.loads(text)
    except (TypeError, ValueError, RecursionError) as cause:
        raise RequestError(f"text: is no JSON: {cause}; expected a line that state_text wrote") from None
    if not isinstance(read, dict) or read.get("format") != FORMAT:
        found = read.get("format") if isinstance(read, dict) else type(read).__name__
        raise RequestError(f"text: found the format {found}, expected {FORMAT}, as state_text writes it")
    objectives = _names(read, "objectives", get_args(Direction))
    if not objectives:
        raise RequestError("text: objectives: found none, expected at least one")
    history = tuple(_candidate(space, place, one, len(objectives)) for place, one in enumerate(_list(read, "history")))
    keys = {candidate.key for candidate in history}
    if len(keys) < len(history):
        raise RequestError("text: history: found a candidate twice, expected each once")
    return State(
        **{name: whole(f"text: {name}", read.get(name), least=0) for name in _COUNTS},
        objectives=objectives,
        history=history,
        living=_names(read, "living", keys),
        new=_names(read, "new", keys),
        finished=read.get("finished") is True,
    )


def _text(space: Space[G], genome: G) -> str:
    text = space.to_text(genome)
    if not isinstance(text, str):
        raise RequestError(f"to_text: gave {text!r:.60} for a genome, expected a text")
    return text


def _candidate(space: Space[G], place: int, one: Any, objectives: int) -> Candidate[G]:
    here = f"text: history[{place}]"
    if not isinstance(one, dict) or set(one) != _PARTS or not isinstance(one["genome"], str):
        raise RequestError(f"{here}: found {str(one)[:60]!r}, expected {', '.join(sorted(_PARTS))}")
    if one["operator"] not in OPERATORS or one["outcome"] not in OUTCOMES:
        raise RequestError(f"{here}: found {one['operator']!r}, {one['outcome']!r}, expected an operator, an outcome")
    try:
        genome = space.from_text(one["genome"])
    except Exception as cause:  # noqa: BLE001 - any space's own, of a text that anybody may have changed
        raise RequestError(
            f"{here}: its genome cannot be read ({cause!s:.100}); the text was changed, or is of another space"
        ) from None
    if space.key(genome) != one["key"]:
        raise RequestError(f"{here}: its key is not that of its genome; the text was changed, or is of another space")
    found: Candidate[G] = Candidate(
        key=one["key"],
        genome=genome,
        generation=whole(f"{here}: generation", one["generation"], least=0),
        operator=one["operator"],
        parents=tuple(str(key) for key in _list(one, "parents")),
        outcome=one["outcome"],
        values=_numbers(f"{here}: values", one["values"], objectives),
        predictions=_numbers(f"{here}: predictions", one["predictions"], objectives),
    )
    if (found.values is None) == found.tried or (found.outcome == "foretold" and found.predictions is None):
        raise RequestError(f"{here}: is {found.outcome}, but its numbers do not say so")
    return found


def _numbers(here: str, found: Any, count: int) -> tuple[float, ...] | None:
    if found is None:
        return None
    if not isinstance(found, list) or len(found) != count or not all(_is_number(number) for number in found):
        raise RequestError(f"{here}: found {str(found)[:60]}, expected {count} finite numbers or null")
    return tuple(float(number) for number in found)


def _is_number(found: Any) -> bool:
    if isinstance(found, int) and not isinstance(found, bool):
        return abs(found) < 2**1023  # beyond, it is no float
    return isinstance(found, float) and math.isfinite(found)


def _list(read: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = read.get(name)
    if not isinstance(found, list):
        raise RequestError(f"text: {name}: found {str(found)[:60]!r}, expected a list")
    return found


def _names(read: Mapping[str, Any], name: str, known: Any) -> tuple[Any, ...]:
    found = _list(read, name)
    for one in found:
        if not isinstance(one, str) or one not in known:
            raise RequestError(f"text: {name}: found {str(one)[:60]!r}, which nothing here is named")
    return tuple(found)

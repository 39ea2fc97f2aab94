"""The manifest of a checkpoint: which file belongs to it, how it must look, and the facts of the training."""

import json
from collections.abc import Mapping
from typing import Any

from sparsewire.errors import CheckpointError
from sparsewire.execution.sealed_json import sealed, unsealed
from sparsewire.lab.checkpointing.tensor_files import Damage, Part, check_text, parsed

FORMAT = "sparsewire-checkpoint-1"
MANIFEST_CAP = 32 << 20  # bytes
_FAMILY = "sparsewire-checkpoint-"


def manifest(number: int, part: Part, facts: Mapping[str, Any]) -> bytes:
    """The manifest of checkpoint `number`; JSON, in which NaN and infinity may stand.

    Args:
        number: 1 or more.
        part: of its tensors' file.
        facts: numbers, texts, truth values, None, lists and dictionaries of these with texts as keys.

    Raises:
        CheckpointError: the facts are something else, or too many.

    Example:
        >>> read_manifest(manifest(3, Part(8, "0" * 64), {"loss": float("inf")}), 3)[1]
        {'loss': inf}
    """
    whole = {
        "format": FORMAT,
        "number": number,
        "parts": {f"{number}.safetensors": {"size": part.size, "sha256": part.sha256}},
        "facts": dict(facts),
    }
    try:
        _check(facts, "facts")
        content = sealed(json.dumps(whole))
        check_text(content)
        if len(content) > MANIFEST_CAP:
            raise Damage(f"its manifest has {len(content):,} bytes, more than the {MANIFEST_CAP:,} that are read")
    except (Damage, ValueError, RecursionError) as cause:
        raise CheckpointError(f"checkpoint: the facts cannot be kept ({cause}); keep numbers in tensors") from cause
    return content


def read_manifest(content: bytes, number: int) -> tuple[Part, dict[str, Any]]:
    """What the manifest of checkpoint `number` says of its tensors' file, and the facts. No name in it is ever used.

    Raises:
        Damage: it is not what was written, or the manifest of another checkpoint.
        CheckpointError: a newer version wrote it.
    """
    if len(content) > MANIFEST_CAP:
        raise Damage(f"it has more than {MANIFEST_CAP:,} bytes")
    try:
        text = unsealed(content)
    except ValueError as cause:
        raise Damage(str(cause)) from cause
    if text is None:
        raise Damage("it does not begin with a checksum, so it is cut, changed or no manifest")
    whole = parsed(text)
    written = whole.get("format")
    if written != FORMAT and isinstance(written, str) and written.startswith(_FAMILY):
        raise CheckpointError(f"its format is {written[:60]!r}, expected {FORMAT!r}; update sparsewire")
    match whole:
        case {
            "format": "sparsewire-checkpoint-1",
            "number": int(stated),
            "parts": {**parts},
            "facts": dict(facts),
        } if stated == number and parts.keys() == {f"{number}.safetensors"}:
            match parts[f"{number}.safetensors"]:
                case {"size": int(size), "sha256": str(sha256)}:
                    return Part(size, sha256), facts
    raise Damage(f"it is not the manifest of checkpoint {number}")


def _check(tree: Any, name: str) -> None:
    """Refuses what JSON would say in other words: keys that are no texts, tensors, sets."""
    if tree is None or isinstance(tree, bool | int | float | str):
        return
    if isinstance(tree, list | tuple):
        for item in tree:
            _check(item, name)
        return
    if not isinstance(tree, Mapping):
        raise CheckpointError(
            f"checkpoint: {name} holds {type(tree).__name__}, expected numbers, texts, lists and dictionaries"
        )
    for key, item in tree.items():
        if not isinstance(key, str):
            raise CheckpointError(f"checkpoint: {name} has the key {key!r}, expected a text")
        _check(item, f"{name}/{key}")

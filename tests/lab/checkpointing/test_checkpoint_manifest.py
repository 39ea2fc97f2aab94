"""The manifest: facts come back exactly; changed, swapped and forged ones are refused."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import CheckpointError
from sparsewire.execution.sealed_json import sealed
from sparsewire.lab.checkpointing.checkpoint_manifest import manifest, read_manifest
from sparsewire.lab.checkpointing.tensor_files import Damage, Part

PART = Part(8, "ab" * 32)
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
trees = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


@settings(deadline=None)
@given(st.dictionaries(st.text(st.characters()), trees, max_size=5), st.integers(1, 10**17))
def test_facts_come_back_exactly(facts: dict[str, Any], number: int) -> None:
    part, found = read_manifest(manifest(number, PART, facts), number)
    assert part == PART
    assert repr(found) == repr(facts)  # tells -0.0 and NaN, which == does not


def test_floats_keep_their_bits_and_tuples_become_lists() -> None:
    facts = {"a": (5e-324, 0.1 + 0.2, -0.0, math.inf), "b": math.nan}
    _, found = read_manifest(manifest(1, PART, facts), 1)
    assert [number.hex() for number in found["a"]] == [number.hex() for number in facts["a"]]
    assert math.isnan(found["b"])


@pytest.mark.parametrize(
    "facts", [{1: 2}, {"a": {3: 4}}, {"a": {1, 2}}, {"a": b"x"}, {"a": 10**5000}, {"a": [0] * 10**6}]
)
def test_what_json_would_say_in_other_words_is_refused(facts: dict[Any, Any]) -> None:
    with pytest.raises(CheckpointError, match="checkpoint: "):
        manifest(1, PART, facts)


def test_facts_without_end_are_refused() -> None:
    facts: dict[str, Any] = {}
    facts["again"] = facts
    with pytest.raises(CheckpointError, match="cannot be kept"):
        manifest(1, PART, facts)


def test_every_changed_byte_and_every_cut_is_noticed() -> None:
    content = manifest(7, PART, {"epoch": 3})
    assert read_manifest(content, 7) == (PART, {"epoch": 3})
    for place in range(len(content)):
        for other in range(256):
            if other != content[place]:
                with pytest.raises(Damage):
                    read_manifest(content[:place] + bytes([other]) + content[place + 1 :], 7)
        with pytest.raises(Damage):
            read_manifest(content[:place], 7)
    for longer in (content + b" ", content + content, b" " + content):
        with pytest.raises(Damage):
            read_manifest(longer, 7)


def test_the_manifest_of_another_checkpoint_is_refused() -> None:
    with pytest.raises(Damage, match="not the manifest of checkpoint 8"):
        read_manifest(manifest(7, PART, {}), 8)


def forged(**changes: Any) -> bytes:
    whole = {"format": "sparsewire-checkpoint-1", "number": 1, "facts": {}}
    return sealed(json.dumps(whole | {"parts": {"1.safetensors": PART._asdict()}} | changes))


FORGED = {
    "a path outside": {"parts": {"../../etc/passwd": PART._asdict()}},
    "an absolute path": {"parts": {"/etc/passwd": PART._asdict()}},
    "two parts": {"parts": {"1.safetensors": PART._asdict(), "../x": PART._asdict()}},
    "no parts": {"parts": {}},
    "parts in a list": {"parts": ["1.safetensors"]},
    "a size in words": {"parts": {"1.safetensors": {"size": "8", "sha256": ""}}},
    "a part without a checksum": {"parts": {"1.safetensors": {"size": 8}}},
    "facts in a list": {"facts": []},
    "another number": {"number": 2},
    "a number in words": {"number": "1"},
    "another format": {"format": "x"},
    "no format": {"format": None},
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_manifests_with_a_right_checksum_are_refused(name: str) -> None:
    assert read_manifest(forged(), 1) == (PART, {})
    with pytest.raises(Damage, match="not the manifest of checkpoint 1"):
        read_manifest(forged(**FORGED[name]), 1)


@pytest.mark.parametrize(
    "text", ["{" + '"a":{' * 10**5, '{"a": [' + "[]," * 10**6 + "[]]}", '{"a": ' + "9" * 10**5 + "}"]
)
def test_bombs_with_a_right_checksum_are_refused(text: str) -> None:
    with pytest.raises(Damage):
        read_manifest(sealed(text), 1)


def test_a_newer_version_is_said_to_be_one() -> None:
    with pytest.raises(CheckpointError, match=r"its format is 'sparsewire-checkpoint-2'.*update sparsewire"):
        read_manifest(forged(format="sparsewire-checkpoint-2"), 1)

"""The seal: every changed byte of the text is noticed, and what has none is told apart."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsewire.execution.sealed_json import sealed, unsealed

objects = st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text(), min_size=1)


@given(objects, st.sampled_from([None, 1]), st.booleans())
def test_the_text_comes_back_and_the_sealed_one_is_json(content: dict[str, object], indent: int | None, ascii: bool):
    text = json.dumps(content, indent=indent, ensure_ascii=ascii)
    whole = sealed(text)
    assert unsealed(whole) == text.encode()
    assert {"sha256": "", **content} == json.loads(whole) | {"sha256": content.get("sha256", "")}


def test_every_changed_byte_and_every_cut_is_noticed() -> None:
    text = '{"a": [1.5, "ä"]}'
    whole = sealed(text)
    changed = [
        whole[:place] + bytes([other]) + whole[place + 1 :]
        for place in range(len(whole))
        for other in range(256)
        if other != whole[place]
    ]
    for content in changed + [whole[:end] for end in range(len(whole))] + [whole + b"\n", b"\n" + whole]:
        try:
            assert unsealed(content) is None
        except ValueError as cause:
            assert "checksum" in str(cause)  # noqa: PT017
            continue
        try:
            assert json.loads(content).keys() != {"a"}  # who reads it without a seal meets a key that he does not know
        except ValueError:
            continue


def test_what_has_no_seal_is_none() -> None:
    for content in (b"", b"{}", b'{"sha256": "00"}', b"[1]", b'{\n"sha256": "' + b"A" * 64 + b'",\n"a": 1}'):
        assert unsealed(content) is None
    with pytest.raises(ValueError, match="expected a JSON object"):
        sealed("[1]")

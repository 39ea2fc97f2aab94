"""JSON that says whether it is still what was written: a SHA-256 of the rest as the first entry."""

import hashlib
import re

# Bytes and not values are compared: JSON has many spellings of one number, and a changed one must not pass.
_SEAL = re.compile(rb'\{\n"sha256": "([0-9a-f]{64})",\n')


def sealed(text: str) -> bytes:
    r"""The text of a JSON object with its SHA-256 on a line of its own, as UTF-8; still a JSON object.

    Args:
        text: of an object with at least one entry.

    Example:
        >>> sealed('{"a": 1}')[:20], sealed('{"a": 1}')[-10:]
        (b'{\n"sha256": "f9d8602', b'",\n"a": 1}')
        >>> unsealed(sealed('{"a": 1}'))
        b'{"a": 1}'
    """
    whole = text.encode()
    if whole[:1] != b"{":
        raise ValueError(f"sealed: found text that begins with {text[:10]!r}, expected a JSON object")
    return b'{\n"sha256": "%s",\n' % hashlib.sha256(whole).hexdigest().encode() + whole[1:]


def unsealed(content: bytes) -> bytes | None:
    """The text that `sealed` got, as UTF-8, if not a byte of it was changed; None where there is no seal.

    A seal whose own line was changed may look like none. Who also takes files without one must therefore refuse an
    entry "sha256", or one that he does not know, in what he then reads.

    Raises:
        ValueError: the seal is that of another text.

    Example:
        >>> print(unsealed(b'{"a": 1}'))
        None
    """
    found = _SEAL.match(content)
    if not found:
        return None
    whole = b"{" + content[found.end() :]
    if hashlib.sha256(whole).hexdigest().encode() != found[1]:
        raise ValueError("it was changed after it was written: its checksum is wrong")
    return whole

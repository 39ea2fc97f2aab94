"""The operations of a pickle, read from its bytes one by one: those that a plain dictionary needs, and no others."""

import pickletools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_LONGEST_NAME = 100


class RefusalError(Exception):
    """What was found that such a file does not need."""


class _Kind(NamedTuple):
    """How an operation's argument is written: `size` bytes, which are a number or the length of what follows."""

    name: str
    size: int = 0
    decode: Callable[[bytes], Any] | None = None
    signed: bool = False


def _utf8(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def _whole(content: bytes) -> int:
    return int.from_bytes(content, "little", signed=True)


_KINDS = {
    b"\x80": _Kind("PROTO", 1), b"\x95": _Kind("FRAME", 8), b".": _Kind("STOP"), b"(": _Kind("MARK"),
    b"}": _Kind("EMPTY_DICT"), b"]": _Kind("EMPTY_LIST"), b")": _Kind("EMPTY_TUPLE"), b"t": _Kind("TUPLE"),
    b"\x85": _Kind("TUPLE1"), b"\x86": _Kind("TUPLE2"), b"\x87": _Kind("TUPLE3"),
    b"a": _Kind("APPEND"), b"e": _Kind("APPENDS"), b"s": _Kind("SETITEM"), b"u": _Kind("SETITEMS"),
    b"q": _Kind("BINPUT", 1), b"r": _Kind("LONG_BINPUT", 4), b"\x94": _Kind("MEMOIZE"),
    b"h": _Kind("BINGET", 1), b"j": _Kind("LONG_BINGET", 4),
    b"N": _Kind("NONE"), b"\x88": _Kind("NEWTRUE"), b"\x89": _Kind("NEWFALSE"),
    b"K": _Kind("BININT1", 1), b"M": _Kind("BININT2", 2), b"J": _Kind("BININT", 4, signed=True),
    b"\x8a": _Kind("LONG1", 1, _whole),
    b"U": _Kind("SHORT_BINSTRING", 1, bytes), b"T": _Kind("BINSTRING", 4, bytes, signed=True),
    b"\x8c": _Kind("SHORT_BINUNICODE", 1, _utf8), b"X": _Kind("BINUNICODE", 4, _utf8),
    b"C": _Kind("SHORT_BINBYTES", 1, bytes), b"B": _Kind("BINBYTES", 4, bytes), b"\x8e": _Kind("BINBYTES8", 8, bytes),
    b"\x93": _Kind("STACK_GLOBAL"), b"R": _Kind("REDUCE"), b"b": _Kind("BUILD"),
}  # fmt: skip
_OTHER_NAMES = {one.code.encode("latin1"): one.name for one in pickletools.opcodes}


def operations(content: bytes) -> Iterator[tuple[str, Any]]:
    r"""The name and the argument of each operation up to STOP, under the names that `pickletools` has for them.

    Not by `pickletools.genops`, which decodes the arguments of any operation before one can refuse it.

    Args:
        content: a pickle of protocol 2 to 4.

    Raises:
        RefusalError: at an operation that dictionaries of lists and arrays do not need.
        ValueError: the content ends before STOP, or a text is not in its encoding.

    Example:
        >>> list(operations(b"\x80\x02U\x02okcnumpy\ndtype\n."))
        [('PROTO', 2), ('SHORT_BINSTRING', b'ok'), ('GLOBAL', 'numpy dtype'), ('STOP', None)]
    """
    at, name = 0, ""
    while name != "STOP":
        code = content[at : at + 1]
        if code == b"c":
            name, (argument, at) = "GLOBAL", _two_lines(content, at + 1)
        elif code in _KINDS:
            kind = _KINDS[code]
            name, (argument, at) = kind.name, _argument(content, at + 1, kind)
        elif code:
            found = _OTHER_NAMES.get(code, repr(code))
            raise RefusalError(f"found the pickle operation {found}, expected those of lists and arrays")
        else:
            raise ValueError("no STOP")
        yield name, argument


def _argument(content: bytes, at: int, kind: _Kind) -> tuple[Any, int]:
    if not kind.size:
        return None, at
    number, at = int.from_bytes(content[at : at + kind.size], "little", signed=kind.signed), at + kind.size
    end = at if kind.decode is None else at + number
    if not at <= end <= len(content):
        raise ValueError("cut off")
    return (number if kind.decode is None else kind.decode(content[at:end])), end


def _two_lines(content: bytes, at: int) -> tuple[str, int]:
    """A module and a name in it, each with a line's end."""
    middle = content.find(b"\n", at, at + _LONGEST_NAME)
    end = content.find(b"\n", middle + 1, middle + 1 + _LONGEST_NAME) if middle >= 0 else -1
    if end < 0:
        raise RefusalError(f"found the name {content[at : at + 40].decode('latin1')!r}…, expected a short one")
    return f"{content[at:middle].decode('latin1')} {content[middle + 1 : end].decode('latin1')}", end + 1

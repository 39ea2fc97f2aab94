"""Reading a pickled dictionary of lists and byte arrays as data: nothing in the file is called, imported or run."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsewire.data.pickled_operations import RefusalError, operations
from sparsewire.errors import DataError

_MOST_OPERATIONS = 2_000_000  # CIFAR-100 has 350,000
_LONGEST_KEY = 1000  # characters: to compare long ones takes long
_LARGEST_SIZE = 1 << 40
_PROTOCOLS = (2, 3, 4)

# The only names that such files need; what stands for them here are plain values, never numpy's functions.
_RECONSTRUCT, _ARRAY, _DTYPE, _ENCODE = "the function that makes an array", "ndarray", "dtype", "encode"
_NAMES = {
    "numpy.core.multiarray _reconstruct": _RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": _RECONSTRUCT,
    "numpy ndarray": _ARRAY,
    "numpy dtype": _DTYPE,
    "_codecs encode": _ENCODE,
}


def read_pickled_batch(content: bytes, what: str) -> dict[str, Any]:
    r"""The dictionary that a pickle holds: of texts, whole numbers, None, lists, tuples and numpy arrays of uint8.

    The file has protocol 2 to 4; Python 2 or 3 wrote it. Its operations are followed one by one on plain values. Any
    operation, name, argument or type that such a dictionary does not need is refused when it is met, so that a hostile
    file does nothing; time and memory are in proportion to the file's length.

    Args:
        content: the whole file.
        what: how the error calls it, e.g. its path.

    Returns:
        Its entries; a key is a text also where the file has bytes. Other texts of Python 2 are bytes.

    Raises:
        DataError: it is no such file; the message says what was found.

    Example:
        >>> read_pickled_batch(b"\x80\x02}q\x01(U\x06labels]q\x02(K\x07K\x09eu.", "my file")
        {'labels': [7, 9]}
        >>> read_pickled_batch(b"\x80\x02cos\nsystem\nU\x04haltR.", "my file")
        Traceback (most recent call last):
            ...
        sparsewire.errors.DataError: my file: found the name 'os system', expected none but numpy's of an array; ...
    """
    try:
        held = _Reader(content).result()
    except RefusalError as refusal:
        raise DataError(f"{what}: {refusal}; nothing in it was run") from None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as cause:
        raise DataError(f"{what}: this is no pickle of such data, or it is cut off or corrupt") from cause
    if type(held) is not dict:
        raise DataError(f"{what}: found a {type(held).__name__}, expected a dictionary")
    return {_text(key, what): value for key, value in held.items()}


class _Dtype:
    """Stands for numpy's uint8."""


class _Made:
    """An array that the file has begun to make; `array` is None until it has given its content."""

    array: NDArray[np.uint8] | None = None


class _Name(NamedTuple):
    """One of the few names, e.g. "encode"."""

    meaning: str


class _Reader:
    """A stack of plain values, on which the operations of a pickle are followed.

    What one operation makes must be bounded by the bytes that stand for it in the file: a text that the file has once
    and names a million times may not be copied a million times. Only texts that are encoded are copied at all.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._encodable = content, len(content)
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def result(self) -> Any:
        """What the pickle leaves."""
        for count, (name, argument) in enumerate(operations(self._content)):
            if count > _MOST_OPERATIONS:
                raise RefusalError(f"found more than {_MOST_OPERATIONS:,} operations, expected far fewer")
            if name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name in _FOLLOWED:
                _FOLLOWED[name](self, argument)
            elif name != "STOP":
                self._stack.append(argument)  # a number, a text or bytes
        left = self._pop()
        if self._stack or self._marks:
            raise RefusalError("found more than one value, expected one dictionary")
        return _finished(left)

    def protocol(self, number: int) -> None:
        if number not in _PROTOCOLS:
            raise RefusalError(f"found pickle protocol {number}, expected 2 to 4")

    def nothing(self, _: Any) -> None:
        """A frame's length: only a reader of streams needs it."""

    def mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def new(self, kind: Callable[[], Any]) -> None:
        self._stack.append(kind())

    def tuple_of(self, count: int | None) -> None:
        parts = self._since_mark() if count is None else [self._pop() for _ in range(count)][::-1]
        self._stack.append(tuple(map(_finished, parts)))

    def append(self, many: bool) -> None:
        parts = self._since_mark() if many else [self._pop()]
        if type(self._stack[-1]) is not list:
            raise RefusalError(f"found values put into a {type(self._stack[-1]).__name__}, expected a list")
        self._stack[-1].extend(map(_finished, parts))

    def set(self, many: bool) -> None:
        parts = self._since_mark() if many else [self._pop(), self._pop()][::-1]
        if type(self._stack[-1]) is not dict or len(parts) % 2:
            raise RefusalError(f"found entries put into a {type(self._stack[-1]).__name__}, expected a dictionary")
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            if type(key) not in (str, bytes) or len(key) > _LONGEST_KEY:
                raise RefusalError(f"found a {type(key).__name__} as key of a dictionary, expected a short text")
            self._stack[-1][key] = _finished(value)

    def put(self, place: int | None) -> None:
        self._memo[len(self._memo) if place is None else place] = self._stack[-1]

    def get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    def name(self, name: str | None) -> None:
        if name is None:
            last, module = self._pop(), self._pop()
            name = f"{module} {last}" if type(last) is type(module) is str else ""
        if name not in _NAMES:
            raise RefusalError(f"found the name {name[:80]!r}, expected none but numpy's of an array")
        self._stack.append(_Name(_NAMES[name]))

    def call(self, _: Any) -> None:
        """What a call of one of the names would give; no other call is known."""
        given, name = self._pop(), self._pop()
        if type(given) is not tuple or type(name) is not _Name:
            raise RefusalError("found a call of what is no function")
        if name.meaning == _RECONSTRUCT:
            self._stack.append(_new_array(given))
        elif name.meaning == _DTYPE:
            self._stack.append(_dtype(given))
        elif name.meaning == _ENCODE and len(given) == 2 and given[1] == "latin1":
            self._stack.append(self._encoded(given[0]))
        else:
            raise RefusalError("found a call of what is no function, or a text that is not encoded as latin1")

    def build(self, _: Any) -> None:
        """Gives the array on the stack its content; a dtype has all of it already."""
        state, made = self._pop(), self._stack[-1]
        if type(made) is _Made and type(state) is tuple and len(state) == 5 and made.array is None:
            made.array = self._filled(*state[1:])
        elif type(made) is not _Dtype:
            raise RefusalError(f"found content for a {type(made).__name__}, expected it for a new array")

    def _filled(self, shape: Any, dtype: Any, by_columns: Any, content: Any) -> NDArray[np.uint8]:
        """The array of an array's pickled state."""
        if type(dtype) is not _Dtype or by_columns not in (False, 0):
            raise RefusalError("found an array in another order than row by row of uint8")
        sizes = shape if type(shape) is tuple and 0 < len(shape) <= 4 else (None,)
        if not all(type(size) is int and 0 <= size < _LARGEST_SIZE for size in sizes):
            raise RefusalError("found an array without a shape, expected (images, pixels)")
        raw = self._encoded(content) if type(content) is str else content
        if type(raw) is not bytes or len(raw) != math.prod(sizes):
            held = f"{len(raw):,} bytes" if type(raw) is bytes else f"a {type(raw).__name__}"
            raise RefusalError(f"found {held} as the content of an array of {math.prod(sizes):,} elements of uint8")
        return np.frombuffer(raw, dtype=np.uint8).reshape(sizes)

    def _encoded(self, text: Any) -> bytes:
        if type(text) is not str:
            raise RefusalError(f"found a {type(text).__name__} to encode, expected a text")
        self._encodable -= len(text)
        if self._encodable < 0:
            raise RefusalError("found texts that are encoded again and again, expected each once")
        return text.encode("latin1")

    def _pop(self) -> Any:
        if not self._stack or (self._marks and len(self._stack) <= self._marks[-1]):
            raise IndexError
        return self._stack.pop()

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        parts, self._stack[start:] = self._stack[start:], []
        return parts


def _new_array(given: tuple[Any, ...]) -> _Made:
    if not given or type(given[0]) is not _Name or given[0].meaning != _ARRAY:
        raise RefusalError("found an array of a kind of its own, expected numpy's")
    return _Made()


def _dtype(given: tuple[Any, ...]) -> _Dtype:
    kind = given[0] if given else None
    if kind not in ("u1", b"u1", "|u1"):
        shown = repr(kind[:20]) if isinstance(kind, str | bytes) else type(kind).__name__
        raise RefusalError(f"found an array of type {shown}, expected u1")
    return _Dtype()


def _finished(value: Any) -> Any:
    """An array's content in its place, where it has been given; an empty one in a tuple is still to come."""
    return value.array if type(value) is _Made and value.array is not None else value


def _text(key: str | bytes, what: str) -> str:
    if isinstance(key, str):
        return key
    try:
        return key.decode("ascii")
    except UnicodeDecodeError:
        raise DataError(f"{what}: found the key {key[:40]!r}, expected a plain text") from None


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_FOLLOWED: dict[str, Callable[[_Reader, Any], None]] = {
    "PROTO": _Reader.protocol, "FRAME": _Reader.nothing, "MARK": _Reader.mark,
    "EMPTY_DICT": lambda reader, _: reader.new(dict), "EMPTY_LIST": lambda reader, _: reader.new(list),
    "EMPTY_TUPLE": lambda reader, _: reader.new(tuple), "TUPLE": lambda reader, _: reader.tuple_of(None),
    "TUPLE1": lambda reader, _: reader.tuple_of(1), "TUPLE2": lambda reader, _: reader.tuple_of(2),
    "TUPLE3": lambda reader, _: reader.tuple_of(3),
    "APPEND": lambda reader, _: reader.append(False), "APPENDS": lambda reader, _: reader.append(True),
    "SETITEM": lambda reader, _: reader.set(False), "SETITEMS": lambda reader, _: reader.set(True),
    "BINPUT": _Reader.put, "LONG_BINPUT": _Reader.put, "MEMOIZE": _Reader.put,
    "BINGET": _Reader.get, "LONG_BINGET": _Reader.get,
    "GLOBAL": _Reader.name, "STACK_GLOBAL": _Reader.name, "REDUCE": _Reader.call, "BUILD": _Reader.build,
}  # fmt: skip

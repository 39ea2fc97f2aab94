"""Following a pickle's stack without running it: what would hang or crash whoever reads it is seen before."""

import pickletools
from collections.abc import Sequence
from typing import Any, NamedTuple

DIMENSION_CAP = 64  # torch has kernels for fewer
_ARGUMENTS_CAP = 500  # of what makes a tensor: a size, strides and little more
_DEPTH_CAP = 100
# Texts and names have their hash at hand or are random in theirs; tuples can be made to collide, or to be as large as
# 2^depth by naming one twice. This much is hashed and compared in well under a second, whatever its author thought of.
_HASHED_CAP = 20_000
_LARGE = 2**60  # from about here on integers can be made to collide
_LARGE_CAP = 1_000
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE": None, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE")
_GETS = ("BINGET", "LONG_BINGET", "GET")
_TEXTS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE")
# What only puts something plain on the stack: most operations of most files.
_SIMPLE = {
    operation.name
    for operation in pickletools.opcodes
    if not operation.stack_before and len(operation.stack_after) == 1
} - {"MARK", "EMPTY_TUPLE", "EMPTY_LIST", "GLOBAL", *_GETS, *_TEXTS, "LONG", "LONG1", "LONG4", "INT"}
_INTEGERS = ("LONG", "LONG1", "LONG4", "INT")
_HASHING = {"builtins set", "__builtin__ set", "collections Counter", "collections OrderedDict"}


class Refusal(Exception):  # noqa: N818
    """Why a file is not opened; the caller adds the file's name."""


class _Entry(NamedTuple):
    depth: int = 0  # how deeply tuples are nested in it
    leaves: int = 0  # how many entries its tuples have, counted as often as they are named
    what: str = ""  # the name of a global; "latin1"; "list 7"; for arguments "to latin1" and "of list 7"


_PLAIN = _Entry()


class PickleStack:
    """What stands on the stack of a pickle while it is read, as far as it could do harm.

    Example:
        >>> stack = PickleStack()
        >>> for operation, argument, _ in pickletools.genops(b"(((ttt."):
        ...     stack.follow(operation, argument)
        >>> for operation, argument, _ in pickletools.genops(b"}NNss."):
        ...     stack.follow(operation, argument)
        Traceback (most recent call last):
        sparsewire.lab.checkpointing.pickle_stack.Refusal: it is no checkpoint, or corrupt (its stack is empty)
    """

    def __init__(self) -> None:
        self._stack: list[_Entry] = []
        self._marks: list[int] = []
        self._memo: dict[int, _Entry] = {}
        self._hashed = self._large = 0
        self._lists: dict[str, int] = {}  # "list 7" → the leaves of what is in it

    def follow(self, operation: pickletools.OpcodeInfo, argument: Any) -> None:
        """One operation further.

        Raises:
            Refusal: it would take more from the stack than is there, nest too deeply, hash too much, or encode a text
                in another way than torch does.
        """
        name = operation.name
        if name in _SIMPLE:
            self._stack.append(_PLAIN)
            return
        if name == "MARK":
            self._marks.append(len(self._stack))
        elif name in _PUTS:
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = self._take(1, put_back=True)[0]
        elif name in _GETS:
            self._stack.append(self._memo.get(argument, _PLAIN))
        elif name in _TUPLES:
            self._stack.append(_tuple(self._take(_TUPLES[name])))
        elif name == "REDUCE":
            self._stack.append(self._reduced(*self._take(2)))
        elif name == "DUP":
            raise Refusal("it uses the pickle operation DUP, which torch.save does not write")
        else:
            self._plain(operation, argument)
        if self._stack and self._stack[-1].depth > _DEPTH_CAP:
            raise Refusal(f"it nests tuples more than {_DEPTH_CAP} deep")
        if self._hashed > _HASHED_CAP or self._large > _LARGE_CAP:
            raise Refusal("it looks up more tuples or large numbers than a checkpoint needs")

    def _plain(self, operation: pickletools.OpcodeInfo, argument: Any) -> None:
        name, takes = operation.name, operation.stack_before
        if pickletools.stackslice in takes:
            taken = self._take(None)
            under = self._take(takes.index(pickletools.markobject))
        else:
            taken = self._take(len(takes))
            under = taken[:1]
        if name in ("SETITEMS", "DICT"):
            self._hashed += sum(entry.leaves for entry in taken[::2])
        elif name == "SETITEM":
            self._hashed += taken[1].leaves
        elif name in ("ADDITEMS", "FROZENSET"):
            self._hashed += sum(entry.leaves for entry in taken)
        elif name in _INTEGERS:
            self._large += abs(argument) >= _LARGE
        what = argument if name == "GLOBAL" or (name in _TEXTS and argument == "latin1") else ""
        if name in ("EMPTY_LIST", "LIST"):
            what = f"list {len(self._lists)}"
            self._lists[what] = sum(entry.leaves for entry in taken)
        elif name in ("APPEND", "APPENDS"):
            what = under[0].what
            items = taken[1:] if name == "APPEND" else taken
            self._lists[what] = self._lists.get(what, 0) + sum(entry.leaves for entry in items)
        self._stack += [_Entry(what=what)] * len(operation.stack_after)

    def _reduced(self, function: _Entry, arguments: _Entry) -> _Entry:
        """What calling a function leaves behind. A size is a tuple again."""
        if function.what == "_codecs encode" and arguments.what != "to latin1":
            raise Refusal("it encodes a text in another way than as latin1, which can take for ever")
        if function.what.startswith("torch._utils ") and arguments.leaves > _ARGUMENTS_CAP:
            raise Refusal(f"a tensor of it has hundreds of dimensions, expected at most {DIMENSION_CAP}")
        if function.what in _HASHING:
            self._hashed += arguments.leaves - 1 + self._lists.get(arguments.what.removeprefix("of "), 0)
        leaves = arguments.leaves if function.what == "torch Size" else 0
        return _Entry(max(function.depth, arguments.depth) + 1, leaves)

    def _take(self, count: int | None, *, put_back: bool = False) -> list[_Entry]:
        """The last `count` entries, or those since the last mark, which are removed."""
        if count is None:
            if not self._marks:
                raise Refusal("it is no checkpoint, or corrupt (its stack has no mark)")
            start = self._marks.pop()
        else:
            start = len(self._stack) - count
        if start < (self._marks[-1] if self._marks else 0):
            raise Refusal("it is no checkpoint, or corrupt (its stack is empty)")
        taken = self._stack[start:]
        if not put_back:
            del self._stack[start:]
        return taken


def _tuple(entries: Sequence[_Entry]) -> _Entry:
    what = "to latin1" if len(entries) == 2 and entries[1].what == "latin1" else ""
    if len(entries) == 1 and entries[0].what.startswith("list "):
        what = f"of {entries[0].what}"
    return _Entry(max((entry.depth for entry in entries), default=0) + 1, 1 + sum(e.leaves + 1 for e in entries), what)

"""Keys in TOML text: what stands before a sign, and in which line a key is set, which the parser does not tell."""

import re

from sparsewire.lab.specs.fields import Where

_KEY = re.compile(r"""[ \t]*(?:([A-Za-z0-9_-]+)|"([^"\\\n]*)"|'([^'\n]*)')[ \t]*""")


def keys_before(text: str, sign: str) -> tuple[tuple[str, ...], str] | None:
    """The dotted key that stands before a sign, and the text after it; None where the text begins otherwise.

    Args:
        text: where to look.
        sign: one character, such as "=".

    Example:
        >>> keys_before("training.'the rate' = 0.1", "=")
        (('training', 'the rate'), ' 0.1')
        >>> keys_before("0.1 + 2", "=")
    """
    keys: list[str] = []
    at = 0
    while match := _KEY.match(text, at):
        keys.append(next(key for key in match.groups() if key is not None))
        at = match.end()
        if text[at : at + 1] == sign:
            return tuple(keys), text[at + 1 :]
        if text[at : at + 1] != ".":
            return None
        at += 1
    return None


def line_of(text: str, where: Where) -> int | None:
    r"""The number of the line that sets a key, or of the table that should hold it; None where neither is found.

    Lines are only looked at for how they begin, so that a line of a long text that looks like a key may be taken for
    one; a message with a wrong line is the worst that follows.

    Args:
        text: of a whole TOML file.
        where: the keys that lead there; a number counts the tables of an array from 0.

    Example:
        >>> line_of("[[sweep.list]]\nrate = 1\n[[sweep.list]]\nrate = 2", ("sweep", "list", 1, "rate"))
        4
    """
    here: Where = ()
    table: int | None = None
    arrays: dict[Where, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        begin = line.lstrip()
        if begin.startswith("["):
            if header := keys_before(begin[2 if begin.startswith("[[") else 1 :], "]"):
                here = _counted(header[0], arrays, new=begin.startswith("[["))
                if here[: len(where)] == where:
                    return number
                if here == where[: len(here)]:
                    table = number
        elif entry := keys_before(begin, "="):
            key = here + entry[0]
            if key == where[: len(key)]:
                return number
    return table


def _counted(keys: tuple[str, ...], arrays: dict[Where, int], *, new: bool) -> Where:
    """A table's place with its number in each array of tables; a new table of an array raises that array's number."""
    here: Where = ()
    for position, key in enumerate(keys, start=1):
        here = (*here, key)
        if new and position == len(keys):
            arrays[here] = arrays.get(here, -1) + 1
        if here in arrays:
            here = (*here, arrays[here])
    return here

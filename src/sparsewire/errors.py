"""Everything that sparsewire raises on purpose.

    SparsewireError
    ├── RequestError          (also a ValueError)  what was asked for cannot be: a name, a number, a shape
    │   └── UnknownNameError  (also a KeyError) no such layer, experiment, option …; says the nearest one
    ├── FileError                                  a file is missing, truncated, corrupt, foreign or cannot be written
    │   ├── DataError                              … of a data set
    │   ├── CheckpointError                        … of weights or masks
    │   └── StoreError                             … of the store of runs
    └── DivergedError         (also an ArithmeticError) training met a number that is not finite

The command line turns a `RequestError` into exit status 2 and every other one into 1.
"""

import difflib
from collections.abc import Iterable


class SparsewireError(Exception):
    """The root: catching it catches everything that sparsewire raises on purpose.

    Example:
        >>> try:
        ...     raise UnknownNameError("layer", "0.wait", ["0.weight"])
        ... except SparsewireError as error:
        ...     print(error)
        no layer is named '0.wait'; did you mean '0.weight'? There are: 0.weight
    """


class RequestError(SparsewireError, ValueError):
    """What was asked for cannot be; the message names the argument, what was found and what is possible."""


class UnknownNameError(RequestError, KeyError):
    """A name that nothing here bears; the message offers the nearest one.

    A `KeyError`, so that mappings that raise it are mappings for Python too: `masks.get("0.wait")` is None.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Takes what the message is made of.

        Args:
            kind: what the name should have named, e.g. "layer".
            name: what was asked for.
            known: the names that exist.

        Example:
            >>> print(UnknownNameError("score", "magnitud", ["random", "magnitude"]))
            no score is named 'magnitud'; did you mean 'magnitude'? There are: magnitude, random
        """
        super().__init__(kind, name, sorted(known))

    def __str__(self) -> str:
        kind, name, names = self.args
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        return f"no {kind} is named {name!r}{hint} There are: {shown or 'none'}"


class FileError(SparsewireError):
    """A file is missing, truncated, corrupt, foreign, or cannot be written; the message names it."""


class DataError(FileError):
    """A data set's file is missing or is not what its format demands."""


class CheckpointError(FileError):
    """A file of weights or masks is not what it should be, or would run code if it were opened."""


class StoreError(FileError):
    """The store of runs cannot be read or written."""


class DivergedError(SparsewireError, ArithmeticError):
    """Training met a loss or a weight that is not finite; the message names the step and the last good one."""

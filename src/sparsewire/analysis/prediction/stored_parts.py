"""Arrays out of a file, which anybody may have written: each as it must be, or one message that says what is wrong."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsewire.errors import RequestError

Parts = Mapping[str, NDArray[Any]]
Shape = tuple[int | None, ...]


def checked_part(owner: str, parts: Parts, name: str, shape: Shape, kind: type[np.generic] = np.float64) -> Any:
    """The array of this name.

    Args:
        owner: whose it is, for the message.
        parts: all arrays by name.
        name: which.
        shape: its sides; None: any.
        kind: the type of its numbers, which must be finite.

    Raises:
        RequestError: it is not there, or not so.

    Example:
        >>> checked_part("line", {"slope": np.zeros(2)}, "slope", (None,))
        array([0., 0.])
        >>> checked_part("line", {"slope": np.zeros(2)}, "slope", (3,))
        Traceback (most recent call last):
        sparsewire.errors.RequestError: line: its 'slope' is float64 of shape (2,), expected float64 of shape (3,)
    """
    part, wanted = parts.get(name), f"expected {kind.__name__} of shape {str(shape).replace('None', 'any')}"
    if part is None:
        raise RequestError(f"{owner}: it has no {name!r}, {wanted}")
    fits = part.ndim == len(shape) and all(side in (None, own) for side, own in zip(shape, part.shape, strict=True))
    if part.dtype != kind or not fits:
        raise RequestError(f"{owner}: its {name!r} is {part.dtype} of shape {part.shape}, {wanted}")
    if not np.all(np.isfinite(part)):
        raise RequestError(f"{owner}: its {name!r} has NaN or infinite numbers")
    return part

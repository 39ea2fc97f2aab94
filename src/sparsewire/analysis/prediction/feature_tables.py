"""Features as a table: one row for each network, one column for each feature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sparsewire.errors import RequestError, UnknownNameError

Numbers = NDArray[np.float64]
LARGEST = 1e30  # squares of it still are numbers
_LEAST_SPREAD = 1e-100  # and of this they are not 0


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Checked features; see `feature_table`.

    Attributes:
        names: of the columns.
        values: (networks, features), finite.
    """

    names: tuple[str, ...]
    values: Numbers

    def only(self, names: Sequence[str]) -> "FeatureTable":
        """The table with these columns alone, in this order.

        Raises:
            UnknownNameError: there is no such column.

        Example:
            >>> table = feature_table({"nodes": [1, 2], "edges": [3, 4]})
            >>> table.only(["edges"]).values.tolist()
            [[3.0], [4.0]]
        """
        for name in names:
            if name not in self.names:
                raise UnknownNameError("feature", str(name), self.names)
        return FeatureTable(tuple(names), self.values[:, [self.names.index(name) for name in names]])


def feature_table(features: Mapping[str, Any]) -> FeatureTable:
    """The features as a table of finite numbers.

    Args:
        features: name → one number for each network (a list, an array, a tensor, a column of a data frame); a single
            number is that of one network.

    Raises:
        RequestError: there are no features or no networks, names that are no text, columns of different lengths, or
            what is no finite number of at most 1e30.

    Example:
        >>> table = feature_table({"nodes": [10, 12], "density": np.array([0.2, 0.1])})
        >>> table.names, table.values.tolist()
        (('nodes', 'density'), [[10.0, 0.2], [12.0, 0.1]])
    """
    if not isinstance(features, Mapping) or not features:
        found = "none" if isinstance(features, Mapping) else type(features).__name__
        raise RequestError(f"features: found {found}, expected a mapping from each feature's name to its numbers")
    columns: dict[str, Numbers] = {}
    for name, column in features.items():
        if not isinstance(name, str) or not name:
            raise RequestError(f"features: found the name {name!r}, expected text")
        columns[name] = _column(f"features[{name!r}]", column)
    lengths = {name: len(column) for name, column in columns.items()}
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise RequestError(
                f"features[{name!r}]: found {length} numbers, expected {lengths[first]}, one for each network, as in "
                f"features[{first!r}]"
            )
    if not lengths[first]:
        raise RequestError("features: found no networks, expected at least one number for each feature")
    return FeatureTable(tuple(columns), np.column_stack(list(columns.values())))


def checked_accuracy(accuracy: Any, networks: int, least: int) -> Numbers:
    """What is to be predicted, one finite number for each network, not all the same.

    Args:
        accuracy: the numbers.
        networks: how many there must be.
        least: fewer cannot be used.

    Raises:
        RequestError: there are others, fewer, or all are the same.

    Example:
        >>> checked_accuracy([0.5, 1], networks=2, least=2)
        array([0.5, 1. ])
    """
    numbers = _column("accuracy", accuracy)
    if len(numbers) != networks:
        raise RequestError(f"accuracy: found {len(numbers)} numbers, expected {networks}, one for each network")
    if networks < least:
        raise RequestError(f"accuracy: found {networks} networks, expected at least {least} to fit and to test on")
    if np.ptp(numbers) < _LEAST_SPREAD:
        raise RequestError(f"accuracy: all {networks} are {numbers[0]:g}, expected numbers that differ")
    return numbers


def _column(argument: str, column: Any) -> Numbers:
    try:
        if isinstance(column, torch.Tensor):
            column = column.detach().cpu()
            column = column.float() if column.dtype == torch.bfloat16 else column  # numpy has none
        found = np.atleast_1d(np.asarray(column))
    except (ValueError, TypeError, RuntimeError) as cause:  # rows of different lengths, tensors that are not plain
        raise RequestError(f"{argument}: {cause}; expected one number for each network") from None
    if found.ndim != 1:
        raise RequestError(f"{argument}: found the shape {found.shape}, expected one number for each network")
    if found.dtype == object:
        found = _of_objects(argument, found)
    if found.dtype.kind not in "biuf" and found.size:
        raise RequestError(f"{argument}: found {found[0]!r}, expected numbers")
    numbers = found.astype(np.float64)
    wrong = np.flatnonzero(~(np.abs(numbers) <= LARGEST))
    if wrong.size:
        raise RequestError(
            f"{argument}: number {wrong[0]} is {numbers[wrong[0]]:g}, expected finite ones of at most {LARGEST:g}; "
            "leave out this network or this feature"
        )
    return numbers


def _of_objects(argument: str, found: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers beyond 64 bits and the like; text stays text, which is refused."""
    if any(isinstance(one, str | bytes) or one is None for one in found):
        wrong = next(one for one in found if isinstance(one, str | bytes) or one is None)
        raise RequestError(f"{argument}: found {wrong!r}, expected numbers")
    try:
        return found.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise RequestError(f"{argument}: found {found[0]!r}, expected numbers") from None

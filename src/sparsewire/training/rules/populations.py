"""The random masks of one weight that compete in K-starts, as the rows of one matrix."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsewire.errors import RequestError


def bernoulli(frame: Tensor, removed: float, count: int, generator: torch.Generator) -> Tensor:
    """So many masks, each of which keeps what the frame keeps with probability 1 − removed, place by place.

    Args:
        frame: bool, of any shape, n places.
        removed: from 0 to 1.
        count: how many masks.
        generator: count · n numbers are drawn of it, whatever the frame.

    Returns:
        A bool tensor of shape (count, n), on the frame's device.

    Example:
        >>> bernoulli(torch.tensor([True, True, False]), 0.0, 2, torch.Generator()).tolist()
        [[True, True, False], [True, True, False]]
    """
    chance = torch.rand(count, frame.numel(), generator=generator, device=generator.device)
    return (chance >= removed).to(frame.device) & frame.reshape(-1)


class Population:
    """The masks that are left of one weight's, from which the fittest is worn and the weakest goes.

    The fitness of a mask is the sum of the values that it keeps, f = M · x for all masks at once: M is one matrix of
    ones and zeros, which has 4 bytes for each place of each mask (8 where x is float64). Of equal sums the one with
    the lower number is the fitter.

    Args:
        masks: bool, (masks, places).

    Attributes:
        numbers: of the masks that are left, counted as they were drawn.
        worn: the number of the one that is worn; −1 before the first.

    Example:
        >>> population = Population(torch.tensor([[True, False], [False, True]]))
        >>> population.wear(torch.tensor([1.0, 2.0])), population.worn
        (tensor([False,  True]), 1)
        >>> population.wear(torch.tensor([1.0, 2.0])) is None  # it is worn already
        True
        >>> population.drop(torch.tensor([1.0, 2.0]))
        >>> population.numbers
        [1]
    """

    def __init__(self, masks: Tensor) -> None:
        self._matrix = masks
        self.numbers = list(range(len(masks)))
        self.worn = -1

    @property
    def places(self) -> int:
        """How many places each mask has."""
        return self._matrix.shape[1]

    @property
    def is_decided(self) -> bool:
        """Whether one mask is left, and worn."""
        return self.numbers == [self.worn]

    def wear(self, values: Tensor) -> Tensor | None:
        """Puts on the fittest mask by these values, one a place: the mask, if it is another than before, else None."""
        best = 0 if len(self.numbers) == 1 else int(self._fitnesses(values).argmax())
        if self.numbers[best] == self.worn:
            return None
        self.worn = self.numbers[best]
        return self._matrix[best].to(values.device) != 0

    def drop(self, values: Tensor) -> None:
        """Drops the weakest mask by these values, of equals the last; never the only one."""
        if len(self.numbers) == 1:
            return
        weakest = len(self.numbers) - 1 - int(self._fitnesses(values).flip(0).argmin())
        del self.numbers[weakest]
        self._matrix = torch.cat((self._matrix[:weakest], self._matrix[weakest + 1 :]))

    def _fitnesses(self, values: Tensor) -> Tensor:
        dtype = torch.float64 if values.dtype == torch.float64 else torch.float32
        self._matrix = self._matrix.to(values.device, dtype)  # itself, but the first time
        return self._matrix @ values.reshape(-1).to(dtype)

    def state(self) -> dict[str, Any]:
        """What is left of it, one bit a place."""
        bits = np.packbits(self._matrix.cpu().numpy() != 0, axis=1)
        return {"bits": torch.from_numpy(bits), "places": self.places, "numbers": self.numbers[:], "worn": self.worn}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Population":
        """What `state` was of.

        Raises:
            RequestError: it is no such state.
        """
        match dict(state):
            case {"bits": Tensor() as bits, "places": int(places), "numbers": [*numbers], "worn": int(worn)} if (
                bits.dtype == torch.uint8 and bits.shape == (len(numbers), (places + 7) // 8) and numbers
            ):
                masks = np.unpackbits(bits.cpu().numpy(), axis=1, count=places).astype(bool)
                found = cls(torch.from_numpy(masks))
                found.numbers, found.worn = numbers, worn
                return found
        raise RequestError(f"rule: found a memory of {sorted(state)} that is no population of masks")

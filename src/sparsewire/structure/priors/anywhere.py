"""Random patterns of a given density and of no given degrees: the edges lie anywhere."""

import numpy as np
import torch
from torch import Tensor

from sparsewire.structure.blocks import checked_generator
from sparsewire.structure.degrees import degrees
from sparsewire.structure.priors.trades import number_stream


def random_pattern(n_in: int, n_out: int, density: float, *, generator: torch.Generator) -> Tensor:
    """A pattern with exactly density · n_in · n_out edges, rounded half up, anywhere; all such are equally probable.

    Neurons may well have no edge: of n_out right ones (1 - density)^n_in · n_out on average, nearly.

    Args:
        n_in: left neurons, at least 1.
        n_out: right neurons, at least 1.
        density: the fraction of the places that hold an edge, above 0 and up to 1.
        generator: where the pattern comes from; one draw is taken of it.

    Returns:
        A bool tensor of shape (n_out, n_in), in the CPU's memory; `True` = an edge.

    Raises:
        RequestError: an argument is out of its range, or the density is less than half an edge.

    Example:
        >>> pattern = random_pattern(8, 4, 0.3, generator=torch.Generator().manual_seed(0))
        >>> pattern.shape, int(pattern.sum())
        (torch.Size([4, 8]), 10)

    Reference: Dey, Huang, Beerel and Chugg 2018, who compare with patterns without fixed degrees; their code rounds up.
    """
    asked = degrees(n_in, n_out, density=density, uneven=True)
    stream = number_stream(checked_generator(generator))
    rather_holes = 2 * asked.edges > asked.places
    wanted = asked.places - asked.edges if rather_holes else asked.edges
    places = np.zeros(asked.places, np.bool_)
    missing = wanted
    while missing:  # at most half of the places are wanted, so that most draws hit a free one
        places[stream.integers(asked.places, size=missing)] = True
        missing = wanted - int(np.count_nonzero(places))
    if rather_holes:
        np.logical_not(places, out=places)
    return torch.from_numpy(places.reshape(asked.n_out, asked.n_in))

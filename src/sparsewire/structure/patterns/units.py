"""Patterns of units that are parts of one weight: whole neurons, whole channels, blocks."""

from dataclasses import dataclass

from torch import Tensor

from sparsewire.errors import RequestError
from sparsewire.structure.blocks import whole
from sparsewire.structure.patterns.contract import Grid, Pattern, Site


@dataclass(frozen=True)
class Neurons(Pattern):
    """Whole neurons: all weights into a neuron, or into an output channel; density is that of the neurons.

    In recurrent layers a neuron has one row for each gate, and they go together; the weights from the inputs and those
    from the neurons themselves are two junctions, each decided for itself.

    Example:
        >>> import torch
        >>> Neurons().pool(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), Site("weight", 2, 2))
        tensor([3., 7.])
    """

    def grid(self, site: Site) -> Grid:
        """One entry per neuron, its gates together."""
        return (site.rows // site.gates,)

    def pool(self, values: Tensor, site: Site) -> Tensor:
        """Sums over all inputs and gates of a neuron."""
        return values.reshape(site.gates, site.rows // site.gates, site.inputs).sum((0, 2))

    def spread(self, units: Tensor, site: Site) -> Tensor:
        """Every weight into a neuron has the neuron's entry."""
        # The gates are stacked one after the other, so the neurons' entries are tiled, not repeated row by row.
        return units.repeat(site.gates)[:, None].expand(site.rows, site.inputs)


@dataclass(frozen=True)
class Channels(Pattern):
    """Whole output channels of convolutions: all weights into a channel; density is that of the channels.

    Raises:
        RequestError: later, a weight is none of a convolution; `only` leaves it out.

    Example:
        >>> import torch
        >>> Channels().pool(torch.ones(2, 12), Site("weight", 2, 12, kernel=(2, 2)))
        tensor([12., 12.])

    Reference: Li et al. 2017, section 3.1 (filters).
    """

    def grid(self, site: Site) -> Grid:
        """One entry per output channel; the weight must be that of a convolution."""
        if not site.kernel:
            raise RequestError(
                f"pattern: {self} is for convolutions, but {site.name!r} is a matrix; leave it out with only=, such as "
                "only=lambda name, weight: weight.dim() > 2, or take the pattern Neurons()"
            )
        return (site.rows,)

    def pool(self, values: Tensor, site: Site) -> Tensor:
        """Sums over the whole kernel of a channel."""
        return values.sum(1)

    def spread(self, units: Tensor, site: Site) -> Tensor:
        """Every weight into a channel has the channel's entry."""
        return units[:, None].expand(site.rows, site.inputs)


@dataclass(frozen=True)
class Block(Pattern):
    """Blocks of `rows` outputs times `columns` inputs.

    Raises:
        RequestError: a size is not a positive whole number; later, a weight is not made of whole blocks.

    Example:
        >>> import torch
        >>> Block(1, 2).pool(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), Site("weight", 1, 4))
        tensor([[3., 7.]])
    """

    rows: int
    columns: int

    def __post_init__(self) -> None:
        whole("rows", self.rows, least=1)
        whole("columns", self.columns, least=1)

    def grid(self, site: Site) -> Grid:
        """One entry per block; the weight must be made of whole ones."""
        if site.rows % self.rows or site.inputs % self.columns:
            raise RequestError(
                f"pattern: {self} does not divide {site.name!r}, which has {site.rows} rows (outputs) and "
                f"{site.inputs} columns (inputs); choose divisors of these, or leave it out with only="
            )
        return (site.rows // self.rows, site.inputs // self.columns)

    def pool(self, values: Tensor, site: Site) -> Tensor:
        """Sums over each block."""
        down, across = self.grid(site)
        return values.reshape(down, self.rows, across, self.columns).sum((1, 3))

    def spread(self, units: Tensor, site: Site) -> Tensor:
        """Every weight in a block has the block's entry."""
        return units.repeat_interleave(self.rows, 0).repeat_interleave(self.columns, 1)

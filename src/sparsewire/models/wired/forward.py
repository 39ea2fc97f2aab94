"""The feed-forward network of a graph."""

import torch
from torch import Tensor, nn

from sparsewire.models.wired.network import Design, WiredNetwork, checked_design
from sparsewire.structure.graphs import NetGraph


class WiredForward(WiredNetwork):
    """A feed-forward network whose neurons and connections are those of a graph; logits out.

    With a dense map of the inputs x in layer 0, and σ the activation:

        merge="pre":  a⁰ = W x + b,    aˡ = σ(Σₛ (Wˢˡ ∘ Mˢˡ) aˢ + bˡ)
        merge="post": a⁰ = σ(W x + b), aˡ = Σₛ σ((Wˢˡ ∘ Mˢˡ) aˢ + bˢˡ)

    over the source layers s < l that have a block to layer l. All weights are dense here; `wired` gives the masks M
    with the network, and sets what they leave out to zero.

    The arguments, and what is raised, are those of `wired`; the cell is "relu" or "tanh".

    Example:
        >>> from scipy.sparse import csr_array
        >>> graph = NetGraph((2, 1), {(0, 1): csr_array([[1.0, 1.0]])})
        >>> network = WiredForward(graph, n_inputs=5, n_outputs=3, cell="tanh")
        >>> network(torch.zeros(4, 5)).shape, [tuple(cell.weight.shape) for cell in network.cells]
        (torch.Size([4, 3]), [(2, 5), (1, 2)])

    Reference:
        Properties of the hidden structures of sparse networks, definition 2 and section 4.3, whose sum starts at
        layer 1 in print; "post" is what its code does.
    """

    def __init__(
        self,
        graph: NetGraph,
        n_inputs: int,
        n_outputs: int,
        cell: str = "relu",
        merge: str = "pre",
        readout: str = "last_layer",
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        design = checked_design(Design(graph, n_inputs, n_outputs, cell, merge, readout), generator, recurrent=False)
        super().__init__(design, generator)

    def forward(self, input: Tensor) -> Tensor:
        """The logits, shape (batch, n_outputs).

        Args:
            input: shape (batch, n_inputs), or with more dimensions before the last.
        """
        return self._logits(self._layers(input))

    def _output(self, cell: nn.Module, input: Tensor, *, first: bool) -> Tensor:
        sums: Tensor = cell(input)
        if first and self.merge == "pre":
            return sums
        return torch.relu(sums) if self.cell == "relu" else torch.tanh(sums)

"""The recurrent network of a graph."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sparsewire.models.wired.native_states import last_states
from sparsewire.models.wired.network import Design, WiredNetwork, checked_design
from sparsewire.models.wired.sequences import checked_sequences
from sparsewire.structure.graphs import NetGraph


class WiredRecurrent(WiredNetwork):
    """A recurrent network whose neurons and connections of one step are those of a graph; logits of the last step.

    Every cell is a layer of torch's: a plain, gated or long short-term one, with the graph's masked weights from its
    input and dense ones from its own state. For plain cells:

        merge="pre":  h⁰ₜ = W xₜ + b,             hˡₜ = σ(Σₛ (Wˢˡ ∘ Mˢˡ) hˢₜ + bˡ + Uˡ hˡₜ₋₁ + cˡ)
        merge="post": h⁰ₜ = σ(W xₜ + b + U h⁰ₜ₋₁ + c), hˡₜ = Σₛ yˢˡₜ, yˢˡₜ = σ((Wˢˡ ∘ Mˢˡ) hˢₜ + bˢˡ + Uˢˡ yˢˡₜ₋₁ + cˢˡ)

    over the source layers s < l that have a block to layer l: with "post" every junction is a layer of its own, with
    a state of its own. All weights are dense here; `wired` gives the masks M with the network, and sets what they
    leave out to zero.

    The arguments, and what is raised, are those of `wired`; the cell is "rnn_tanh", "rnn_relu", "gru" or "lstm".

    Example:
        >>> from scipy.sparse import csr_array
        >>> graph = NetGraph((2, 1), {(0, 1): csr_array([[1.0, 1.0]])})
        >>> network = WiredRecurrent(graph, n_inputs=5, n_outputs=3, cell="gru", merge="post")
        >>> network(torch.zeros(4, 7, 5)).shape, network.cells
        (torch.Size([4, 3]), ModuleList(
          (0): GRU(5, 2, batch_first=True)
          (1): GRU(2, 1, batch_first=True)
        ))

    Reference:
        Properties of the hidden structures of sparse networks, definition 2 and section 4.3; σ is missing in print,
        and "post" is what its code does.
    """

    def __init__(
        self,
        graph: NetGraph,
        n_inputs: int,
        n_outputs: int,
        cell: str = "gru",
        merge: str = "pre",
        readout: str = "last_layer",
        *,
        gate_masks: str = "tiled",
        generator: torch.Generator | None = None,
    ) -> None:
        design = checked_design(Design(graph, n_inputs, n_outputs, cell, merge, readout, gate_masks), generator, True)
        super().__init__(design, generator)

    def forward(self, input: Tensor | PackedSequence, lengths: Tensor | None = None) -> Tensor:
        """The logits of each sequence after its last step, shape (batch, n_outputs).

        Args:
            input: shape (batch, steps, n_inputs), or a PackedSequence of such.
            lengths: whole numbers (batch,), the steps that count of each sequence; None: all.

        Raises:
            RequestError: the input has another number of dimensions, or lengths are given that cannot be.
        """
        input, lengths = checked_sequences(input, lengths)
        last_steps = last_states(self, input, lengths)
        if last_steps is not None:
            logits: Tensor = self.readout(last_steps.index_select(1, self.read))
            return logits
        layers = self._layers(input)
        if lengths is None:
            return self._logits([layer[:, -1] for layer in layers])
        rows, last = torch.arange(len(input), device=input.device), lengths.to(input.device) - 1
        return self._logits([layer[rows, last] for layer in layers])

    def _output(self, cell: nn.Module, input: Tensor, *, first: bool) -> Tensor:
        if first and self.merge == "pre":
            mapped: Tensor = cell(input)
            return mapped
        states: Tensor = cell(input)[0]
        return states

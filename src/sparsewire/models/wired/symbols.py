"""The recurrent network of a graph behind vectors of symbols: sequences of whole numbers in, logits out."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sparsewire.errors import RequestError
from sparsewire.models.sequence_classifier import lengths_of
from sparsewire.models.wired.cells import KINDS
from sparsewire.structure.blocks import checked_generator, whole


class WiredSequences(nn.Module):
    """A network that reads sequences, behind a trained vector for each symbol.

        logits = network(e(s₁), e(s₂), …, e(s_T))

    Padding is treated as `SequenceClassifier` does.

    Args:
        network: a recurrent one of `wired`, dense or sparse.
        symbols: how many different symbols there are, at least 1.
        padding: the symbol that fills up the shorter sequences of a batch; a sequence ends with its last other symbol.
            None: all steps count.
        reads_padding: whether all sequences of a batch end with its longest, so that the shorter ones' padding is read,
            as in the paper; the answer to one then depends on the others. Needs `padding`.
        generator: where the vectors are drawn from; None: the global seed, as PyTorch's constructor does.

    Raises:
        RequestError: the network reads no sequences, `symbols` is no whole number of at least 1, padding is none of
            them, or `reads_padding` goes without it.

    Example:
        >>> from scipy.sparse import csr_array
        >>> from sparsewire.models.wired import wired
        >>> from sparsewire.structure.graphs import NetGraph
        >>> graph = NetGraph((2, 1), {(0, 1): csr_array([[1.0, 1.0]])})
        >>> network, masks = wired(graph, n_inputs=2, n_outputs=2, cell="gru", merge="post")
        >>> model = WiredSequences(network, symbols=10, padding=0)
        >>> model(torch.tensor([[3, 1, 4, 0, 0], [2, 7, 1, 8, 2]])).shape, NetGraph.from_model(model)
        (torch.Size([2, 2]), NetGraph(2-1, 2 edges, density 1))

    Reference:
        Properties of the hidden structures of sparse networks, section 4.3, where the vectors are as wide as the graph
        has sources and the padding is read.
    """

    def __init__(
        self,
        network: nn.Module,
        symbols: int,
        padding: int | None = None,
        reads_padding: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        kind, width = KINDS.get(str(getattr(network, "cell", None))), getattr(network, "n_inputs", None)
        if not (isinstance(network, nn.Module) and isinstance(width, int) and kind is not None and kind.recurrent):
            raise RequestError(f"network: found {type(network).__name__}, expected a recurrent one of `wired`")
        count = whole("symbols", symbols, least=1)
        if padding is not None and (isinstance(padding, bool) or padding not in range(count)):
            raise RequestError(f"padding: found {padding!r}, expected None or one of the symbols, 0 to {count - 1}")
        if reads_padding and padding is None:
            raise RequestError("reads_padding: found True without padding, the symbol that is read")
        place = "cpu" if generator is None else "meta"  # where nothing is drawn
        self.embedding = nn.Embedding(count, width, device=place)
        if generator is not None:
            self.embedding = self.embedding.to_empty(device="cpu")
            nn.init.normal_(self.embedding.weight, generator=checked_generator(generator))
        self.network = network
        self.padding, self.reads_padding = padding, reads_padding

    def forward(self, input: Tensor | PackedSequence, lengths: Tensor | None = None) -> Tensor:
        """The logits, shape (batch, n_outputs).

        Args:
            input: int64 symbols (batch, steps), or a PackedSequence of such.
            lengths: whole numbers (batch,), the steps that count of each sequence; None: `padding` says, or all.

        Raises:
            RequestError: the input has another number of dimensions or no step, or lengths are given that cannot be.
        """
        if isinstance(input, PackedSequence):
            embedded = input._replace(data=self.embedding(input.data))
        else:
            if input.dim() != 2 or not input.shape[1]:
                raise RequestError(f"input: found shape {tuple(input.shape)}, expected (batch, steps ≥ 1) of symbols")
            if lengths is None and self.padding is not None and len(input):
                lengths = self.lengths(input)
                input = input[:, : int(lengths.max())]  # later steps change nothing that is read
                lengths = None if self.reads_padding else lengths
            embedded = self.embedding(input)
        logits: Tensor = self.network(embedded, lengths)
        return logits

    def lengths(self, symbols: Tensor) -> Tensor:
        """The place of each sequence's last symbol that is not padding, from 1; 1 where there is none.

        Args:
            symbols: int64, shape (batch, steps).
        """
        return lengths_of(symbols, self.padding)

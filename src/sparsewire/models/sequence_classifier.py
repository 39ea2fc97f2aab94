"""The recurrent classifier: sequences in, the last layer's last state read out, logits out."""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.recurrent_module import SparseRecurrent
from sparsewire.structure.blocks import whole

Inputs: TypeAlias = Tensor | PackedSequence

_CELLS: dict[str, Callable[..., nn.RNNBase]] = {"tanh": nn.RNN, "relu": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def lengths_of(symbols: Tensor, padding: int | None) -> Tensor:
    """The place of each sequence's last symbol that is not padding, from 1; 1 where there is none.

    Args:
        symbols: int64, shape (batch, steps).
        padding: the symbol that fills up; None: all steps count.

    Example:
        >>> lengths_of(torch.tensor([[1, 0, 3, 0], [0, 0, 0, 0]]), padding=0)
        tensor([3, 1])
    """
    if padding is None:
        return torch.full((len(symbols),), symbols.shape[1])
    places = torch.arange(1, symbols.shape[1] + 1, device=symbols.device)
    return ((symbols != padding) * places).amax(1).clamp_(min=1)


class SequenceClassifier(nn.Module):
    """Recurrent layers over each sequence, and a linear readout of the last layer's state after its last step.

    logits = W h_T + b, where h_T is the state of `recurrent` after the sequence's last step T, both directions' side by
    side. With `symbols`, the sequences are whole numbers, each of which stands for a vector that is trained.

    The layers are torch's own, so they can be masked, pruned, `sparsify`ed and saved like any others; `fit` trains the
    whole network, dense or sparse, in native steps without autograd where it can (`training.fused.choose`).

    Args:
        cell: "tanh" or "relu" (`nn.RNN`), "gru" or "lstm".
        inputs: features of a step: of the sequences, or of the vector of a symbol.
        hidden: units of each layer and direction.
        classes: how many logits.
        layers: recurrent layers on top of each other.
        symbols: how many different symbols there are; None: the sequences are (batch, steps, inputs) features.
        padding: the symbol that fills up the shorter sequences of a batch; a sequence ends with its last other symbol.
            None: all steps count.
        reads_padding: whether all sequences of a batch end with its longest, so that the shorter ones' padding is read,
            as in the paper; the answer to one then depends on the others. Needs `padding`.
        bias: whether the recurrent layers have biases.
        bidirectional: whether each layer also runs from the last step to the first.
        generator: where the weights are drawn from; None: the global seed, as PyTorch's constructors do.

    Raises:
        RequestError: a size is no positive whole number, or padding is no symbol.
        UnknownNameError: there is no such cell.

    Example:
        >>> model = SequenceClassifier("gru", 5, hidden=8, classes=2, layers=1, symbols=10, padding=0)
        >>> words = torch.tensor([[3, 1, 4, 0, 0], [2, 7, 1, 8, 2]])  # of three and of five symbols
        >>> model(words).shape, torch.allclose(model(words)[:1], model(words[:1, :3]), atol=1e-6)
        (torch.Size([2, 2]), True)

    Reference:
        Properties of the hidden structures of sparse networks, section 4.2: three layers of 50 behind vectors of 50.
        The paper's code reads the padding (`reads_padding`) and clips the gradients' norm at 5.
    """

    def __init__(
        self,
        cell: str,
        inputs: int,
        hidden: int = 50,
        classes: int = 2,
        layers: int = 3,
        *,
        symbols: int | None = None,
        padding: int | None = None,
        reads_padding: bool = False,
        bias: bool = True,
        bidirectional: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if cell not in _CELLS:
            raise UnknownNameError("cell", cell, _CELLS)
        sizes = {"inputs": inputs, "hidden": hidden, "classes": classes, "layers": layers}
        for name, size in sizes.items():
            whole(name, size, least=1)
        if padding is not None and not (symbols is not None and padding in range(symbols)):
            raise RequestError(f"padding: found {padding!r}, expected None or one of the {symbols or 'symbols'}")
        if reads_padding and padding is None:
            raise RequestError("reads_padding: found True without padding, the symbol that is read")
        options = {"nonlinearity": cell} if cell in ("tanh", "relu") else {}
        place = "cpu" if generator is None else "meta"  # where nothing is drawn
        self.embedding = None
        if symbols is not None:
            self.embedding = nn.Embedding(whole("symbols", symbols, least=1), inputs, device=place)
        self.recurrent = _CELLS[cell](
            inputs, hidden, layers, bias=bias, batch_first=True, bidirectional=bidirectional, device=place, **options
        )
        self.readout = nn.Linear(hidden * (1 + bidirectional), classes, device=place)
        self.padding, self.reads_padding = padding, reads_padding
        if generator is not None:
            self._draw(generator)

    def forward(self, input: Inputs, lengths: Tensor | None = None) -> Tensor:
        """The logits, shape (batch, classes).

        Args:
            input: int64 symbols (batch, steps), or features (batch, steps, inputs); or either as a PackedSequence.
            lengths: whole numbers (batch,), the steps that count of each sequence; None: `padding` says, or all.
        """
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise RequestError("lengths: found some with a PackedSequence, which has its own; leave them out")
        elif lengths is None and self.padding is not None:
            lengths = self.lengths(input)
            if self.reads_padding:
                input, lengths = input[:, : int(lengths.max())], None
        return self.readout(self._last_states(self._embedded(input), lengths))  # type: ignore[no-any-return]

    def lengths(self, symbols: Tensor) -> Tensor:
        """The place of each sequence's last symbol that is not padding, from 1; 1 where there is none.

        Args:
            symbols: int64, shape (batch, steps).

        Example:
            >>> SequenceClassifier("relu", 2, symbols=5, padding=0).lengths(torch.tensor([[1, 0, 3, 0], [0, 0, 0, 0]]))
            tensor([3, 1])
        """
        return lengths_of(symbols, self.padding)

    def _embedded(self, input: Inputs) -> Inputs:
        if self.embedding is None:
            return input
        if isinstance(input, PackedSequence):
            return input._replace(data=self.embedding(input.data))
        embedded: Tensor = self.embedding(input)
        return embedded

    def _last_states(self, input: Inputs, lengths: Tensor | None) -> Tensor:
        layer = self.recurrent
        if isinstance(layer, SparseRecurrent):
            _, state = layer(input, lengths=lengths)
        elif lengths is None or isinstance(input, PackedSequence):
            _, state = layer(input)
        else:
            _, state = layer(pack_padded_sequence(input, lengths.cpu(), batch_first=True, enforce_sorted=False))
        hn: Tensor = state[0] if isinstance(state, tuple) else state
        last = hn[-2:] if layer.bidirectional else hn[-1:]
        return last.transpose(0, 1).flatten(1)

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> None:
        """What PyTorch's constructors draw, in their order, so that one seed means one network either way."""
        self.to_empty(device="cpu")
        if self.embedding is not None:
            self.embedding.weight.normal_(generator=generator)
        bound = 1 / math.sqrt(self.recurrent.hidden_size)
        for parameter in self.recurrent.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
        nn.init.kaiming_uniform_(self.readout.weight, a=math.sqrt(5), generator=generator)
        bound = 1 / math.sqrt(self.readout.in_features)
        self.readout.bias.uniform_(-bound, bound, generator=generator)

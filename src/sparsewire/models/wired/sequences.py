"""The sequences that a recurrent network of a graph takes, in whichever form."""

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from sparsewire.errors import RequestError
from sparsewire.execution.recurrent_sequences import checked_lengths


def checked_sequences(input: Tensor | PackedSequence, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The steps of each sequence, shape (batch, steps, n_inputs), and how many of them count; None: all.

    Args:
        input: of that shape, or a PackedSequence of such.
        lengths: whole numbers (batch,); None: all steps, or what the PackedSequence says.

    Raises:
        RequestError: the input has another number of dimensions, or lengths are given that cannot be.

    Example:
        >>> import torch
        >>> steps, lengths = checked_sequences(torch.ones(2, 3, 1), torch.tensor([3, 1]))
        >>> steps.shape, lengths.tolist()
        (torch.Size([2, 3, 1]), [3, 1])
    """
    if isinstance(input, PackedSequence):
        if lengths is not None:
            raise RequestError("lengths: found some with a PackedSequence, which has its own; leave them out")
        input, lengths = pad_packed_sequence(input, batch_first=True)
    if input.dim() != 3:
        raise RequestError(f"input: found shape {tuple(input.shape)}, expected (batch, steps, n_inputs)")
    return input, checked_lengths(lengths, *input.shape[:2])

"""The sparse recurrent layers: RNN, GRU and LSTM over whole sequences."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sparsewire.errors import UnknownNameError
from sparsewire.execution.recurrent_module import SparseRecurrent, refuse


class SparseRNN(SparseRecurrent):
    """The simple recurrent layer, with the weights inside masks only.

    h_t = tanh(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh), or relu instead of tanh.

    Takes the place of `torch.nn.RNN`, with its parameter names, arguments and results, without dropout. The
    weights are 1-D Parameters of the live values. A whole sequence of all layers is one call, forward and backward.
    Gradients of gradients are not computed.

    Args:
        input_size: features of a step.
        hidden_size: units of a layer and direction, h.
        num_layers: layers on top of each other.
        nonlinearity: "tanh" or "relu".
        bias: whether there are biases.
        batch_first: whether input and output are (batch, steps, features) instead of (steps, batch, features).
        dropout: has to be 0.
        bidirectional: whether each layer also runs from the last step to the first.
        masks: own parameter name, as "weight_ih_l0", → bool, shape (h, inputs); of what is missing all exist.
        device: where the values are; None: torch's default.
        dtype: of the values; None: torch's default.
        generator: of the values; None: torch's own.

    Raises:
        RequestError: dropout, a mask that fits no weight, or no such size.

    Example:
        >>> mask = torch.rand(8, 8, generator=torch.Generator().manual_seed(0)) < 0.1
        >>> layer = SparseRNN(3, 8, masks={"weight_hh_l0": mask})
        >>> output, hn = layer(torch.ones(5, 2, 3), lengths=torch.tensor([5, 4]))
        >>> output.shape, hn.shape, bool((output[4, 1] == 0).all())
        (torch.Size([5, 2, 8]), torch.Size([1, 2, 8]), True)
    """

    dense_class = nn.RNN

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        masks: Mapping[str, Tensor] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise UnknownNameError("nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            kind=nonlinearity,
            masks=masks,
            device=device,
            dtype=dtype,
            generator=generator,
        )


class SparseGRU(SparseRecurrent):
    """The gated recurrent unit, with the weights inside masks only.

    r = σ(W_ir x + b_ir + W_hr h + b_hr), z = σ(W_iz x + b_iz + W_hz h + b_hz),
    n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h ← (1 − z) n + z h.

    Takes the place of `torch.nn.GRU`, with its parameter names, arguments and results, without dropout. The
    weights are 1-D Parameters of the live values. A whole sequence of all layers is one call, forward and backward.
    Gradients of gradients are not computed.

    Args:
        input_size: features of a step.
        hidden_size: units of a layer and direction, h.
        num_layers: layers on top of each other.
        bias: whether there are biases.
        batch_first: whether input and output are (batch, steps, features) instead of (steps, batch, features).
        dropout: has to be 0.
        bidirectional: whether each layer also runs from the last step to the first.
        masks: own parameter name, as "weight_ih_l0", → bool, shape (3h, inputs); of what is missing all exist.
        device: where the values are; None: torch's default.
        dtype: of the values; None: torch's default.
        generator: of the values; None: torch's own.

    Raises:
        RequestError: dropout, a mask that fits no weight, or no such size.

    Example:
        >>> mask = torch.rand(24, 8, generator=torch.Generator().manual_seed(0)) < 0.1
        >>> layer = SparseGRU(3, 8, masks={"weight_hh_l0": mask})
        >>> output, hn = layer(torch.ones(5, 2, 3), lengths=torch.tensor([5, 4]))
        >>> output.shape, hn.shape, bool((output[4, 1] == 0).all())
        (torch.Size([5, 2, 8]), torch.Size([1, 2, 8]), True)
    """

    dense_class = nn.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        masks: Mapping[str, Tensor] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            kind="gru",
            masks=masks,
            device=device,
            dtype=dtype,
            generator=generator,
        )


class SparseLSTM(SparseRecurrent):
    """The long short-term memory, with the weights inside masks only.

    i, f, o = σ(…), g = tanh(…), each of W_i· x + b_i· + W_h· h + b_h·; c ← f c + i g, h ← o tanh(c).

    Takes the place of `torch.nn.LSTM`, with its parameter names, arguments and results, without dropout and
    projections. The weights are 1-D Parameters of the live values. A whole sequence of all layers is one call, forward
    and backward. Gradients of gradients are not computed.

    Args:
        input_size: features of a step.
        hidden_size: units of a layer and direction, h.
        num_layers: layers on top of each other.
        bias: whether there are biases.
        batch_first: whether input and output are (batch, steps, features) instead of (steps, batch, features).
        dropout: has to be 0.
        bidirectional: whether each layer also runs from the last step to the first.
        proj_size: has to be 0.
        masks: own parameter name, as "weight_ih_l0", → bool, shape (4h, inputs); of what is missing all exist.
        device: where the values are; None: torch's default.
        dtype: of the values; None: torch's default.
        generator: of the values; None: torch's own.

    Raises:
        RequestError: dropout, a mask that fits no weight, or no such size.

    Example:
        >>> mask = torch.rand(32, 8, generator=torch.Generator().manual_seed(0)) < 0.1
        >>> layer = SparseLSTM(3, 8, masks={"weight_hh_l0": mask})
        >>> output, (hn, cn) = layer(torch.ones(5, 2, 3), lengths=torch.tensor([5, 4]))
        >>> output.shape, hn.shape, bool((output[4, 1] == 0).all())
        (torch.Size([5, 2, 8]), torch.Size([1, 2, 8]), True)
    """

    dense_class = nn.LSTM

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        masks: Mapping[str, Tensor] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        refuse("SparseLSTM", dropout, proj_size)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            kind="lstm",
            masks=masks,
            device=device,
            dtype=dtype,
            generator=generator,
        )

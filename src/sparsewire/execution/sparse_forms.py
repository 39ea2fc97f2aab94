"""Which layers of torch have a sparse form, and how it is made."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from sparsewire.execution.convolution import SparseConv2d
from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.recurrent import SparseGRU, SparseLSTM, SparseRNN
from sparsewire.execution.sparse_module import SparseModule

# Makes the sparse form of a module with masks by own parameter name; a RequestError where there is none.
SPARSE_FORMS: Mapping[type[nn.Module], Callable[[Any, Mapping[str, Tensor]], SparseModule]] = {
    nn.Linear: lambda module, masks: SparseLinear.from_dense(module, masks["weight"]),
    nn.Conv2d: lambda module, masks: SparseConv2d.from_dense(module, masks["weight"]),
    nn.RNN: SparseRNN.from_dense,
    nn.GRU: SparseGRU.from_dense,
    nn.LSTM: SparseLSTM.from_dense,
}

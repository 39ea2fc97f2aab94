"""torch's fused encoder layer, which takes weights out of its children instead of calling them.

A sparse child has no weight of the shape that it wants, so such a layer has to take its ordinary way.
"""

from typing import Any

from torch import nn

from sparsewire.execution.sparse_module import sparse_modules

_NOTE = "_sparsewire_fast_path"
_SWITCHES: dict[type[nn.Module], tuple[str, Any]] = {
    nn.TransformerEncoderLayer: ("activation_relu_or_gelu", 0),
    nn.TransformerEncoder: ("use_nested_tensor", False),
}


def avoid_fast_paths_(model: nn.Module) -> None:
    """Lets every encoder with sparse modules within call its children, in evaluation too.

    Example:
        >>> import torch
        >>> from sparsewire.execution.linear import SparseLinear
        >>> layer = nn.TransformerEncoderLayer(2, 1, 2, batch_first=True)
        >>> layer.linear1 = SparseLinear.from_dense(layer.linear1, torch.eye(2, dtype=torch.bool))
        >>> avoid_fast_paths_(layer)
        >>> layer.activation_relu_or_gelu
        0
    """
    for module in model.modules():
        for kind, (name, off) in _SWITCHES.items():
            if isinstance(module, kind) and _NOTE not in module.__dict__ and sparse_modules(module):
                module.__dict__[_NOTE] = getattr(module, name)
                setattr(module, name, off)


def allow_fast_paths_(model: nn.Module) -> None:
    """Undoes `avoid_fast_paths_`, once no module is sparse any more.

    Example:
        >>> layer = nn.TransformerEncoderLayer(2, 1, 2)
        >>> allow_fast_paths_(layer)
        >>> layer.activation_relu_or_gelu
        1
    """
    for module in model.modules():
        for kind, (name, _) in _SWITCHES.items():
            if isinstance(module, kind) and _NOTE in module.__dict__:
                setattr(module, name, module.__dict__.pop(_NOTE))

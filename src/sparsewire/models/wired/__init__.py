"""Networks wired by a graph: a NetGraph becomes a feed-forward or recurrent module, and the module the graph again.

The package bears the name of its function `wired`, its modules do not: take names from `sparsewire.models.wired`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsewire.models.wired.building import wired
    from sparsewire.models.wired.forward import WiredForward
    from sparsewire.models.wired.recurrent import WiredRecurrent
    from sparsewire.models.wired.symbols import WiredSequences
    from sparsewire.models.wired.wires import Wire

_HOMES = {
    "Wire": "wires",
    "WiredForward": "forward",
    "WiredRecurrent": "recurrent",
    "WiredSequences": "symbols",
    "wired": "building",
}

__all__ = ["Wire", "WiredForward", "WiredRecurrent", "WiredSequences", "wired"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"sparsewire.models.wired.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sparsewire.models.wired' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""The weights that a model stores as live values only, found by what their modules say of themselves.

A module that holds such weights has a mapping `junctions` from its own parameters' names to their connections. Nothing
else is asked here, as the modules themselves live above this room.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from sparsewire.errors import RequestError
from sparsewire.kernels.junctions import Junction


@dataclass(frozen=True)
class SparseWeight:
    """A weight matrix or kernel of which only the live values are stored, as a parameter of one dimension.

    Attributes:
        module: the sparse module that owns it.
        own: the parameter's name within the module.
    """

    module: Any
    own: str

    @property
    def values(self) -> nn.Parameter:
        """The live values, in the junction's order."""
        values: nn.Parameter = self.module.get_parameter(self.own)
        return values

    @property
    def junction(self) -> Junction:
        """Which weights exist."""
        junction: Junction = self.module.junctions[self.own]
        return junction

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the weight if it were dense: (out, in), or a kernel's."""
        return tuple(self.module.shape_of(self.own))

    def mask(self) -> Tensor:
        """Bool, in the weight's shape: True where a weight exists."""
        mask: Tensor = self.module.mask_of(self.own)
        return mask

    def dense(self, values: Tensor | None = None) -> Tensor:
        """In the weight's shape: zeros, and the live values, or other numbers in their order."""
        junction = self.junction
        numbers = self.values.detach() if values is None else values
        return junction.weight_of(numbers).view(self.shape)

    def matrix(self, gradient: Tensor | None = None) -> Tensor:
        """The dense form with a gradient as its `grad`: the one given, or that of the values, with zeros elsewhere."""
        matrix, own = self.dense(), self.values.grad
        matrix.grad = self.dense(own) if gradient is None and own is not None else gradient
        return matrix

    def values_of(self, dense: Tensor) -> Tensor:
        """Of a tensor in the weight's shape what stands where a weight exists, in the order of the values."""
        junction = self.junction
        return junction.values_of(dense.reshape(junction.outputs, junction.inputs))


def sparse_weights(model: nn.Module) -> dict[str, SparseWeight]:
    """The sparse weights of a model by every name under which `named_parameters` knows them.

    Raises:
        RequestError: two modules share the values of one; each would move them without the other.

    Example:
        >>> sparse_weights(nn.Linear(2, 3))
        {}
    """
    found: dict[int, SparseWeight] = {}
    for module in model.modules():
        junctions = junctions_of(module)
        for own, values in module.named_parameters(recurse=False) if junctions else ():
            if own not in junctions:
                continue
            if id(values) in found:
                raise RequestError(
                    f"model: found a sparse weight {own!r} whose values two modules share, expected a module of its "
                    "own for each; share the module, or the dense weight"
                )
            found[id(values)] = SparseWeight(module, own)
    if not found:
        return {}
    every = model.named_parameters(remove_duplicate=False)
    return {name: found[id(values)] for name, values in every if id(values) in found}


def refuse_hidden_edges(model: nn.Module) -> None:
    """Refuses a model with live weights that are no weight of `maskable`: classes name them in `hidden_edges`.

    Raises:
        RequestError: there are some; else they would be passed over, and only the layers around them be pruned.

    Example:
        >>> refuse_hidden_edges(nn.Linear(2, 3))
    """
    for path, module in model.named_modules():
        # Of the class: a stranger's layer may well count its edges under the same name.
        for own in getattr(type(module), "hidden_edges", ()):
            name, kind = f"{path}.{own}".removeprefix("."), type(module).__name__
            raise RequestError(
                f"model: found {name!r}, the edges of a {kind}, which are no matrix that can be pruned; prune the "
                "dense form, wired(…, sparse=False), or make a network of "
                "fewer edges from NetGraph.from_model(model).strongest(edges); only= prunes its other layers alone"
            )


def junctions_of(module: nn.Module) -> Mapping[str, Junction]:
    """The connections of a module's sparse weights by their own names; none, if it is no sparse module.

    Example:
        >>> junctions_of(nn.Linear(2, 3))
        {}
    """
    junctions = getattr(module, "junctions", None)
    return junctions if isinstance(junctions, Mapping) and hasattr(module, "mask_of") else {}

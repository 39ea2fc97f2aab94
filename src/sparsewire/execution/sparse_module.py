"""Modules that hold the values of their live weights only."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.index_arrays import PARTS, arrays_of, check_mask, checked_junction, origin_of, seal_of
from sparsewire.kernels.junctions import Junction, junction_of


class SparseModule(nn.Module):
    """A module some of whose weights exist in part: each is a 1-D Parameter of the live values beside index buffers.

    The Parameter bears the weight's usual name, so optimizers, their memory and `named_parameters` see it as ever. The
    indices are persistent buffers `<name>_columns`, `<name>_starts` and `<name>_layout` (outputs, inputs, block,
    group): they travel with the `state_dict`, and loading one adopts its structure. The columns, which are int16, are
    kept as bytes, as torch.distributed broadcasts no int16.

    A subclass calls `register_sparse` for each such weight and `junction(name)` in its forward.

    Attributes:
        wants_dense_gradients: while True, each backward adds to `dense_gradients` what the gradient of the dense
            weights would be; rules that grow connections by gradient ask for it.
        dense_gradients: parameter name → gradient in the weight's own shape.

    Example:
        >>> from sparsewire.execution.linear import SparseLinear
        >>> layer = SparseLinear(3, 2, torch.tensor([[True, False, True], [False, False, True]]))
        >>> layer.junctions
        {'weight': Junction(2 × 3, 3 weights, density 0.5)}
        >>> list(layer.state_dict())
        ['weight', 'bias', 'weight_columns', 'weight_starts', 'weight_layout']
    """

    wants_dense_gradients: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.dense_gradients: dict[str, Tensor] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._layouts: dict[str, tuple[int, int, int]] = {}  # block, group, count; reading a buffer breaks a trace
        self._seals: dict[str, int] = {}  # by which it is noticed if others write into the index buffers
        self._known: dict[str, tuple[Tensor, Junction, int]] = {}  # the last: how often they had been written into

    @property
    def junctions(self) -> Mapping[str, Junction]:
        """Own parameter name → which of its weights exist, for every sparse weight."""
        return {name: self.junction(name) for name in self._shapes}

    def junction(self, name: str) -> Junction:
        """Which weights of one parameter exist, in the order of its values; made from the buffers.

        Raises:
            UnknownNameError: no sparse weight is so named.
            RequestError: somebody wrote other numbers into the buffers, as an average of buffers does.
        """
        shape = self.shape_of(name)
        buffers = self._buffers
        columns, starts = buffers[f"{name}_columns"], buffers[f"{name}_starts"]
        assert columns is not None
        assert starts is not None
        known, watches = self._known.get(name), not torch.compiler.is_compiling() and not columns.is_inference()
        written = columns._version + starts._version if watches else 0
        if known is not None and known[0] is columns and known[1].starts is starts and known[2] == written:
            return known[1]
        if not is_observed() and not columns.is_meta and seal_of(columns, starts) != self._seals[name]:
            raise RequestError(
                f"index buffers of sparse weight {name!r}: found other numbers than this module put there; give it "
                "another structure by load_state_dict or restructure_, and leave these buffers out of averages (EMA)"
            )
        block, group, count = self._layouts[name]
        outputs, inputs = shape[0], math.prod(shape[1:])
        made = Junction(outputs, inputs, block, group, columns.view(torch.int16), starts, count)
        if not is_observed():  # the tensors of a trace or a transform must not outlive it
            self._known[name] = (columns, made, written)
        return made

    def register_sparse(
        self,
        name: str,
        mask: Tensor,
        weight: Tensor | None = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Adds a sparse weight: for the subclass's `__init__`.

        Args:
            name: of the Parameter.
            mask: bool, in the weight's own shape (outputs, …), True where a weight exists.
            weight: the dense weight whose live values it gets, with its `requires_grad`; None: zeros.
            device: without a weight: where the values are.
            dtype: without a weight: that of the values.

        Raises:
            RequestError: the mask is no bool tensor of the weight's shape.
        """
        check_mask(name, mask, None if weight is None else tuple(weight.shape))
        junction = junction_of(mask.detach().flatten(1))
        if weight is None:
            values = torch.zeros(junction.count, device=device, dtype=dtype)
        else:
            values = junction.values_of(weight.detach().flatten(1)).clone()
        requires_grad = weight is None or weight.requires_grad
        self._shapes[name] = tuple(mask.shape)
        self.register_parameter(name, nn.Parameter(values, requires_grad=requires_grad))
        for part, array in arrays_of(junction).items():
            self.register_buffer(f"{name}_{part}", array)
        self._go_over(name, junction, values)

    def register_copy(self, name: str, parameter: Tensor | None) -> None:
        """Adds a copy of an ordinary parameter, with its `requires_grad`, or None: for the subclass's `__init__`."""
        made = None if parameter is None else nn.Parameter(parameter.detach().clone(), parameter.requires_grad)
        self.register_parameter(name, made)

    def copy_of(self, name: str) -> nn.Parameter | None:
        """A copy of an own ordinary parameter, or None."""
        parameter = self._parameters[name]
        return None if parameter is None else nn.Parameter(parameter.detach().clone(), parameter.requires_grad)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape that the dense weight of this name would have."""
        if name not in self._shapes:
            raise UnknownNameError("sparse weight", name, self._shapes)
        return self._shapes[name]

    def mask_of(self, name: str) -> Tensor:
        """Bool, in the shape of the dense weight: True where a weight exists."""
        return self._placed(name).mask().view(self.shape_of(name))

    def dense_weight(self, name: str) -> Tensor:
        """The dense weight, detached: the live values, and zeros elsewhere."""
        junction = self._placed(name)
        return junction.weight_of(self._values(name).detach()).view(self.shape_of(name))

    def restructure_(self, name: str, mask: Tensor) -> Tensor:
        """Goes over to another mask in place: common weights keep their values, new ones begin at zero.

        The Parameter stays the same object with new values, and its gradient goes. Optimizer memory of the old size
        has to be carried over with what is returned.

        Args:
            name: of the sparse weight.
            mask: bool, in the shape of the dense weight.

        Returns:
            origin: int64, shape (new count,): the old position of each value among the values, −1 for a new one.

        Raises:
            RequestError: no such weight, or the mask is not of its shape; then nothing was changed.

        Example:
            >>> from sparsewire.execution.linear import SparseLinear
            >>> layer = SparseLinear(2, 1, torch.tensor([[False, True]]))
            >>> layer.restructure_("weight", torch.tensor([[True, True]]))
            tensor([-1,  0])
        """
        check_mask(name, mask, self.shape_of(name))
        old, parameter = self._placed(name), self._values(name)
        junction = junction_of(mask.detach().flatten(1)).to(parameter.device)
        origin = origin_of(old.positions(), junction.positions())
        values = parameter.detach().new_zeros(junction.count)
        values[origin >= 0] = parameter.detach()[origin[origin >= 0]]
        self._go_over(name, junction, values)
        return origin

    def note_dense_gradient(self, name: str, gradient: Tensor) -> None:
        """Adds to `dense_gradients[name]`; the gradient in any shape of as many numbers as the dense weight has."""
        gradient = gradient.detach().reshape(self.shape_of(name)).to(self.get_parameter(name).dtype)
        known = self.dense_gradients.get(name)
        self.dense_gradients[name] = gradient if known is None else known + gradient

    def watch_dense_gradient(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """Sees to it, where it is wanted, that the backward of y = x Wᵀ + b notes dL/dW = (dL/dy)ᵀ x; returns y."""
        parameter = self.get_parameter(name)
        if not (self.wants_dense_gradients and parameter.requires_grad and y.requires_grad):
            return y
        x = x.detach()

        def note(gradient: Tensor) -> None:
            rows = gradient.reshape(-1, gradient.shape[-1]).to(parameter.dtype)
            self.note_dense_gradient(name, rows.t() @ x.reshape(-1, x.shape[-1]).to(parameter.dtype))

        y.register_hook(note)  # type: ignore[no-untyped-call]
        return y

    def clear_dense_gradients(self) -> None:
        """Forgets the noted dense gradients."""
        self.dense_gradients.clear()

    def to_dense(self) -> nn.Module:
        """The ordinary torch module with the same weights, and zeros where none exist."""
        raise NotImplementedError(f"{type(self).__name__} has no dense form")

    def _values(self, name: str) -> nn.Parameter:
        """The live values, if they are a parameter."""
        parameter = self._parameters.get(name)
        if parameter is None:
            raise RequestError(
                f"sparse weight {name!r}: found it computed from another tensor, expected a parameter; remove its "
                "parametrization (or weight norm, or torch's pruning) first"
            )
        return parameter

    def _placed(self, name: str) -> Junction:
        """The junction, if its arrays have content."""
        junction = self.junction(name)
        if junction.columns.is_meta:
            raise RequestError(
                f"sparse weight {name!r}: found it on the meta device, which does not keep where its weights are; "
                "move it to another device and load a state first"
            )
        return junction

    def _go_over(self, name: str, junction: Junction, values: Tensor) -> None:
        parameter = self._values(name)
        parameter.grad = None
        # A graph that somebody holds, be it by a loss, keeps the node that adds to `.grad`. It knows the old size, and
        # torch makes a new one only where the dtype or the device changes.
        other = torch.float64 if values.dtype == torch.float32 else torch.float32
        parameter.data = values.new_empty(0, dtype=other)
        parameter.data = values
        arrays = arrays_of(junction)
        self._layouts[name] = (junction.block, junction.group, junction.count)
        self._seals[name] = seal_of(arrays["columns"], arrays["starts"])
        for part, array in arrays.items():
            self._buffers[f"{name}_{part}"] = array.to(values.device)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Adopts the structures that come with the values, all or none, before torch copies them."""
        found = {}
        for name, shape in self._shapes.items():
            keys = (name, *(f"{name}_{part}" for part in PARTS))
            tensors = [state_dict.get(prefix + key) for key in keys]
            if any(tensor is not None for tensor in tensors):  # else torch says what is missing
                found[name] = checked_junction(prefix + name, shape, *tensors)
        for name, junction in found.items():
            old = self._values(name)
            same = old.numel() == junction.count
            self._go_over(name, junction, old.data if same else old.detach().new_empty(junction.count))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "SparseModule":
        """Moves everything, but the index arrays keep their content: kernels read memory at these places.

        `Module.type` would convert them, and `to_empty` would leave in them what the memory held.
        """
        before = self.junctions
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, old in before.items():
            starts = self.get_buffer(f"{name}_starts")
            if old.starts.is_meta and not starts.is_meta:  # then no weight exists until a state is loaded
                none = (
                    old.columns.new_empty(0, device=starts.device),
                    torch.zeros_like(old.starts, device=starts.device),
                )
                nothing = Junction(old.outputs, old.inputs, old.block, old.group, *none, 0)
                self._go_over(name, nothing, self._values(name).detach().new_empty(0))
            elif starts is not old.starts:
                for part, array in arrays_of(old).items():
                    self._buffers[f"{name}_{part}"] = array.to(starts.device)
        return self

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return {**state, "_known": {}}  # a copy or a pickle makes its own


def is_observed() -> bool:
    """Whether torch.compile, torch.export, torch.func or a dispatch mode looks on, with tensors of its own.

    Example:
        >>> is_observed(), torch.func.vmap(lambda x: x + is_observed())(torch.zeros(1))
        (False, tensor([1.]))
    """
    return bool(
        torch.compiler.is_compiling()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack()
    )


def sparse_modules(model: nn.Module) -> dict[str, SparseModule]:
    """Every sparse module of a model by its name, a shared one once; the model itself is named "".

    Example:
        >>> from sparsewire.execution.linear import SparseLinear
        >>> list(sparse_modules(nn.Sequential(nn.ReLU(), SparseLinear(2, 2, torch.eye(2).bool()))))
        ['1']
    """
    if not isinstance(model, nn.Module):
        raise RequestError(f"model: found {type(model).__name__}, expected a torch module")
    return {name: module for name, module in model.named_modules() if isinstance(module, SparseModule)}

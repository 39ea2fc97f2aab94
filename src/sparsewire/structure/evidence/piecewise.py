"""Whether a network is piecewise linear in every single weight: proven from its modules, or not.

The Gauss–Newton form of the Hessian's diagonal is exact where the outputs are piecewise linear in each weight by
itself, and where each row of outputs comes from the same row of inputs alone. Both follow if

    - the model's forward can be traced (`torch.fx`) into calls of the modules and functions listed here and of nothing
      else: sums, concatenations and other linear maps, maxima, and activations made of straight pieces;
    - no module that holds a weight is called twice and no weight is tied: w in series with itself is a w²;
    - every value in between has one row per sample, seen on inputs of two and of three samples.

What calls anything else (tanh, softmax, a product of two activations, branches that depend on the data, hooks, a
forward that was replaced) is not proven, though it may be true.
"""

import operator
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)  # those whose weights the Gauss-Newton form knows
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_MODULES = {
    *LAYERS,
    *_NORMS,  # linear in eval mode, with stored statistics
    *(nn.Identity, nn.Flatten, nn.Unflatten),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),  # nothing in eval mode
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.Hardtanh, nn.Hardsigmoid),
    *(nn.Threshold, nn.Hardshrink, nn.Softshrink),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReplicationPad2d),
}
_FUNCTIONS: set[Any] = {
    *(operator.add, operator.sub, operator.iadd, operator.isub, operator.neg, operator.getitem),
    *(torch.add, torch.sub, torch.neg, torch.cat, torch.maximum, torch.minimum, torch.clamp, torch.abs),
    *(torch.relu, torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze, torch.mean, torch.sum),
    *(functional.relu, functional.relu6, functional.leaky_relu, functional.hardtanh, functional.threshold),
    *(functional.hardsigmoid, functional.pad),
    *(functional.max_pool1d, functional.max_pool2d, functional.max_pool3d),
    *(functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d),
    *(functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d),
    *(functional.adaptive_max_pool1d, functional.adaptive_max_pool2d, functional.adaptive_max_pool3d),
}
_METHODS = {
    *("add", "add_", "sub", "sub_", "neg", "relu", "relu_", "clamp", "clamp_", "clamp_min", "abs", "mean", "sum"),
    *("flatten", "view", "reshape", "squeeze", "unsqueeze", "contiguous", "clone", "size", "dim"),
}
_BY_A_NUMBER = {operator.mul, operator.truediv, operator.imul, operator.itruediv, torch.mul, torch.div, "mul", "div"}
_OF_SIZES = {operator.add, operator.sub, operator.mul, operator.mod, operator.floordiv, operator.neg, operator.getitem}


def why_unproven(model: nn.Module, weights: Mapping[str, nn.Parameter], inputs: Any) -> str | None:
    """None where the model is proven to be piecewise linear in each of the weights; else what stands in the way.

    Args:
        model: in eval mode.
        weights: those that matter, by name.
        inputs: of at least one sample, to run what was traced.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
        >>> why_unproven(model, dict(model.named_parameters()), torch.ones(1, 3)) is None
        True
        >>> model[1] = nn.Tanh()
        >>> why_unproven(model, dict(model.named_parameters()), torch.ones(1, 3))
        "'1' is a Tanh"
    """
    if not isinstance(inputs, Tensor) or not inputs.dim():
        return "the inputs are not one tensor"
    root = nn.Sequential(model)  # so that a model that is a single layer is called, and not looked into
    if any(map(_is_changed, model.modules())):
        return "a module has hooks or a forward of its own"
    try:
        graph = fx.Tracer().trace(root)
    except Exception as cause:  # noqa: BLE001 - whatever the model's own code does with placeholders
        return f"its forward cannot be traced ({type(cause).__name__})"
    if reason := _foreign_call(root, graph) or _repeated_weight(root, graph, weights):
        return reason
    for count in (2, 3):  # a dimension that happens to be as long as one batch cannot be as long as both
        rows = inputs.detach()[torch.arange(count, device=inputs.device) % len(inputs)]
        try:
            with torch.no_grad():
                _Rowwise(root, graph, count).run(rows)
        except Exception as cause:  # noqa: BLE001 - as above
            said = str(cause).partition("\n")[0] or type(cause).__name__
            return f"its samples are not kept apart ({said})"
    return None


def _is_changed(module: nn.Module) -> bool:
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks) or "forward" in vars(module)


def _foreign_call(root: nn.Module, graph: fx.Graph) -> str | None:
    for node in graph.nodes:
        if node.op == "call_module":
            module = root.get_submodule(str(node.target))
            if type(module) not in _MODULES or (isinstance(module, _NORMS) and module.running_mean is None):
                return f"{str(node.target).removeprefix('0.')!r} is a {type(module).__name__}"
        elif node.op in ("call_function", "call_method") and not _is_piecewise(node):
            name = getattr(node.target, "__name__", str(node.target))
            return f"its forward calls {name!r}"
    return None


def _is_piecewise(node: fx.Node) -> bool:
    target: str | Callable[..., Any] = node.target
    if _is_size(node):
        return True
    if target in _BY_A_NUMBER:
        numbers = [isinstance(factor, int | float) for factor in [*node.args, *node.kwargs.values()]]
        return all(numbers[1:]) or (target in (operator.mul, torch.mul) and numbers == [True, False])
    if target is functional.dropout:
        return node.kwargs.get("training") is False
    if target in (torch.mean, torch.sum, "mean", "sum"):
        return _leaves_rows(node)
    return target in _METHODS if isinstance(target, str) else target in _FUNCTIONS


def _is_size(node: object) -> bool:
    """Whether a value is a shape, a number of a shape, or computed from such."""
    if not isinstance(node, fx.Node):
        return isinstance(node, int)
    if node.target is getattr:
        return node.args[1] == "shape"
    if node.target in ("size", "dim"):
        return node.op == "call_method"
    # A slice is none, so that what is cut out of a tensor stays a tensor.
    return node.target in _OF_SIZES and all(map(_is_size, node.args))


def _leaves_rows(node: fx.Node) -> bool:
    """Whether a mean or a sum is over dimensions that are not the samples', counted from the front or surely behind."""
    dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    listed = dims if isinstance(dims, tuple | list) else [dims]
    # Negative ones that reach the first dimension are found when the graph runs: rows are missing then.
    return bool(listed) and all(isinstance(dim, int) and dim != 0 for dim in listed)


def _repeated_weight(root: nn.Module, graph: fx.Graph, weights: Mapping[str, nn.Parameter]) -> str | None:
    uses: Counter[int] = Counter()
    for node in graph.nodes:
        if node.op == "call_module":
            uses.update(map(id, root.get_submodule(str(node.target)).parameters()))
        elif node.op == "get_attr":
            uses.update([id(operator.attrgetter(str(node.target))(root))])
    for name, weight in weights.items():
        if uses[id(weight)] > 1:
            return f"{name!r} is used more than once"
    return None


class _Rowwise(fx.Interpreter):
    """Runs a graph and insists that each tensor in between has one row per sample."""

    def __init__(self, root: nn.Module, graph: fx.Graph, rows: int) -> None:
        super().__init__(root, graph=graph)
        self.rows = rows

    def run_node(self, n: fx.Node) -> Any:
        """The node's value."""
        value = super().run_node(n)
        is_tensor = n.op.startswith("call") and isinstance(value, Tensor)
        if is_tensor and (not value.dim() or len(value) != self.rows):
            raise ValueError(f"{n.name} has shape {tuple(value.shape)} for {self.rows} samples")
        return value

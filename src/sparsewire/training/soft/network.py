"""A network whose weights stay and whose scores are learned."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.masks import Masks, maskable
from sparsewire.structure.selection import Only, selected
from sparsewire.structure.sparse_weights import sparse_weights
from sparsewire.training.soft.contract import SoftMask, only_kept


class SoftNetwork(nn.Module):
    """A model seen through soft masks: in train mode softened, in eval mode as the ordinary network it stands for.

    Its parameters with a gradient are the scores alone. The model is called by `torch.func.functional_call`: it is
    neither patched nor changed, but for its buffers (such as running statistics), which follow the training.

    Args:
        model: any module; its own parameters never get a gradient here.
        method: what the masks are.
        weights: name → the values that the masked weights have here, in their shape; the model's own if None.
        only: which weights are masked, as for `prune`, each as a whole.
        generator: what starts and masks are drawn from.

    Raises:
        RequestError: there is no such weight, one is stored sparse, or a part of a stacked one is meant.

    Example:
        >>> from sparsewire.training.soft.top_scores import TopScores
        >>> method = TopScores({"0.weight": 3})
        >>> network = SoftNetwork(nn.Sequential(nn.Linear(4, 2)), method, generator=torch.Generator().manual_seed(0))
        >>> [name for name, _ in network.named_parameters() if "scores" in name], network.masks().count
        (['scores.0/weight'], 3)
    """

    def __init__(
        self,
        model: nn.Module,
        method: SoftMask,
        *,
        weights: Mapping[str, Tensor] | None = None,
        only: Only | None = None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        own = whole_weights(model, only)
        self._method, self._generator = method, generator
        self._keys = {name: name.replace(".", "/") for name in own}  # no name within a module may have dots
        self.scores = nn.ParameterDict(
            {key: nn.Parameter(method.begin(name, own[name].detach(), generator)) for name, key in self._keys.items()}
        )
        self.model = model
        # As buffers they are part of the state, so that a training that goes on has them from where it was kept.
        for name, values in _checked_values(weights or {}, own).items():
            self.register_buffer(f"weights of {self._keys[name]}", values)

    def forward(self, *inputs: Any) -> Any:
        """The model's outputs."""
        tensors = {name: parameter.detach() for name, parameter in self.model.named_parameters()}
        return functional_call(self.model, tensors | self._seen(), inputs)

    def scores_by_name(self) -> dict[str, Tensor]:
        """Weight name → its scores, without gradient."""
        return {name: self.scores[key].detach() for name, key in self._keys.items()}

    def weights_by_name(self) -> dict[str, Tensor]:
        """Weight name → the values that it has here, before any mask."""
        buffers, own = self._buffers, maskable(self.model)
        kept = {name: buffers.get(f"weights of {key}") for name, key in self._keys.items()}
        return {name: own[name].detach() if values is None else values for name, values in kept.items()}

    @torch.no_grad()
    def masks(self) -> Masks:
        """The masks that the scores stand for now; weights that are not masked keep all."""
        decided = {
            name: self._method.decide(name, scores, self._generator) for name, scores in self.scores_by_name().items()
        }
        return Masks({**Masks.from_model(self.model), **decided})

    def _seen(self) -> dict[str, Tensor]:
        """The masked weights as a forward pass sees them."""
        seen = {}
        for name, weight in self.weights_by_name().items():
            scores = self.scores[self._keys[name]]
            if self.training:
                seen[name] = self._method.soften(name, weight, scores, self._generator)
            else:
                mask = self._method.decide(name, scores.detach(), self._generator)
                seen[name] = only_kept(weight * self._method.factor(mask), mask)
        return seen


def _checked_values(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the values, where the weights are."""
    values = {}
    for name, tensor in weights.items():
        if name not in own:
            raise UnknownNameError("masked weight", str(name), own)
        if not isinstance(tensor, Tensor) or tensor.shape != own[name].shape:
            found = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise RequestError(
                f"weights[{name!r}]: found {found}, expected shape {tuple(own[name].shape)}, the weight's"
            )
        values[name] = torch.empty_like(own[name].detach()).copy_(tensor.detach())
    return values


def whole_weights(model: nn.Module, only: Only | None) -> dict[str, nn.Parameter]:
    """The weights that soft masks are about, all or those that are meant, by name in the model's order.

    Raises:
        RequestError: there is no such weight, one is stored sparse, or a part of a stacked one is meant.

    Example:
        >>> list(whole_weights(nn.LSTM(3, 2), "h2h"))
        ['weight_hh_l0']
    """
    weights, sparse = maskable(model), sparse_weights(model)
    if not weights:
        raise RequestError("model: found no weights that can be masked (of Linear, Conv, recurrent, attention layers)")
    meant = selected(weights, only)
    for name, parts in meant.items():
        if parts is not None:
            raise RequestError(
                f"only: found a part of {name!r}, expected whole weights, which soft masks are of; try {name!r} itself"
            )
        if name in sparse:
            raise RequestError(
                f"model: found a sparse layer, whose weight {name!r} has no scores where it stores nothing, expected "
                "dense ones; call densify(model) first"
            )
    return {name: weights[name] for name in meant}

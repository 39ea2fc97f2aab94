"""The native whole-network step on a model's own tensors: its weights, and the memory that its torch optimizer has."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from sparsewire.execution.linear import SparseLinear
from sparsewire.execution.sparse_module import SparseModule
from sparsewire.kernels.junctions import Junction, junction_of
from sparsewire.kernels.network_step import NetworkStep, Steps
from sparsewire.kernels.recurrent_step import RecurrentStep
from sparsewire.kernels.whole_steps import Job, StepLayer, Taken, Trainee, Update, run_steps
from sparsewire.kernels.wired_step import WiredStep
from sparsewire.training.chains import Chain, sides
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.recurrent_steps import Recurrent, recurrent_step, sequences_of
from sparsewire.training.wired_steps import Wired, wired_sequences, wired_step

# A model that native steps can train.
Form: TypeAlias = Chain | Recurrent | Wired

# A dense layer with more inputs would not be one block, and its values not in the order of its own memory.
LARGEST_DENSE = 16384
_LARGEST_BLOCK = 2048
_GROUPED = 0.6  # the density from which groups of rows are no slower than rows by themselves


class Structure(NamedTuple):
    """Which weights of a layer take part.

    Args:
        source: the mask or the junction that it was made of; None: all weights.
        junction: the connections.
        places: of each live value where it lies in the flattened weight; None: in the weight's own order.
    """

    source: Tensor | Junction | None
    junction: Junction
    places: Tensor | None


class _Loan(NamedTuple):
    """Numbers that the kernel changes, and the tensor whose live part they are: the same memory, if without places."""

    home: Tensor
    numbers: Tensor
    places: Tensor | None


class NativeSteps:
    """A network and its optimizer, ready for native steps; made after the optimizer's first step has made its memory.

    Weights and memory are changed in place, where their order serves. Of dense weights under masks the live part is
    lent; `account` brings it home, and until then the model is as it was.

    Args:
        form: the model, as a chain or a recurrent classifier, perhaps one that is wired by a graph.
        optimizer: SGD, Adam or AdamW, by itself or in a SparseOptimizer; or None, for gradients alone.
        known: structures by the weights' identity, from the last time; new ones are added.
        many: whether so many samples follow that it pays to lend values of sparse layers in the fastest order too.
        clip_norm: the largest norm of all gradients, for recurrent classifiers; None: any.

    Example:
        >>> from sparsewire.kernels import native
        >>> from sparsewire.training.chains import chain_of
        >>> model = nn.Sequential(nn.Linear(2, 2))
        >>> if native.is_at_hand():
        ...     steps = NativeSteps(chain_of(model), None, {})
        ...     assert steps.batch(torch.ones(1, 2), torch.tensor([0])).steps == 1
    """

    def __init__(
        self,
        form: Form,
        optimizer: Optimizer | None,
        known: dict[int, Structure],
        many: bool = False,
        clip_norm: float | None = None,
    ) -> None:
        self._form, self._optimizer, self._known, self._many = form, optimizer, known, many
        self._inner = optimizer.inner if isinstance(optimizer, SparseOptimizer) else optimizer
        self._groups = {} if self._inner is None else _groups_of(self._inner)
        self._masks = _masks_of(optimizer)
        self._loans: list[_Loan] = []
        self.network, self._parameters = self._made(clip_norm)
        self.renew()

    @property
    def lends(self) -> bool:
        """Whether some numbers are copies, which do not see when somebody else changes the weights."""
        return any(loan.places is not None for loan in self._loans)

    @property
    def gradients(self) -> list[tuple[Tensor, Tensor]]:
        """The parameters that are trained, each with the gradient of the last batch, flattened."""
        found = self.network.gradients
        flat = [part for pair in found for part in (pair if isinstance(pair, tuple) else (pair,))]
        pairs = zip(self._parameters, flat, strict=True)
        return [(parameter, part) for parameter, part in pairs if parameter is not None and part is not None]

    def renew(self) -> None:
        """Takes over learning rates and step counts as they are now."""
        for row, parameter in zip(self.network.settings, self._parameters, strict=True):
            group = self._groups.get(id(parameter))
            if group is not None and parameter is not None and self._inner is not None:
                row.copy_(torch.tensor(_settings(group, self._inner.state.get(parameter, {})), dtype=torch.float64))

    def account(self, taken: int) -> None:
        """Brings home what was lent, and tells the optimizer how many steps were taken."""
        for home, numbers, places in self._loans:
            if places is not None:
                home.view(-1)[places] = numbers
        for parameter in self._parameters:
            if parameter is not None and self._inner is not None and parameter.requires_grad:
                step = self._inner.state.get(parameter, {}).get("step")
                if step is not None:
                    step += taken
        if isinstance(self._optimizer, SparseOptimizer):
            self._optimizer._steps += taken

    def batch(self, inputs: Tensor, labels: Tensor) -> Taken:
        """Takes one step, on a batch's inputs and labels."""
        count = len(labels)
        return run_steps([self.job(inputs, labels, torch.arange(count), torch.tensor([0, count]))], threads=1)[0]

    def job(self, inputs: Tensor, labels: Tensor, rows: Tensor, ends: Tensor) -> Job:
        """What `run_steps` takes, for steps on these samples; rows and ends as in `Steps`."""
        if isinstance(self._form, Recurrent):
            return self.network, sequences_of(self._form, inputs, labels, rows, ends)
        if isinstance(self._form, Wired):
            return self.network, wired_sequences(self._form, inputs, labels, rows, ends)
        return self.network, Steps(inputs.flatten(1).contiguous(), labels.contiguous(), rows, ends)

    def _made(self, clip_norm: float | None) -> tuple[NetworkStep | RecurrentStep | WiredStep, list[Tensor | None]]:
        if isinstance(self._form, Wired):  # its dense weights are used in place, whatever their masks
            return wired_step(self._form, self._masks, self._trainee, _update_of(self._inner), clip_norm)
        if isinstance(self._form, Recurrent):
            return recurrent_step(self._form, self._structured, self._trainee, _update_of(self._inner), clip_norm)
        layers = []
        for layer, activation in zip(self._form.linears, (*self._form.activations, "identity"), strict=True):
            junction, places = self._structured(layer, "weight", sides(layer))
            bias = None if layer.bias is None else self._trainee(layer.bias, None)
            layers.append(StepLayer(junction, self._trainee(layer.weight, places), bias, activation))
        parameters = [parameter for layer in self._form.linears for parameter in (layer.weight, layer.bias)]
        return NetworkStep(layers, _update_of(self._inner)), parameters

    def _structured(self, layer: nn.Module, name: str, shape: tuple[int, int]) -> tuple[Junction, Tensor | None]:
        parameter = layer.get_parameter(name)
        held = layer.junctions if isinstance(layer, SparseModule) else {}
        source = held.get(name, self._masks.get(id(parameter)))
        many = self._many and isinstance(layer, SparseLinear)  # the recurrent step itself brings rows in order
        _, junction, places = _structure(id(parameter), source, shape, self._known, many)
        return junction, places

    def _trainee(self, parameter: Tensor, places: Tensor | None) -> Trainee:
        if self._inner is None:
            return Trainee(_lent(parameter.detach(), places).numbers, parameter.requires_grad)
        trained = parameter.requires_grad and id(parameter) in self._groups
        state = self._inner.state.get(parameter, {}) if trained else {}
        keys = _memory_of(self._inner, self._groups[id(parameter)]) if trained else ()
        loans = [_lent(tensor, places) for tensor in (parameter.detach(), *(state[key] for key in keys))]
        self._loans += loans
        return Trainee(loans[0].numbers, trained, tuple(loan.numbers for loan in loans[1:]))


def _lent(home: Tensor, places: Tensor | None) -> _Loan:
    return _Loan(home, home.view(-1) if places is None else home.view(-1)[places], places)


def _structure(
    key: int, source: Tensor | Junction | None, shape: tuple[int, int], known: dict[int, Structure], many: bool
) -> Structure:
    if isinstance(source, Junction) and not (many and source.group > 1 and source.density < _GROUPED):
        return Structure(source, source, None)
    if key not in known or known[key].source is not source or _shape(known[key].junction) != shape:
        known[key] = _by_rows(source, shape)
    return known[key]


def _by_rows(source: Tensor | Junction | None, shape: tuple[int, int]) -> Structure:
    """Rows by themselves, in blocks as large as can be.

    In a network step the activations stay in the second cache, where groups of four rows gain less by the loads that
    they share than they lose by the short runs of a pattern (benchmarks/lenet_speed.py).
    """
    if source is None:
        junction = junction_of(torch.ones(shape, dtype=torch.bool), block=min(max(shape[1], 1), LARGEST_DENSE), group=1)
        return Structure(None, junction, None if junction.blocks == 1 else junction.positions())
    mask = source.mask() if isinstance(source, Junction) else source
    junction = junction_of(mask, block=min(max(shape[1], 1), _LARGEST_BLOCK), group=1)
    places = junction.positions()
    if isinstance(source, Junction):  # where in the values' own order
        order = source.positions().argsort()
        places = order[torch.searchsorted(source.positions()[order], places)]
    return Structure(source, junction, places)


def _shape(junction: Junction) -> tuple[int, int]:
    return junction.outputs, junction.inputs


def _masks_of(optimizer: Optimizer | None) -> Mapping[int, Tensor]:
    if not isinstance(optimizer, SparseOptimizer):
        return {}
    # Those of dense weights; a sparse layer's mask is its structure.
    held = optimizer._project.masks
    return {id(optimizer._weights[name]): mask for name, mask in held.items()}


def _groups_of(optimizer: Optimizer) -> dict[int, dict[str, Any]]:
    return {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}


def _update_of(optimizer: Optimizer | None) -> Update:
    if optimizer is None:
        return "none"
    if isinstance(optimizer, SGD):
        return "sgd"
    return "adamw" if optimizer.param_groups[0].get("decoupled_weight_decay") else "adam"


def _memory_of(optimizer: Optimizer, group: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the optimizer's memory of a parameter in this group."""
    if isinstance(optimizer, Adam):
        return "exp_avg", "exp_avg_sq"
    return ("momentum_buffer",) if group["momentum"] else ()


def _settings(group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[float, ...]:
    """The row that `NetworkStep.settings` wants."""
    if "betas" in group:
        beta1, beta2 = group["betas"]
        own = (beta1, beta2, group["eps"], state.get("step", 0))
    else:
        own = (group["momentum"], group["dampening"], group["nesterov"], 0)
    return tuple(float(number) for number in (group["lr"], group["weight_decay"], *own))

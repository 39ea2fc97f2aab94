"""One training within a loop of pruning and retraining: of the pruned network, or of the control."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparsewire.execution.convert import densify, sparsify
from sparsewire.execution.plans import Plan
from sparsewire.structure.masks import Masks
from sparsewire.training.batches import Augment, Data
from sparsewire.training.checks import check_optimizer
from sparsewire.training.fused import Loss
from sparsewire.training.history import Evaluation, History
from sparsewire.training.judging import evaluate
from sparsewire.training.keeping import lay_as_weights_
from sparsewire.training.loop import MakeOptimizer, fit
from sparsewire.training.loop_state import Trained
from sparsewire.training.optimizer import SparseOptimizer
from sparsewire.training.progress import Report
from sparsewire.training.retraining import Retraining
from sparsewire.training.state import Checkpoints, put_together, taken_apart

EVERY_LAYER = "sparse"  # instead of a plan: each layer runs sparse that can


@dataclass(frozen=True, eq=False)
class Setting:
    """What is the same for all trainings of a loop; the names are those of `iterate`."""

    data: Data
    make: MakeOptimizer
    retrain: Retraining
    batch_size: int
    loss: Loss | None
    validation: Data | None
    clip_norm: float | None
    augment: Augment | None
    fused: bool | None

    def judged(self, model: nn.Module) -> Evaluation:
        """How good a model is on the validation data, or on the training data where there is none."""
        data = self.data if self.validation is None else self.validation
        return evaluate(model, data, loss=self.loss, batch_size=max(self.batch_size, 1000))


class Network:
    """A model and the optimizer that is kept for it.

    Args:
        model: trained in place.
        make: makes an optimizer of a list of parameters.
        inner: the optimizer, if there is one.
    """

    def __init__(self, model: nn.Module, make: MakeOptimizer, inner: Optimizer | None = None) -> None:
        self.model, self._make = model, make
        self.inner = self.made_for(model) if inner is None else inner

    def made_for(self, model: nn.Module) -> Optimizer:
        """A new optimizer of a model's parameters."""
        optimizer = self._make(list(model.parameters()))
        check_optimizer(optimizer, model)
        return optimizer

    def renew_(self) -> None:
        """Goes on with an optimizer that remembers nothing."""
        self.inner = self.made_for(self.model)

    def hold_(self, masks: Masks | None) -> Optimizer:
        """Brings weights and memory to masks, if there are any; the optimizer that keeps them there."""
        return self.inner if masks is None else SparseOptimizer(self.inner, self.model, masks)

    def told(self, tensors: dict[str, Tensor]) -> Any:
        """Weights and memory, its tensors moved into `tensors`."""
        tree = {"model": dict(self.model.state_dict()), "optimizer": self.inner.state_dict()}
        return taken_apart(tree, "network", tensors)

    def load_(self, told: Any, tensors: Mapping[str, Tensor]) -> None:
        """Takes back what `told` told."""
        tree = put_together(told, tensors)
        self.model.load_state_dict(tree["model"])
        self.inner.load_state_dict(tree["optimizer"])
        lay_as_weights_(self.inner)


@dataclass(frozen=True)
class Phase:
    """One training.

    Args:
        masks: that are kept, or None.
        epochs: at most.
        begin: the number of the first epoch, of which the learning rate is a function.
        seed: of the order of the samples.
        pruned: how good the network was before; a gain that is too small ends the training. None: all epochs are done.
        plan: which layers run sparse meanwhile, as JSON, or `EVERY_LAYER`; "": none does.
        after_step: is told of every step, or None.
        after_epoch: is told the number of every epoch, or None.
    """

    masks: Masks | None
    epochs: int
    begin: int
    seed: int
    pruned: Evaluation | None = None
    plan: str = ""
    after_step: Report | None = None
    after_epoch: Callable[[int], object] | None = None


def train(setting: Setting, network: Network, phase: Phase, checkpoints: Checkpoints | None) -> Trained:
    """Trains a network in place, and says what it came to.

    With a plan a copy is trained, whose layers hold their live weights only, by an optimizer of its own; the weights
    then come back to the model.
    """
    model = runner = network.model
    if phase.plan:
        assert phase.masks is not None
        runner = sparsify(model, phase.masks, "sparse" if phase.plan == EVERY_LAYER else Plan.from_json(phase.plan))
        optimizer: Optimizer = SparseOptimizer(network.made_for(runner), runner, phase.masks)
    else:
        optimizer = network.hold_(phase.masks)
    if phase.epochs:
        setting.retrain.set_rate_(optimizer, phase.begin)
    must_judge = phase.pruned is not None and setting.retrain.gain is not None
    history = fit(
        runner,
        setting.data,
        optimizer=optimizer,
        epochs=phase.epochs,
        batch_size=setting.batch_size,
        loss=setting.loss,
        validation=setting.data if setting.validation is None and must_judge else setting.validation,
        generator=torch.Generator().manual_seed(phase.seed),
        clip_norm=setting.clip_norm,
        augment=setting.augment,
        progress=phase.after_step,
        on_epoch=_after_epoch(setting, phase, optimizer),
        fused=setting.fused,
        checkpoints=checkpoints,
    )
    if runner is not model:
        model.load_state_dict(densify(runner)[0].state_dict())
    judged = history.validation[-1] if history.validation else setting.judged(model)
    return Trained(judged, len(history), history.steps, sum(history.seconds), history.validation_accuracy)


def _after_epoch(setting: Setting, phase: Phase, optimizer: Optimizer) -> Callable[[int, nn.Module, History], bool]:
    def after(epoch: int, model: nn.Module, history: History) -> bool:
        if phase.after_epoch is not None:
            phase.after_epoch(epoch)
        if epoch < phase.epochs:
            setting.retrain.set_rate_(optimizer, phase.begin + epoch)
        return phase.pruned is not None and setting.retrain.has_enough(phase.pruned, history.validation_accuracy)

    return after

"""What the trials on pre-defined sparsity share: fields, start, masks, optimizer, training (section 2.2)."""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.optim import SGD, Adam, Optimizer

from sparsewire.data.samples import DataSet
from sparsewire.execution.convert import sparsify
from sparsewire.execution.planning import plan
from sparsewire.experiments.predefined.readings import fan_outs_label
from sparsewire.lab.experiment import Trial
from sparsewire.lab.spec import Spec
from sparsewire.models.initialize import he_normal_
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.masks import Masks, maskable
from sparsewire.structure.predefined_masks import predefined
from sparsewire.training.history import History
from sparsewire.training.loop import fit

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Counts = tuple[Count, ...]
Some = Annotated[int, Field(ge=0)]  # of samples; 0 means all

# After so many epochs the paper's Figure 1 (c) and (f) show the best accuracy.
MARKS = (1, 5, 30)


class TrainingSpec(Spec):
    """One network with one set of connections; a network of the paper differs from its defaults in few fields.

    Args:
        fan_outs: of each junction between connected layers; () for all connections, "FC".
        epochs: passes over the training data.
        batch: samples in a step; the paper does not say, 128 is the reference code's.
        rate: of learning.
        optimizer: "adam" with Keras' numbers, or "sgd".
        penalty: λ of λ · Σ w² over all weights, biases left out.
        bias: what biases are at the start; the reference code also has 0.1.
        execution: "planned" trains layers sparse where `plan` says that it is faster; "masked" trains dense weights
            under masks. The two differ by rounding.
        device: where to train.
    """

    fan_outs: Counts = ()
    epochs: Count = 30
    batch: Count = 128
    rate: float = Field(default=1e-3, gt=0)
    optimizer: Literal["adam", "sgd"] = "adam"
    penalty: float = Field(default=0.0, ge=0)
    bias: float = 0.0
    execution: Literal["planned", "masked"] = "planned"
    device: Literal["cpu", "cuda"] = "cpu"


# Fields that decide where and how a result is computed, not what it is about.
FREE = ("execution", "device")


def connected(model: nn.Module, spec: TrainingSpec, trial: Trial) -> Masks | None:
    """Regular random masks of the connected layers, drawn by the trial's seed; None for a fully connected network."""
    if not spec.fan_outs:
        return None
    return predefined(model, fan_outs=spec.fan_outs, generator=trial.generator("pattern"))


def run_training(
    model: nn.Module, masks: Masks | None, data: DataSet, spec: TrainingSpec, trial: Trial, label: str = ""
) -> nn.Module:
    """Draws the weights, takes away what the masks leave out, and trains; returns the network that was trained.

    Weights start He-normal with the fan-in of the whole layer, as if nothing were missing: the paper does not make up
    for absent connections. Trials of one seed see the same batches. Records, in percent, "accuracy" of the test set
    after every epoch (the paper calls it validation) and "loss"; at the end the best accuracy, also after the epochs
    of `MARKS`, the density of the connected layers, and the seconds of training.

    Args:
        model: dense, of any start.
        masks: of its connected layers, or None.
        data: training and test samples.
        spec: how it is trained.
        trial: draws and records.
        label: what who watches is told.
    """
    he_normal_(model, generator=trial.generator("weights"))
    _set_biases_(model, spec.bias)
    if masks is not None:
        masks.apply_(model)
    trial.show(NetGraph.from_model(model, masks))
    _record_densities(masks, trial)
    held, trained = masks, model.to(spec.device)
    if masks is not None and spec.execution == "planned":
        chosen = trial.plan("layers", lambda: plan(model, masks, batch=spec.batch))
        held, trained = None, sparsify(model, masks, chosen)  # in it dense layers keep their masks by themselves
    history = fit(
        trained,
        data.train,
        optimizer=optimizer_of(trained, spec),
        epochs=spec.epochs,
        batch_size=spec.batch,
        masks=held,
        validation=data.test,
        generator=trial.generator("order"),
        on_epoch=_recorder(spec, trial, label),
        device=spec.device,
        checkpoints=trial.checkpoints(),
    )
    _conclude(history, trial)
    return trained


def optimizer_of(model: nn.Module, spec: TrainingSpec) -> Optimizer:
    """The paper's optimizer over the model's parameters: the penalty is on weights alone.

    λ · Σ w² has the gradient 2 λ w, which is what torch calls a weight decay of 2 λ; Adam's is part of the gradient, as
    in Keras. Its ε is Keras', 1e-7.

    Example:
        >>> [group["weight_decay"] for group in optimizer_of(nn.Linear(2, 1), TrainingSpec(experiment="x", penalty=0.5))
        ...     .param_groups]
        [1.0, 0.0]
    """
    weights = list(maskable(model).values())
    own = set(map(id, weights))
    others = [parameter for parameter in model.parameters() if id(parameter) not in own]
    groups = [{"params": weights, "weight_decay": 2 * spec.penalty}, {"params": others, "weight_decay": 0.0}]
    return SGD(groups, lr=spec.rate) if spec.optimizer == "sgd" else Adam(groups, lr=spec.rate, eps=1e-7)


def _set_biases_(model: nn.Module, value: float) -> None:
    if value:
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
                    module.bias.fill_(value)


def _record_densities(masks: Masks | None, trial: Trial) -> None:
    trial.record("density", 100.0 if masks is None else 100 * masks.density)
    for place, own in enumerate({} if masks is None else masks.densities().values(), start=1):
        trial.record(f"density of junction {place}", 100 * own)


def _recorder(spec: TrainingSpec, trial: Trial, label: str) -> Callable[[int, nn.Module, History], None]:
    def record(epoch: int, _: nn.Module, history: History) -> None:
        result = history.validation[-1]
        trial.record("accuracy", 100 * result.accuracy, step=epoch)
        trial.record("loss", result.loss, step=epoch)
        trial.report(epoch / spec.epochs, f"{label} {fan_outs_label(spec.fan_outs)}, epoch {epoch}".strip())

    return record


def _conclude(history: History, trial: Trial) -> None:
    accuracies = [100 * result.accuracy for result in history.validation]
    for mark in MARKS:
        if mark <= len(accuracies):
            trial.record(f"best after {mark}", max(accuracies[:mark]))
    trial.record("best_accuracy", max(accuracies))
    trial.record("seconds of training", sum(history.seconds))

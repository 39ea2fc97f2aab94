"""What `fit` refuses before anything is trained, each with one message."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from sparsewire.errors import RequestError


def check_model(model: Any) -> None:
    """Refuses what is no module, or has nothing to learn.

    Raises:
        RequestError: `model` is no torch module, or all of its parameters are frozen.
    """
    if not isinstance(model, nn.Module):
        raise RequestError(f"model: found {type(model).__name__}, expected a torch module, e.g. zoo.mlp((64, 30, 10))")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise RequestError("model: found no parameter with requires_grad, expected at least one to train")


def check_optimizer(optimizer: Any, model: nn.Module) -> None:
    """Refuses what is no optimizer, or one of another model.

    Raises:
        RequestError: it is none of torch's optimizers, or none of its parameters is one of the model's.
    """
    if not isinstance(optimizer, Optimizer):
        raise RequestError(
            f"optimizer: found {_shown(optimizer)}, expected a torch optimizer, or a function that makes one of a list "
            "of parameters, e.g. lambda parameters: torch.optim.SGD(parameters, lr=0.1)"
        )
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(parameter) in own for group in optimizer.param_groups for parameter in group["params"]):
        raise RequestError("optimizer: found no parameter of `model` in it; make it from model.parameters()")


def check_settings(loss: Any, clip_norm: Any, generator: Any, augment: Any = None) -> None:
    """Refuses a loss or an augmentation that cannot be called, a norm that is none, a generator that is none.

    Raises:
        RequestError: naming the argument.
    """
    if isinstance(loss, type) or not (loss is None or callable(loss)):
        raise RequestError(
            f"loss: found {_shown(loss)}, expected a function of (outputs, labels) or a module such as "
            "torch.nn.CrossEntropyLoss()"
        )
    is_number = isinstance(clip_norm, int | float) and not isinstance(clip_norm, bool)
    if clip_norm is not None and not (is_number and 0 < clip_norm < math.inf):
        raise RequestError(f"clip_norm: found {clip_norm!r}, expected a positive number, or None for no limit")
    if generator is not None and not isinstance(generator, torch.Generator):
        raise RequestError(
            f"generator: found {_shown(generator)}, expected a torch.Generator, e.g. torch.Generator().manual_seed(0)"
        )
    if augment is not None and (isinstance(augment, type) or not callable(augment)):
        raise RequestError(f"augment: found {_shown(augment)}, expected a function of (inputs, generator) → inputs")


def _shown(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"{value!r}, a {type(value).__name__}"

"""Who takes part in the ranking: what each method starts with, and how its masks move while the weights are trained.

before training    masks are drawn, or chosen by a score, and stay
in its first steps the training starts dense, and masks are settled within its first epochs
during training    masks move up to three quarters of the training, from a random ERK start or from all weights
after training     dense training, pruning, and as many epochs again: twice the budget, an upper bound
instead of it      weights stay as they were drawn; what is trained are the scores of a soft mask
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, get_args

import torch
from torch import nn

from sparsewire.experiments.initial_pruning.setup import half
from sparsewire.structure.masks import Masks
from sparsewire.structure.rounds import prune_in_rounds
from sparsewire.structure.schedules import cubic
from sparsewire.structure.select import prune
from sparsewire.training.batches import Data
from sparsewire.training.rule_contract import Rule
from sparsewire.training.rules.combination import combined
from sparsewire.training.rules.dissipation import dissipating_gradients
from sparsewire.training.rules.gradient_growth import rigl
from sparsewire.training.rules.gradual_pruning import gradual
from sparsewire.training.rules.regeneration import granet
from sparsewire.training.rules.sparse_evolution import set_
from sparsewire.training.rules.sparse_momentum import snfs
from sparsewire.training.rules.starts import k_starts
from sparsewire.training.rules.threshold_reallocation import dsr

Method = Literal[
    "dense", "random_uniform", "random_erk", "magnitude", "snip", "grasp", "synflow", "fisher",
    "k_starts", "dissipating", "k_starts_dissipating",
    "set", "rigl", "dsr", "snfs", "granet", "gradual",
    "magnitude_after", "edge_popup",
]  # fmt: skip
METHODS: Final[tuple[Method, ...]] = get_args(Method)
NAMES: Final[dict[str, str]] = {
    "dense": "dense", "random_uniform": "random, uniform", "random_erk": "random, ERK (static)",
    "magnitude": "magnitude at the start", "snip": "SNIP", "grasp": "GraSP", "synflow": "SynFlow", "fisher": "Fisher",
    "k_starts": "K-starts", "dissipating": "dissipating gradients", "k_starts_dissipating": "K-starts + dissipating",
    "set": "SET", "rigl": "RigL", "dsr": "DSR", "snfs": "SNFS", "granet": "GraNet", "gradual": "gradual magnitude",
    "magnitude_after": "magnitude after training", "edge_popup": "edge-popup (untrained weights)",
}  # fmt: skip
# When a method decides → who does so then; the dense network decides nothing.
WHEN: Final[dict[str, tuple[Method, ...]]] = {
    "before training": ("random_uniform", "random_erk", "magnitude", "snip", "grasp", "synflow", "fisher"),
    "in its first steps": ("k_starts", "dissipating", "k_starts_dissipating"),
    "during training": ("set", "rigl", "dsr", "snfs", "granet", "gradual"),
    "after or instead of it": ("magnitude_after", "edge_popup"),
}
BEFORE: Final = WHEN["before training"]

ROUNDS: Final = 100  # of SynFlow
MOVING: Final = 0.75  # of the training, in which masks move
EXCHANGES: Final = 20  # of connections, in that time
_FRACTION: Final = 0.3
_GRANET_START: Final = 0.5
_FROM_ERK: Final = ("set", "rigl", "dsr", "snfs")


def starting_masks(method: Method, model: nn.Module, density: float, data: Data, stream: torch.Generator) -> Masks:
    """The masks with which the training starts: full ones for methods that start dense.

    Args:
        method: which.
        model: as it was drawn; left as it is.
        density: of all weights together; no layer is spared, biases do not count.
        data: training samples for scores that look at some.
        stream: of random masks.
    """
    choose = partial(prune, model, density=density)
    if method == "random_uniform":
        return choose(score="random", scope="uniform", generator=stream)
    if method == "random_erk" or method in _FROM_ERK:
        return choose(score="random", scope="erk", generator=stream)
    if method == "granet" and density < _GRANET_START:
        return prune(model, score="random", scope="erk", density=_GRANET_START, generator=stream)
    if method == "magnitude":
        return choose(score="magnitude")
    if method == "synflow":
        return prune_in_rounds(model, score="synflow", density=density, rounds=ROUNDS, data=data)
    if method in BEFORE:
        return choose(score=method, data=data)
    return Masks.from_model(model)


def rule_of(method: Method, density: float, steps: int, epochs: int, stream: torch.Generator) -> Rule | None:
    """How the masks move, or None where they stay.

    Args:
        method: which.
        density: at the end.
        steps: of an epoch.
        epochs: of the training.
        stream: of what is drawn on the way.
    """
    every = max(1, int(MOVING * steps * epochs) // EXCHANGES)
    until = every * EXCHANGES
    falling = partial(cubic, density, until=until, every=every)
    settled = 1 if epochs < 4 else 2
    rules: dict[str, Callable[[], Any]] = {
        "k_starts": lambda: k_starts(1 - density, generator=stream),
        "dissipating": lambda: dissipating_gradients(steps, settled, removed=1 - density),
        "k_starts_dissipating": lambda: combined(
            k_starts(half(1 - density), generator=stream),
            dissipating_gradients(steps, settled, removed=half(1 - density)),
        ),
        "set": lambda: set_(every, until, _FRACTION, generator=stream, decay="cosine"),
        "rigl": lambda: rigl(every, until, _FRACTION),
        "dsr": lambda: dsr(every, until, generator=stream),
        "snfs": lambda: snfs(every, until, _FRACTION),
        "granet": lambda: granet(falling(initial=max(density, _GRANET_START)), steps=every),
        "gradual": lambda: gradual(falling(), every=every),
    }
    made: Rule | None = rules[method]() if method in rules else None
    return made

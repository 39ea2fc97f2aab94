"""Sparse training of recurrent layers in which connections move from gate to gate."""

import torch

from sparsewire.structure.selection import Only
from sparsewire.training.rules.exchange import Exchange, magnitude
from sparsewire.training.rules.pools import Over
from sparsewire.training.rules.timetable import Timetable


def selfish_rnn(
    steps: int = 100,
    until: int = 5000,
    fraction: float = 0.5,
    *,
    generator: torch.Generator,
    decay: str = "cosine",
    over: Over = "layers",
    only: Only | None = None,
) -> Exchange:
    """The rule of Selfish-RNN: connections move between the gates of a recurrent weight.

        every `steps` steps, over all gates of a weight:  drop the fraction of smallest |w|;  grow as many anywhere

    A gate whose weights are large keeps more of them than the others, and chance gives most to the gate with most room.
    The density of a weight stays, those of its gates do not. Weights without gates exchange as in `set_` with
    signs=False. It acts after the weights' step, without gradients; what comes starts from zero with fresh memory.

    Args:
        steps: from one exchange to the next. In the paper it is an epoch.
        until: the last step at which there may be an exchange; the fraction decays towards it.
        fraction: of the connections that exist, at the beginning. The authors' commands have 0.5 to 0.8.
        generator: draws what comes; its state is saved with the optimizer's.
        decay: of the fraction: "cosine", "constant", "linear" or "cubic".
        over: "layers" (the gates of each weight, as published), or "cells" (input to hidden and hidden to hidden of a
            recurrent layer together), or as for `set_`.
        only: which weights, as for `prune`; the others stay as they are.

    Raises:
        RequestError: an argument that cannot be.

    Example:
        >>> from sparsewire.structure.masks import Masks
        >>> weights = {"weight_ih_l0": torch.tensor([[3.0], [0.1], [4.0]]), "weight_hh_l0": torch.ones(3, 1)}
        >>> masks = Masks({name: weight != 0 for name, weight in weights.items()})
        >>> masks["weight_ih_l0"].sum(), masks["weight_hh_l0"].sum()
        (tensor(3), tensor(3))
        >>> rule = selfish_rnn(steps=1, until=9, generator=torch.Generator().manual_seed(0))
        >>> rule(1, masks, weights, {}) == masks  # nothing can move where all exist
        True

    Reference: Liu et al. 2021 (Selfish Sparse RNN Training), section 3.2. Their optimizer, SNT-ASGD, is no part of it.
    """
    return Exchange("selfish_rnn", Timetable(steps, until, fraction, decay), magnitude, "chance", over, only, generator)

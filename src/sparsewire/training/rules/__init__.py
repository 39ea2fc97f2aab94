"""How masks move while the weights are trained.

A rule is asked at every step and answers the masks from now on, or None: leave them (`training.rule_contract` says all
of it). The masks that a training starts with are no matter of rules (`prune` and the priors make them). A new method is
a new rule, most often a short function around `prune` or `Masks`; nothing has to be registered.
"""

from sparsewire.training.rule_contract import Move as Move
from sparsewire.training.rule_contract import Rule as Rule
from sparsewire.training.rules.cell_gates import selfish_rnn
from sparsewire.training.rules.combination import combined
from sparsewire.training.rules.dissipation import dissipating_gradients
from sparsewire.training.rules.gradient_growth import rigl
from sparsewire.training.rules.gradual_pruning import gradual
from sparsewire.training.rules.regeneration import granet
from sparsewire.training.rules.sparse_evolution import set_
from sparsewire.training.rules.sparse_momentum import snfs
from sparsewire.training.rules.starts import bernoulli_masks, k_starts
from sparsewire.training.rules.threshold_reallocation import dsr
from sparsewire.training.rules.unmoved import static

__all__ = [
    "bernoulli_masks",
    "combined",
    "dissipating_gradients",
    "dsr",
    "gradual",
    "granet",
    "k_starts",
    "rigl",
    "selfish_rnn",
    "set_",
    "snfs",
    "static",
]

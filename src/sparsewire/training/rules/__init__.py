"""How masks move while the weights are trained.

A rule is asked at every step and answers the masks from now on, or None: leave them (`training.rule_contract` says all
of it). The masks that a training starts with are no matter of rules (`prune` and the priors make them). A new method is
a new rule, most often a short function around `prune` or `Masks`; nothing has to be registered.
"""

from sparsewire.training.rule_contract import Move, Rule
from sparsewire.training.rules.gradual_pruning import gradual
from sparsewire.training.rules.unmoved import static

__all__ = ["Move", "Rule", "gradual", "static"]

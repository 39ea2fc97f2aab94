"""Supermasks: soft masks of untrained weights, whose scores are learned, and which end as ordinary `Masks`.

`edge_popup` keeps the highest scores of each layer, `zhou` learns the probability of each weight; `learn_masks` trains
these and any `SoftMask` of your own.
"""

from sparsewire.training.soft.coins import Coins, zhou
from sparsewire.training.soft.contract import SoftMask
from sparsewire.training.soft.learning import ScoreTraining, Supermask, learn_masks
from sparsewire.training.soft.network import SoftNetwork
from sparsewire.training.soft.top_scores import TopScores, edge_popup

__all__ = [
    "Coins",
    "ScoreTraining",
    "SoftMask",
    "SoftNetwork",
    "Supermask",
    "TopScores",
    "edge_popup",
    "learn_masks",
    "zhou",
]

"""The shapes that a mask may have.

A pattern says what is kept or dropped as one *unit* (a weight, a block, a whole neuron) and which counts of units a
layer may keep. It sees every weight as a matrix: one row per output (neuron, gate of a neuron, channel), one column per
input (of a kernel: channel by channel, position by position).
"""

from sparsewire.structure.patterns.contract import Grid, Pattern, Site, Unstructured
from sparsewire.structure.patterns.counted import NM, FixedFanIn
from sparsewire.structure.patterns.heads import Heads
from sparsewire.structure.patterns.units import Block, Channels, Neurons

__all__ = ["NM", "Block", "Channels", "FixedFanIn", "Grid", "Heads", "Neurons", "Pattern", "Site", "Unstructured"]

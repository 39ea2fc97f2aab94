"""Draws each operator on two genomes, for docs/architectures.md: python docs/operators.py docs/_static/operators."""

import sys
from pathlib import Path

import torch

from sparsewire.search.bridge_crossing import swapped_behind_bridges
from sparsewire.search.channel_crossing import averaged_channels
from sparsewire.search.genotype import Genome, Vertex
from sparsewire.search.insertion import inserted
from sparsewire.search.path_crossing import swapped_paths
from sparsewire.search.pictures import draw_variation
from sparsewire.search.relabelling import relabelled


def genome(words: str, *edges: tuple[int, int]) -> Genome:
    parts = (word.partition(":") for word in words.split())
    return Genome(tuple(Vertex(name, int(channels or 0)) for name, _, channels in parts), edges)


a = genome(
    "conv3:16 conv5:32 max_pool skip sum conv3:64 avg_pool",
    (0, 1),
    (1, 2),
    (0, 3),
    (2, 4),
    (3, 4),
    (4, 5),
    (5, 6),
)
b = genome(
    "conv7:32 avg_pool conv3:32 conv3:16 concat max_pool conv5:128 conv3:128",
    (0, 1),
    (0, 2),
    (1, 3),
    (2, 4),
    (3, 4),
    (4, 5),
    (5, 6),
    (6, 7),
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


paths, bridges, channels = (
    swapped_paths(a, b, seeded(0)),
    swapped_behind_bridges(a, b, seeded(2)),
    averaged_channels(a, b),
)
pictures = {
    "relabelled": (a, relabelled(a, seeded(1), share=0.3)),
    "inserted": (a, inserted(a, seeded(12))),
    "swapped_paths_a": (a, paths[0]),
    "swapped_paths_b": (b, paths[1]),
    "swapped_behind_bridges_a": (a, bridges[0]),
    "swapped_behind_bridges_b": (b, bridges[1]),
    "averaged_channels_a": (a, channels[0]),
    "averaged_channels_b": (b, channels[1]),
}
folder = Path(sys.argv[1])
for name, (before, after) in pictures.items():
    titles = (f"{name[-1]}, before", f"{name[-1]}, after") if name[-2] == "_" else ("before", "after")
    (folder / f"{name}.svg").write_text(draw_variation(before, after, titles=titles))

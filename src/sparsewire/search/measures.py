"""The 56 features from which paper 001 foretells the accuracy of an architecture, of one genome or of many at once."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from sparsewire.search.genotype import Genome, checked_genome
from sparsewire.search.joined_genomes import KINDS, JoinedGenomes, Reals, Whole, checked_genomes, side_by_side
from sparsewire.search.masses import masses_of
from sparsewire.search.undirected import Undirected, undirected_of
from sparsewire.search.walks import lengths_of
from sparsewire.structure.blocks import whole

_LENGTHS = ("shortest_path", "longest_path", "random_walk")
_SPREADS = tuple(f"{measure}_{part}" for measure in Undirected._fields for part in ("mean", "var", "std"))

FEATURE_GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "layer masses": ("layer_mass_mean", "layer_mass_std"),
    "path lengths": tuple(
        f"{length}_{kind}_{part}" for length in _LENGTHS for kind in KINDS for part in ("mean", "std")
    ),
    "graph properties": ("depth", "nodes", "edges", *_SPREADS),
})  # fmt: skip
FEATURES: Final[tuple[str, ...]] = tuple(name for group in FEATURE_GROUPS.values() for name in group)


def features(genome: Genome, *, input_channels: int = 3) -> dict[str, float]:
    """The 56 features of a genome, by the names of `FEATURES`.

    - `layer_mass`: over all vertices, of `layer_masses`.
    - `shortest_path`, `longest_path`, `random_walk` to `conv`, `max_pool`, `avg_pool`, `sum`, `concat`, `skip`: over
      the vertices of that kind, of `path_lengths`, in edges from the sources (which count, with 0). Convolutions of all
      sizes are one kind. Both numbers are 0 where there is no such vertex.
    - `depth` (vertices of the longest path), `nodes`, `edges`.
    - `edge_betweenness` over all edges; `eccentricity`, `closeness`, `average_neighbour_degree` and `degree` over all
      vertices; directions aside. These are networkx's; the first three and `degree` are also those of
      `graph_properties`. Of `degree` and both centralities the largest possible value is 1.

    Each ends in `_mean`, `_std` or, of the last, `_var`. Variances are over n - 1, and 0 of fewer than two numbers.

    Args:
        genome: the graph.
        input_channels: of the image, at least 1; the masses of the sources depend on them.

    Raises:
        RequestError: there is no genome, or `input_channels` is none.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> genome = Genome((Vertex("conv3", 16), Vertex("max_pool"), Vertex("sum")), ((0, 1), (1, 2), (0, 2)))
        >>> found = features(genome)
        >>> len(found), found["layer_mass_mean"], found["random_walk_sum_mean"], found["depth"], found["closeness_mean"]
        (56, 272.0, 1.5, 3.0, 1.0)

    Reference:
        Stier, Darji and Granitzer (2021), "Experiments on Properties of Hidden Structures of Sparse Neural Networks",
        section 4.4, which counts 56 but does not list them. The masses are 2, the path lengths 36 with six kinds; that
        the other 18 are depth, nodes, edges and mean, variance and deviation of five measures is our reading.
    """
    table = feature_table([checked_genome("genome", genome)], input_channels=input_channels)
    return {name: float(column[0]) for name, column in table.items()}


def feature_table(genomes: Iterable[Genome], *, input_channels: int = 3) -> dict[str, Reals]:
    """The 56 features of many genomes: a column for each, of shape (genomes,), as `accuracy_r2` and `Predictor` take.

    A genome has the same numbers to the last digit whichever others stand beside it.

    Args:
        genomes: any number of them.
        input_channels: of the image, at least 1.

    Raises:
        RequestError: one is no genome, or `input_channels` is none.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> lines = [Genome((Vertex("skip"),) * size, tuple((v, v + 1) for v in range(size - 1))) for size in (1, 2, 3)]
        >>> table = feature_table(lines)
        >>> table["longest_path_skip_mean"], table["edge_betweenness_mean"].round(3)
        (array([0. , 0.5, 1. ]), array([0.   , 1.   , 0.667]))
    """
    channels = whole("input_channels", input_channels, least=1)
    joined = side_by_side(checked_genomes(genomes))
    columns = [*_moments(masses_of(joined, channels), joined.owner, joined.genomes, "mean std")]
    for lengths in lengths_of(joined):
        of_kinds = _moments(lengths, joined.owner * len(KINDS) + joined.kinds, joined.genomes * len(KINDS), "mean std")
        means, deviations = (part.reshape(-1, len(KINDS)).T for part in of_kinds)
        for pair in zip(means, deviations, strict=True):
            columns += pair
    columns += _counts(joined)
    undirected, edge_owner = undirected_of(joined), joined.owner[joined.tails]
    for measure, values in undirected._asdict().items():
        owner = edge_owner if measure == "edge_betweenness" else joined.owner
        columns += _moments(values, owner, joined.genomes, "mean var std")
    return dict(zip(FEATURES, columns, strict=True))


def _counts(joined: JoinedGenomes) -> tuple[Reals, Reals, Reals]:
    """Depth, nodes, edges."""
    deepest = np.zeros(joined.genomes, np.int64)
    np.maximum.at(deepest, joined.owner, joined.levels)
    edges = np.bincount(joined.owner[joined.tails], minlength=joined.genomes)
    return (deepest + 1).astype(np.float64), joined.sizes.astype(np.float64), edges.astype(np.float64)


def _moments(values: Reals, group: Whole, groups: int, wanted: str) -> tuple[Reals, ...]:
    """Of the values of each group the wanted of mean, var (with n - 1) and std; 0 where there are too few."""
    count = np.bincount(group, minlength=groups)
    mean = np.bincount(group, weights=values, minlength=groups) / np.maximum(1, count)
    apart = np.bincount(group, weights=(values - mean[group]) ** 2, minlength=groups)
    var = apart / np.maximum(1, count - 1)
    found = {"mean": mean, "var": var, "std": np.sqrt(var)}
    return tuple(found[name] for name in wanted.split())

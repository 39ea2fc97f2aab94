"""A genome as a graph like any other: what is connected, without what the vertices do."""

import numpy as np

from sparsewire.errors import RequestError
from sparsewire.search.genotype import Genome, checked_genome
from sparsewire.structure.graphs import NetGraph
from sparsewire.structure.labelled_edges import LabelledEdges, layers_of_labelled


def structure_of(genome: Genome) -> NetGraph:
    """The genome's vertices as neurons in layers, its edges with weight 1; for graph properties, priors and pictures.

    A vertex's layer is the longest path that leads to it from a source; in a layer vertices keep their order.

    Raises:
        RequestError: it is no genome.

    Example:
        >>> from sparsewire.search.genotype import Vertex
        >>> structure_of(Genome((Vertex("conv3", 16), Vertex("skip"), Vertex("sum")), ((0, 1), (0, 2), (1, 2))))
        NetGraph(1-1-1, 3 edges, density 1)
    """
    ends = np.array(checked_genome("genome", genome).edges, np.int64).reshape(-1, 2)
    count = len(genome)
    edges = LabelledEdges(list(range(count)), ends[:, 0], ends[:, 1], np.ones(len(ends)), True, [None] * count)
    return NetGraph(*layers_of_labelled(edges, lambda text, _: RequestError(f"genome: {text}")))

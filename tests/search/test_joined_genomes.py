"""Genomes side by side: the waves tell every edge once, its tail before its head."""

import numpy as np
import pytest

from sparsewire.errors import RequestError
from sparsewire.search.genotype import OPERATIONS, Genome, Vertex
from sparsewire.search.joined_genomes import KINDS, checked_genomes, side_by_side

LINE = Genome((Vertex("conv3", 8), Vertex("sum"), Vertex("skip")), ((0, 1), (1, 2)))
FORK = Genome((Vertex("max_pool"), Vertex("avg_pool"), Vertex("concat"), Vertex("conv7", 4)), ((0, 2), (1, 3), (2, 3)))
LONE = Genome((Vertex("conv5", 2),), ())


@pytest.mark.parametrize("genomes", [[], [LONE], [LINE], [LONE, FORK, LONE, LINE, FORK]])
def test_the_waves(genomes):
    joined = side_by_side(genomes)
    assert joined.genomes == len(genomes)
    assert joined.vertices == sum(len(genome) for genome in genomes)
    known = set(np.flatnonzero(joined.levels == 0).tolist())
    assert len(known) == sum(len(genome.sources) for genome in genomes)
    told = 0
    for places, tails, heads in joined.waves():
        assert places.size
        assert set(tails.tolist()) <= known
        assert set(heads.tolist()) == set(places.tolist())
        assert not known & set(places.tolist())
        known |= set(places.tolist())
        told += tails.size
    assert (len(known), told) == (joined.vertices, sum(len(genome.edges) for genome in genomes))


def test_each_keeps_its_own():
    joined = side_by_side([LINE, FORK])
    assert joined.sizes.tolist() == [3, 4]
    assert joined.owner.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert [KINDS[kind] for kind in joined.kinds] == ["conv", "sum", "skip", "max_pool", "avg_pool", "concat", "conv"]
    assert joined.channels.tolist() == [8, 0, 0, 0, 0, 0, 4]
    assert list(zip(joined.tails.tolist(), joined.heads.tolist(), strict=True)) == [
        (0, 1),
        (1, 2),
        (3, 5),
        (4, 6),
        (5, 6),
    ]
    assert joined.levels.tolist() == [0, 1, 2, 0, 0, 1, 2]


def test_every_operation_is_of_a_kind():
    kinds = side_by_side([Genome((Vertex(name, 1 if "conv" in name else 0),), ()) for name in OPERATIONS]).kinds
    assert kinds.tolist() == [0, 0, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (LONE, "found a single genome, expected several"),
        (None, "found NoneType, expected several"),
        ([LONE, "x"], r"genomes\[1\]: found str, expected a Genome"),
    ],
)
def test_what_is_no_genomes_is_refused(found, message):
    with pytest.raises(RequestError, match=message):
        checked_genomes(found)

"""Where a genome's parts are drawn."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from tests.search.genomes import EXAMPLES, genomes, labelled

from sparsewire.search.genome_layout import layout, levels_of
from sparsewire.search.genotype import Genome
from sparsewire.search.random_genomes import random_genome


@given(genomes())
def test_edges_lead_down_and_no_level_is_empty(genome: Genome) -> None:
    levels = levels_of(genome)
    assert all(levels[tail] < levels[head] for tail, head in genome.edges)
    assert set(levels) == set(range(genome.depth))


def test_what_feeds_late_stands_late() -> None:
    beside = labelled("skip skip skip conv3:4 sum", (0, 1), (1, 2), (2, 4), (3, 4))
    assert levels_of(beside) == (0, 1, 2, 2, 3)


@given(genomes())
def test_boxes_keep_their_distance_and_lie_inside(genome: Genome) -> None:
    plan = layout(genome, box=80, gap=20)
    places = sorted(zip(plan.levels, plan.xs, strict=True))
    for (level, x), (other, right) in pairwise(places):
        assert level != other or right - x >= 100 - 0.2
    assert all(40 - 0.2 <= x <= plan.width - 40 + 0.2 for x in plan.xs)
    assert [len(way) for way in plan.ways] == [plan.levels[b] - plan.levels[a] - 1 for a, b in genome.edges]
    assert plan == layout(genome, box=80, gap=20)


def crossings(genome: Genome) -> int:
    """How many pairs of pieces of edges cross between two levels."""
    plan = layout(genome, box=80, gap=20)
    pieces: dict[int, list[tuple[float, float]]] = {}
    for (tail, head), way in zip(genome.edges, plan.ways, strict=True):
        xs = [plan.xs[tail], *way, plan.xs[head]]
        for step in range(len(xs) - 1):
            pieces.setdefault(plan.levels[tail] + step, []).append((xs[step], xs[step + 1]))
    return sum(
        (one[0] - other[0]) * (one[1] - other[1]) < 0
        for row in pieces.values()
        for place, one in enumerate(row)
        for other in row[:place]
    )


@pytest.mark.parametrize(
    ("name", "expected"), [("chain", 0), ("diamond", 0), ("triangle", 0), ("bridged", 0), ("crossed", 2)]
)
def test_what_can_be_drawn_without_crossings_is(name: str, expected: int) -> None:
    assert crossings(EXAMPLES[name]) == expected


def test_a_tree_that_was_numbered_badly_is_untangled() -> None:
    tree = labelled("skip " * 7, (0, 1), (0, 2), (2, 3), (1, 4), (2, 5), (1, 6))
    assert crossings(tree) == 0


def test_random_genomes_have_few_crossings() -> None:
    generator = torch.Generator().manual_seed(0)
    assert sum(crossings(random_genome(generator)) for _ in range(40)) <= 40


def test_hints_say_what_comes_left() -> None:
    diamond = EXAMPLES["diamond"]
    for left, right in ((1, 2), (2, 1)):
        plan = layout(diamond, box=80, gap=20, hints={left: 10.0, right: 200.0})
        assert plan.xs[left] < plan.xs[right]
    for side in (0.0, 500.0):
        plan = layout(EXAMPLES["triangle"], box=80, gap=20, hints={0: 100.0, 1: 100.0, 2: 100.0, (0, 2): side})
        assert (plan.ways[1][0] < plan.xs[1]) == (side < 100.0)


def test_a_path_is_straight() -> None:
    assert len(set(layout(EXAMPLES["chain"], box=80, gap=20).xs)) == 1

"""Samples: ranges are kept, functions are followed, and draws hang on the generator alone."""

import numpy as np
import pytest
import torch

from sparsewire.errors import RequestError
from sparsewire.structure.priors.attachment import barabasi_albert
from sparsewire.structure.priors.plain_shapes import tree
from sparsewire.structure.priors.random_edges import erdos_renyi
from sparsewire.structure.priors.sampling import drawn_parameters, sample_graphs
from sparsewire.structure.priors.small_worlds import watts_strogatz


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_samples_of_the_paper():
    small = sample_graphs(watts_strogatz, 12, n=(10, 50), k=lambda n: n // 5, generator=seeded(0))
    for graph in small:
        nodes = sum(graph.sizes)
        assert 10 <= nodes <= 50
        assert graph.edges == nodes * (nodes // 5 // 2)
    for graph in sample_graphs(barabasi_albert, 12, n=(10, 50), m=lambda n: n // 10, generator=seeded(0)):
        nodes, m = sum(graph.sizes), sum(graph.sizes) // 10
        assert (graph.sizes[0], graph.edges) == (m, m * (nodes - m))


def test_a_larger_sample_begins_as_a_smaller_one():
    few, many = (sample_graphs(erdos_renyi, count, n=(5, 9), p=(0.2, 0.9), generator=seeded(1)) for count in (3, 6))
    assert many[:3] == few
    assert sample_graphs(erdos_renyi, 0, n=5, p=1, generator=seeded(1)) == []


def test_ranges_are_whole_or_not():
    generator = seeded(0)
    drawn = [drawn_parameters({"n": (2, 4), "p": (0.5, 1), "q": lambda p, n: n + p}, generator) for _ in range(200)]
    assert {one["n"] for one in drawn} == {2, 3, 4}
    assert all(0.5 <= one["p"] < 1 and one["q"] == one["n"] + one["p"] for one in drawn)
    assert max(one["p"] for one in drawn) > 0.95


def test_numbers_of_numpy_and_functions_with_defaults():
    assert drawn_parameters({"n": (np.int64(4), np.int64(4)), "k": lambda n, by=2: n // by}, seeded(0)) == {
        "n": 4, "k": 2,
    }  # fmt: skip


def test_a_parameter_that_is_missing_and_a_family_of_one_graph_are_refused():
    with pytest.raises(RequestError, match=r"^k: found none, but the family needs it"):
        sample_graphs(watts_strogatz, 2, n=20, generator=seeded(0))
    with pytest.raises(RequestError, match=r"^draw: found tree, which takes no generator"):
        sample_graphs(tree, 2, branching=2, height=(1, 3), generator=seeded(0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "count: found -1"),
        ({"draw": "watts"}, "draw: found 'watts'"),
        ({"generator": 3}, "generator: found 3"),
        ({"n": (9, 5)}, r"n: found the range \(9, 5\)"),
        ({"n": (5,)}, r"n: found \(5,\), expected a value or a range"),
        ({"n": (5, True)}, r"n: found \(5, True\)"),
        ({"n": (0.0, float("nan"))}, "n: found the range"),
        ({"k": lambda m: m}, "k: found a function of 'm', expected one of the parameters before it: n"),
        ({"size": 3}, "size: the family has no such parameter, expected one of n, k, p, connected, tries"),
        ({"k": 50}, r"k: found 50, expected at most 20, the nodes \(with n=20, k=50\)"),
    ],
)
def test_impossible_samples_are_refused(arguments, message):
    given = {"draw": watts_strogatz, "count": 2, "generator": seeded(0), "n": 20, "k": 4, **arguments}
    with pytest.raises(RequestError, match=f"^{message}"):
        sample_graphs(**given)

"""The space of labelled graphs, and mistakes in any space."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.search.digit_space import DIGITS

from sparsewire.errors import RequestError
from sparsewire.search.genotype import PAPER_RANDOM, Bounds
from sparsewire.search.measures import FEATURES
from sparsewire.search.spaces import genomes


def test_graphs_vary_within_bounds_and_keep_their_keys() -> None:
    bounds = Bounds(depth=(4, 14), vertices=30)
    space, generator = genomes(depth=(6, 8), bounds=bounds), torch.Generator().manual_seed(0)
    one, other = space.draw(generator), space.draw(generator)
    for genome in (space.mutate(one, generator), *space.crossover(one, other, generator)):
        assert bounds.holds(genome)
        assert space.key(space.from_text(space.to_text(genome))) == space.key(genome)
        assert space.features is not None
        assert tuple(space.features(genome)) == FEATURES


def test_mutations_draw_the_channels_that_draws_do() -> None:
    space, generator = genomes(channels=(3, 5)), torch.Generator().manual_seed(0)
    genome = space.draw(generator)
    for _ in range(40):
        genome = space.mutate(genome, generator)
        assert {vertex.channels for vertex in genome.vertices} <= {0, 3, 5}


@pytest.mark.parametrize("drawn", [{"depth": (2, 4)}, {"depth": (40, 50)}, {"branches": (30, 40)}])
def test_whatever_is_drawn_can_be_varied(drawn: dict[str, Any]) -> None:
    space, generator = genomes(**drawn), torch.Generator().manual_seed(0)
    one, other = space.draw(generator), space.draw(generator)
    for genome in (one, space.mutate(one, generator), *space.crossover(one, other, generator)):
        assert space.allowed(genome)


def test_what_is_drawn_too_large_for_the_bounds_is_not_allowed() -> None:
    space, generator = genomes(bounds=Bounds((6, 12), vertices=14)), torch.Generator().manual_seed(0)
    drawn = [space.draw(generator) for _ in range(60)]
    assert {space.allowed(genome) for genome in drawn} == {True, False}
    assert all(len(space.mutate(genome, generator)) <= 14 for genome in drawn if space.allowed(genome))


def test_random_search_draws_deeper_ones() -> None:
    space, generator = genomes(depth=PAPER_RANDOM), torch.Generator().manual_seed(0)
    assert all(10 <= space.draw(generator).depth <= 36 for _ in range(5))


def test_the_images_channels_count() -> None:
    grey, coloured = genomes(input_channels=1), genomes()
    genome = grey.draw(torch.Generator().manual_seed(0))
    assert grey.features is not None
    assert coloured.features is not None
    assert grey.features(genome)["layer_mass_mean"] < coloured.features(genome)["layer_mass_mean"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"depth": (8, 6)},
        {"depth": 3},
        {"bounds": (6, 36)},
        {"input_channels": 0},
        {"channels": ()},
        {"allowed": 3},
        {"bounds": Bounds((12, 6))},
        {"depth": (3, 5), "bounds": Bounds()},
        {"depth": (6, 12), "bounds": Bounds((6, 11))},
    ],
)
def test_mistakes(arguments: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="found"):
        genomes(**arguments)


@pytest.mark.parametrize("name", ["draw", "mutate", "crossover", "key", "to_text", "from_text", "allowed"])
def test_every_part_is_a_function(name: str) -> None:
    with pytest.raises(RequestError, match=f"{name}: found None, expected a function"):
        replace(DIGITS, **{name: None})
    assert replace(DIGITS, features=None).features is None

"""Genomes that somebody trains for themselves: they are in the report, and searches' own are not among them."""

import dataclasses

import pytest
from tests.experiments.hidden_structures.made_search import SMALL, led, made

from sparsewire.experiments.hidden_structures.search_alone import alone_blocks
from sparsewire.experiments.hidden_structures.search_findings import findings
from sparsewire.experiments.hidden_structures.search_readings import studies
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import ClaimTable, Grid, Note, Picture

CHAIN = '{"vertices":[["conv3",8],["max_pool"],["conv5",8]],"edges":[[0,1],[1,2]]}'
SHORT = '{"vertices":[["conv3",8]],"edges":[]}'
FIRST = CandidateSpec(**{**SMALL, "methods": ("random",), "searches": 1, "trainings": 6})


def test_each_is_a_row_the_best_first_with_its_curve_and_picture() -> None:
    spec = CandidateSpec(genome=SHORT, data="digits", images=100, validation=60, epochs=2)
    outcomes = [
        made(spec),
        made(CandidateSpec(genome=CHAIN, epochs=2)),
        made(CandidateSpec(genome=CHAIN, epochs=2), seed=1),
    ]
    grid, claims, chart, picture = alone_blocks(outcomes, [])
    assert isinstance(grid, Grid)
    assert [row[:4] for row in grid.rows] == [
        ("Genome 1", "all of cifar10", "2", "3"),
        ("Genome 2", "100 of digits", "2", "1"),
    ]
    assert isinstance(claims, ClaimTable)
    [claim] = claims.claims  # digits are not the paper's
    assert (claim.published, len(claim.ours)) == (82.4, 2)
    assert claims.title.startswith("Genome 1 ")
    assert isinstance(chart, Chart)
    assert [line.runs for line in chart.series] == [2, 1]
    assert isinstance(picture, Picture)
    assert picture.caption == CHAIN


def test_those_of_a_search_are_not_alone() -> None:
    outcomes = led(FIRST)
    assert alone_blocks(outcomes, studies(outcomes)) == []
    [grid, *_] = alone_blocks([*outcomes, made(CandidateSpec(**{**SMALL, "genome": SHORT}))], studies(outcomes))
    assert isinstance(grid, Grid)
    assert len(grid.rows) == 1


def test_without_a_search_they_are_the_report() -> None:
    section = findings([made(CandidateSpec(genome=CHAIN))])
    assert "Genomes trained for themselves" in [block.title for block in section.blocks if isinstance(block, Grid)]


@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_what_did_not_come_to_an_end_is_left_out(state: str) -> None:
    outcome = dataclasses.replace(made(CandidateSpec(genome=CHAIN)), state=state)
    assert alone_blocks([outcome], []) == []
    [first, *_] = findings([outcome]).blocks
    assert isinstance(first, Note)
    assert first.text.startswith("No search is among these trials")

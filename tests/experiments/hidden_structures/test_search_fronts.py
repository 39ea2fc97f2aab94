"""The front of searches by several objectives: what nothing beats, beside the chain, drawn and in a table."""

from dataclasses import replace

import pytest
from tests.experiments.hidden_structures.made_search import SMALL, led

from sparsewire.errors import DivergedError
from sparsewire.experiments.hidden_structures.search_findings import findings
from sparsewire.experiments.hidden_structures.search_fronts import beside_chain, chain_values, front_of, has_front
from sparsewire.experiments.hidden_structures.search_readings import studies
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Grid

FIRST = CandidateSpec(
    **{
        **SMALL,
        "methods": ("nsga2", "random"),
        "searches": 2,
        "trainings": 18,
        "objectives": ("accuracy", "parameters", "seconds"),
    }
)


@pytest.fixture(scope="module")
def study():
    [found] = studies(led(FIRST))
    return found


def test_nothing_beats_the_front_and_the_front_beats_the_rest(study) -> None:
    front = front_of(study)
    tried = {one.spec: one.values for course in study.of("nsga2") for one in course.tried}

    def beats(one, other) -> bool:
        signed = [(-one[0], -other[0]), *zip(one[1:], other[1:], strict=True)]
        return all(own <= its for own, its in signed) and any(own < its for own, its in signed)

    assert 1 < len(front) < len(tried)
    for spec, values in tried.items():
        assert any(beats(one, values) for one in front.values()) is (spec not in front)
    accuracies = [values[0] for values in front.values()]
    assert accuracies == sorted(accuracies, reverse=True)
    assert len({spec.genome for spec in front}) == len(front)


def test_the_first_generation_has_a_front_of_its_own(study) -> None:
    begun = front_of(study, 0)
    first = {one.spec for course in study.of("nsga2") for one in course.tried if one.generation == 0}
    assert set(begun) <= first


def test_genomes_stand_to_the_chain_as_their_numbers_say(study) -> None:
    accuracy, parameters, seconds = chain_values(study)
    assert beside_chain(study, (accuracy, parameters, seconds)) == "neither"
    assert beside_chain(study, (accuracy + 1, parameters, seconds)) == "beats it"
    assert beside_chain(study, (accuracy, parameters, 2 * seconds)) == "is beaten"
    assert beside_chain(study, (accuracy + 1, parameters + 1, seconds)) == "neither"


def test_it_is_reported(study) -> None:
    section = findings([one for each in study.known.values() for one in each])
    charts = [block for block in section.blocks if isinstance(block, Chart) and block.kind == "points"]
    assert [chart.x_label for chart in charts] == ["parameters, thousands", "a forward pass, milliseconds"]
    front = front_of(study)
    for place, chart in enumerate(charts, start=1):
        drawn, begun, chain = chart.series
        assert sorted(drawn.mean) == sorted(values[0] for values in front.values())
        assert list(drawn.x) == sorted(drawn.x)
        assert drawn.x[0] == pytest.approx((1e-3, 1e3)[place - 1] * min(values[place] for values in front.values()))
        assert set(begun.moments) == {0.0}
        assert chain.mean == (chain_values(study)[0],)
    [grid] = [block for block in section.blocks if isinstance(block, Grid) and block.title == "The front"]
    assert len(grid.rows) == len(front) + 1
    assert grid.rows[-1][0] == "hand-drawn chain"
    beaten = sum(beside_chain(study, values) == "beats it" for values in front.values())
    assert f"{beaten} of {len(front)} beat the hand-drawn chain" in grid.note
    assert "milliseconds" in grid.columns


def test_no_front_where_no_method_looks_at_several(study) -> None:
    alone = CandidateSpec(**{**SMALL, "methods": ("nsga2",), "searches": 1, "trainings": 6})
    assert not has_front(studies(led(alone))[0])
    assert has_front(study)

    def never(genome) -> float:
        raise DivergedError("found nan")

    several = CandidateSpec(
        **{**SMALL, "methods": ("nsga2",), "searches": 1, "trainings": 6, "objectives": ("accuracy", "parameters")}
    )
    [lost] = studies(led(several, worth=never))
    assert front_of(lost) == {}
    assert chain_values(lost) is None
    assert beside_chain(lost, (1.0, 1.0)) is None
    assert not [block for block in findings(led(several, worth=never)).blocks if isinstance(block, Chart)]


def test_a_chain_that_was_not_trained_is_not_compared_with(study) -> None:
    outcomes = [one for each in study.known.values() for one in each]
    lost = [
        replace(one, state="diverged", metrics={"parameters": 1.0}) if one.spec == FIRST else one for one in outcomes
    ]
    section = findings(lost)
    [grid] = [block for block in section.blocks if isinstance(block, Grid) and block.title == "The front"]
    assert len(grid.rows) == len(front_of(study))
    assert "The hand-drawn chain was not trained to an end." in grid.note
    assert "beat the hand-drawn chain" not in grid.note
    assert {row[-1] for row in grid.rows} == {""}
    charts = [block for block in section.blocks if isinstance(block, Chart) and block.kind == "points"]
    assert len(charts) == 2
    assert not any(line.name == "hand-drawn chain" for chart in charts for line in chart.series)

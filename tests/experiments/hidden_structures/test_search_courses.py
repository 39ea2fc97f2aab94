"""The searches of a study: where they lead, the same way however often they are asked, and within the limits."""

from dataclasses import replace

import pytest
import torch
from tests.experiments.hidden_structures.made_search import SMALL, large, led, made

from sparsewire.errors import DivergedError, RequestError
from sparsewire.experiments.hidden_structures import search_courses
from sparsewire.experiments.hidden_structures.search_courses import (
    _after,
    _begun,
    course_of,
    follow,
    known_of,
    searches_of,
    settings_of,
    space_of,
    values_of,
    worth_of,
)
from sparsewire.experiments.hidden_structures.search_limits import refusal
from sparsewire.experiments.hidden_structures.search_setup import (
    CLASSES,
    METHODS,
    SEARCH_FIELDS,
    CandidateSpec,
    shape_of,
)
from sparsewire.experiments.hidden_structures.search_training import genome_of
from sparsewire.search.costing import genome_cost
from sparsewire.search.genome_files import genome_text
from sparsewire.search.isomorphism import canonical

pytest.importorskip("sklearn")
FIRST = CandidateSpec(**SMALL)


@pytest.fixture(scope="module")
def outcomes():
    return led(FIRST)


@pytest.fixture(scope="module")
def courses(outcomes):
    known = known_of(outcomes)
    return {(one.method, one.seed): course_of(one, known) for one in searches_of(FIRST)}


def test_every_search_does_all_of_its_trainings(courses) -> None:
    assert set(courses) == {(method, seed) for method in FIRST.methods for seed in (0, 1)}
    for course in courses.values():
        assert not course.needed
        assert len(course.tried) == FIRST.trainings
        assert len({one.spec for one in course.tried}) == FIRST.trainings


def test_only_the_genetic_search_foretells(courses) -> None:
    for (method, _), course in courses.items():
        assert bool(course.foretold) is (method == "genetic")
        assert any(one.foretold is not None for one in course.tried) is (method == "genetic")


def test_candidates_are_trained_once_and_hold_the_limits(outcomes) -> None:
    specs = [outcome.spec for outcome in outcomes]
    assert len(set(specs)) == len(specs)
    keys = [genome_of(spec).key for spec in specs if spec.genome]
    assert len(set(keys)) == len(keys)
    for spec in specs[1:]:
        genome = genome_of(spec)
        assert spec.genome == genome_text(canonical(genome))
        assert genome_cost(genome, shape_of(spec), CLASSES).multiply_adds <= FIRST.most_multiply_adds
        assert {vertex.channels for vertex in genome.vertices} <= {0, *FIRST.channels}
        assert all(getattr(spec, name) == getattr(CandidateSpec(), name) for name in SEARCH_FIELDS)
        assert (spec.data, spec.epochs) == (FIRST.data, FIRST.epochs)


def test_searches_of_a_seed_begin_alike(courses) -> None:
    for seed in (0, 1):
        begun = [{one.spec for one in courses[method, seed].tried if not one.generation} for method in FIRST.methods]
        assert begun[0] == begun[1] == begun[2]
    seeds = [{one.spec for one in courses["random", seed].tried} for seed in (0, 1)]
    assert not seeds[0] & seeds[1]


def test_they_share_what_they_have_in_common(outcomes, courses) -> None:
    each = {one.spec for course in courses.values() for one in course.tried}
    assert {outcome.spec for outcome in outcomes} == {FIRST, *each}
    assert len(each) < sum(len(course.tried) for course in courses.values())


@pytest.mark.parametrize("step", [1, 5])
def test_whatever_is_known_leads_the_same_way(outcomes, step) -> None:
    """As after a stop at any moment: what is asked for was asked for before, and in the end nothing."""
    wanted = {outcome.spec for outcome in outcomes}
    for count in range(1, len(outcomes), step):
        missing = follow([FIRST], outcomes[:count])
        assert set(missing) <= wanted
        assert missing
        assert not set(missing) & {outcome.spec for outcome in outcomes[:count]}
    assert follow([FIRST], outcomes) == []
    assert follow([FIRST], outcomes[::-1]) == []


def test_a_new_process_finds_the_same(outcomes) -> None:
    _begun.cache_clear()
    _after.cache_clear()
    assert [one.spec for one in led(FIRST)] == [one.spec for one in outcomes]


def test_a_walk_hashes_each_round_once(outcomes, monkeypatch) -> None:
    """Each step knows its own round alone, so that a walk of twice as many generations costs twice as much."""
    rounds = []

    def after(search, reached, told):
        rounds.append(told)
        return _after(search, reached, told)

    monkeypatch.setattr(search_courses, "_after", after)
    [search] = [one for one in searches_of(FIRST) if (one.method, one.seed) == ("all_trained", 0)]
    course = course_of(search, known_of(outcomes))
    assert sum(map(len, rounds)) == len(course.tried) == FIRST.trainings


def test_more_searches_go_on_from_fewer(outcomes) -> None:
    """Candidates do not know of the search, so that a larger study takes up what a smaller one has done."""
    larger = FIRST.model_copy(update={"searches": 3})
    known = {outcome.spec for outcome in led(larger)}
    assert {outcome.spec for outcome in outcomes if outcome.spec.genome} <= known


def test_what_diverges_is_left_behind() -> None:
    def brittle(genome) -> float:
        if len(genome) % 2:
            raise DivergedError("found nan")
        return large(genome)

    outcomes = led(FIRST, worth=brittle)
    known = known_of(outcomes)
    states = {outcome.state for outcome in outcomes}
    assert states == {"done", "diverged"}
    for search in searches_of(FIRST):
        course = course_of(search, known)
        assert len(course.tried) == FIRST.trainings
        assert all((one.worth is None) == bool(len(genome_of(one.spec)) % 2) for one in course.tried)
        assert not any(len(one.genome) % 2 for one in course.state.population if one.tried)


def test_several_seeds_are_worth_their_mean() -> None:
    one, other = (made(FIRST, lambda _, value=value: value, seed) for seed, value in enumerate((40.0, 60.0)))
    assert worth_of([one, other]) == 50.0
    outcomes = led(FIRST, seeds=2)
    assert len(outcomes) == 2 * len({outcome.spec for outcome in outcomes})


def test_hopeless_trainings_are_told_their_bars() -> None:
    stopping = FIRST.model_copy(update={"hopeless": 0.5, "methods": ("all_trained",), "searches": 1})
    outcomes = led(stopping)
    [search] = searches_of(stopping)
    course = course_of(search, known_of(outcomes))
    assert [len(one.spec.bars) for one in course.tried] == [2 * (one.generation > 0) for one in course.tried]
    later = course.tried[-1].spec.bars
    first = sorted(one.worth for one in course.tried if one.generation == 0)
    assert later[0] == 0.0  # nothing is stopped after the first epoch
    assert first[0] <= later[1] <= max(one.worth for one in course.tried)


@pytest.mark.parametrize("method", METHODS)
def test_deep_genomes_can_be_varied(method) -> None:
    depths = {"least_depth": 80, "most_depth": 90, "random_least_depth": 80, "random_most_depth": 90}
    space = space_of(FIRST.model_copy(update={**depths, "most_multiply_adds": 0}), method)
    generator = torch.Generator().manual_seed(0)
    genome = space.draw(generator)
    assert len(genome) >= 80
    mutant = space.mutate(genome, generator)
    assert {vertex.channels for vertex in mutant.vertices} <= {0, *FIRST.channels}
    for other in (mutant, *space.crossover(genome, space.draw(generator), generator)):
        assert 80 <= other.depth <= 90


def test_a_genome_of_ones_own_leads_nowhere() -> None:
    own = FIRST.model_copy(update={"genome": '{"vertices":[["conv3",4]],"edges":[]}'})
    assert follow([own], [made(own)]) == []


@pytest.mark.parametrize("method", METHODS)
def test_settings_are_the_specs(method) -> None:
    spec = CandidateSpec(population=8, mutation=0.25, crossover=0.5, worst=0.25, estimated=0.75, trainings=50)
    found = settings_of(spec, method)
    assert (found.population, found.mutation, found.crossover, found.worst) == (8, 0.25, 0.5, 0.25)
    assert (found.evaluations, found.generations) == (50, None)
    assert found.estimated_share == (0.75 if method == "genetic" else 0.0)
    assert settings_of(spec.model_copy(update={"generations": 3}), method).generations == 3


AIMS = {"methods": ("nsga2", "random"), "searches": 1, "objectives": ("accuracy", "parameters", "seconds")}


def test_a_search_by_several_objectives_is_told_all_of_them() -> None:
    first = CandidateSpec(**{**SMALL, **AIMS})
    known = known_of(led(first))
    several, one = (course_of(search, known) for search in searches_of(first))
    assert several.state.objectives == ("max", "min", "min")
    assert one.state.objectives == ("max",)
    assert len(several.tried) == len(one.tried) == first.trainings
    for each in several.tried:
        genome = genome_of(each.spec)
        cost = genome_cost(genome, shape_of(each.spec), CLASSES)
        assert each.values == (each.worth, cost.parameters, 1e-9 * cost.multiply_adds)
        assert several.state[genome.key].values == each.values
        assert each.spec.timed
    assert all(each.values == (each.worth,) for each in one.tried)


def test_the_stored_measurement_leads() -> None:
    """Another one of the same genomes would lead elsewhere, and is not made."""
    first = CandidateSpec(**{**SMALL, **AIMS, "methods": ("nsga2",), "objectives": ("accuracy", "seconds")})
    outcomes = led(first)
    for count in range(1, len(outcomes), 3):
        assert set(follow([first], outcomes[:count])) <= {one.spec for one in outcomes}
    turned = [replace(one, metrics={**one.metrics, "forward seconds": 1.0}) for one in outcomes]
    assert follow([first], outcomes) == []
    assert set(follow([first], turned)) - {one.spec for one in outcomes}


def test_what_lacks_a_number_has_failed() -> None:
    done = made(FIRST)
    assert values_of([done], ("accuracy", "seconds")) is None
    assert values_of([done], ("accuracy",)) == (worth_of([done]),)
    assert values_of([replace(done, state="diverged", metrics={})], ("accuracy", "parameters")) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"most_multiply_adds": 9},
            "most_multiply_adds: found 9, but the smallest of 100 genomes that were drawn needs",
        ),
        ({"most_memory": 1, "batch": 99_000, "most_multiply_adds": 0}, "most_memory: found 1, .* smaller batch"),
    ],
)
def test_limits_that_no_genome_holds(fields, message) -> None:
    first = FIRST.model_copy(update={**fields, "least_depth": 12})
    with pytest.raises(RequestError, match=message) as caught:
        follow([first], [made(first)])
    assert "allowed" not in str(caught.value)


def test_limits_that_only_together_hold_nobody() -> None:
    loose = FIRST.model_copy(update={"most_multiply_adds": 10**9})
    assert "hardly any genome holds both" in str(refusal(loose, "genetic", [genome_of(FIRST)]))
    unbound = FIRST.model_copy(update={"most_multiply_adds": 0})
    told = str(refusal(unbound, "genetic", [genome_of(FIRST)]))
    assert told.startswith("most_memory: found 8,192, but hardly any genome holds it; allow more")
    assert "most_multiply_adds" not in told


@pytest.mark.parametrize(("method", "field"), [("genetic", " least_depth"), ("random", " random_least_depth")])
def test_limits_are_told_with_the_depth_that_the_method_draws(method, field) -> None:
    first = FIRST.model_copy(update={"most_multiply_adds": 9, "methods": (method,)})
    with pytest.raises(RequestError, match=f"or a smaller{field}$"):
        follow([first], [made(first)])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_comes_to_an_end(method) -> None:
    spec = CandidateSpec(**{**SMALL, "methods": (method,), "searches": 1, "generations": 3, "crossover": 0.5})
    outcomes = led(spec)
    [search] = searches_of(spec)
    course = course_of(search, known_of(outcomes))
    assert not course.needed
    assert course.state.finished
    assert 6 <= len(course.tried) <= 14

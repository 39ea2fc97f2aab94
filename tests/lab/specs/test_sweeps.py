"""Sweeps: which specs they make, in which order, and what is refused."""

import itertools
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from sparsewire.errors import RequestError
from sparsewire.lab.spec import Part, Spec, canonical
from sparsewire.lab.specs.draws import Between, OneOf, draw
from sparsewire.lab.specs.sweeps import Samples, Sweep, expand, once


class Training(Part):
    epochs: int = 5
    rate: float = 0.1


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    paths: int = 20
    sizes: tuple[int, ...] = ()
    densities: dict[str, float] = Field(default_factory=dict)
    training: Training = Training()
    last: Training | None = None


def rates(specs):
    return [(spec.paths, spec.training.epochs, spec.training.rate) for spec in specs]


def test_no_sweep_is_the_base():
    assert expand({"paths": 3}, Sweep(), Toy) == (Toy(paths=3),)


def test_the_list_is_outermost_then_the_grid_then_the_samples():
    sweep = Sweep(
        listed=({"paths": 1}, {"paths": 2, "sizes": [3]}),
        grid=((("training", "epochs"), (7, 8)), (("densities", "a.b"), (0.5,))),
        random=Samples(2, 3, ((("training", "rate"), Between(0.0, 1.0)),)),
    )
    one, two = (Between(0.0, 1.0).at(draw(3, index, ("training", "rate"))) for index in (0, 1))
    specs = expand({"experiment": "toy", "paths": 9}, sweep, Toy)
    assert rates(specs) == [
        (1, 7, one), (1, 7, two), (1, 8, one), (1, 8, two), (2, 7, one), (2, 7, two), (2, 8, one), (2, 8, two)
    ]  # fmt: skip
    assert sweep.count == 8
    assert {spec.sizes for spec in specs if spec.paths == 2} == {(3,)}
    assert all(spec.densities == {"a.b": 0.5} for spec in specs)


def test_a_part_keeps_what_is_not_set_and_a_mapping_is_replaced():
    base = {"training": {"rate": 0.5}, "densities": {"a": 0.1}, "last": {"rate": 0.7}}
    listed = ({"training": {"epochs": 9}, "densities": {"b": 0.2}, "last": {"epochs": 8}},)
    [spec] = expand(base, Sweep(listed=listed), Toy)
    assert spec.training == Training(epochs=9, rate=0.5)
    assert spec.last == Training(epochs=8, rate=0.7)
    assert spec.densities == {"b": 0.2}
    [spec] = expand(base, Sweep(grid=((("densities", "b"), (0.2,)),)), Toy)
    assert spec.densities == {"a": 0.1, "b": 0.2}


def test_each_spec_comes_once_where_it_came_first():
    sweep = Sweep(listed=({"paths": 2}, {"paths": 1}, {"paths": 20}, {}, {"paths": 2}))
    assert [spec.paths for spec in expand({}, sweep, Toy)] == [2, 1, 20]
    few = Sweep(random=Samples(50, 0, ((("paths",), OneOf((1, 2))),)))
    assert sorted(spec.paths for spec in expand({}, few, Toy)) == [1, 2]
    assert once([Toy(paths=2), Toy(), Toy(paths=2), Toy(paths=20), Toy(paths=2)]) == (Toy(paths=2), Toy())


@given(
    st.lists(st.integers(1, 5), max_size=3), st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.lists(st.floats(0, 1), min_size=1, max_size=3), st.integers(0, 3), st.integers(),
)  # fmt: skip
@settings(deadline=None, max_examples=50)
def test_a_sweep_is_the_base_with_each_change_written_into_it(listed, paths, wanted, samples, seed):
    random = Samples(samples, seed, ((("sizes",), OneOf(([1], [2, 3]))),)) if samples else None
    sweep = Sweep(
        tuple({"training": {"epochs": epochs}} for epochs in listed),
        ((("paths",), tuple(paths)), (("training", "rate"), tuple(wanted))), random,
    )  # fmt: skip
    sizes = [random.draws[0][1].at(draw(seed, index, ("sizes",))) for index in range(samples)] if random else [[]]
    slow = [
        Toy(paths=path, sizes=tuple(size), training=Training(epochs=epochs, rate=rate))
        for epochs in listed or [5] for path in paths for rate in wanted for size in sizes
    ]  # fmt: skip
    assert sweep.count == len(slow)
    ids = [canonical(spec) for spec in slow]
    assert expand({}, sweep, Toy) == tuple(spec for index, spec in enumerate(slow) if ids[index] not in ids[:index])


def test_more_samples_and_more_fields_change_none_that_were_there():
    rate = (("training", "rate"), Between(0.001, 1.0, "log"))
    few = expand({}, Sweep(random=Samples(3, 1, (rate,))), Toy)
    many = expand({}, Sweep(random=Samples(9, 1, ((("paths",), Between(1, 1000)), rate))), Toy)
    assert [spec.training for spec in many[:3]] == [spec.training for spec in few]
    assert expand({}, Sweep(random=Samples(3, 2, (rate,))), Toy) != few


CLASHES = [
    (Sweep(({"paths": 1},), ((("paths",), (1, 2)),)), "'paths' varies in sweep.list and sweep.grid"),
    (Sweep(({"training": {"rate": 1}},), ((("training",), ({},)),)), "'training' varies in sweep.list and sweep.grid"),
    (
        Sweep((), ((("paths",), (1,)),), Samples(1, 0, ((("paths",), OneOf((1,))),))),
        "varies in sweep.grid and sweep.random",
    ),
    (
        Sweep(({"densities": {}},), (), Samples(1, 0, ((("densities", "a"), OneOf((1,))),))),
        "sweep.list and sweep.random",
    ),
]


@pytest.mark.parametrize(("sweep", "message"), CLASHES)
def test_a_field_varies_in_one_way_only(sweep, message):
    with pytest.raises(RequestError, match=message):
        expand({}, sweep, Toy)


FAULTY = [
    (Sweep(grid=((("pahts",), (1,)),)), "sweep.grid.pahts: no field is named 'pahts'; did you mean 'paths'"),
    (
        Sweep(grid=((("training", "epohcs"), (1,)),)),
        "sweep.grid.training.epohcs: no field is named 'epohcs'; did you mean 'epochs'",
    ),
    (Sweep(grid=((("paths",), (1, "2")),)), "sweep.grid.paths: field 'paths': found '2', expected: a valid integer"),
    (Sweep(listed=({}, {"sizes": [1, None]})), "sweep.list.1.sizes.1: field 'sizes.1': found None"),
    (Sweep(random=Samples(1, 0, ((("paths",), OneOf((0.5,))),))), "sweep.random.paths: field 'paths': found 0.5"),
    (Sweep(grid=((("experiment",), ("x",)),)), "field 'experiment': found 'x', expected: 'toy'"),
    (Sweep(grid=((("sizes",), ({1},)),)), "holds what JSON cannot say"),
]


@pytest.mark.parametrize(("sweep", "message"), FAULTY)
def test_faults_are_placed_where_the_sweep_sets_the_field(sweep, message):
    with pytest.raises(RequestError, match=message):
        expand({}, sweep, Toy)


def test_a_fault_of_the_base_is_placed_there():
    with pytest.raises(RequestError, match=r"^pahts: no field is named 'pahts'"):
        expand({"pahts": 1}, Sweep(grid=((("paths",), (1, 2)),)), Toy)


@pytest.mark.parametrize(
    ("grid", "count"),
    [([("paths", 1001), ("sizes", 1000)], "1,001,000"), ([(str(n), 10) for n in range(5000)], "more than 10¹⁵")],
)
def test_too_many_specs_are_refused_before_any_is_made(grid, count):
    sweep = Sweep(grid=tuple(((name,), tuple(range(values))) for name, values in grid))
    with pytest.raises(RequestError, match=f"sweep: the sweep makes {count} specs, expected at most 1,000,000"):
        expand({}, sweep, Toy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0, "x"), "samples: found 0"),
        ((1_000_001, 0, "x"), "samples: found 1000001"),
        ((True, 0, "x"), "samples: found True"),
        ((1, 0.5, "x"), "seed: found 0.5"),
        ((1, 0, ()), "no field is drawn"),
    ],
)
def test_samples_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(RequestError, match=message):
        Samples(*arguments)


def test_the_product_is_that_of_itertools():
    grid = ((("paths",), (3, 1, 2)), (("training", "epochs"), (2, 1)))
    found = [(spec.paths, spec.training.epochs) for spec in expand({}, Sweep(grid=grid), Toy)]
    assert found == list(itertools.product((3, 1, 2), (2, 1)))

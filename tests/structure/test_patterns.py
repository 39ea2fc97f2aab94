import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.errors import RequestError
from sparsewire.structure.patterns import NM, Block, Channels, FixedFanIn, Heads, Neurons, Pattern, Site, Unstructured

PATTERNS = {
    "Unstructured": Unstructured(),
    "Neurons": Neurons(),
    "Block": Block(2, 3),
    "NM": NM(2, 4),
    "FixedFanIn": FixedFanIn(),
    "Channels": Channels(),
    "Heads": Heads(2),
    "Heads of the projection out": Heads(2),
}
SITE = Site("0.weight", rows=8, inputs=12, gates=4, kernel=(2, 2))
# what a pattern is tried on where it is not for every weight
SITES = {
    "Heads": Site("0.in_proj_weight", rows=12, inputs=12, projections=3),
    "Heads of the projection out": Site("0.out_proj.weight", rows=8, inputs=12),
}
CASES = [pytest.param(pattern, SITES.get(name, SITE), id=name) for name, pattern in PATTERNS.items()]


def test_every_pattern_is_in_the_table():
    assert {type(pattern) for pattern in PATTERNS.values()} == set(Pattern.__subclasses__())


@pytest.mark.parametrize(("pattern", "site"), CASES)
def test_pool_and_spread_are_adjoint(pattern, site):
    # ⟨pool(v), u⟩ = ⟨v, spread(u)⟩ for all v, u: a unit's number is the sum over just the weights that it spreads to
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 9, (site.rows, site.inputs), generator=generator)
    units = torch.randint(0, 9, pattern.grid(site), generator=generator)
    pooled, spread = pattern.pool(values, site), pattern.spread(units, site)
    assert pooled.shape == pattern.grid(site)
    assert spread.shape == values.shape
    assert (pooled * units).sum() == (values * spread).sum()


@pytest.mark.parametrize(("pattern", "site"), CASES)
def test_every_weight_is_in_exactly_one_unit(pattern, site):
    ones = torch.ones(pattern.grid(site), dtype=torch.int64)
    assert (pattern.spread(ones, site) == 1).all()
    assert pattern.pool(torch.ones(site.rows, site.inputs), site).sum() == site.rows * site.inputs


@pytest.mark.parametrize(("pattern", "site"), CASES)
def test_what_is_chosen_is_exact_and_none_that_is_dead(pattern, site):
    grid = pattern.grid(site)
    scores = torch.rand(grid, generator=torch.Generator().manual_seed(1))
    size = scores.numel()
    total = pattern.settle(size // 2, {"a": grid}, {"a": pattern.room(torch.ones(grid, dtype=torch.bool))})
    first = pattern.choose(scores, total)
    assert int(first.sum()) == total == size // 2
    assert pattern.room(first) == total


def test_neurons_take_their_gates_with_them():
    # four gates of two neurons in rows 0 1 | 0 1 | 0 1 | 0 1, tiled (not 0 0 0 0 1 1 1 1)
    site = Site("weight_hh_l0", rows=8, inputs=2, gates=4)
    values = torch.arange(16).view(8, 2)
    assert Neurons().pool(values, site).tolist() == [0 + 1 + 4 + 5 + 8 + 9 + 12 + 13, 2 + 3 + 6 + 7 + 10 + 11 + 14 + 15]
    kept = Neurons().spread(torch.tensor([False, True]), site)
    assert kept.tolist() == [[False, False], [True, True]] * 4


def test_heads_take_their_rows_of_each_projection_and_their_columns_of_the_last():
    # rows: q of head 0, q of head 1, k 0, k 1, v 0, v 1, each of two
    stacked = Site("in_proj_weight", rows=12, inputs=1, projections=3)
    assert Heads(2).pool(torch.arange(12)[:, None], stacked).tolist() == [
        0 + 1 + 4 + 5 + 8 + 9,
        2 + 3 + 6 + 7 + 10 + 11,
    ]
    kept = Heads(2).spread(torch.tensor([False, True]), stacked)
    assert kept.int().flatten().tolist() == [0, 0, 1, 1] * 3
    out = Site("out_proj.weight", rows=2, inputs=4)
    assert Heads(2).pool(torch.arange(8).view(2, 4), out).tolist() == [0 + 1 + 4 + 5, 2 + 3 + 6 + 7]
    assert Heads(2).spread(torch.tensor([False, True]), out).int().tolist() == [[0, 0, 1, 1]] * 2


def test_blocks_by_hand():
    values = torch.arange(8).view(2, 4)
    site = Site("weight", 2, 4)
    assert Block(2, 2).pool(values, site).tolist() == [[0 + 1 + 4 + 5, 2 + 3 + 6 + 7]]
    assert Block(1, 4).spread(torch.tensor([[True], [False]]), site).tolist() == [[True] * 4, [False] * 4]


@pytest.mark.parametrize(
    ("block", "rows", "inputs"), [(Block(3, 1), 8, 12), (Block(1, 5), 8, 12), (Block(9, 1), 8, 12)]
)
def test_blocks_must_divide(block, rows, inputs):
    with pytest.raises(RequestError, match=r"pattern: Block.* does not divide '0.weight', which has 8 rows"):
        block.grid(Site("0.weight", rows, inputs))


def test_groups_must_divide():
    with pytest.raises(RequestError, match=r"pattern: NM\(n=2, m=4\) needs groups of 4 inputs, but 'a' has 10 inputs"):
        NM(2, 4).grid(Site("a", 3, 10))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NM(3, 2), "n: found 3 of every 2"),
        (lambda: NM(0, 2), "n: found 0"),
        (lambda: NM(1.0, 2), "n: found 1.0"),
        (lambda: Block(0, 1), "rows: found 0"),
        (lambda: Block(1, True), "columns: found True"),
        (lambda: Heads(0), "count: found 0"),
        (lambda: Heads(2.5), "count: found 2.5"),
    ],
)
def test_impossible_sizes(make, message):
    with pytest.raises(RequestError, match=message):
        make()


def test_n_of_m_by_hand():
    scores = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0]])
    assert NM(2, 4).choose(scores, 4).int().tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]]


def test_n_of_m_has_one_density():
    grids, rooms = {"a": (2, 8), "b": (1, 4)}, {"a": 8, "b": 2}
    assert NM(2, 4).settle(10, grids, rooms) == 10
    assert NM(2, 4).fit({"a": 10, "b": 0}, grids, rooms) == {"a": 8, "b": 2}
    with pytest.raises(RequestError, match=r"density: found 6 of 20 weights \(0.3\).*nearest possible: 0.5$"):
        NM(2, 4).settle(6, grids, rooms)
    # b has a group of which only one weight still exists
    with pytest.raises(RequestError, match="masks: in 'b' some groups of 4 inputs have fewer than 2 weights left"):
        NM(2, 4).settle(10, grids, {"a": 8, "b": NM(2, 4).room(torch.tensor([[True, False, False, False]]))})


def test_fixed_fan_in_by_hand():
    scores = torch.tensor([[1.0, 2.0, 3.0], [7.0, 7.0, 7.0]])
    assert FixedFanIn().choose(scores, 4).int().tolist() == [[0, 1, 1], [1, 1, 0]]
    # as many as the poorest row has, of each of two rows
    assert FixedFanIn().room(torch.tensor([[True, True, True], [True, False, False]])) == 2


def test_fixed_fan_in_takes_multiples_with_the_wanted_total():
    grids, rooms = {"a": (3, 10), "b": (2, 6)}, {"a": 30, "b": 12}
    # 21 of 42, wanted 15 and 6: both are multiples
    assert FixedFanIn().fit({"a": 15, "b": 6}, grids, rooms) == {"a": 15, "b": 6}
    # 20, wanted 14.3 → 12 or 15 for the layer with more neurons: 15 is nearer, but 5 is no multiple of 2 → 12 + 8
    assert FixedFanIn().fit({"a": 14, "b": 6}, grids, rooms) == {"a": 12, "b": 8}
    # one row of b has only two inputs left: 12 = 8 + 4 is none, so all that a needs
    assert FixedFanIn().fit({"a": 14, "b": 6}, grids, {"a": 30, "b": 4}) == {"a": 18, "b": 2}


def test_fixed_fan_in_names_the_nearest_densities():
    grids, rooms = {"a": (4, 10)}, {"a": 40}
    assert FixedFanIn().settle(12, grids, rooms) == 12
    with pytest.raises(RequestError, match=r"density: found 13 of 40 weights \(0.325\).*possible: 0.3 and 0.4$"):
        FixedFanIn().settle(13, grids, rooms)
    assert FixedFanIn(nearest=True).settle(13, grids, rooms) == 12
    assert FixedFanIn(nearest=True).settle(15, grids, rooms) == 16
    assert FixedFanIn(nearest=True).settle(14, grids, rooms) == 12  # as far from both: the lower one
    with pytest.raises(RequestError, match=r"possible: 0.5$"):  # what masks left
        FixedFanIn().settle(30, grids, {"a": 20})


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 9)), min_size=1, max_size=4), st.floats(0, 1), st.data())
def test_fixed_fan_in_is_exact_or_names_a_density_that_is(shapes, fraction, data):
    grids = {str(i): shape for i, shape in enumerate(shapes)}
    rooms = {name: rows * data.draw(st.integers(0, fan_in)) for name, (rows, fan_in) in grids.items()}
    size = sum(rows * fan_in for rows, fan_in in shapes)
    total = int(fraction * sum(rooms.values()))
    try:
        FixedFanIn().settle(total, grids, rooms)
    except RequestError as error:
        printed = [float(number) for number in re.search("possible: (.*)", str(error)).group(1).split(" and ")]
        nearest = [int(density * size + 0.5) for density in printed]
        assert min(nearest, key=lambda other: abs(other - total)) == FixedFanIn(nearest=True).settle(
            total, grids, rooms
        )
        total = nearest[0]
    wanted = dict.fromkeys(grids, total / len(grids))
    wanted = {name: int(count) for name, count in wanted.items()}
    wanted["0"] += total - sum(wanted.values())
    counts = FixedFanIn().fit(wanted, grids, rooms)
    assert sum(counts.values()) == FixedFanIn().settle(total, grids, rooms) == total
    assert all(counts[name] % grids[name][0] == 0 and counts[name] <= rooms[name] for name in grids)

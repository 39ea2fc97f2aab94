"""Planned chains: all junctions, and inputs to outputs, have the highest scatter wherever windows divide."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.analysis.scatter_metric import scatter
from sparsewire.errors import RequestError
from sparsewire.structure.priors.chain_climbing import end_scatter
from sparsewire.structure.priors.planned_chains import highest_scatter, planned_patterns
from sparsewire.structure.priors.regular import fixed_degree
from sparsewire.structure.windows import Layout

IMAGE, MAP, SMALL_MAP = Layout((28, 28)), Layout((256, 4, 4)), Layout((64, 7, 7))
FRAMED = Layout((32, 32), real=torch.nn.functional.pad(torch.ones(28, 28), (2, 2, 2, 2)).bool())

# The networks of the paper (section 2, Table 1, Figures 2 to 4), and some more with few paths.
REACHED = [
    ((4096, 512, 16), [(1, 1), (1, 2), (1, 8)], None),
    ((4096, 512, 256, 16), [(1, 1, 1), (1, 1, 8), (1, 2, 16)], None),
    ((4096, 512, 128), [(1, 1), (1, 8), (1, 32)], None),
    ((4096, 512, 256, 128), [(1, 1, 1), (1, 1, 16), (1, 2, 32)], None),
    ((3136, 784, 10), [(1, 5), (4, 10), (16, 10)], None),
    ((784, 224, 10), [(4, 10), (112, 10)], None),
    ((64, 1024, 64), [(128, 8), (512, 32), (16, 1), (16, 2), (16, 16), (32, 4), (256, 16), (1024, 64)], None),
    ((1024, 64, 16), [(1, 4)], None),
    ((8, 4, 4), [(1, 2)], None),
    ((256, 256, 256, 256), [(4, 2, 16), (1, 1, 1)], None),
    ((128, 128, 128, 128), [(8, 8, 4)], None),
    ((100, 60, 30), [(3, 1), (3, 2)], None),
    ((784, 224, 10), [(4, 10), (112, 10)], IMAGE),
    ((784, 112, 10), [(1, 5), (2, 5)], IMAGE),
    ((1024, 64, 16), [(1, 4)], FRAMED),
    ((4096, 512, 16), [(1, 1), (1, 8)], MAP),
    ((4096, 512, 256, 16), [(1, 1, 8), (1, 2, 16)], MAP),
    ((4096, 512, 128), [(1, 32)], Layout((256, 4, 4), "channels_last")),
    ((4096, 512, 256), [(1, 1)], MAP),  # the 16 windows of the whole chain are not inside the 8 of the first junction
    ((3136, 784, 10), [(1, 5), (4, 10), (16, 10)], SMALL_MAP),
]
CASES = [(sizes, fan_outs, first) for sizes, several, first in REACHED for fan_outs in several]
# Windows that do not divide: single junctions are at their bound, the whole chain is near it.
NEAR = [
    ((64, 48, 64), (6, 8)),
    ((100, 60, 30), (3, 4)),
    ((30, 30, 30), (4, 4)),
    ((50, 50, 50), (8, 8)),
    ((16, 16), (5,)),
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def layouts_of(sizes, first):
    return [first, *[None] * (len(sizes) - 1)]


def assert_regular(patterns, sizes, fan_outs):
    for pattern, (n_in, n_out), fan_out in zip(patterns, pairwise(sizes), fan_outs, strict=True):
        assert pattern.dtype == torch.bool
        assert pattern.shape == (n_out, n_in)
        assert (pattern.sum(0) == fan_out).all()
        assert (pattern.sum(1) == n_in * fan_out // n_out).all()


@pytest.mark.parametrize(("sizes", "fan_outs", "first"), CASES)
def test_every_entry_of_the_vector_is_the_highest(sizes, fan_outs, first):
    layouts = layouts_of(sizes, first)
    patterns = planned_patterns(sizes, fan_outs, layouts=layouts, generator=seeded())
    assert_regular(patterns, sizes, fan_outs)
    bound = highest_scatter(sizes, fan_outs, layouts=layouts)
    assert scatter(patterns, layouts).vector == pytest.approx(bound)
    assert first is FRAMED or min(bound) == 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("sizes", "fan_outs"), [((4096, 512, 16), (1, 2)), ((64, 1024, 64), (16, 16))])
def test_so_it_is_for_other_seeds(sizes, fan_outs, seed):
    assert scatter(planned_patterns(sizes, fan_outs, generator=seeded(seed))).minimum == 1


@pytest.mark.parametrize(("sizes", "fan_outs"), NEAR)
def test_what_does_not_divide_comes_near(sizes, fan_outs):
    patterns = planned_patterns(sizes, fan_outs, generator=seeded())
    assert_regular(patterns, sizes, fan_outs)
    reached, bound = scatter(patterns).vector, highest_scatter(sizes, fan_outs)
    assert reached[: 2 * len(fan_outs)] == pytest.approx(bound[: 2 * len(fan_outs)])
    assert all(0.9 * most < value <= most + 1e-9 for value, most in zip(reached, bound, strict=True))


@st.composite
def dividing_chains(draw):
    """Chains whose inputs divide into Π fan-in windows: sizes from fans, N_(i+1) = N_i · fan_out / fan_in."""
    fans = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=3))
    run = draw(st.integers(1, 3))
    sizes = [run * math.prod(fan_in for fan_in, _ in fans)]
    for fan_in, fan_out in fans:
        sizes.append(sizes[-1] * fan_out // fan_in)
    return tuple(sizes), tuple(fan_out for _, fan_out in fans)


@settings(deadline=None)
@given(dividing_chains(), st.integers(0, 9))
def test_the_theorem_holds(chain, seed):
    sizes, fan_outs = chain
    patterns = planned_patterns(sizes, fan_outs, generator=seeded(seed))
    assert_regular(patterns, sizes, fan_outs)
    assert scatter(patterns).vector == (1,) * (2 * len(fan_outs) + 2)
    paths = torch.linalg.multi_dot([pattern.double() for pattern in reversed(patterns)])
    windows = math.prod(int(pattern[0].sum()) for pattern in patterns)
    assert (paths.view(sizes[-1], windows, -1).sum(-1) == 1).all()  # one path from each window to each output


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(2, 14), min_size=2, max_size=4), st.data())
def test_any_chain_is_regular_at_its_bound_by_junction_and_above_random_ones(sizes, data):
    steps = [n_out // math.gcd(n_in, n_out) for n_in, n_out in pairwise(sizes)]
    fan_outs = [step * data.draw(st.integers(1, size // step)) for step, size in zip(steps, sizes[1:], strict=True)]
    patterns = planned_patterns(sizes, fan_outs, generator=seeded())
    assert_regular(patterns, sizes, fan_outs)
    reached, bound = np.array(scatter(patterns).vector), np.array(highest_scatter(sizes, fan_outs))
    assert (reached <= bound + 1e-9).all()
    assert reached[: 2 * len(fan_outs)] == pytest.approx(bound[: 2 * len(fan_outs)])


@pytest.mark.parametrize(("sizes", "fan_outs"), [*[case[:2] for case in CASES[::5]], *NEAR])
def test_random_patterns_have_no_higher_scatter(sizes, fan_outs):
    generator = seeded()
    random = [
        fixed_degree(n_in, n_out, fan_out, generator=generator)
        for (n_in, n_out), fan_out in zip(pairwise(sizes), fan_outs, strict=True)
    ]
    assert scatter(random).minimum <= scatter(planned_patterns(sizes, fan_outs, generator=generator)).minimum


def test_one_junction_alone_is_planned_as_such():
    (pattern,) = planned_patterns((10, 10), (4,), generator=seeded())
    assert scatter([pattern]).vector == pytest.approx(highest_scatter((10, 10), (4,)))


def test_outputs_may_have_a_layout_as_well():
    sizes, fan_outs, layouts = (256, 512, 4096), (2, 8), [None, None, MAP]
    patterns = planned_patterns(sizes, fan_outs, layouts=layouts, generator=seeded())
    assert_regular(patterns, sizes, fan_outs)
    assert scatter(patterns, layouts).minimum == 1


def test_layouts_in_the_middle_count_for_their_junctions():
    sizes, fan_outs, layouts = (64, 36, 64), (9, 16), [None, Layout((6, 6)), Layout((8, 8))]
    patterns = planned_patterns(sizes, fan_outs, layouts=layouts, generator=seeded())
    assert_regular(patterns, sizes, fan_outs)
    assert scatter(patterns, layouts).vector == pytest.approx(highest_scatter(sizes, fan_outs, layouts=layouts))


@pytest.mark.parametrize(
    ("sizes", "fan_outs"), [((4096, 512, 16), (1, 8)), ((30, 30, 30), (4, 4)), ((64, 256, 64), (8, 16))]
)
def test_the_generator_alone_decides(sizes, fan_outs):
    def same(one, other):
        return all(torch.equal(*pair) for pair in zip(one, other, strict=True))

    before = torch.get_rng_state()
    first = planned_patterns(sizes, fan_outs, generator=seeded(1))
    assert same(planned_patterns(sizes, fan_outs, generator=seeded(1)), first)
    assert not same(planned_patterns(sizes, fan_outs, generator=seeded(2)), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_sum_that_is_climbed_is_that_of_scatter():
    patterns = [fixed_degree(12, 8, 4, generator=seeded()), fixed_degree(8, 6, 3, generator=seeded(1))]
    windows = Layout((12,)).windows(12).numpy(), Layout((6,)).windows(6).numpy()
    assert end_scatter([pattern.numpy() for pattern in patterns], windows) == pytest.approx(
        sum(scatter(patterns).vector[-2:])
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": (8,)}, "sizes: found .8,., expected the neurons of at least two layers"),
        ({"sizes": ()}, r"sizes: found \(\)"),
        ({"sizes": 5}, "sizes: found 5"),
        ({"sizes": (8, 0, 4)}, r"sizes\[1\]: found 0"),
        ({"fan_outs": (1,)}, r"fan_outs: found \(1,\), expected 2"),
        ({"fan_outs": 2}, "fan_outs: found 2, expected 2, one for each"),
        ({"fan_outs": (1, 5)}, r"fan_outs\[1\]: found 5, expected .*; nearest: 4"),
        ({"sizes": (9, 4, 4)}, r"fan_outs\[0\]: found 1, expected .*; nearest: 4"),
        ({"layouts": [None]}, "layouts: found 1, expected 3"),
        ({"layouts": Layout((8,))}, "layouts: found Layout.*, expected 3"),
        ({"layouts": 5}, "layouts: found 5, expected 3"),
        ({"layouts": [Layout((3, 3)), None, None]}, r"layouts\[0\]: found one of shape \(3, 3\)"),
        ({"generator": None}, "generator: found None"),
    ],
)
def test_impossible_requests_are_refused(arguments, message):
    request = {"sizes": (8, 4, 4), "fan_outs": (1, 2), "generator": seeded()} | arguments
    with pytest.raises(RequestError, match=message):
        planned_patterns(**request)

import pytest
import torch

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.structure.drawn_patterns import NAMES, drawn_patterns
from sparsewire.structure.priors.interleavers import interleaved
from sparsewire.structure.windows import Layout

SIZES, FAN_OUTS = (16, 8, 4), (2, 2)
REGULAR = [name for name in NAMES if name != "random"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_gives_a_pattern_for_each_junction(name):
    first, second = drawn_patterns(SIZES, FAN_OUTS, name, generator=seeded())
    assert (first.shape, second.shape) == ((8, 16), (4, 8))
    assert first.dtype == second.dtype == torch.bool
    assert (int(first.sum()), int(second.sum())) == (32, 16)
    again = drawn_patterns(SIZES, FAN_OUTS, name, generator=seeded())
    assert torch.equal(first, again[0])
    assert torch.equal(second, again[1])


@pytest.mark.parametrize("name", REGULAR)
def test_all_but_random_ones_are_regular(name):
    first, second = drawn_patterns(SIZES, FAN_OUTS, name, generator=seeded())
    assert set(first.sum(0).tolist()) == {2}
    assert set(first.sum(1).tolist()) == {4}
    assert set(second.sum(0).tolist()) == {2}
    assert set(second.sum(1).tolist()) == {4}


@pytest.mark.parametrize(
    ("n_in", "n_out", "fan_out"),
    [(8, 4, 1), (8, 4, 4), (3, 3, 2), (784, 112, 28), (112, 10, 10), (5, 7, 7), (64, 1024, 16)],
)
def test_interleaved_patterns_find_their_own_number_of_memories(n_in, n_out, fan_out):
    [found] = drawn_patterns((n_in, n_out), (fan_out,), "interleaved", generator=seeded())
    assert set(found.sum(0).tolist()) == {fan_out}
    assert set(found.sum(1).tolist()) == {n_in * fan_out // n_out}


def test_a_function_is_a_pattern():
    asked = []

    def diagonal(n_in, n_out, fan_out, generator):
        asked.append((n_in, n_out, fan_out))
        return torch.eye(n_out, n_in).bool()

    assert [int(one.sum()) for one in drawn_patterns((8, 4, 2), (1, 1), diagonal, generator=seeded())] == [4, 2]
    assert asked == [(8, 4, 1), (4, 2, 1)]


def test_uneven_fan_outs():
    [found] = drawn_patterns((8, 3), (2,), uneven=True, generator=seeded())
    assert set(found.sum(0).tolist()) == {2}
    assert sorted(found.sum(1).tolist()) == [5, 5, 6]


def test_layouts_reach_planned_and_clustered_patterns():
    image = [Layout((4, 4)), None]
    for name in ("planned", "clustered"):
        [flat] = drawn_patterns((16, 4), (1,), name, generator=seeded())
        [tiled] = drawn_patterns((16, 4), (1,), name, layouts=image, generator=seeded())
        assert not torch.equal(flat, tiled)


def wrong(n_in, n_out, fan_out, generator):
    return torch.zeros(n_in, n_out).bool()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"pattern": "planed"}, "no pattern is named 'planed'; did you mean 'planned'"),
        ({"pattern": 3}, "pattern: found 3, expected a name or a function"),
        ({"pattern": wrong}, r"pattern: the function gave torch.bool of shape \(16, 8\), expected .* \(8, 16\)"),
        ({"pattern": lambda *_: [1]}, "pattern: the function gave list"),
        ({"pattern": "planned", "uneven": True}, "uneven: 'planned' is always regular"),
        ({"fan_outs": (2,)}, r"fan_outs: found \(2,\), expected 2, one for each junction of 16-8-4"),
        ({"fan_outs": (2, 5)}, r"fan_outs\[1\]: found 5, expected a whole number up to 4"),
        ({"fan_outs": (2, 5), "uneven": True}, r"fan_outs\[1\]: found 5, expected at most 4, the right neurons"),
        ({"fan_outs": (2, 1.5), "pattern": "random"}, r"fan_outs\[1\]: found 1.5, expected a whole number"),
        ({"layouts": [None]}, "layouts: found 1, expected 3"),
        ({"layouts": 5}, "layouts: found 5, expected 3"),
        ({"layouts": [None, None, 5], "pattern": "clustered"}, r"layouts\[2\]: found 5, expected a Layout of 4"),
        ({"layouts": [Layout((4,)), None, None]}, r"layouts\[0\]: found one of shape \(4,\), expected .* of 16"),
        ({"generator": 0}, "generator: found 0"),
    ],
)
def test_impossible_requests_are_refused(arguments, told):
    given = {"fan_outs": FAN_OUTS, "generator": seeded()} | arguments
    kind = UnknownNameError if given.get("pattern") == "planed" else RequestError
    with pytest.raises(kind, match=told):
        drawn_patterns(SIZES, **given)


def test_interleaved_patterns_are_read_from_as_many_memories_as_can_be():
    [found] = drawn_patterns((12, 8), (2,), "interleaved", generator=seeded())
    assert torch.equal(found, interleaved(12, 8, 2, 3, generator=seeded()))

import json

import pytest
import torch

from sparsewire.analysis.configurations import SORTS, Configuration, configuration_of, design
from sparsewire.analysis.cost import cost_table
from sparsewire.analysis.scatter_metric import scatter
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution.measuring import Timing
from sparsewire.models.zoo import mlp
from sparsewire.structure.drawn_patterns import drawn_patterns
from sparsewire.structure.predefined_masks import predefined
from sparsewire.structure.splits import Split

MORSE = (64, 1024, 64)


def seeded():
    return torch.Generator().manual_seed(0)


def by_density(subject, batches, training):
    """A clock by hand: a sparse layer takes its density's share of the dense one's time."""
    return [Timing(batch, 1e-3, 1e-3 * subject.density, 1 / subject.density) for batch in batches]


def test_numbers_by_hand():
    # 8-4: 16 of 32 weights and 4 biases. Dense: 36 · 4 bytes. CSR: 16 · 8 + 5 · 4 bytes, and 4 biases · 4: more.
    found = configuration_of(Split((8, 4), (2,)), draws=0, generator=seeded())
    assert found == Configuration(
        Split((8, 4), (2,)), parameters=20, bytes_dense=144, bytes_sparse=144, scatter_planned=1.0
    )
    assert configuration_of(Split((8, 4), (1,)), draws=0, generator=seeded()).bytes_sparse == 8 * 8 + 5 * 4 + 16


def test_costs_and_scatter_are_those_of_the_masked_model():
    split = Split(MORSE, (256, 48))
    found = configuration_of(split, pattern="planned", generator=seeded())
    masks = predefined(mlp(MORSE), fan_outs=split.fan_outs, pattern="planned", generator=seeded())
    costs = cost_table(mlp(MORSE), masks)
    assert found.bytes_dense == costs.bytes_dense
    assert found.parameters == costs.live + 1024 + 64
    assert found.scatter == found.scatter_planned == pytest.approx(scatter(masks).minimum)
    assert found.density == masks.density == 0.5


def test_planned_patterns_spread_further_than_drawn_ones():
    for one in design((32, 64, 16), 0.25, at_most=3, generator=seeded()):
        assert one.scatter < one.scatter_planned <= 1


@pytest.mark.parametrize("sort", SORTS)
def test_the_order(sort):
    found = design(
        (32, 64, 16), 0.25, tolerance=0.05, batch=8, measure=by_density, draws=1, sort=sort, generator=seeded()
    )
    values = {
        "density": [one.density for one in found],
        "scatter": [-max(one.scatter, one.scatter_planned) for one in found],
        "speed": [-one.speed for one in found],
        "parameters": [one.parameters for one in found],
    }[sort]
    assert values == sorted(values)
    assert len(found) == 8
    assert all(one.speed > 1 for one in found)


def test_the_same_seed_gives_the_same_rows():
    assert design(MORSE, 0.25, at_most=2, generator=seeded()) == design(MORSE, 0.25, at_most=2, generator=seeded())


def test_rows_are_plain_values():
    [one] = design(MORSE, 0.5, at_most=1, batch=2, measure=by_density, draws=1, generator=seeded())
    told = json.loads(json.dumps(one.as_dict(), allow_nan=False))
    assert told["fan_outs"] == [512, 32]
    assert told["weights"] == 65536
    assert told["runs_sparse"] == [True, True]


def test_no_scatter_of_patterns_too_large_to_draw():
    found = configuration_of(Split((8192, 8192), (8,)), generator=seeded())
    assert found.scatter is None
    assert found.scatter_planned == 1


@pytest.mark.parametrize(
    ("sizes", "arguments", "told"),
    [
        ((784,), {}, "sizes: found .784,., expected the neurons of at least two layers"),
        ((784, 0), {}, r"sizes\[1\]: found 0"),
        (
            (20000, 20000),
            {},
            "sizes: found 400,000,000 weights between 20,000 and 20,000 neurons, expected at most 268",
        ),
        (MORSE, {"density": 0}, "density: found 0"),
        (MORSE, {"density": 1.1}, "density: found 1.1"),
        (MORSE, {"density": float("nan")}, "density: found nan"),
        (MORSE, {"tolerance": -1}, "tolerance: found -1"),
        (MORSE, {"at_most": 0}, "at_most: found 0"),
        (MORSE, {"draws": -1}, "draws: found -1"),
        (MORSE, {"batch": 0}, "batch: found 0"),
        (MORSE, {"generator": 1}, "generator: found 1"),
    ],
)
def test_impossible_requests_are_refused(sizes, arguments, told):
    with pytest.raises(RequestError, match=told):
        design(sizes, **({"density": 0.5, "generator": seeded()} | arguments))


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match="order"):
        design(MORSE, 0.5, sort=["density"], generator=seeded())
    with pytest.raises(UnknownNameError, match="did you mean 'planned'"):  # though nothing is drawn
        design(MORSE, 0.5, pattern="planed", draws=0, generator=seeded())
    with pytest.raises(UnknownNameError, match="did you mean 'density'"):
        design(MORSE, 0.5, sort="densty", generator=seeded())
    with pytest.raises(UnknownNameError, match="did you mean 'planned'"):
        design(MORSE, 0.5, pattern="planed", generator=seeded())


def test_the_scatter_is_the_median_of_the_draws():
    split, generator = Split((16, 12, 8), (3, 2)), seeded()
    drawn = [scatter(drawn_patterns(split.sizes, split.fan_outs, generator=generator)).minimum for _ in range(3)]
    assert len(set(drawn)) == 3
    assert configuration_of(split, draws=3, generator=seeded()).scatter == sorted(drawn)[1]

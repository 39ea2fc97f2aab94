"""Every network that is planned can exist, has the density it is said to have, and is comparable where it should be."""

import pytest

from sparsewire.experiments.comparable import as_published
from sparsewire.experiments.predefined import (
    cifar10,
    cifar100,
    mnist_conv,
    mnist_dense,
    morse_density,
    morse_split,
    scatter_accuracy,
)
from sparsewire.experiments.predefined.setup import FREE
from sparsewire.structure.junction_allocation import split_of

CONNECTED = (mnist_dense, morse_density, morse_split, scatter_accuracy)
CONVOLUTIONAL = (cifar10, cifar100, mnist_conv)


@pytest.mark.parametrize("scale", ["smoke", "desk", "full"])
@pytest.mark.parametrize("module", CONNECTED)
def test_fan_outs_divide(module, scale) -> None:
    for spec in module.specs(scale):
        if spec.fan_outs:
            assert split_of(spec.sizes, fan_outs=spec.fan_outs).fan_outs == spec.fan_outs


@pytest.mark.parametrize("module", CONVOLUTIONAL)
def test_fan_outs_divide_behind_convolutions(module) -> None:
    last = 3136 if module is mnist_conv else 4096
    for scale in ("desk", "full"):
        for spec in module.specs(scale):
            if spec.fan_outs:
                sizes = (last, *spec.hidden, spec.outputs)
                assert split_of(sizes, fan_outs=spec.fan_outs).fan_outs == spec.fan_outs


def test_splits_have_the_overall_density_they_stand_under() -> None:
    for scale, share in (("full", (0.25, 0.5)), ("smoke", (0.25, 0.5))):
        densities = {split_of(spec.sizes, fan_outs=spec.fan_outs).density for spec in morse_split.specs(scale)}
        assert densities == set(share)


def test_the_extremes_of_the_appendix_are_among_the_splits() -> None:
    found = {spec.fan_outs for spec in morse_split.specs("full")}
    assert {(16, 31), (16 * 31, 1), (16, 63), (16 * 63, 1)} <= found


def test_the_circled_points_have_about_as_many_connections() -> None:
    full = {(spec.sizes[1], spec.fan_outs) for spec in mnist_dense.specs("full") if len(spec.sizes) == 3}
    assert set(mnist_dense.CIRCLED.items()) <= full
    counts = [
        784 * (fan_outs or (28, 10))[0] + hidden * 10 for hidden, fan_outs in mnist_dense.CIRCLED.items()
    ]  # fmt: skip
    assert max(counts) / min(counts) < 1.1


@pytest.mark.parametrize("module", [*CONVOLUTIONAL, mnist_dense, morse_density, morse_split])
def test_full_scale_is_as_published_and_smoke_scale_is_not(module) -> None:
    free = ("fan_outs", "hidden", "sizes", *FREE)
    assert all(as_published(spec, *free) for spec in module.specs("full"))
    if module in (morse_density, morse_split):
        free = ("fan_outs", *FREE)
    assert not any(as_published(spec, *free) for spec in module.specs("smoke"))

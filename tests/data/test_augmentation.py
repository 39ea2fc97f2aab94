import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.data.augmentation import centred, per_pixel_mean, shift_and_flip
from sparsewire.data.samples import DataSet, Samples
from sparsewire.errors import RequestError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count, channels, height, width):
    """Every image has the same pixels, each of its own value: what comes out says where it came from."""
    pixels = torch.arange(channels * height * width, dtype=torch.float32).reshape(1, channels, height, width)
    return pixels.repeat(count, 1, 1, 1)


def moved(image, down, right, mirrored):
    """The slow obvious version: pixel by pixel."""
    channels, height, width = image.shape
    out = torch.empty_like(image)
    for channel in range(channels):
        for y in range(height):
            for x in range(width):
                column = width - 1 - x if mirrored else x
                row = min(max(y - down, 0), height - 1)
                out[channel, y, x] = image[channel, row, min(max(column - right, 0), width - 1)]
    return out


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 6), st.integers(1, 3), st.integers(2, 6), st.integers(2, 7), st.floats(0, 1), st.booleans(),
    st.integers(0, 99),
)  # fmt: skip
def test_each_image_is_one_that_a_shift_and_a_flip_can_make(count, channels, height, width, fraction, flip, seed):
    images = torch.rand(count, channels, height, width, generator=generator(seed))
    before = images.clone()
    out = shift_and_flip(fraction, flip)(images, generator(seed))
    assert torch.equal(images, before)
    assert (out.shape, out.dtype) == (images.shape, images.dtype)
    most_down, most_right = int(fraction * height + 0.5), int(fraction * width + 0.5)
    for image, shown in zip(images, out, strict=True):
        assert any(
            torch.equal(moved(image, down, right, mirrored), shown)
            for down in range(-most_down, most_down + 1)
            for right in range(-most_right, most_right + 1)
            for mirrored in ({False, True} if flip else {False})
        )


def test_shifts_are_uniform_and_half_are_flipped():
    """At 10 % of 32 pixels: 3.2, so 3 is as far as it goes, a little less often than the others."""
    images = numbered(20_000, 1, 32, 32)
    out = shift_and_flip(0.1)(images, generator())
    centre = out[:, 0, 16, 15:17].long()
    mirrored = centre[:, 0] > centre[:, 1]
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.015)
    down = 16 - centre[:, 0] // 32
    expected = torch.tensor([0.7, 1, 1, 1, 1, 1, 0.7]) / 6.4
    assert torch.allclose(torch.bincount(down + 3) / len(images), expected, atol=0.012)
    columns = centre[:, 0] % 32
    right = torch.where(mirrored, 31 - 15 - columns, 15 - columns)
    assert torch.allclose(torch.bincount(right + 3) / len(images), expected, atol=0.012)
    assert abs(torch.corrcoef(torch.stack([down.float(), right.float()]))[0, 1]) < 0.03
    assert abs(torch.corrcoef(torch.stack([down.float(), mirrored.float()]))[0, 1]) < 0.03


def test_the_generator_alone_decides():
    images, augment = numbered(8, 3, 8, 8), shift_and_flip(0.25)
    state = torch.get_rng_state()
    assert torch.equal(augment(images, generator(1)), augment(images, generator(1)))
    assert not torch.equal(augment(images, generator(1)), augment(images, generator(2)))
    assert torch.equal(torch.get_rng_state(), state)
    source = generator(1)
    assert not torch.equal(augment(images, source), augment(images, source))


def test_the_shifts_do_not_depend_on_flipping():
    images = numbered(50, 1, 8, 8)
    still, flipped = (shift_and_flip(0.25, flip)(images, generator(3)) for flip in (False, True))
    same = (still == flipped).all(dim=3).all(dim=2)[:, 0]
    mirrored = (still.flip(3) == flipped).all(dim=3).all(dim=2)[:, 0]
    # A mirrored image is shifted the same way and then mirrored.
    assert (same ^ mirrored).all()
    assert same.any()
    assert mirrored.any()


def test_nothing_happens_without_shift_and_flip():
    images = torch.rand(4, 3, 5, 5, generator=generator())
    assert torch.equal(shift_and_flip(0, flip=False)(images, generator()), images)


def test_other_kinds_of_numbers_and_layouts():
    images = numbered(4, 3, 8, 8)
    expected = shift_and_flip()(images, generator())
    assert torch.equal(shift_and_flip()(images.double(), generator()), expected.double())
    assert torch.equal(shift_and_flip()(images.to(torch.uint8), generator()), expected.to(torch.uint8))
    assert torch.equal(shift_and_flip()(images.to(memory_format=torch.channels_last), generator()), expected)
    assert shift_and_flip()(images[:0], generator()).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("fraction", [-0.1, 1.5, float("nan"), float("inf"), True, "0.1", None])
def test_an_impossible_fraction_is_refused(fraction):
    with pytest.raises(RequestError, match="fraction: found"):
        shift_and_flip(fraction)


def test_flat_images_and_missing_generators_are_refused():
    with pytest.raises(RequestError, match=r"images: found shape \(2, 64\)"):
        shift_and_flip()(torch.zeros(2, 64), generator())
    with pytest.raises(RequestError, match="generator: found None"):
        shift_and_flip()(torch.zeros(2, 1, 8, 8), None)


def test_centring_takes_the_training_mean_from_both_parts():
    train = Samples(torch.rand(30, 3, 4, 4, generator=generator()), torch.zeros(30, dtype=torch.int64))
    test = Samples(torch.rand(7, 3, 4, 4, generator=generator(1)), torch.ones(7, dtype=torch.int64))
    data = DataSet("made up", train, test, classes=2)
    mean = per_pixel_mean(train)
    assert mean.shape == (3, 4, 4)
    assert mean[1, 2, 3].item() == pytest.approx(sum(image[1, 2, 3].item() for image in train.inputs) / 30)
    result = centred(data)
    assert (result.name, result.classes, result.input_shape) == (data.name, 2, (3, 4, 4))
    assert torch.equal(result.test.inputs, test.inputs - mean)
    assert torch.allclose(result.train.inputs.mean(0), torch.zeros(3, 4, 4), atol=1e-6)
    assert torch.equal(result.train.labels, train.labels)
    assert test.inputs.min() >= 0  # the old ones stay


@pytest.mark.parametrize("inputs", [torch.zeros(0, 3), torch.zeros(2, 3, dtype=torch.uint8)])
def test_no_mean_of_nothing_or_of_whole_numbers(inputs):
    with pytest.raises(RequestError, match="samples: found"):
        per_pixel_mean(Samples(inputs, torch.zeros(len(inputs), dtype=torch.int64)))

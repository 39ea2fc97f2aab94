"""Morse code as data: frames of dots and dashes of random lengths and levels, drawn as they are needed."""

import functools
from typing import Unpack

import torch
from torch import Tensor

from sparsewire.data.morse_form import MorseForm, MorseOptions
from sparsewire.data.morse_symbols import CLASSES, MORSE
from sparsewire.data.samples import DataSet, Samples
from sparsewire.structure.blocks import checked_generator, whole

_LEVEL, _SPREAD, _WHITE = 12.0, 1.34, 16.0  # mean and standard deviation of a grey mark; the level that becomes 1
_AT_ONCE = 16_384  # frames; a frame's temporary values take some 20 bytes a sample, which should stay in the cache
_MOST_MARKS = max(map(len, MORSE.values()))


def morse(per_class: int, *, generator: torch.Generator, **options: Unpack[MorseOptions]) -> Samples:
    """Frames of Morse code to tell the symbol from: equally many of each of 64 classes, in random order.

    A code's dots and dashes are runs of samples, its spaces the zeros between them; each length is drawn uniformly. A
    frame begins with the code and is zero after it. Style "grey", for a mark's samples m, with Normal(mean, deviation):

        frame = round(clip(m + noise, 0, 16) / 16, 3 decimals),   m ~ Normal(12, 1.34), 0 in spaces,   noise ~
        Normal(0, `noise`), drawn for every sample of the frame

    Style "binary": 1 in marks and 0 in spaces, with 0 to `flips` samples (uniformly many, anywhere) turned over.

    **64 classes, 63 codes**: "(" and Ĥ are both -.--. (as in the paper's data), so that no classifier can be right more
    often than in 63 of 64 cases, 98.44 %. `MORSE` has the code of every symbol, in the order of the labels.

    Args:
        per_class: frames of each class, at least 1.
        generator: what all is drawn from. Its device is where the frames are made.
        options: any of
            style: "grey" (the default) or "binary";
            noise: standard deviation of what is added to every sample of a grey frame, in levels of 16; default 0;
            flips: at most so many samples of a binary frame are turned over; default 0;
            dots, dashes, spaces: (least, most) samples that one takes; default (1, 3), (4, 9), (1, 3);
            leading: whether the code begins anywhere, uniformly, as far as it still fits; default False;
            dilation: whole factor by which the frame and all ranges of lengths are longer; default 1;
            frame: samples in a frame, before dilation; default 64. With these lengths a code has at most 57.
            `**MORSE_DIFFICULT` are the options of the paper's difficult data set.

    Returns:
        Frames float32 (64 · per_class, frame · dilation), values in [0, 1]; labels int64, 0 … 63.

    Raises:
        RequestError: a count or an option is impossible, e.g. a frame in which a code may not fit; the message says
            which frame always suffices.

    Example:
        >>> frames, labels = morse(2, generator=torch.Generator().manual_seed(0))
        >>> frames.shape, labels.bincount().unique().tolist(), bool((frames[:, 57:] == 0).all())
        (torch.Size([128, 64]), [2], True)

    Reference:
        S. Dey, K. Chugg, P. Beerel, "Morse code datasets for machine learning", 2018; used by Dey, Huang, Beerel,
        Chugg (2018), section 2.2.3. Its 64 symbols have by length 2, 4, 8, 16, 22, 12 codes; its own list of the
        accented letters is lost, ours is in `MORSE`. We draw each set anew where the authors' is one fixed file.
    """
    count = whole("per_class", per_class, least=1)
    form = MorseForm.of(options)
    device = checked_generator(generator).device
    order = torch.randperm(CLASSES * count, generator=generator, device=device)
    return frames_of(order % CLASSES, form, generator=generator)


def morse_set(
    train: int = 5000,
    test: int = 1000,
    *,
    validation: int = 0,
    generator: torch.Generator,
    **options: Unpack[MorseOptions],
) -> DataSet:
    """The Morse data set: frames to train with and frames to test with, each in random order.

    Args:
        train: training frames of each class; the paper has 5000.
        test: test frames of each class; the paper has 1000.
        validation: so many more of each class after the training frames, for `data.train.split(64 * train)` to take
            off; the paper has 1000.
        generator: what all is drawn from.
        options: as in `morse`.

    Returns:
        320,000 + 64,000 frames of 64 samples (unless told otherwise), 64 classes: 98 MB.

    Raises:
        RequestError: as `morse`.

    Example:
        >>> data = morse_set(3, 1, validation=1, generator=torch.Generator().manual_seed(0))
        >>> training, validation = data.train.split(64 * 3)
        >>> data, validation.labels.unique().numel()
        (DataSet('morse', 256 + 64 samples of (64,), 64 classes), 64)

    Reference:
        S. Dey, K. Chugg, P. Beerel, "Morse code datasets for machine learning", 2018.
    """
    form = MorseForm.of(options)
    counts = [whole("train", train, least=1), whole("validation", validation, least=0), whole("test", test, least=1)]
    device = checked_generator(generator).device
    orders = [torch.randperm(CLASSES * count, generator=generator, device=device) % CLASSES for count in counts]
    training = frames_of(torch.cat(orders[:2]), form, generator=generator)
    return DataSet("morse", training, frames_of(orders[2], form, generator=generator), CLASSES)


def frames_of(labels: Tensor, form: MorseForm, *, generator: torch.Generator) -> Samples:
    """One frame for each label.

    Args:
        labels: int64 (n,), each 0 … 63, on the generator's device.
        form: what frames look like.
        generator: what lengths, levels and noise are drawn from.
    """
    frames = torch.empty(len(labels), form.samples, dtype=torch.float32, device=labels.device)
    draw = _grey if form.style == "grey" else _binary
    for start in range(0, len(labels), _AT_ONCE):
        marks = _marks(labels[start : start + _AT_ONCE], form, generator)
        draw(frames[start : start + _AT_ONCE], marks, form, generator)
    return Samples(frames, labels)


def _marks(labels: Tensor, form: MorseForm, generator: torch.Generator) -> Tensor:
    """Where each frame has a mark: int8 (n, samples) of 1 and 0."""
    dots, dashes = (code.to(labels.device)[labels] for code in _codes())
    lengths = dots * _drawn(form.dots, dots, form, generator) + dashes * _drawn(form.dashes, dots, form, generator)
    spaces = _drawn(form.spaces, dots, form, generator)
    ends = (lengths + spaces).cumsum(1) - spaces  # the spaces after a code's last mark move only marks of length 0
    starts = ends - lengths
    if form.leading:
        taken = (ends * (lengths > 0)).amax(1, keepdim=True)
        chance = torch.rand(taken.shape, generator=generator, device=labels.device, dtype=torch.float64)
        leading = (chance * (form.samples - taken + 1)).long()
        starts, ends = starts + leading, ends + leading
    # +1 where a mark begins and −1 where it has ended: the running sum is 1 inside. A mark of length 0 adds nothing.
    turns = torch.zeros(len(labels), form.samples + 1, dtype=torch.int8, device=labels.device)
    there = (lengths > 0).to(torch.int8)
    turns.scatter_add_(1, starts.clamp_max_(form.samples), there)
    turns.scatter_add_(1, ends.clamp_max_(form.samples), -there)
    return turns.cumsum(1, dtype=torch.int8)[:, : form.samples]


def _grey(frames: Tensor, marks: Tensor, form: MorseForm, generator: torch.Generator) -> None:
    frames.normal_(_LEVEL, _SPREAD, generator=generator).mul_(marks)
    if form.noise:
        frames.add_(torch.empty_like(frames).normal_(0.0, form.noise, generator=generator))
    # One division at the end, by 1000: the value is then the float32 that is nearest to the decimal number.
    frames.clamp_(0.0, _WHITE).mul_(1000 / _WHITE).round_().div_(1000)


def _binary(frames: Tensor, marks: Tensor, form: MorseForm, generator: torch.Generator) -> None:
    frames.copy_(marks)
    if form.flips:
        device = frames.device
        where = torch.rand(frames.shape, generator=generator, device=device).topk(form.flips).indices
        count = torch.randint(form.flips + 1, (len(frames), 1), generator=generator, device=device)
        flipped = torch.zeros_like(frames).scatter_(1, where, (torch.arange(form.flips, device=device) < count).float())
        frames.sub_(flipped).abs_()


def _drawn(bounds: tuple[int, int], like: Tensor, form: MorseForm, generator: torch.Generator) -> Tensor:
    least, most = (bound * form.dilation for bound in bounds)
    return torch.randint(least, most + 1, like.shape, generator=generator, device=like.device)


@functools.cache
def _codes() -> tuple[Tensor, Tensor]:
    """Which of its up to six marks are dots, and which are dashes, for each class: two of int64 (64, 6)."""
    padded = [code.ljust(_MOST_MARKS) for code in MORSE.values()]
    dots, dashes = (
        torch.tensor([[mark == kind for mark in code] for code in padded], dtype=torch.int64, device="cpu")
        for kind in ".-"
    )
    return dots, dashes

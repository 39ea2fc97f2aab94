from collections import Counter
from itertools import groupby

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.data.morse_code import morse, morse_set
from sparsewire.data.morse_form import MORSE_DIFFICULT, MorseForm
from sparsewire.data.morse_symbols import BEST_ACCURACY, CLASSES, MORSE, SYMBOLS
from sparsewire.errors import RequestError, UnknownNameError

SYMBOL_COUNTS = {1: 2, 2: 4, 3: 8, 4: 16, 5: 22, 6: 12}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def runs(frame: torch.Tensor) -> list[tuple[bool, int]]:
    """(mark or space, length) of each run of a frame, without the spaces before and after the code."""
    found = [(mark, len(list(run))) for mark, run in groupby((frame > 0).tolist())]
    return [run for at, run in enumerate(found) if run[0] or 0 < at < len(found) - 1]


def decoded(frame: torch.Tensor, shortest_dash: int) -> str:
    return "".join("-" if length >= shortest_dash else "." for mark, length in runs(frame) if mark)


def test_the_code_book_has_the_papers_counts_and_one_pair_of_twins() -> None:
    assert Counter(map(len, MORSE.values())) == SYMBOL_COUNTS
    assert all(set(code) <= set(".-") for code in MORSE.values())
    twice = {code: [symbol for symbol in MORSE if MORSE[symbol] == code] for code in MORSE.values()}
    assert [pair for pair in twice.values() if len(pair) > 1] == [["(", "Ĥ"]]
    assert (CLASSES, len(SYMBOLS), BEST_ACCURACY) == (64, 64, 63 / 64)
    assert " ".join(MORSE[letter] for letter in "SOS") == "... --- ..."
    with pytest.raises(TypeError):
        MORSE["A"] = "-"  # type: ignore[index]


@pytest.mark.parametrize("style", ["grey", "binary"])
@pytest.mark.parametrize("leading", [False, True])
@pytest.mark.parametrize("dilation", [1, 2])
def test_every_frame_says_its_symbol(style: str, leading: bool, dilation: int) -> None:
    frames, labels = morse(40, style=style, leading=leading, dilation=dilation, generator=seeded())  # type: ignore[arg-type]
    assert frames.shape == (64 * 40, 64 * dilation)
    assert (frames.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert labels.bincount().tolist() == [40] * 64
    assert all(
        decoded(frame, 4 * dilation) == MORSE[SYMBOLS[label]]
        for frame, label in zip(frames, labels.tolist(), strict=True)
    )
    assert bool((frames[:, 0] > 0).all()) is not leading
    assert bool((frames[:, 57 * dilation :] == 0).all()) is not leading


def test_lengths_take_every_value_of_their_range_equally_often() -> None:
    frames = morse(300, style="binary", generator=seeded()).inputs
    lengths = Counter(run for frame in frames[:6000] for run in runs(frame))
    for kind, least, most in ((False, 1, 3), (True, 1, 3), (True, 4, 9)):
        counts = torch.tensor([float(lengths[kind, length]) for length in range(least, most + 1)])
        expected = counts.mean()
        assert ((counts - expected) ** 2 / expected).sum() < 20  # chi-square of 2 or 5 degrees: 1 in 1000 at most
    assert sum(lengths.values()) == sum(
        lengths[kind, length] for kind in (True, False) for length in (range(1, 10) if kind else range(1, 4))
    )


def test_leading_spaces_are_uniform_over_what_is_left() -> None:
    frames, labels = morse(3000, style="binary", leading=True, dots=(2, 2), frame=64, generator=seeded())
    dots = frames[labels == SYMBOLS.index("E")]  # one dot of 2 samples: it begins at 0 … 62
    begins = dots.argmax(1).bincount(minlength=63).float()
    assert len(begins) == 63
    assert (begins > 0).all()
    assert ((begins - begins.mean()) ** 2 / begins.mean()).sum() < 110  # chi-square of 62 degrees


def test_grey_levels_are_those_of_the_paper() -> None:
    frames, _ = morse(200, generator=seeded())
    marks = frames[frames > 0] * 16
    assert abs(marks.mean() - 12) < 0.02
    assert abs(marks.std() - 1.34) < 0.02
    assert torch.equal(frames, (frames.double() * 1000).round().div(1000).float())
    assert 0 <= frames.min() <= frames.max() <= 1


def test_noise_is_added_before_the_clip_everywhere() -> None:
    quiet, labels = morse(100, generator=seeded())
    noisy, same = morse(100, noise=4.0, generator=seeded())
    assert torch.equal(labels, same)
    after = noisy[:, 57:]
    # Half of the normal distribution is clipped to 0, the mean of the rest is sqrt(2 / pi) deviations.
    assert abs((after == 0).float().mean() - 0.5) < 0.01
    assert abs(after[after > 0].mean() * 16 - 4 * (2 / torch.pi) ** 0.5) < 0.05
    # A mark is then Normal(12, sqrt(1.34² + 4²)), of which 17.1 % lie above 16.
    assert abs((noisy[quiet > 0] == 1).float().mean() - 0.171) < 0.005


def test_flips_turn_over_from_none_to_as_many_as_allowed() -> None:
    clean, labels = morse(100, style="binary", generator=seeded())
    turned, same = morse(100, style="binary", flips=3, generator=seeded())
    assert torch.equal(labels, same)
    assert set(turned.unique().tolist()) == {0.0, 1.0}
    differing = clean != turned
    counts = differing.sum(1).bincount(minlength=4).float()
    assert len(counts) == 4
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 20
    places = differing.sum(0).float()
    assert ((places - places.mean()) ** 2 / places.mean()).sum() < 120  # anywhere in the frame: 63 degrees
    assert morse(1, style="binary", flips=64, generator=seeded()).inputs.shape == (64, 64)


def test_the_difficult_set_may_begin_late_and_has_short_dashes() -> None:
    assert MorseForm.of(MORSE_DIFFICULT) == MorseForm(noise=4.0, dashes=(3, 9), leading=True)
    frames, _ = morse(50, **MORSE_DIFFICULT, generator=seeded())
    assert 0 < frames[:, 60:].mean() < frames[:, 20:40].mean()


@pytest.mark.parametrize("options", [{}, {"style": "binary", "flips": 2, "leading": True}])
def test_frames_are_those_of_the_generator_alone(options: dict[str, object]) -> None:
    before = torch.random.get_rng_state()
    first, again = (morse(300, generator=seeded(3), **options) for _ in range(2))  # type: ignore[arg-type]
    other = morse(300, generator=seeded(4), **options)  # type: ignore[arg-type]
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first.inputs, other.inputs)
    assert not torch.equal(first.labels, other.labels)
    assert torch.equal(before, torch.random.get_rng_state())
    assert len(first.inputs) > 16_384  # more than is drawn at once
    assert first.labels.bincount().tolist() == [300] * 64


ranges = st.tuples(st.integers(1, 4), st.integers(0, 3)).map(lambda pair: (pair[0], sum(pair)))


@settings(max_examples=40, deadline=None)
@given(dots=ranges, spaces=ranges, gap=st.integers(1, 3), more=st.integers(0, 4), leading=st.booleans(),
       dilation=st.integers(1, 3), seed=st.integers(0, 99))  # fmt: skip
def test_any_lengths_can_be_read_back(
    dots: tuple[int, int], spaces: tuple[int, int], gap: int, more: int, leading: bool, dilation: int, seed: int
) -> None:
    dashes = (dots[1] + gap, dots[1] + gap + more)
    longest = max(5 * dashes[1], 4 * dashes[1] + 2 * dots[1] + spaces[1]) + 4 * spaces[1]  # of 0 and of ","
    with pytest.raises(RequestError, match=f"frame: found {longest - 1}, expected at least {longest}"):
        MorseForm(dots=dots, dashes=dashes, spaces=spaces, frame=longest - 1)
    frames, labels = morse(
        1, style="binary", dots=dots, dashes=dashes, spaces=spaces, leading=leading, dilation=dilation, frame=longest,
        generator=seeded(seed),
    )  # fmt: skip
    for frame, label in zip(frames, labels.tolist(), strict=True):
        assert decoded(frame, dashes[0] * dilation) == MORSE[SYMBOLS[label]]
        inside = [length for mark, length in runs(frame) if not mark]
        assert all(spaces[0] * dilation <= length <= spaces[1] * dilation for length in inside)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"frame": 56}, "frame: found 56, expected at least 57: so long can the code ----- of '0' be"),
        ({"frame": 64, "dashes": (4, 11)}, "frame: found 64, expected at least 67"),
        ({"frame": 0}, "frame: found 0, expected a whole number of at least 1"),
        ({"frame": 64.0}, "frame: found 64.0"),
        ({"dots": (3, 1)}, r"dots: found \(3, 1\), expected the least length first: \(1, 3\)"),
        ({"dots": (0, 1)}, r"dots\[0\]: found 0, expected a whole number of at least 1"),
        ({"dashes": (4, 9.5)}, r"dashes\[1\]: found 9.5"),
        ({"spaces": 3}, r"spaces: found 3, expected \(least, most\)"),
        ({"dilation": 0}, "dilation: found 0"),
        ({"dilation": True}, "dilation: found True"),
        ({"noise": -1.0}, "noise: found -1.0, expected a standard deviation of 0 or more"),
        ({"noise": float("nan")}, "noise: found nan"),
        ({"noise": "4"}, "noise: found '4'"),
        ({"noise": 4.0, "style": "binary"}, "noise: found 4.0 with style 'binary', expected 0; use flips"),
        ({"flips": 4}, "flips: found 4 with style 'grey', expected 0; use noise"),
        ({"flips": 65, "style": "binary"}, "flips: found 65, expected at most 64"),
        ({"flips": -1, "style": "binary"}, "flips: found -1"),
        ({"dilation": 1_000_000}, r"frame · dilation: found 64 · 1000000, expected at most 1,048,576 samples"),
        ({"frame": 10**30}, r"frame · dilation: found 1"),
        ({"leading": 1}, "leading: found 1, expected True or False"),
    ],
)
def test_impossible_options_are_named(options: dict[str, object], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        morse(1, generator=seeded(), **options)  # type: ignore[arg-type]


def test_impossible_calls_are_named() -> None:
    for count in (0, -1, 1.5, True, None):
        with pytest.raises(RequestError, match=r"per_class: found .*, expected a whole number of at least 1"):
            morse(count, generator=seeded())  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="generator: found None"):
        morse(1, generator=None)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="no style of Morse frames is named 'gray'; did you mean 'grey'"):
        morse(1, style="gray", generator=seeded())  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="no option of Morse frames is named 'noize'; did you mean 'noise'"):
        morse(1, noize=1.0, generator=seeded())  # type: ignore[call-arg]
    with pytest.raises(RequestError, match="validation: found -1"):
        morse_set(1, 1, validation=-1, generator=seeded())


def test_a_set_has_equally_many_of_each_class_in_each_part() -> None:
    data = morse_set(5, 2, validation=3, style="binary", generator=seeded())
    training, validation = data.train.split(64 * 5)
    for part, count in ((training, 5), (validation, 3), (data.test, 2)):
        assert part.labels.bincount(minlength=64).tolist() == [count] * 64
        assert part.labels.tolist() != sorted(part.labels.tolist())
    assert (data.name, data.classes, data.features) == ("morse", 64, 64)
    assert len({tuple(frame.tolist()) for frame in data.test.inputs}) > 100  # of 128, two of which may be equal

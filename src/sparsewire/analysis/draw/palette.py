"""The colours of every picture, each with its light and its dark value; nothing else in the house names a colour.

A figure is drawn with the light values, so that it can be saved as it is. `to_svg` turns each of them into a CSS
variable with the light value to fall back on, and a page that includes `css_variables` shows the same picture on a dark
ground. Text keeps a contrast of at least 4.5 : 1 in both; the series stay apart under the three dichromacies.
"""

from typing import NamedTuple


class Colour(NamedTuple):
    """A role that a colour plays, and how it looks on light and on dark paper; the light values are all different."""

    name: str
    light: str
    dark: str

    def __str__(self) -> str:
        """The light value, which is what matplotlib is given."""
        return self.light


PAPER = Colour("paper", "#fcfbf8", "#15191c")
INK = Colour("ink", "#1d2327", "#e8e6e0")
MUTED = Colour("muted", "#5b656c", "#a0a9ae")  # words that are read second
FAINT = Colour("faint", "#b3b4ae", "#566067")  # what is there but does not count: dead neurons, idle edges
HAIR = Colour("hair", "#e2dfd7", "#2b3338")  # grid lines
EMPTY = Colour("empty", "#f3f1eb", "#1d2226")  # a cell with nothing in it
ACTIVATING = Colour("activating", "#1f6fb2", "#5fb0ee")
INHIBITING = Colour("inhibiting", "#c14e1a", "#f4884a")

SERIES = (
    Colour("series-1", "#1b4f9c", "#5b97ea"),
    Colour("series-2", "#c8470a", "#e8743a"),
    Colour("series-3", "#0f7f63", "#56d3ad"),
    Colour("series-4", "#7a2a66", "#efbdea"),
    Colour("series-5", "#2b3338", "#939ea4"),
)
# From the sixth series on the colours come again with another line: five hues are all that stay apart for everybody.
STROKES: tuple[str | tuple[float, tuple[float, ...]], ...] = ("solid", (0, (5.0, 2.0)), (0, (1.2, 1.6)))

# From almost paper to almost ink, so that "more" means "further from the ground" on either paper.
RAMP = tuple(
    Colour(f"ramp-{step}", light, dark)
    for step, (light, dark) in enumerate(
        (
            ("#e6f1f0", "#1d252d"),
            ("#b6dcdd", "#233c4e"),
            ("#8ac5ce", "#25566c"),
            ("#64abbe", "#286d81"),
            ("#4994b1", "#378e9c"),
            ("#31769a", "#51aaae"),
            ("#265b83", "#75c5bf"),
            ("#214267", "#9edfd1"),
            ("#1a2b49", "#cbf7e6"),
        ),
        start=1,
    )
)
# The middle of the ramp is of one lightness on both papers, and so is the text that it can carry.
_ON_MIDDLE = Colour("on-middle", "#1d2328", "#14181b")
ON_RAMP = (INK, INK, INK, INK, _ON_MIDDLE, PAPER, PAPER, PAPER, PAPER)

COLOURS = (PAPER, INK, MUTED, FAINT, HAIR, EMPTY, ACTIVATING, INHIBITING, *SERIES, *RAMP, _ON_MIDDLE)
VARIABLES = {colour.light: f"var(--sw-{colour.name}, {colour.light})" for colour in COLOURS}


def css_variables(mode: str = "light") -> str:
    """The CSS declarations that give every picture its colours, for a rule of the page that shows them.

    Args:
        mode: "light" or "dark".

    Example:
        >>> css_variables("dark").splitlines()[0]
        '--sw-paper: #15191c;'
    """
    return "\n".join(f"--sw-{c.name}: {c.dark if mode == 'dark' else c.light};" for c in COLOURS)


def ramp_step(value: float, low: float, high: float, first: int = 0) -> int:
    """Which of the ramp's steps, from `first` on, shows `value` on a scale from `low` to `high`.

    Where the scale has no length, the middle step.

    Example:
        >>> [ramp_step(value, 0.0, 1.0) for value in (0.0, 0.5, 1.0)], ramp_step(0.0, 0.0, 1.0, first=2)
        ([0, 4, 8], 2)
    """
    if high <= low:
        return len(RAMP) // 2
    count = len(RAMP) - first
    return first + min(max(int((value - low) / (high - low) * count), 0), count - 1)

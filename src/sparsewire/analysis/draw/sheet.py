"""The sheet that every picture is drawn on: its size, letters, axes and keys; all measures are points (1/72 inch).

Margins and keys follow from the width of their text, which is measured in the font that matplotlib brings along, so
that a picture does not depend on the fonts of the machine that draws it.
"""

import functools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from sparsewire.analysis.draw.palette import EMPTY, INK, MUTED, RAMP, Colour
from sparsewire.errors import RequestError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 540.0
TEXT = 9.5
SMALL = 8.5
LONGEST = 48  # letters of a label; what is longer ends in an ellipsis

_FONT = "DejaVu Sans"
_SETTINGS: dict[Any, Any] = {
    "font.family": [_FONT],
    "font.size": TEXT,
    "text.color": str(INK),
    "text.parse_math": False,  # a "$" in a label is a dollar
    "svg.fonttype": "none",
    "svg.hashsalt": "sparsewire",
    "path.simplify": False,
}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]+")

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def house_style() -> Iterator[None]:
    """Draws with matplotlib as it was delivered plus the house's letters, whatever the user set; undone at the end.

    Raises:
        RequestError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise RequestError(
            "pictures need matplotlib, which is not installed: pip install 'sparsewire[report]'"
        ) from None
    with matplotlib.rc_context(), warnings.catch_warnings():
        # A letter that the measuring font lacks is drawn by the reader's font all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def in_house_style(draw: Callable[P, R]) -> Callable[P, R]:
    """The same function, drawing in `house_style`."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> R:
        with house_style():
            return draw(*args, **kwargs)

    return styled


@dataclass(frozen=True)
class Sheet:
    """A figure and, over all of it, one axes without frame whose unit is the point, with (0, 0) at the lower left."""

    figure: "Figure"
    page: "Axes"
    width: float
    height: float

    def write(
        self,
        x: float,
        y: float,
        words: str,
        *,
        colour: Colour = INK,
        size: float = TEXT,
        anchor: str = "left",
    ) -> None:
        """Puts one line of text with its baseline at y and its left end, middle or right end at x."""
        if shown := plain(words, 120):
            self.page.text(x, y, shown, color=str(colour), fontsize=size, ha=anchor, va="baseline")

    def note(self, words: str) -> None:
        """Puts a small remark at the foot of the sheet: what the picture shows and how."""
        self.page.text(0, 3, plain(words, 200), color=str(MUTED), fontsize=SMALL)

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: Colour, width: float, **more: Any) -> None:
        """Draws straight lines through points of the sheet."""
        self.page.plot(xs, ys, color=str(colour), linewidth=width, **more)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Fills a rectangle whose lower left corner is (x, y)."""
        from matplotlib.patches import Rectangle

        self.page.add_patch(Rectangle((x, y), width, height, facecolor=str(colour), linewidth=0))

    def panel(self, left: float, bottom: float, width: float, height: float) -> "Axes":
        """Axes at a place of the sheet: a hairline at the bottom, no frame, no ticks yet."""
        place = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set_facecolor("none")
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set(color=str(MUTED), linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, pad=4, labelsize=SMALL, labelcolor=str(MUTED), which="both")
        axes.minorticks_off()
        return axes

    def key(
        self, x: float, y: float, entries: Sequence[tuple[str, dict[str, Any]]], *, colour: Colour | None = None
    ) -> float:
        """Names lines and markers from (x, y) to the right and, where the sheet ends, further down.

        Args:
            x: where the first entry begins.
            y: the baseline of the first line.
            entries: label and how matplotlib draws what it names.
            colour: of the labels; None takes the line's own.

        Returns:
            The baseline of the last line.
        """
        start = x
        for label, style in entries:
            sample = 0 if style.get("linestyle") == "none" else 14
            needed = sample + 9 + text_width(label, SMALL)
            if x > start and x + needed > self.width:
                x, y = start, y - 1.5 * SMALL
            xs = [x, x + sample] if sample else [x + 3]
            self.page.plot(xs, [y + 3] * len(xs), **style)
            own = style.get("color", str(INK))
            self.page.text(x + sample + (5 if sample else 9), y, plain(label), color=str(colour or own), fontsize=SMALL)
            x += needed + 14
        return y

    def ramp_key(
        self, x: float, y: float, low: str, high: str, label: str = "", *, first: int = 0, empty: str = ""
    ) -> float:
        """Draws the ramp's steps from `first` on between the labels of its two ends; returns where it ends.

        Args:
            x: where it begins.
            y: the baseline of its text.
            low: the label of the lower end.
            high: the label of the upper end.
            label: what the colour shows; written before the ramp.
            first: the first of the ramp's steps that is in use.
            empty: what an empty cell means; drawn and named before the ramp if given.
        """
        if label:
            self.write(x, y, label, colour=MUTED, size=SMALL)
            x += text_width(label, SMALL) + 10
        if empty:
            self.box(x, y - 1, 9, 8, EMPTY)
            self.write(x + 13, y, empty, colour=INK, size=SMALL)
            x += 13 + text_width(empty, SMALL) + 12
        self.write(x, y, low, colour=INK, size=SMALL)
        x += text_width(low, SMALL) + 5
        for colour in RAMP[first:]:
            self.box(x, y - 1, 10, 8, colour)
            x += 10.6
        self.write(x + 4, y, high, colour=INK, size=SMALL)
        return x + 4 + text_width(high, SMALL)


def sheet(height: float, width: float = WIDTH) -> Sheet:
    """An empty sheet."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), facecolor="none")
    FigureCanvasAgg(figure)
    page = figure.add_axes((0, 0, 1, 1), zorder=-1)
    page.set(xlim=(0, width), ylim=(0, height))
    page.axis("off")
    page.set_autoscale_on(False)
    return Sheet(figure, page, width, height)


def plain(label: object, longest: int = LONGEST) -> str:
    r"""A label as one line of printable text: control characters become spaces, what is too long is cut.

    Example:
        >>> plain("two\nlines"), plain("abcdef", longest=4)
        ('two lines', 'abc…')
    """
    text = _CONTROL.sub(" ", str(label)).strip()
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def text_width(label: str, size: float) -> float:
    """How wide a label is, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    shown = plain(label)
    if not shown:
        return 0.0
    # The final space of nothing has no outline: measure between two bars instead.
    with_bars = TextPath((0, 0), f"|{shown}|", size=size, prop=FontProperties(family=_FONT)).get_extents().width
    bars = TextPath((0, 0), "||", size=size, prop=FontProperties(family=_FONT)).get_extents().width
    return float(with_bars - bars)

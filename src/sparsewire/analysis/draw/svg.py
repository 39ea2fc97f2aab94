"""From a figure to the text of an SVG element that a page can hold, in the page's own colours and letters."""

import hashlib
import io
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from sparsewire.analysis.draw.palette import VARIABLES
from sparsewire.analysis.draw.sheet import house_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}"
_FONTS = "var(--sw-font, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif)"
_HEX = re.compile("#[0-9a-f]{6}")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_SPACE = re.compile(r"\s+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_NUMERIC = ("d", "x", "y", "transform", "width", "height", "points")


def to_svg(figure: "Figure") -> str:
    """A figure as one `<svg>` element, made to be put into an HTML page beside others of its kind.

    The same figure gives the same text, byte for byte. It has no prolog, no date, no ground of its own and no style
    sheet (which would reach the whole page); text stays text, in the page's font; the house's colours are CSS variables
    (see `css_variables`) that fall back on their light value; its ids begin with a digest of its content, so that two
    different figures share none.

    Args:
        figure: a matplotlib figure, best one that this package drew.

    Returns:
        The element's text.

    Raises:
        RequestError: matplotlib is not installed.

    Example:
        >>> from sparsewire.analysis import draw
        >>> text = draw.to_svg(draw.heat([[1.0, 2.0]], x_ticks=["a", "b"], y_ticks=["c"]))
        >>> text[:4], "var(--sw-ink" in text
        ('<svg', True)
    """
    with house_style():
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", facecolor="none", edgecolor="none", metadata=nothing)
    # What is parsed here was written by matplotlib one line above; the document type is not needed and not wanted.
    root = ET.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", buffer.getvalue(), count=1))
    _drop(root, "style", "metadata")
    for element in root.iter():
        _restyle(element)
    rename_ids(root, f"sw-{hashlib.sha256(ET.tostring(root)).hexdigest()[:10]}")
    root.attrib |= {"style": f"font-family: {_FONTS}; stroke-linejoin: round", "role": "img"}
    for name in ("version", "id"):
        root.attrib.pop(name, None)
    return written(root)


def _drop(root: ET.Element, *names: str) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{SVG}}}{name}" for name in names}:
                parent.remove(child)


def _restyle(element: ET.Element) -> None:
    """Colours become variables, the font the page's, numbers two decimals, links plain `href`; line breaks go."""
    attributes = element.attrib
    if link := attributes.pop(f"{_XLINK}href", ""):
        attributes["href"] = link
    for name in _NUMERIC:
        if name in attributes:
            short = _NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), attributes[name])
            attributes[name] = _SPACE.sub(" ", short).strip()
    if attributes.get("transform", "").startswith("rotate(-0 "):
        del attributes["transform"]
    if style := attributes.get("style"):
        declarations = [part.strip() for part in style.split(";")]
        kept = [part for part in declarations if part and not part.startswith("font-family:")]
        attributes["style"] = _HEX.sub(lambda found: VARIABLES.get(found[0], found[0]), "; ".join(kept))
    if element.tag == f"{{{SVG}}}text":
        return
    element.text = (element.text or "").strip() or None
    for child in element:
        child.tail = None


def rename_ids(root: ET.Element, prefix: str) -> None:
    """Numbers the ids that something in the element refers to, in order, behind a prefix; drops all others."""
    links = {element.get("href", "").removeprefix("#") for element in root.iter()}
    uses = {name for element in root.iter() for value in element.attrib.values() for name in _REFERENCE.findall(value)}
    kept = [name for element in root.iter() if (name := element.get("id")) and name in links | uses]
    names = {name: f"{prefix}-{index}" for index, name in enumerate(dict.fromkeys(kept))}
    for element in root.iter():
        if (name := element.attrib.pop("id", None)) in names:
            element.set("id", names[str(name)])
        if (link := element.get("href", "")).startswith("#"):
            element.set("href", "#" + names.get(link[1:], ""))
        for key, value in element.attrib.items():
            element.set(key, _REFERENCE.sub(lambda found: f"url(#{names.get(found[1], '')})", value))


def written(root: ET.Element) -> str:
    """The element as text that HTML and XML read alike: no prefixes, one namespace."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{SVG}}}")
    root.set("xmlns", SVG)
    return ET.tostring(root, encoding="unicode")

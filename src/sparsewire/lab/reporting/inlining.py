"""Pictures that come from elsewhere, made fit to stand inside a page: nothing in them runs, loads or leaks."""

import re
import xml.etree.ElementTree as ET

from sparsewire.errors import RequestError
from sparsewire.lab.reporting.findings import Picture
from sparsewire.lab.reporting.wording import harmless

_ELEMENTS = frozenset(
    ("svg", "g", "defs", "use", "clipPath", "image", "linearGradient", "radialGradient", "stop", "title", "desc")
) | {"text", "tspan", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon"}
_NAMESPACE = re.compile(r"^\{[^}]*\}")
# What a value may call: everything that names no file. An escape could spell any other, so that none is let through.
_CALL = re.compile(r"([\w-]*)\s*\(\s*['\"]?(.?)")
_CALLS = frozenset(["var", "rgb", "rgba", "matrix", "translate", "rotate", "scale", "skewx", "skewy"])
_NEVER = re.compile(r"//|\\|@|javascript:|position\s*:", re.IGNORECASE)
_LINKS = ("#", "data:image/png;base64,")


def inline_svg(picture: Picture, prefix: str) -> str:
    """The picture's SVG as text for the inside of an HTML page.

    Only elements that draw are let through, without event handlers and without any address outside the picture; ids
    get a prefix of their own, and the picture a role and a name for screen readers.

    Args:
        picture: what to inline, best made by `analysis.draw.to_svg`.
        prefix: what the ids shall begin with; another one for every picture of a page.

    Raises:
        RequestError: the SVG is not well-formed, or holds something that may not stand in a page.

    Example:
        >>> print(inline_svg(Picture("A dot", "", '<svg><circle r="1" /></svg>'), "p1"))
        <svg role="img" aria-label="A dot" xmlns="http://www.w3.org/2000/svg"><circle r="1" /></svg>
    """
    from sparsewire.analysis.draw.svg import rename_ids, written

    root = _parsed(picture)
    for element in root.iter():
        # Names first: what is checked below must be what the page's reader will see.
        element.tag = _NAMESPACE.sub("", str(element.tag))
        element.attrib = {_NAMESPACE.sub("", name): value for name, value in element.attrib.items()}
        _check(element, picture)
    if root.tag != "svg":
        raise _refused(picture, f"<{root.tag}>", "an <svg> element")
    rename_ids(root, prefix)
    root.attrib |= {"role": "img", "aria-label": harmless(picture.title)}
    return written(root)


def _parsed(picture: Picture) -> ET.Element:
    # Entities are the one way in which mere parsing could do harm, and no drawing needs them.
    if re.search("<!(DOCTYPE|ENTITY)", picture.svg, re.IGNORECASE):
        raise _refused(picture, "a document type", "an <svg> element alone")
    try:
        return ET.fromstring(picture.svg)
    except ET.ParseError as cause:
        raise _refused(picture, f"XML that is not well-formed ({cause})", "an <svg> element") from None


def _check(element: ET.Element, picture: Picture) -> None:
    if element.tag not in _ELEMENTS:
        raise _refused(picture, f"<{element.tag}>", "only elements that draw")
    for name, value in element.attrib.items():
        if name.lower().startswith("on"):
            raise _refused(picture, f"the attribute {name}", "no event handlers")
        if name in ("href", "src") and not value.startswith(_LINKS):
            raise _refused(picture, f"a link to {value[:40]!r}", "links inside the picture")
        calls = [(call.lower(), first) for call, first in _CALL.findall(value)]
        foreign = [call for call, first in calls if call not in _CALLS and (call, first) != ("url", "#")]
        if name not in ("href", "src", "aria-label") and (foreign or _NEVER.search(value)):
            raise _refused(picture, f"{name}={value[:40]!r}", "no address outside the picture")


def _refused(picture: Picture, found: str, expected: str) -> RequestError:
    return RequestError(
        f"svg of picture {picture.title!r}: found {found}, expected {expected}; make it with analysis.draw.to_svg"
    )

"""The files that make up the page; nothing else is ever read at a browser's bidding."""

from importlib.resources import files
from typing import NamedTuple

_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_NAMES = (
    "page.html", "page.css", "palette.css", "page.js", "asking.js", "chart.js", "curves.js", "header.js", "table.js",
    "trial.js", "words.js",
)  # fmt: skip


class File(NamedTuple):
    """A file of the page: its bytes, and what they are."""

    content: bytes
    kind: str


def page_files() -> dict[str, File]:
    """Path in the address → file; the page itself under the empty path.

    Example:
        >>> sorted(page_files())[:3], page_files()[""].kind
        (['', 'asking.js', 'chart.js'], 'text/html; charset=utf-8')
    """
    home = files("sparsewire.lab.dashboard")
    found = {}
    for name in _NAMES:
        kind = _KINDS[name[name.rindex(".") :]]
        path = "" if name == "page.html" else name
        found[path] = File(home.joinpath(name).read_bytes(), f"{kind}; charset=utf-8")
    return found

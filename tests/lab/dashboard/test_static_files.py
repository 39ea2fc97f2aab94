"""The page's own files: plain, in the house's colours, with nothing from elsewhere."""

import re

import pytest

from sparsewire.analysis.draw import css_variables
from sparsewire.lab.dashboard.static_files import page_files

FILES = page_files()


def test_the_palette_is_the_houses():
    text = FILES["palette.css"].content.decode()
    light, dark = text.split("@media (prefers-color-scheme: dark)")
    for mode, part in (("light", light), ("dark", dark)):
        assert set(css_variables(mode).splitlines()) <= {line.strip() for line in part.splitlines()}


@pytest.mark.parametrize("path", sorted(FILES))
def test_nothing_comes_from_elsewhere_and_nothing_is_made_of_text(path):
    text = FILES[path].content.decode()
    assert not re.search(
        r"https?://|//[a-z]+\.[a-z]+|innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", text
    )
    assert "onclick=" not in text
    assert "style=" not in text
    assert len(text.splitlines()) <= 300


def test_every_module_that_is_imported_is_there():
    for path, file in FILES.items():
        for name in re.findall(r'from "\./([a-z]+\.js)"', file.content.decode()):
            assert name in FILES, f"{path} imports {name}"


def test_no_colour_but_the_palettes():
    text = FILES["page.css"].content.decode()
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", re.sub(r"#[a-z-]+ ", "", text)) == []

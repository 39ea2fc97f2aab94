"""What newcomers read: the README's Python is run, and no page of the documentation is lost."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert (tmp_path / "network.png").stat().st_size > 0
    assert names["masks"].count == 1190  # type: ignore[attr-defined]  # a tenth of 64·100 + 100·50 + 50·10


def test_no_page_has_the_name_of_one_that_sphinx_writes_itself() -> None:
    """It would be overwritten without a word."""
    pages = {path.stem for path in (README.parent / "docs").glob("*.md")}
    assert "index" in pages
    assert not pages & {"search", "genindex", "modindex", "py-modindex"}

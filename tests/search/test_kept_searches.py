"""A search in a file: whole, and refused where it is none."""

from pathlib import Path

import pytest
from tests.search.digit_space import DIGITS
from tests.search.test_evolution import SEARCHES, run

from sparsewire.errors import CheckpointError
from sparsewire.search.kept_searches import keep, kept


def test_every_state_is_kept(tmp_path: Path) -> None:
    settings = SEARCHES["nsga2"]
    for state in run(settings):
        keep(tmp_path / "search.json", DIGITS, settings, state)
        assert kept(tmp_path / "search.json", DIGITS, settings, seed=0) == state
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"]
    assert kept(tmp_path / "none.json", DIGITS, settings, seed=0) is None


def test_a_folder_is_no_place(tmp_path: Path) -> None:
    state = run(SEARCHES["random"])[0]
    with pytest.raises(CheckpointError, match="it is a folder"):
        keep(tmp_path, DIGITS, SEARCHES["random"], state)
    with pytest.raises(CheckpointError, match="is no regular file"):
        kept(tmp_path, DIGITS, SEARCHES["random"], seed=0)


@pytest.mark.parametrize("text", ['{"kind": "other"}', "3\n3", '{"kind": "sparsewire search", "settings": 3}\n{}'])
def test_other_files(text: str, tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    path.write_text(text)
    with pytest.raises(CheckpointError, match="is no search that was kept"):
        kept(path, DIGITS, SEARCHES["random"], seed=0)

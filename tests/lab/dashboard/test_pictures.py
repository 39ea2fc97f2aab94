"""The network's picture: drawn from what was kept, refused where it is something else."""

import asyncio
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from sparsewire.errors import RequestError, StoreError
from sparsewire.lab.dashboard.draw_network import graph_of, picture
from sparsewire.lab.dashboard.pictures import Pictures, Source
from sparsewire.lab.storage.artefacts import write_arrays

NETWORK = {
    "sizes": np.array([2, 2, 1]), "rows_0_1": np.array([0, 1]), "columns_0_1": np.array([1, 0]),
    "values_0_1": np.array([0.5, -1.0]), "rows_0_2": np.array([0]), "columns_0_2": np.array([0]),
    "values_0_2": np.array([2.0]),
}  # fmt: skip


def test_a_network_is_its_blocks():
    graph = graph_of(NETWORK)
    assert (graph.sizes, graph.edges) == ((2, 2, 1), 3)
    assert graph.blocks[0, 1].toarray().tolist() == [[0, 0.5], [-1.0, 0]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sizes", None), ("sizes", np.array(3)), ("sizes", np.array([2])), ("sizes", np.array([2, 0, 1])),
        ("sizes", np.array([2, 2**40, 1])), ("sizes", np.array([2, 1, 1])), ("rows_0_1", None),
        ("rows_0_1", np.array([0])), ("rows_0_1", np.array([0, 9])),
        ("columns_0_1", np.array([-1, 0])), ("values_0_2", np.array([np.nan])),
        ("rows_0_9", np.array([0])), ("rows_0_1", np.array([[0], [1]])),
    ],
)  # fmt: skip
def test_what_is_no_network_is_refused(name, value):
    pytest.importorskip("matplotlib", reason="networks are drawn with matplotlib")
    arrays = {key: array for key, array in (NETWORK | {name: value}).items() if array is not None}
    with pytest.raises(RequestError):
        picture(arrays)


def test_a_picture_follows_light_and_dark(tmp_path):
    pytest.importorskip("matplotlib", reason="networks are drawn with matplotlib")
    kept = write_arrays(tmp_path / "network.safetensors", NETWORK)

    async def draw():
        pictures = Pictures()
        source = Source(kept.path, kept.sha256, "1")
        return [await pictures.svg(source) for _ in range(2)]

    first, second = asyncio.run(draw())
    assert first is second
    root = ET.fromstring(first)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert b"prefers-color-scheme: dark" in first
    assert not [one for one in root.iter() if one.tag.endswith("script")]


def test_a_changed_missing_or_endless_file_is_told(tmp_path, monkeypatch):
    kept = write_arrays(tmp_path / "network.safetensors", NETWORK)

    def draw(source):
        return asyncio.run(Pictures().svg(source))

    with pytest.raises(StoreError, match="SHA-256"):
        draw(Source(kept.path, "0" * 64, "1"))
    with pytest.raises(StoreError, match="cannot read"):
        draw(Source(tmp_path / "missing.safetensors", "", "1"))
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(StoreError, match="no regular file"):
        draw(Source(tmp_path / "link", "", "1"))
    monkeypatch.setattr("sparsewire.lab.dashboard.pictures._LARGEST", 10)
    with pytest.raises(RequestError, match="more than the 10"):
        draw(Source(kept.path, kept.sha256, "1"))

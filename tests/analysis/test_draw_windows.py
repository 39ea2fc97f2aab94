"""The picture of window matrices: cells are what they stand for, large matrices are drawn in groups."""

import numpy as np
import pytest
import torch
from matplotlib.patches import PathPatch

from sparsewire.analysis.draw import to_svg
from sparsewire.analysis.draw.palette import EMPTY, RAMP
from sparsewire.analysis.draw.windows import _grouped, window_maps
from sparsewire.analysis.scatter_metric import scatter
from sparsewire.errors import RequestError
from sparsewire.structure.windows import Layout


def cells(figure, colour):
    """How many cells are drawn in one colour; each has five vertices."""
    wanted = [patch for patch in figure.axes[0].patches if type(patch) is PathPatch]
    colours = [tuple(round(255 * part) for part in patch.get_facecolor()[:3]) for patch in wanted]
    asked = tuple(int(str(colour)[place : place + 2], 16) for place in (1, 3, 5))
    found = zip(wanted, colours, strict=True)
    return sum(len(patch.get_path().vertices) // 5 for patch, own in found if own == asked)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_each_cell_of_a_small_network_is_a_neuron_and_a_window():
    first, second = torch.eye(4).bool(), torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1]]).bool()
    figure = window_maps([first, second])
    found = scatter([first, second])
    # 1: 4 x 1 both ways; 2: 2 x 2 forward, half of it, 4 x 1 backward; 1:2 as 2.
    assert cells(figure, RAMP[-1]) == 4 + 4 + 2 + 4 + 2 + 4
    assert cells(figure, EMPTY) == 2 + 2
    for name, value in zip(found.names, found.vector, strict=True):
        assert f"{name} {value:.3f}" in texts(figure)
    assert "2 right neurons × 2 left windows" in texts(figure)
    assert "4 left neurons × 1 right windows" in texts(figure)


def test_layouts_are_those_of_scatter():
    pattern = torch.zeros(2, 16, dtype=torch.bool)
    pattern[0, [0, 4, 8, 12]] = pattern[1, [0, 1, 2, 3]] = True
    figure = window_maps(pattern, [Layout((4, 4)), None])
    assert "S1f 0.500" in texts(figure)
    assert "S1f 0.625" in texts(window_maps(pattern))


@pytest.mark.parametrize("shape", [(5, 7), (200, 3), (100, 1000)])
def test_groups_have_the_mean_of_what_they_stand_for(shape):
    connected = np.random.default_rng(0).random(shape) < 0.3
    groups = _grouped(connected)
    assert groups.shape == (min(shape[0], 32), min(shape[1], 86))
    assert groups.max() <= 1
    if shape == (5, 7):
        assert np.array_equal(groups, connected)
    whole = np.ones(shape, dtype=bool)
    assert (_grouped(whole) == 1).all()
    rows, columns = shape[0] // groups.shape[0], shape[1] // groups.shape[1]
    assert groups[0, 0] == pytest.approx(connected[:rows, :columns].mean())


def test_it_can_stand_in_a_page():
    pattern = torch.rand(64, 256, generator=torch.Generator().manual_seed(0)) < 0.1
    text = to_svg(window_maps(pattern))
    assert text == to_svg(window_maps(pattern))
    assert text.startswith("<svg")
    assert len(text) < 250_000


def test_what_is_no_chain_is_refused():
    with pytest.raises(RequestError, match="connections: found no junction"):
        window_maps([])

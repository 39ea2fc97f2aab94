"""Pictures: they show what they are given, parse, repeat byte for byte, and can stand side by side in one page."""

import itertools
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from scipy import sparse

from sparsewire.analysis import draw
from sparsewire.analysis.draw import palette
from sparsewire.analysis.draw.palette import ACTIVATING, COLOURS, EMPTY, FAINT, INHIBITING, INK, PAPER, RAMP, Colour
from sparsewire.analysis.draw.sheet import house_style, plain, text_width
from sparsewire.analysis.draw.ticks import apart, tick_labels, ticks
from sparsewire.errors import RequestError
from sparsewire.structure.graphs import NetGraph

HOSTILE = '<script>alert("1")</script> & $\\frac{$ \x1b[31m'


def csr(rows: list[list[float]]) -> Any:
    return sparse.csr_array(np.array(rows))


# The lightning paper, Figure 1: A is the input, B, C, D are hidden, E is the output. Of the six edges the weakest,
# A → B, is dropped when the five strongest are kept; B → E is then on no complete path.
TOY = NetGraph((1, 3, 1), {(0, 1): csr([[0.1], [0.9], [-0.8]]), (1, 2): csr([[-0.7, 0.6, 0.5]])})


def random_graph(sizes: tuple[int, ...], seed: int = 0, density: float = 1.0, constant: bool = False) -> NetGraph:
    generator = np.random.default_rng(seed)
    blocks = {}
    for layer, (before, after) in enumerate(itertools.pairwise(sizes)):
        values = np.ones((after, before)) if constant else generator.uniform(-1, 1, (after, before)) / before**0.5
        blocks[layer, layer + 1] = sparse.csr_array(values * (generator.random((after, before)) < density))
    return NetGraph(sizes, blocks)


def patches(figure: Figure, colour: Colour) -> list[PathPatch]:
    """The path patches of the page that are drawn in one colour."""
    wanted = matplotlib.colors.to_rgb(str(colour))
    found = [patch for patch in figure.axes[0].patches if type(patch) is PathPatch]
    return [patch for patch in found if tuple(patch.get_edgecolor()[:3]) == wanted and patch.get_facecolor()[3] == 0]


def edges_in(figure: Figure, colour: Colour) -> int:
    """How many Bézier curves are drawn in one colour; each has four vertices."""
    return sum(len(p.get_path().vertices) // 4 for p in patches(figure, colour) if 4 in p.get_path().codes)


def dots_in(figure: Figure, colour: Colour) -> int:
    """How many neurons are drawn in one colour; each is a line of two points."""
    return sum(len(p.get_path().vertices) // 2 for p in patches(figure, colour) if 4 not in p.get_path().codes)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


# One of each kind, with a hostile label wherever a label is taken.
MAKERS: dict[str, Callable[[], Figure]] = {
    "network": lambda: draw.network(TOY, names=["A", HOSTILE, "E"], edges=5),
    "network with image": lambda: draw.network(random_graph((16, 6, 3), density=0.3), image_shape=(4, 4)),
    "inputs": lambda: draw.input_connectivity({HOSTILE: random_graph((16, 4)), "b": random_graph((16, 3))}, (4, 4)),
    "curves": lambda: draw.curves(
        {HOSTILE: np.array([[3.0, 2.0], [4.0, 2.5]]), "one": [([1, 2], [5.0, 6.0])]},
        x_label=HOSTILE,
        y_label=HOSTILE,
        published={HOSTILE: 2.2, "point": (1.5, 4.0)},
    ),
    "distributions": lambda: draw.weight_distributions({HOSTILE: {HOSTILE: torch.tensor([[0.1, -0.5], [0.3, 0.0]])}}),
    "relation": lambda: draw.relation({HOSTILE: ([0.1, 0.9], [1.0, 2.0])}, x_label=HOSTILE, y_label=HOSTILE),
    "window maps": lambda: draw.window_maps([torch.eye(4).bool().repeat(1, 2), torch.ones(3, 4).bool()]),
    "heat": lambda: draw.heat([[1.0, float("nan")]], x_ticks=[HOSTILE, "b"], y_ticks=[HOSTILE], x_label=HOSTILE),
}
everywhere = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


class TestSvg:
    @everywhere
    def test_is_one_well_formed_element_that_reaches_nothing_outside(self, make: Callable[[], Figure]) -> None:
        text = draw.to_svg(make())
        root = ET.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert text.startswith("<svg ")
        for foreign in (
            "<?xml",
            "<!DOCTYPE",
            "<style",
            "<metadata",
            "<image",
            "xlink",
            "DejaVu",
            "http://www.w3.org/19",
        ):
            assert foreign not in text

    @everywhere
    def test_is_the_same_bytes_each_time(self, make: Callable[[], Figure]) -> None:
        figure = make()
        assert draw.to_svg(figure) == draw.to_svg(figure) == draw.to_svg(make())

    def test_pictures_share_no_id_and_every_reference_leads_somewhere(self) -> None:
        seen: list[str] = []
        for make in MAKERS.values():
            root = ET.fromstring(draw.to_svg(make()))
            own = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
            used = [element.attrib["href"][1:] for element in root.iter() if "href" in element.attrib]
            used += re.findall(r"url\(#([^)]+)\)", ET.tostring(root, encoding="unicode"))
            assert set(used) == set(own)
            seen += own
        assert len(seen) == len(set(seen)) > 0

    @everywhere
    def test_every_colour_is_a_variable_that_the_page_can_set_for_light_and_dark(
        self, make: Callable[[], Figure]
    ) -> None:
        text = draw.to_svg(make())
        styles = " ".join(element.attrib.get("style", "") for element in ET.fromstring(text).iter())
        variables = dict(re.findall(r"var\((--sw-[a-z0-9-]+), (#[0-9a-f]{6})\)", styles))
        assert variables["--sw-ink"] == INK.light
        assert "#" not in re.sub(r"var\([^()]*\)|url\(#[^)]*\)", "", styles)
        for mode in ("light", "dark"):
            declared = dict(re.findall(r"(--sw-[a-z0-9-]+): (#[0-9a-f]{6});", draw.css_variables(mode)))
            assert variables.keys() <= declared.keys()
            if mode == "light":
                assert variables.items() <= declared.items()

    @pytest.mark.parametrize("kind", sorted(set(MAKERS) - {"network with image", "window maps"}))
    def test_labels_are_text_whatever_they_hold(self, kind: str) -> None:
        root = ET.fromstring(draw.to_svg(MAKERS[kind]()))
        words = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
        assert any(word.startswith(plain(HOSTILE)) for word in words)
        assert not [word for word in words if "\x1b" in word]

    def test_the_users_own_settings_neither_show_nor_change(self) -> None:
        expected = draw.to_svg(MAKERS["curves"]())
        with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.grid": True, "svg.fonttype": "path"}):
            assert draw.to_svg(MAKERS["curves"]()) == expected
            assert matplotlib.rcParams["font.size"] == 30

    def test_says_what_to_install_where_matplotlib_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(RequestError, match=r"pip install 'sparsewire\[report\]'"):
            draw.network(TOY)


class TestNetwork:
    def test_edges_on_complete_paths_have_their_signs_colour_and_the_others_are_faint(self) -> None:
        figure = draw.network(TOY, edges=5)
        # A → C, C → E, D → E; A → D; B → E
        assert [edges_in(figure, c) for c in (ACTIVATING, INHIBITING, FAINT)] == [3, 1, 1]
        assert [dots_in(figure, c) for c in (INK, FAINT)] == [4, 1]
        assert dots_in(figure, PAPER) == 1, "the dead neuron is hollow"
        assert "5 edges, all drawn; 4 (80.0 %) lie on complete paths; width and opacity: |weight|" in texts(figure)
        assert {"input", "hidden 1", "output", "2 of 3"} <= set(texts(figure))

    def test_without_highlight_every_edge_has_its_signs_colour(self) -> None:
        figure = draw.network(TOY, edges=5, highlight=False)
        assert [edges_in(figure, c) for c in (ACTIVATING, INHIBITING, FAINT)] == [3, 2, 0]
        assert [dots_in(figure, c) for c in (INK, FAINT)] == [5, 0]

    def test_stronger_edges_are_wider(self) -> None:
        graph = NetGraph((2, 1), {(0, 1): csr([[1.0, -0.01]])})
        figure = draw.network(graph)
        assert patches(figure, ACTIVATING)[0].get_linewidth() > 2 * patches(figure, INHIBITING)[0].get_linewidth()

    @pytest.mark.parametrize("lines", [1, 7, 100, 419, 420, 9999])
    def test_draws_as_many_lines_as_asked_and_of_each_junction_its_share(self, lines: int) -> None:
        sizes = (20, 15, 8)  # 300 and 120 edges
        figure = draw.network(random_graph(sizes), lines=lines)
        drawn = [path.get_path().vertices[::4, 0] for c in (ACTIVATING, INHIBITING) for path in patches(figure, c)
                 if 4 in path.get_path().codes]  # fmt: skip
        starts = np.concatenate(drawn)
        total = min(lines, 420)
        first = int((starts < 100).sum())  # what leaves the first column
        assert len(starts) == max(total, 2)
        assert first == pytest.approx(total * 300 / 420, abs=1)
        assert first < len(starts), "every junction shows at least one"

    def test_of_equally_strong_edges_it_takes_an_even_sample(self) -> None:
        figure = draw.network(random_graph((50, 50), constant=True), lines=200)
        heights = np.concatenate([p.get_path().vertices[3::4, 1] for p in patches(figure, ACTIVATING)])
        # The whole column has mean 185 (50 + 270 / 2) and standard deviation 270 / √12 = 78.
        assert heights.mean() == pytest.approx(185, abs=8)
        assert heights.std() == pytest.approx(78, abs=8)

    def test_it_draws_edges_on_complete_paths_before_stronger_ones(self) -> None:
        # The strong edge from input 1 ends in a hidden neuron without outputs; one edge a junction is drawn.
        graph = NetGraph((2, 2, 1), {(0, 1): csr([[0.1, 0], [0, 9]]), (1, 2): csr([[0.2, 0]])})
        figure = draw.network(graph, lines=1)
        assert [edges_in(figure, c) for c in (ACTIVATING, INHIBITING, FAINT)] == [2, 0, 0]

    def test_neurons_show_in_bitmaps_too(self) -> None:
        figure = draw.network(TOY)
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
        ink = np.array(matplotlib.colors.to_rgb(str(INK))) * 255
        dots = np.abs(pixels[60:-60] - ink).max(axis=-1) < 2  # labels and key are left out
        assert dots.sum() > 5 * 20, "five dots of six points across"

    def test_a_dense_mnist_network_stays_below_300_kilobytes(self) -> None:
        figure = draw.network(random_graph((784, 300, 100, 10)), image_shape=(28, 28))
        assert len(draw.to_svg(figure)) < 300_000
        assert any(text.startswith("1,500 of 266,200 edges drawn") for text in texts(figure))

    def test_inputs_as_an_image_show_every_pixel_once_and_unused_ones_as_empty(self) -> None:
        # Pixel 3 has an edge to a neuron without outputs: it is on no complete path, thus empty.
        graph = NetGraph((4, 2, 1), {(0, 1): csr([[1.0, 0, 0, 0], [0, 0, 0, 5.0]]), (1, 2): csr([[1.0, 0]])})
        figure = draw.network(graph, image_shape=(2, 2))
        squares = {
            patch.get_facecolor(): len(patch.get_path().vertices) // 5
            for patch in figure.axes[0].patches
            if type(patch) is PathPatch and patch.get_facecolor()[3]
        }
        assert squares[matplotlib.colors.to_rgba(str(EMPTY))] == 3
        assert sum(squares.values()) == 4

    def test_skip_connections_leave_the_straight_way(self) -> None:
        graph = NetGraph((1, 1, 1), {(0, 1): csr([[1.0]]), (1, 2): csr([[1.0]]), (0, 2): csr([[-1.0]])})
        figure = draw.network(graph)
        skip, straight = (patches(figure, c)[0].get_path().vertices[:4, 1] for c in (INHIBITING, ACTIVATING))
        assert np.ptp(straight) == 0
        assert np.ptp(skip) > 10
        assert skip.max() < figure.get_figheight() * 72 - 34, "it does not run through the key"

    def test_takes_modules_and_state_dicts(self) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
        assert draw.to_svg(draw.network(model)) == draw.to_svg(draw.network(model.state_dict()))

    @pytest.mark.parametrize(
        ("graph", "wanted", "message"),
        [
            (NetGraph((2, 1), {(0, 1): csr([[0.0, 0.0]])}), {}, "graph: found no edges"),
            (NetGraph((2, 1), {(0, 1): csr([[float("nan"), 1.0]])}), {}, "not finite between layers 0 and 1"),
            (TOY, {"image_shape": (2, 2)}, r"image_shape: found \(2, 2\), expected .* 1 pixels"),
            (TOY, {"names": ["a", "b"]}, "names: found 2, expected 3"),
            (TOY, {"lines": 0}, "lines: found 0"),
            (TOY, {"edges": 7}, "edges: found 7"),
        ],
    )
    def test_refuses_what_cannot_be_drawn(self, graph: NetGraph, wanted: dict[str, Any], message: str) -> None:
        with pytest.raises(RequestError, match=message):
            draw.network(graph, **wanted)


class TestInputs:
    def test_counts_only_connections_on_complete_paths(self) -> None:
        # Pixel 0 feeds both hidden neurons, pixel 1 the first, pixel 2 only the dead second, pixel 3 none.
        graph = NetGraph((4, 2, 1), {(0, 1): csr([[1.0, 2, 0, 0], [3, 0, 4, 0]]), (1, 2): csr([[1.0, 0]])})
        figure = draw.input_connectivity(graph, (2, 2))
        assert "2 of 4 pixels are used" in texts(figure)
        figure = draw.input_connectivity(graph, (2, 2), measure="strength")
        assert {"none", "0", "2"} <= set(texts(figure)), "the scale of strengths runs from zero to pixel 1's weight"

    def test_several_networks_share_one_scale(self) -> None:
        weak, strong = (NetGraph((1, n), {(0, 1): csr([[1.0]] * n)}) for n in (1, 9))
        figure = draw.input_connectivity({"weak": weak, "strong": strong}, (1, 1))
        fills = [patch.get_facecolor() for patch in figure.axes[0].patches if type(patch) is PathPatch]
        assert fills == [matplotlib.colors.to_rgba(str(step)) for step in (RAMP[1], RAMP[-1])]

    def test_each_network_may_have_its_own_scale(self) -> None:
        weak, strong = (NetGraph((2, n), {(0, 1): csr([[1.0, 1.0]] + [[1.0, 0.0]] * (n - 1))}) for n in (2, 9))
        figure = draw.input_connectivity({"weak": weak, "strong": strong}, (1, 2), shared=False)
        assert {"1 to 2", "1 to 9", "least", "most"} <= set(texts(figure))
        fills = [patch.get_facecolor() for patch in figure.axes[0].patches if type(patch) is PathPatch]
        assert fills == [matplotlib.colors.to_rgba(str(step)) for step in (RAMP[1], RAMP[-1])] * 2

    @pytest.mark.parametrize(
        ("graph", "wanted", "message"),
        [
            ({}, {}, "graph: found an empty mapping"),
            (TOY, {"image_shape": (3, 1)}, "image_shape"),
            (TOY, {"measure": "length"}, "measure: found 'length'"),
            ({"bad": NetGraph((1, 1), {(0, 1): csr([[float("inf")]])})}, {}, "bad: found a weight that is not finite"),
        ],
    )
    def test_refuses_what_cannot_be_drawn(self, graph: Any, wanted: dict[str, Any], message: str) -> None:
        with pytest.raises(RequestError, match=message):
            draw.input_connectivity(graph, **{"image_shape": (1, 1), **wanted})


class TestCurves:
    def test_line_is_the_mean_and_band_the_range(self) -> None:
        runs = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 7.0]])
        axes = draw.curves({"a": runs}, x_label="x", y_label="y").axes[1]
        assert axes.lines[0].get_xydata().tolist() == [[1, 2], [2, 2], [3, 5]]
        band = axes.collections[0].get_paths()[0].get_extents()
        assert (band.x0, band.x1, band.y0, band.y1) == (1, 3, 1, 7)

    def test_band_of_the_standard_deviation(self) -> None:
        axes = draw.curves({"a": np.array([[1.0, 1.0], [3.0, 3.0]])}, x_label="x", y_label="y", band="std").axes[1]
        band = axes.collections[0].get_paths()[0].get_extents()
        assert (band.y0, band.y1) == pytest.approx((2 - 2**0.5, 2 + 2**0.5))  # the sample's variance is 2

    def test_runs_at_other_places_are_interpolated_where_all_have_values(self) -> None:
        runs = [([0.0, 2.0, 4.0], [0.0, 2.0, 4.0]), ([3.0, 1.0], [30.0, 10.0])]
        axes = draw.curves({"a": runs}, x_label="x", y_label="y").axes[1]
        assert axes.lines[0].get_xydata().tolist() == [[1, 5.5], [2, 11], [3, 16.5]]

    def test_a_single_run_has_no_band_and_says_so(self) -> None:
        figure = draw.curves({"a": [([1, 2], [1, 2])]}, x_label="x", y_label="y")
        assert not figure.axes[1].collections
        assert "One run each." in texts(figure)

    def test_published_values_are_inside_the_frame(self) -> None:
        figure = draw.curves(
            {"a": [([1, 2], [1.0, 2.0])]}, x_label="x", y_label="y", published={"line": 9.0, "point": (5.0, -3.0)}
        )
        axes = figure.axes[1]
        assert axes.get_ylim()[0] < -3 < 9 < axes.get_ylim()[1]
        assert axes.get_xlim()[1] >= 5
        assert {"line", "point"} <= set(texts(figure))

    def test_names_at_the_ends_do_not_touch(self) -> None:
        series = {f"series {i}": [([1, 2], [0.0, 1.0 + i / 1000])] for i in range(12)}
        figure = draw.curves(series, x_label="x", y_label="y")
        heights = sorted(text.get_position()[1] for text in figure.axes[0].texts if text.get_text() in series)
        assert len(heights) == 12
        assert np.diff(heights).min() > 11

    def test_long_curves_are_thinned_but_keep_their_ends(self) -> None:
        count = 50_000
        figure = draw.curves({"a": np.arange(1.0, count + 1)[None]}, x_label="x", y_label="y", log_x=True)
        line = figure.axes[1].lines[0].get_xydata()
        assert len(line) <= 500
        assert line[[0, -1]].tolist() == [[1, 1], [count, count]]

    @pytest.mark.parametrize(
        ("series", "wanted", "message"),
        [
            ({}, {}, "series: found 0"),
            ({str(i): [([1], [1])] for i in range(16)}, {}, "series: found 16"),
            ({"a": []}, {}, "series 'a': found no run"),
            ({"a": [([1, 2], [1, float("nan")])]}, {}, "series 'a': found a value that is not finite"),
            ({"a": np.array([[1.0, np.inf]])}, {}, "series 'a': found a value that is not finite"),
            ({"a": np.zeros(3)}, {}, r"found an array of shape \(3,\)"),
            ({"a": [([1, 2], [1])]}, {}, "found 2 xs and 1 ys"),
            ({"a": [([1], [1]), ([2], [1])]}, {}, "share no x"),
            ({"a": [([1, 2], [0.0, 1.0])]}, {"log_y": True}, "log_y: found 0"),
            ({"a": [([0, 2], [1.0, 1.0])]}, {"log_x": True}, "log_x: found 0"),
            ({"a": [([1], [1])]}, {"band": "quartiles"}, "band: found 'quartiles'"),
            ({"a": [([1], [1])]}, {"published": {"p": float("nan")}}, "published"),
        ],
    )
    def test_refuses_what_cannot_be_drawn(self, series: Any, wanted: dict[str, Any], message: str) -> None:
        with pytest.raises(RequestError, match=message):
            draw.curves(series, x_label="x", y_label="y", **wanted)


class TestDistributions:
    def test_each_layer_has_a_panel_and_zeros_count(self) -> None:
        # Of |0.1|, |−0.4|, 0, 0 one half is 0, three quarters are at most 0.1.
        weights = {"0.weight": torch.tensor([[0.1, -0.4], [0.0, 0.0]]), "0.bias": torch.ones(2)}
        figure = draw.weight_distributions({"a": weights, "b": {**weights, "2.weight": torch.ones(1, 2)}})
        assert len(figure.axes) == 1 + 2, "a page and two panels"
        xs, ys = figure.axes[1].lines[0].get_xdata(), figure.axes[1].lines[0].get_ydata()
        assert xs[np.searchsorted(ys, 0.33)] == 0
        assert (xs[0], xs[-1], ys[0], ys[-1]) == pytest.approx((0, 0.4, 0, 1))
        assert (np.diff(xs) >= 0).all()
        assert {"0.weight, 2 × 2", "2.weight, 1 × 2"} <= set(texts(figure))

    def test_of_a_graph_only_the_edges_count(self) -> None:
        graph = NetGraph((2, 2, 1), {(0, 1): csr([[0.5, 0.0], [0.0, -0.25]]), (1, 2): csr([[0.0, 0.0]])})
        figure = draw.weight_distributions({"a": graph})
        assert len(figure.axes) == 1 + 1, "a junction without edges has no panel"
        assert "layer 0 to 1, 2 × 2" in texts(figure)
        assert figure.axes[1].lines[0].get_xdata()[0] == 0.25

    @pytest.mark.parametrize(
        ("by_layer", "message"),
        [
            ({}, "found 0 curves in 0 panels"),
            ({"layer": {}}, "found 0 curves in 1 panels"),
            ({"layer": {"a": ([0, 1], [0])}}, "found 2 quantiles and 1 shares"),
            ({"layer": {"a": ([1, 0], [0, 1])}}, "expected rising quantiles"),
            ({"layer": {"a": ([0, 1], [0, 2])}}, "expected rising quantiles"),
            ({"layer": {"a": ([0, float("nan")], [0, 1])}}, "expected rising quantiles"),
        ],
    )
    def test_refuses_what_is_no_distribution(self, by_layer: Any, message: str) -> None:
        with pytest.raises(RequestError, match=message):
            draw.distributions(by_layer, x_label="x")

    def test_refuses_weights_that_are_not_finite(self) -> None:
        with pytest.raises(RequestError, match=r"weights '0.weight, 1 × 1' of 'a': found one that is not finite"):
            draw.weight_distributions({"a": {"0.weight": torch.tensor([[float("inf")]])}})


class TestRelation:
    def test_a_marker_a_run_and_darker_colours_for_later_moments(self) -> None:
        runs = {"one": ([0.1, 0.2, 0.3], [1, 2, 3], [0, 15, 30]), "two": ([0.5], [2], [30])}
        axes = draw.relation(runs, x_label="x", y_label="y").axes[1]
        points = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
        assert [line.get_marker() for line in points] == ["o", "o", "o", "s"]
        shown = [line.get_color() for line in points]
        assert shown == [str(RAMP[2]), str(RAMP[5]), str(RAMP[8]), str(RAMP[8])]
        assert sum(len(line.get_xdata()) for line in points) == 4

    @pytest.mark.parametrize(
        ("runs", "message"),
        [
            ([], "runs: found 0"),
            ([([1], [1])] * 11, "runs: found 11"),
            ([([1, 2], [1])], r"run '1': found parts of lengths \[2, 1, 2\]"),
            ([([], [])], "found parts of lengths"),
            ([([1], [float("nan")])], "run '1': found a value that is not finite"),
        ],
    )
    def test_refuses_what_cannot_be_drawn(self, runs: Any, message: str) -> None:
        with pytest.raises(RequestError, match=message):
            draw.relation(runs, x_label="x", y_label="y")


class TestHeat:
    def test_every_number_is_in_its_cell_and_the_best_is_framed(self) -> None:
        figure = draw.heat(
            [[3.0, 1.0, 2.0], [1.0, float("nan"), -4.0]], x_ticks="abc", y_ticks="de", digits=1, best="lowest"
        )
        assert {"3.0", "1.0", "2.0", "−4.0", "not run", "Framed: the lowest."} <= set(texts(figure))
        cells = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle) and patch.get_height() > 20]
        assert len(cells) == 5
        frame = figure.axes[0].lines[-1].get_xydata()
        lowest = min(cells, key=lambda cell: (cell.get_y(), -cell.get_x()))  # lower row, last column
        assert frame[:, 0].min() < lowest.get_x() < frame[:, 0].max()
        assert frame[:, 1].min() < lowest.get_y() < frame[:, 1].max()

    def test_logarithmic_colours_tell_small_numbers_apart(self) -> None:
        def colours(log: bool) -> int:
            figure = draw.heat([[1.0, 2.0, 4.0, 100.0]], x_ticks="abcd", y_ticks="e", log=log)
            cells = [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_height() > 20]
            return len({cell.get_facecolor() for cell in cells})

        assert (colours(log=False), colours(log=True)) == (2, 4)

    @pytest.mark.parametrize(
        ("values", "wanted", "message"),
        [
            ([], {}, "values: found shape"),
            ([[1.0, 2.0]], {}, r"found shape \(1, 2\), expected \(1, 1\)"),
            ([[float("nan")]], {}, "nothing but NaN"),
            ([[float("inf")]], {}, "infinite"),
            ([[0.0]], {"log": True}, "log: found 0"),
            ([[0.0]], {"best": "least"}, "best: found 'least'"),
        ],
    )
    def test_refuses_what_cannot_be_drawn(self, values: Any, wanted: dict[str, Any], message: str) -> None:
        with pytest.raises(RequestError, match=message):
            draw.heat(values, x_ticks=["a"], y_ticks=["b"], **wanted)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2: (brighter + 0.05) / (darker + 0.05) in relative luminance."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    dark, bright = sorted([luminance(one), luminance(other)])
    return (bright + 0.05) / (dark + 0.05)


class TestPalette:
    @pytest.mark.parametrize("mode", ["light", "dark"])
    def test_words_can_be_read_on_either_paper(self, mode: str) -> None:
        words = [INK, palette.MUTED, ACTIVATING, INHIBITING, *palette.SERIES]
        assert min(contrast(getattr(word, mode), getattr(PAPER, mode)) for word in words) >= 4.5
        pairs = zip(palette.ON_RAMP, RAMP, strict=True)
        assert min(contrast(getattr(word, mode), getattr(cell, mode)) for word, cell in pairs) >= 4.5

    def test_colours_can_be_told_apart_by_their_light_value(self) -> None:
        assert len({colour.light for colour in COLOURS}) == len({colour.name for colour in COLOURS}) == len(COLOURS)


class TestTicks:
    @settings(deadline=None, max_examples=60)
    @given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
    def test_linear_ticks_rise_inside_the_range(self, low: float, length: float) -> None:
        found = ticks(low, low + length)
        assert 2 <= len(found) <= 9
        assert found == sorted(set(found))
        assert found[0] >= low - 1e-6 * length
        assert found[-1] <= low + length * (1 + 1e-6)
        assert len(set(tick_labels(found))) == len(found) or abs(low) > 1e3 * length

    @settings(deadline=None, max_examples=60)
    @given(st.floats(1e-6, 1e6), st.floats(1.1, 1e9))
    def test_logarithmic_ticks_rise_inside_the_range(self, low: float, factor: float) -> None:
        found = ticks(low, low * factor, log=True)
        assert 2 <= len(found) <= 12
        assert found == sorted(set(found))
        assert low * (1 - 1e-6) <= found[0] <= found[-1] <= low * factor * (1 + 1e-6)

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.floats(0, 100), max_size=12), st.floats(0.5, 8))
    def test_labels_are_moved_apart_in_their_order(self, heights: list[float], gap: float) -> None:
        placed = apart(heights, gap, 0.0, 100.0)
        assert len(placed) == len(heights)
        ordered = [place for _, place in sorted(zip(heights, placed, strict=True))]
        assert all(b - a >= gap - 1e-6 for a, b in itertools.pairwise(ordered))
        assert all(-1e-6 <= place <= 100 + 1e-6 for place in placed)

    def test_labels_that_do_not_touch_stay(self) -> None:
        assert apart([50.0, 10.0, 90.0], 5.0, 0.0, 100.0) == [50.0, 10.0, 90.0]

    def test_too_many_labels_shrink_together(self) -> None:
        assert apart([1.0, 1.0, 1.0], 50.0, 0.0, 60.0) == [0.0, 30.0, 60.0]


def test_widths_of_text_add_up_and_strange_letters_raise_no_warning() -> None:
    with house_style():
        assert text_width("mm", 10) == pytest.approx(2 * text_width("m", 10), rel=0.05)
        assert text_width("", 10) == 0
        assert text_width("二つ", 10) > 0

"""Charts: what they hold, what plotly is given, and the pictures that stand in their place."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsewire.analysis import draw
from sparsewire.analysis.draw.palette import COLOURS, RAMP, SERIES, STROKES
from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.lab.reporting.chart_drawing import still_svg
from sparsewire.lab.reporting.chart_figures import escaped, figures
from sparsewire.lab.reporting.chart_page import chart_data, embedded, scripts
from sparsewire.lab.reporting.charts import Chart, ChartKind, Series, distributions, heat_rows, series

RUNS = [([1, 2, 3], [9.0, 6.0, 5.0]), ([1, 2, 3], [7.0, 6.5, 4.0]), ([1, 2, 3], [8.0, 7.0, 4.5])]
LINES = Chart("Error", "By epoch.", "epoch", "error, %", (series("dense", RUNS), series("<b>", RUNS[:1])), log_y=True)
STEPS = Chart(
    "Weights", "", "|w|", "share",
    distributions({"in": {"a": ([0, 1, 9], [0, 0.9, 1]), "b": ([0, 2], [0.5, 1])}, "out": {"a": ([0, 1], [0, 1])}}),
    kind="steps",
)  # fmt: skip
POINTS = Chart(
    "Way", "", "share", "accuracy", (Series("seed 0", (0.1, 0.5, 0.4), (90, 95, 97), moments=(1, 2, 3)),),
    kind="points", value_label="epoch",
)  # fmt: skip
HEAT = Chart(
    "Map", "", "strength", "lightnings", heat_rows(["100", "1,000"], [[2.5, math.nan], [2.2, 9.9]]),
    kind="heat", x_ticks=("0.1", "1"), value_label="error, %", log_y=True,
)  # fmt: skip
ALL = [LINES, STEPS, POINTS, HEAT]


class TestValues:
    def test_a_series_is_the_mean_of_its_runs_in_their_range(self) -> None:
        one = LINES.series[0]
        assert one.mean == (8.0, 6.5, 4.5)
        assert (one.low, one.high, one.runs) == ((7.0, 6.0, 4.0), (9.0, 7.0, 5.0), 3)
        assert (LINES.series[1].low, LINES.series[1].runs) == ((), 1)
        std = series("a", RUNS, band="std")
        assert std.high[0] - std.mean[0] == pytest.approx(1.0)

    def test_a_run_that_diverges_leaves_a_gap(self) -> None:
        one = series("a", [([1, 2, 3], [1.0, math.nan, math.inf]), ([1, 2, 3], [1.0, 2.0, 3.0])])
        assert one.mean[0] == 1.0
        assert all(map(math.isnan, one.mean[1:]))

    def test_thousands_of_points_are_thinned_with_both_ends(self) -> None:
        xs = np.arange(1, 100_001)
        for log_x in (False, True):
            one = series("a", [(xs, xs)], log_x=log_x)
            assert len(one.x) <= 401
            assert (one.x[0], one.x[-1]) == (1, 100_000)
            assert one.mean == one.x

    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=2, max_size=5))
    def test_is_what_the_drawing_makes_of_the_same_runs(self, found: list[list[float]]) -> None:
        one = series("a", [([1, 2, 3], run) for run in found])
        table = np.array(found)
        np.testing.assert_allclose(one.mean, table.mean(axis=0))
        np.testing.assert_array_equal(one.low, table.min(axis=0))
        np.testing.assert_array_equal(one.high, table.max(axis=0))

    @pytest.mark.parametrize(
        ("make", "error", "message"),
        [
            (lambda: Series("a", (1, 2), (1,)), RequestError, "x of series 'a': found 2 numbers, expected 1"),
            (lambda: Series("a", (1,), (1,), (0,)), RequestError, "one edge of a band"),
            (lambda: Series("a", (1,), (1,), (0,), (2,)), RequestError, "found 1, expected 2 or more"),
            (lambda: Chart("T", "", "", "", ()), RequestError, "series of 'T': found none"),
            (lambda: Chart("T", "", "", "", (Series("a", (), ()),) * 2), RequestError, "found 'a' twice"),
            (lambda: Chart("T", "", "", "", (Series("a", (), (), panel="p"),)), RequestError, "found panels"),
            (lambda: Chart("T", "", "", "", heat_rows(["a"], [[1.0]]), kind="heat"), RequestError, "expected 0 cells"),
            (lambda: Chart("T", "", "", "", LINES.series, kind="pie"), UnknownNameError, "'pie'"),  # type: ignore[arg-type]
            (lambda: series("a", []), RequestError, "found no run"),
            (lambda: series("a", [([1], [1]), ([2], [1])]), RequestError, "share no x"),
            (lambda: series("a", [([1, 2], [1])]), RequestError, "2 xs and 1 ys"),
            (lambda: series("a", [([math.nan], [1])]), RequestError, "an x that is not finite"),
        ],
    )  # fmt: skip
    def test_refuses(self, make, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=re.escape(message)):
            make()


class TestFigures:
    @pytest.mark.parametrize("chart", ALL, ids=lambda chart: chart.kind)
    def test_plotly_knows_every_property(self, chart: Chart) -> None:
        graph_objects = pytest.importorskip("plotly.graph_objects")
        for panel in figures(chart)["panels"]:
            # the script replaces these; plotly's own check knows real colours only
            text = re.sub(r'"sw:[a-z0-9@.-]+"', '"#123456"', json.dumps([panel["data"], panel["layout"]]))
            data, layout = json.loads(text)
            graph_objects.Figure(data=data, layout=layout)

    @pytest.mark.parametrize("chart", ALL, ids=lambda chart: chart.kind)
    def test_every_colour_is_one_of_the_house(self, chart: Chart) -> None:
        named = set(re.findall(r'"sw:([a-z0-9-]+)', chart_data(chart)))
        assert named <= {colour.name for colour in COLOURS}
        assert len(named) > 5
        assert (len(SERIES), len(STROKES), len(RAMP)) == (5, 3, 9), "chart_figures counts on it"

    def test_bands_lie_under_all_lines(self) -> None:
        traces = figures(LINES)["panels"][0]["data"]
        assert [trace.get("fill") for trace in traces] == [None, "tonexty", None, None]
        assert [trace["meta"] for trace in traces] == [0, 0, 0, 1]
        assert traces[0]["y"] == [9.0, 7.0, 5.0]
        assert traces[2]["customdata"][0] == [7.0, 9.0]

    def test_names_are_text_and_no_markup(self) -> None:
        found = figures(LINES)
        assert found["panels"][0]["data"][-1]["name"] == "&lt;b&gt;"
        assert found["legend"][1]["name"] == "<b>"
        assert escaped('<a href="javascript:x">&lt;') == '&lt;a href="javascript:x"&gt;&amp;lt;'
        assert len(escaped("x" * 10**6)) == 120
        assert "\x1b" not in escaped("\x1b[2J\u202e")

    def test_a_gap_is_null_and_a_logarithm_is_one(self) -> None:
        assert figures(HEAT)["panels"][0]["data"][0]["z"][0] == [pytest.approx(math.log10(2.5)), None]
        assert figures(HEAT)["ramp"] == {"low": "2.2", "high": "9.9", "label": "error, %", "late": False}
        holed = Chart("", "", "", "", (Series("a", (1, 2), (math.nan, math.inf)),))
        assert figures(holed)["panels"][0]["data"][0]["y"] == [None, None]

    def test_sixteen_series_have_a_look_each_as_far_as_there_are(self) -> None:
        many = Chart("", "", "", "", tuple(Series(f"{i}", (1,), (i,)) for i in range(16)))
        looks = [(entry["colour"], entry["dash"]) for entry in figures(many)["legend"]]
        assert len(set(looks)) == 15
        assert looks[15] == looks[0]

    @settings(deadline=None, max_examples=60)
    @given(st.text(max_size=30))
    def test_json_cannot_leave_its_element(self, text: str) -> None:
        found = embedded({"name": text})
        assert not set(found) & set("<>&")
        assert found.isascii()
        assert json.loads(found) == {"name": text}


class TestStill:
    @pytest.mark.parametrize("chart", ALL, ids=lambda chart: chart.kind)
    def test_every_kind_has_a_picture(self, chart: Chart) -> None:
        svg = still_svg(chart)
        assert svg.startswith("<svg")
        assert chart.x_label in svg
        assert svg == still_svg(chart)

    def test_is_what_the_runs_themselves_give(self) -> None:
        direct = draw.curves({"dense": RUNS, "<b>": RUNS[:1]}, x_label="epoch", y_label="error, %", log_y=True)
        assert still_svg(LINES) == draw.to_svg(direct)

    @pytest.mark.parametrize("count", [2, 3, 4, 7])
    def test_a_band_of_deviations_is_drawn_as_such(self, count: int) -> None:
        generator = np.random.default_rng(count)
        runs = [([1, 2, 3], generator.normal(5, 1, 3)) for _ in range(count)]
        chart = Chart("", "", "x", "y", (series("a", runs, band="std"),), band="std")
        direct = draw.curves({"a": runs}, x_label="x", y_label="y", band="std")
        places = [
            np.concatenate([np.asarray(part.vertices) for part in figure.axes[1].collections[0].get_paths()])
            for figure in (direct, _drawn(chart))
        ]
        np.testing.assert_allclose(places[0], places[1], atol=1e-9)
        assert f"mean of {count} runs" in still_svg(chart)

    @pytest.mark.parametrize("kind", ["lines", "steps", "points", "heat"])
    def test_nothing_finite_is_no_picture(self, kind: ChartKind) -> None:
        one = Series("a", (0,), (math.nan,))
        assert still_svg(Chart("", "", "", "", (one,), kind=kind, x_ticks=("x",) * (kind == "heat"))) == ""

    def test_what_cannot_stand_on_the_axis_is_left_out(self) -> None:
        whole = Series("a", (1, 2, 3), (1.0, 2.0, 3.0))
        holed = Series("a", (0, 1, 2, 2.5, 3), (5.0, 1.0, 2.0, -1.0, 3.0))
        svgs = [still_svg(Chart("", "", "x", "y", (one,), log_x=True, log_y=True)) for one in (whole, holed)]
        assert svgs[0] == svgs[1]

    def test_the_sixteenth_line_is_left_out(self) -> None:
        many = Chart("", "", "", "", tuple(Series(f"line {i}", (1, 2), (i, i)) for i in range(16)))
        assert "line 14<" in still_svg(many)
        assert "line 15<" not in still_svg(many)


def _drawn(chart: Chart):
    from sparsewire.lab.reporting.chart_drawing import _lines

    return _lines(chart, chart.names)


def test_the_scripts_are_named_by_their_digests_and_hold_no_markup() -> None:
    pytest.importorskip("plotly")
    found = scripts()
    assert found is not None
    assert found == scripts(), "no date inside"
    assert len(re.findall(r"'sha256-[A-Za-z0-9+/]{43}='", found.policy)) == 2
    assert re.fullmatch("[A-Za-z0-9+/=]+", found.packed)
    assert "</" not in found.starter
    assert "<!--" not in found.starter
    assert "innerHTML" not in found.starter
    assert len(found.packed) < 2.2e6


def test_seven_kinds_of_points_have_seven_marks() -> None:
    """As many as the patterns of `predefined.scatter`; the seventh was once the first again."""
    points = tuple(Series(f"pattern {number}", (0.5,), (90.0,), moments=(0,)) for number in range(7))
    found = figures(Chart("Patterns", "", "x", "y", points, kind="points", value_label="seed"))
    assert len({entry["glyph"] for entry in found["legend"]}) == 7
    assert len({trace["marker"]["symbol"] for trace in found["panels"][0]["data"]}) == 7


def test_a_panel_without_points_stands_beside_one_with_some() -> None:
    empty, full = Series("a", (), (), panel="empty"), Series("a", (1.0, 2.0), (0.5, 1.0), panel="full")
    rest = Series("b", (), (), panel="full")
    found = figures(Chart("", "", "", "", (empty, full, rest), kind="steps"))
    assert [len(panel["data"]) for panel in found["panels"]] == [1, 2]

"""The report: all is in it, nothing in it can do harm, and it can be read without colour, script or network."""

import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from sparsewire.analysis import draw
from sparsewire.errors import RequestError, StoreError
from sparsewire.lab.report import claims_as_json, print_report, render_html, write_html
from sparsewire.lab.reporting import chart_page
from sparsewire.lab.reporting.charts import Chart, Series, series
from sparsewire.lab.reporting.comparison import Comparison, ComparisonTable, Group
from sparsewire.lab.reporting.deviation import WIDTH, deviation_svg, interval_svg, reaches
from sparsewire.lab.reporting.findings import Claim, ClaimTable, Grid, Note, Picture, Report, Section
from sparsewire.lab.reporting.inlining import inline_svg
from sparsewire.lab.reporting.wording import cells, compared, sentence, shown

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><defs><path id="m" d="M0 0"/></defs><use href="#m"/></svg>'
HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(1)> & [red]{{ 7*7 }}[/red] \x1b[31m"

CLAIMS = ClaimTable(
    "Table 1",
    (
        Claim("best accuracy", 98.12, (98.0, 98.1, 98.2), 0.1, "%"),
        Claim("changed", 3.39, (6.0,), 1.0, "%"),
        Claim("edges", 1266200.0, (), digits=0),
        Claim("seconds", None, (1.25,)),
        Claim("worst start", 90.0, (91.0,), 0.0, kind="at_least"),
        Claim("diverged", 1.0, (math.nan,), 0.1),
    ),
    "Seed by seed.",
)
REPORT = Report(
    "Dense networks as sparse graphs",
    "from data to report",
    (("data", "MNIST"), ("trials", "12")),
    (
        Section("Rebuild", "Pircher, Table 1", "First.\n\nSecond.", (CLAIMS, Note("Seed 7 failed."))),
        Section(
            "Curves",
            "",
            "",
            (
                Picture("Figure 3", "Mean of five.", SVG),
                Picture("Figure 3 again", "", SVG),
                Grid("Cost", ("layer", "weights", "density"), (("0", 235200, 0.5), ("2", None, 0.125)), "Live only."),
            ),
        ),
    ),
)
CHART = Chart(
    "Error", "Seed by seed.", "epoch", "error, %",
    (series("dense", [([1, 2], [9.0, 5.0]), ([1, 2], [7.0, 4.0])]), Series("random", (1, 2), (8.0, math.nan))),
)  # fmt: skip
PAIR = Comparison(
    "accuracy", Group("dense", (97.0, 97.5, 98.0)), Group("sparse", (96.0, 96.5, 97.5), (("diverged", 2),)), "paired",
    0.95, (-1.55, -0.1), 0.25, -1.2,
)  # fmt: skip
CHARTS = Report("Curves", "", (), (Section("One", "", "", (CHART, ComparisonTable("Groups", (PAIR,), "By seed."))),))
WORST = Report(
    HOSTILE,
    HOSTILE,
    ((HOSTILE, HOSTILE),),
    (
        Section(
            HOSTILE,
            HOSTILE,
            HOSTILE,
            (
                ClaimTable(HOSTILE, (Claim(HOSTILE, 1.0, (1.0,), unit=HOSTILE),), HOSTILE),
                Grid(HOSTILE, (HOSTILE,), ((HOSTILE,),), HOSTILE),
                Picture(HOSTILE, HOSTILE, SVG),
                Chart(HOSTILE, HOSTILE, HOSTILE, HOSTILE, (Series(HOSTILE, (1,), (1,)), Series("b", (1,), (2,)))),
                ComparisonTable(
                    HOSTILE, (Comparison(HOSTILE, Group(HOSTILE, ()), Group(HOSTILE, ()), "paired"),), HOSTILE
                ),
                Note(HOSTILE),
            ),
        ),
    ),
)


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, its ids, its visible words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.inside: list[str] = []
        self.feed(text)
        self.close()
        self.ids = [found for _, attributes in self.elements if (found := attributes.get("id"))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] not in ("style", "title", "script"):
            self.words += " " + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


class TestHtml:
    def test_holds_everything_that_the_report_holds(self) -> None:
        words = " ".join(Page(render_html(REPORT)).words.split())
        for expected in (
            "Dense networks as sparse graphs from data to report data MNIST", "Pircher, Table 1 First. Second.",
            "best accuracy 98.12 % 98.10 % ± 0.10 95 % interval of the mean: 97.85 to 98.35 3 −0.02 0.10 reproduced",
            "changed 3.39 % 6.00 % 1 +2.61 1.00 differs",
            "edges 1,266,200 – – 0.5 not run",
            "seconds – 1.25 1 – – no published number",
            "worst start ≥ 90.00 91.00 1 +1.00 0.00 reproduced",
            "diverged 1.00 not a number 1 not a number 0.10 differs",
            "Seed by seed.", "Seed 7 failed.", "Figure 3 Mean of five.", "Figure 3 again",
            "layer weights density 0 235,200 0.500 2 0.125 Live only.",
            "Of 6 claims, 2 are reproduced, 2 differ, 1 was not run and 1 has no published number.",
            "2 of 5 reproduced",  # one has no published number
        ):  # fmt: skip
            assert expected in words

    def test_needs_nothing_from_outside_and_runs_nothing(self) -> None:
        text = render_html(REPORT)
        page = Page(text)
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
        assert not {"script", "link", "iframe", "object", "embed", "img", "form", "base"} & {
            tag for tag, _ in page.elements
        }
        policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta) or ""
        assert policy.startswith("default-src 'none'")
        assert "script-src" not in policy, "so that default-src forbids scripts"
        assert not re.search(r"url\(\s*['\"]?(?!#)|@import", text)

    def test_shows_hostile_text_as_text(self) -> None:
        text = render_html(WORST)
        page = Page(text)
        assert [script.get("type") for script in page.all("script")] == ["application/json", "text/plain", None]
        assert not page.all("img")
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
        assert "\x1b" not in text
        assert page.words.count("</style><script>alert(1)</script>") >= 18
        assert "{{ 7*7 }}" in page.words

    def test_charts_come_with_their_picture_their_numbers_and_one_plotly(self) -> None:
        text = render_html(Report("", "", (), (*CHARTS.sections, *CHARTS.sections)))
        page = Page(text)
        kinds = [script.get("type") for script in page.all("script")]
        assert kinds == ["application/json"] * 2 + ["text/plain", None]
        scripts = chart_page.scripts()
        assert scripts is not None
        policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta) or ""
        assert policy.endswith(scripts.policy)
        assert "'unsafe-inline'" not in policy.partition("script-src")[2]
        assert [svg["aria-label"] for svg in page.all("svg") if svg.get("role") == "img"] == ["Error"] * 2
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
        assert len(text) < 2.3e6

    @pytest.mark.parametrize("interactive", [False, True])
    def test_without_plotly_charts_stand_still_and_the_page_says_so(
        self, interactive: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chart_page, "scripts", lambda: None)
        page = Page(render_html(CHARTS, interactive=interactive))
        assert not page.all("script")
        assert len([svg for svg in page.all("svg") if svg.get("role") == "img"]) == 1
        assert page.words.count("plotly was not installed") == interactive
        assert "plotly" not in Page(render_html(REPORT)).words

    def test_a_chart_without_numbers_says_so(self) -> None:
        empty = Chart("Lost", "", "x", "y", (Series("a", (1,), (math.nan,)),))
        page = Page(render_html(Report("", "", (), (Section("", "", "", (empty,)),))))
        assert "no number is finite" in page.words
        assert "application/json" not in [script.get("type") for script in page.all("script")]

    def test_comparisons_show_both_groups_and_what_was_left_out(self) -> None:
        words = " ".join(Page(render_html(CHARTS, interactive=False)).words.split())
        assert (
            "dense → sparse 97.50 ± 0.50 (n=3) 96.67 ± 0.76 (n=3) −0.83 −1.55 to −0.10 0.250 −1.20 "
            "no difference was shown By seed. Paired: t interval and test. sparse: left out: 2 diverged. "
            "3 pairs are too few for sign flips; Student's test takes differences to be normal."
        ) in words

    def test_every_id_is_there_once_and_every_link_leads_to_one(self) -> None:
        figure = draw.heat([[1.0]], x_ticks=["a"], y_ticks=["b"])
        curves = draw.curves({"a": [([1, 2], [1, 2])]}, x_label="x", y_label="y")
        pictures = tuple(Picture(f"Figure {i}", "", draw.to_svg(one)) for i, one in enumerate((figure, curves, curves)))
        text = render_html(Report("", "", (), (*REPORT.sections, Section("", "", "", pictures))))
        page = Page(text)
        assert len(page.ids) == len(set(page.ids))
        targets = {str(attributes["href"])[1:] for _, attributes in page.elements if "href" in attributes}
        targets |= set(re.findall(r"url\(#([^)]+)\)", text))
        named = {
            str(attributes["aria-labelledby"]) for _, attributes in page.elements if "aria-labelledby" in attributes
        }
        assert targets | named <= set(page.ids)
        assert len(targets) > 6

    def test_can_be_read_aloud(self) -> None:
        page = Page(render_html(REPORT))
        assert page.all("html")[0]["lang"] == "en"
        assert [svg["aria-label"] for svg in page.all("svg") if svg.get("role") == "img"] == [
            "Figure 3",
            "Figure 3 again",
        ]
        assert all(svg.get("role") == "img" or svg.get("aria-hidden") == "true" for svg in page.all("svg"))
        assert [tag for tag, _ in page.elements].count("main") == 1
        assert len(page.all("h1")) == 1
        assert all("scope" in cell for cell in page.all("th"))

    def test_follows_light_and_dark_paper_and_narrow_screens(self) -> None:
        text = render_html(REPORT)
        assert "--sw-paper: #fcfbf8;" in text
        assert re.search(r"@media screen and \(prefers-color-scheme: dark\) \{ :root \{ --sw-paper: #15191c;", text)
        assert "@media print" in text
        assert "@media (max-width: 720px)" in text
        assert 'name="viewport"' in text
        used = set(re.findall(r"var\((--[a-z0-9-]+)[),]", text))
        declared = set(re.findall(r"(--[a-z0-9-]+):", text))
        assert used <= declared

    def test_an_empty_report_is_a_page_all_the_same(self) -> None:
        page = Page(render_html(Report("Nothing yet", "", (), (Section("Empty", "", "", ()),))))
        assert "Nothing yet" in page.words
        assert not page.all("nav")
        assert "claim" not in page.words

    def test_a_report_of_one_section_lists_its_tables_and_pictures_as_contents(self) -> None:
        one = Section("Alone", "", "", (Note("x"), Picture("Figure 3", "", SVG), Grid("Cost", ("a",), ((1,),))))
        page = Page(render_html(Report("Alone", "", (), (one,))))
        links = [link["href"] for link in page.all("a")]
        assert links == ["#content", "#block-1-2", "#block-1-3"]
        assert {"block-1-2", "block-1-3"} <= set(page.ids)
        assert page.all("h2")[0]["class"] == "hidden", "the page's title says it already"

    def test_is_the_same_bytes_each_time(self) -> None:
        assert render_html(REPORT) == render_html(REPORT)

    def test_is_written_whole(self, tmp_path: Path) -> None:
        write_html(REPORT, tmp_path / "deep" / "report.html")
        assert (tmp_path / "deep" / "report.html").read_text(encoding="utf-8") == render_html(REPORT)
        with pytest.raises(StoreError, match="cannot write"):
            write_html(REPORT, tmp_path / "deep")
        bad = Report("", "", (), (Section("", "", "", (Picture("p", "", "<svg"),)),))
        with pytest.raises(RequestError, match="'p'"):
            write_html(bad, tmp_path / "bad.html")
        assert [path.name for path in tmp_path.iterdir()] == ["deep"]


class TestInlining:
    @pytest.mark.parametrize(
        ("svg", "message"),
        [
            ("<svg", "not well-formed"),
            ("<p>hello</p>", "<p>"),
            ("<g/>", "<g>, expected an <svg> element"),
            ("<svg><script>alert(1)</script></svg>", "<script>"),
            ('<svg xmlns:x="http://www.w3.org/1999/xhtml"><x:script>alert(1)</x:script></svg>', "<script>"),
            ("<svg><style>*{}</style></svg>", "<style>"),
            ("<svg><foreignObject/></svg>", "<foreignObject>"),
            ("<svg><a href='#x'/></svg>", "<a>"),
            ("<svg><animate/></svg>", "<animate>"),
            ("<svg onload='alert(1)'/>", "the attribute onload"),
            ("<svg ONCLICK='alert(1)'/>", "the attribute ONCLICK"),
            ("<svg><use href='other.svg#x'/></svg>", "a link to 'other.svg#x'"),
            ("<svg xmlns:l='http://www.w3.org/1999/xlink'><use l:href='//evil'/></svg>", "a link to '//evil'"),
            ("<svg><image href='data:image/svg+xml;base64,AA'/></svg>", "a link to 'data:image/svg"),
            ("<svg><g style='fill: url(http://evil)'/></svg>", "no address outside"),
            ("<svg><g style='fill: URL( \"//evil\")'/></svg>", "no address outside"),
            ("<svg><g style='fill: u\\72l(//evil)'/></svg>", "no address outside"),
            ("<svg><g style='background: image-set(\"//evil\" 1x)'/></svg>", "no address outside"),
            ("<svg><g fill='url(//evil)'/></svg>", "no address outside"),
            ("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>", "a document type"),
        ],
    )
    def test_refuses_what_may_not_stand_in_a_page(self, svg: str, message: str) -> None:
        with pytest.raises(RequestError, match=re.escape(message)):
            inline_svg(Picture("p", "", svg), "x")

    def test_gives_each_picture_its_own_ids_and_keeps_the_drawing(self) -> None:
        text = inline_svg(Picture('A "name"', "", SVG), "p1")
        assert '<path d="M0 0" id="p1-0" />' in text
        assert '<use href="#p1-0" />' in text
        assert 'aria-label="A &quot;name&quot;"' in text

    def test_lets_bitmaps_through(self) -> None:
        assert "data:image/png" in inline_svg(
            Picture("p", "", '<svg><image href="data:image/png;base64,AA"/></svg>'), "x"
        )


class TestDeviation:
    @pytest.mark.parametrize(
        ("claim", "place"),
        [
            (Claim("", 1.0, (1.0,), 0.1), 0.5),
            (Claim("", 1.0, (0.9,), 0.1), 0.5 - (0.5 - 5 / WIDTH) / 2.2),  # one tolerance of 2.2 to the left
            (Claim("", 90.0, (95.0,), 0.0, kind="at_least"), 0.5 + (0.5 - 5 / WIDTH) / 1.25),
        ],
    )
    def test_the_mean_lies_in_proportion_to_the_tolerance(self, claim: Claim, place: float) -> None:
        found = re.search(r'<circle class="mean" cx="([0-9.]+)"', deviation_svg(claim))
        assert found
        assert float(found[1]) == pytest.approx(place * WIDTH, abs=0.1)

    def test_what_is_far_off_stands_at_the_edge(self) -> None:
        assert f'<path class="mean" d="M{WIDTH - 1:.1f}' in deviation_svg(Claim("", 1.0, (9.0,), 0.1))
        assert '<path class="mean" d="M1.0' in deviation_svg(Claim("", 1.0, (-9.0,), 0.1))

    def test_seeds_are_dots_and_an_open_side_is_all_band(self) -> None:
        text = deviation_svg(Claim("", 1.0, (1.0, 1.1, 9.0), 5.0, kind="at_most"))
        assert text.count('class="seed"') == 3
        assert '<rect class="band" x="0.0"' in text

    @pytest.mark.parametrize("ours", [(), (math.nan,), (math.inf, 1.0), (0.0,)])
    def test_draws_nothing_that_is_no_number(self, ours: tuple[float, ...]) -> None:
        for tolerance in (0.0, 0.1):
            text = deviation_svg(Claim("", 0.0, ours, tolerance))
            assert "nan" not in text
            assert "inf" not in text


class TestIntervalPicture:
    def test_all_rows_share_one_scale(self) -> None:
        wide = Comparison("accuracy", PAIR.a, PAIR.b, "paired", interval=(-3.1, 1.0))
        reach = reaches(ComparisonTable("", (PAIR, wide)))
        assert reach == {"accuracy": 3.1}
        found = re.search(r'class="interval" d="M([0-9.]+) 9.0H([0-9.]+)', interval_svg(PAIR, 3.1))
        assert found
        half = WIDTH / 2 - 5
        assert float(found[1]) == pytest.approx(WIDTH / 2 - half * 1.55 / 3.1, abs=0.1)
        assert float(found[2]) == pytest.approx(WIDTH / 2 - half * 0.1 / 3.1, abs=0.1)

    def test_draws_nothing_where_there_is_nothing(self) -> None:
        nothing = Comparison("x", Group("a", ()), Group("b", (1.0,)), "independent")
        assert interval_svg(nothing, 0.0) == ""
        single = Comparison("x", Group("a", (1.0,)), Group("b", (1.0,)), "independent")
        assert "nan" not in interval_svg(single, reaches(ComparisonTable("", (single,)))["x"])

    def test_a_claim_has_its_interval_within_the_picture(self) -> None:
        text = deviation_svg(Claim("", 1.0, (1.0, 1.5), 0.1))
        found = re.search(r'class="interval" d="M([0-9.]+) 9.0H([0-9.]+)"', text)
        assert found
        assert (float(found[1]), float(found[2])) == (5.0, WIDTH - 5)


class TestTerminal:
    def printed(self, report: Report, width: int = 110) -> str:
        console = Console(file=io.StringIO(), width=width, force_terminal=False)
        print_report(report, console)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert max(map(len, text.splitlines())) <= width
        return text

    def test_shows_tables_verdicts_and_the_names_of_pictures(self) -> None:
        lines = [" ".join(line.split()) for line in self.printed(REPORT).splitlines()]
        for expected in (
            "data: MNIST; trials: 12",
            "what published ours difference tolerance verdict",
            "best accuracy 98.12\u202f% 98.10 ± 0.10\u202f% (n=3) −0.02 0.10 reproduced",
            "edges 1,266,200 – – 0.5 not run",
            "Picture: Figure 3 – Mean of five.",
            "Picture: Figure 3 again",
            "0 235,200 0.500",
            "Of 6 claims, 2 are reproduced, 2 differ, 1 was not run and 1 has no published number.",
        ):
            assert " ".join(expected.split()) in lines  # which makes plain spaces of all others

    def test_names_charts_and_shows_comparisons(self) -> None:
        lines = [" ".join(line.split()) for line in self.printed(CHARTS, width=140).splitlines()]
        for expected in (
            "Picture: Error – Seed by seed.",
            "dense → sparse 97.50 ± 0.50 (n=3) 96.67 ± 0.76 (n=3) −0.83 −1.55 to −0.10 0.250 −1.20 "
            "no difference was shown",
            "By seed.",
            "sparse: left out: 2 diverged.",
        ):
            assert expected in lines

    def test_hostile_text_neither_colours_nor_moves(self) -> None:
        text = self.printed(WORST, width=400)
        assert "\x1b" not in text
        assert "[red]{{ 7*7 }}[/red]" in text

    @pytest.mark.parametrize("width", [40, 80])
    def test_fits_narrow_terminals(self, width: int) -> None:
        self.printed(REPORT, width)


class TestJson:
    def test_holds_every_claim_and_is_strict(self) -> None:
        found = json.loads(claims_as_json(REPORT), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
        assert found["facts"] == {"data": "MNIST", "trials": "12"}
        assert [claim["verdict"] for claim in found["claims"]] == [
            "reproduced", "differs", "not run", "no published number", "reproduced", "differs",
        ]  # fmt: skip
        first = found["claims"][0]
        assert first["section"] == "Rebuild"
        assert first["table"] == "Table 1"
        assert (first["published"], first["ours"], first["tolerance"]) == (98.12, [98.0, 98.1, 98.2], 0.1)
        assert (first["kind"], first["unit"], first["spread"]) == ("equal", "%", pytest.approx(0.1))
        assert found["claims"][5]["ours"] == [None]
        assert first["interval"] == [pytest.approx(97.85, abs=0.01), pytest.approx(98.35, abs=0.01)]
        assert found["claims"][1]["interval"] is None

    def test_holds_the_numbers_of_charts_and_comparisons(self) -> None:
        found = json.loads(claims_as_json(CHARTS), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
        [chart], [pair] = found["charts"], found["comparisons"]
        assert (chart["section"], chart["title"], chart["kind"]) == ("One", "Error", "lines")
        assert chart["series"] == [
            {"name": "dense", "panel": "", "runs": 2, "x": [1, 2], "mean": [8, 4.5], "low": [7, 4], "high": [9, 5]},
            {"name": "random", "panel": "", "runs": 1, "x": [1, 2], "mean": [8, None]},
        ]
        assert (pair["table"], pair["design"], pair["p"], pair["interval"]) == ("Groups", "paired", 0.25, [-1.55, -0.1])
        assert pair["b"]["left_out"] == {"diverged": 2}
        assert pair["a"]["count"] == 3
        assert pair["verdict"] == "no difference was shown"


def test_numbers_in_words() -> None:
    assert shown(-0.0001, 2) == "0.00", "no minus zero"
    assert shown(math.inf, 2) == "∞"
    assert sentence({}) == ""
    assert sentence({"not run": 1}) == "Of 1 claim, 1 was not run."


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ((97.581, 97.579), (97.6,), ("97.5800 ± 0.0014 (n=2)", "97.6000 (n=1)", "+0.0200")),
        ((1e-9, 2e-9), (3e-9, 5e-9), ("1.50e−09 ± 7.07e−10 (n=2)", "4.00e−09 ± 1.41e−09 (n=2)", "+2.50e−09")),
        ((120_000.0, 130_000.0), (90_000.0,), ("125,000 ± 7,071 (n=2)", "90,000 (n=1)", "−35,000")),
        ((), (1.0,), ("–", "1.000 (n=1)", "–")),
        ((0.0,), (0.0,), ("0.000 (n=1)", "0.000 (n=1)", "0.000")),
    ],
)
def test_a_comparison_has_the_decimals_that_its_spread_deserves(
    a: tuple[float, ...], b: tuple[float, ...], words: tuple[str, str, str]
) -> None:
    assert compared(Comparison("x", Group("a", a), Group("b", b), "independent"))[1:4] == words


def test_cells_of_a_grid() -> None:
    grid = Grid("", ("a", "b", "c"), ((True, 1, 98.0512), (None, 12345, 97.7), ("x", -3, math.nan)))
    assert cells(grid) == [["True", "1", "98.05"], ["", "12,345", "97.70"], ["x", "−3", "not a number"]]
    assert cells(Grid("", ("a",), ())) == []
    assert cells(Grid("", ("a",), ((1.3e-7,), (0.0,), (None,), (-2e-8,)))) == [["1.3e−07"], ["0"], [""], ["−2.0e−08"]]

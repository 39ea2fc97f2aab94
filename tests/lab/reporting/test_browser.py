"""The report in a headless Chromium: charts are drawn, nothing is fetched or logged, and no name does anything."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from sparsewire.lab.report import write_html
from sparsewire.lab.reporting.charts import Chart, Series, distributions, heat_rows
from sparsewire.lab.reporting.comparison import Comparison, ComparisonTable, Group
from sparsewire.lab.reporting.findings import Claim, ClaimTable, Grid, Note, Report, Section

pytest.importorskip("plotly")

BODIES = (
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>", "<b>bold</b><br><sub>2</sub>", "<svg/onload=alert(1)>", "<!-- ", "]]>",
    "&lt;script&gt;", "${alert(1)}", "%{x}", "$\\alpha$", "{{ 7*7 }}", "'\"`", "\u202egnp.exe", "\x1b[31mred", "a\x00b",
    "../../etc/passwd", "\u2028\u2029", "sw:ink", "javascript:alert(1)", "https://example.org/x.png", "\ud800",
    "x" * 10**4, "مرحبا",
)  # fmt: skip
HOSTILE = [head + body for head, body in itertools.product(("", "'>", '">', "<", "\n", "--><", "\\", "]]><"), BODIES)]
RUNS = Series("runs", (1, 2, 3), (3.0, 2.0, 1.0), (2.0, 1.5, 0.5), (4.0, 2.5, 1.5), 3)


def charts(name: str) -> tuple[Chart, ...]:
    other = Series("other", (1, 2, 3), (1.0, 2.0, 3.0))
    named = Series(name, (1, 2, 3), (2.0, 3.0, 4.0))
    return (
        Chart(name, name, name, name, (RUNS, named, other), log_x=True),
        Chart(name, "", "w", "share", distributions({name: {name: ([0, 1], [0, 1])}, "in": {"b": ([0, 1], [0, 1])}}),
              kind="steps"),
        Chart(name, "", "x", "y", (Series(name, (1, 2), (1, 2), moments=(1, 2)), other), kind="points",
              value_label=name),
        Chart(name, "", "x", "y", heat_rows([name, "b"], [[1, 2], [3, 4]]), kind="heat", x_ticks=(name, "c")),
    )  # fmt: skip


def shown(browser: Any, report: Report, path: Path, *, dark: bool = False) -> None:
    """Opens the report's page from its file and waits until all its charts are drawn."""
    for kept in (browser.logged, browser.requests, browser.dialogs):
        kept.clear()
    write_html(report, path)
    browser.show(path.as_uri(), height=40_000, dark=dark)
    browser.wait("[...document.querySelectorAll('figure.chart')].every((one) => one.querySelector('.main-svg'))")


def test_charts_are_drawn_follow_the_reader_and_stand_still_on_paper(browser: Any, tmp_path: Path) -> None:
    shown(browser, Report("Curves", "", (), (Section("One", "", "", charts("named")),)), tmp_path / "report.html")
    line = "getComputedStyle(document.querySelector('.scatterlayer .js-line:last-of-type')).stroke"
    assert browser.value("document.querySelectorAll('.plot').length") == 5
    assert browser.value("document.documentElement.scrollWidth") == 1280
    light = browser.value(line)
    assert light == "rgb(27, 79, 156)"
    browser.paper(dark=True)
    browser.wait(f"{line} === 'rgb(91, 151, 234)'")

    count = "document.querySelectorAll('figure.chart:first-of-type .scatterlayer .js-line').length"
    before = browser.value(count)
    browser.value("document.querySelector('.names button').click()")
    browser.wait(f"{count} < {before}")
    assert browser.value("document.querySelector('.names button').getAttribute('aria-pressed')") == "false"

    seen = "[...document.querySelectorAll('.still, .live')].map((one) => getComputedStyle(one).display === 'none')"
    assert browser.value(seen) == [True, False] * 4
    browser.do("Emulation.setEmulatedMedia", media="print")
    assert browser.value(seen) == [False, True] * 4
    browser.do("Emulation.setEmulatedMedia", media="")
    browser.size(400, 2000)
    browser.wait("document.querySelector('.main-svg').getBoundingClientRect().right <= 400")
    assert browser.value("document.documentElement.scrollWidth") == 400
    assert (browser.logged, browser.requests) == ([], [(tmp_path / "report.html").as_uri()])


@pytest.mark.parametrize("hindrance", ["no scripts", "old browser"])
def test_where_nothing_can_be_drawn_the_pictures_stay(hindrance: str, browser: Any, tmp_path: Path) -> None:
    write_html(Report("Curves", "", (), (Section("One", "", "", charts("named")[:1]),)), tmp_path / "report.html")
    added = None
    if hindrance == "no scripts":
        browser.do("Emulation.setScriptExecutionDisabled", value=True)
    else:
        gone = "delete window.DecompressionStream"
        added = browser.do("Page.addScriptToEvaluateOnNewDocument", source=gone)["identifier"]
    try:
        browser.show((tmp_path / "report.html").as_uri())
        seen = "[...document.querySelectorAll('.still svg')].map((one) => one.getBoundingClientRect().width > 300)"
        assert browser.value(seen) == [True]
    finally:
        browser.do("Emulation.setScriptExecutionDisabled", value=False)
        if added is not None:
            browser.do("Page.removeScriptToEvaluateOnNewDocument", identifier=added)


def test_no_name_does_anything(browser: Any, tmp_path: Path) -> None:
    assert len(HOSTILE) == 200
    rows = tuple((name, name) for name in HOSTILE)
    tables = (
        ClaimTable("claims", tuple(Claim(name, 1.0, (1.0, 2.0)) for name in HOSTILE)),
        ComparisonTable(
            "pairs", tuple(Comparison(name, Group(name, (1.0,)), Group(name, (2.0,)), "paired") for name in HOSTILE)
        ),
        Grid("grid", ("a", "b"), rows),
        *(Note(name) for name in HOSTILE),
    )
    everyone = tuple(Series(name, (1, 2), (1, 2)) for name in HOSTILE)
    drawn = (
        Chart("all", "", "x", "y", everyone),
        Chart("all rows", "", "x", "y", heat_rows(HOSTILE[::4], [[1.0]] * 50), kind="heat", x_ticks=("x" * 10**6,)),
        *(chart for name in HOSTILE[:2] for chart in charts(name)),
    )
    worst = Report(HOSTILE[1], HOSTILE[2], tuple(rows), (Section(HOSTILE[0], "", "", (*drawn, *tables)),))
    shown(browser, worst, tmp_path / "worst.html")
    last = "plot.data.findLastIndex((one) => one.type === 'scatter')"
    hover = f"{last} >= 0 && Plotly.Fx.hover(plot, [{{curveNumber: {last}, pointNumber: 0}}])"
    browser.value(f"document.querySelectorAll('.plot').forEach((plot) => {hover})")
    assert browser.value("document.querySelectorAll('img, iframe, object, embed, form').length") == 0
    assert browser.value("document.querySelectorAll('.live a, .live [onerror], .live [onload]').length") == 0
    assert browser.value("[...document.querySelectorAll('a')].every((one) => one.hash)")
    assert browser.value("[...document.scripts].filter((one) => !one.type).length") == 2
    assert (browser.dialogs, browser.logged) == ([], [])
    assert browser.requests == [(tmp_path / "worst.html").as_uri()]


def test_plotly_shows_markup_as_text(browser: Any, tmp_path: Path) -> None:
    name = "<b>x</b>&lt;<a href='#'>y</a> $z$ %{x}"
    report = Report("", "", (), (Section("", "", "", (charts(name)[0], charts(name)[3])),))
    shown(browser, report, tmp_path / "report.html")
    browser.value("Plotly.Fx.hover(document.querySelector('.plot'), [{curveNumber: 3, pointNumber: 1}])")
    browser.wait("document.querySelector('.hoverlayer text') !== null")
    assert name in browser.value("document.querySelector('.hoverlayer').textContent")
    assert name in browser.value("document.querySelector('.names').textContent")
    assert name in browser.value("[...document.querySelectorAll('.ytick text')].map((one) => one.textContent).join()")

"""Every experiment runs at smoke scale, gives the same bits twice, and its findings can be shown."""

import pytest

from sparsewire.experiments import find, report_of
from sparsewire.lab.report import render_html
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import ClaimTable, Picture
from sparsewire.lab.runner import run
from sparsewire.lab.store import Store

EXPERIMENTS = find()


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_smoke(experiment, tmp_path) -> None:
    with Store.open(tmp_path / "first", write=True) as store:
        run(experiment, "smoke", store)
        first = store.outcomes(experiment.name, {experiment.name: experiment.spec})
        report = report_of(experiment.name, store)
    planned = len(experiment.specs("smoke")) * experiment.seeds["smoke"]
    assert [outcome.state for outcome in first] == ["done"] * (len(first) if experiment.follow else planned)
    assert len(first) >= planned

    with Store.open(tmp_path / "second", write=True) as store:
        run(experiment, "smoke", store)
        second = store.outcomes(experiment.name, {experiment.name: experiment.spec})
    for one, other in zip(first, second, strict=True):
        assert _without_timings(one.metrics) == _without_timings(other.metrics)
        assert repr(one.series) == repr(other.series)

    [section] = report.sections
    assert section.title == experiment.title
    charts = [block for block in section.blocks if isinstance(block, Chart)]
    pictures = [block for block in section.blocks if isinstance(block, Picture)]
    assert charts + pictures
    assert all(picture.svg.lstrip().startswith("<svg") for picture in pictures)
    for table in (block for block in section.blocks if isinstance(block, ClaimTable)):
        assert all(claim.verdict != "not run" for claim in table.claims), table.title
    page = render_html(report, interactive=False).replace("http://www.w3.org/", "")
    assert "://" not in page
    assert "<script" not in page
    assert page.count('role="img"') == len(charts) + len(pictures), "a chart has its picture"


def _without_timings(metrics) -> dict[str, str]:
    """As texts, which tell every bit, and in which NaN equals NaN."""
    return {name: repr(value) for name, value in metrics.items() if "seconds" not in name}


def test_a_report_of_nothing_says_what_to_run(tmp_path) -> None:
    with Store.open(tmp_path, write=True) as store:
        report = report_of("demo", store)
    assert "sparsewire run demo" in str(report.sections)

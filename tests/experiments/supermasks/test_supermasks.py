"""Sizes as counted by hand, what a trial records, and what the findings claim of made-up outcomes."""

import math

import pytest

from sparsewire.experiments.supermasks import lenet, wide
from sparsewire.experiments.supermasks.setup import network, run
from sparsewire.experiments.supermasks.sizes import percent_of, units_at
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import ClaimTable


def outcomes(spec, accuracy, loss, spread=(-0.5, 0.0, 0.5)) -> list[Outcome]:
    """Three seeds; accuracy and loss are functions of way and size in percent."""
    found = []
    for seed, more in enumerate(spread):
        series = {}
        places = range(spec.iterations + 1)
        sizes = [percent_of(units_at(place, spec.hidden, spec.removed), spec.hidden) for place in places]
        for way in spec.ways:
            series[f"{way} size"] = list(enumerate(sizes))
            series[f"{way} accuracy"] = [(place, accuracy(way, size) + more) for place, size in enumerate(sizes)]
            series[f"{way} loss"] = [(place, loss(way, size) + more / 1000) for place, size in enumerate(sizes)]
        found.append(Outcome(spec, seed, "done", None, 1.0, {"lfe seconds": 2.0}, series))
    return found


def as_in_the_paper(way, size) -> float:
    if way in ("random", "magnitude"):
        return 10.0
    peak, where = (40.0, 35.0) if way == "lfe" else (29.0, 20.0)
    return max(peak - abs(size - where) * (0.45 if size > where else 0.85), 10.0)


def losses(way, size) -> float:
    if way in ("random", "magnitude"):
        return math.log(10) + size / 300
    return 2.0 + abs(size - 40) / 100


def verdicts(section) -> dict[str, str]:
    return {claim.label: claim.verdict for _, claim in section.claims()}


def tables(section) -> dict[str, dict[str, str]]:
    found = [block for block in section.blocks if isinstance(block, ClaimTable)]
    return {table.title: {claim.label: claim.verdict for claim in table.claims} for table in found}


def test_the_papers_shape_is_reproduced() -> None:
    section = lenet.findings(outcomes(lenet.LenetSpec(), as_in_the_paper, losses))
    found = tables(section)
    assert set(found["Accuracy"].values()) == {"reproduced"}
    assert len(found["Accuracy"]) == 8
    assert set(found["Loss"].values()) == {"reproduced"}
    assert found["Sizes, printed and counted"] == {
        "108 and 36 units": "differs",
        "nearest to it of what a run comes through: 114 and 38 units": "reproduced",
        "6 and 2 units": "reproduced",  # 1.779 %, which the paper cuts to 1.77
    }
    assert [block.title for block in section.blocks if isinstance(block, Chart)] == [
        "Figure 1: accuracy", "Figure 2: loss",
    ]  # fmt: skip


def test_a_network_that_learns_nothing_differs() -> None:
    found = verdicts(lenet.findings(outcomes(lenet.LenetSpec(), lambda *_: 10.0, lambda *_: 2.5)))
    assert found["LFE, iterative: 114 and 38 units (35.34 %, as printed)"] == "differs"
    assert found["LFE, iterative: 108 and 36 units (33.40 %, the printed units)"] == "differs"
    assert found["LFE, iterative: end − minimum"] == "differs"
    assert found["random: at the end"] == "differs"
    assert found["random: mean over all sizes"] == "reproduced"


def test_one_seed_is_no_verdict() -> None:
    found = verdicts(lenet.findings(outcomes(lenet.LenetSpec(), as_in_the_paper, losses, spread=(0.0,))))
    assert found["whole network"] == "inconclusive"


def test_another_network_has_no_published_numbers() -> None:
    for module, spec in ((lenet, lenet.LenetSpec(hidden=(400, 100))), (wide, wide.WideSpec(removed=(50, 20)))):
        section = module.findings(outcomes(spec, as_in_the_paper, losses))
        assert not list(section.claims())
        assert [block for block in section.blocks if isinstance(block, Chart)]


def test_wide() -> None:
    section = wide.findings(outcomes(wide.WideSpec(), lambda way, size: 62.5 if size < 60 else 10.0, losses))
    found = tables(section)
    assert found["Accuracy"] == {
        "whole network": "reproduced",
        "1750 and 590 units (44.55 %)": "inconclusive",  # 62.5 ± 1.2 against at least 61.91
        "1750 and 590 units (44.55 %): best seed, our own bound": "reproduced",
        "490 and 170 units (8.67 %)": "reproduced",
        "250 and 90 units (4.06 %)": "reproduced",
    }
    assert found["Sizes, printed and counted"]["250 and 90 units"] == "differs"


@pytest.mark.parametrize("module", [lenet, wide])
@pytest.mark.parametrize("scale", ["smoke", "desk", "full"])
def test_every_network_keeps_units(module, scale) -> None:
    for spec in module.specs(scale):
        assert min(units_at(spec.iterations, spec.hidden, spec.removed)) >= 1


def test_the_end_of_the_lenet_run_is_the_papers() -> None:
    assert units_at(49, (300, 100), (6, 2)) == (6, 2)


def test_all_ways_start_from_the_same_network_of_the_seed(tmp_path) -> None:
    [spec] = lenet.specs("smoke")
    trial = Trial(0, tmp_path)
    run(spec, trial)
    found = trial.series
    assert {found[f"{way} accuracy"][0] for way in spec.ways} == {found["lfe accuracy"][0]}
    assert [step for step, _ in found["random size"]] == list(range(spec.iterations + 1))
    assert found["lfe size"] == found["magnitude size"]
    assert found["lfe accuracy"] != found["lfe_one_shot accuracy"]
    weights = network(spec, Trial(0, tmp_path))[0].weight
    assert weights.std().item() == pytest.approx(spec.deviation, rel=0.1)
    assert not network(spec, trial)[0].bias.any()

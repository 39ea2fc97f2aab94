"""What the findings claim of made-up outcomes, with the paper's numbers and with others."""

import pytest

from sparsewire.experiments.hidden_structures import baselines, fixed_size, lenet, one_shot, relative, retraining
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Grid

TOTAL = 79_400
SPREAD = (-0.02, 0.0, 0.02)  # of three seeds
# Method → accuracy at 60, 80, 90 and 95 % removed.
AS_IN_THE_PAPER = {
    "random": (95.0, 90.0, 70.0, 40.0),
    "blind": (97.5, 97.6, 97.4, 96.5),
    "uniform": (97.3, 97.0, 96.0, 93.0),
    "distributed": (97.5, 97.5, 97.3, 96.3),
    "obd": (97.5, 97.6, 97.4, 96.5),
}
LEVELS = (60.0, 80.0, 90.0, 95.0)


def outcomes(spec, kinds, accuracies=None, control=97.7, levels=LEVELS) -> list[Outcome]:
    """Three seeds of descents with these accuracies, in every kind of steps alike."""
    found = []
    for seed, more in enumerate(SPREAD):
        series = {"control": [(epoch, 97.0 if epoch == 0 else control + more) for epoch in range(9)]}
        for method, after in (accuracies or AS_IN_THE_PAPER).items():
            for kind in kinds:
                series |= descent(
                    f"{method} {kind}", levels, [one + more * (2 if method == "obd" else 1) for one in after]
                )
        found.append(Outcome(spec, seed, "done", None, 1.0, {"base": 97.0 + more}, series))
    return found


def descent(name: str, levels, after) -> dict[str, list[tuple[int, float]]]:
    columns = {
        "removed": (0.0, *levels),
        "weights": (TOTAL, *(TOTAL * (1 - level / 100) for level in levels)),
        "before": (97.0, *(one - 5 for one in after)),
        "after": (97.0, *after),
        "validation": (97.0, *after),
        "epochs": range(0, 2 * len(levels) + 1, 2),
        "gain": (0.0, *(5.0 for _ in after)),
    }
    return {f"{name} {what}": list(enumerate(map(float, column))) for what, column in columns.items()}


def verdicts(section) -> dict[str, str]:
    return {claim.label: claim.verdict for _, claim in section.claims()}


CASES = [
    (relative, relative.RelativeSpec(), ("25 %", "40 %", "50 %", "60 %", "70 %")),
    (fixed_size, fixed_size.FixedSizeSpec(), ("1,000", "5,000", "10,000")),
    (lenet, lenet.LenetSpec(), ("25 %", "50 %", "75 %")),
    (
        retraining,
        retraining.RetrainingSpec(),
        tuple(f"{share} %, {how}" for how in ("variable", "fixed") for share in (25, 50, 75)),
    ),
]


@pytest.mark.parametrize(("module", "spec", "kinds"), CASES, ids=lambda case: getattr(case, "__name__", ""))
class TestDescents:
    def test_the_paper_itself_is_reproduced(self, module, spec, kinds) -> None:
        section = module.findings(outcomes(spec, kinds))
        found = verdicts(section)
        extra = {"control − unpruned: what training on alone adds": "no published number"}
        assert {
            label: verdict for label, verdict in found.items() if label not in extra and verdict != "reproduced"
        } == {}
        assert {"blind − OBD", "uniform − random", "unpruned − blind, 60 % removed"} <= set(found)
        charts = [block for block in section.blocks if isinstance(block, Chart)]
        assert "unpruned, as many epochs" in charts[0].names
        assert any(isinstance(block, Grid) for block in section.blocks)

    def test_a_setup_of_our_own_has_no_published_numbers(self, module, spec, kinds) -> None:
        section = module.findings(outcomes(spec.model_copy(update={"epochs": 3}), kinds))
        assert set(verdicts(section).values()) == {"no published number"}

    def test_methods_that_are_all_alike_are_not_ordered(self, module, spec, kinds) -> None:
        same = dict.fromkeys(AS_IN_THE_PAPER, AS_IN_THE_PAPER["blind"])
        found = verdicts(module.findings(outcomes(spec, kinds, same)))
        assert found["blind − OBD"] == "reproduced"
        assert found["obd − uniform" if "obd − uniform" in found else "OBD − uniform"] == "inconclusive"

    def test_a_control_that_is_much_better_is_seen(self, module, spec, kinds) -> None:
        found = verdicts(module.findings(outcomes(spec, kinds, control=98.5)))
        found = {label: verdict for label, verdict in found.items() if label.startswith("control − class-blind")}
        assert set(found.values()) == {"differs"}

    def test_one_method_alone_claims_what_it_can(self, module, spec, kinds) -> None:
        spec = spec.model_copy(update={"methods": ("uniform",)})
        found = verdicts(module.findings(outcomes(spec, kinds, {"uniform": AS_IN_THE_PAPER["uniform"]})))
        assert found == {"unpruned − uniform, 60 % removed": "reproduced"}


def test_eighty_percent_below_the_paper_differs() -> None:
    spec, kinds = CASES[0][1:]
    worse = AS_IN_THE_PAPER | {"blind": (97.0, 97.0, 97.0, 96.0)}
    found = verdicts(relative.findings(outcomes(spec, kinds, worse)))
    assert {
        found[f"class-blind{end}"] for end in (", 80 % removed", ", 80 % removed: our own bound", " − unpruned")
    } == {"differs"}


def test_one_step_has_its_own_descents() -> None:
    spec = one_shot.OneShotSpec()
    found = []
    for seed, more in enumerate(SPREAD):
        series = {"control": [(epoch, 97.7) for epoch in range(9)]}
        for method in spec.methods:
            after = AS_IN_THE_PAPER.get(method, AS_IN_THE_PAPER["blind"])
            for share, place in ((80, 1), (85, 1), (90, 2)):
                series |= descent(f"{method} {share} %", (float(share),), (after[place] + more,))
        metrics = {name: column[-1][1] for name, column in series.items()} | {"base": 97.0 + more}
        found.append(Outcome(spec, seed, "done", None, 1.0, metrics, series))
    section = one_shot.findings(found)
    assert verdicts(section)["class-blind, 80 % removed"] == "reproduced"
    assert [block.title for block in section.blocks if isinstance(block, Chart)] == [
        "One step: after retraining",
        "One step: right after pruning",
    ]
    assert "L-OBS" in section.blocks[-2].names


def test_baselines_are_held_against_the_best_of_each_kind() -> None:
    spec = baselines.BaselinesSpec()
    found = []
    for seed, more in enumerate(SPREAD):
        metrics: dict[str, float] = {}
        for place, name in enumerate(baselines._names(spec)):
            test = 98.2 + more if name == baselines.TUNED else 97.0 + 0.05 * place
            own = {"train accuracy": 99.0, "validation accuracy": test, "test accuracy": test, "epochs": 9.0}
            metrics |= {f"{name} {what}": value for what, value in own.items()}
        found.append(Outcome(spec, seed, "done", None, 1.0, metrics, {}))
    section = baselines.findings(found)
    assert set(verdicts(section).values()) == {"reproduced"}
    best = {claim.label: claim.ours[1] for _, claim in section.claims()}
    assert best["pruned − the best weight decay"] == pytest.approx(98.2 - 97.25)
    assert best["pruned − the best dropout"] == pytest.approx(98.2 - 97.5)


@pytest.mark.parametrize("module", [relative, retraining, fixed_size, one_shot, lenet, baselines])
def test_full_scale_is_as_published_and_smoke_scale_is_not(module) -> None:
    from sparsewire.experiments.comparable import as_published

    assert all(as_published(spec) for spec in module.specs("full"))
    assert not any(as_published(spec) for spec in module.specs("smoke"))

"""What the findings claim of made-up outcomes, and what a trial records."""

import pytest

from sparsewire.experiments.initial_pruning import starts_table, subsets
from sparsewire.experiments.initial_pruning.single_layer_setup import Way
from sparsewire.experiments.initial_pruning.starts_table import PUBLISHED, StartsSpec
from sparsewire.experiments.initial_pruning.subsets import SubsetsSpec
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.lab.reporting.charts import Chart
from sparsewire.lab.reporting.findings import Grid

SPREAD = (-0.1, 0.0, 0.1)


def label(k: int) -> str:
    return Way(0.5, k).label


def as_printed(spec, table=PUBLISHED) -> list[Outcome]:
    found = []
    for seed, more in enumerate(SPREAD):
        series = {
            label(k): [(mark, mean + more * (1 + k / 10)) for mark, (mean, _) in columns.items()]
            for k, columns in table.items()
        }
        metrics = {f"changes of mask, {label(k)}": 5.0 * k for k in table}
        found.append(Outcome(spec, seed, "done", None, 1.0, metrics, series))
    return found


def verdicts(section, title="") -> list[str]:
    return [claim.verdict for table, claim in section.claims() if table.title.startswith(title)]


def trial(spec, module, folder) -> Outcome:
    noted = Trial(3, folder)
    module.run(spec, noted)
    return Outcome(spec, 3, "done", None, 1.0, noted.metrics, noted.series)


class TestTable:
    def test_the_papers_own_numbers_have_the_pattern(self) -> None:
        section = starts_table.findings(as_printed(StartsSpec()))
        cells, pattern = verdicts(section, "Table 1, cell"), verdicts(section, "The pattern")
        assert (len(cells), len(pattern)) == (20, 13)
        assert set(cells) == set(pattern) == {"reproduced"}

    def test_numbers_without_the_pattern_differ(self) -> None:
        flat = {k: dict.fromkeys(columns, (50.0 - (k > 0) * 5, 1.0)) for k, columns in PUBLISHED.items()}
        section = starts_table.findings(as_printed(StartsSpec(), flat))
        found = dict(zip([claim.label for _, claim in section.claims()], verdicts(section), strict=True))
        assert found["100 iterations: K = 10 − dense"] == "differs"
        assert found["10,000 iterations: K = 1 − dense"] == "differs"
        assert found["dense, 10,000 iterations"] == "differs"

    def test_another_setting_has_no_published_numbers(self) -> None:
        section = starts_table.findings(as_printed(StartsSpec(rate=0.1)))
        assert set(verdicts(section)) == {"no published number"}
        assert not verdicts(section, "Table 1, cell")

    def test_each_output_has_its_own_table(self) -> None:
        specs = starts_table.specs("full")
        section = starts_table.findings([one for spec in specs for one in as_printed(spec)])
        titles = [block.title for block in section.blocks if isinstance(block, Grid)]
        assert titles == ["Table 1, softmax outputs", "Table 1, sigmoid outputs"]

    def test_a_trial_is_the_same_whatever_else_it_trains(self, tmp_path) -> None:
        base = {"data": "digits", "iterations": 100}
        one = trial(StartsSpec(**base, starts=(0, 1, 5)), starts_table, tmp_path)
        two = trial(StartsSpec(**base, starts=(5,)), starts_table, tmp_path)
        assert one.series[label(5)] == two.series[label(5)]
        assert [mark for mark, _ in one.series["dense"]] == [10, 32, 100]
        assert one.metrics[f"changes of mask, {label(1)}"] == 1
        assert one.metrics[f"changes of mask, {label(5)}"] > 1

    def test_desk_and_full_are_the_papers_size(self) -> None:
        assert starts_table.specs("desk") == starts_table.specs("full")
        assert {spec.starts for spec in starts_table.specs("full")} == {(0, 1, 10, 50, 100)}
        assert starts_table.EXPERIMENT.seeds["full"] == 10


class TestSubsets:
    def outcomes(self, early=(70.0, 80.0), late=(84.0, 85.0), **fields) -> list[Outcome]:
        spec = SubsetsSpec(sizes=(100, 500), removed=(0.5,), **fields)
        found = []
        for seed, more in enumerate(SPREAD):
            series = {}
            for size in spec.sizes:
                for way, place, noise in ((Way(0, 0), 0, 10), (Way(0.5, 1), 0, 5), (Way(0.5, 10), 1, 1)):
                    values = (early[place] + noise * more, late[place] + noise * more)
                    series[f"{size} images, {way.label}"] = list(zip((2_500, 10_000), values, strict=True))
            found.append(Outcome(spec, seed, "done", None, 1.0, {}, series))
        return found

    def test_sparse_ahead_and_caught_up_is_what_the_paper_says(self) -> None:
        section = subsets.findings(self.outcomes())
        assert verdicts(section) == ["reproduced", "inconclusive", "reproduced"] * 2
        [chart] = [block for block in section.blocks if isinstance(block, Chart)]
        assert [one.name for one in chart.series] == ["dense", "p = 0.5, K = 10"]

    def test_dense_ahead_differs(self) -> None:
        assert verdicts(subsets.findings(self.outcomes((80.0, 70.0), (80.0, 70.0))))[0] == "differs"

    @pytest.mark.parametrize("fields", [{"rate": 0.5}, {"data": "digits"}])
    def test_another_setting_has_no_published_numbers(self, fields) -> None:
        assert set(verdicts(subsets.findings(self.outcomes(**fields)))) == {"no published number"}

    def test_a_trial_sees_no_more_images_than_there_are(self, tmp_path) -> None:
        spec = SubsetsSpec(data="digits", iterations=30, sizes=(20, 5_000), removed=(0.5,), starts=3)
        found = trial(spec, subsets, tmp_path)
        assert {name.split(",")[0] for name in found.series} == {"20 images", "1437 images"}
        assert [mark for mark, _ in found.series["20 images, dense"]] == [30]
        section = subsets.findings([found])
        assert [block.columns for block in section.blocks if isinstance(block, Grid)] == [
            ("network", "20 images", "1,437 images")
        ]

    def test_specs_name_the_sets_at_hand(self) -> None:
        for scale in ("desk", "full"):
            assert {spec.data for spec in subsets.specs(scale)} <= {"mnist", "fashion_mnist"}
            assert subsets.specs(scale)[0].data == "mnist"

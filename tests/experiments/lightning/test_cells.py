"""Table 4 of the lightning paper: the starts, and what is claimed of cells that were run."""

import pytest
import torch

from sparsewire.experiments.comparable import as_published
from sparsewire.experiments.lightning import cifar_rebuild, lenet5, resnet
from sparsewire.experiments.lightning.cells import HE, cell, start_
from sparsewire.experiments.lightning.cifar_setup import scheduled
from sparsewire.experiments.lightning.lenet5 import LeNet5Spec
from sparsewire.experiments.lightning.resnet import ResNetSpec
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.models.zoo import lenet_5
from sparsewire.structure.chain import dense_chain

SEEDS = range(3)
CELLS = ("initialization", "lightnings", "strength")


def name_of(spec) -> str:
    return resnet.of(spec.network, spec.start) if isinstance(spec, ResNetSpec) else spec.start


def outcomes(module, specs, value=None) -> list[Outcome]:
    """Each cell with the paper's accuracy, which rises to it from 50 %; `value` changes it: (cell, seed) → points."""
    found = []
    for spec in specs:
        for seed in SEEDS:
            name = name_of(spec)
            best = module.PUBLISHED[name] + (value(name, seed) if value else 0.0)
            series = {"accuracy": [(1, 50.0), (spec.epochs, best)]}
            found.append(Outcome(spec, seed, "done", None, 1.0, {"best_accuracy": best}, series))
    return found


def verdicts(module, found) -> dict[str, list[str]]:
    tables: dict[str, list[str]] = {}
    for table, claim in module.findings(found).claims():
        tables.setdefault(table.title, []).append(claim.verdict)
    return tables


class TestStart:
    def test_lightnings_are_in_the_dense_tail_alone(self, tmp_path) -> None:
        trial = Trial(3, tmp_path)
        he = start_(lenet_5(), LeNet5Spec(initialization="he"), trial)
        lightning = start_(lenet_5(), LeNet5Spec(lightnings=100, strength=0.5), trial)
        for one, other in zip(he.features.parameters(), lightning.features.parameters(), strict=True):
            assert torch.equal(one, other)
        tail = dense_chain(lightning)
        assert all(set(weight.abs().unique().tolist()) == {0.0, 0.5} for weight in tail.values())
        assert all(0 < int(weight.count_nonzero()) <= 100 for weight in tail.values())
        assert not any(parameter.any() for name, parameter in lightning.named_parameters() if "bias" in name)

    def test_is_the_seeds(self, tmp_path) -> None:
        spec = LeNet5Spec()
        one, same, other = (start_(lenet_5(), spec, Trial(seed, tmp_path)).state_dict() for seed in (0, 0, 1))
        assert all(torch.equal(one[name], same[name]) for name in one)
        assert not torch.equal(one["head.0.weight"], other["head.0.weight"])


class TestScales:
    @pytest.mark.parametrize(
        ("module", "free"),
        [(lenet5, CELLS), (resnet, ("network", *CELLS)), (cifar_rebuild, ("active", "convolutions"))],
    )
    def test_only_full_scale_is_as_published(self, module, free) -> None:
        assert all(as_published(spec, *free) for spec in module.specs("full"))
        assert not any(as_published(spec, *free) for scale in ("smoke", "desk") for spec in module.specs(scale))

    @pytest.mark.parametrize("module", [lenet5, resnet])
    def test_full_scale_has_every_number_of_the_table(self, module) -> None:
        assert {name_of(spec) for spec in module.specs("full")} == set(module.PUBLISHED)

    def test_desk_scale_has_the_cells_that_the_text_speaks_of(self) -> None:
        names = {name_of(spec) for spec in lenet5.specs("desk")}
        assert all({*trend.better, *trend.worse} <= names for trend in lenet5.TRENDS)

    @pytest.mark.parametrize("module", [lenet5, resnet, cifar_rebuild])
    def test_short_trainings_see_several_rates(self, module) -> None:
        epochs = {spec.epochs for spec in module.specs("desk")}
        assert all(len({scheduled(epoch, last) for epoch in range(1, last + 1)}) >= 4 for last in epochs)


class TestFindings:
    @pytest.mark.parametrize("module", [lenet5, resnet])
    def test_the_papers_own_numbers_reproduce_it(self, module) -> None:
        found = verdicts(module, outcomes(module, module.specs("full")))
        assert {verdict for of in found.values() for verdict in of} == {"reproduced"}
        assert [len(of) for of in found.values()] == [len(module.PUBLISHED), len(module.TRENDS) + 1]

    def test_a_shorter_training_has_trends_but_no_published_numbers(self) -> None:
        table, trends = verdicts(lenet5, outcomes(lenet5, lenet5.specs("desk"))).values()
        assert set(table) == {"no published number"}
        assert trends == ["reproduced"] * (len(lenet5.TRENDS) + 1)

    def test_differences_are_taken_within_each_seed(self) -> None:
        """Seeds that lie far apart, all cells alike, leave no doubt about differences; if cells move alone, they do."""
        together = outcomes(lenet5, lenet5.specs("desk"), lambda name, seed: 10.0 * seed)
        apart = outcomes(lenet5, lenet5.specs("desk"), lambda name, seed: 10.0 * seed * (name == HE))
        title = "What the text says of Table 4a: LeNet-5"
        assert set(verdicts(lenet5, together)[title]) == {"reproduced"}
        assert verdicts(lenet5, apart)[title][3:] == ["inconclusive", "inconclusive"]

    def test_the_opposite_differs(self) -> None:
        found = outcomes(lenet5, lenet5.specs("desk"), lambda name, seed: 20.0 * (name == cell(100, 0.25)))
        assert verdicts(lenet5, found)["What the text says of Table 4a: LeNet-5"][0] == "differs"

    def test_setups_are_not_mixed(self) -> None:
        desk, full = outcomes(lenet5, lenet5.specs("desk")), outcomes(lenet5, lenet5.specs("full"))
        titles = list(verdicts(lenet5, desk + full))
        assert titles[0] == "Table 4a: LeNet-5, images 25000, epochs 10"
        assert titles[2] == "Table 4a: LeNet-5, images 50000, epochs 200"
        assert len(set(titles)) == 4

    def test_one_seed_leaves_trends_open(self) -> None:
        found = [outcome for outcome in outcomes(lenet5, lenet5.specs("desk")) if outcome.seed == 0]
        assert set(verdicts(lenet5, found)["What the text says of Table 4a: LeNet-5"]) == {"inconclusive"}

    def test_trends_on_digits_are_not_the_papers(self) -> None:
        small = [LeNet5Spec(data="digits", lightnings=number) for number in (100, 1000)]
        found = verdicts(lenet5, outcomes(lenet5, small))
        assert {verdict for of in found.values() for verdict in of} == {"no published number"}

    def test_a_half_done_sweep_shows_what_it_has(self) -> None:
        found = verdicts(resnet, outcomes(resnet, [ResNetSpec(lightnings=100)]))
        assert list(found.values()) == [["reproduced"]]

"""Tables 5 to 8 of the lightning paper: the published numbers, the children, and what is claimed of them."""

import math

import pytest
import torch

from sparsewire.analysis.paths import sparse_graph
from sparsewire.experiments.lightning import cifar_rebuild
from sparsewire.experiments.lightning.cifar_rebuild import PLACES, PUBLISHED, CifarRebuildSpec
from sparsewire.experiments.lightning.cifar_setup import SMOKE, constant, train
from sparsewire.experiments.lightning.rebuilding import rebuild_
from sparsewire.lab.experiment import Outcome, Trial
from sparsewire.models.initialize import he_normal_
from sparsewire.models.zoo import lenet_5
from sparsewire.structure.chain import dense_chain

SMALL = {**SMOKE, "images": 64, "test_images": 20}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_correlations_are_nearly_the_root_of_what_was_left_unchanged(kind) -> None:
    """As in Table 2, so that here, too, types were correlated; never above it, since some edges changed their sign."""
    for active, changes in PUBLISHED[kind].changes.items():
        for percent, correlation in zip(changes, PUBLISHED[kind].correlations[active], strict=True):
            root = math.sqrt(1 - percent / 100)
            assert root - 0.03 < correlation < root + 0.0006


def test_convolutions_are_the_parents_and_dense_layers_signs_alone() -> None:
    parent = he_normal_(lenet_5(), generator=torch.Generator().manual_seed(0))
    strong = sparse_graph(parent, 0.1)
    child = cifar_rebuild._with_features(parent, frozen=True)
    masks = rebuild_(child, strong, 0.1)
    for one, other in zip(parent.features.parameters(), child.features.parameters(), strict=True):
        assert torch.equal(one, other)
        assert not other.requires_grad
    assert masks.count == 5_892  # a tenth of the 58,920 of all dense layers together
    assert len(set(masks.densities().values())) == 3  # and not of each
    for name, weight in dense_chain(child).items():
        assert torch.equal(weight, torch.where(masks[name], 0.1 * dense_chain(parent)[name].sign(), 0.0))
    assert not any(parameter.any() for name, parameter in child.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize("frozen", [True, False])
def test_only_trained_convolutions_move_and_no_masked_weight_comes_back(frozen, tmp_path) -> None:
    parent = he_normal_(lenet_5(), generator=torch.Generator().manual_seed(0))
    child = cifar_rebuild._with_features(parent, frozen)
    masks = rebuild_(child, sparse_graph(parent, 0.3), 0.1)
    train(child, CifarRebuildSpec(**SMALL), Trial(0, tmp_path), rate=constant, masks=masks)
    pairs = list(zip(parent.features.parameters(), child.features.parameters(), strict=True))
    assert all(torch.equal(one, other) is frozen for one, other in pairs)
    assert not any(weight[~masks[name]].any() for name, weight in dense_chain(child).items())
    assert any(not torch.equal(weight.abs(), 0.1 * masks[name]) for name, weight in dense_chain(child).items())


def as_in_the_paper(spec: CifarRebuildSpec) -> list[Outcome]:
    """Three seeds of which the first has the published numbers, and the others lie a little beside them."""
    found = []
    for seed in range(3):
        metrics, series = {"parent best_accuracy": 75.44}, {"parent accuracy": [(1, 75.44)]}
        for kind, published in PUBLISHED.items():
            for active, accuracy in published.accuracies.items():
                name = f"{kind} {active:.0%}"
                metrics[f"{name} best_accuracy"] = accuracy + 0.1 * seed
                series[f"{name} accuracy"] = [(1, accuracy)]
                rows = (published.changes[active], published.correlations[active])
                for place, change, correlation in zip(PLACES, *rows, strict=True):
                    metrics[f"{name} changes {place}"] = (change + 0.1 * seed) / 100
                    metrics[f"{name} correlation {place}"] = correlation
                    metrics[f"{name} sign changes {place}"] = metrics[f"{name} weight correlation {place}"] = 0.0
        found.append(Outcome(spec, seed, "done", None, 1.0, metrics, series))
    return found


def test_the_papers_own_numbers_reproduce_it() -> None:
    claims = [claim for _, claim in cifar_rebuild.findings(as_in_the_paper(CifarRebuildSpec())).claims()]
    assert {claim.verdict for claim in claims} == {"reproduced"}
    assert len(claims) == 2 * (6 + 20 + 20) + 4


def test_a_shorter_training_has_trends_but_no_published_numbers() -> None:
    section = cifar_rebuild.findings(as_in_the_paper(CifarRebuildSpec(epochs=10)))
    verdicts = {table.title: claim.verdict for table, claim in section.claims()}
    assert verdicts.pop(cifar_rebuild.TRENDS_TITLE) == "reproduced"
    assert set(verdicts.values()) == {"no published number"}


def test_specs_with_other_children_stand_side_by_side() -> None:
    some = CifarRebuildSpec(active=(0.3,), convolutions=("frozen",))
    section = cifar_rebuild.findings(as_in_the_paper(CifarRebuildSpec()) + as_in_the_paper(some))
    titles = [getattr(block, "title", "") for block in section.blocks]
    assert len(set(titles)) == len(titles) == 11 + 5


def test_trials_of_one_child_alone_run_and_show(tmp_path) -> None:
    spec = CifarRebuildSpec(**SMALL, active=(0.3,), convolutions=("trained",))
    trial = Trial(0, tmp_path)
    cifar_rebuild.run(spec, trial)
    outcome = Outcome(spec, 0, "done", None, 1.0, trial.metrics, trial.series)
    claims = [claim for _, claim in cifar_rebuild.findings([outcome]).claims()]
    assert {claim.verdict for claim in claims} == {"no published number"}
    assert all(len(claim.ours) == 1 for claim in claims)

"""Who runs sparse, with times that are made up."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.execution import planning
from sparsewire.execution.machine import machine
from sparsewire.execution.measuring import Timing
from sparsewire.execution.plan_cache import VARIABLE, cache_file
from sparsewire.execution.planning import plan, plan_by, verdict, with_cache
from sparsewire.execution.plans import Plan
from sparsewire.execution.runs import RunSubject
from sparsewire.execution.subjects import Subject
from sparsewire.structure.masks import Masks


class Made:
    """Times that follow from the density and the batch; keeps what it was asked."""

    def __init__(self, ratio: float = 3.0) -> None:
        self.asked: list[tuple[Subject | RunSubject, tuple[int, ...], bool]] = []
        self.ratio = ratio

    def __call__(self, subject: Subject | RunSubject, batches: Sequence[int], training: bool) -> list[Timing]:
        self.asked.append((subject, tuple(batches), training))
        return [Timing(batch, self.ratio * batch * 1e-3, batch * 1e-3, self.ratio) for batch in batches]


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 30))


def masks() -> Masks:
    """A tenth of each weight."""
    whole = Masks.from_model(model())
    return Masks({name: (torch.arange(mask.numel()) % 10 == 0).view(mask.shape) for name, mask in whole.items()})


@pytest.mark.parametrize(
    ("ratios", "choice", "why"),
    [
        ([2.46], "sparse", "2.4× faster"),
        ([1.1], "sparse", "1.10× faster"),
        ([1.0999], "dense", "too little to gain: 1.09×"),
        ([1.0], "dense", "too little to gain: 1.00×"),
        ([0.999], "dense", "dense is faster: 0.9×"),
        ([0.049], "dense", "dense is faster: 0.04×"),
        ([5.0, 2.0], "sparse", "at least 2.0× faster"),
        ([0.8, 7.0], "dense", "dense is faster: 0.8× at batch 1"),
        ([9.0, 1.05], "dense", "too little to gain: 1.05× at batch 2"),
    ],
)
def test_the_slowest_comparison_decides(ratios: list[float], choice: str, why: str) -> None:
    assert verdict([Timing(batch, 1.0, 1.0, ratio) for batch, ratio in enumerate(ratios, 1)]) == (choice, why)


@pytest.mark.parametrize(
    ("ratios", "choice", "why"),
    [
        ({1: 1.05, 32: 1.1}, "sparse", "at least 1.10× faster from batch 32 on"),
        ({7: 1.05, 8: 1.1}, "sparse", "at least 1.10× faster from batch 8 on"),
        ({1: 1.04, 32: 5.0}, "dense", "too little to gain: 1.04× at batch 1"),
        ({1: 0.999, 32: 5.0}, "dense", "dense is faster: 0.9× at batch 1"),
        ({1: 0.9, 32: 0.8}, "dense", "dense is faster: 0.8× at batch 32"),
        ({1: 5.0, 32: 1.09}, "dense", "too little to gain: 1.09× at batch 32"),
        ({1: 1.05, 2: 1.2}, "dense", "too little to gain: 1.05× at batch 1"),
    ],
)
def test_training_steps_of_few_samples_must_only_not_lose(ratios: dict[int, float], choice: str, why: str) -> None:
    timings = [Timing(batch, 1.0, 1.0, ratio) for batch, ratio in ratios.items()]
    assert verdict(timings, training=True) == (choice, why)


@pytest.mark.parametrize(
    ("batch", "training", "asked"),
    [
        (None, True, (1, 32, 256)),
        (None, False, (1, 32, 256)),
        (7, True, (7,)),
        ([8, 4, 8], False, (8, 4)),
        ((1,), True, (1,)),
    ],
)
def test_the_batch_sizes_that_are_measured(
    batch: int | list[int] | None, training: bool, asked: tuple[int, ...]
) -> None:
    measure = Made()
    found = plan_by(measure, model(), masks(), batch, training)
    assert {(batches, trained) for _, batches, trained in measure.asked} == {(asked, training)}
    assert all([timing.batch for timing in row.timings] == list(asked) for row in found.rows)
    assert found.training == training


@pytest.mark.parametrize("batch", [0, -1, [], [32, 0], 2.5, True, "32"])
def test_batch_sizes_that_cannot_be(batch: object) -> None:
    with pytest.raises(RequestError, match="batch: found"):
        plan_by(Made(), model(), masks(), batch)  # type: ignore[arg-type]


def test_masks_that_do_not_fit_are_refused_before_anything_is_measured() -> None:
    measure = Made()
    with pytest.raises(RequestError, match=r"mask of '0\.weight': found shape"):
        plan_by(measure, model(), {"0.weight": torch.ones(2, 2).bool()})
    with pytest.raises(UnknownNameError):
        plan_by(measure, model(), {"9.weight": torch.ones(2, 2).bool()})
    assert not measure.asked


def test_every_masked_weight_gets_a_row_and_the_model_stays_as_it_is() -> None:
    network = model()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = plan_by(Made(), network, masks())
    assert [row.name for row in found.rows] == ["0.weight", "2.weight", "4.weight"]
    assert all(found.runs_sparse(row.name) for row in found.rows)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_margin_is_kept() -> None:
    assert not plan_by(Made(1.09), model(), masks()).runs_sparse("0.weight")
    assert plan_by(Made(1.11), model(), masks()).runs_sparse("0.weight")


class Judged:
    """Ratios of the layers 40→30 and 30→30 by themselves, and of their run wholly and partly sparse."""

    def __init__(self, first: float, others: float, wholly: float, partly: float) -> None:
        self.layers, self.runs, self.asked = {40: first, 30: others}, {True: wholly, False: partly}, 0

    def __call__(self, subject: Subject | RunSubject, batches: Sequence[int], training: bool) -> list[Timing]:
        if isinstance(subject, Subject):
            return [Timing(batch, 1.0, 1.0, self.layers[subject.sizes[1]]) for batch in batches]
        self.asked += 1
        return [Timing(batch, 1.0, 1.0, self.runs[all(subject.sparse)]) for batch in batches]


@pytest.mark.parametrize(
    ("ratios", "sparse", "measured"),
    [
        ((2.0, 2.0, 0.1, 0.1), (True, True, True), 0),  # each pays by itself: together they cost even less
        ((2.0, 0.5, 1.5, 1.2), (True, True, True), 2),
        ((2.0, 0.5, 1.2, 1.5), (True, False, False), 2),
        ((2.0, 0.5, 1.0, 0.9), (False, False, False), 2),
        ((2.0, 0.5, 1.09, 1.11), (True, False, False), 2),
        ((0.9, 0.5, 1.5, 9.0), (True, True, True), 1),
        ((0.9, 0.5, 1.0, 9.0), (False, False, False), 1),
    ],
)
def test_layers_in_one_call_are_judged_together(
    ratios: tuple[float, float, float, float], sparse: tuple[bool, ...], measured: int
) -> None:
    measure = Judged(*ratios)
    found = plan_by(measure, model(), masks(), batch=8)
    assert tuple(found.runs_sparse(row.name) for row in found.rows) == sparse
    assert measure.asked == measured
    alone = ratios[0] > 1.1, ratios[1] > 1.1, ratios[1] > 1.1
    for row, before, after in zip(found.rows, alone, sparse, strict=True):
        assert row.why.startswith("with the layers beside it: ") == (before != after)


def test_what_only_a_stalled_machine_measures_is_neither_believed_nor_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    stalled, calm, here = Made(41.0), Made(39.0), {"processor": "abacus"}
    row = plan_by(with_cache(stalled, here), model(), masks(), batch=8).rows[0]
    assert (row.choice, row.why) == ("dense", "the machine was too busy to measure it; ask again")
    assert plan_by(with_cache(calm, here), model(), masks(), batch=8).rows[0].choice == "sparse"
    assert calm.asked


def test_the_cache_is_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    first, here = Made(), {"processor": "abacus"}
    measured = plan_by(with_cache(first, here), model(), masks(), batch=[8, 16])
    assert len(first.asked) == 2  # the two layers of one shape and nearly one density are one
    again, slower = Made(0.5), Made(0.5)
    assert plan_by(with_cache(again, here), model(), masks(), batch=[8, 16]) == measured
    assert not again.asked
    plan_by(with_cache(slower, here), model(), masks(), batch=[8, 16, 24])
    assert {batches for subject, batches, _ in slower.asked if isinstance(subject, Subject)} == {(24,)}
    for change in ({"training": False}, {"batch": 64}):
        other = Made()
        plan_by(with_cache(other, here), model(), masks(), **{"batch": 8, **change})
        assert other.asked
    elsewhere = Made()
    plan_by(with_cache(elsewhere, {"processor": "another"}), model(), masks(), batch=8)
    assert elsewhere.asked


def test_masks_of_nearly_the_same_density_share_a_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    measure = Made()
    ask = with_cache(measure, {"processor": "abacus"})
    for kept in (100, 101, 120):
        mask = (torch.arange(1000) < kept).view(20, 50)
        plan_by(ask, nn.Linear(50, 20), {"weight": mask}, batch=8)
    assert len(measure.asked) == 2


def test_plan_measures_here_and_now_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    measure = Made()
    monkeypatch.setattr(planning, "measured", measure)
    found = plan(model(), masks(), batch=8)
    assert cache_file(machine()).exists()
    assert plan(model(), masks(), batch=8) == found
    assert len(measure.asked) == 2
    assert str(machine()["torch"]) in found.machine
    assert Plan.from_json(found.to_json()) == found

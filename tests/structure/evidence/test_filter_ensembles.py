"""Least squares over masks, how masks are drawn, and what the scores say."""

import pytest
import torch
from torch import nn

from sparsewire.errors import RequestError, UnknownNameError
from sparsewire.models.zoo import mlp
from sparsewire.structure.evidence.filter_ensembles import linear_filter_ensembles
from sparsewire.structure.evidence.minimum_norm import minimum_norm
from sparsewire.structure.evidence.unit_masks import unit_masks


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def solved(masks, scores, centred):
    """By singular values, in float64."""
    wide, scores = masks.double(), scores.double()
    if centred:
        wide, scores = wide - wide.mean(0), scores - scores.mean()
    return torch.linalg.pinv(wide, rtol=1e-8) @ scores


class TestMinimumNorm:
    @pytest.mark.parametrize("centred", [True, False])
    @pytest.mark.parametrize("draw", ["count", "pairs", "bernoulli"])
    @pytest.mark.parametrize(("units", "ensembles"), [(8, 60), (9, 60), (20, 12), (12, 12), (20, 30), (2, 3000)])
    def test_is_the_shortest_solution(self, units, ensembles, draw, centred) -> None:
        masks = unit_masks(units, ensembles, generator=seeded(), draw=draw)
        scores = torch.randn(ensembles, generator=seeded(1))
        found = minimum_norm(masks, scores, centred=centred)
        torch.testing.assert_close(found, solved(masks, scores, centred), rtol=1e-6, atol=1e-7)

    def test_with_fixed_counts_centring_changes_no_order(self) -> None:
        masks, scores = unit_masks(30, 200, generator=seeded()), torch.randn(200, generator=seeded(1)) - 5
        centred, plain = (minimum_norm(masks, scores, centred=one) for one in (True, False))
        torch.testing.assert_close(centred, plain - plain.mean())

    def test_with_other_counts_it_does(self) -> None:
        """Scores far from 0 that depend on one unit alone: without an intercept the others have to carry the mean."""
        masks = unit_masks(30, 200, generator=seeded(), draw="bernoulli")
        scores = masks[:, 3].float() - 50
        centred, plain = (minimum_norm(masks, scores, centred=one) for one in (True, False))
        torch.testing.assert_close(centred, torch.eye(30)[3].double(), atol=1e-9, rtol=0)
        assert float(plain.std()) > 1

    def test_a_unit_that_never_changes_is_worth_nothing(self) -> None:
        masks = unit_masks(6, 50, generator=seeded(), draw="bernoulli")
        masks[:, 2] = True
        found = minimum_norm(masks, torch.randn(50, generator=seeded(1)))
        assert float(found[2]) == pytest.approx(0, abs=1e-9)


class TestMasks:
    @pytest.mark.parametrize(
        ("units", "share", "on"), [(10, 0.5, 5), (9, 0.5, 4), (10, 0.9, 9), (2, 0.99, 1), (3, 0.01, 1)]
    )
    def test_counts(self, units, share, on) -> None:
        assert unit_masks(units, 20, generator=seeded(), share=share).sum(1).tolist() == [on] * 20

    def test_pairs_are_complements(self) -> None:
        masks = unit_masks(7, 9, generator=seeded(), draw="pairs")
        assert masks.shape == (9, 7)
        assert (masks[0:8:2] ^ masks[1:8:2]).all()

    def test_every_unit_is_on_equally_often(self) -> None:
        for draw, share in (("count", 0.3), ("bernoulli", 0.3), ("pairs", 0.5)):
            means = unit_masks(10, 4000, generator=seeded(), share=share, draw=draw).double().mean(0)
            assert float((means - share).abs().max()) < 0.04

    def test_the_generator_decides(self) -> None:
        first, again, other = (unit_masks(8, 9, generator=seeded(seed)) for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"units": 1}, "units: found 1"), ({"units": 2.5}, "units: found 2.5"),
            ({"ensembles": 0}, "ensembles: found 0"), ({"ensembles": True}, "ensembles: found True"),
            ({"share": 0}, "share: found 0"), ({"share": 1.0}, "share: found"), ({"share": "half"}, "found 'half'"),
            ({"share": float("nan")}, "share: found nan"), ({"share": True}, "share: found True"),
            ({"generator": 3}, "generator: found 3"), ({"draw": "pair"}, "did you mean 'pairs'"),
        ],
    )  # fmt: skip
    def test_refusals(self, change, match) -> None:
        with pytest.raises(RequestError, match=match):
            unit_masks(**({"units": 4, "ensembles": 3, "generator": seeded()} | change))


class TestScores:
    def setting(self):
        model = mlp((6, 8, 4, 3), generator=seeded())
        return model, (torch.randn(40, 6, generator=seeded(1)), torch.randint(3, (40,), generator=seeded(2)))

    def test_a_unit_that_does_harm_is_last_and_a_dead_one_in_between(self) -> None:
        model = nn.Sequential(nn.Linear(1, 5, bias=False), nn.ReLU(), nn.Linear(5, 2, bias=False))
        with torch.no_grad():
            model[0].weight.fill_(1)
            model[2].weight.copy_(torch.tensor([[2.0, 1.0, 0.0, -1.0, -2.0], [0.0] * 5]))
        data = torch.rand(20, 1, generator=seeded()), torch.zeros(20, dtype=torch.int64)
        for options in ({}, {"draw": "pairs"}, {"draw": "bernoulli"}, {"share": 0.8}, {"form": "exponential"}):
            scores = linear_filter_ensembles(model, "0", data, 400, generator=seeded(), **options)
            assert scores.argsort(descending=True).tolist() == [0, 1, 2, 3, 4], options

    def test_the_same_seed_gives_the_same_scores_and_the_global_seed_is_left_alone(self) -> None:
        model, data = self.setting()
        before = torch.random.get_rng_state()
        first, again, other = (linear_filter_ensembles(model, "0", data, 60, generator=seeded(s)) for s in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert torch.equal(torch.random.get_rng_state(), before)
        assert first.shape == (8,)
        assert first.dtype == torch.float64

    def test_a_form_of_ones_own(self) -> None:
        model, data = self.setting()
        expected = linear_filter_ensembles(model, "2", data, 60, generator=seeded())
        found = linear_filter_ensembles(model, "2", data, 60, generator=seeded(), form=lambda losses: 2 - 3 * losses)
        torch.testing.assert_close(found, 3 * expected)

    def test_refusals(self) -> None:
        model, data = self.setting()
        for options, kind, match in (
            ({"form": "negativ"}, UnknownNameError, "did you mean 'negative'"),
            ({"form": lambda losses: losses / 0}, RequestError, "expected a finite score"),
            ({"form": lambda losses: 1.0}, RequestError, "expected a finite score"),
            ({"ensembles": 0}, RequestError, "ensembles: found 0"),
            ({"generator": None}, RequestError, "generator: found None"),
        ):
            with pytest.raises(kind, match=match):
                linear_filter_ensembles(model, "0", data, **({"generator": seeded()} | options))

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    def test_on_a_gpu(self) -> None:
        model, data = self.setting()
        model, data = model.double(), (data[0].double(), data[1])
        for draw in ("count", "pairs", "bernoulli"):
            here = linear_filter_ensembles(model.cpu(), "0", data, 60, generator=seeded(), draw=draw)
            there = linear_filter_ensembles(model.cuda(), "0", data, 60, generator=seeded(), draw=draw)
            torch.testing.assert_close(there.cpu(), here, rtol=1e-6, atol=1e-8)


def test_a_form_that_is_none() -> None:
    model, data = mlp((3, 4, 2)), (torch.ones(5, 3), torch.zeros(5, dtype=torch.int64))
    for form in (3, None, "log"):
        with pytest.raises(UnknownNameError, match="form of scores"):
            linear_filter_ensembles(model, "0", data, 8, generator=seeded(), form=form)

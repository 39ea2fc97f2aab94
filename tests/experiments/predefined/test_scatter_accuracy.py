"""The patterns that are compared: as many connections each, and scatter in the order of the steps."""

from itertools import pairwise

import pytest
import torch

from sparsewire.analysis.scatter_metric import scatter
from sparsewire.experiments.predefined.scatter_accuracy import STEPS, ScatterSpec, _layouts, _masks, run, specs
from sparsewire.lab.experiment import Trial
from sparsewire.models.zoo import mlp
from sparsewire.structure.windows import Layout


@pytest.mark.parametrize("first", [spec for spec in specs("desk") if spec.pattern == "clustered" and not spec.fraction])
def test_scatter_rises_from_step_to_step_at_equal_degrees(first: ScatterSpec) -> None:
    found, model = [], mlp(first.sizes)
    for pattern, fraction in STEPS:
        spec = first.model_copy(update={"pattern": pattern, "fraction": fraction})
        masks = _masks(model, spec, _layouts(spec), torch.Generator().manual_seed(0))
        for mask, left, right, fan_out in zip(masks.values(), spec.sizes, spec.sizes[1:], spec.fan_outs, strict=False):
            assert set(mask.sum(0).tolist()) == {fan_out}
            assert set(mask.sum(1).tolist()) == {left * fan_out // right}
        found.append(scatter(masks, _layouts(spec)).minimum)
    assert all(low < high for low, high in pairwise(found))
    assert found[-1] == 1.0


def test_images_have_windows_in_two_dimensions_and_samples_in_time_in_one() -> None:
    assert _layouts(ScatterSpec()) == [None, None, None]
    assert _layouts(ScatterSpec(data="mnist", sizes=(784, 196, 10))) == [Layout((28, 28)), None, None]


def test_a_trial_records_the_scatter_of_what_it_trains(tmp_path, monkeypatch) -> None:
    kept = []
    monkeypatch.setattr(
        "sparsewire.experiments.predefined.scatter_accuracy.run_training", lambda _, masks, *__: kept.append(masks)
    )
    spec = ScatterSpec(per_class=2, test_per_class=1, sizes=(64, 32, 64), fan_outs=(4, 8), fraction=0.5)
    trial = Trial(0, tmp_path)
    run(spec, trial)
    again = scatter(kept[0])
    assert trial.metrics == {
        f"scatter {name}": value for name, value in zip(again.names, again.vector, strict=True)
    } | {"scatter": again.minimum}

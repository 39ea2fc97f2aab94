"""With what a run may be compared, and which runs belong together."""

import pytest

from sparsewire.experiments.lightning import initializations, path_curves, path_training, rebuild, robustness
from sparsewire.experiments.lightning.path_training import PathTrainingSpec
from sparsewire.experiments.lightning.setup import as_published, by_spec
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.spec import run_id


def outcome(spec: PathTrainingSpec, seed: int) -> Outcome:
    return Outcome(spec, seed, "done", None, 1.0, {}, {})


@pytest.mark.parametrize(
    ("module", "free"),
    [
        (rebuild, ("active",)),
        (path_curves, ("initialization", "draws")),
        (path_training, ("edges",)),
        (initializations, ("initialization",)),
        (robustness, ("hidden", "lightnings", "strength", "epochs")),
    ],
)
def test_desk_and_full_scale_are_as_published_and_smoke_is_not(module, free) -> None:
    for scale in ("desk", "full"):
        assert all(as_published(spec, *free) for spec in module.specs(scale))
    assert not any(as_published(spec, *free) for spec in module.specs("smoke"))


@pytest.mark.parametrize("change", [{"data": "digits"}, {"hidden": (50, 20)}, {"epochs": 1}, {"rate": 0.1}])
def test_whatever_is_not_as_in_the_paper_has_no_published_number(change) -> None:
    assert as_published(PathTrainingSpec())
    assert not as_published(PathTrainingSpec(**change))
    assert as_published(PathTrainingSpec(**change), *change)


def test_seeds_of_one_spec_stay_together_and_specs_of_one_name_are_told_apart() -> None:
    one, two = PathTrainingSpec(), PathTrainingSpec(epochs=1)
    outcomes = [outcome(one, 0), outcome(two, 0), outcome(one, 1)]
    assert list(by_spec(outcomes[::2])) == [""]
    assert {name: [o.seed for o in group] for name, group in by_spec(outcomes).items()} == {
        f"run {run_id(one)}": [0, 1],
        f"run {run_id(two)}": [0],
    }
    assert list(by_spec(outcomes, lambda _: "a")) == [f"a, run {run_id(one)}", f"a, run {run_id(two)}"]
    assert list(by_spec(outcomes, lambda spec: f"{spec.epochs}")) == ["30", "1"]

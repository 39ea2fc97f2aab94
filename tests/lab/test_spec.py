"""Specs: frozen values with frozen ids."""

import subprocess
import sys
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from sparsewire.errors import RequestError
from sparsewire.experiments.demo import DemoSpec
from sparsewire.experiments.lightning.initializations import InitializationSpec
from sparsewire.experiments.lightning.path_curves import PathCurveSpec
from sparsewire.experiments.lightning.path_training import PathTrainingSpec
from sparsewire.experiments.lightning.rebuild import RebuildSpec
from sparsewire.experiments.lightning.robustness import RobustnessSpec
from sparsewire.lab.spec import Part, Spec, canonical, run_id


class Training(Part):
    epochs: int = 5
    rate: float = 0.1


class Toy(Spec):
    experiment: Literal["toy"] = "toy"
    paths: int = Field(default=20, ge=1)
    sizes: tuple[int, ...] = (784, 300, 10)
    rate: float = 0.5
    name: str = ""
    noisy: bool = False
    scope: Literal["blind", "uniform"] = "blind"
    limit: float | None = None
    densities: dict[str, float] = Field(default_factory=dict)
    training: Training = Training()


class Strict(Spec):
    experiment: Literal["strict"] = "strict"
    paths: int


# Frozen for ever: a change here would make every result that anyone has kept impossible to find.
FROZEN = [
    (Toy(), "1fba814c38f9c2a5"),
    (Toy(paths=30), "6fac091d7be77e3b"),
    (Toy(sizes=(2, 1), rate=1e-7, name='é "x"', noisy=True, limit=3.0), "e5d35dd3e935dc44"),
    (Toy(densities={"2.weight": 0.1, "0.weight": 0.3}, training=Training(epochs=1)), "ed0537630da6674d"),
    (Strict(paths=1), "c9fa625a9a6eba73"),
    (Toy(training=Training(epochs=1, rate=1e-3)), "1ebf69d1ea4c7305"),
    (Toy(sizes=(), rate=1e300, limit=0.1), "71766e22732faf2c"),
    (DemoSpec(), "b32df87e9aae13e4"),
    (DemoSpec(kind="fixed fan-in", hidden=(30, 20), density=0.2, lightnings=50, epochs=4), "50ebd227ed734cba"),
    (DemoSpec(data="mnist", kind="pruned", epochs=6), "3abe575e91da42ff"),
    (RebuildSpec(), "8b4b9f8888e6bee6"),
    (RebuildSpec(data="digits", hidden=(30, 20), epochs=2, active=(0.2, 0.5)), "e90b9ae2a1832a64"),
    (PathCurveSpec(), "54acc49dc1454ab6"),
    (PathCurveSpec(data="digits", hidden=(30, 20), initialization="he_normal", draws=5), "9e16e01ab4f38d25"),
    (PathTrainingSpec(), "3203aefa65e9587c"),
    (PathTrainingSpec(data="digits", epochs=3, edges=(50, 200)), "93d65af7c4fce903"),
    (InitializationSpec(), "f9f54307ef752156"),
    (InitializationSpec(initialization="glorot_uniform", rate=0.1), "951f91ed28e9626c"),
    (RobustnessSpec(), "3db51dce1a73f3e8"),
    (RobustnessSpec(hidden=(150, 50), lightnings=100, strength=0.01, epochs=20), "a6e620fe4683f644"),
]


@pytest.mark.parametrize(("spec", "identity"), FROZEN)
def test_run_ids_are_frozen(spec, identity):
    assert run_id(spec) == identity


def test_the_canonical_text_is_sorted_and_leaves_out_defaults():
    assert canonical(Toy()) == '{"experiment":"toy"}'
    assert canonical(Toy(paths=20, training=Training(epochs=5))) == canonical(Toy())
    spec = Toy(training=Training(rate=0.30000000000000004), rate=1, densities={"b": 1e-5, "a": 2.0})
    expected = '{"densities":{"a":2.0,"b":1e-05},"experiment":"toy","rate":1.0,"training":{"rate":0.30000000000000004}}'
    assert canonical(spec) == expected


def test_equal_specs_have_equal_ids():
    for one, other in [(Toy(rate=0.0), Toy(rate=-0.0)), (Toy(rate=2), Toy(rate=2.0)), (Toy(densities={"a": -0.0}),
                       Toy(densities={"a": 0.0}))]:  # fmt: skip
        assert one == other
        assert run_id(one) == run_id(other)
    assert run_id(Toy(noisy=True)) != run_id(Toy(paths=1))


def test_what_has_no_single_text_is_refused():
    class Loose(Spec):
        experiment: Literal["loose"] = "loose"
        names: frozenset[str] = frozenset()

    with pytest.raises(RequestError, match="'names' holds frozenset, which has no single text"):
        canonical(Loose(names=frozenset({"a"})))


@pytest.mark.parametrize(
    "fields", [{"paths": "3"}, {"paths": 3.0}, {"paths": True}, {"rate": float("nan")}, {"rate": float("inf")},
               {"pahts": 3}, {"experiment": "other"}, {"noisy": 1}, {"training": {"epochs": 1.5}}],
)  # fmt: skip
def test_wrong_fields_are_refused(fields):
    with pytest.raises(ValidationError):
        Toy(**fields)


def test_specs_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Toy().paths = 3


def test_words_of_the_file_cannot_be_fields():
    for word in ("seeds", "spec", "sweep"):
        with pytest.raises(TypeError, match=f"cannot have a field '{word}'"):
            type("Wrong", (Spec,), {"__annotations__": {word: int}, word: 1})


def test_specs_files_overrides_and_loggers_load_without_torch():
    modules = ("specs.overrides", "specs.spec_files", "trials.loggers", "experiment")
    wanted = ", ".join(f"sparsewire.lab.{module}" for module in modules)
    code = f"import sys, {wanted}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

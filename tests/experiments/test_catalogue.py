"""Every experiment that is listed can be found, planned at every scale, and kept under a name of its own."""

import subprocess
import sys

import pytest

from sparsewire.errors import UnknownNameError
from sparsewire.experiments import CATALOGUE, find, kinds, names
from sparsewire.lab.experiment import Scale
from sparsewire.lab.spec import run_id
from sparsewire.lab.specs.spec_files import read_spec, write_spec

SCALES: tuple[Scale, ...] = ("smoke", "desk", "full")


def test_a_name_stands_for_itself_and_a_paper_for_all_of_its_experiments() -> None:
    assert names("lightning.rebuild") == ["lightning.rebuild"]
    assert names("lightning") == [full for full in CATALOGUE if full.startswith("lightning.")]
    assert names() == list(CATALOGUE)


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'lightning'"):
        find("lightening")


def test_listing_does_not_import_torch() -> None:
    code = "import sys, sparsewire.experiments; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("experiment", find(), ids=lambda experiment: experiment.name)
class TestEveryExperiment:
    def test_stands_in_the_catalogue(self, experiment) -> None:
        assert experiment.title == CATALOGUE[experiment.name].title
        assert experiment.source == CATALOGUE[experiment.name].source
        assert kinds()[experiment.name] is experiment.spec

    @pytest.mark.parametrize("scale", SCALES)
    def test_plans_distinct_specs_of_its_kind(self, experiment, scale: Scale) -> None:
        specs = experiment.specs(scale)
        assert specs
        assert all(type(spec) is experiment.spec for spec in specs)
        assert len({run_id(spec) for spec in specs}) == len(specs)
        assert experiment.seeds[scale] >= 1

    def test_its_specs_survive_toml(self, experiment, tmp_path) -> None:
        for index, spec in enumerate(experiment.specs("smoke")):
            path = tmp_path / f"{index}.toml"
            path.write_text(write_spec(spec))
            assert read_spec(path, kinds()).specs == (spec,)

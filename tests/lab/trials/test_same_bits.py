"""The same specs give the same bits: in this process, on local workers, after a stop, in any order."""

import csv
from pathlib import Path

import pytest

from sparsewire.experiments import find, work
from sparsewire.experiments.lightning.robustness import RobustnessSpec
from sparsewire.lab.executors.by_name import executor
from sparsewire.lab.runner import run
from sparsewire.lab.storage.curve_export import curves_to_csv
from sparsewire.lab.storage.export import to_csv
from sparsewire.lab.store import Store

SPECS = [
    RobustnessSpec(data="digits", hidden=(20, 15), lightnings=30, strength=strength, epochs=2)
    for strength in (0.1, 0.2, 0.4)
]


def tables(folder: Path) -> tuple[list[dict[str, str]], str]:
    """What was found, without the columns that may differ."""
    with Store.open(folder, write=False) as store:
        outcomes = store.outcomes("lightning.robustness", {"lightning.robustness": RobustnessSpec})
        to_csv(outcomes, folder / "trials.csv")
        curves_to_csv(outcomes, folder / "curves.csv")
    rows = csv.DictReader((folder / "trials.csv").read_text().splitlines())
    kept = [{name: value for name, value in row.items() if "seconds" not in name} for row in rows]
    return kept, (folder / "curves.csv").read_text()


def test_local_workers_find_what_this_process_finds(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra `sweep` is not installed")
    [experiment] = find("lightning.robustness")
    with Store.open(tmp_path / "here") as store:
        assert run(experiment, SPECS, store, seeds=2).done == 6
    workers = executor("local", work, 2)
    try:
        with Store.open(tmp_path / "local") as store:
            assert run(experiment, SPECS[::-1], store, seeds=1, executor=workers).done == 3
            summary = run(experiment, SPECS, store, seeds=2, executor=workers)
            assert (summary.done, summary.skipped) == (3, 3)
    finally:
        workers.close(5.0)
    here, local = (tables(tmp_path / name) for name in ("here", "local"))
    key = lambda row: (row["run"], row["seed"])  # noqa: E731
    assert sorted(here[0], key=key) == sorted(local[0], key=key)
    assert sorted(here[1].splitlines()) == sorted(local[1].splitlines())

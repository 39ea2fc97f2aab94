"""A study of random graphs as files for others: a table of all trials, a predictor for each cell, every graph."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sparsewire.analysis.prediction.predictors import Predictor
from sparsewire.errors import RequestError
from sparsewire.experiments.comparable import families
from sparsewire.experiments.hidden_structures.priors_readings import (
    accuracies,
    by_cell,
    by_family,
    features,
    graph_of,
    spec_of,
)
from sparsewire.experiments.hidden_structures.priors_setup import NAME
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.storage.export import to_csv
from sparsewire.structure.graph_files import write_graph

TABLE: Final = "trials.csv"
MEASURE: Final = "test accuracy on Reber's grammar, %"
_LEAST: Final = 20  # trials of a cell; of fewer nothing is learnt


def write_study(
    outcomes: Sequence[Outcome], folder: str | os.PathLike[str], *, regressor: str = "random_forest"
) -> list[Path]:
    """Writes what a study found: `trials.csv`, `CELL.safetensors`, and `graphs/CELL-FAMILY-SEED.graphml`.

    The table has a row for each trial with its 23 properties, each in a column of its name, and its "accuracy". The
    predictors have learnt from it, cell by cell, and foretell percents (`Predictor.load`, `sparsewire predict`); cells
    of fewer than 20 trials, or whose accuracies are all the same, get none. Every file is written whole or not at all.

    Args:
        outcomes: trials of one setup, of any cells and families; those that did not end well are only in the table.
        folder: where; it is made.
        regressor: what the predictors are, one of `analysis.prediction.regressors.REGRESSORS`.

    Returns:
        The files, in the order in which they were written.

    Raises:
        RequestError: there are no trials of this experiment that ended well, they are of several setups, or predictors
            can be made and scikit-learn is not installed.
        UnknownNameError: there is no such regressor.
        FileError: a file cannot be written.
        StoreError: the graph of a trial is no longer in the store.
    """
    strange = [outcome.spec.experiment for outcome in outcomes if outcome.spec.experiment != NAME]
    if strange:
        raise RequestError(f"outcomes: found a trial of {strange[0]!r}, expected trials of {NAME!r}")
    done = [outcome for outcome in outcomes if outcome.state == "done"]
    if not done:
        raise RequestError(f"outcomes: found none that ended well, expected some; sparsewire run {NAME}")
    setups = families(done, "cell", "family")
    if len(setups) > 1:
        raise RequestError(
            f"outcomes: found trials of {len(setups)} setups, expected one, as a predictor is of one; choose by the "
            "fields of their specs"
        )
    root = Path(folder)
    written = [root / TABLE]
    to_csv(outcomes, written[0])
    for cell, group in by_cell(done).items():
        if len(group) >= _LEAST and accuracies(group).std() > 0:
            notes = {"cell": cell, "measure": MEASURE}
            predictor = Predictor.fit(features(group), accuracies(group), regressor, notes=notes)
            written.append(root / f"{cell}.safetensors")
            predictor.save(written[-1])
    return written + _graphs(done, root / "graphs")


def _graphs(outcomes: Sequence[Outcome], folder: Path) -> list[Path]:
    written = []
    for group in by_cell(outcomes).values():
        for part in by_family(group).values():
            for outcome in part:
                spec = spec_of(outcome)
                written.append(folder / f"{spec.cell}-{spec.family}-{outcome.seed}.graphml")
                write_graph(graph_of(outcome), written[-1])
    return written

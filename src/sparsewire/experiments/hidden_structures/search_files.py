"""A study of searches as files for others: the table of features and accuracies, a predictor, the best genome."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sparsewire.analysis.prediction.predictors import Predictor
from sparsewire.errors import FileError, RequestError
from sparsewire.experiments.hidden_structures.search_prediction import LEAST
from sparsewire.experiments.hidden_structures.search_readings import Study, best_genome, metric, studies, table
from sparsewire.experiments.hidden_structures.search_setup import NAME
from sparsewire.experiments.hidden_structures.search_timing import MEASURED
from sparsewire.files import write_aside
from sparsewire.lab.experiment import Outcome
from sparsewire.search.genome_files import write_genome
from sparsewire.search.measures import FEATURES
from sparsewire.search.pictures import draw_genome

TABLE: Final = "meta.csv"
PREDICTOR: Final = "predictor.safetensors"
COSTS: Final = ("parameters", "multiply_adds", "test accuracy", "training seconds")
MEASURE: Final = "best validation accuracy, %"


def write_search(
    outcomes: Sequence[Outcome], folder: str | os.PathLike[str], *, regressor: str = "random_forest"
) -> list[Path]:
    """Writes what one study found: its meta data set, a predictor, and the best genome in three forms.

    `meta.csv` has a row for each genome that was trained: its line, the 56 features, "accuracy" (the best on the
    validation images, percent), parameters, multiply-adds, test accuracy and seconds of training, and of a forward pass
    where that was measured.
    `predictor.safetensors` has learnt accuracy from the features (`Predictor.load`, `sparsewire predict`), where there
    are at least `LEAST` genomes that are not all as good. `best.json`, `best.graphml` and `best.svg` are the genome of
    the best validation accuracy. Every file is written whole or not at all.

    Args:
        outcomes: trials of one study, the first among them.
        folder: where; it is made.
        regressor: what the predictor is, one of `analysis.prediction.regressors.REGRESSORS`.

    Returns:
        The files, in the order in which they were written.

    Raises:
        RequestError: there are no trials of such a study, or of several, or none that ended well; or a predictor can
            be made and scikit-learn is not installed.
        UnknownNameError: there is no such regressor.
        FileError: a file cannot be written.
    """
    strange = [outcome.spec.experiment for outcome in outcomes if outcome.spec.experiment != NAME]
    if strange:
        raise RequestError(f"outcomes: found a trial of {strange[0]!r}, expected trials of {NAME!r}")
    found = studies(outcomes)
    if len(found) != 1:
        raise RequestError(
            f"outcomes: found trials of {len(found)} studies, expected one, with its first trial; sparsewire run {NAME}"
        )
    [study] = found
    genome = best_genome(study)
    if genome is None:
        raise RequestError(f"outcomes: found no genome that was trained, expected some; sparsewire run {NAME}")
    root = Path(folder)
    features, accuracy, _ = table(study)
    predictor: Predictor | None = None
    if len(accuracy) >= LEAST and accuracy.std() > 0:
        notes = {"data": study.first.data, "measure": MEASURE}
        predictor = Predictor.fit(
            features, accuracy, regressor, notes=notes
        )  # before a mistake leaves half of the files
    written = [root / TABLE]
    _write_table(study, written[0])
    if predictor is not None:
        written.append(root / PREDICTOR)
        predictor.save(written[-1])
    for ending in ("json", "graphml"):
        written.append(root / f"best.{ending}")
        write_genome(genome, written[-1])
    written.append(root / "best.svg")
    _write_text(draw_genome(genome), written[-1])
    return written


def _write_text(text: str, path: Path) -> None:
    def write(aside: Path) -> None:
        aside.write_text(text, encoding="utf-8")

    write_aside(path, write, FileError)


def _write_table(study: Study, path: Path) -> None:
    features, accuracy, _ = table(study)
    columns = [features[name].tolist() for name in FEATURES]
    costs = (*COSTS, MEASURED) if study.first.is_timed else COSTS

    def write(aside: Path) -> None:
        with aside.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["genome", *FEATURES, "accuracy", *costs])
            for spec, *numbers in zip(study.genomes, *columns, accuracy.tolist(), strict=True):
                rows.writerow([spec.genome, *numbers, *(metric(study, spec, name) for name in costs)])

    write_aside(path, write, FileError)

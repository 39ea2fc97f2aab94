"""Made-up trials of the study of random graphs, whose correlations with accuracy are exactly what is asked for."""

from collections.abc import Mapping

import numpy as np

from sparsewire.experiments.hidden_structures.priors_published import FAMILIES, LEVELS, PROPERTIES, TABLE
from sparsewire.experiments.hidden_structures.priors_setup import PriorsSpec
from sparsewire.lab.experiment import Outcome


def made(cell: str, each: int = 100, *, sign: float = 1.0, turned: bool = False, **fields) -> list[Outcome]:
    """So many trials of each family, whose mean accuracies are the stored ones, and Table 1's correlations as well.

    Args:
        cell: of the networks.
        each: trials of a family.
        sign: what Table 1 is multiplied by.
        turned: whether the families change places.
        fields: of the specs.
    """
    random = np.random.default_rng(0)
    means = [LEVELS[cell][family].mean for family in FAMILIES]
    spread = 2 * _standard(random.normal(size=each))
    accuracy = np.concatenate([mean + spread for mean in (means[::-1] if turned else means)])
    found = []
    columns = {name: _with_correlation(accuracy, sign * TABLE[cell].get(name, 0.3), random) for name in PROPERTIES}
    for place, value in enumerate(accuracy):
        spec = PriorsSpec(cell=cell, family=list(FAMILIES)[place // each], **fields)
        metrics = {name: float(column[place]) for name, column in columns.items()} | {"accuracy": float(value)}
        series = {"accuracy": [(1, 50.0), (15, float(value))]}
        found.append(Outcome(spec, place % each, "done", None, 10.0, metrics, series))
    return found


def _with_correlation(accuracy: np.ndarray, correlation: float, random: np.random.Generator) -> np.ndarray:
    known = _standard(accuracy)
    noise = random.normal(size=len(known))
    noise = _standard(noise - noise.mean() - (noise @ known) / len(known) * known)
    return 20 + 3 * (correlation * known + np.sqrt(1 - correlation**2) * noise)


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / (values.std() or 1.0)


def verdicts(section) -> Mapping[str, Mapping[str, str]]:
    """Title of each table of claims → label → verdict."""
    found: dict[str, dict[str, str]] = {}
    for table, claim in section.claims():
        found.setdefault(table.title, {})[claim.label] = claim.verdict
    return found

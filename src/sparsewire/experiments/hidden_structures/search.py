"""The paper on hidden structures, section 4.4: a genetic search for architectures that foretells half of its trainings.

Labelled graphs of convolutions, pooling, sums, concatenations and skips become networks that are trained shortly. Each
new generation trains half of what is new; of the other half a regressor says from 56 features of the graph how good it
would be. Is that better than chance, what does it save, and which features go with accuracy?
"""

from collections.abc import Sequence
from typing import Any, Final

from sparsewire.experiments import CATALOGUE
from sparsewire.experiments.hidden_structures.search_courses import follow
from sparsewire.experiments.hidden_structures.search_findings import findings
from sparsewire.experiments.hidden_structures.search_setup import NAME, CandidateSpec
from sparsewire.experiments.hidden_structures.search_training import train_candidate
from sparsewire.lab.experiment import Experiment, Scale

# Small enough for seconds.
SMOKE: Final[dict[str, Any]] = {
    "data": "digits", "images": 100, "validation": 60, "test_images": 60, "epochs": 1, "batch": 50,
    "most_multiply_adds": 500_000, "methods": ("genetic", "all_trained", "random"), "searches": 2, "trainings": 9,
    "population": 6, "least_tried": 6, "channels": (4, 8), "random_least_depth": 6, "random_most_depth": 12,
}  # fmt: skip
# Three methods, five searches each, as many trainings for all; random search draws from where the others begin.
DESK: Final[dict[str, Any]] = {
    "methods": ("genetic", "all_trained", "random"), "searches": 5, "trainings": 60, "population": 12,
    "least_tried": 12, "channels": (8, 16, 32, 64), "random_least_depth": 6, "random_most_depth": 12, "rate": 2e-3,
}  # fmt: skip
DESK_DATA: Final[tuple[dict[str, Any], ...]] = (
    {"data": "digits", "images": 500, "validation": 900, "epochs": 5, "batch": 50, "most_multiply_adds": 1_000_000},
    {
        "data": "cifar10", "images": 4_000, "validation": 1_000, "test_images": 1_000, "side": 16, "epochs": 4,
        "batch": 100, "most_multiply_adds": 4_000_000,
    },
)  # fmt: skip


def specs(scale: Scale) -> Sequence[CandidateSpec]:
    """Full: the paper's search, and random search as deep as the paper's; desk: what two cores do in two hours.

    Each is the first of its searches, which trains a hand-drawn genome; what follows is up to `follow`.
    """
    if scale == "full":
        return [CandidateSpec()]
    return [CandidateSpec(**fields) for fields in ([SMOKE] if scale == "smoke" else [DESK | own for own in DESK_DATA])]


EXPERIMENT = Experiment(
    name=NAME,
    title=CATALOGUE[NAME].title,
    source=CATALOGUE[NAME].source,
    spec=CandidateSpec,
    specs=specs,
    seeds={"smoke": 1, "desk": 1, "full": 1},
    trial=train_candidate,
    findings=findings,
    follow=follow,
)

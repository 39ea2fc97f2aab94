"""The front of a search by several objectives, drawn and in a table, beside the hand-drawn chain."""

import math
from collections.abc import Sequence
from typing import Final

from sparsewire.experiments.hidden_structures.search_fronts import beside_chain, chain_values, front_of, has_front
from sparsewire.experiments.hidden_structures.search_readings import Study, metric
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec, Objective
from sparsewire.experiments.hidden_structures.search_timing import ABOUT_MEASURED, MEASURED
from sparsewire.experiments.hidden_structures.search_training import genome_of
from sparsewire.lab.reporting.charts import Chart, Series
from sparsewire.lab.reporting.findings import Grid

_AXES: Final[dict[Objective, tuple[str, float]]] = {
    "parameters": ("parameters, thousands", 1e-3),
    "multiply_adds": ("multiply-adds for an image, thousands", 1e-3),
    "seconds": ("a forward pass, milliseconds", 1e3),
}


def front_blocks(study: Study, suffix: str) -> list[Chart | Grid]:
    """A chart for each objective beside accuracy and a table; nothing where no method looks at several."""
    if not has_front(study) or not front_of(study):
        return []
    objectives = study.first.objectives
    return [*(_chart(study, place, suffix) for place in range(1, len(objectives))), _grid(study, suffix)]


def _chart(study: Study, place: int, suffix: str) -> Chart:
    label, scale = _AXES[study.first.objectives[place]]
    front, begun, drawn = front_of(study), front_of(study, 0), chain_values(study)
    lines = [_line("the front", study, front, place, scale)]
    if begun:
        lines.append(_line("that of the first generation", study, begun, place, scale))
    if drawn is not None:
        lines.append(Series("hand-drawn chain", (scale * drawn[place],), (drawn[0],), moments=(0.0,)))
    caption = (
        "Genomes that none of these searches beats (nowhere worse, somewhere better): higher is more accurate, further "
        "left is cheaper. "
    )
    more = "" if len(study.first.objectives) == 2 else "What lies below the line is ahead in another objective."
    title = f"Accuracy and {label.split(',')[0]}{suffix}"
    return Chart(
        title, f"{caption}{more}".strip(), label, "best validation accuracy, %", tuple(lines), kind="points",
        value_label="generation",
    )  # fmt: skip


def _line(name: str, study: Study, front: dict[CandidateSpec, tuple[float, ...]], place: int, scale: float) -> Series:
    """Points from the cheapest on, coloured by the generation in which each was trained."""
    order = sorted(front, key=lambda spec: (front[spec][place], front[spec][0]))
    moments = tuple(float(generation_of(study, spec)) for spec in order)
    xs, ys = [scale * front[spec][place] for spec in order], [front[spec][0] for spec in order]
    return Series(name, tuple(xs), tuple(ys), moments=moments)


def generation_of(study: Study, spec: CandidateSpec) -> int:
    """The first generation of a search by several objectives that trained it; 0 where none did."""
    found = [one.generation for course in study.of("nsga2") for one in course.tried if one.spec == spec]
    return min(found, default=0)


def _grid(study: Study, suffix: str) -> Grid:
    is_timed = study.first.is_timed
    rows, beaten = [], 0
    for place, (spec, values) in enumerate(front_of(study).items(), start=1):
        genome, beside = genome_of(spec), beside_chain(study, values)
        beaten += beside == "beats it"
        shape = f"{genome.depth}", f"{len(genome)}", f"{generation_of(study, spec)}"
        rows.append((f"{place}", *_numbers(study, spec, is_timed), *shape, genome.key[:12], beside or ""))
    time = ("milliseconds",) if is_timed else ()
    columns = (
        "", "validation, %", "test, %", "parameters", "multiply-adds", *time, "depth", "vertices", "generation", "key",
        "the chain",
    )  # fmt: skip
    aims = ", ".join(name.replace("_", "-") for name in study.first.objectives)
    told = f"{beaten} of {len(rows)} beat the hand-drawn chain: nowhere worse, somewhere better."
    if chain_values(study) is None:
        told = "The hand-drawn chain was not trained to an end."
    else:
        rows.append(("hand-drawn chain", *_numbers(study, study.first, is_timed), "", "", "", "", ""))
    note = f"By {aims}. {told}"
    measured = f" Milliseconds: {ABOUT_MEASURED}. Batches of {study.first.batch:,}." if is_timed else ""
    return Grid(f"The front{suffix}", columns, tuple(rows), f"{note}{measured}")


def _numbers(study: Study, spec: CandidateSpec, is_timed: bool) -> Sequence[str]:
    accuracies = [metric(study, spec, f"{name} accuracy") for name in ("best validation", "test")]
    costs = [metric(study, spec, name) for name in ("parameters", "multiply_adds")]
    taken = [1e3 * metric(study, spec, MEASURED)] if is_timed else []
    return [
        *("" if math.isnan(value) else f"{value:.1f}" for value in accuracies),
        *("" if math.isnan(value) else f"{value:,.0f}" for value in costs),
        *("" if math.isnan(value) else f"{value:.3g}" for value in taken),
    ]

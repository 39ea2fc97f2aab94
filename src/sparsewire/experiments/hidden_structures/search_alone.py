"""Genomes that no search came to: those that somebody named in a spec, to train one for itself."""

import contextlib
from collections.abc import Sequence
from typing import Final

from sparsewire.errors import RequestError
from sparsewire.experiments.hidden_structures.search_claims import SIZE, is_whole
from sparsewire.experiments.hidden_structures.search_courses import Known, known_of, worth_of
from sparsewire.experiments.hidden_structures.search_published import BEST
from sparsewire.experiments.hidden_structures.search_readings import Study
from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec
from sparsewire.experiments.hidden_structures.search_training import genome_of
from sparsewire.lab.experiment import Outcome
from sparsewire.lab.reporting.charts import Chart, series
from sparsewire.lab.reporting.findings import Block, Claim, ClaimTable, Grid, Picture
from sparsewire.search.pictures import draw_genome

_MOST: Final = 20  # genomes that are shown
NOTE: Final = (
    "Validation: the best of all epochs; test: after the last one. Means over seeds. "
    f"The paper has {BEST} % on CIFAR-10, and does not tell by how many epochs."
)


def alone_blocks(outcomes: Sequence[Outcome], found: Sequence[Study]) -> list[Block]:
    """A table, curves and the best of the genomes that were trained to an end and that none of these studies tried."""
    known = known_of(outcomes)
    tried = {one.spec for study in found for course in study.courses for one in course.tried}
    worths = {spec: worth_of(known[spec]) for spec in known if spec.genome and spec not in tried}
    alone = sorted((spec for spec in worths if worths[spec] is not None), key=lambda spec: -(worths[spec] or 0.0))
    if not alone:
        return []
    rows = [(_name(place), *_row(known, spec)) for place, spec in enumerate(alone[:_MOST])]
    columns = (
        "genome", "data", "epochs", "vertices", "parameters", "multiply-adds", "validation, %", "test, %", "seconds",
    )  # fmt: skip
    more = f" The {_MOST} best of {len(alone):,}." if len(alone) > _MOST else ""
    blocks: list[Block] = [Grid("Genomes trained for themselves", columns, tuple(rows), NOTE + more)]
    whole = [spec for spec in alone if is_whole(spec)]
    if whole:
        reached = Claim(
            "test accuracy", BEST, tuple(_values(known, whole[0], "test accuracy")), SIZE, "%", 1, "at_least"
        )
        blocks.append(ClaimTable(f"{_name(alone.index(whole[0]))} beside the paper’s best", (reached,)))
    blocks.append(_curves(known, alone[:_MOST]))
    with contextlib.suppress(RequestError):  # a genome that is too large to be seen
        blocks.append(Picture(f"{_name(0)}: the best of them", alone[0].genome, draw_genome(genome_of(alone[0]))))
    return blocks


def _name(place: int) -> str:
    return f"Genome {place + 1}"


def _row(known: Known, spec: CandidateSpec) -> tuple[str, ...]:
    images = f"{spec.images:,}" if spec.images else "all"
    data = f"{images} of {spec.data}" + (f", {spec.side} × {spec.side}" if spec.side else "")
    means = [
        sum(values) / len(values)
        for name in ("parameters", "multiply_adds", "best validation accuracy", "test accuracy", "training seconds")
        if (values := _values(known, spec, name))
    ]
    parameters, multiply_adds, validation, test, seconds = means
    reached = f"{validation:.1f}", f"{test:.1f}", f"{seconds:,.0f}"
    return data, f"{spec.epochs}", f"{len(genome_of(spec))}", f"{parameters:,.0f}", f"{multiply_adds:,.0f}", *reached


def _values(known: Known, spec: CandidateSpec, name: str) -> list[float]:
    return [one.metrics[name] for one in known[spec] if one.state == "done" and name in one.metrics]


def _curves(known: Known, alone: Sequence[CandidateSpec]) -> Chart:
    lines = []
    for place, spec in enumerate(alone):
        curves = [one.series.get("validation accuracy", ()) for one in known[spec] if one.state == "done"]
        runs = [([epoch for epoch, _ in curve], [value for _, value in curve]) for curve in curves if curve]
        lines += [series(_name(place), runs)] if runs else []
    return Chart("Epoch by epoch", "Validation accuracy.", "epochs", "validation accuracy, %", tuple(lines))

"""The search for architectures in charts and tables: how it went, what it found, what accuracy goes with."""

import contextlib
import math
from collections.abc import Mapping
from statistics import fmean
from typing import Final

from sparsewire.analysis.prediction.permutations import Importance
from sparsewire.errors import RequestError
from sparsewire.experiments.hidden_structures.priors_correlations import Correlated, Numbers
from sparsewire.experiments.hidden_structures.search_claims import accuracy_in_test, budget
from sparsewire.experiments.hidden_structures.search_labels import NAMES, label
from sparsewire.experiments.hidden_structures.search_prediction import Score
from sparsewire.experiments.hidden_structures.search_published import SIGNS, TOP
from sparsewire.experiments.hidden_structures.search_readings import (
    Study,
    best_genome,
    best_so_far,
    metric,
    seconds,
)
from sparsewire.experiments.hidden_structures.search_setup import CLASSES, shape_of
from sparsewire.experiments.hidden_structures.search_timing import MEASURED
from sparsewire.lab.reporting.charts import Chart, Series, series
from sparsewire.lab.reporting.findings import Grid, Picture
from sparsewire.search.costing import genome_cost
from sparsewire.search.pictures import draw_genome

_SHOWN: Final = 12  # correlations


def progress_chart(study: Study, suffix: str) -> Chart:
    """The best genome so far of each method, training by training."""
    lines: list[Series] = []
    for method in study.first.methods:
        courses = [best_so_far(course.tried) for course in study.of(method)]
        runs = [(list(range(1, len(course) + 1)), course) for course in courses if course]
        if runs:
            lines.append(series(label(study.first, method), runs))
    drawn = metric(study, study.first, "best validation accuracy")
    if lines and not math.isnan(drawn):
        most = max(line.x[-1] for line in lines)
        lines.append(Series("hand-drawn chain", (1.0, most), (drawn, drawn)))
    caption = "The best validation accuracy so far, over the searches of a method."
    return Chart(
        f"The best genome so far{suffix}", caption, "trainings", "best validation accuracy, %", tuple(lines)
    )  # fmt: skip


def method_grid(study: Study, suffix: str) -> Grid:
    """What each method did and reached, means over its searches."""
    rows = []
    for method in study.first.methods:
        courses = [course for course in study.of(method) if course.tried]
        if courses:
            ends = [best_so_far(course.tried)[-1] for course in courses]
            tests = [accuracy_in_test(study, course.tried) for course in courses]
            means = [
                fmean(len(course.tried) for course in courses),
                fmean(course.foretold for course in courses),
                fmean(course.state.duplicates for course in courses),
                fmean(course.state.generation for course in courses),
            ]
            costs = f"{fmean(seconds(study, course.tried) for course in courses):,.0f}"
            reached = f"{fmean(ends):.1f}", f"{max(ends):.1f}", f"{fmean(tests):.1f}"
            rows.append(
                (label(study.first, method), f"{len(courses)}", *(f"{mean:.1f}" for mean in means), *reached, costs)
            )
    drawn = (metric(study, study.first, f"{name} accuracy") for name in ("best validation", "test"))
    validated, test = ("" if math.isnan(value) else f"{value:.1f}" for value in drawn)
    rows.append(("hand-drawn chain", "", "1", *[""] * 3, validated, validated, test, ""))
    columns = (
        "method", "searches", "trained", "foretold", "known already", "generations", "best, %", "of all", "test, %",
        "seconds",
    )  # fmt: skip
    note = "Means over searches. Test: of the genome with the best validation accuracy. Seconds: of training alone."
    return Grid(f"The searches{suffix}", columns, tuple(rows), f"{note} {budget(study.first)}")


def score_grid(scores: Mapping[str, Mapping[str, Score]], suffix: str) -> Grid:
    """R² and rank correlation on genomes that were not learnt from, by each way to hold them back."""
    rows = []
    for way, found in scores.items():
        for name, score in found.items():
            r2 = _digits(score.r2.mean), _interval((score.r2.low, score.r2.high))
            rank = _digits(score.rank), _interval(score.interval)
            rows.append((f"{way}, {NAMES[name]}", f"{score.tested}", *r2, *rank))
    columns = ("held back, regressor", "genomes", "R²", "95 %", "rank correlation", "95 %")
    note = (
        "1 is perfect; R² of 0 is no better than the mean of all. The paper's split holds back 30 % by chance. In the "
        "search: what its surrogate said of a genome before that was trained."
    )
    return Grid(f"Accuracy foretold from 56 features{suffix}", columns, tuple(rows), note)


def importance_grid(found: Mapping[str, Importance], correlations: Mapping[str, Correlated], suffix: str) -> Grid:
    """The features that matter most to a random forest, and how they correlate."""
    rows = tuple(
        (name, _digits(one.mean), _interval((one.low, one.high)), *_correlation(correlations[name]))
        for name, one in found.items()
    )
    note = (
        "What R² loses when a feature is shuffled among genomes that were held back, with the 95 % interval of a "
        "bootstrap. The paper does not say how it measures importance."
    )
    columns = ("feature", "loss of R²", "95 %", "correlation", "95 %")
    return Grid(f"The {TOP} most important features, one by one{suffix}", columns, rows, note)


def correlation_grid(correlations: Mapping[str, Correlated], suffix: str) -> Grid:
    """Figure 8b: the strongest correlations with the best validation accuracy, and those that the paper names."""
    strength = {name: abs(one.value) for name, one in correlations.items() if not math.isnan(one.value)}
    strongest = sorted(strength, key=lambda name: -strength[name])[:_SHOWN]
    named = [name for name in SIGNS if name in strength and name not in strongest]
    said = {1: "positive", -1: "negative", 0: ""}
    rows = tuple((name, *_correlation(correlations[name]), said[SIGNS.get(name, 0)]) for name in (*strongest, *named))
    note = (
        f"Pearson's correlation with the best validation accuracy: the {_SHOWN} largest, then the others of which the "
        "paper says something; 95 % interval of a bootstrap over genomes."
    )
    return Grid(f"Figure 8b{suffix}", ("feature", "correlation", "95 %", "paper"), rows, note)


def best_blocks(study: Study, suffix: str) -> list[Grid | Picture]:
    """The best genome: its picture, and what each of its vertices makes and costs."""
    best = study.best
    genome = best_genome(study)
    if best is None or genome is None:
        return []
    reached = metric(study, best, "best validation accuracy"), metric(study, best, "test accuracy")
    cost = genome_cost(genome, shape_of(study.first), CLASSES)
    caption = (
        f"Validation {reached[0]:.1f} %, test {reached[1]:.1f} %; {len(genome)} vertices, depth {genome.depth}, "
        f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds for an image."
    )
    rows = []
    for place, (vertex, before) in enumerate(zip(cost.vertices, genome.predecessors, strict=True)):
        shape = " × ".join(map(str, vertex.shape))
        read = " ".join(map(str, before)) or "image"
        rows.append((f"{place}", vertex.operation, read, shape, f"{vertex.parameters:,}", f"{vertex.multiply_adds:,}"))
    columns = ("vertex", "operation", "reads", "makes", "parameters", "multiply-adds")
    blocks: list[Grid | Picture] = []
    with contextlib.suppress(RequestError):  # a genome that is too large to be seen has its table alone
        blocks.append(Picture(f"The best genome{suffix}", caption, draw_genome(genome)))
    return [*blocks, Grid(f"The best genome, vertex by vertex{suffix}", columns, tuple(rows))]


def genome_grid(features: Mapping[str, Numbers], study: Study, suffix: str) -> Grid:
    """What the trained genomes are like: the table that the surrogate learns from."""
    numbers = {
        **{name: features[name].tolist() for name in ("depth", "nodes", "edges")},
        **{name: [metric(study, spec, name) for spec in study.genomes] for name in ("parameters", "multiply_adds")},
        "best validation accuracy, %": [metric(study, spec, "best validation accuracy") for spec in study.genomes],
        "training seconds": [metric(study, spec, "training seconds") for spec in study.genomes],
    }
    if study.first.is_timed:
        numbers["milliseconds of a forward pass"] = [1e3 * metric(study, spec, MEASURED) for spec in study.genomes]
    rows = tuple(
        (name, *(f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}" for value in (min(of), fmean(of), max(of))))
        for name, of in numbers.items()
    )
    note = (
        f"Of the {len(study.genomes):,} genomes that were trained, each once; the paper has 2,472, about half trained."
    )
    return Grid(f"The genomes{suffix}", ("", "least", "mean", "most"), rows, note)


def _correlation(found: Correlated) -> tuple[str, str]:
    return _digits(found.value), _interval(found.interval)


def _interval(found: tuple[float, float] | None) -> str:
    return "" if found is None or any(map(math.isnan, found)) else " to ".join(map(_digits, found))


def _digits(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}".replace("-", "−")

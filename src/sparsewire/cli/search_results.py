"""What a search has found, for the screen and as plain values: its best genomes, and what accuracy goes with."""

from typing import TYPE_CHECKING, Any, NamedTuple

from sparsewire.cli.screen import say, table

if TYPE_CHECKING:
    import numpy as np

    from sparsewire.experiments.hidden_structures.search_readings import Study
    from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec
    from sparsewire.lab.store import Store
    from sparsewire.search.genotype import Genome

_SHOWN = 10
_FEATURES = 10


class Found(NamedTuple):
    """A genome that was trained: percent of validation and test images, its cost, and how the search came to it."""

    genome: "Genome"
    validation: float
    test: float
    parameters: int
    multiply_adds: int
    generation: int
    operator: str


class Why(NamedTuple):
    """A feature: how much of R² a forest loses without it, and its rank correlation with accuracy."""

    feature: str
    importance: float
    low: float
    high: float
    correlation: float


class Results(NamedTuple):
    """What a search has found: the best genomes, the hand-drawn one to compare with, and what accuracy goes with."""

    best: list[Found]
    drawn: float | None
    trained: int
    foretold: int
    duplicates: int
    generation: int
    why: list[Why]


def results_of(first: "CandidateSpec", store: "Store") -> Results:
    """What the search of a first spec has found so far."""
    from sparsewire.experiments.hidden_structures.search import EXPERIMENT
    from sparsewire.experiments.hidden_structures.search_courses import worth_of
    from sparsewire.experiments.hidden_structures.search_readings import studies
    from sparsewire.lab.following import found_of

    stored = store.outcomes(EXPERIMENT.name, {EXPERIMENT.name: EXPERIMENT.spec})
    outcomes, _ = found_of(EXPERIMENT, [first], 1, stored)
    found = studies([outcome for outcome in outcomes if outcome.state != "failed"])
    if not found:
        return Results([], None, 0, 0, 0, 0, [])
    [study] = found
    return Results(
        _best(study),
        worth_of(study.known.get(first, ())),
        sum(len(course.tried) for course in study.courses),
        sum(course.foretold for course in study.courses),
        sum(course.state.duplicates for course in study.courses),
        min(course.state.generation for course in study.courses),
        _why(study),
    )


def _best(study: "Study") -> list[Found]:
    """The genomes that were trained to an end, the best first; of equals the one that came first."""
    from sparsewire.experiments.hidden_structures.search_courses import worth_of
    from sparsewire.experiments.hidden_structures.search_readings import metric
    from sparsewire.experiments.hidden_structures.search_training import genome_of

    worths = {spec: worth_of(study.known[spec]) or 0.0 for spec in study.genomes}
    found = []
    for spec in sorted(worths, key=lambda spec: -worths[spec])[:_SHOWN]:
        genome = genome_of(spec)
        came = next(
            course.state[genome.key] for course in study.courses if any(one.spec == spec for one in course.tried)
        )
        test, parameters, products = (
            metric(study, spec, name) for name in ("test accuracy", "parameters", "multiply_adds")
        )
        found.append(Found(genome, worths[spec], test, int(parameters), int(products), came.generation, came.operator))
    return found


def _why(study: "Study") -> list[Why]:
    """The features that a forest needs most to foretell accuracy; none where too few genomes were trained."""
    from sparsewire.experiments.hidden_structures.search_prediction import LEAST, most_important
    from sparsewire.experiments.hidden_structures.search_readings import table as table_of

    features, accuracy, _ = table_of(study)
    if len(accuracy) < LEAST or len(set(accuracy.tolist())) < 2:
        return []
    found = most_important(features, accuracy, _FEATURES)
    return [Why(name, *one, _rank_correlation(features[name], accuracy)) for name, one in found.items()]


def _rank_correlation(one: "np.ndarray[Any, Any]", other: "np.ndarray[Any, Any]") -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic) if len(set(one.tolist())) > 1 else float("nan")


def show_results(found: Results) -> None:
    """Prints the best genomes and what accuracy goes with."""
    say(
        f"generation {found.generation}: {found.trained} trained, {found.foretold} foretold, {found.duplicates} known "
        "already"
    )
    if not found.best:
        say("No genome has been trained yet.")
        return
    columns = (
        "",
        "validation %",
        "test %",
        "parameters",
        "multiply-adds",
        "depth",
        "vertices",
        "generation",
        "by",
        "key",
    )
    table(columns, [
        (place, one.validation, one.test, one.parameters, one.multiply_adds, one.genome.depth, len(one.genome),
         one.generation, one.operator, one.genome.key[:12])
        for place, one in enumerate(found.best, start=1)
    ])  # fmt: skip
    if found.drawn is not None:
        say(f"A chain that was drawn by hand reaches {found.drawn:.4g} %; the best was chosen by the same images.")
    if not found.why:
        say("Too few genomes were trained, or all reach the same, to say what accuracy goes with.")
        return
    table(
        ("goes with accuracy", "R² lost without it", "95 % from", "to", "rank correlation"),
        [(one.feature, one.importance, one.low, one.high, one.correlation) for one in found.why],
    )
    say("Features that say nearly the same stand in for each other, and look unimportant one by one.")


def as_dict(found: Results) -> dict[str, Any]:
    """The same as plain values, for JSON; each genome as the line that `genome_from_text` reads."""
    from sparsewire.search.genome_files import genome_text

    best = [
        {
            "rank": place, **one._asdict(), "genome": genome_text(one.genome), "key": one.genome.key,
            "depth": one.genome.depth, "vertices": len(one.genome),
        }
        for place, one in enumerate(found.best, start=1)
    ]  # fmt: skip
    return {**found._asdict(), "best": best, "why": [one._asdict() for one in found.why]}

"""What a search has found, for the screen and as plain values: its best genomes, and what accuracy goes with."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from sparsewire.cli.screen import say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsewire.experiments.hidden_structures.search_readings import Study
    from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec
    from sparsewire.lab.store import Store
    from sparsewire.search.explaining import Reason
    from sparsewire.search.genotype import Genome

_SHOWN = 10
_FEATURES = 10


class Found(NamedTuple):
    """A genome that was trained: percent of validation and test images, its cost, and how the search came to it.

    Args:
        genome: itself.
        validation: percent of the images that candidates are chosen by.
        test: percent of images that nobody chose by.
        parameters: how many.
        multiply_adds: for an image.
        generation: in which it came up.
        operator: by which it did.
        forward_seconds: of a forward pass, where that was measured.
        chain: whether it beats the hand-drawn chain by all objectives, or is beaten; where there are several.
    """

    genome: "Genome"
    validation: float
    test: float
    parameters: int
    multiply_adds: int
    generation: int
    operator: str
    forward_seconds: float | None = None
    chain: str | None = None


class Results(NamedTuple):
    """What a search has found.

    Args:
        best: genomes, the most accurate first.
        drawn: percent that the hand-drawn genome reaches.
        trained: how many were.
        foretold: how many were not, but foretold.
        duplicates: how many came about that were known already.
        generation: where the search stands.
        why: what accuracy goes with, the most important first.
        regressor: what was asked for that, in words.
        front: of a search by several objectives, the genomes that none beats: nowhere worse, somewhere better.
        chain: the hand-drawn genome, to compare the front with.
    """

    best: list[Found]
    drawn: float | None
    trained: int
    foretold: int
    duplicates: int
    generation: int
    why: "Sequence[Reason]"
    regressor: str = ""
    front: "Sequence[Found]" = ()
    chain: Found | None = None


def results_of(first: "CandidateSpec", store: "Store") -> Results:
    """What the search of a first spec has found so far."""
    from sparsewire.experiments.hidden_structures.search import EXPERIMENT
    from sparsewire.experiments.hidden_structures.search_courses import worth_of
    from sparsewire.experiments.hidden_structures.search_fronts import beside_chain, front_of, has_front
    from sparsewire.experiments.hidden_structures.search_labels import foreteller
    from sparsewire.experiments.hidden_structures.search_readings import studies
    from sparsewire.lab.following import found_of

    stored = store.outcomes(EXPERIMENT.name, {EXPERIMENT.name: EXPERIMENT.spec})
    outcomes, _ = found_of(EXPERIMENT, [first], 1, stored)
    found = studies([outcome for outcome in outcomes if outcome.state != "failed"])
    if not found:
        return Results([], None, 0, 0, 0, 0, [])
    [study] = found
    front = front_of(study) if has_front(study) else {}
    return Results(
        _best(study),
        worth_of(study.known.get(first, ())),
        sum(len(course.tried) for course in study.courses),
        sum(course.foretold for course in study.courses),
        sum(course.state.duplicates for course in study.courses),
        min(course.state.generation for course in study.courses),
        _why(study),
        foreteller(first),
        [_found(study, spec)._replace(chain=beside_chain(study, values)) for spec, values in front.items()],
        _found(study, first) if front and worth_of(study.known.get(first, ())) is not None else None,
    )


def _best(study: "Study") -> list[Found]:
    """The genomes that were trained to an end, the best first; of equals the one that came first."""
    from sparsewire.experiments.hidden_structures.search_courses import worth_of

    worths = {spec: worth_of(study.known[spec]) or 0.0 for spec in study.genomes}
    return [_found(study, spec) for spec in sorted(worths, key=lambda spec: -worths[spec])[:_SHOWN]]


def _found(study: "Study", spec: "CandidateSpec") -> Found:
    from sparsewire.experiments.hidden_structures.search_readings import metric
    from sparsewire.experiments.hidden_structures.search_timing import MEASURED
    from sparsewire.experiments.hidden_structures.search_training import genome_of

    genome = genome_of(spec)
    names = "best validation accuracy", "test accuracy", "parameters", "multiply_adds", MEASURED
    validation, test, parameters, products, taken = (metric(study, spec, name) for name in names)
    came = [course.state[genome.key] for course in study.courses if any(one.spec == spec for one in course.tried)]
    generation, operator = (came[0].generation, came[0].operator) if came else (0, "hand")
    seconds = None if math.isnan(taken) else taken
    return Found(genome, validation, test, int(parameters), int(products), generation, operator, seconds)


def _why(study: "Study") -> "Sequence[Reason]":
    """The features that the regressor needs most to foretell accuracy; none where too few genomes were trained."""
    from sparsewire.experiments.hidden_structures.search_courses import space_of
    from sparsewire.experiments.hidden_structures.search_prediction import LEAST
    from sparsewire.experiments.hidden_structures.search_readings import table as table_of
    from sparsewire.experiments.hidden_structures.search_training import genome_of
    from sparsewire.search.explaining import reasons
    from sparsewire.search.states import Candidate, State

    worths = table_of(study)[1].tolist()
    if len(worths) < LEAST:
        return ()
    genomes = [genome_of(spec) for spec in study.genomes]
    tried = [
        Candidate(genome.key, genome, outcome="tried", values=(worth,))
        for genome, worth in zip(genomes, worths, strict=True)
    ]
    space = space_of(study.first, study.first.methods[0])
    return reasons(space, State(seed=0, history=tuple(tried)), study.first.regressor, most=_FEATURES)


def show_results(found: Results) -> None:
    """Prints the best genomes and what accuracy goes with."""
    say(
        f"generation {found.generation}: {found.trained} trained, {found.foretold} foretold, {found.duplicates} known "
        "already"
    )
    if not found.best:
        say("No genome has been trained yet.")
        return
    _table(found.best)
    if found.drawn is not None:
        say(f"A chain that was drawn by hand reaches {found.drawn:.4g} %; the best was chosen by the same images.")
    if found.front:
        _show_front(found)
    if not found.why:
        say("Too few genomes were trained, or all reach the same, to say what accuracy goes with.")
        return
    table(
        ("goes with accuracy", "R² lost without it", "95 % from", "to", "rank correlation"),
        [(one.feature, one.importance, one.low, one.high, one.rank_correlation) for one in found.why],
    )
    say(f"What {found.regressor} loses on genomes that it has not learnt from, when the feature is shuffled.")
    say("Features that say nearly the same stand in for each other, and look unimportant one by one.")


def _table(found: "Sequence[Found]", *, chain: Found | None = None) -> None:
    """The genomes, one a row; of a front with how each stands to the chain, whose row is the last one."""
    is_timed = any(one.forward_seconds is not None for one in found)
    is_front = any(one.chain is not None for one in found)
    columns = ("", "validation %", "test %", "parameters", "multiply-adds", *["ms"] * is_timed)
    more = ("depth", "vertices", "generation", "by", "key", *["the chain"] * is_front)
    rows = []
    for place, one in enumerate([*found, *([] if chain is None else [chain])], start=1):
        taken = None if one.forward_seconds is None else 1e3 * one.forward_seconds
        numbers = (one.validation, one.test, one.parameters, one.multiply_adds, *[taken] * is_timed)
        about = (one.genome.depth, len(one.genome), one.generation, one.operator, one.genome.key[:12])
        rows.append((None if one is chain else place, *numbers, *about, *[one.chain] * is_front))
    table((*columns, *more), rows)


def _show_front(found: Results) -> None:
    chain = (
        "The last row is the hand-drawn chain." if found.chain else "The hand-drawn chain was not trained to an end."
    )
    say(f"The front: genomes that no other of them beats (nowhere worse, somewhere better). {chain}")
    _table(found.front, chain=found.chain)
    if found.chain is not None:
        ahead = sum(one.chain == "beats it" for one in found.front)
        say(f"{ahead} of {len(found.front)} beat the hand-drawn chain: nowhere worse, somewhere better.")
    if any(one.forward_seconds is not None for one in found.front):
        from sparsewire.experiments.hidden_structures.search_timing import ABOUT_MEASURED

        say(f"ms: {ABOUT_MEASURED}.")


def as_dict(found: Results) -> dict[str, Any]:
    """The same as plain values, for JSON; each genome as the line that `genome_from_text` reads."""
    told: dict[str, Any] = {name: [_plain(one) for one in getattr(found, name)] for name in ("best", "front")}
    for each in told.values():
        for place, one in enumerate(each, start=1):
            one["rank"] = place
    chain = None if found.chain is None else _plain(found.chain)
    return {**found._asdict(), **told, "chain": chain, "why": [one._asdict() for one in found.why]}


def _plain(one: Found) -> dict[str, Any]:
    from sparsewire.search.genome_files import genome_text

    shape = {"key": one.genome.key, "depth": one.genome.depth, "vertices": len(one.genome)}
    return {**one._asdict(), "genome": genome_text(one.genome), **shape}

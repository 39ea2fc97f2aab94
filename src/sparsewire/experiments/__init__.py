"""The demo and the papers: what can be run, and the report of what was run.

This page imports neither torch nor the experiments, so that `sparsewire list` is quick; `find` loads what is asked for.
"""

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparsewire.errors import UnknownNameError
from sparsewire.experiments.catalogue import CATALOGUE as CATALOGUE
from sparsewire.experiments.catalogue import PAPERS as PAPERS
from sparsewire.experiments.catalogue import Entry as Entry

if TYPE_CHECKING:
    from sparsewire.lab.executors.contract import Order, Receipt
    from sparsewire.lab.experiment import Experiment, Outcome, Scale
    from sparsewire.lab.reporting.findings import Report, Section
    from sparsewire.lab.spec import Spec
    from sparsewire.lab.store import Store


def names(name: str | None = None) -> list[str]:
    """The full names that `name` stands for: itself, everything under "paper.", or all for None.

    Raises:
        UnknownNameError: nothing bears the name.

    Example:
        >>> names("demo"), len(names("lightning"))
        (['demo'], 8)
    """
    found = [full for full in CATALOGUE if name in (None, full, full.split(".")[0])]
    if not found:
        raise UnknownNameError("experiment", str(name), {*CATALOGUE, *(full.split(".")[0] for full in CATALOGUE)})
    return found


def find(name: str | None = None) -> "list[Experiment]":
    """The experiments that `name` stands for, loaded.

    Raises:
        UnknownNameError: nothing bears the name.
    """
    return [importlib.import_module(CATALOGUE[full].module).EXPERIMENT for full in names(name)]


def work(order: "Order") -> "Receipt":
    """Does a trial of one of these experiments: what an executor calls, wherever it is."""
    from sparsewire.lab.trials.work import do

    [experiment] = find(order.experiment)
    return do(experiment, order)


def kinds() -> "dict[str, type[Spec]]":
    """Which spec each experiment takes: what a store or a TOML file needs to be read."""
    return {experiment.name: experiment.spec for experiment in find()}


def report_of(name: str | None, store: "Store", what: "Scale | Sequence[Spec] | None" = None) -> "Report":
    """What the store knows of one experiment, of one paper, or (None) of all, ready to be shown.

    Args:
        name: as `find` takes it.
        store: an open store.
        what: whose trials to show: those of a scale, or of these specs; None takes the largest scale of which the store
            holds any, and where it holds none, all trials.

    Raises:
        UnknownNameError: nothing bears the name.
    """
    from sparsewire import __version__
    from sparsewire.lab.reporting.findings import Note, Report, Section

    sections: list[Section] = []
    shown: list[Outcome] = []
    for experiment in find(name):
        stored = store.outcomes(experiment.name, {experiment.name: experiment.spec})
        chosen, outcomes = _chosen(experiment, stored, what)
        shown += outcomes
        if outcomes:
            sections.append(_section(experiment, chosen, outcomes))
        elif name is not None:
            text = f"Nothing has been run yet: sparsewire run {experiment.name}"
            sections.append(Section(experiment.title, experiment.source, "", (Note(text),)))
    if not sections:
        sections.append(Section("Nothing yet", "", "", (Note("This store holds no finished trials: sparsewire list"),)))
    return Report(
        title=sections[0].title if len(sections) == 1 else PAPERS.get(str(name), "Results"),
        subtitle="sparsewire: sparse neural networks, from data to report",
        facts=(
            ("trials", f"{len(shown)}"),
            ("training", f"{sum(outcome.seconds for outcome in shown):,.0f} s on one thread"),
            *((label, ", ".join(_environments(shown, key))) for label, key in (("CPU", "cpu"), ("torch", "torch"))),
            ("sparsewire", __version__),
        ),
        sections=tuple(sections),
    )


def _environments(outcomes: "Sequence[Outcome]", key: str) -> list[str]:
    return sorted({outcome.environment.get(key, "not known") for outcome in outcomes}) or ["-"]


def _chosen(
    experiment: "Experiment", outcomes: "Sequence[Outcome]", what: "Scale | Sequence[Spec] | None"
) -> "tuple[str, list[Outcome]]":
    """What is shown, in a word, and its outcomes."""
    from sparsewire.lab.following import found_of

    scales: tuple[Scale, ...] = ("full", "desk", "smoke")
    choices: list[tuple[str, Sequence[Spec], int]] = [
        (f"{scale} scale", experiment.specs(scale), experiment.seeds[scale])
        for scale in scales
        if what in (None, scale)
    ]
    if what is not None and not isinstance(what, str):
        choices = [("own spec", what, 1)]
    best: tuple[str, list[Outcome]] = ("own specs", [] if what is not None else list(outcomes))
    found_before = 0
    for word, specs, seeds in choices:
        found, is_all = found_of(experiment, specs, seeds, outcomes)
        if is_all:
            return word, found
        # Two scales may share their specs and differ in the number of seeds: then the smaller one's word is right.
        if found and len(found) >= found_before:
            best, found_before = (word, found), len(found)
    return best


def _section(experiment: "Experiment", word: str, outcomes: "Sequence[Outcome]") -> "Section":
    """The findings of the trials that were done, and a note for each of the others."""
    import dataclasses

    from sparsewire.lab.reporting.findings import Note, Section

    shown = ("done",) if experiment.follow is None else ("done", "diverged")
    done = [outcome for outcome in outcomes if outcome.state in shown]
    section = experiment.findings(done) if done else Section(experiment.title, experiment.source, "", ())
    reasons: dict[str, list[int]] = {}
    for outcome in outcomes:
        if outcome.state != "done":
            reasons.setdefault(f"{outcome.state}: {outcome.reason}", []).append(outcome.seed)
    lost = [Note(f"{_seeds(seeds)} {reason}") for reason, seeds in reasons.items()]
    intro = f"{section.intro} {word.capitalize()}, {len(outcomes)} {'trial' if len(outcomes) == 1 else 'trials'}."
    return dataclasses.replace(section, intro=intro.strip(), blocks=(*section.blocks, *lost))


def _seeds(seeds: "Sequence[int]") -> str:
    """The seeds of trials, in words."""
    return f"Seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} trials, the first of seed {seeds[0]},"

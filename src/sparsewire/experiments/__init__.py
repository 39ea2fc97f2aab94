"""The demo and the papers: what can be run, and the report of what was run.

This page imports neither torch nor the experiments, so that `sparsewire list` is quick; `find` loads what is asked for.
"""

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sparsewire.errors import UnknownNameError

if TYPE_CHECKING:
    from sparsewire.lab.executors.contract import Order, Receipt
    from sparsewire.lab.experiment import Experiment, Outcome, Scale
    from sparsewire.lab.reporting.findings import Report, Section
    from sparsewire.lab.spec import Spec
    from sparsewire.lab.store import Store

# What the part of a name before the dot stands for.
PAPERS = {
    "lightning": "Dense neural networks as sparse graphs and the lightning initialization",
    "predefined": "Characterizing sparse connectivity patterns in neural networks",
    "hidden_structures": "Experiments on properties of hidden structures of sparse neural networks",
    "supermasks": "Finding dense supermasks in randomly initialized neural networks",
    "initial_pruning": "What to prune and what not to prune at initialization",
}
LIGHTNING = f"Pircher, Haspel, Schlücker: {PAPERS['lightning']}"
PREDEFINED = f"Dey, Huang, Beerel, Chugg 2018: {PAPERS['predefined']}"
HIDDEN = f"Stier, Darji, Granitzer 2021: {PAPERS['hidden_structures']}"
SUPERMASKS = f"Sándor 2020: {PAPERS['supermasks']}"
INITIAL = f"Haroon 2022: {PAPERS['initial_pruning']}"


class Entry(NamedTuple):
    """One experiment, as the catalogue lists it."""

    module: str
    title: str
    source: str


CATALOGUE = {
    "demo": Entry(
        "sparsewire.experiments.demo",
        "Dense and sparse networks on handwritten digits, from data to report",
        "sparsewire's own",
    ),
    "lightning.rebuild": Entry(
        "sparsewire.experiments.lightning.rebuild",
        "A child network rebuilt from its parent's sparse graph",
        f"{LIGHTNING}, Tables 1 and 2",
    ),
    "lightning.path_curves": Entry(
        "sparsewire.experiments.lightning.path_curves",
        "How many edges it takes to connect inputs with outputs",
        f"{LIGHTNING}, Figure 3",
    ),
    "lightning.path_training": Entry(
        "sparsewire.experiments.lightning.path_training",
        "Training moves the strongest edges onto complete paths",
        f"{LIGHTNING}, Figure 4",
    ),
    "lightning.initializations": Entry(
        "sparsewire.experiments.lightning.initializations",
        "Lightning against the usual initialisations",
        f"{LIGHTNING}, Figures 5 and 6",
    ),
    "lightning.robustness": Entry(
        "sparsewire.experiments.lightning.robustness",
        "Number and strength of lightnings, over network sizes",
        f"{LIGHTNING}, Figure 7",
    ),
    "lightning.lenet5": Entry(
        "sparsewire.experiments.lightning.lenet5",
        "Lightnings in the dense tail of LeNet-5, on CIFAR-10",
        f"{LIGHTNING}, Table 4a and Figure 8a",
    ),
    "lightning.resnet": Entry(
        "sparsewire.experiments.lightning.resnet",
        "Lightnings in the dense tail of a ResNet, on CIFAR-10",
        f"{LIGHTNING}, Table 4b and Figure 8b",
    ),
    "lightning.cifar_rebuild": Entry(
        "sparsewire.experiments.lightning.cifar_rebuild",
        "A LeNet-5 rebuilt from its parent's convolutions and sparse graph, on CIFAR-10",
        f"{LIGHTNING}, Tables 5 to 8",
    ),
    "predefined.tables": Entry(
        "sparsewire.experiments.predefined.tables",
        "Densities and savings of sparse connected layers, counted from the networks",
        f"{PREDEFINED}, Tables 1 and 2",
    ),
    "predefined.cifar10": Entry(
        "sparsewire.experiments.predefined.cifar10",
        "CIFAR-10 with some in a thousand of the connections behind the convolutions",
        f"{PREDEFINED}, Figure 1 (a)–(c)",
    ),
    "predefined.cifar100": Entry(
        "sparsewire.experiments.predefined.cifar100",
        "CIFAR-100 with some in a thousand of the connections behind the convolutions",
        f"{PREDEFINED}, Figure 1 (d)–(f)",
    ),
    "predefined.mnist_conv": Entry(
        "sparsewire.experiments.predefined.mnist_conv",
        "A small convolutional network on MNIST with sparse connected layers",
        f"{PREDEFINED}, Figure 2 (a, b)",
    ),
    "predefined.mnist": Entry(
        "sparsewire.experiments.predefined.mnist_dense",
        "Half of the connections, and large sparse networks against small dense ones",
        f"{PREDEFINED}, Figure 2 (c)",
    ),
    "predefined.morse": Entry(
        "sparsewire.experiments.predefined.morse_density",
        "Morse code: how many connections it takes",
        f"{PREDEFINED}, Figure 3 (a)",
    ),
    "predefined.morse_split": Entry(
        "sparsewire.experiments.predefined.morse_split",
        "Morse code: which junction wants the connections more",
        f"{PREDEFINED}, Figure 3 (b, c) and Appendix 5.1",
    ),
    "predefined.scatter": Entry(
        "sparsewire.experiments.predefined.scatter_accuracy",
        "Does scatter tell which pattern learns better?",
        f"{PREDEFINED}, after section 3, design our own",
    ),
    "hidden_structures.relative": Entry(
        "sparsewire.experiments.hidden_structures.relative",
        "Pruned step by step: five methods, and the same network trained on without pruning",
        f"{HIDDEN}, Figure 2a",
    ),
    "hidden_structures.retraining": Entry(
        "sparsewire.experiments.hidden_structures.retraining",
        "Two epochs of retraining after each pruning, or as many as it takes",
        f"{HIDDEN}, section 4.1",
    ),
    "hidden_structures.fixed_size": Entry(
        "sparsewire.experiments.hidden_structures.fixed_size",
        "Pruned in steps of equal size",
        f"{HIDDEN}, section 4.1",
    ),
    "hidden_structures.one_shot": Entry(
        "sparsewire.experiments.hidden_structures.one_shot",
        "Pruned at once, with layer-wise Optimal Brain Surgeon among the methods",
        f"{HIDDEN}, section 4.1",
    ),
    "hidden_structures.lenet": Entry(
        "sparsewire.experiments.hidden_structures.lenet",
        "LeNet-300-100 pruned step by step",
        f"{HIDDEN}, section 4.1",
    ),
    "hidden_structures.baselines": Entry(
        "sparsewire.experiments.hidden_structures.baselines",
        "A pruned network beside weight decay and dropout",
        f"{HIDDEN}, section 4.1",
    ),
    "hidden_structures.recurrent": Entry(
        "sparsewire.experiments.hidden_structures.recurrent",
        "How much of a recurrent network can be removed, and what comes back",
        f"{HIDDEN}, section 4.2, Figures 2b, 5a and 5b",
    ),
    "supermasks.lenet": Entry(
        "sparsewire.experiments.supermasks.lenet",
        "Smaller networks inside an untrained LeNet-300-100, by four methods",
        f"{SUPERMASKS}, Figures 1 and 2",
    ),
    "supermasks.wide": Entry(
        "sparsewire.experiments.supermasks.wide",
        "A smaller network inside an untrained one ten times as wide",
        f"{SUPERMASKS}, Figure 3",
    ),
    "initial_pruning.starts": Entry(
        "sparsewire.experiments.initial_pruning.starts_table",
        "K random masks compete: a single layer after 10 to 10,000 iterations",
        f"{INITIAL}, Table 1",
    ),
    "initial_pruning.methods": Entry(
        "sparsewire.experiments.initial_pruning.methods",
        "Four ways to prune before and early in training, over nine sparsities",
        f"{INITIAL}, Figure 2",
    ),
    "initial_pruning.subsets": Entry(
        "sparsewire.experiments.initial_pruning.subsets",
        "A single layer that sees only some images, dense and at several sparsities",
        f"{INITIAL}, Figure 3 (a, b)",
    ),
    "initial_pruning.ranking": Entry(
        "sparsewire.experiments.initial_pruning.ranking",
        "All ways to choose connections before and early in training, on one budget",
        "sparsewire's own study",
    ),
}


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
    from sparsewire.lab.spec import run_id

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
        wanted = {run_id(spec) for spec in specs}
        found = [outcome for outcome in outcomes if run_id(outcome.spec) in wanted]
        if len(found) >= len(specs) * seeds:
            return word, found
        # Two scales may share their specs and differ in the number of seeds: then the smaller one's word is right.
        if found and len(found) >= found_before:
            best, found_before = (word, found), len(found)
    return best


def _section(experiment: "Experiment", word: str, outcomes: "Sequence[Outcome]") -> "Section":
    """The findings of the trials that were done, and a note for each of the others."""
    import dataclasses

    from sparsewire.lab.reporting.findings import Note, Section

    done = [outcome for outcome in outcomes if outcome.state == "done"]
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

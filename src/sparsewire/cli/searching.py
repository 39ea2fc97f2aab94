"""The command that searches for architectures, each candidate a trial of the store, and shows a genome."""

from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sparsewire.cli.choices import STORE, Duration, OneOf, outputs
from sparsewire.cli.endings import FAILED, STOPPED
from sparsewire.cli.helping import Command
from sparsewire.cli.running import executor_of
from sparsewire.cli.screen import give_json, progress, say
from sparsewire.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec
    from sparsewire.lab.executors.contract import Executor
    from sparsewire.lab.experiment import Outcome
    from sparsewire.lab.spec import Spec
    from sparsewire.lab.store import Store
    from sparsewire.lab.trials.progress import Progress
    from sparsewire.lab.trials.summary import Summary

FILE = click.Path(path_type=Path)
COUNT = click.IntRange(min=1)
DATA = ("digits", "mnist", "cifar10")
METHODS = ("genetic", "regularised", "random", "nsga2")
OBJECTIVES = ("accuracy", "parameters", "multiply_adds", "seconds")
_BOTH = ("accuracy", "parameters")  # what nsga2 looks at, unless told
_FORMATS = (".json", ".graphml")
_MOST = 10_000_000  # trainings, where generations are the bound


@click.command(
    cls=Command,
    example="""sparsewire search
sparsewire search --data cifar10 --population 30 --trainings 200 --budget 2h --genome best.graphml
sparsewire search --method random -s searches=5 --workers 2 --store runs
sparsewire search --method nsga2 --objectives accuracy,parameters,seconds
sparsewire search --show best.graphml --data cifar10""",
)
@click.option("--data", type=OneOf("data", lambda: DATA), default="digits", show_default=True)
@click.option("--method", type=OneOf("method", lambda: METHODS), default="genetic", show_default=True)
@click.option("--objectives", metavar="NAME,NAME", help="What nsga2 looks at: accuracy, then what there shall be "
              "little of: parameters (alone unless told), multiply_adds, seconds (a forward pass’s).")  # fmt: skip
@click.option("--population", type=click.IntRange(min=2), metavar="N", help="How many genomes live at a time.")
@click.option("--generations", type=COUNT, metavar="N", help="How many follow the first.")
@click.option("--trainings", type=COUNT, metavar="N", help="How many candidates are trained at most.")
@click.option("--epochs", type=COUNT, metavar="N", help="Of each training.")
@click.option("--no-surrogate", is_flag=True, help="Train every candidate; foretell none from its structure.")
@click.option("-s", "--set", "sets", multiple=True, metavar="FIELD=VALUE",
              help="Any other field; `sparsewire list hidden_structures.search` shows them.")  # fmt: skip
@click.option("--executor", metavar="NAME", default="auto", help="Who trains: see `sparsewire run --help`.")
@click.option("--workers", type=COUNT, metavar="N", help="How many trainings at a time; one for each core.")
@click.option("--store", type=FILE, default=STORE, show_default=True, help="The folder of the runs.")
@click.option("--budget", type=Duration(), metavar="TIME", help="Stop after so long, such as 30m or 2h.")
@click.option("--genome", type=FILE, metavar="FILE", help="Write the best as .json or .graphml; by default best.json "
              "in the store.")  # fmt: skip
@click.option("--html", type=FILE, metavar="FILE", help="Write the report; by default search.html in the store.")
@click.option("--show", type=FILE, metavar="FILE", help="Do not search: show the genome of a file, and what it costs "
              "with the images of --data as a search takes them; -s side=0: with whole ones.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of tables.")
def search(
    data: str, method: str, objectives: str | None, population: int | None, generations: int | None,
    trainings: int | None, epochs: int | None, no_surrogate: bool, sets: tuple[str, ...], executor: str,
    workers: int | None, store: Path, budget: float | None, genome: Path | None, html: Path | None, show: Path | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Search for a convolutional architecture, or go on with a search.

    Genomes are graphs of convolutions, pooling, sums, concatenations and skips. The genetic search mutates them, trains
    half of what is new, and foretells the other half from 56 features of its structure. Then the best are shown, and
    the features that accuracy goes with; with nsga2, for several objectives, the genomes that none beats (nowhere
    worse, somewhere better), too. Each training is a trial of the store: stop the search at any time, the same command
    goes on where it was and finds the same.
    """
    if show is not None:
        searching = objectives, population, generations, trainings, epochs, budget, genome, html, workers
        is_search = any(option is not None for option in searching) or no_surrogate
        return _show(show, data, sets, as_json, is_search or (method, executor) != ("genetic", "auto"))
    if no_surrogate and method != "genetic":
        raise RequestError(f"--no-surrogate: found together with --method {method}, which foretells nothing anyway")
    genome, html = genome or store / "best.json", html or store / "search.html"
    if genome.suffix not in _FORMATS:
        raise RequestError(f"--genome: found {genome}, expected a file that ends with {' or '.join(_FORMATS)}")
    outputs({"--genome": genome, "--html": html}, store / "store.sqlite")
    numbers = {"population": population, "generations": generations, "trainings": trainings, "epochs": epochs}
    aims = _objectives(method, objectives)
    first = _first(data, "all_trained" if no_surrogate else method, numbers, sets, aims)
    _check(first)
    with ExitStack() as stack:
        summary, opened = _searched(stack, first, store, executor, workers, budget)
        if summary.interrupted:
            click.echo(str(summary), err=True)
            return STOPPED
        _tell(first, opened, summary, genome, html, as_json)
    return FAILED if summary.failed else 0


def _objectives(method: str, text: str | None) -> tuple[str, ...]:
    """What the option asks for; accuracy and parameters where nsga2 is told nothing."""
    if method != "nsga2":
        if text is not None:
            raise RequestError(
                f"--objectives: found {text!r:.60} with --method {method}, which looks at accuracy alone; "
                "set --method nsga2"
            )
        return OBJECTIVES[:1]
    names = _BOTH if text is None else tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in OBJECTIVES:
            raise UnknownNameError("objective", name, OBJECTIVES)
    if names[0] != "accuracy" or not 1 < len(names) == len(set(names)):
        raise RequestError(
            f"--objectives: found {text!r:.60}, expected accuracy first, then at least one more, each once, such as "
            f"{','.join(_BOTH)}"
        )
    return names


def _check(first: "CandidateSpec") -> None:
    """Draws the first genomes, before anything is trained or written: limits that none holds are told at once."""
    from sparsewire.experiments.hidden_structures.search_courses import course_of, searches_of

    course_of(searches_of(first)[0], {})


def _first(
    data: str, method: str, numbers: dict[str, int | None], sets: tuple[str, ...],
    objectives: tuple[str, ...] = OBJECTIVES[:1],
) -> "CandidateSpec":  # fmt: skip
    """The first spec of one search: that of desk scale for the data, as the options change it."""
    from pydantic import ValidationError

    from sparsewire.experiments.hidden_structures.search import EXPERIMENT
    from sparsewire.experiments.hidden_structures.search_setup import CandidateSpec
    from sparsewire.lab.specs.overrides import apply_overrides

    plans = {str(spec.model_dump()["data"]): spec.model_dump() for spec in EXPERIMENT.specs("desk")}
    plan = plans.get(data) or plans["cifar10"]
    own: dict[str, Any] = {name: number for name, number in numbers.items() if number is not None}
    own |= {"data": data, "methods": (method,), "searches": 1, "objectives": objectives}
    if "generations" in own and "trainings" not in own:
        own["trainings"] = _MOST
    try:
        spec = CandidateSpec.model_validate({**plan, **own})
    except ValidationError as cause:
        fault = cause.errors()[0]
        option = "".join(f"--{part}: " for part in fault["loc"][:1])
        raise RequestError(f"{option}{fault['msg']}; found {fault['input']!r:.80}") from None
    [changed] = apply_overrides([spec], sets)
    if changed.genome:
        raise RequestError(f"-s genome: found {changed.genome!r:.80}, but a search begins without one; see --show")
    return changed


class _Standing(NamedTuple):
    """Where the searches are, in words, and how much of them is behind, from 0 to 1."""

    words: str
    share: float


def _searched(
    stack: ExitStack, first: "CandidateSpec", folder: Path, executor: str, workers: int | None, budget: float | None
) -> "tuple[Summary, Store]":
    """Does the trainings, and what follows from them, until the search is over or is stopped."""
    from dataclasses import replace

    from sparsewire.experiments.hidden_structures.search import EXPERIMENT
    from sparsewire.lab.runner import run
    from sparsewire.lab.store import Store

    if executor == "auto":
        executor = "local" if workers != 1 and find_spec("distributed") is not None else "here"
    # A store that is in use says so at once; a new one is not made before the request has proved right.
    opened = stack.enter_context(Store.open(folder)) if (folder / "store.sqlite").exists() else None
    doer: Executor | None = executor_of(stack, executor, workers)
    store = opened or stack.enter_context(Store.open(folder))
    standing, rounds = _Standing("a chain drawn by hand", 0.0), -1

    def follow(specs: "Sequence[Spec]", outcomes: "Sequence[Outcome]") -> "Sequence[Spec]":
        nonlocal standing
        assert EXPERIMENT.follow is not None
        found = EXPERIMENT.follow(specs, outcomes)
        standing = _standing(first, outcomes)
        return found

    with progress("search") as tell:

        def moved(now: "Progress") -> None:
            nonlocal rounds
            failed = f", {now.failed} failed" if now.failed else ""
            # A generation may take hours: on a terminal each training is seen, and comes first as long notes are cut.
            trained = "" if now.rounds != rounds or not now.is_open else f"{now.done} of {now.total} so far; "
            tell(standing.share, f"{trained}{standing.words}{failed}", now.rounds != rounds)
            rounds = now.rounds

        summary = run(
            replace(EXPERIMENT, follow=follow), [first], store, seeds=1, progress=moved, executor=doer, budget=budget
        )
        tell(standing.share if summary.is_open else 1.0, standing.words, True)
    return summary, store


def _standing(first: "CandidateSpec", outcomes: "Sequence[Outcome]") -> _Standing:
    from sparsewire.experiments.hidden_structures.search_courses import course_of, known_of, searches_of

    known = known_of(outcomes)
    courses = [course_of(search, known) for search in searches_of(first)]
    values = [one.worth for course in courses for one in course.tried if one.worth is not None]
    best = f"best {max(values):.1f} %" if values else "none yet"
    trained, foretold = (
        sum(counts) for counts in zip(*((len(one.tried), one.foretold) for one in courses), strict=True)
    )
    duplicates = sum(course.state.duplicates for course in courses)
    generation = min(course.state.generation for course in courses)
    shares = [len(one.tried) / first.trainings for one in courses]
    if first.generations:
        shares = [max(s, one.state.generation / first.generations) for s, one in zip(shares, courses, strict=True)]
    words = f"generation {generation}: {best}, {trained} trained, {foretold} foretold, {duplicates} known already"
    return _Standing(words, min(1.0, sum(shares) / len(shares)))


def _tell(first: "CandidateSpec", store: "Store", summary: "Summary", genome: Path, html: Path, as_json: bool) -> None:
    from sparsewire.cli.search_results import as_dict, results_of, show_results
    from sparsewire.experiments import report_of
    from sparsewire.lab.report import write_html
    from sparsewire.search.genome_files import write_genome

    found = results_of(first, store)
    written: dict[str, Path] = {}
    if found.best:
        write_genome(found.best[0].genome, genome)
        written["genome"] = genome
    report = report_of(summary.experiment, store, [first])
    write_html(report, html)
    written["report"] = html
    if as_json:
        if summary.failed:
            click.echo(str(summary), err=True)
        give_json(
            {**as_dict(found), "over": not summary.is_open, **{name: str(path) for name, path in written.items()}}
        )
        return
    say(str(summary))
    show_results(found)
    for name, path in written.items():
        say(f"{name}: {path}")


def _show(path: Path, data: str, sets: tuple[str, ...], as_json: bool, is_search: bool) -> int:
    """A page about the genome of a file, with the images that a search would train it on."""
    if is_search:
        raise RequestError(f"--show: found {path} together with an option of a search; only --data and -s go with it")
    from sparsewire.experiments.hidden_structures.search_setup import CLASSES, shape_of
    from sparsewire.search.costing import genome_cost
    from sparsewire.search.genome_files import genome_text, read_genome
    from sparsewire.search.summarising import summary

    genome = read_genome(path)
    shape = shape_of(_first(data, "genetic", {}, sets))
    if not as_json:
        say(summary(genome, shape, CLASSES))
        return 0
    cost = genome_cost(genome, shape, CLASSES)
    give_json({
        "file": str(path), "genome": genome_text(genome), "key": genome.key, "vertices": len(genome),
        "edges": len(genome.edges), "depth": genome.depth, "image": shape, "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds, "activation_bytes": cost.activation_bytes,
    })  # fmt: skip
    return 0

"""The commands around experiments: run, list, report."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsewire.cli.choices import SCALES, STORE, ExperimentName, OneOf, Runnable, outputs
from sparsewire.cli.endings import FAILED, STOPPED
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import console, give_json, progress, say, table
from sparsewire.errors import RequestError

if TYPE_CHECKING:
    from sparsewire.lab.experiment import Experiment, Scale
    from sparsewire.lab.runner import Progress, Summary
    from sparsewire.lab.spec import Spec
    from sparsewire.lab.store import Store

FILE = click.Path(path_type=Path)
store_option = click.option("--store", type=FILE, default=STORE, show_default=True, help="The folder of the runs.")
scale_option = click.option("--scale", type=OneOf("scale", lambda: SCALES), help="How much of it.")


@click.command(cls=Command, example="sparsewire run demo\nsparsewire run lightning --scale smoke --seeds 3")
@click.argument("name", type=Runnable(), metavar="NAME|SPEC.toml")
@click.option(
    "--scale",
    type=OneOf("scale", lambda: SCALES),
    help="smoke: seconds; desk (unless told): minutes to two hours on two cores; full: as published.",
)
@store_option
@click.option(
    "--seeds", type=click.IntRange(min=1), metavar="N", help="How many repetitions, in place of its own number."
)
@click.option("--html", type=FILE, metavar="FILE", help="Also write the report as one HTML page.")
def run(name: str, scale: "Scale | None", store: Path, seeds: int | None, html: Path | None) -> int:
    """Run an experiment, or go on with it.

    Does the trials that are not done yet, then prints what was found.

    NAME is an experiment or a paper (all of its experiments; `sparsewire list` shows them), SPEC.toml a file that
    describes one run. Stop it at any time: the same command goes on where it was. `run demo` also writes an HTML page,
    report.html in the store, unless --html names another.
    """
    if html is None and name == "demo":
        html = store / "report.html"
    outputs({"--html": html}, Path(name) if _is_spec(name) else None)
    jobs = _jobs(name, scale, seeds)

    from sparsewire.lab.store import Store

    with Store.open(store) as opened:
        summaries = []
        for experiment, what, count in jobs:
            summaries.append(_do(experiment, what, opened, count))
            say(str(summaries[-1]))
            if summaries[-1].interrupted:
                return STOPPED
        [(experiment, what, _), *_] = jobs
        _show(experiment.name if _is_spec(name) else name, opened, what, html)
    return FAILED if any(summary.failed for summary in summaries) else 0


Job = tuple["Experiment", "Scale | list[Spec]", int | None]


def _is_spec(name: str) -> bool:
    return name.endswith(".toml")


def _jobs(name: str, scale: "Scale | None", seeds: int | None) -> list[Job]:
    """What is to be run: (experiment, scale or specs, seeds)."""
    if not _is_spec(name):
        from sparsewire.experiments import find, names

        names(name)  # an unknown one is told before anything heavy loads
        return [(experiment, scale or "desk", seeds) for experiment in find(name)]
    if scale is not None:
        raise RequestError(f"--scale: found {scale!r} together with {name}; a spec says itself how much it does")
    from sparsewire.experiments import find, kinds
    from sparsewire.lab.spec import read_spec

    file = read_spec(name, kinds())
    return [(find(file.spec.experiment)[0], [file.spec], seeds or file.seeds or 1)]


def _do(experiment: "Experiment", what: "Scale | list[Spec]", store: "Store", seeds: int | None) -> "Summary":
    from sparsewire.lab.runner import run as do_trials

    with progress(experiment.name) as tell:

        def watch(now: "Progress") -> None:
            ended = now.fraction == 1 and now.note in ("done", "failed", "diverged")
            within = 0 if ended else now.fraction
            note = f"trial {now.done if ended else now.done + 1} of {now.total}, seed {now.seed}: {now.note}"
            tell((now.done + within) / max(1, now.total), note, ended)

        return do_trials(experiment, what, store, seeds=seeds, progress=watch)


def _show(name: str, store: "Store", what: "Scale | list[Spec]", html: Path | None) -> None:
    from sparsewire.experiments import report_of
    from sparsewire.lab import report as reports

    report = report_of(name, store, what)
    reports.print_report(report, console())
    if html is not None:
        reports.write_html(report, html)
        say(f"report: {html}")


@click.command("list", cls=Command, example="sparsewire list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Show what can be run."""
    from sparsewire.experiments import CATALOGUE

    if as_json:
        rows: Any = [{"name": name, "title": entry.title, "source": entry.source} for name, entry in CATALOGUE.items()]
        give_json({"experiments": rows})
        return
    table(("name", "what it shows", "source"), [(name, entry.title, entry.source) for name, entry in CATALOGUE.items()])
    say("sparsewire run NAME does it; the part before the dot stands for the whole paper.")


@click.command(cls=Command, example="sparsewire report lightning.rebuild --html report.html --csv trials.csv")
@click.argument("name", type=ExperimentName(), required=False)
@scale_option
@store_option
@click.option("--html", type=FILE, metavar="FILE", help="Write one HTML page with all tables and pictures.")
@click.option("--csv", type=FILE, metavar="FILE", help="Write one row a trial.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of tables.")
def report(
    name: str | None, scale: "Scale | None", store: Path, html: Path | None, csv: Path | None, as_json: bool
) -> None:
    """Show what was found so far.

    Published numbers, ours, and how they compare; without NAME: of everything that the store holds. Other runs may be
    writing into the store meanwhile.
    """
    from sparsewire.experiments import find, names, report_of

    names(name)
    outputs({"--html": html, "--csv": csv}, store / "store.sqlite")

    from sparsewire.lab import report as reports
    from sparsewire.lab.export import to_csv
    from sparsewire.lab.store import Store

    with Store.open(store, write=False) as opened:
        found = report_of(name, opened, scale)
        if csv is not None:
            to_csv([outcome for one in find(name) for outcome in opened.outcomes(one.name, {one.name: one.spec})], csv)
        if html is not None:
            reports.write_html(found, html)
        if as_json:
            click.echo(reports.claims_as_json(found))
            return
        reports.print_report(found, console())
    for path in (html, csv):
        if path is not None:
            say(f"written: {path}")

"""The command that runs experiments."""

from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparsewire.cli.choices import SCALES, STORE, Duration, OneOf, Runnable, outputs
from sparsewire.cli.endings import FAILED, STOPPED
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import console, say
from sparsewire.cli.sweep_screen import watching
from sparsewire.errors import RequestError
from sparsewire.experiments import names

if TYPE_CHECKING:
    from sparsewire.lab.executors.contract import Executor
    from sparsewire.lab.experiment import Experiment, Scale
    from sparsewire.lab.spec import Spec
    from sparsewire.lab.store import Store
    from sparsewire.lab.trials.summary import Summary

FILE = click.Path(path_type=Path)
_FEW = 4  # trials for which starting workers takes longer than it saves
_EXAMPLE = """sparsewire run demo
sparsewire run lightning --scale smoke --seeds 3
sparsewire run lightning.robustness -s epochs=5 -g lightnings=100,1000 --workers 2 --budget 2h"""


@click.command(cls=Command, example=_EXAMPLE)
@click.argument("name", type=Runnable(), metavar="NAME|SPEC.toml")
@click.option(
    "--scale",
    type=OneOf("scale", lambda: SCALES),
    help="smoke: seconds; desk (unless told): minutes to two hours on two cores; full: as published.",
)
@click.option("--store", type=FILE, default=STORE, show_default=True, help="The folder of the runs.")
@click.option(
    "--seeds", type=click.IntRange(min=1), metavar="N", help="How many repetitions, in place of its own number."
)
@click.option("-s", "--set", "sets", multiple=True, metavar="FIELD=VALUE", help="Change a field of every spec.")
@click.option("-g", "--grid", "grids", multiple=True, metavar="FIELD=V,V", help="Every spec with each of these values.")
@click.option(
    "--executor",
    metavar="NAME",
    default="auto",
    help="Who does the trials: here, local, tcp://HOST:PORT, slurm:FILE.toml, kubernetes:FILE.toml; auto: local for "
    "more than a few trials, where `distributed` is installed.",
)
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="How many at a time; one for each core.")
@click.option("--budget", type=Duration(), metavar="TIME", help="Stop after so long, such as 30m or 2h.")
@click.option("--every", type=Duration(), default="30s", show_default=True, help="Between two checkpoints of a trial.")
@click.option("--log", "loggers", multiple=True, metavar="LOGGER", help="Also: tensorboard, mlflow, wandb, jsonl.")
@click.option("--html", type=FILE, metavar="FILE", help="Also write the report as one HTML page.")
def run(
    name: str,
    scale: "Scale | None",
    store: Path,
    seeds: int | None,
    sets: tuple[str, ...],
    grids: tuple[str, ...],
    executor: str,
    workers: int | None,
    budget: float | None,
    every: float,
    loggers: tuple[str, ...],
    html: Path | None,
) -> int:
    """Run an experiment, or go on with it.

    Does the trials that are not done yet, then prints what was found.

    NAME is an experiment or a paper (all of its experiments; `sparsewire list` shows them), SPEC.toml a file that
    describes runs. Stop it at any time, by Ctrl-C or otherwise: the same command goes on where it was, in the middle of
    a training too. `run demo` also writes an HTML page, report.html in the store, unless --html names another.
    """
    if html is None and name == "demo":
        html = store / "report.html"
    outputs({"--html": html}, Path(name) if _is_spec(name) else None)
    if not _is_spec(name):
        names(name)  # an unknown one is told before anything heavy loads
    from sparsewire.lab.store import Store
    from sparsewire.lab.trials.loggers import chosen

    chosen(loggers)
    with ExitStack() as stack:
        # A store that is in use says so at once; a new one is not made before the request has proved right.
        opened = stack.enter_context(Store.open(store)) if (store / "store.sqlite").exists() else None
        # Workers that were asked for by name start while the experiments load.
        doer = executor_of(stack, executor, workers) if executor not in ("auto", "here") else None
        jobs = _jobs(name, scale, seeds, sets, grids)
        opened = opened or stack.enter_context(Store.open(store))
        if doer is None:
            is_many = _are_many(jobs, opened) if workers is None else workers > 1
            is_local = executor == "auto" and is_many and find_spec("distributed") is not None
            doer = executor_of(stack, "local" if is_local else "here", workers)
        summaries, told = [], _tell_refusals(opened, 0)
        for job in jobs:
            summaries.append(_do(job, opened, doer, budget, every, loggers))
            say(str(summaries[-1]))
            told = _tell_refusals(opened, told)
            if summaries[-1].interrupted:
                return STOPPED
            if budget is not None:
                budget = max(1e-9, budget - summaries[-1].seconds)
        _show(jobs[0].experiment.name if _is_spec(name) else name, opened, _shown(jobs), html)
    return FAILED if any(summary.failed for summary in summaries) else 0


def _tell_refusals(store: "Store", told: int) -> int:
    """Says what in the spool is no parcel, but for so many that were told; how many have been told now."""
    for refused in store.refusals[told:]:
        say(f"{refused.name} in {store.folder / 'spool'} is no parcel of a trial: {refused.reason}")
    return len(store.refusals)


@dataclass(frozen=True)
class _Job:
    """An experiment, what of it is to be run, and the seeds of each spec; None: its own."""

    experiment: "Experiment"
    what: "Scale | list[Spec]"
    seeds: int | tuple[int, ...] | None

    def left(self, store: "Store") -> int:
        """How many trials the store does not hold yet."""
        from sparsewire.lab.runner import trials_left

        return trials_left(self.experiment, self.what, store, seeds=self.seeds)


def _are_many(jobs: "list[_Job]", store: "Store") -> bool:
    """Whether enough trials are left for workers to be worth their start, or more may follow than are known."""
    return any(job.experiment.follow for job in jobs) or sum(job.left(store) for job in jobs) >= _FEW


def _shown(jobs: "list[_Job]") -> "Scale | list[Spec]":
    """What the report is of: the scale, which all jobs share, or the specs of each."""
    what = jobs[0].what
    return what if isinstance(what, str) else [spec for job in jobs for spec in job.what if not isinstance(spec, str)]


def _is_spec(name: str) -> bool:
    return name.endswith(".toml")


def _jobs(
    name: str, scale: "Scale | None", seeds: int | None, sets: tuple[str, ...], grids: tuple[str, ...]
) -> list[_Job]:
    from sparsewire.experiments import find, kinds

    if not _is_spec(name):
        jobs = [_Job(experiment, scale or "desk", seeds) for experiment in find(name)]
    elif scale is not None:
        raise RequestError(f"--scale: found {scale!r} together with {name}; a spec says itself how much it does")
    else:
        from sparsewire.lab.specs.spec_files import read_spec

        file = read_spec(name, kinds())
        jobs = [_Job(find(file.specs[0].experiment)[0], list(file.specs), seeds or file.seeds or 1)]
    kinds_of_all = [job.experiment.spec for job in jobs]
    return [_changed(job, sets, grids, kinds_of_all) for job in jobs] if sets or grids else jobs


def _changed(job: _Job, sets: tuple[str, ...], grids: tuple[str, ...], kinds_of_all: "list[type[Spec]]") -> _Job:
    """The specs as the options change them; of several experiments, each takes the fields that it has."""
    from sparsewire.lab.specs.overrides import apply_grid, apply_overrides, meant_for

    specs, seeds = job.what, job.seeds
    sets, grids = (meant_for(job.experiment.spec, texts, kinds_of_all) for texts in (sets, grids))
    if isinstance(specs, str):
        scale: Scale = specs
        specs, seeds = list(job.experiment.specs(scale)), seeds or job.experiment.seeds[scale]
    return _Job(job.experiment, list(apply_grid(apply_overrides(specs, sets), grids)), seeds)


def executor_of(stack: ExitStack, name: str, workers: int | None) -> "Executor | None":
    """Who does the trials, for as long as the stack lives; None for this process."""
    if name == "here":
        if workers not in (None, 1):
            raise RequestError(
                f"--workers: found {workers}, but this process does one trial at a time; --executor local"
            )
        return None
    from sparsewire.experiments import work
    from sparsewire.lab.executors.by_name import executor

    doer = executor(name, work, workers)
    stack.callback(doer.close, 0.0)  # the runner has waited for what is under way
    return doer


def _do(
    job: _Job,
    store: "Store",
    executor: "Executor | None",
    budget: float | None,
    every: float,
    loggers: tuple[str, ...],
) -> "Summary":
    from sparsewire.lab.runner import run as do_trials

    with watching(job.experiment.name) as tell:
        return do_trials(
            job.experiment, job.what, store, seeds=job.seeds, progress=tell, executor=executor, budget=budget,
            every=every, loggers=loggers,
        )  # fmt: skip


def _show(name: str, store: "Store", what: "Scale | list[Spec]", html: Path | None) -> None:
    from sparsewire.experiments import report_of
    from sparsewire.lab import report as reports

    report = report_of(name, store, what)
    reports.print_report(report, console())
    if html is not None:
        reports.write_html(report, html)
        say(f"report: {html}")

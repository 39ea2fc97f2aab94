"""The commands that show what can be run and what was found: list, report."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsewire.cli.choices import SCALES, STORE, ExperimentName, OneOf, outputs
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import console, give_json, say, table
from sparsewire.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sparsewire.lab.experiment import Outcome, Scale

FILE = click.Path(path_type=Path)


@click.command("list", cls=Command, example="sparsewire list\nsparsewire list lightning.robustness")
@click.argument("name", type=ExperimentName(), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(name: str | None, as_json: bool) -> None:
    """Show what can be run.

    With NAME: the fields of its specs with their defaults, as a file that `sparsewire run` takes.
    """
    from sparsewire.experiments import CATALOGUE, names

    shown = {full: CATALOGUE[full] for full in names(name)}
    if as_json:
        rows: Any = [{"name": full, "title": entry.title, "source": entry.source} for full, entry in shown.items()]
        give_json({"experiments": rows})
    elif name is None:
        table(("name", "what it shows", "source"), [(full, one.title, one.source) for full, one in shown.items()])
        say("sparsewire run NAME does it; the part before the dot stands for the whole paper.")
        say("sparsewire list NAME shows what can be changed.")
    else:
        say("\n".join(_template(full) for full in shown))


def _template(name: str) -> str:
    """The defaults of an experiment's specs as TOML, under what a reader should know of it."""
    from sparsewire.experiments import find
    from sparsewire.lab.specs.spec_files import write_spec

    [experiment] = find(name)
    sizes = ", ".join(
        f"{scale}: {len(experiment.specs(scale))} × {experiment.seeds[scale]} seeds" for scale in experiment.seeds
    )
    more = "" if experiment.follow is None else "; more follow from what these find"
    head = (experiment.title, experiment.source, f"specs at each scale: {sizes}{more}")
    return "\n".join([*(f"# {line}" for line in head), write_spec(experiment.spec.model_validate({}))])


@click.command(cls=Command, example="sparsewire report lightning.rebuild --html report.html --csv trials.csv")
@click.argument("name", type=ExperimentName(), required=False)
@click.option("--scale", type=OneOf("scale", lambda: SCALES), help="How much of it.")
@click.option("--store", type=FILE, default=STORE, show_default=True, help="The folder of the runs.")
@click.option("--html", type=FILE, metavar="FILE", help="Write one HTML page with all tables and pictures.")
@click.option("--csv", type=FILE, metavar="FILE", help="Write one row a trial.")
@click.option("--parquet", type=FILE, metavar="FILE", help="The same as Parquet.")
@click.option("--curves", type=FILE, metavar="FILE", help="Write one row a point, as .csv or .parquet.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of tables.")
def report(
    name: str | None,
    scale: "Scale | None",
    store: Path,
    html: Path | None,
    csv: Path | None,
    parquet: Path | None,
    curves: Path | None,
    as_json: bool,
) -> None:
    """Show what was found so far.

    Published numbers, ours, and how they compare; without NAME: of everything that the store holds. Other runs may be
    writing into the store meanwhile. pandas reads the tables as they are: read_csv(FILE), read_parquet(FILE).
    """
    from sparsewire.experiments import find, names, report_of

    names(name)
    outputs({"--html": html, "--csv": csv, "--parquet": parquet, "--curves": curves}, store / "store.sqlite")
    tables = _tables(csv, parquet, curves)

    from sparsewire.lab import report as reports
    from sparsewire.lab.store import Store

    with Store.open(store, write=False) as opened:
        found = report_of(name, opened, scale)
        if tables:
            outcomes = [one for each in find(name) for one in opened.outcomes(each.name, {each.name: each.spec})]
            for write, path in tables:
                write(outcomes, path)
        if html is not None:
            reports.write_html(found, html)
        if as_json:
            click.echo(reports.claims_as_json(found))
            return
        reports.print_report(found, console())
    for written in (html, *(path for _, path in tables)):
        if written is not None:
            say(f"written: {written}")


def _tables(
    csv: Path | None, parquet: Path | None, curves: Path | None
) -> "list[tuple[Callable[[Sequence[Outcome], Path], None], Path]]":
    """What writes each table that was asked for; refuses what cannot be before anything is read."""
    from sparsewire.lab.storage.curve_export import curves_to_csv, curves_to_parquet
    from sparsewire.lab.storage.export import arrow, to_csv, to_parquet

    if curves is not None and curves.suffix not in (".csv", ".parquet"):
        raise RequestError(f"--curves: found {curves}, expected a file that ends with .csv or .parquet")
    as_parquet = curves is not None and curves.suffix == ".parquet"
    if parquet is not None or as_parquet:
        arrow()
    wanted = [(to_csv, csv), (to_parquet, parquet), (curves_to_parquet if as_parquet else curves_to_csv, curves)]
    return [(write, path) for write, path in wanted if path is not None]

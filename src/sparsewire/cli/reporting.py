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

"""The commands around data sets: data list, data fetch."""

from pathlib import Path

import click

from sparsewire.cli.helping import Command, Group
from sparsewire.cli.screen import give_json, progress, say, table

FILE = click.Path(path_type=Path)


@click.group(example="sparsewire data list", cls=Group, invoke_without_command=True)
@click.pass_context
def data(ctx: click.Context) -> None:
    """Show data sets, and fetch published ones."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@data.command("list", cls=Command, example="sparsewire data list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Show the data sets and where they are.

    Looked for is in the folder that SPARSEWIRE_DATA names and in the user's cache.
    """
    from sparsewire.data import available

    if as_json:
        rows = [
            {"name": one.name, "title": one.title, "origin": one.origin, "embedded": one.embedded,
             "folder": str(one.folder) if one.folder else None}
            for one in available()
        ]  # fmt: skip
        give_json({"data": rows})
        return
    table(
        ("name", "what it is", "from", "where it is"),
        [
            (one.name, one.title, one.origin,
             "embedded" if one.embedded else one.folder or f"not here: sparsewire data fetch {one.name}")
            for one in available()
        ],
    )  # fmt: skip


@data.command(cls=Command, example="sparsewire data fetch mnist\nsparsewire data fetch cifar10 --to ~/data")
@click.argument("name")
@click.option("--to", "folder", type=FILE, metavar="DIR", help="The data folder; unless told, the user's cache.")
@click.option("--from", "mirror", metavar="URL", help="A mirror to take the files from; checksums stay the same.")
def fetch(name: str, folder: Path | None, mirror: str | None) -> None:
    """Download a published data set.

    Every file is checked, and a stopped download goes on where it was.
    Let SPARSEWIRE_DATA name the folder given by --to, so that the data is found there.
    """
    from sparsewire.data import fetch as download

    with progress(f"fetch {name}") as tell:
        path = download(
            name,
            folder,
            base_url=mirror,
            progress=lambda file, there, size: tell(there / max(1, size), file, there == size),
        )
    say(f"{name} is in {path}")

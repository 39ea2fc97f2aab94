"""The command that watches: dashboard."""

from pathlib import Path

import click

from sparsewire.cli.choices import STORE
from sparsewire.cli.helping import Command
from sparsewire.cli.screen import say

FILE = click.Path(path_type=Path)


@click.command(cls=Command, example="sparsewire dashboard\nsparsewire dashboard --store runs --port 0")
@click.option("--store", type=FILE, default=STORE, show_default=True, help="The folder of the runs.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes a free one.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Another one than this machine's asks for a token."
)
@click.option("--token", "with_token", is_flag=True, help="Ask for a token here too, as on a machine with other users.")
def dashboard(store: Path, port: int, host: str, with_token: bool) -> None:
    """Watch trials in a browser.

    Tables to filter and sort, curves that move while they are made, why a trial failed. Sweeps may begin, go on and end
    meanwhile; the store is only read. From another machine: ssh -L 8765:localhost:8765 HOST.
    """
    from sparsewire.lab.dashboard.serving import serve

    serve(store, host, port, with_token, say)

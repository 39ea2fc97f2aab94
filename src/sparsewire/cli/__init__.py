"""The command line: `sparsewire run | list | trials | report | compare | dashboard | inspect | prune | design | …`.

Nothing here imports torch before a command needs it, so that help and refusals come at once.
"""

import sys
from typing import NoReturn

import click

from sparsewire import __version__
from sparsewire.cli.benching import bench
from sparsewire.cli.comparing import compare
from sparsewire.cli.designing import design
from sparsewire.cli.endings import Commands
from sparsewire.cli.fetching import data
from sparsewire.cli.inspecting import inspect
from sparsewire.cli.listing import trials
from sparsewire.cli.predicting import predict
from sparsewire.cli.pruning import prune
from sparsewire.cli.reporting import list_, report
from sparsewire.cli.running import run
from sparsewire.cli.searching import search
from sparsewire.cli.watching import dashboard


@click.group(
    example="sparsewire run demo\nsparsewire inspect model.safetensors",
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="sparsewire", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show a traceback for every error (or set SPARSEWIRE_DEBUG=1).")
@click.pass_context
def commands(ctx: click.Context, debug: bool) -> None:
    """Sparse neural networks: train them, look at them, prune them, report what was found."""
    ctx.obj["debug"] = debug
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for command in (
    run, search, list_, trials, report, compare, dashboard, inspect, prune, design, predict, bench, data,
):  # fmt: skip
    commands.add_command(command)


def main() -> NoReturn:
    """The entry point of `sparsewire` and of `python -m sparsewire`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without these letters shows "?", not an error
    commands.main(prog_name="sparsewire")

"""How commands explain themselves: what they do, an example that can be copied, the name that was probably meant."""

from typing import Any

import click

from sparsewire.errors import UnknownNameError


class _Shown:
    """Adds the lines of `example` at the end of a command's help."""

    example: str

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the example as it stands, where click would fold its lines."""
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Command(_Shown, click.Command):
    """A command whose help ends with an example."""

    def __init__(self, *args: Any, example: str, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.example = example


class Group(_Shown, click.Group):
    """A group of commands whose help ends with an example; of an unknown command it offers the nearest."""

    def __init__(self, *args: Any, example: str, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.example = example

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named, or an error that offers the nearest one."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(str(UnknownNameError("command", args[0], self.list_commands(ctx))), ctx)
        return super().resolve_command(ctx, args)

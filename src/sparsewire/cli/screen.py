"""What appears on the screen: text without control characters, tables, JSON, progress."""

import contextlib
import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 160  # columns, where the output goes into a file or another program


def plain(text: object, longest: int = 2000) -> str:
    r"""Text that cannot steer a terminal: control and invisible characters as escapes, cut if it is very long.

    Names of layers come out of files; such a file may come from anybody.

    Example:
        >>> plain("layer\x1b[2J\u202e"), plain("größe 0→1")
        ('layer\\x1b[2J\\u202e', 'größe 0→1')
    """
    shown = str(text)
    shown = shown if len(shown) <= longest else f"{shown[:longest]}… ({len(shown):,} characters)"
    return "".join(
        character if unicodedata.category(character)[0] != "C" else character.encode("unicode_escape").decode()
        for character in shown
    )


def console() -> "Console":
    """Where tables are printed: as wide as the terminal, or wide enough for a file."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False, soft_wrap=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Prints a table; numbers stand right, with thousands apart, and a float has four digits."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    numeric = [all(isinstance(row[i], int | float) for row in rows if row[i] is not None) for i in range(len(columns))]
    drawn = Table(
        title=Text(plain(title)) if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for name, right in zip(columns, numeric, strict=True):
        drawn.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(_cell(value)) for value in row))
    console().print(drawn)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


def say(text: str) -> None:
    """Prints lines of text."""
    for line in text.split("\n"):
        click.echo(plain(line))


def give_json(value: Any) -> None:
    """Prints a value as JSON: ASCII only, and null for NaN and infinity, which JSON does not have."""
    click.echo(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


Tell = Callable[[float, str, bool], None]


@contextlib.contextmanager
def progress(label: str) -> Iterator[Tell]:
    """Shows how far long work is, on stderr: a bar on a terminal, elsewhere a line at each finished step.

    Yields:
        A function of (fraction from 0 to 1, note, whether a step has just been finished).
    """
    if not sys.stderr.isatty():
        yield (
            lambda fraction, note, step: (
                click.echo(f"{label}: {fraction:4.0%} {plain(note)}", err=True) if step else None
            )
        )
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1.0, note="")
        yield lambda fraction, note, step: bar.update(task, completed=fraction, note=plain(note, 60))

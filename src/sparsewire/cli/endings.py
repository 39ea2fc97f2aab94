"""How a command ends: one clear line for everything that can go wrong, and the exit status that belongs to it."""

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import click

from sparsewire.cli.helping import Group
from sparsewire.cli.screen import plain
from sparsewire.errors import RequestError, SparsewireError, UnknownNameError

FAILED, REFUSED, STOPPED = 1, 2, 130
DEBUG = "SPARSEWIRE_DEBUG"


class Commands(Group):
    """A group of commands that ends with 0, 1 (the work failed), 2 (the request was wrong) or 130 (stopped by Ctrl-C).

    Whatever goes wrong is one message on stderr; a traceback is shown only for errors that are ours, or with --debug.
    """

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Runs the command line and leaves the process with its exit status."""
        wishes: dict[str, bool] = {}
        extra["standalone_mode"] = False

        def work() -> Any:
            return super(Commands, self).main(*args, **extra, obj=wishes)

        status = status_of(work, wishes)
        _let_go()
        sys.exit(status)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the chosen command; when it returns, its output has arrived."""
        result = super().invoke(ctx)
        sys.stdout.flush()  # a full disk or a reader that left must be noticed while it can be told
        return result


def status_of(work: Callable[[], Any], wishes: dict[str, bool]) -> int:
    """Does the work and says what went wrong, if anything did.

    Args:
        work: a command; the whole number that it may return is its exit status.
        wishes: {"debug": True} shows tracebacks; looked at when something went wrong.

    Returns:
        The exit status.
    """
    try:
        result = work()
    except (KeyboardInterrupt, click.Abort):
        return _say("stopped; run the same command again: what was finished is kept", STOPPED, wishes)
    except click.UsageError as error:
        return _say(_of_usage(error), REFUSED, wishes)
    except click.ClickException as error:
        return _say(error.format_message(), FAILED, wishes)
    except RequestError as error:
        return _say(str(error), REFUSED, wishes)
    except SparsewireError as error:
        return _say(str(error), FAILED, wishes)
    except MemoryError:
        return _say("there is not enough memory for this", FAILED, wishes)
    except OSError as error:
        # the files that we open have names; without one it is the terminal, or what takes its place
        named = "cannot write the output" if error.filename is None else error.filename
        return _say(f"{named}: {error.strerror or error}", FAILED, wishes)
    except Exception as error:  # noqa: BLE001  # the last place where a message can be made of it
        _trace()
        return _say(f"this is a bug in sparsewire, please report it with the lines above: {error!r}", FAILED, {})
    return result if isinstance(result, int) else 0


def _let_go() -> None:
    """Drops output that cannot be written, or Python would try it again at its end, and complain in its own words."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_usage(error: click.UsageError) -> str:
    message = error.format_message().rstrip(".")
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        known = [name for parameter in error.ctx.command.get_params(error.ctx) for name in parameter.opts]
        known = [name for name in known if name.startswith("-")]
        message = str(UnknownNameError("option", error.option_name, known))
    return f"{message}; see {error.ctx.command_path} --help" if error.ctx is not None else message


def _say(message: str, status: int, wishes: dict[str, bool]) -> int:
    if wishes.get("debug") or os.environ.get(DEBUG, "0") not in ("", "0"):
        _trace()
    lines = [plain(line) for line in message.split("\n")]
    click.echo("\n".join([f"sparsewire: {lines[0]}", *lines[1:]]), err=True)
    return status


def _trace() -> None:
    click.echo("\n".join(plain(line) for line in traceback.format_exc().splitlines()), err=True)

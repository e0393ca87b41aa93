"""The command line. Only `main` turns errors into messages and exit codes."""

from __future__ import annotations

import asyncio
import errno
import json
import signal
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from itertools import takewhile

import click
from rich.console import Console

from podcov.commands.options import Machine, Stream, stream_of
from podcov.errors import Exit, FilesError, PodcovError, UsageError

COMMANDS = (
    "run",
    "mark",
    "dump",
    "pull",
    "collect",
    "report",
    "init",
    "eject",
    "inject",
    "attach",
    "detach",
    "new",
    "go",
    "clean",
    "hook",
)
"""One module of `podcov.commands` each, which holds a click command of the same name.

It says what the command takes and what it is for: `podcov --help` loads them all. What it does is imported once it runs.
"""


_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR}
"""What a machine answers for files where nothing is wrong with podcov."""


def _command(name: str) -> click.Command | None:
    if name not in COMMANDS:
        return None
    command = getattr(import_module(f"podcov.commands.{name}"), name)
    assert isinstance(command, click.Command)
    return command


class LazyGroup(click.Group):
    """Imports a command's module when it is asked for, so that hooks start fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        return _command(cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Names the commands that a mistyped one is near to: click knows only those that are loaded."""
        given = args[0]
        if given not in COMMANDS and not ctx.resilient_parsing:
            near = [f"`{name}`" for name in get_close_matches(given, COMMANDS)]
            ctx.fail(f"No such command {given!r}." + (f" Did you mean {' or '.join(near)}?" if near else ""))
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`podcov --json run`: the option is known, but to the command."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            command = next((word for word in args if word in COMMANDS), None)
            if command is None:
                raise
            ctx.fail(f"{error.message} Options stand after the command: podcov {command} {error.option_name}")


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 ok, 1 a bug, 2 usage, 3 incomplete data, 5 no data; failing tests: their own.",
)
@click.version_option(version("podcov"), prog_name="podcov")
def cli() -> None:
    """Which lines of your services did the integration tests really run?"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits the process."""
    sys.exit(run(arguments))


def inject() -> None:
    """`podcov-inject`: `podcov inject` for callers that give a command no arguments."""
    main(["inject", *sys.argv[1:]])


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code. Messages go to stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    machine = Machine()
    try:
        code = cli.main(args=given, prog_name="podcov", standalone_mode=False, obj=machine)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    except click.ClickException as error:
        reads = _reader(given)
        if isinstance(error, click.UsageError):
            error.ctx = error.ctx or _context(given)
        if reads is not Stream.STDERR:
            error.show()
        _tell_machines(_misunderstood(error), reads)
        return Exit.USAGE
    except click.Abort:
        click.echo("podcov: stopped", err=True)
        return 128 + signal.SIGINT
    except PodcovError as error:
        show(error, machine.reads)
        return error.exit_code
    except KeyboardInterrupt:
        click.echo("podcov: stopped", err=True)
        return 128 + signal.SIGINT
    except asyncio.CancelledError:
        click.echo("podcov: stopped", err=True)
        return 128 + signal.SIGTERM
    except Exception as error:
        refused = _refused_by_the_machine(error)
        if refused is None:
            traceback.print_exc()
            click.echo("podcov: this is a bug in podcov; please report it with the lines above", err=True)
            return Exit.BUG
        show(refused, machine.reads)
        return refused.exit_code
    return code if isinstance(code, int) else Exit.OK


def _reader(arguments: Sequence[str]) -> Stream | None:
    """Where a machine expects an error of words that click does not understand; None where no machine reads."""
    if "--json" not in _own(arguments):
        return None
    named = _named(arguments)
    return stream_of(named) if named else Stream.STDOUT


def _context(arguments: Sequence[str]) -> click.Context:
    """Of the command that was meant: click says none where an option lacks its value."""
    podcov = click.Context(cli, info_name="podcov")
    named = _named(arguments)
    return click.Context(named, parent=podcov, info_name=named.name) if named else podcov


def _named(arguments: Sequence[str]) -> click.Command | None:
    return next((command for command in map(_command, _own(arguments)) if command), None)


def _own(arguments: Sequence[str]) -> list[str]:
    """Those before the command that podcov is to run."""
    return list(takewhile(lambda word: word != "--", arguments))


def _misunderstood(error: click.ClickException) -> UsageError:
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    return UsageError(error.format_message(), hint=f"`{ctx.command_path if ctx else 'podcov'} --help` says what there is.")


def _refused_by_the_machine(error: Exception) -> FilesError | None:
    """Where a file or folder is somebody else's, or the disk is read-only or full; None for everything that is a bug."""
    if not isinstance(error, OSError) or error.errno not in _REFUSALS:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return FilesError(f"{where}{error.strerror}", hint="see that this user may read and write there, and that there is room.")


def show(error: PodcovError, machine: Stream | None) -> None:
    """Prints what happened and what to do: in words on stderr, for machines as one JSON object, alone on its stream."""
    if machine is not Stream.STDERR:
        _say(error)
    _tell_machines(error, machine)


def _tell_machines(error: PodcovError, machine: Stream | None) -> None:
    if machine is not None:
        problem = {"slug": error.slug, "message": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}
        click.echo(json.dumps({"error": problem}), err=machine is Stream.STDERR)


def _say(error: PodcovError) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("[bold red]podcov:[/] ", end="")
    console.print(error.message, markup=False)
    if error.hint:
        console.print("  [bold]what to do:[/] ", end="")
        console.print(error.hint, markup=False)

"""`podcov go`: run a command with a Go toolchain that records."""

from __future__ import annotations

import os

import click

from podcov.edges import go_toolchain
from podcov.errors import UsageError


@click.command(
    short_help="Run a command with a Go toolchain that records.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def go(command: tuple[str, ...]) -> None:
    """Run COMMAND so that the Go programs it builds record their coverage: `podcov go -- make image`.

    `go` is then a copy of the toolchain that it is now, with podcov in it, and GOFLAGS have -cover. The copy is kept in the
    user's cache. The exit code is COMMAND's.
    """
    env = go_toolchain.environment(go_toolchain.ensure(), os.environ)
    try:
        os.execvpe(command[0], command, env)  # noqa: S606 no shell: the words are the user's own command
    except OSError as error:
        raise UsageError(
            f"{command[0]}: {error.strerror}", hint="What stands after `podcov go --` is run as a command of its own."
        ) from None

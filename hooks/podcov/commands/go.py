"""`podcov go`: run a command with a Go toolchain that records."""

from __future__ import annotations

import os
from pathlib import Path

import click

from podcov.errors import UsageError


@click.command(
    short_help="Run a command with a Go toolchain that records.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("--flag", "flags", multiple=True, help="What GOFLAGS shall have; default: -cover. May be repeated.")
@click.option("--plain", is_flag=True, help="Leave the toolchain as it is: for a service that measures itself.")
@click.option("--env", "variable", metavar="NAME", help="Run nothing; print what this variable would be.")
@click.option(
    "--directory", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Whose module is built; default: this one."
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def go(flags: tuple[str, ...], plain: bool, variable: str | None, directory: Path | None, command: tuple[str, ...]) -> None:
    """Run COMMAND so that the Go programs it builds record their coverage: `podcov go -- make image`.

    `go` is for COMMAND a copy of the toolchain that it is now, with podcov in it, and GOFLAGS have -cover. The copy is kept in
    the user's cache. The exit code is COMMAND's.
    """
    from podcov.edges import go_toolchain

    if bool(command) == bool(variable):
        raise UsageError("podcov go: it takes a command, or --env NAME", hint="write for example `podcov go -- go build ./...`.")
    copy = None if plain else go_toolchain.ensure(directory=directory)
    env = go_toolchain.environment(copy, os.environ, flags or go_toolchain.COVER, directory=directory)
    if variable:
        click.echo(env.get(variable, ""))
        return
    try:
        os.execvpe(command[0], command, env)  # noqa: S606 no shell: the words are the user's own command
    except OSError as error:
        raise UsageError(
            f"{command[0]}: {error.strerror}", hint="what stands after `podcov go --` is run as a command of its own."
        ) from None

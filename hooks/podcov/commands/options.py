"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

SECONDS = 300.0
"""How long pods have to get ready where nobody says otherwise."""
MIN_AGE = 300.0
"""Seconds for which an unused ConfigMap stays that a deployment brought: images may be built before the rest comes."""


class Stream(Enum):
    """Where a command has what a machine reads."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass
class Machine:
    """Who reads this call's result, as far as its command line says: the root context's object."""

    reads: Stream | None = None
    """where it expects an error, too; None where no machine reads"""


class ForMachines(click.Option):
    """`--json`. Its `stream` tells where an error is to be even where click does not understand the rest of the words."""

    def __init__(self, *args: Any, stream: Stream, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stream = stream


def common(command: F) -> F:
    """Adds `config`, `as_json`, `quiet`, `verbose`."""
    return config(output(command))


def config(command: F) -> F:
    """Adds `config`."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path("podcov.yaml"),
        show_default=True,
        help="The project's configuration.",
    )(command)


def output(command: F) -> F:
    """Adds `as_json`, `quiet`, `verbose`: for a command without a configuration to read."""
    return as_json(Stream.STDOUT, "The result as JSON on stdout; everything else goes to stderr.")(talk(command))


def as_json(stream: Stream, help_text: str) -> Callable[[F], F]:
    """Adds `as_json`: what a machine reads is on `stream`, and an error is as well."""

    def tell(ctx: click.Context, _: click.Parameter, asked: bool) -> bool:
        if asked:
            ctx.ensure_object(Machine).reads = stream
        return asked

    return click.option("--json", "as_json", cls=ForMachines, stream=stream, is_flag=True, help=help_text, callback=tell)


def stream_of(command: click.Command) -> Stream | None:
    """Where it has what a machine reads; None where it takes no `--json`."""
    return next((option.stream for option in command.params if isinstance(option, ForMachines)), None)


def talk(command: F) -> F:
    """Adds `quiet`, `verbose`."""
    verbose = click.option("-v", "--verbose", is_flag=True, help="Say more, on stderr.")
    return click.option("-q", "--quiet", is_flag=True, help="Only results and errors.")(verbose(command))


def workloads(command: F) -> F:
    """Adds `targets`, `selector` and `release`: which workloads are meant; and `dry_run` and `timeout`."""
    for option in (
        timeout,
        click.option("--dry-run", is_flag=True, help="Show what would be changed, and whether Kubernetes would take it."),
        click.option("--helm", "release", default="", metavar="RELEASE", help="All workloads of this Helm release."),
        click.option("-l", "--selector", default="", help="All workloads with these labels."),
        click.argument("targets", nargs=-1),
    ):
        command = option(command)
    return command


def timeout(command: F) -> F:
    """Adds `timeout`."""
    seconds = click.option(
        "--timeout", default=SECONDS, show_default=True, metavar="S", help="Seconds that pods have to get ready."
    )
    return seconds(command)


def cluster(command: F) -> F:
    """Adds `context` and `namespace`."""
    namespace = click.option(
        "-n", "--namespace", default="", help="Where the workloads are; default: podcov.yaml's, else the context's."
    )
    context = click.option(
        "--context", default="", help="The kubeconfig's context; default: podcov.yaml's, else the current one."
    )
    return context(namespace(command))


def verdict(command: F) -> F:
    """Adds `allow_partial` and `files`: for commands that end with a report."""
    files = click.option("--files", is_flag=True, help="Print a row for each file, too.")
    return click.option("--allow-partial", is_flag=True, help="Incomplete data are no failure.")(files(command))


def which_run(command: F) -> F:
    """Adds `run_id`."""
    return click.option("--run", "run_id", default="latest", show_default=True, metavar="ID", help="Which run.")(command)

"""`podcov hook ...`: what Skaffold and Tilt call. Their environment says which pods are meant."""

from __future__ import annotations

import os
from pathlib import Path

import click

from podcov.commands import options


@click.group(short_help="What Skaffold and Tilt call.")
def hook() -> None:
    """What Skaffold and Tilt call; not meant to be typed."""


@hook.command("skaffold-after-deploy", short_help="Test what Skaffold has deployed.")
@options.config
@click.option("--allow-partial", is_flag=True, help="Incomplete data are no failure.")
@click.argument("command", nargs=-1)
def skaffold_after_deploy(config: Path, allow_partial: bool, command: tuple[str, ...]) -> int:
    """Skaffold's after-deploy hook: run the tests against what this Skaffold run deployed; its exit code becomes Skaffold's."""
    from podcov.commands.conducting import conduct
    from podcov.commands.session import Where
    from podcov.edges import hook_environment

    told = hook_environment.skaffold(os.environ)
    where = Where("kubernetes", told.context, told.namespaces, skaffold_run=told.run_id)
    return conduct(config, where, command, allow_partial=allow_partial)


@hook.command("tilt-coverage", short_help="Test what Tilt has deployed.")
@options.config
@click.option("--context", default="", help="The context that Tilt deploys to; Tilt does not tell its commands.")
@click.option("-n", "--namespace", default="", help="Where the workloads are; default: podcov.yaml's, else the context's.")
@click.option("--allow-partial", is_flag=True, help="Incomplete data are no failure.")
@click.argument("command", nargs=-1)
def tilt_coverage(config: Path, context: str, namespace: str, allow_partial: bool, command: tuple[str, ...]) -> int:
    """Tilt's coverage resource: run the tests against what Tilt deployed."""
    from podcov.commands.conducting import conduct
    from podcov.commands.session import Where

    where = Where("kubernetes", context, (namespace,) if namespace else (), tilt=True)
    return conduct(config, where, command, allow_partial=allow_partial)

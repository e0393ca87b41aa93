"""`podcov hook ...`: what Skaffold and Tilt call. Their environment says which pods are meant."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.group(short_help="What Skaffold and Tilt call.")
def hook() -> None:
    """What Skaffold and Tilt call; not meant to be typed."""


@hook.command("skaffold-after-deploy")
@click.option("-c", "--config", type=click.Path(path_type=Path), default=Path("podcov.yaml"), show_default=True)
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


@hook.command("tilt-coverage")
@click.option("-c", "--config", type=click.Path(path_type=Path), default=Path("podcov.yaml"), show_default=True)
@click.option("--context", default="", help="The context that Tilt deploys to; Tilt does not tell its commands.")
@click.option("-n", "--namespace", default="")
@click.option("--allow-partial", is_flag=True, help="Incomplete data are no failure.")
@click.argument("command", nargs=-1)
def tilt_coverage(config: Path, context: str, namespace: str, allow_partial: bool, command: tuple[str, ...]) -> int:
    """Tilt's coverage resource: run the tests against what Tilt deployed."""
    from podcov.commands.conducting import conduct
    from podcov.commands.session import Where

    where = Where("kubernetes", context, (namespace,) if namespace else (), tilt=True)
    return conduct(config, where, command, allow_partial=allow_partial)

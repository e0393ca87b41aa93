"""`podcov dump` has processes save what they recorded, for who runs the tests in another way."""

from __future__ import annotations

from pathlib import Path

import click

from podcov.commands import options


@click.command(short_help="Have processes save what they recorded.")
@options.cluster
@options.common
def dump(context: str, namespace: str, config: Path, as_json: bool, quiet: bool, verbose: bool) -> int:
    """Make sure that everything that ran so far is in the pods' records. The first half of what `podcov collect` does."""
    from podcov.commands import steps

    return steps.dump(config, context, namespace, as_json=as_json, quiet=quiet, verbose=verbose)

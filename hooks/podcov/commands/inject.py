"""`podcov inject`: manifests on stdin, the same manifests with coverage on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from podcov.commands import options
from podcov.edges import project
from podcov.errors import UsageError
from podcov.generate.findings import Finding


@click.command(short_help="Add coverage to manifests: stdin to stdout.")
@options.common
def inject(config: Path, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Add coverage to manifests that were rendered, whatever rendered them: stdin to stdout.

    For Skaffold's render hooks, Helm's post-renderer, Kustomize's functions, Tilt's k8s_yaml(local(...)), and
    `... | podcov inject | kubectl apply -f -`. What podcov.yaml does not name passes through byte for byte; twice is once.
    """
    if sys.stdin.isatty():
        raise UsageError(
            "there is nothing on stdin: `podcov inject` reads manifests from it",
            hint="for example `kubectl kustomize k8s | podcov inject | kubectl apply -f -`; docs/inject.md has more",
        )
    text = sys.stdin.buffer.read().decode("utf-8-sig", "surrogateescape")
    injected, findings = project.inject(config, text, name="stdin")
    sys.stdout.buffer.write(injected.encode("utf-8", "surrogateescape"))
    if as_json:
        click.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}), err=True)
    elif not quiet:
        _say(f for f in findings if verbose or f.level == "warning" or f.decided == "nothing to inject")


def _say(findings: Iterable[Finding]) -> None:
    for f in findings:
        click.echo(f"podcov: {f.subject}: {f.found}: {f.decided}{f'; {f.why}' if f.why else ''}", err=True)

"""`podcov inject`: manifests on stdin, the same manifests with coverage on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click
from click.core import ParameterSource

from podcov.commands import options
from podcov.errors import ManifestError, UsageError
from podcov.generate.findings import Finding

_EMPTY = Finding("stdin", "it is empty", "nothing to inject")
"""what is in front of us in a pipe renders nothing, or has failed and said why"""


@click.command(short_help="Add coverage to manifests: stdin to stdout.")
@click.argument("paths", nargs=-1, metavar="[PATHS]...")
@click.option("--helm-plugin", is_flag=True, help="Print the folder that `helm plugin install` of Helm 4 takes, and end.")
@options.config
@options.as_json(options.Stream.STDERR, "What was found, or went wrong, as JSON on stderr: stdout is for the manifests.")
@options.talk
def inject(paths: tuple[str, ...], helm_plugin: bool, config: Path, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Add coverage to manifests that were rendered, whatever rendered them: stdin to stdout.

    For Skaffold's render hooks, Helm's post-renderer, Kustomize's functions, Tilt's k8s_yaml(local(...)), and
    `... | podcov inject | kubectl apply -f -`. What podcov.yaml does not name passes through byte for byte; twice is once.

    PATHS are read instead of stdin: files, patterns and folders of manifests; a folder with a kustomization is rendered.
    """
    from podcov import assets
    from podcov.edges import callers_stderr, configuration, project

    if helm_plugin:
        click.echo(assets.overlay_folder("helm-plugin"))
        return
    callers_stderr.use(os.environ)
    if click.get_current_context().get_parameter_source("config") is not ParameterSource.DEFAULT:
        configuration.read(config)  # only where nobody names one may there be none
    given = project.manifests_at(Path(), paths).encode() if paths else _stdin()
    name = ", ".join(paths) or "stdin"
    text = _decoded(given)
    injected, findings = project.inject(config, text, name=name) if text.strip() else (text, (_EMPTY,))
    sys.stdout.buffer.write(given if injected == text else injected.encode())
    if as_json:
        click.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}), err=True)
    elif not quiet:
        _say(f for f in findings if verbose or f.level == "warning" or f.decided == "nothing to inject")


def _stdin() -> bytes:
    if sys.stdin.isatty():
        raise UsageError(
            "there is nothing on stdin: `podcov inject` reads manifests from it, or from the files and folders that it is given",
            hint="for example `kubectl kustomize k8s | podcov inject | kubectl apply -f -`; docs/inject.md has more",
        )
    return sys.stdin.buffer.read()


def _decoded(given: bytes) -> str:
    try:
        return given.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = given.count(b"\n", 0, error.start) + 1
        raise ManifestError(
            f"stdin:{line}: this is no YAML: byte {given[error.start]:#04x} is not UTF-8", hint="manifests are text in UTF-8."
        ) from None


def _say(findings: Iterable[Finding]) -> None:
    for f in findings:
        click.echo(f"podcov: {f.subject}: {f.found}: {f.decided}{f'; {f.why}' if f.why else ''}", err=True)

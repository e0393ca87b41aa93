"""What `attach`, `detach` and `clean` share: which namespaces are meant, and how what was done is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from podcov.config import Config
from podcov.edges import configuration
from podcov.edges.cluster import owners
from podcov.edges.cluster.attach import Attachments, Changed, Done
from podcov.edges.cluster.scale import Scaled
from podcov.edges.cluster.targets import NothingMatches, Selection, Target


def read_config(path: Path) -> Config | None:
    """None where there is no such file. Raises ConfigError."""
    return configuration.read(path) if path.is_file() else None


def namespaces(namespace: str, config: Config | None, attachments: Attachments) -> list[str]:
    """The one named on the command line, else those of podcov.yaml's services, else the context's own."""
    if namespace:
        return [namespace]
    default = (config.namespace if config else "") or attachments.namespace
    named = [service.namespace or default for service in config.services] if config else []
    return list(dict.fromkeys(named)) or [default]


async def find(
    attachments: Attachments, selection: Selection, namespace: str, config: Config | None, *, force: bool = False
) -> list[Target]:
    """The targets named on the command line, each in the namespace that podcov.yaml has for it where nothing else is said."""
    found: list[Target] = []
    for name in selection.names:
        place = namespace or _namespace_of(name, config) or attachments.namespace
        found += await attachments.targets.find(place, Selection((name,)), force=force)
    if selection.selector or selection.release:
        found += await _matching(attachments, selection, namespaces(namespace, config, attachments), force=force)
    return list(dict.fromkeys(found))


async def _matching(attachments: Attachments, selection: Selection, places: Sequence[str], *, force: bool) -> list[Target]:
    """In all the namespaces together. Raises NothingMatches where there is none in any of them."""
    wanted = Selection((), selection.selector, selection.release)
    found: list[Target] = []
    nothing: NothingMatches | None = None
    for place in places:
        try:
            found += await attachments.targets.find(place, wanted, force=force)
        except NothingMatches as error:
            nothing = error
    if nothing and not found:
        raise nothing
    return found


def _namespace_of(name: str, config: Config | None) -> str:
    if config is None:
        return ""
    resource, plain = owners.target(name)
    wanted = f"{resource.kind.lower()}/{plain}"
    theirs = [s.namespace for s in config.services if s.workload and owners.same(s.workload, wanted)]
    return (theirs[0] if theirs else "") or config.namespace


def show(
    done: Done,
    *,
    verb: str,
    dry_run: bool,
    as_json: bool,
    runs: Sequence[str] = (),
    scaled_back: Sequence[Scaled] = (),
) -> None:
    """The result on stdout. `runs` are the ids of those that were removed, `scaled_back` the workloads that have pods again."""
    if as_json:
        back = [{"workload": f"{scaled.kind}/{scaled.name}", "namespace": scaled.namespace} for scaled in scaled_back]
        click.echo(json.dumps({**_document(done, dry_run=dry_run), "runs": list(runs), "scaled_back": back}))
        return
    for changed in done.workloads:
        if dry_run and changed.difference:
            click.echo(changed.difference, nl=False)
        click.echo(_line(changed, verb, dry_run=dry_run))
    would = "would be " if dry_run else ""
    for name in done.config_maps:
        namespace, _, plain = name.partition("/")
        click.echo(f"{would}{'made' if verb == 'attached' else 'removed'}: configmap/{plain} in namespace {namespace}")
    for run in runs:
        click.echo(f"{would}removed: run {run}")
    for workload in scaled_back:
        click.echo(f"{would}scaled back: {workload}")


def _line(changed: Changed, verb: str, *, dry_run: bool) -> str:
    if not changed.difference:
        return f"nothing to change: {changed.target}"
    containers = f": {', '.join(changed.containers)}" if changed.containers else ""
    return f"{'would be ' if dry_run else ''}{verb}: {changed.target}{containers}"


def _document(done: Done, *, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "workloads": [
            {
                "workload": changed.target.reference,
                "namespace": changed.target.namespace,
                "holder": f"{changed.target.holder.kind.lower()}/{changed.target.holder_name}",
                "containers": changed.containers,
                "changed": bool(changed.difference),
                "difference": changed.difference,
                "remark": changed.remark,
            }
            for changed in done.workloads
        ],
        "config_maps": done.config_maps,
        "findings": [asdict(finding) for finding in done.findings],
    }

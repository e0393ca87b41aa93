"""How `podcov attach` finds the services of workloads that run, and writes a first podcov.yaml where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from podcov.commands import attachments
from podcov.commands.progress import ConsoleProgress
from podcov.config import Config, Generate, Service, parse
from podcov.edges import project
from podcov.edges.cluster import attach as cluster_attach
from podcov.edges.cluster import owners
from podcov.edges.cluster.api import Json
from podcov.edges.cluster.attach import Attachments, Done, Inject
from podcov.edges.cluster.targets import Selection, Target
from podcov.errors import UsageError
from podcov.generate import api, seal
from podcov.generate.coverage import instrument
from podcov.generate.coverage.inject import Injected
from podcov.generate.kubernetes import manifests


def attach(
    config: Path,
    selection: Selection,
    *,
    context: str,
    namespace: str,
    replicas: int | None,
    force: bool,
    dry_run: bool,
    seconds: float,
    quiet: bool,
    verbose: bool,
) -> Done:
    """Adds coverage to the workloads that are meant: without a selection, those of all services in `config`.

    Raises UsageError where there is nothing to choose from, and what `Attachments.attach` does.
    """
    found = attachments.read_config(config)
    if found is None and selection == Selection():
        raise UsageError(
            f"{config}: there is no such file, and no target was named",
            hint="name a workload, such as `podcov attach deployment/orders`; podcov writes the file from that",
        )

    async def work() -> Done:
        async with cluster_attach.connect(context or (found.context if found else ""), progress.note) as cluster:
            wanted = selection if found is None or selection != Selection() else _of_the_services(found)
            chosen = await attachments.find(cluster, wanted, namespace, found, force=force)
            text = "" if found else _first_config(config, await _documents(chosen, cluster), progress)
            settings = found or parse(text, name=str(config))
            if selection.selector or selection.release:
                chosen = _known(chosen, settings, progress)
            settings = settings if replicas is None else replace(settings, generate=replace(settings.generate, replicas=replicas))
            inject = _injecting(settings, config)
            scales = settings.generate.replicas is not None

            def prepare() -> None:
                if text:
                    config.write_text(seal.signed(text), encoding="utf-8")
                    progress.note(f"wrote {config}")

            return await cluster.attach(chosen, inject, scales=scales, dry_run=dry_run, seconds=seconds, prepare=prepare)

    with ConsoleProgress(quiet=quiet, verbose=verbose) as progress:
        return asyncio.run(work())


def _of_the_services(config: Config) -> Selection:
    workloads = tuple(dict.fromkeys(service.workload for service in config.services if service.workload))
    if not workloads:
        raise UsageError(
            "podcov.yaml names no workload: its services have selectors only",
            hint="name the workloads: `podcov attach deployment/NAME`, or write `workload:` for the services",
        )
    return Selection(workloads)


async def _documents(targets: Iterable[Target], cluster: Attachments) -> list[Json]:
    """The targets, and the Services beside them, each once."""
    found = [document for target in targets for document in await cluster.targets.documents(target)]
    return list({_key(document): document for document in found}.values())


def _first_config(path: Path, documents: Iterable[Json], progress: ConsoleProgress) -> str:
    """The podcov.yaml that `podcov init` would write, of what runs instead of manifests."""
    known = replace(project.surroundings(path.resolve().parent), chosen=True)
    text, findings = api.first_config(
        manifests.of_documents(map(instrument.remove, documents)), Generate(), known, name="the cluster"
    )
    for finding in findings:
        progress.note(cluster_attach.told(finding))
    return text


def _key(document: Json) -> tuple[str, str, str]:
    return document["kind"], document["metadata"]["namespace"], document["metadata"]["name"]


def _known(targets: list[Target], config: Config, progress: ConsoleProgress) -> list[Target]:
    """Those that podcov.yaml has a service for. Raises UsageError where it has for none."""
    known = [target for target in targets if _services(target, config)]
    for target in (t for t in targets if t not in known):
        progress.note(f"{target.reference}: left as it is; podcov.yaml has no service for it")
    if not known:
        raise _no_service(targets[0], config)
    return known


def _injecting(config: Config, path: Path) -> Inject:
    """Each workload with the services that are in it, and no others."""

    def inject(workload: Json) -> Injected:
        target = Target.of(workload)
        services = _services(target, config)
        if not services:
            raise _no_service(target, config)
        injector = project.injector(path.resolve().parent, replace(config, services=services))
        return replace(injector, builds=False).documents([workload], name=str(target))

    return inject


def _services(target: Target, config: Config) -> tuple[Service, ...]:
    return tuple(
        replace(service, workload=target.reference)
        for service in config.services
        if service.workload and owners.same(service.workload, target.reference)
        if service.namespace in ("", target.namespace)
    )


def _no_service(target: Target, config: Config) -> UsageError:
    there = ", ".join(f"{service.name} ({service.workload})" for service in config.services if service.workload)
    return UsageError(
        f"podcov.yaml has no service whose workload is {target}",
        hint=f"write one: `services: {{{target.name}: {{workload: {target.reference}}}}}`; there are: {there}",
    )

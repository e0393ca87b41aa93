"""What a first `podcov.yaml` says because of how services are measured already. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, replace

from podcov.config import Config, Dump, Service, Tests
from podcov.generate.adoption.contract import OFFER, Adoption, Handover, has_podcov_yaml_say
from podcov.generate.detect import Detected
from podcov.generate.findings import Finding


def applied(detected: Detected, adopted: Iterable[Adoption]) -> Detected:
    """What was detected, as the set-ups have it whose place podcov takes. The first that says something of a service counts."""
    for handover in (adoption.handover for adoption in reversed(list(adopted)) if adoption.handover):
        detected = _applied(detected, handover)
    return detected


def measured(adoptions: Iterable[Adoption], config: Config) -> tuple[Adoption, ...]:
    """The set-ups, without offers to have `podcov.yaml` say what it says already; `config` may be about to be written."""
    return tuple(_measured(adoption, adoption.handover, config) if adoption.handover else adoption for adoption in adoptions)


def by_hand(adoptions: Iterable[Adoption]) -> str:
    """What a `podcov.yaml` would have to say of services that no manifest is known of, as one line; empty for none."""
    handovers = [adoption.handover for adoption in adoptions if adoption.handover]
    services = {workload.rpartition("/")[2]: _settings(of, workload) for of in handovers for workload in of.workloads}
    copies = {path: report for of in handovers for path, report in of.copies.items()}
    said = {"version": 1, "services": services} | ({"copies": copies} if copies else {})
    return json.dumps(said) if services else ""


def _measured(adoption: Adoption, handover: Handover, config: Config) -> Adoption:
    known, anew = has_podcov_yaml_say([handover.key]), has_podcov_yaml_say(_said_anew(handover, config))
    findings = []
    for finding in adoption.findings:
        if finding.decided.startswith(OFFER) and finding.decided.endswith(known):
            edits = finding.decided.removeprefix(OFFER).removesuffix(known).removesuffix(", ")
            offered = ", ".join(filter(None, (edits, anew)))
            findings += [replace(finding, decided=OFFER + offered)] if offered else []
        else:
            findings.append(finding)
    return replace(adoption, findings=tuple(findings))


def _said_anew(handover: Handover, config: Config) -> list[str]:
    """The keys that would be other than in `config`."""
    meant = [service for service in config.services if _is_meant(service, handover)]
    others = {
        handover.key: any(service.dump is None for service in meant),
        "`tests`": handover.tests not in (Tests(), config.tests),
        "`copies`": not handover.copies.items() <= dict(config.copies).items(),
    }
    return [key for key, is_other in others.items() if is_other and meant]


def _settings(handover: Handover, workload: str) -> dict[str, object]:
    plain = Dump(handover.dump.by)
    said = {f.name: getattr(handover.dump, f.name) for f in fields(Dump)}
    dump = {name: value for name, value in said.items() if name == "by" or value != getattr(plain, name)}
    return {"language": handover.language, "workload": workload, "source": ["."], "dump": dump}


def _applied(detected: Detected, handover: Handover) -> Detected:
    meant = [service for service in detected.services if _is_meant(service, handover)]
    if not meant:
        return detected
    return replace(
        detected,
        services=tuple(replace(s, dump=handover.dump, binary="") if s in meant else s for s in detected.services),
        findings=tuple(_decided(finding, meant, handover) for finding in detected.findings),
        suite=handover.tests if handover.tests != Tests() else detected.suite,
        copies={**detected.copies, **handover.copies},
    )


def _is_meant(service: Service, handover: Handover) -> bool:
    """What its source says of another way to ask for its coverage counts for more."""
    named = not handover.workloads or service.workload in handover.workloads
    same = service.dump is None or service.dump.by == handover.dump.by
    return service.language == handover.language and named and same


def _decided(finding: Finding, meant: Iterable[Service], handover: Handover) -> Finding:
    containers = [(service.workload, service.container) for service in meant]
    workload, _, container = finding.subject.partition(" ")
    if (workload, "") not in containers and (workload, container) not in containers:
        return finding
    return replace(finding, decided=handover.decided, why="it goes on measuring itself, as it does so far", level="info")

"""`podcov.yaml`: what is measured, how to get to it, which tests are run. Pure: text in, `Config` out.

Every value is documented in `docs/podcov-yaml.md` and `schemas/podcov-yaml-1.json`, which editors can use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from podcov.model import Mode

Entry = Literal["entrypoint", "environment"]


@dataclass(frozen=True, slots=True)
class LocalService:
    """How the local platform runs a service (`services.NAME.local`)."""

    command: tuple[str, ...]
    directory: str = "."
    env: Mapping[str, str] = field(default_factory=dict)
    """`{port:NAME}` in values and in `command` becomes the free port that was picked for that name"""
    ready: str = ""
    """a URL (placeholders as above) that answers below 500 once the service is up"""
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Service:
    """One container of one workload."""

    name: str
    language: str = "python"
    workload: str = ""
    """`deployment/NAME`, `statefulset/NAME`, ..."""
    container: str = ""
    namespace: str = ""
    selector: str = ""
    """a label selector to find its pods by, where the workload's own selector is not what is wanted"""
    source: tuple[str, ...] = ()
    """folders of the project that hold the service's source, relative to podcov.yaml"""
    packages: tuple[str, ...] = ()
    """top-level packages that are measured although they are installed in site-packages"""
    paths: Mapping[str, str] = field(default_factory=dict)
    """explicit mappings, container folder or file to local one; they win"""
    interpreter: str = "python3"
    entry: Entry = "entrypoint"
    command: tuple[str, ...] = ()
    """the image's own ENTRYPOINT and CMD, needed for `entrypoint` where the manifest has no command"""
    sidecar: bool = True
    mode: Mode | None = None
    ignore_processes: tuple[str, ...] = ()
    """regular expressions on command lines: interpreters that need not register"""
    coverage_config: str = ""
    """the service's own coverage configuration (.coveragerc, pyproject.toml, setup.cfg, tox.ini); found where empty"""
    local: LocalService | None = None


@dataclass(frozen=True, slots=True)
class PortForward:
    resource: str
    """`service/NAME`, `deployment/NAME`, `statefulset/NAME` or `pod/NAME`"""
    port: int
    local_port: int = 0
    """0: a free one"""
    name: str = ""
    """environment variables are NAME_HOST, NAME_PORT and NAME_URL, upper-case; default: the resource's name"""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Tests:
    command: tuple[str, ...] = ()
    directory: str = "."
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    """seconds"""


@dataclass(frozen=True, slots=True)
class Generate:
    """What `podcov init` read and writes; paths relative to podcov.yaml."""

    kustomize: str = ""
    """the Kustomize base that the overlay stands on"""
    overlay: str = "podcov/overlay"
    skaffold: str = ""
    tiltfile: str = ""
    profile: str = "coverage"


@dataclass(frozen=True, slots=True)
class Config:
    services: tuple[Service, ...]
    mode: Mode = "line"
    platform: Literal["kubernetes", "local"] = "kubernetes"
    context: str = ""
    namespace: str = ""
    tests: Tests = field(default_factory=Tests)
    port_forwards: tuple[PortForward, ...] = ()
    reports: tuple[str, ...] = ("html", "xml", "lcov", "json")
    generate: Generate = field(default_factory=Generate)

    def service(self, name: str) -> Service:
        return next(s for s in self.services if s.name == name)

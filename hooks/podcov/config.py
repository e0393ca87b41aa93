"""`podcov.yaml`: what is measured, how to get to it, which tests are run. Pure: text in, `Config` out.

Every value is documented in `docs/podcov-yaml.md` and `schemas/podcov-yaml-1.json`, which editors can use.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from podcov import signals, yaml_document
from podcov.errors import ConfigError
from podcov.model import Mode
from podcov.schemas import schema
from podcov.yaml_document import Document, Path, Problem, name_path, nearest_line

Entry = Literal["entrypoint", "environment"]
Way = Literal["overlay", "inject"]

DumpBy = Literal["signal", "killswitch", "exit"]
Architecture = Literal["amd64", "arm64"]

SERVICE = "{service}"
"""what stands for the name of each service in `copies`"""

COURIER_CONTAINER = "podcov-courier"
"""name of the native sidecar that the generator adds and the cluster platform calls; see `courier_container`"""


def courier_container(number: int) -> str:
    """The name of one of a pod's sidecars, from 1: there is one for each recorder that measures containers of it."""
    return COURIER_CONTAINER if number == 1 else f"{COURIER_CONTAINER}-{number}"


def is_courier_container(name: str) -> bool:
    return re.fullmatch(rf"{COURIER_CONTAINER}(-[0-9]+)?", name) is not None


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
    build: tuple[str, ...] = ()
    """a command that makes what `command` runs, in the same directory; a Go toolchain in it records"""


@dataclass(frozen=True, slots=True)
class Dump:
    """How a service that measures its coverage itself is made to hand it over (`services.NAME.dump`).

    `signal`: its own handler writes its counters into `folder`. `killswitch`: a request ends it, and its test binary writes
    `profile`; what started it starts it again. `exit`: it writes into `folder` when it ends, so its workload is scaled to 0.
    """

    by: DumpBy
    folder: str = "/tmp/coverage"  # noqa: S108 in the container
    """where the service writes, in the container: GOCOVERDIR, or the folder of `profile`"""
    signal: str = "USR1"
    """as `podcov.signals` names it"""
    port: int = 19999
    path: str = "/"
    profile: str = "cover.out"
    source: Literal["pods", "nodes"] = "pods"
    """where its files are taken from after its end: its pod, which podcov holds back, or the container that is its (Kind) node"""
    engine: Literal["", "docker", "podman"] = ""
    """what runs the nodes' containers; found where empty"""


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
    pods: str = ""
    """a pattern that the names of its pods match (`shop-api-*`), where neither workload nor selector is known"""
    interpreter: str = "python3"
    binary: str = ""
    """the program in the image, of a compiled service that is its own courier"""
    architecture: Architecture = "amd64"
    """what its nodes are, where a program of ours goes into its pods: only a service with `dump` gets one"""
    entry: Entry = "entrypoint"
    command: tuple[str, ...] = ()
    """the image's own ENTRYPOINT and CMD, needed for `entrypoint` where the manifest has no command"""
    sidecar: bool = True
    mode: Mode | None = None
    ignore_processes: tuple[str, ...] = ()
    """regular expressions on command lines: interpreters that need not register"""
    coverage_config: str = ""
    """the service's own coverage configuration (.coveragerc, pyproject.toml, setup.cfg, tox.ini); found where empty"""
    dump: Dump | None = None
    """None: podcov records, and has nothing to ask for"""
    local: LocalService | None = None


@dataclass(frozen=True, slots=True)
class PortForward:
    resource: str
    """`service/NAME`, `pod/NAME`, or a workload that has pods: `deployment/NAME`, ..."""
    port: int
    local_port: int = 0
    """0: a free one"""
    name: str = ""
    """environment variables are NAME_HOST, NAME_PORT and NAME_URL, upper-case; default: the resource's name"""
    namespace: str = ""

    @property
    def variables(self) -> str:
        """What its environment variables begin with."""
        return variable_prefix(self.name or self.resource.partition("/")[2])


@dataclass(frozen=True, slots=True)
class SuiteJob:
    """A Job that the tests run as."""

    image: str
    service_account: str = ""
    pull_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tests:
    """The integration tests: a command on this machine, in a pod that runs already (`inside`), or a Job (`job`)."""

    command: tuple[str, ...] = ()
    directory: str = "."
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    """seconds"""
    inside: str = ""
    """`deployment/NAME`, `pod/NAME`, ...: `command` is executed in one of its pods"""
    container: str = ""
    job: SuiteJob | None = None
    namespace: str = ""

    @property
    def in_cluster(self) -> bool:
        return bool(self.inside or self.job)

    @property
    def words(self) -> tuple[str, ...]:
        """What is run, for people: the command, or the image that brings its own; empty where there are no tests."""
        return self.command or ((self.job.image,) if self.job else ())


@dataclass(frozen=True, slots=True)
class HelmRelease:
    """A chart as it is rendered (`generate.helm`)."""

    release: str
    chart: str
    """its folder, relative to podcov.yaml, or what `helm template` takes instead"""
    values: tuple[str, ...] = ()
    """files of values, in their order"""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Generate:
    """What `podcov init` read and writes; paths relative to podcov.yaml."""

    by: Way = "overlay"
    """how coverage gets into the manifests: a Kustomize overlay, or `podcov inject` on what was rendered"""
    kustomize: str = ""
    """the Kustomize base that the overlay stands on"""
    manifests: tuple[str, ...] = ()
    """files and folders of plain manifests"""
    helm: tuple[HelmRelease, ...] = ()
    replicas: int | None = None
    """how many pods each measured workload has with coverage; None: as many as it says itself"""
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
    reports: tuple[str, ...] = ("html", "xml", "lcov", "json", "markdown", "go")
    copies: Mapping[str, str] = field(default_factory=dict)
    """files of the project that reports are copied to, and the reports, relative to the run's `reports/`; `{service}` in both
    stands for the name of each service"""
    generate: Generate = field(default_factory=Generate)
    file: str = field(default="podcov.yaml", compare=False)
    """what errors call the file that says all this"""
    lines: Mapping[Path, int] = field(default_factory=dict, compare=False, repr=False)
    """where in it each key stands"""

    def place(self, *path: str | int) -> str:
        """Where a key stands, or would stand: `podcov.yaml:7: services.web.workload`."""
        return f"{self.file}:{nearest_line(self.lines, path)}: {name_path(path)}"

    def service(self, name: str) -> Service:
        return next(s for s in self.services if s.name == name)


def parse(text: str, *, name: str = "podcov.yaml") -> Config:
    """Read the text of a `podcov.yaml`; `name` is what errors call it.

    Raises ConfigError, one line `NAME:LINE: KEY: what is wrong; what to write` for each problem.
    """
    document = yaml_document.read(text, name=name)
    if document.data is None:
        raise ConfigError(f"{name}:1: the file is empty", hint="`podcov init` writes one that fits this project.")
    found = yaml_document.problems(document, schema("podcov-yaml-1")) or sorted(_contradictions(document))
    if found:
        raise ConfigError(
            "\n".join(f"{name}:{problem.line}: {problem.text}" for problem in found),
            hint="every key is described in docs/podcov-yaml.md.",
        )
    return replace(_config(document), file=name, lines=document.lines)


def _config(document: Document) -> Config:
    parts: dict[str, Any] = _values(document, ())
    del parts["version"]
    parts["services"] = tuple(_service(document, name) for name in document.data["services"])
    if "tests" in parts:
        parts["tests"] = _tests(document)
    if "port_forwards" in parts:
        count = len(document.data["port_forwards"])
        parts["port_forwards"] = tuple(PortForward(**_values(document, ("port_forwards", n))) for n in range(count))
    if "generate" in parts:
        generate = _values(document, ("generate",))
        releases = range(len(document.data["generate"].get("helm", ())))
        helm = tuple(HelmRelease(**_values(document, ("generate", "helm", n))) for n in releases)
        parts["generate"] = Generate(**{**generate, "helm": helm})
    return Config(**parts)


def _tests(document: Document) -> Tests:
    parts = _values(document, ("tests",))
    if "job" in parts:
        parts["job"] = SuiteJob(**_values(document, ("tests", "job")))
    return Tests(**parts)


def _service(document: Document, name: str) -> Service:
    parts = _values(document, ("services", name))
    if "local" in parts:
        parts["local"] = LocalService(**_values(document, ("services", name, "local")))
    if "dump" in parts:
        parts["dump"] = _dump(document, ("services", name, "dump"))
    return Service(name=name, **parts)


def _dump(document: Document, path: Path) -> Dump:
    parts = _values(document, path)
    if "signal" in parts:
        parts["signal"] = signals.named(parts["signal"])
    return Dump(**parts)


def _values(document: Document, path: Path) -> dict[str, Any]:
    """The mapping at `path`, its values as the dataclasses want them: lists as tuples, commands split, environments as text."""
    return {key: _value(document, (*path, key), value) for key, value in document.at(path).items()}


def _value(document: Document, path: Path, value: Any) -> Any:
    match path[-1], value:
        case "command" | "build", str():
            return tuple(shlex.split(value))
        case "env", dict():
            return {key: document.texts[(*path, key)] for key in value}
        case _, list():
            return tuple(value)
    return value


def _contradictions(document: Document) -> Iterator[Problem]:
    """What no schema can say."""
    data: dict[str, Any] = document.data
    yield from _unsplittable_commands(document)
    yield from _unreachable_services(document)
    for name, service in data["services"].items():
        for index, pattern in enumerate(service.get("ignore_processes", ())):
            try:
                re.compile(pattern)
            except re.error as error:
                path = ("services", name, "ignore_processes", index)
                yield _problem(document, path, f"this is no regular expression: {error}")
    yield from _useless_signals(document)
    yield from _clashing_forwards(document)
    yield from _tests_in_two_places(document)
    yield from _misplaced_copies(document)


def _misplaced_copies(document: Document) -> Iterator[Problem]:
    for copy, report in document.data.get("copies", {}).items():
        path = ("copies", copy)
        for name in (copy, report):
            if ".." in name.split("/"):
                yield _problem(document, path, f"{name} leads out of its folder; write it without `..`")
        if (SERVICE in copy) != (SERVICE in report):
            yield _problem(document, path, f"`{SERVICE}` stands in one of the two names only; write it in both, or in none")


def _useless_signals(document: Document) -> Iterator[Problem]:
    for name, service in document.data["services"].items():
        dump = service.get("dump", {})
        if "signal" in dump and (signal := signals.named(dump["signal"])) in signals.NOT_FOR_GO:
            said = (
                f"no Go program can wait for {signals.title(signal)}; write the signal that its handler waits for, such as `USR1`"
            )
            yield _problem(document, ("services", name, "dump", "signal"), said)


def _tests_in_two_places(document: Document) -> Iterator[Problem]:
    tests = document.data.get("tests", {})
    inside = tests.keys() & {"inside", "job"}
    if len(inside) == 2:
        yield _problem(document, ("tests", "job"), "the tests are executed `inside` a pod, or they are a `job`; leave one out")
    if inside and "directory" in tests:
        yield _problem(document, ("tests", "directory"), "is a folder of this machine, and the tests run in the cluster")
    if inside and document.data.get("platform") == "local":
        yield _problem(document, ("tests", min(inside)), "needs a cluster, and `platform` is `local`")
    if "inside" in tests and "command" not in tests:
        yield _problem(document, ("tests", "inside"), "needs a `command` to execute there")
    for key in sorted(tests.keys() & {"container"} if "inside" not in tests else ()):
        yield _problem(document, ("tests", key), "says where in a pod the tests are executed, and needs `inside`")
    if "namespace" in tests and not inside:
        yield _problem(document, ("tests", "namespace"), "is for tests that run in the cluster: `inside` or `job`")


def _clashing_forwards(document: Document) -> Iterator[Problem]:
    names: dict[Path, str] = {}
    ports: dict[Path, str] = {}
    for index, forward in enumerate(document.data.get("port_forwards", ())):
        names["port_forwards", index] = PortForward(forward["resource"], forward["port"], name=forward.get("name", "")).variables
        if forward.get("local_port"):
            ports["port_forwards", index, "local_port"] = str(forward["local_port"])
    yield from _doubles(document, names, "would set the variables {}_HOST, {}_PORT and {}_URL as well; give one of them a `name`")
    yield from _doubles(document, ports, "takes local port {} as well; leave it out for a free one")


def variable_prefix(name: str) -> str:
    """The NAME in the NAME_URL that tests find a port-forward by: `orders-db` is `ORDERS_DB`."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def address_variables(prefix: str, host: str, port: int) -> dict[str, str]:
    """What tests find a port by: PREFIX_HOST, PREFIX_PORT and PREFIX_URL."""
    return {f"{prefix}_HOST": host, f"{prefix}_PORT": str(port), f"{prefix}_URL": f"http://{host}:{port}"}


def _unsplittable_commands(document: Document) -> Iterator[Problem]:
    for path, text in document.texts.items():
        if path[-1] not in ("command", "build") or path[-2] == "env":
            continue
        try:
            if not shlex.split(text):
                yield _problem(document, path, "must not be empty")
        except ValueError as error:
            yield _problem(document, path, f"cannot be split into words: {str(error).lower()}; write a list instead")


def _unreachable_services(document: Document) -> Iterator[Problem]:
    data: dict[str, Any] = document.data
    containers: dict[Path, str] = {}
    for name, service in data["services"].items():
        path = ("services", name)
        if data.get("platform") == "local" and "local" not in service:
            yield _problem(document, path, "`platform: local` needs `local: {command: ...}` to run it")
        elif not service.keys() & {"workload", "selector", "pods", "local"}:
            yield _problem(document, path, "cannot be found; write for example `workload: deployment/NAME` and `container: NAME`")
        if "workload" in service and "selector" not in service:
            namespace = service.get("namespace", data.get("namespace", ""))
            containers[path] = " ".join(part for part in (namespace, service["workload"], service.get("container")) if part)
    yield from _doubles(document, containers, "is the same container as well ({})")


def _doubles(document: Document, values: Mapping[Path, str], complaint: str) -> Iterator[Problem]:
    """A problem for each path whose value an earlier one has too."""
    first: dict[str, Path] = {}
    for path, value in values.items():
        other = first.setdefault(value, path)
        if other != path:
            yield _problem(document, path, f"{name_path(other)} {complaint.replace('{}', value)}")


def _problem(document: Document, path: Path, text: str) -> Problem:
    return Problem(document.line(path), f"{name_path(path)}: {text}")

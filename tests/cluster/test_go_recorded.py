"""Go services that podcov's toolchain records, on a real cluster: block for block what Go's own tools say."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_examples import asking, by_tilt, copy_of, counted, left, module_namespace, seen, where
from go_pods import ask
from go_reference import Counts, Subject, probe, ran, reference

PROGRAMS = Path(__file__).parent / "go"
PODCOV = Path(sys.executable).with_name("podcov")
QUESTIONS = {
    "go-hello": ("/hello", "/hello?name=Ada&language=fr", "/hello?language=tlh", "/nothing"),
    "front": ("/?item=apple", "/?item=nothing"),
    "back": ("/?item=pear", "/?item=nothing"),
    "cgo": ("/?text=one+two", "/", "/healthz?text=ready"),
    "httpbin": (
        "/get?a=1",
        "/status/418",
        "/headers",
        "/gzip",
        "/uuid",
        "/json",
        "/bytes/100?seed=1",
        "/cookies/set?a=b",
        "/nothing",
    ),
    "node-exporter": ("/metrics", "/", "/metrics?collect[]=uname", "/metrics?collect[]=nothing"),
}
ENDINGS = ("deadlock", "exec", "exit", "fatal", "memory", "panic", "return", "stop", "stuck")

HTTPBIN = ("github.com/mccutchen/go-httpbin/v2@v2.18.3", "h1:DyckIScjHLJtmlSju+rgjqqI1nL8AdMZHsLSljlbnMU=")
NODE_EXPORTER = ("github.com/prometheus/node_exporter@v1.9.1", "h1:5PIaixeIW9WYDAymngAK2Ucg3yHbnbG2Fz5VZuoMgj4=")
PUBLIC = """\
ARG BASE=golang:1.26
FROM ${BASE} AS build
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 go build -o /service COMMAND

FROM scratch
COPY --from=build /service /service
USER 65532
ENTRYPOINT ["/service"]
"""
WITH_C = ("env", "CGO_ENABLED=1", "go", "build", "-ldflags=-linkmode=external -extldflags=-static", "-o", "service")
COLLECTORS = (
    "--collector.disable-defaults",
    "--collector.loadavg",
    "--collector.meminfo",
    "--collector.time",
    "--collector.uname",
)
END_AT_SIGTERM = """\
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func init() {
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	go func() {
		<-stopped
		os.Exit(0)
	}()
}
"""
"""for the reference of a service that has no handler: without one, Go's own runtime writes nothing"""
RESTRICTED = {
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class Deployed:
    """A service of the project: where it is built, and how it runs."""

    folder: str
    binary: str
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    port: int = 8080
    ready: str = "/healthz"
    replicas: int = 2
    resources: Mapping[str, Any] = field(default_factory=dict)


DEPLOYED = {
    "endings": Deployed("endings", "/endings", replicas=len(ENDINGS), resources={"limits": {"memory": "64Mi"}}),
    "front": Deployed("workspace", "/front", ["/front"], ready=""),
    "back": Deployed("workspace", "/back", ["/back"], ready=""),
    "cgo": Deployed("cgo", "/service", ready="/healthz?text=ready"),
    "httpbin": Deployed("httpbin", "/service", ready="/status/200"),
    "node-exporter": Deployed("node-exporter", "/service", args=COLLECTORS, port=9100, ready="/"),
}


@pytest.fixture(scope="module")
def space(create_namespace: Any, tmp_path_factory: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """For references, which need a Python that is root, and for the services of `recorded`."""
    with module_namespace(create_namespace, tmp_path_factory.mktemp("go") / "namespace-go", request) as made:
        yield made


@pytest.fixture(scope="module")
def refer(space: Any) -> Callable[[Subject], Counts]:
    """What Go's own tools say of a service that was asked the same."""

    def make(subject: Subject) -> Counts:
        return reference(space, subject, lambda addresses: ask(addresses, QUESTIONS[subject.name]), space.folder / subject.name)

    return make


# --- the example, by Skaffold and by Tilt ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hello_reference(root: Path, refer: Any) -> dict[str, bool]:
    return ran(refer(Subject("go-hello", root / "examples/go-hello")))


@pytest.fixture
def hello(root: Path, tmp_path: Path) -> Path:
    """The example, whose tests ask both of its pods."""
    return copy_of(root / "examples/go-hello", tmp_path / "go-hello", asking("go-hello", QUESTIONS["go-hello"], delete=True))


def test_from_scratch_without_rights_by_skaffold(
    restricted_namespace: Any, hello: Path, hello_reference: dict[str, bool]
) -> None:
    space = restricted_namespace
    space.podcov("init", cwd=hello)
    space.skaffold("run", "--profile", "coverage", cwd=hello, env=where(space))
    told = left(hello, "summary.json")
    assert told["ledger"]["complete"]
    assert told["ledger"]["targets"]["collected"] == 4, "two that were deleted, and those that took their places"
    assert seen(hello, "go-hello") == hello_reference


def test_by_tilt(restricted_namespace: Any, hello: Path, hello_reference: dict[str, bool]) -> None:
    restricted_namespace.podcov("init", cwd=hello)
    by_tilt(restricted_namespace, hello)
    assert left(hello, "summary.json")["ledger"]["complete"]
    assert seen(hello, "go-hello") == hello_reference


# --- many services in one run ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(cluster: Any, tmp_path_factory: Any) -> Path:
    """A project of several services, as `git clone` and `go mod vendor` leave them, with plain manifests and a skaffold.yaml."""
    folder: Path = tmp_path_factory.mktemp("recorded") / "project"
    for name in ("endings", "workspace", "cgo"):
        shutil.copytree(PROGRAMS / name, folder / name)
    cluster.run(PODCOV, "go", "--", *WITH_C, "-cover", ".", cwd=folder / "cgo")
    public(cluster, HTTPBIN, folder / "httpbin", "./cmd/go-httpbin")
    public(cluster, NODE_EXPORTER, folder / "node-exporter", ".")
    (folder / "k8s").mkdir()
    (folder / "k8s/kustomization.yaml").write_text("resources: [services.yaml]\n")
    manifests = [manifest(name, deployed) for name, deployed in DEPLOYED.items()]
    (folder / "k8s/services.yaml").write_text(yaml.safe_dump_all(manifests))
    built = sorted({deployed.folder for deployed in DEPLOYED.values()})
    build_args = {"buildArgs": {"BASE": "{{.BASE}}"}}
    skaffold = {
        "apiVersion": "skaffold/v4beta11",
        "kind": "Config",
        "build": {"artifacts": [{"image": name, "context": name, "docker": build_args} for name in built]},
        "manifests": {"kustomize": {"paths": ["k8s"]}},
    }
    (folder / "skaffold.yaml").write_text(yaml.safe_dump(skaffold, sort_keys=False))
    services = {
        name: {"language": "go", "workload": f"deployment/{name}", "binary": deployed.binary, "source": [deployed.folder]}
        for name, deployed in DEPLOYED.items()
    }
    ends = ["python3", str(PROGRAMS / "end_pods.py"), "app=endings", *ENDINGS]
    questions = [asking(name, QUESTIONS[name], d.port, delete=bool(d.ready)) for name, d in DEPLOYED.items() if name in QUESTIONS]
    (folder / "tests.sh").write_text(at_once(*questions, ends))
    generate = {"kustomize": "k8s", "skaffold": "skaffold.yaml"}
    config = {"version": 1, "services": services, "tests": {"command": ["sh", "tests.sh"]}, "generate": generate}
    (folder / "podcov.yaml").write_text(yaml.safe_dump(config))
    return folder


def at_once(*commands: Sequence[str]) -> str:
    """A shell script that runs them beside each other, and fails when one fails."""
    started = "".join(f'{shlex.join(command)} & started="$started $!"\n' for command in commands)
    return f"{started}for one in $started; do wait $one || exit; done\n"


def public(cluster: Any, module: tuple[str, str], folder: Path, command: str) -> None:
    """The source of a module as the main module, because Go covers no other, and what it depends on: no build needs a network."""
    version, checksum = module
    described = json.loads(cluster.run("go", "mod", "download", "-json", version, cwd=folder.parent).stdout)
    assert described["Sum"] == checksum
    shutil.copytree(
        described["Dir"], folder, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("fixtures", "testdata")
    )
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        path.chmod(0o755)
    cluster.run("go", "mod", "vendor", cwd=folder)
    (folder / "Dockerfile").write_text(PUBLIC.replace("COMMAND", command))


def manifest(name: str, deployed: Deployed) -> dict[str, Any]:
    container = {
        "name": name,
        "image": deployed.folder,
        "imagePullPolicy": "IfNotPresent",
        "args": list(deployed.args),
        "readinessProbe": probe(deployed.ready, deployed.port),
        "securityContext": RESTRICTED,
        "resources": dict(deployed.resources),
    }
    if deployed.command:
        container["command"] = list(deployed.command)
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": deployed.replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def recorded(space: Any, project: Path) -> Path:
    """The project, after all of its services were deployed, asked and ended in one run."""
    space.podcov("init", cwd=project)
    space.skaffold("run", "--profile", "coverage", cwd=project, env=where(space))
    return project


def test_nothing_is_lost_whatever_ends_a_process(recorded: Path) -> None:
    counts = counted(recorded, "endings")
    missing = {block for block, count in counts.items() if not count}
    assert {re.sub(r":.*", "", block) for block in missing} == {"example.com/endings/unasked.go"}
    assert len(missing) == 1


def test_every_start_of_a_container_is_accounted_for(recorded: Path) -> None:
    ledger = left(recorded, "ledger.json")
    starts = [target for target in ledger["targets"] if target["service"] == "endings"]
    ended_once, twice, replaced = 5, 1, 1
    assert len(starts) == len(ENDINGS) + ended_once + 2 * twice + replaced
    programs = sorted(len(target["processes"]) for target in starts)
    assert programs == [1] * (len(starts) - 2) + [2, 2], "exec and deadlock go on as another program"
    assert left(recorded, "summary.json")["ledger"]["complete"]


@pytest.mark.parametrize("name", ["front", "back"])
def test_stripped_commands_of_a_workspace_with_vendored_modules_have_the_same_counts(
    recorded: Path, project: Path, refer: Any, name: str
) -> None:
    deployed = DEPLOYED[name]
    counts = counted(recorded, name)
    assert counts == refer(Subject(name, project / deployed.folder, command=deployed.command, ready=deployed.ready))
    assert max(counts.values()) > 1
    assert {re.sub(r"/[^/]*:.*", "", block) for block in counts} >= {"example.com/app/stock", "example.com/money"}
    assert not any("example.com/words" in block for block in counts)


def test_a_program_with_c_in_it(recorded: Path, cluster: Any, refer: Any, tmp_path: Path) -> None:
    deployed = DEPLOYED["cgo"]
    source = tmp_path / "cgo"
    shutil.copytree(PROGRAMS / "cgo", source)
    cluster.run(*WITH_C, "-cover", ".", cwd=source)
    subject = Subject("cgo", source, flags="", ready=deployed.ready)
    assert seen(recorded, "cgo") == ran(refer(subject))
    starts = [target for target in left(recorded, "ledger.json")["targets"] if target["service"] == "cgo"]
    recording = {process["recording"] for target in starts for process in target["processes"]}
    assert recording == {"saved"}, "a static C library lays its variables beside the counters"


@pytest.mark.parametrize("name", ["httpbin", "node-exporter"])
def test_public_services(recorded: Path, project: Path, refer: Any, name: str, tmp_path: Path) -> None:
    deployed = DEPLOYED[name]
    source = tmp_path / name
    shutil.copytree(project / deployed.folder, source)
    added = source / "reference_end.go"
    if name == "node-exporter":
        added.write_text(END_AT_SIGTERM)
    subject = Subject(name, source, args=deployed.args, port=deployed.port, ready=deployed.ready)
    expected = {block: yes for block, yes in ran(refer(subject)).items() if f"/{added.name}:" not in block}
    assert sum(expected.values()) > 100
    assert seen(recorded, name) == expected

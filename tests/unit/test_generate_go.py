"""Go services in manifests: which containers they are, which program that is, and what is added so that they are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml
from memory_project import MemoryProject
from podcov.config import Dump, Service, parse
from podcov.errors import ManifestError
from podcov.generate import detect
from podcov.generate.coverage import instrument, verify
from podcov.generate.coverage.entering import Surroundings
from podcov.generate.coverage.inject import Injector
from podcov.generate.detect import Detected
from podcov.generate.findings import Finding
from podcov.generate.images.artifacts import Artifact, Builder, Buildpacks
from podcov.generate.images.dockerfile import Image, nowhere
from podcov.generate.kubernetes import manifests
from podcov.generate.languages import go, go_programs
from podcov.generate.survey import Generate

Document = dict[str, Any]


def workload(*containers: str, kind: str = "Deployment", pod: str = "") -> str:
    listed = "".join(f"      - {container}\n" for container in containers)
    return (
        f"---\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: app}}\n"
        f"spec:\n  template:\n    metadata: {{labels: {{app: app}}}}\n    spec:\n{pod}      containers:\n{listed}"
    )


APP = "{name: app, image: app}"
MODULE = {"app/go.mod": "module example.com/shop/v2\n\ngo 1.24\n", "app/main.go": "package main\n\nfunc main() {}\n"}
BUILT = "FROM golang:1.24 AS build\nWORKDIR /src\nCOPY . .\nRUN CGO_ENABLED=0 go build -o /out/shop ./cmd/shop\n"
SCRATCH = f'{BUILT}FROM scratch\nCOPY --from=build /out/shop /shop\nENTRYPOINT ["/shop"]\n'


GOOGLE_S = Buildpacks("gcr.io/buildpacks/builder:v1", "app/project.toml")


def known(
    dockerfile: str,
    files: Mapping[str, str],
    builder: Builder = "docker",
    main: str = "",
    buildpacks: Buildpacks = GOOGLE_S,
) -> Surroundings:
    path = "app/Dockerfile" if dockerfile else ""
    artifact = Artifact("app", "app", path, "skaffold.yaml", builder=builder, main=main, buildpacks=buildpacks)
    return Surroundings(MemoryProject({**files, **({path: dockerfile} if path else {})}), (artifact,), nowhere)


def look(dockerfile: str, container: str = APP, files: Mapping[str, str] = MODULE, **more: Any) -> Detected:
    return detect.detect(manifests.read(workload(container)), known(dockerfile, files, **more))


def one(dockerfile: str, container: str = APP, files: Mapping[str, str] = MODULE, **more: Any) -> tuple[Service, Finding]:
    """The only service of a project whose image is built from `dockerfile` in the folder `app`."""
    found = look(dockerfile, container, files, **more)
    (service,), (finding,) = found.services, found.findings
    return service, finding


@pytest.mark.parametrize(
    ("dockerfile", "container", "binary"),
    [
        (SCRATCH, APP, "/shop"),
        (SCRATCH, "{name: app, image: app, command: [/shop, --fast]}", "/shop"),
        (SCRATCH, "{name: app, image: app, command: [./shop], workingDir: /srv/..}", "/shop"),
        # kubebuilder's: the manifest has the command
        (
            "FROM golang:1.24 AS builder\nWORKDIR /workspace\nRUN CGO_ENABLED=0 go build -a -o manager cmd/main.go\n"
            "FROM gcr.io/distroless/static:nonroot\nWORKDIR /\nCOPY --from=builder /workspace/manager .\n"
            'ENTRYPOINT ["/manager"]\n',
            "{name: app, image: app, command: [/manager], args: [--leader-elect]}",
            "/manager",
        ),
        # make, with a toolchain in the stage, and the stage by its number
        (
            "FROM golang:1.24-alpine\nRUN make\nFROM alpine\nCOPY --from=0 /src/bin/ /app/bin/\nCMD /app/bin/shop -v\n",
            APP,
            "/app/bin/shop",
        ),
        # a company's base image that builds with Go
        (
            "FROM company/builder AS b\nRUN set -e; go install ./...\nFROM busybox\nCOPY --from=b /go/bin/shop /usr/bin/\n"
            'ENTRYPOINT ["/sbin/tini", "-s", "--", "shop"]\n',
            APP,
            "/usr/bin/shop",
        ),
        # handed on by a stage between
        (
            f"{BUILT}FROM scratch AS files\nCOPY --from=build /out/shop /\n"
            "FROM debian\nWORKDIR /srv\nCOPY --from=files /shop run\nCMD exec ./run\n",
            APP,
            "/srv/run",
        ),
        ("FROM golang:1.24\nWORKDIR /app\nCOPY . .\nRUN go build -o shop .\nCMD ./shop\n", APP, "/app/shop"),
        # a script starts it, but there is only one program that Go built
        (
            f"{BUILT}FROM alpine\nCOPY --from=build /etc/ssl/certs/ca.crt /etc/ssl/\nCOPY --from=build /out/shop /srv/shop\n"
            'COPY run.sh /\nENTRYPOINT ["/run.sh"]\n',
            APP,
            "/srv/shop",
        ),
        # relative to WORKDIR, on a base that has another of its own
        (
            f'{BUILT}FROM gcr.io/distroless/static:nonroot\nWORKDIR /app\nCOPY --from=build /out/shop .\nENTRYPOINT ["./shop"]\n',
            APP,
            "/app/shop",
        ),
        (f'{BUILT}FROM gcr.io/distroless/static:nonroot\nCOPY --from=build /out/shop .\nENTRYPOINT ["./shop"]\n', APP, "./shop"),
        # two Deployments of one image tell its program what to be
        (SCRATCH, "{name: app, image: app, args: [worker]}", "/shop"),
        (f"{BUILT}FROM alpine\nCOPY --from=build /out/shop /shop\nENTRYPOINT exec /shop $FLAGS\n", APP, "/shop"),
        # of several programs the one that a script, or a launcher that is not known, hands on to
        (
            f"{BUILT}FROM alpine\nCOPY --from=build /out/shop /out/tasks /bin/\nCOPY enter.sh /\n"
            'ENTRYPOINT ["/enter.sh"]\nCMD ["tasks", "--all"]\n',
            APP,
            "/bin/tasks",
        ),
        (
            f"{BUILT}FROM alpine\nCOPY --from=build /out/shop /out/tasks /bin/\n"
            'ENTRYPOINT ["/usr/bin/with-secrets", "shop", "--"]\nCMD ["/bin/shop"]\n',
            APP,
            "/bin/shop",
        ),
        # what is called like a usual folder may be a file
        (f'{BUILT}FROM scratch\nCOPY --from=build /out/shop /app\nENTRYPOINT ["/app"]\n', APP, "/app"),
        (f'{BUILT}FROM alpine\nCOPY --from=build /out/shop /app\nCMD ["/app/shop"]\n', APP, "/app/shop"),
        (
            f"{BUILT}FROM alpine\nCOPY --from=build /out/shop /out/tasks /bin/\nENV APP=/bin/tasks\nCMD exec ${{APP}} -v\n",
            APP,
            "/bin/tasks",
        ),
        # Go beside an interpreter: what runs counts
        (f'{BUILT}FROM python:3.13\nCOPY --from=build /out/shop /shop\nCMD ["/shop"]\n', APP, "/shop"),
    ],
)
def test_the_program_that_go_built(dockerfile: str, container: str, binary: str) -> None:
    service, finding = one(dockerfile, container)
    assert (service.language, service.binary, service.source, service.dump) == ("go", binary, ("app",), None)
    assert finding.why == f"its sidecar runs {binary} too, which hands over what was recorded"


@pytest.mark.parametrize(
    ("dockerfile", "container", "language"),
    [
        (f'{BUILT}FROM python:3.13\nCOPY --from=build /out/shop /bin/helper\nCMD ["python3", "app.py"]\n', APP, "python"),
        (f'{BUILT}FROM node:22\nCOPY --from=build /out/shop /bin/helper\nCMD ["node", "app.js"]\n', APP, ""),
        (f'{BUILT}FROM nginx\nCOPY --from=build /out/assets /usr/share/nginx/html\nCMD ["nginx"]\n', APP, ""),
        (f'{BUILT}FROM nginx\nCOPY --from=build /out/assets /\nCMD ["/usr/sbin/nginx"]\n', APP, ""),
        ('FROM alpine\nRUN apk add redis\nCMD ["redis-server"]\n', APP, ""),
        (SCRATCH, "{name: app, image: nginx}", ""),
    ],
)
def test_what_runs_something_else_is_no_go_service(dockerfile: str, container: str, language: str) -> None:
    assert [service.language for service in look(dockerfile, container).services] == ([language] if language else [])


@pytest.mark.parametrize(
    ("main", "files", "binary", "source"),
    [
        ("./app", MODULE, "/ko-app/v2", "app"),
        ("./app/cmd/server", MODULE, "/ko-app/server", "app"),
        ("example.com/shop/v2/cmd/worker", MODULE, "/ko-app/worker", "app"),
        ("./app", {"go.mod": "module example.com/all"}, "/ko-app/app", "."),
        ("./app", {}, "/ko-app/ko-app", "app"),
    ],
)
def test_ko_names_a_program_after_its_package(main: str, files: Mapping[str, str], binary: str, source: str) -> None:
    service, finding = one("", files=files, builder="ko", main=main)
    assert (service.binary, service.source, finding.found) == (binary, (source,), "go: built by ko")


def test_a_program_from_outside_has_to_be_built_by_podcov_s_toolchain() -> None:
    service, finding = one('FROM scratch\nCOPY bin/shop /shop\nCMD ["/shop"]\n')
    assert (service.binary, finding.level) == ("/shop", "warning")
    assert finding.why == "/shop is built outside of its Dockerfile: have that done by `podcov go -- COMMAND`"


@pytest.mark.parametrize(
    ("dockerfile", "why"),
    [
        ("FROM golang:1.24\nCOPY . .\nCMD go run .\n", "`go` compiles it when it starts: build it in its image to measure it"),
        (
            f"{BUILT}FROM alpine\nCOPY --from=build /out/ /srv/\nCMD /srv/run.sh\n",
            "nothing says which program of the image it is: add it to podcov.yaml, with `language: go` and its `binary`",
        ),
    ],
)
def test_what_cannot_be_measured_as_it_is_is_left_alone_and_said(dockerfile: str, why: str) -> None:
    found = look(dockerfile)
    assert found.services == ()
    assert [(f.decided, f.why, f.level) for f in found.findings] == [("left alone", why, "warning")]


@pytest.mark.parametrize(
    ("dockerfile", "container", "decided", "sidecar"),
    [
        (SCRATCH, "image: elsewhere/app", "recorded by a toolchain with podcov in it, no sidecar", False),
        (SCRATCH, "image: elsewhere/app, command: [/shop]", "recorded by a toolchain with podcov in it", True),
    ],
)
def test_a_guess_gets_no_sidecar_that_might_not_start(dockerfile: str, container: str, decided: str, sidecar: bool) -> None:
    project = Surroundings(MemoryProject({**MODULE, "app/Dockerfile": dockerfile}), (), nowhere)
    found = detect.detect(manifests.read(workload(f"{{name: app, {container}}}")), project)
    assert [(s.binary, s.sidecar) for s in found.services] == [("/shop", sidecar)]
    assert [f.decided for f in found.findings] == [decided]


def test_a_guess_s_arguments_are_not_changed() -> None:
    project = Surroundings(MemoryProject({**LOOP_FILES, "app/Dockerfile": LOOP}), (), nowhere)
    found = detect.detect(manifests.read(workload("{name: app, image: elsewhere/app, args: [-v]}")), project)
    assert (found.services, [f.level for f in found.findings]) == ((), ["warning"])
    assert found.findings[0].why.startswith("app/Dockerfile, by its name, is a guess: add it to podcov.yaml, with `language: go`")


def test_what_tilt_overrides_gets_no_sidecar() -> None:
    artifact = Artifact("app", "app", "app/Dockerfile", "Tiltfile", entrypoint=True)
    project = Surroundings(MemoryProject({**MODULE, "app/Dockerfile": SCRATCH}), (artifact,), nowhere)
    found = detect.detect(manifests.read(workload(APP)), project)
    assert [(s.binary, s.sidecar) for s in found.services] == [("/shop", False)]


HANDLER = """package %s

import (
	"os"
	"os/signal"
	"runtime/coverage"
	"syscall"
)

func Handle() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIG%s)
	for range c {
		coverage.WriteCountersDir(os.Getenv("GOCOVERDIR"))
		coverage.ClearCounters()
	}
}
"""


@pytest.mark.parametrize(
    ("path", "package", "signal", "dump"),
    [
        ("app/coverage.go", "main", "USR1", Dump("signal")),
        ("app/internal/cover/cover.go", "cover", "USR2", Dump("signal", signal="USR2")),
        ("app/cmd/shop/cover.go", "main", "USR1", Dump("signal")),
        ("app/cmd/other/cover.go", "main", "USR1", None),
        ("app/cover_test.go", "main", "USR1", None),
        ("app/coverage.go", "main", "TERM", None),
    ],
)
def test_a_handler_in_its_own_source_is_asked_by_signal(path: str, package: str, signal: str, dump: Dump | None) -> None:
    dockerfile = SCRATCH if path != "app/coverage.go" else SCRATCH.replace(" ./cmd/shop", " .")
    service, _ = one(dockerfile, files={**MODULE, path: HANDLER % (package, signal)})
    assert service.dump == dump
    assert service.binary == ("" if dump else "/shop")


def test_the_folder_that_it_writes_to_is_kept() -> None:
    container = "{name: app, image: app, env: [{name: GOCOVERDIR, value: /cov/}]}"
    files = {**MODULE, "app/internal/cover.go": HANDLER % ("cover", "USR1")}
    assert one(SCRATCH, container, files)[0].dump == Dump("signal", folder="/cov")
    assert one(SCRATCH, container)[0].dump is None
    assert one("", container, builder="buildpacks", buildpacks=NAMED)[0].dump == Dump("exit", folder="/cov")
    assert one('FROM scratch\nCOPY shop /shop\nCMD ["/shop"]', container)[0].dump == Dump("exit", folder="/cov")


@pytest.mark.parametrize(
    ("builder", "env", "binary", "sidecar"),
    [
        ("gcr.io/buildpacks/builder:v1", {}, "/cnb/process/web", True),
        ("heroku/builder:24", {}, "/cnb/process/web", True),
        ("paketobuildpacks/builder-jammy-tiny", {}, "/cnb/process/shop", True),
        ("paketobuildpacks/builder-jammy-tiny", {"BP_GO_TARGETS": "./cmd/front:./cmd/back"}, "/cnb/process/front", True),
        ("company/builder", {}, "/cnb/process/web", False),
    ],
)
def test_an_image_of_buildpacks_is_its_own_courier_by_its_launcher(
    builder: str, env: Mapping[str, str], binary: str, sidecar: bool
) -> None:
    service, finding = one("", builder="buildpacks", buildpacks=Buildpacks(builder, "app/project.toml", env=env))
    assert (service.binary, service.sidecar, service.dump) == (binary, sidecar, None)
    assert (finding.level == "warning") is not sidecar
    assert (
        one("", "{name: app, image: app, command: [/cnb/process/worker]}", builder="buildpacks")[0].binary
        == "/cnb/process/worker"
    )


NAMED = Buildpacks("gcr.io/buildpacks/builder:v1", "app/project.toml", named=True)


@pytest.mark.parametrize(
    "descriptor",
    [
        '[_]\nschema-version = "0.2"\n[[io.buildpacks.group]]\nid = "paketo-buildpacks/go"\n',
        '[project]\nid = "shop"\n[[build.buildpacks]]\nid = "paketo-buildpacks/go"\n',
        "this is no TOML",
    ],
)
def test_where_buildpacks_are_named_none_of_podcov_s_goes_before_them(descriptor: str) -> None:
    assert one("", builder="buildpacks", buildpacks=NAMED)[0].dump == Dump("exit")
    assert one("", files={**MODULE, "app/project.toml": descriptor}, builder="buildpacks")[0].dump == Dump("exit")


@pytest.mark.parametrize(
    ("env", "descriptor"),
    [
        ({"GOTOOLCHAIN": "local"}, ""),
        ({}, '[_]\nschema-version = "0.2"\n[[io.buildpacks.build.env]]\nname = "GOTOOLCHAIN"\nvalue = "local"\n'),
        ({}, '[_]\nschema-version = "0.2"\n[[io.buildpacks.env.build]]\nname = "GOTOOLCHAIN"\nvalue = "local"\n'),
        ({}, '[[build.env]]\nname = "A"\nvalue = "b"\n[[build.env]]\nname = "GOTOOLCHAIN"\nvalue = "go1.25.3"\n'),
    ],
)
def test_a_toolchain_that_the_user_names_is_the_one_that_builds(env: Mapping[str, str], descriptor: str) -> None:
    """Without podcov in it the program would not know the sidecar's argument, and nothing would end it behind a launcher."""
    buildpacks = Buildpacks(GOOGLE_S.builder, "app/project.toml", env=env)
    files = {**MODULE, "app/project.toml": descriptor}
    service, finding = one("", files=files, builder="buildpacks", buildpacks=buildpacks)
    assert service.dump == Dump("exit")
    assert finding.why.startswith("GOTOOLCHAIN is set, by which podcov gets into the build: take it out")


@pytest.mark.parametrize(
    "descriptor",
    [
        '[_]\nschema-version = "0.2"\n[io.buildpacks.pre]\ngroup = [{id = "company/certs", version = "1"}]\n',
        '[_]\nschema-version = "0.2"\n[io.buildpacks]\npre = {group = [{id = "company/certs", version = "1"}]}\n',
        '[_]\nschema-version = "0.2"\n[io]\nbuildpacks = {include = ["*.go"]}\n',
    ],
)
def test_a_descriptor_that_nothing_can_be_added_to_stays_as_it_is(descriptor: str) -> None:
    service, finding = one("", files={**MODULE, "app/project.toml": descriptor}, builder="buildpacks")
    assert service.dump == Dump("exit")
    assert finding.why.startswith("nothing can be added to app/project.toml as it is written: use [io.buildpacks] and [[io.")


def test_what_a_procfile_starts_may_be_a_shell() -> None:
    found = look("", files={**MODULE, "app/Procfile": "web: shop --port $PORT\n"}, builder="buildpacks")
    assert not found.services
    assert "nothing says which program" in found.findings[0].why


LOOP = 'FROM alpine\nCOPY ./loop.sh /loop.sh\nCOPY ./server.test /server.test\nENTRYPOINT [ "/loop.sh" ]\n'
LOOP_FILES = {
    **MODULE,
    "app/loop.sh": 'while true; do\n  /server.test -test.coverprofile=server.out "$@" || exit 1\ndone\n',
    "app/run_test.go": 'package main\n\nfunc TestRun(t *testing.T) {\n\tkillServer := newKillServer(":8099", cancel)\n}\n',
}


TESTED = "FROM golang:1.24 AS b\nRUN go test -c -cover -o /run .\nFROM alpine\nCOPY --from=b /run /src/loop.sh /\n"


@pytest.mark.parametrize("dockerfile", [LOOP, f'{TESTED}CMD ["/run"]'])
def test_a_test_binary_is_ended_by_its_killswitch(dockerfile: str) -> None:
    service, finding = one(dockerfile, files=LOOP_FILES)
    assert service.dump == Dump("killswitch", port=8099, profile="server.out")
    assert finding.decided == "ended by its killswitch on port 8099"


def test_the_nodes_architecture_is_taken_from_the_node_selector() -> None:
    pods = workload(APP, pod="      nodeSelector: {kubernetes.io/arch: arm64}\n")
    found = detect.detect(manifests.read(pods), known(LOOP, LOOP_FILES))
    assert [service.architecture for service in found.services] == ["arm64"]
    assert parse(detect.podcov_yaml(found, Generate(kustomize="k8s"))).services == found.services


def test_a_first_podcov_yaml_can_be_read() -> None:
    for dockerfile, files in ((SCRATCH, MODULE), (LOOP, LOOP_FILES)):
        found = look(dockerfile, files=files)
        assert parse(detect.podcov_yaml(found, Generate(kustomize="k8s"))).services == found.services


# What is added ---------------------------------------------------------------------------------------------------------


def injected(
    service: str, container: str = APP, dockerfile: str = SCRATCH, **more: Any
) -> tuple[Document, Document, list[Document]]:
    """The container, the sidecar and the volumes, of a workload that comes off again as it went on."""
    config = parse(f"version: 1\nservices:\n  app: {{workload: {more.pop('of', 'deployment/app')}, language: go, {service}}}\n")
    text = workload(container, **more)
    injector = Injector(config, known(dockerfile, MODULE), lambda _: {})
    changed, _ = injector.text(text, name="app.yaml")
    verify.only_adds_coverage(text, changed, injector.measured(text))
    pod = yaml.safe_load(changed.rpartition("---\n")[2])["spec"]["template"]["spec"]
    return pod["containers"][0], (pod.get("initContainers") or [{}])[0], pod["volumes"]


def mounts(container: Document) -> dict[str, str]:
    return {m["mountPath"]: f"{m['name']}/{m.get('subPath', '')}".rstrip("/") for m in container["volumeMounts"]}


def variables(container: Document) -> dict[str, str]:
    return {v["name"]: v["value"] for v in container["env"]}


def test_what_is_recorded_needs_no_wrapper_and_keeps_its_command() -> None:
    secured = "{name: app, image: app, args: [-v], securityContext: {runAsNonRoot: true, readOnlyRootFilesystem: true}}"
    app, courier, volumes = injected("binary: /shop", secured)
    assert ("command" in app, app["args"], mounts(app)) == (False, ["-v"], {"/podcov/data": "podcov-data"})
    assert variables(app) == {"PODCOV_DATA": "/podcov/data", "PODCOV_CONTAINER": "app"}
    assert (courier["image"], courier["command"]) == ("app", ["/shop", "--podcov-courier", "serve"])
    assert courier["securityContext"] == {"runAsNonRoot": True, "readOnlyRootFilesystem": True}
    assert variables(courier).keys() == {"PODCOV_DATA", "PODCOV_CONTAINER", "PODCOV_OFF", "GOMEMLIMIT"}
    assert courier["terminationMessagePolicy"] == "FallbackToLogsOnError", "it may be no courier: then it is seen what it said"
    assert (mounts(courier), [v["name"] for v in volumes]) == ({"/podcov/data": "podcov-data"}, ["podcov-data"])


def test_the_launcher_of_a_buildpack_is_called_where_only_an_image_with_podcov_has_it() -> None:
    """It is a program in Go itself, which nothing of podcov's has built: it would end of the limit, whatever it starts."""
    _, courier, _ = injected("binary: /cnb/process/web")
    assert courier["command"] == ["/layers/podcov_go/courier/process/web", "--podcov-courier", "serve"]
    assert "GOMEMLIMIT" not in variables(courier)
    assert variables(courier)["PODCOV_OFF"] == "0"


@pytest.mark.parametrize(("binary", "is_certain"), [("/cnb/process/web", True), ("/shop", False)])
def test_an_image_of_buildpacks_without_that_path_is_to_be_built_anew(binary: str, is_certain: bool) -> None:
    """As a container's status tells of it. Of a program that a Dockerfile puts into the image, `binary` may be another."""
    _, courier, _ = injected(f"binary: {binary}")
    path = courier["command"][0]
    said = f'unable to start container process: exec: "{path}": stat {path}: no such file or directory: unknown'
    assert ("build its image anew with podcov" in go.never_a_courier(said)) is is_certain


@pytest.mark.parametrize(
    ("service", "container", "dockerfile", "binary"),
    [
        ("sidecar: true", APP, SCRATCH, "/shop"),
        ("sidecar: true", "{name: app, image: app, command: [/bin/shop]}", "", "/bin/shop"),
        ("command: [tini, --, /srv/shop]", "{name: app, image: elsewhere}", "", "/srv/shop"),
        ("binary: /a$(b)", APP, SCRATCH, "/a$$(b)"),
    ],
)
def test_a_program_that_podcov_yaml_does_not_name_is_told_from_its_command(
    service: str, container: str, dockerfile: str, binary: str
) -> None:
    assert injected(service, container, dockerfile)[1]["command"][0] == binary


@pytest.mark.parametrize(
    ("container", "found"),
    [
        ("{name: app, image: elsewhere}", r"container app: no command, and that of image elsewhere is not known"),
        ("{name: app, image: app, command: [/run.sh]}", r"services\.app\.binary: .* cannot be told from its command '/run\.sh'"),
        ("{name: app, image: app, command: [sh, -c, 'a | b']}", r"services\.app\.binary: .* cannot be told from its command"),
    ],
)
def test_a_program_that_nobody_knows_is_asked_for(container: str, found: str) -> None:
    with pytest.raises(ManifestError, match=found) as caught:
        injected("sidecar: true", container)
    assert "`binary:` of the service app in podcov.yaml" in caught.value.hint


ALPINE = "FROM alpine\nCOPY --from=build /out/shop /srv/shop\n"
MADE = "FROM golang:1.24 AS build\nRUN make build\nFROM scratch\n"


@pytest.mark.parametrize(
    ("binary", "dockerfile", "has"),
    [
        ("/shp", SCRATCH, "/shop"),
        ("/out/shop", SCRATCH, "/shop"),
        ("/shp", SCRATCH.replace("scratch", "gcr.io/distroless/static:nonroot"), "/shop"),
        ("/bin/shop", f'{BUILT}{ALPINE}RUN apk add curl && mkdir /data\nENTRYPOINT ["/srv/shop", "-v"]\n', "/srv/shop"),
        ("/bin/shp", f'{BUILT}FROM alpine\nCOPY --from=build /out/shop /bin/\nCOPY run.sh /bin\nCMD ["shop"]\n', "/bin/shop"),
        ("/shop", f'{BUILT}{ALPINE}COPY run.sh /\nENTRYPOINT ["/run.sh"]\n', "/srv/shop"),
        ("/shop", f"{BUILT}{ALPINE}RUN ln -s /srv/shop /bin/app\nCMD app\n", ""),
        # that is what it has
        ("/shop", SCRATCH, ""),
        ("/../shop", SCRATCH, ""),
        ("/tasks", f'{BUILT}FROM scratch\nCOPY --from=build /out/shop /out/tasks /\nCMD ["/shop"]\n', ""),
        # it may have it: from a folder, by a step, from elsewhere, whatever is called in the manifest
        ("/bin/tasks", f'{BUILT}FROM alpine\nCOPY --from=build /out/shop /shop\nCOPY bin /bin\nCMD ["/shop"]\n', ""),
        ("/tasks", f'{BUILT}FROM alpine\nCOPY --from=build /built/ /\nCMD ["/shop"]\n', ""),
        ("/bin/tasks", f'{BUILT.replace("/out/shop", "/out/")}FROM alpine\nCOPY --from=build /out/ /bin/\nCMD ["shop"]\n', ""),
        ("/srv/tasks", f'{BUILT}FROM alpine\nWORKDIR /srv\nCOPY . .\nCOPY --from=build /out/shop .\nCMD ["./shop"]\n', ""),
        ("/tasks", f'{BUILT}FROM alpine\nCOPY --from=build /out/shop /shop\nRUN mv /shop /tasks\nCMD ["/tasks"]\n', ""),
        ("/tasks", f'{BUILT}FROM alpine\nCOPY --from=build /out/shop /shop\nRUN make install\nCMD ["/shop"]\n', ""),
        ("/opt/shop", f'{MADE}COPY --from=build /src/bin/linux /opt\nENTRYPOINT ["/opt/shop"]\n', ""),
        ("/opt/tasks", f'{MADE}COPY --from=build /src/bin/amd64 /opt\nENTRYPOINT ["/opt/shop"]\n', ""),
        ("/usr/bin/shop", f'{BUILT}FROM company/base\nCOPY --from=build /out/shop /shop\nENTRYPOINT ["/usr/bin/shop"]\n', ""),
        ("/usr/bin/shop", f'{BUILT}FROM company/alpine\nCOPY --from=build /out/shop /shop\nENTRYPOINT ["/shop"]\n', ""),
        ("/tasks", 'FROM company/app\nENTRYPOINT ["/app"]\n', ""),
        ("shop", SCRATCH, ""),
    ],
)
def test_a_binary_that_the_image_has_not_is_doubted(binary: str, dockerfile: str, has: str) -> None:
    config = parse(f"version: 1\nservices:\n  app: {{language: go, workload: deployment/app, binary: {binary}}}\n")
    said = Injector(config, known(dockerfile, MODULE), lambda _: {}).documents([yaml.safe_load(workload(APP))]).findings
    why = f"nothing in app/Dockerfile puts a program there, and it has {has}: write `binary: {has}`"
    found = f"podcov.yaml: services.app.binary: {binary}"
    assert said == ((Finding("deployment/app app", found, "taken as it is", why, "warning"),) if has else ())


@pytest.mark.parametrize("by", ["signal", "exit"])
def test_what_measures_itself_gets_a_folder_that_the_sidecar_sees_and_the_hand(by: str) -> None:
    app, courier, volumes = injected(f"dump: {{by: {by}, folder: /cov}}, architecture: arm64")
    assert "command" not in app
    assert variables(app)["GOCOVERDIR"] == "/cov"
    both = {"/podcov/data": "podcov-data", "/podcov/wrapper": "podcov-wrapper"}
    assert mounts(app) == {**both, "/cov": "podcov-data/coverage/app"}
    assert courier["command"] == ["/podcov/wrapper/hand-aarch64", "serve", "/podcov/data"]
    assert mounts(courier) == both
    projected = volumes[1]["projected"]
    assert projected["defaultMode"] == 0o555
    assert [source["configMap"].keys() for source in projected["sources"]] == [{"name"}]  # the sidecar cannot start without it


def test_a_folder_that_is_a_volume_already_stays_that_and_the_sidecar_sees_it() -> None:
    own = "{name: app, image: app, volumeMounts: [{name: mine, mountPath: /cov/, subPath: a}]}"
    app, courier, volumes = injected("dump: {by: signal, folder: /cov}", own, pod="      volumes: [{name: mine, emptyDir: {}}]\n")
    assert mounts(app)["/cov/"] == "mine/a"
    assert mounts(courier)["/podcov/data/coverage/app"] == "mine/a"
    assert [v["name"] for v in volumes] == ["podcov-data", "podcov-wrapper", "mine"]


def test_a_node_s_folder_is_no_volume_of_podcov_s_own_whatever_its_name() -> None:
    _, _, volumes = injected("dump: {by: exit, source: nodes, folder: /data}")
    assert [v["name"] for v in volumes] == ["podcov-data", "podcov-wrapper", "podcov-node-data"]


def test_data_on_the_node_lie_in_a_folder_of_the_node() -> None:
    app, _, volumes = injected("dump: {by: exit, source: nodes}")
    assert mounts(app)["/tmp/coverage"] == "podcov-node-tmp-coverage"
    assert volumes[2]["hostPath"] == {"path": "/tmp/coverage", "type": "DirectoryOrCreate"}
    own = "{name: app, image: app, volumeMounts: [{name: host, mountPath: /tmp}]}"
    app, _, volumes = injected(
        "dump: {by: exit, source: nodes}", own, pod="      volumes: [{name: host, hostPath: {path: /x}}]\n"
    )
    assert len(volumes) == 3


PROFILE = "-test.coverprofile=/tmp/coverage/cover.out"


@pytest.mark.parametrize(
    ("service", "container", "dockerfile", "command", "args"),
    [
        ("", APP, LOOP, None, [PROFILE]),
        ("", APP, f'{LOOP}CMD ["-port", "80"]', None, [PROFILE, "-port", "80"]),
        ("", "{name: app, image: app, args: [-v]}", f'{LOOP}CMD ["-port"]', None, [PROFILE, "-v"]),
        ("", "{name: app, image: app, command: [/loop.sh]}", "", ["/loop.sh"], [PROFILE]),
        ("", "{name: app, image: app, command: [/loop.sh], args: [a]}", "", ["/loop.sh"], [PROFILE, "a"]),
        ("", APP, 'FROM alpine\nCMD ["/loop.sh"]', ["/loop.sh"], [PROFILE]),
        (", command: [/loop.sh, '$(A)']", "{name: app, image: x}", "", ["/loop.sh", "$$(A)"], [PROFILE]),
        ("", "{name: app, image: app, args: [/loop.sh, -v]}", "FROM alpine", ["/loop.sh"], [PROFILE, "-v"]),
    ],
)
def test_the_profile_s_place_is_the_first_argument_that_reaches_the_test_binary(
    service: str, container: str, dockerfile: str, command: list[str] | None, args: list[str]
) -> None:
    app, courier, _ = injected(f"dump: {{by: killswitch}}{service}", container, dockerfile)
    assert (app.get("command"), app["args"]) == (command, args)
    assert "GOCOVERDIR" not in variables(app)
    assert courier["command"] == ["/podcov/wrapper/hand-x86_64", "serve", "/podcov/data", "/podcov/data/coverage/app/cover.out"]


@pytest.mark.parametrize(
    ("service", "container", "dockerfile", "found", "hint"),
    [
        ("dump: {by: killswitch}", "{name: app, image: x}", "", "no command, and that of image x is not known", "as `command:`"),
        ("dump: {by: killswitch}", APP, "FROM alpine\nENTRYPOINT /loop.sh", "is started by a shell", 'by "$@"'),
        (
            "dump: {by: exit}",
            "{name: app, image: app, env: [{name: GOCOVERDIR, value: /cov}]}",
            SCRATCH,
            "services.app.dump.folder: it is /tmp/coverage, and the manifest's GOCOVERDIR is /cov",
            "write `folder: /cov`.",
        ),
    ],
)
def test_what_it_has_to_be_told_it_asks_for(service: str, container: str, dockerfile: str, found: str, hint: str) -> None:
    with pytest.raises(ManifestError) as caught:
        injected(service, container, dockerfile)
    assert found in caught.value.message
    assert hint in caught.value.hint


SERVICES = {
    "a": "language: go, binary: /a",
    "b": "command: [python3, b.py], sidecar: false",
    "c": "command: [python3, c.py]",
    "d": "language: go, dump: {by: signal, folder: /cov}",
    "e": "language: go, binary: /e",
}


def mixed(*names: str, pod: str = "") -> tuple[str, Injector]:
    """A pod with containers of these names, each the service of that name, in the order in which they are given."""
    services = "".join(f"  {n}: {{workload: deployment/app, container: {n}, {SERVICES[n]}}}\n" for n in sorted(names))
    config = parse(f"version: 1\nservices:\n{services}")
    return workload(*(f"{{name: {n}, image: {n}}}" for n in names), pod=pod), Injector(config, known("", {}), lambda _: {})


def deployment_in(text: str) -> Document:
    (found,) = (document for document in yaml.safe_load_all(text) if document["kind"] == "Deployment")
    return dict(found)


def test_containers_of_a_pod_that_are_measured_in_several_ways_have_a_sidecar_and_a_volume_for_each() -> None:
    text, injector = mixed("a", "b", "c", "d", "e")
    document = deployment_in(injector.text(text, name="app.yaml")[0])
    pod = document["spec"]["template"]["spec"]
    assert {c["name"]: mounts(c) for c in (*pod["initContainers"], *pod["containers"])} == {
        "podcov-courier": {"/podcov/data": "podcov-data"},
        "podcov-courier-2": {"/podcov/data": "podcov-data-2", "/podcov/wrapper": "podcov-wrapper-2"},
        "podcov-courier-3": {"/podcov/data": "podcov-data-3", "/podcov/wrapper": "podcov-wrapper-3"},
        "podcov-courier-4": {"/podcov/data": "podcov-data-4"},
        "a": {"/podcov/data": "podcov-data"},
        "b": {"/podcov/data": "podcov-data-2", "/podcov/wrapper": "podcov-wrapper-2"},
        "c": {"/podcov/data": "podcov-data-2", "/podcov/wrapper": "podcov-wrapper-2"},
        "d": {
            "/podcov/data": "podcov-data-3",
            "/podcov/wrapper": "podcov-wrapper-3",
            "/cov": "podcov-data-3/coverage/d",
        },
        "e": {"/podcov/data": "podcov-data-4"},
    }
    couriers = {c["name"]: (c["image"], c["command"][0], variables(c)["PODCOV_CONTAINER"]) for c in pod["initContainers"]}
    assert couriers == {
        "podcov-courier": ("a", "/a", "a"),
        "podcov-courier-2": ("c", "python3", "c"),
        "podcov-courier-3": ("d", "/podcov/wrapper/hand-x86_64", "d"),
        "podcov-courier-4": ("e", "/e", "e"),
    }
    brought = {v["name"]: [s["configMap"] for s in v["projected"]["sources"]] for v in pod["volumes"] if "projected" in v}
    assert {name: [m["name"].rpartition("-")[0] for m in maps] for name, maps in brought.items()} == {
        "podcov-wrapper-2": ["podcov-wrapper"],
        "podcov-wrapper-3": ["podcov-hand"],
    }
    assert all(m["optional"] for m in brought["podcov-wrapper-2"])
    assert not any("optional" in m for m in brought["podcov-wrapper-3"])
    verify.comes_off_again(yaml.safe_load(text), document)


def test_one_program_in_go_that_two_containers_of_a_pod_run_has_one_sidecar() -> None:
    services = "".join(f"  {n}: {{workload: deployment/app, container: {n}, language: go, binary: /a}}\n" for n in "ab")
    injector = Injector(parse(f"version: 1\nservices:\n{services}"), known("", {}), lambda _: {})
    text = injector.text(workload("{name: a, image: x}", "{name: b, image: x}"), name="app.yaml")[0]
    assert [c["name"] for c in yaml.safe_load(text)["spec"]["template"]["spec"]["initContainers"]] == ["podcov-courier"]


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        ("      initContainers: [{name: podcov-courier-2, image: x}]\n", "there is a container podcov-courier-2 already"),
        ("      volumes: [{name: podcov-data-2, emptyDir: {}}]\n", "there is a volume podcov-data-2 already"),
        ("      volumes: [{name: podcov-wrapper-2, emptyDir: {}}]\n", "there is a volume podcov-wrapper-2 already"),
    ],
)
def test_names_of_further_sidecars_and_volumes_are_taken_only_where_they_are_needed(pod: str, found: str) -> None:
    text, injector = mixed("a", "b", pod=pod)
    with pytest.raises(ManifestError, match=found):
        injector.text(text, name="app.yaml")
    text, injector = mixed("b", "c", pod=pod)
    assert instrument.remove(deployment_in(injector.text(text, name="app.yaml")[0])) == yaml.safe_load(text)


def test_containers_of_a_pod_in_two_languages_are_both_measured() -> None:
    found = detect.detect(
        manifests.read(workload("{name: web, image: app}", "{name: odd, image: x, command: [uvicorn]}")), known(SCRATCH, MODULE)
    )
    assert [(s.name, s.container, s.language) for s in found.services] == [("app-web", "web", "go"), ("app-odd", "odd", "python")]
    assert not any(finding.decided == "left alone" for finding in found.findings)


def test_each_namespace_gets_the_config_maps_that_its_pods_need() -> None:
    services = {
        "a": "command: [python3, a.py]",
        "b": "language: go, binary: /b",
        "c": "language: go, dump: {by: signal}",
    }
    listed = "".join(f"  {n}: {{workload: deployment/{n}, namespace: of-{n}, {said}}}\n" for n, said in services.items())
    text = "".join(workload(APP).replace("{name: app}\nspec", f"{{name: {n}, namespace: of-{n}}}\nspec") for n in services)
    injector = Injector(parse(f"version: 1\nservices:\n{listed}"), known("", {}), lambda _: {})
    made = injector.documents(list(yaml.safe_load_all(text))).config_maps
    assert {(m["metadata"]["namespace"], m["metadata"]["name"].rpartition("-")[0]) for m in made} == {
        ("of-a", "podcov-wrapper"),
        ("of-c", "podcov-hand"),
    }


def test_two_test_binaries_in_one_pod_have_one_sidecar_that_keeps_the_profiles_of_both() -> None:
    config = parse(
        "version: 1\nservices:\n"
        + "".join(f"  {n}: {{workload: deployment/app, container: {n}, language: go, dump: {{by: killswitch}}}}\n" for n in "ab")
    )
    text = workload("{name: a, image: x, command: [/a]}", "{name: b, image: y, command: [/b]}")
    changed, _ = Injector(config, known("", {}), lambda _: {}).text(text, name="app.yaml")
    pod = yaml.safe_load(changed.rpartition("---\n")[2])["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["command"][3:] == [f"/podcov/data/coverage/{name}/cover.out" for name in "ab"]


@pytest.mark.parametrize(("kind", "of"), [("Job", "job/app"), ("StatefulSet", "statefulset/app")])
def test_other_workloads(kind: str, of: str) -> None:
    _, courier, _ = injected("binary: /shop", of=of, kind=kind, pod="      restartPolicy: Never\n" if kind == "Job" else "")
    assert ("PODCOV_WAIT" in variables(courier)) == (kind == "Job")


def test_what_somebody_changed_since_stays_when_it_is_taken_off() -> None:
    config = parse("version: 1\nservices:\n  app: {workload: deployment/app, language: go, dump: {by: killswitch}}\n")
    plain = yaml.safe_load(workload("{name: app, image: app, command: [/loop.sh], args: [-v]}"))
    injector = Injector(config, known("", {}), lambda _: {})
    (covered,) = injector.documents([plain]).documents
    container: Document = instrument.remove(covered)["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["-v"]
    changed = yaml.safe_load(yaml.safe_dump(covered))
    changed["spec"]["template"]["spec"]["containers"][0]["args"] = ["-w"]
    assert instrument.remove(changed)["spec"]["template"]["spec"]["containers"][0]["args"] == ["-w"]


@pytest.mark.parametrize(
    ("service", "needed"),
    [
        ("language: go, binary: /shop", "a program that was built with -cover, by a Go toolchain with podcov in it"),
        ("language: go, dump: {by: exit}", "a program that was built with -cover"),
        ("command: [python3, app.py]", ""),
    ],
)
def test_who_builds_no_image_is_told_what_it_has_to_be(service: str, needed: str) -> None:
    config = parse(f"version: 1\nservices:\n  app: {{workload: deployment/app, {service}}}\n")
    plain = yaml.safe_load(workload(APP))
    injector = Injector(config, known("", {}), lambda _: {}, builds=False)
    said = [finding.decided for finding in injector.documents([plain]).findings]
    assert said == ([f"taken for {needed}"] if needed else [])
    assert replace(injector, builds=True).documents([plain]).findings == ()


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (["/app"], "/app"),
        (["/usr/bin/env", "A=1", "/app", "-v"], "/app"),
        (["dumb-init", "--", "sh", "-c", "exec /app --flag"], "/app"),
        (["sh", "-c", "A=1 /app --flag"], "/app"),
        (["sh", "-c", "migrate && exec /app"], "/app"),
        (["sh", "-c", "migrate && /app"], ""),
        (["sh", "-c", "'"], ""),
        (["sh", "/run"], ""),
        (["bash", "-e", "-o", "pipefail", "-c", "exec /app"], "/app"),
        (["sh", "-c", 'exec "/app" "$@"', "--", "-v"], "/app"),
        (["sh", "-c", 'migrate && exec "$@"', "--", "/app"], "/app"),
        (["sh", "-c", '"$0" "$@"', "/app", "-v"], "/app"),
        (["sh", "-c", "exec 2>&1; exec env A=1 /app"], "/app"),
        (["sh", "-c", "tini -- /app"], "/app"),
        (["sh", "-c", "if x; then exec /debugger; fi; exec /app"], ""),
        (["sh", "-c", "cd /srv && exec ./app"], "/srv/app"),
        (["sh", "-c", "cd $HOME && exec ./app"], ""),
        (["tini", "-g", "-p", "SIGTERM", "-e", "143", "--", "/app"], "/app"),
        (["/usr/bin/dumb-init", "--rewrite", "15:2", "/app"], "/app"),
        (["dumb-init", "-r", "15:2", "--", "gosu", "nobody", "/app"], "/app"),
        (["su-exec", "1000:1000", "/app"], "/app"),
        (["timeout", "-k", "5", "60", "/app"], "/app"),
        (["nice", "-n", "10", "nohup", "/app"], "/app"),
        (["env", "-S", "/app -v"], "/app"),
        (["env", "-u", "B", "-iS", "A='b c' tini -- /app"], "/app"),
        (["env", "--split-string=-i A=1 /app", "-v"], "/app"),
        (["env", "--split-string", "/app -v"], "/app"),
        (["env", "-S/app -v"], "/app"),
        (["env", "-S", "A=1", "/app"], "/app"),
        (["env", "--", "/app", "-S", "x"], "/app"),
        (["env", "-S", "'"], ""),
        (["env", "-S", r"/app\_x"], ""),
        (["env", "-S"], ""),
        (["tini"], ""),
        (["/run.sh"], ""),
        (["$APP"], ""),
        (["./app"], "./app"),
        (["app"], "app"),
        ([], ""),
    ],
)
def test_the_program_of_a_command(words: list[str], program: str) -> None:
    assert go_programs.of_command(words, Image("company/base"), "") == program

"""What is taken for a service, how it is entered, and what a first `podcov.yaml` says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from memory_project import MemoryProject
from podcov.config import Service, parse
from podcov.generate import api, detect, suites, survey
from podcov.generate.api import Outside, Plan
from podcov.generate.coverage.entering import Surroundings
from podcov.generate.coverage.inject import Tracers
from podcov.generate.detect import Detected
from podcov.generate.findings import Finding
from podcov.generate.images.artifacts import Artifact
from podcov.generate.images.dockerfile import nowhere
from podcov.generate.kubernetes import manifests
from podcov.generate.languages import python
from podcov.generate.project import join


def workload(*containers: str, kind: str = "Deployment", name: str = "app", pod: str = "") -> str:
    listed = "".join(f"      - {container}\n" for container in containers)
    return (
        f"---\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
        f"spec:\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n{pod}      containers:\n{listed}"
    )


INTEGRATION = "// who else would call it\n\n//go:build integration\n\npackage integration\n"


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"tests/integration/test_shop.py": ""}, "python3 -m pytest tests/integration"),
        ({"tests/e2e/storage_test.go": "package e2e\n"}, "go test -count=1 ./tests/e2e"),
        ({"tests/e2e/storage_test.go": "", "tests/e2e/test_storage.py": ""}, "python3 -m pytest tests/e2e"),
        ({"tests/shop/shop_test.go": "", "tests/README.md": ""}, "go test -count=1 ./tests/..."),
        ({"tests/e2e/go.mod": "module e2e\n", "tests/e2e/a_test.go": ""}, "go test -C tests/e2e -count=1 ."),
        ({"tests/e2e/a_test.go": INTEGRATION}, "go test -count=1 -tags=integration ./tests/e2e"),
        ({"tests/e2e/a_test.go": "//go:build linux && !arm64\npackage e2e\n"}, "go test -count=1 ./tests/e2e"),
        ({"tests/e2e/main.go": "package e2e\n"}, "python3 -m pytest tests/e2e"),
        ({"shop_test.go": "package main\n"}, ""),
    ],
)
def test_integration_tests_are_run_by_what_they_are_written_for(files: Mapping[str, str], command: str) -> None:
    assert " ".join(suites.command(MemoryProject(files))) == command


class Rendered:
    """Tools that render this, whatever they are asked for."""

    def __init__(self, text: str) -> None:
        self._text = text

    def kustomize(self, folder: str) -> str:
        return self._text

    def helm(self, release: object) -> str:
        return self._text


def planned(files: MemoryProject, rendered: str, tracers: Tracers = lambda _: {}) -> Plan:
    return api.plan(files, Outside(Rendered(rendered), nowhere, tracers))


def look(rendered: str, artifacts: Sequence[Artifact] = (), **files: str) -> Detected:
    return detect.detect(manifests.read(rendered), Surroundings(MemoryProject(files), tuple(artifacts), nowhere))


def one(dockerfile: str, container: str = "{name: app, image: app}", **files: str) -> tuple[Service, Finding]:
    """The only service of a project whose image is built from `dockerfile` in the folder `app`."""
    artifact = Artifact("app", "app", "app/Dockerfile", "skaffold.yaml")
    found = look(workload(container), [artifact], **{"app/Dockerfile": dockerfile, **files})
    (service,), (finding,) = found.services, found.findings
    return service, finding


PYTHON = 'FROM python:3.13-slim\nWORKDIR /app\nCOPY . .\nCMD ["python3", "app.py"]\n'


@pytest.mark.parametrize(
    ("dockerfile", "container", "entry", "interpreter", "sidecar", "reason"),
    [
        (PYTHON, "", "entrypoint", "python3", True, "built on python:3.13-slim"),
        ('FROM registry.example/base/python:3.12\nENTRYPOINT ["run"]', "", "entrypoint", "python3", True, "built on"),
        (
            'FROM debian\nRUN apt-get install -y python3\nCMD ["gunicorn", "app:app"]',
            "",
            "entrypoint",
            "python3",
            True,
            "runs gunicorn",
        ),
        ('FROM debian\nCMD ["/venv/bin/python", "-m", "app"]', "", "entrypoint", "/venv/bin/python", True, "runs python"),
        (
            'FROM company/base\nCMD ["/venv/bin/python3.12", "x"]',
            "",
            "environment",
            "/venv/bin/python3.12",
            True,
            "runs python3.12",
        ),
        ('FROM company/base\nCMD ["uvicorn", "app:app"]', "", "environment", "python3", False, "runs uvicorn"),
        ('FROM company/base\nENTRYPOINT ["uvicorn"]', "", "environment", "python3", False, "runs uvicorn"),
        ("FROM python:3.13", "", "environment", "python3", True, "built on python:3.13"),
        ("FROM python:3.13", "command: [./start.sh]", "entrypoint", "python3", True, "built on python:3.13"),
        ("FROM python:3.13", "args: [python3, app.py]", "entrypoint", "python3", True, "built on python:3.13"),
        ("FROM company/base", "command: [python, app.py]", "entrypoint", "python", True, "runs python"),
    ],
)
def test_ways_in(dockerfile: str, container: str, entry: str, interpreter: str, sidecar: bool, reason: str) -> None:
    service, finding = one(dockerfile, f"{{name: app, image: app, {container}}}")
    assert (service.entry, service.interpreter, service.sidecar) == (entry, interpreter, sidecar)
    assert reason in finding.found
    assert (finding.level == "warning") == (not sidecar)


@pytest.mark.parametrize(
    ("dockerfile", "container", "found"),
    [
        ('FROM node:22\nCMD ["node", "app.js"]', "{name: app, image: app}", "built in app"),
        (PYTHON, "{name: app, image: nginx:1.27}", "image nginx:1.27, which is not built here"),
    ],
)
def test_what_nothing_says_is_python_is_left_alone(dockerfile: str, container: str, found: str) -> None:
    artifact = Artifact("app", "app", "app/Dockerfile", "skaffold.yaml")
    detected = look(workload(container), [artifact], **{"app/Dockerfile": dockerfile})
    assert detected.services == ()
    assert [(f.found, f.decided) for f in detected.findings] == [(found, "left alone")]


def test_a_dockerfile_that_is_not_there_is_named_with_who_asks_for_it() -> None:
    detected = look(workload("{name: app, image: app}"), [Artifact("app", "app", "app/Dockerfile", "skaffold.yaml")])
    (finding,) = detected.findings
    assert (finding.found, finding.level) == ("built from app/Dockerfile, which is not there", "warning")
    assert finding.why == "skaffold.yaml says so: correct it, or add the file"


def test_manifests_that_are_not_there_are_answered_with_where_to_look() -> None:
    text = CONFIG.replace("{kustomize: k8s, tiltfile: Tiltfile}", "{by: inject, manifests: [k8s/*.yaml]}")
    files = MemoryProject({"podcov.yaml": text})
    with pytest.raises(api.ManifestError, match=r"k8s/\*\.yaml: there is no such file") as caught:
        planned(files, "")
    assert "skaffold.yaml" in caught.value.hint


@pytest.mark.parametrize(
    "dockerfile",
    [
        'FROM node:20-alpine\nRUN apk add --virtual .gyp python3 make g++ && npm ci && apk del .gyp\nCMD ["node", "server.js"]',
        'FROM node:20\nRUN apt-get install -y python3\nENTRYPOINT ["docker-entrypoint.sh"]\nCMD ["node", "server.js"]',
        "FROM node:20\nRUN apt-get install -y python3\nCMD exec npm start",
        'FROM debian\nRUN apt-get install -y \\\n  python3 gcc && make && apt-get purge -y python3\nCMD ["/app/run"]',
        'FROM alpine\nRUN apk add -t .build python3 py3-pip\nRUN pip install x\nRUN ["apk", "del", ".build"]\nCMD ["/app/run"]',
        'FROM python:3.13\nRUN apt-get install -y nginx\nCMD ["nginx", "-g", "daemon off;"]',
    ],
)
def test_what_is_there_only_to_build_with_and_what_runs_something_else_is_no_python(dockerfile: str) -> None:
    artifact = Artifact("app", "app", "app/Dockerfile", "skaffold.yaml")
    detected = look(workload("{name: app, image: app}"), [artifact], **{"app/Dockerfile": dockerfile, "app/requirements.txt": ""})
    assert detected.services == ()


@pytest.mark.parametrize(
    ("dockerfile", "entry", "interpreter"),
    [
        ('FROM debian\nRUN apt-get install -y python3\nCMD ["/app/run"]', "environment", "python3"),
        ('FROM debian\nRUN apt-get install -y python3 gcc && apt-get purge -y gcc\nCMD ["./app.py"]', "entrypoint", "python3"),
        ('FROM debian:9\nRUN apt-get install -y python\nCMD ["gunicorn", "a"]', "entrypoint", "python"),
        ('FROM python:2.7-slim\nCMD ["gunicorn", "a"]', "entrypoint", "python"),
        ('FROM python:2-alpine\nCMD ["/app/run"]', "entrypoint", "python"),
        ('FROM python:3.13\nCMD ["sh", "-c", "npm run build && python3 -m app"]', "entrypoint", "python3"),
    ],
)
def test_an_interpreter_is_named_where_it_is_certain(dockerfile: str, entry: str, interpreter: str) -> None:
    service, _ = one(dockerfile, **{"app/requirements.txt": ""})
    assert (service.entry, service.interpreter, service.sidecar) == (entry, interpreter, entry == "entrypoint")


@pytest.mark.parametrize(
    ("container", "entry", "interpreter"),
    [
        ("image: quay.io/oauth2-proxy/oauth2-proxy:v7.6.0", "environment", "python3"),
        ("image: quay.io/oauth2-proxy/oauth2-proxy:v7.6.0, args: [--http-address=:80]", "environment", "python3"),
        ("image: quay.io/oauth2-proxy/oauth2-proxy:v7.6.0, command: [/bin/oauth2-proxy]", "environment", "python3"),
        ("image: acme/app:1, command: [gunicorn, 'app:app']", "entrypoint", "python3"),
        ("image: acme/app:1, command: [python3.12, app.py]", "entrypoint", "python3.12"),
    ],
)
def test_a_guess_gets_in_by_environment_unless_the_manifest_s_own_command_says_python(
    container: str, entry: str, interpreter: str
) -> None:
    """With the command of the wrong Dockerfile in front, or a sidecar without its interpreter, the pod would not start."""
    dockerfile = 'FROM python:3.12-slim\nCMD ["python", "/run.py"]\n'
    detected = look(workload(f"{{name: app, {container}}}"), **{"docker/Dockerfile": dockerfile})
    (service,), (finding,) = detected.services, detected.findings
    assert (service.entry, service.interpreter, service.command) == (entry, interpreter, ())
    assert service.sidecar == (entry == "entrypoint")
    if entry == "environment":
        assert finding.level == "warning"
        assert finding.why.startswith("docker/Dockerfile, the only one here, is a guess")
        assert ("`interpreter`" if "command:" in container else "`command`") in finding.why


@pytest.mark.parametrize(
    ("copy", "files", "source"),
    [
        ("COPY . .", {"app/app.py": ""}, ("app",)),
        ("COPY src .", {"app/src/app.py": "", "app/tests/test_app.py": ""}, ("app/src",)),
        ("COPY src/ /srv/src/", {"app/src/shop/__init__.py": ""}, ("app/src",)),
        ("COPY requirements.txt .\nCOPY shop shop", {"app/shop/__init__.py": "", "app/requirements.txt": ""}, ("app",)),
        ("COPY main.py .\nCOPY lib lib", {"app/main.py": "", "app/lib/help.py": ""}, ("app",)),
        ("COPY one one\nCOPY two two", {"app/one/a.py": "", "app/two/b.py": ""}, ("app/one", "app/two")),
        ("COPY *.py .", {"app/main.py": ""}, ("app",)),
        ("COPY --from=build /wheels /wheels", {}, ("app",)),
    ],
)
def test_source_folders(copy: str, files: dict[str, str], source: tuple[str, ...]) -> None:
    service, _ = one(f"FROM python:3.13\nWORKDIR /app\n{copy}\nCMD python3 app.py\n", **files)
    assert service.source == source


@pytest.mark.parametrize(
    ("run", "files", "packages"),
    [
        ("RUN pip install -r requirements.txt", {"app/shop/__init__.py": ""}, ()),
        (
            "RUN pip install .",
            {"app/shop/__init__.py": "", "app/single.py": "", "app/setup.py": "", "app/tests/__init__.py": ""},
            ("shop", "single"),
        ),
        ("RUN pip install --no-cache-dir .", {"app/src/shop/__init__.py": ""}, ("shop",)),
        ("RUN uv sync --frozen", {"app/src/shop/__init__.py": ""}, ("shop",)),
        ("COPY --from=build /venv /venv", {"app/shop/__init__.py": ""}, ("shop",)),
    ],
)
def test_packages_are_named_where_the_image_may_have_them_installed(
    run: str, files: dict[str, str], packages: tuple[str, ...]
) -> None:
    service, _ = one(f"FROM python:3.13\nCOPY . .\n{run}\nCMD python3 -m shop\n", **files)
    assert service.packages == packages


def test_names_tell_services_apart() -> None:
    artifact = Artifact("app", "app", "app/Dockerfile", "skaffold.yaml")
    rendered = (
        workload("{name: main, image: app}", name="alone")
        + workload("{name: web, image: app}", "{name: worker, image: app}", name="pair")
        + workload("{name: main, image: app}", "{name: proxy, image: envoy}", name="mixed")
        + workload("{name: main, image: app}", name="twin")
        + workload("{name: main, image: app}", name="twin", kind="StatefulSet")
    )
    detected = look(rendered, [artifact], **{"app/Dockerfile": PYTHON})
    assert [(s.name, s.workload, s.container) for s in detected.services] == [
        ("alone", "deployment/alone", ""),
        ("pair-web", "deployment/pair", "web"),
        ("pair-worker", "deployment/pair", "worker"),
        ("mixed", "deployment/mixed", "main"),
        ("deployment-twin", "deployment/twin", ""),
        ("statefulset-twin", "statefulset/twin", ""),
    ]


def test_init_containers_and_custom_resources_are_named_and_left_alone() -> None:
    rendered = workload("{name: app, image: app}", pod="      initContainers: [{name: migrate, image: app}]\n")
    detected = look(f"{rendered}{workload('{name: app, image: app}', kind='Rollout', name='canary')}")
    assert [(f.subject, f.decided) for f in detected.findings] == [
        ("deployment/app migrate", "left alone"),
        ("deployment/app app", "left alone"),
        ("rollout/canary", "left alone"),
    ]


SERVICE = "---\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  selector: {{app: {app}}}\n  ports: [{{port: {port}}}]\n"


def test_services_in_front_of_what_is_measured_are_forwarded() -> None:
    artifact = Artifact("app", "app", "app/Dockerfile", "skaffold.yaml")
    rendered = workload("{name: app, image: app}") + SERVICE.format(name="front", app="app", port=80)
    rendered += SERVICE.format(name="database", app="database", port=5432)
    detected = look(rendered, [artifact], **{"app/Dockerfile": PYTHON})
    assert [(f.resource, f.port) for f in detected.port_forwards] == [("service/front", 80)]


def test_a_first_podcov_yaml_can_be_read() -> None:
    artifact = Artifact("app", "app", "app/Dockerfile", "skaffold.yaml")
    rendered = workload("{name: web, image: app}", "{name: odd, image: odd, command: [uvicorn]}") + SERVICE.format(
        name="a-b", app="app", port=80
    )
    detected = look(rendered, [artifact], **{"app/Dockerfile": PYTHON, "tests/test_a.py": ""})
    text = detect.podcov_yaml(detected, survey.Generate(kustomize="k8s"))
    config = parse(text)
    assert config.services == detected.services
    assert config.port_forwards == detected.port_forwards
    assert config.tests.command[-1] == "tests"
    assert "A_B_URL" in text


def test_a_project_without_a_service_is_told_what_was_looked_at() -> None:
    files = MemoryProject({"k8s/kustomization.yaml": ""})
    with pytest.raises(
        api.ManifestError, match=r"k8s: there is no service in it that podcov can measure\n  deployment/app app: image nginx"
    ):
        planned(files, workload("{name: app, image: nginx}"))


def kustomizations(*folders: str) -> MemoryProject:
    return MemoryProject({f"{folder}/kustomization.yaml": "" for folder in folders})


@pytest.mark.parametrize(
    ("folders", "base"),
    [(["k8s"], "k8s"), (["deploy/base", "deploy/overlays/dev"], "deploy/base"), (["a/b", "podcov/overlay"], "a/b"), (["."], ".")],
)
def test_the_only_base_is_found(folders: list[str], base: str) -> None:
    assert survey.look(kustomizations(*folders)).generate.kustomize == base


def test_several_bases_are_named_and_one_can_be_chosen() -> None:
    files = kustomizations("one", "two")
    with pytest.raises(api.ManifestError, match="several Kustomize bases: one, two") as caught:
        survey.look(files)
    assert caught.value.hint == "say which: `podcov init one`."
    assert survey.look(files, ["two"]).generate.kustomize == "two"


def test_files_that_the_user_names_are_told_apart() -> None:
    files = MemoryProject({"k8s/kustomization.yaml": "", "dev/Tiltfile": "", "dev/build.yaml": "apiVersion: skaffold/v4beta11\n"})
    found = survey.look(files, ["k8s", "dev/Tiltfile", "dev/build.yaml"]).generate
    assert (found.kustomize, found.tiltfile, found.skaffold) == ("k8s", "dev/Tiltfile", "dev/build.yaml")
    with pytest.raises(api.ManifestError, match=r"^nothing: neither"):
        survey.look(files, ["nothing"])


CONFIG = "version: 1\nservices:\n  app: {workload: deployment/app}\ngenerate: {kustomize: k8s, tiltfile: Tiltfile}\n"


def test_a_source_that_holds_nothing_is_a_warning() -> None:
    text = CONFIG.replace("{workload: deployment/app}", "{workload: deployment/app, source: [., app, ap]}")
    tiltfile = "docker_build('app', 'app')\nk8s_yaml(kustomize('k8s'))\n"
    files = {"podcov.yaml": text, "Tiltfile": tiltfile, "app/Dockerfile": PYTHON}
    plan = planned(MemoryProject(files), workload("{name: app, image: app}"))
    assert [(f.subject, f.found, f.level) for f in plan.findings] == [("podcov.yaml", "services.app.source: ap", "warning")]


def test_what_tilt_would_undo_is_a_warning() -> None:
    tiltfile = "docker_build('app', 'app', entrypoint=['x'])\nk8s_yaml('k8s/app.yaml')\n"
    files = MemoryProject({"podcov.yaml": CONFIG, "Tiltfile": tiltfile, "app/Dockerfile": PYTHON})
    plan = planned(files, workload("{name: app, image: app}"))
    assert [(f.subject, f.found, f.level) for f in plan.findings] == [
        ("Tiltfile", "it does not render k8s", "warning"),
        ("Tiltfile", "docker_build('app', entrypoint=...)", "warning"),
    ]


def test_an_unknown_language_is_refused() -> None:
    files = MemoryProject({"podcov.yaml": CONFIG.replace("{workload", "{language: cobol, workload"), "Tiltfile": ""})
    with pytest.raises(api.ManifestError, match=r"services\.app\.language: podcov cannot get into containers in cobol") as caught:
        planned(files, workload("{name: app, image: app}"))
    assert caught.value.hint == "it knows: go, python."


def test_tracers_are_asked_for_where_the_image_may_need_them() -> None:
    asked: list[str] = []

    def tracers(minors: object) -> dict[str, bytes]:
        asked.extend(minors)  # type: ignore[call-overload]
        return {}

    for base in ("python:3.13", "python:3.11-slim", "company/base"):
        dockerfile = PYTHON.replace("python:3.13-slim", base)
        files = MemoryProject({"podcov.yaml": CONFIG, "Tiltfile": "docker_build('app', 'app')", "app/Dockerfile": dockerfile})
        planned(files, workload("{name: app, image: app, command: [x]}"), tracers)
        asked.append("|")
    assert "".join(asked) == "|3.11|3.11|"


TILT = "docker_build('app', '.')\nk8s_yaml(kustomize('k8s'))\n"
SKAFFOLD = (
    "apiVersion: skaffold/v4beta11\nkind: Config\nbuild: {artifacts: [{image: app}]}\nmanifests: {kustomize: {paths: [k8s]}}\n"
)


@pytest.mark.parametrize(
    ("context", "ignored", "warned"),
    [(".", "", True), (".", "*\n!src\n", False), (".", "venv\n.podcov/\n", False), ("..", "", True), ("app", "", False)],
)
def test_results_in_a_build_context_are_a_warning(context: str, ignored: str, warned: bool) -> None:
    tiltfile = f"docker_build('app', '{context}', dockerfile='app/Dockerfile')\nk8s_yaml(kustomize('k8s'))\n"
    files = {"podcov.yaml": CONFIG, "Tiltfile": tiltfile, "app/Dockerfile": PYTHON, ".dockerignore": ignored}
    plan = planned(MemoryProject(files), workload("{name: app, image: app}"))
    assert [f.subject for f in plan.findings] == ([join(context, ".dockerignore")] if warned else [])


@pytest.mark.parametrize(
    ("context", "copy", "warned"),
    [
        (".", "COPY app/ /srv/", False),
        (".", "COPY --from=build . /srv/", False),
        (".", "COPY . /srv/", True),
        ("..", "COPY root/app /srv/", False),
    ],
)
def test_results_that_an_image_cannot_take_in_are_none(context: str, copy: str, warned: bool) -> None:
    tiltfile = f"docker_build('app', '{context}', dockerfile='app/Dockerfile')\nk8s_yaml(kustomize('k8s'))\n"
    files = {"podcov.yaml": CONFIG, "Tiltfile": tiltfile, "app/Dockerfile": PYTHON.replace("COPY . .", copy)}
    plan = planned(MemoryProject(files), workload("{name: app, image: app}"))
    assert bool(plan.findings) == warned


@pytest.mark.parametrize(
    ("tool", "says", "ignored", "found", "why"),
    [
        ("tiltfile: Tiltfile", TILT, None, "there is no such file", "and have Tilt build it anew: make it, and name it there"),
        ("skaffold: skaffold.yaml", SKAFFOLD, None, "there is no such file", "with every run: make it, and name it there"),
        ("skaffold: skaffold.yaml", SKAFFOLD, "venv\n", "it does not leave out .podcov", "with every run: name it there"),
    ],
)
def test_of_results_in_an_image_it_says_what_is_true(tool: str, says: str, ignored: str | None, found: str, why: str) -> None:
    files = {"podcov.yaml": CONFIG.replace("tiltfile: Tiltfile", tool), tool.split(": ")[1]: says, "Dockerfile": PYTHON}
    files |= {".dockerignore": ignored} if ignored else {}
    plan = planned(MemoryProject(files), workload("{name: app, image: app}"))
    assert [f.subject for f in plan.findings] == [".dockerignore"]
    assert plan.findings[0].found.startswith(found)
    assert plan.findings[0].why.endswith(why)
    assert ("Tilt" in plan.findings[0].why) == (says == TILT)


@pytest.mark.parametrize(
    ("own", "context", "warned"), [(".podcov\n", "", []), ("venv\n", ".podcov\n", ["app/Dockerfile.dockerignore"])]
)
def test_what_a_dockerfile_has_of_its_own_decides_what_its_context_leaves_out(own: str, context: str, warned: list[str]) -> None:
    tiltfile = "docker_build('app', '.', dockerfile='app/Dockerfile')\nk8s_yaml(kustomize('k8s'))\n"
    ignored = {"app/Dockerfile.dockerignore": own, ".dockerignore": context}
    files = {"podcov.yaml": CONFIG, "Tiltfile": tiltfile, "app/Dockerfile": PYTHON, **ignored}
    plan = planned(MemoryProject(files), workload("{name: app, image: app}"))
    assert [f.subject for f in plan.findings] == warned


def test_ko_takes_no_results_into_its_images() -> None:
    artifact = "{image: app, ko: {main: ./app}}"
    rendered = "manifests: {kustomize: {paths: [k8s]}}"
    skaffold = f"apiVersion: skaffold/v4beta11\nkind: Config\nbuild: {{artifacts: [{artifact}]}}\n{rendered}\n"
    files = {"podcov.yaml": CONFIG.replace("tiltfile: Tiltfile", "skaffold: skaffold.yaml"), "skaffold.yaml": skaffold}
    plan = planned(MemoryProject(files), workload("{name: app, image: app, command: [python3, app.py]}"))
    assert [f.subject for f in plan.findings] == []


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["python3", "-I", "app.py"], "-I"),
        (["/venv/bin/python3.12", "-u", "-Es", "app.py"], "-Es"),
        (["python3", "-u", "app.py", "-I"], ""),
        (["python3", "-m", "app", "-E"], ""),
        (["python3", "-um", "app", "-E"], ""),
        (["python3", "-", "-E"], ""),
        (["gunicorn", "-I"], ""),
        ([], ""),
    ],
)
def test_options_that_keep_the_wrapper_out(command: list[str], option: str) -> None:
    assert python.keeps_out(command) == option


def test_a_command_that_keeps_the_wrapper_out_is_a_warning() -> None:
    files = MemoryProject({"podcov.yaml": CONFIG, "Tiltfile": "k8s_yaml(kustomize('k8s'))"})
    plan = planned(files, workload("{name: app, image: app, command: [python3, -I, app.py]}"))
    assert [(f.subject, f.found, f.level) for f in plan.findings] == [("deployment/app app", "it runs with -I", "warning")]

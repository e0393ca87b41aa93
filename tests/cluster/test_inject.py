"""Manifests that went through `podcov inject`, on a real cluster: every road and every kind of workload, nothing missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

HERE = Path(__file__).parent


def summary(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / ".podcov/runs/latest/summary.json").read_text())
    return read


def run(space: Any, folder: Path, *command: str) -> dict[str, Any]:
    """`podcov run`, and the summary of what it found."""
    space.podcov("run", "--context", "podcov-test", "--namespace", space.name, *command, cwd=folder)
    return summary(folder)


def by_inject(space: Any, folder: Path) -> Path:
    """The same project, after its podcov.yaml chose the other way."""
    config = folder / "podcov.yaml"
    config.write_text(config.read_text().replace("generate:\n", "generate:\n  by: inject\n"))
    space.podcov("init", cwd=folder)
    assert not (folder / "podcov/overlay/kustomization.yaml").exists()
    return folder


def added(space: Any) -> list[str]:
    """The ConfigMaps of podcov's that are there."""
    return [m["metadata"]["name"] for m in space.get("configmaps")["items"] if "podcov" in m["metadata"]["name"]]


# Roads -----------------------------------------------------------------------------------------------------------------


def test_by_skaffold_s_render_hook_the_numbers_are_those_of_the_overlay(
    make_namespace: Callable[..., Any], example: Callable[[str], Path]
) -> None:
    """The shop: three services of two replicas each, deployed and tested by one `skaffold run` each way."""
    told = []
    for choose in (lambda _, folder: folder, by_inject):
        space = make_namespace()
        folder = choose(space, example("shop"))
        base = {"BASE": space.cluster.image("python:3.13"), "GO": space.cluster.image("golang:1.26")}
        space.skaffold("run", "--profile", "coverage", cwd=folder, env=base)
        told.append(summary(folder))
        space.skaffold("delete", "--profile", "coverage", cwd=folder, env=base)
        assert not added(space)
        folder.rename(folder.with_name(f"done-{len(told)}"))
    by_overlay, by_hook = told
    assert by_hook["ledger"]["targets"] == {"expected": 6, "collected": 6, "empty": 0, "failed": 0}
    assert by_hook["ledger"]["complete"]
    assert by_hook["total"] == by_overlay["total"]
    assert by_hook["services"] == by_overlay["services"]


@pytest.fixture
def hello(namespace: Any, example: Callable[[str], Path]) -> Path:
    """The smallest example, built and pushed; `chart` in it is a Helm chart of its manifests."""
    folder = example("hello")
    base = {"BASE": namespace.cluster.image("python:3.13")}
    built = json.loads(namespace.skaffold("build", "--quiet", cwd=folder, env=base).stdout)["builds"]
    (folder / "chart/templates").mkdir(parents=True)
    (folder / "chart/Chart.yaml").write_text("apiVersion: v2\nname: hello\nversion: 0.1.0\n")
    (folder / "chart/values.yaml").write_text(json.dumps({"image": built[0]["tag"]}))
    for name in ("deployment.yaml", "service.yaml"):
        text = (folder / "k8s" / name).read_text()
        (folder / "chart/templates" / name).write_text(text.replace("image: hello", "image: {{ .Values.image }}"))
    return folder


POST_RENDERER = ("--post-renderer", "podcov-inject")
"""Helm 3 finds a command of this name, Helm 4 the plugin"""
RELEASES = """
  helm:
    releases:
      - name: hello
        chartPath: chart
        setValueTemplates:
          image: "{{.IMAGE_FULLY_QUALIFIED_hello}}"
"""


@dataclass(frozen=True)
class Helm:
    """One version of Helm, with settings and plugins of its own."""

    command: str
    space: Any
    folder: Path
    settings: Path

    def words(self, *arguments: str) -> list[str]:
        """A whole command, whoever runs it."""
        homes = [f"HELM_{kind}_HOME={self.settings / kind.lower()}" for kind in ("DATA", "CACHE", "CONFIG")]
        rights = f"KUBECONFIG={self.space.cluster.env['KUBECONFIG']}"
        return ["env", rights, *homes, self.command, *arguments, "--namespace", self.space.name]

    def __call__(self, verb: str, *arguments: str) -> None:
        """Waits until all is ready."""
        words = self.words(verb, *arguments, "--wait", "--timeout", "3m")
        self.space.cluster.run(*words, cwd=self.folder, env=self.space.podcov_env)


@pytest.fixture
def helm(namespace: Any, tmp_path: Path) -> Callable[[str, Path], Helm]:
    """`helm("helm4", folder)`, with podcov's plugin, that Helm 3 has no need of."""

    def ready(command: str, folder: Path) -> Helm:
        made = Helm(command, namespace, folder, tmp_path / command)
        if command == "helm4":
            plugin = namespace.podcov("inject", "--helm-plugin", cwd=folder).stdout.strip()
            namespace.cluster.run(*made.words("plugin", "install", plugin))
        return made

    return ready


@pytest.mark.parametrize(
    "skaffold",
    [
        pytest.param(f"manifests:{RELEASES}deploy:\n  kubectl: {{}}\n", id="rendered"),
        pytest.param(f"deploy:{RELEASES}", id="installed"),
    ],
)
def test_a_chart_in_skaffold_is_reported(namespace: Any, hello: Path, skaffold: str) -> None:
    """What Skaffold renders of it goes through its hook; what Helm (3, for Skaffold) installs, through Helm's post-renderer."""
    shutil.rmtree(hello / "podcov")
    path = hello / "skaffold.yaml"
    path.write_text(path.read_text().partition("manifests:")[0] + skaffold)
    config = hello / "podcov.yaml"
    config.write_text(config.read_text().partition("generate:")[0] + "generate: {by: inject, skaffold: skaffold.yaml}\n")
    namespace.podcov("init", cwd=hello)
    namespace.skaffold("run", "--profile", "coverage", cwd=hello, env={"BASE": namespace.cluster.image("python:3.13")})
    told = summary(hello)
    assert told["ledger"]["complete"]
    assert told["ledger"]["targets"]["collected"] == 1
    assert told["total"]["percent"] > 50


@pytest.fixture
def kinds(namespace: Any, tmp_path: Path) -> Path:
    """A project with a workload of each kind, and their image; nothing is deployed yet."""
    folder = shutil.copytree(HERE / "kinds", tmp_path / "kinds", ignore=shutil.ignore_patterns("__pycache__"))
    image = namespace.cluster.image("kinds:1")
    base = f"BASE={namespace.cluster.image('python:3.13')}"
    namespace.cluster.run("docker", "build", "--quiet", "--build-arg", base, "--tag", image, folder)
    namespace.cluster.run("docker", "push", "--quiet", image)
    for manifest in folder.glob("*.yaml"):
        manifest.write_text(manifest.read_text().replace("image: kinds", f"image: {image}"))
    return folder


@pytest.mark.parametrize("version", ["helm", "helm4"])
def test_a_release_of_helm_is_reported_and_goes_with_all_that_podcov_added(
    namespace: Any, hello: Path, helm: Callable[[str, Path], Helm], version: str, wait_until: Callable[..., Any]
) -> None:
    def pods() -> set[str]:
        return {p["metadata"]["name"] for p in namespace.get("pods")["items"] if "deletionTimestamp" not in p["metadata"]}

    release = helm(version, hello)
    release("install", "hello", "chart", *POST_RENDERER)
    told = run(namespace, hello)
    assert told["ledger"]["complete"]
    assert told["ledger"]["targets"]["collected"] == 1
    assert told["total"]["percent"] > 50
    before = pods()
    release("upgrade", "hello", "chart", *POST_RENDERER)
    assert pods() == before, "the same chart, rendered again, is the same release"
    assert added(namespace)

    release("upgrade", "hello", "chart")
    assert "podcov" not in json.dumps(namespace.get("deployment/hello")["spec"]), "an upgrade without podcov takes it off"
    assert not added(namespace)

    release("upgrade", "hello", "chart", *POST_RENDERER)
    release("uninstall", "hello")
    wait_until(lambda: not pods(), 60, "the release's pods are gone")
    assert not added(namespace)


def test_a_job_that_is_a_hook_of_helm_4_is_reported(namespace: Any, kinds: Path, helm: Callable[[str, Path], Helm]) -> None:
    """On an upgrade: a hook that precedes the first install precedes podcov's ConfigMaps too, and runs without coverage."""
    templates = kinds / "chart/templates"
    templates.mkdir(parents=True)
    (kinds / "chart/Chart.yaml").write_text("apiVersion: v2\nname: kinds\nversion: 0.1.0\n")
    hook = "{name: once, annotations: {helm.sh/hook: 'pre-install,pre-upgrade'}}"
    (templates / "job.yaml").write_text((kinds / "job.yaml").read_text().replace("{name: once}", hook))
    (templates / "agent.yaml").write_text((kinds / "lasting.yaml").read_text().partition("---\n")[0])
    config = kinds / "podcov.yaml"
    lines = config.read_text().splitlines()
    config.write_text("\n".join(line for line in lines if not line.startswith(("  lone", "  often", "  store", "  twins"))))

    release = helm("helm4", kinds)
    release("install", "kinds", "chart", *POST_RENDERER)
    upgrade = release.words("upgrade", "kinds", "chart", *POST_RENDERER, "--wait", "--timeout", "3m")
    told = run(namespace, kinds, "--", *upgrade)
    assert told["ledger"]["targets"] == {"expected": 2, "collected": 2, "empty": 0, "failed": 0}
    assert told["services"]["once"]["percent"] > 0


def test_by_tilt_s_k8s_yaml(namespace: Any, example: Callable[[str], Path]) -> None:
    folder = by_inject(namespace, example("hello"))
    context = namespace.cluster.run("kubectl", "config", "current-context").stdout.strip()
    head = f"allow_k8s_contexts({context!r})\ndefault_registry({namespace.cluster.env['SKAFFOLD_DEFAULT_REPO']!r})\n"
    tiltfile = folder / "Tiltfile"
    # A port of the machine is not the test's to take.
    tiltfile.write_text(head + tiltfile.read_text().replace(", port_forwards=8080", ""))
    env = {"PODCOV": "1", "BASE": namespace.cluster.image("python:3.13")}
    namespace.tilt("ci", "--port", str(free_port()), cwd=folder, env=env)
    told = summary(folder)
    assert told["ledger"]["complete"]
    assert told["ledger"]["targets"]["collected"] == 1
    assert told["total"]["percent"] > 50


def test_by_kustomize_s_function_and_kubectl(namespace: Any, hello: Path) -> None:
    covered = hello / "covered"
    covered.mkdir()
    function = {"config.kubernetes.io/function": "exec: {path: podcov, args: [inject, -c, ../podcov.yaml]}"}
    document = {"apiVersion": "podcov/v1", "kind": "Inject", "metadata": {"name": "coverage", "annotations": function}}
    (covered / "coverage.yaml").write_text(json.dumps(document))
    tag = json.loads((hello / "chart/values.yaml").read_text())["image"]
    name, _, digest = tag.partition("@")
    image = {"name": "hello", "newName": name.rpartition(":")[0], "digest": digest}
    kustomization = {"resources": ["../k8s"], "images": [image], "transformers": ["coverage.yaml"]}
    (covered / "kustomization.yaml").write_text(json.dumps(kustomization))
    build = ("kustomize", "build", "--enable-alpha-plugins", "--enable-exec", "covered")
    namespace.kubectl("apply", "--filename", "-", stdin=namespace.cluster.run(*build, cwd=hello, env=namespace.podcov_env).stdout)
    namespace.kubectl("rollout", "status", "deployment/hello", "--timeout=120s")
    told = run(namespace, hello)
    assert told["ledger"]["complete"]
    assert told["total"]["percent"] > 50


# Every kind of workload ------------------------------------------------------------------------------------------------


def inject(space: Any, folder: Path, manifest: str) -> Path:
    """The file that `podcov inject < MANIFEST` writes."""
    covered = folder / f"covered-{manifest}"
    given = (folder / manifest).read_text()
    covered.write_text(space.cluster.run("podcov", "inject", cwd=folder, stdin=given, env=space.podcov_env).stdout)
    return covered


def test_workloads_of_every_kind_are_reported_by_way_of_a_pipe(
    namespace: Any, kinds: Path, wait_until: Callable[..., Any]
) -> None:
    namespace.kubectl("apply", "--filename", inject(namespace, kinds, "lasting.yaml"))
    running = 5
    wait_until(lambda: len(namespace.get("pods")["items"]) == running, 60, "all pods are there")
    namespace.kubectl("wait", "pods", "--all", "--for=condition=Ready", "--timeout=120s")
    job = inject(namespace, kinds, "job.yaml")
    kubectl = f"kubectl --kubeconfig {namespace.cluster.env['KUBECONFIG']} --namespace {namespace.name}"
    tests = (
        f"{kubectl} apply --filename {job} && {kubectl} create job often-1 --from cronjob/often"
        f" && {kubectl} wait jobs --all --for=condition=Complete --timeout=120s"
    )
    told = run(namespace, kinds, "--", "sh", "-ec", tests)
    assert told["ledger"]["targets"] == {"expected": 7, "collected": 7, "empty": 0, "failed": 0}
    assert told["ledger"]["processes"]["failed"] == 0
    percents = {name: service["percent"] for name, service in told["services"].items()}
    batch, server = {"once", "often"}, {"agent", "lone", "store", "twins"}
    assert percents.keys() == batch | server
    assert len({percents[name] for name in batch}) == 1
    assert len({percents[name] for name in server}) == 1
    assert min(percents.values()) > 0


def test_a_job_completes_where_nobody_collects(namespace: Any, kinds: Path) -> None:
    """Its courier waits to be asked, but no longer than its pod may take to end."""
    manifest = kinds / "job.yaml"
    manifest.write_text(
        manifest.read_text().replace("restartPolicy: Never", "restartPolicy: Never\n      terminationGracePeriodSeconds: 3")
    )
    namespace.kubectl("apply", "--filename", inject(namespace, kinds, "job.yaml"))
    namespace.kubectl("wait", "job/once", "--for=condition=Complete", "--timeout=100s")
    assert namespace.kubectl("logs", "job/once", "--container", "app").strip() == "45"

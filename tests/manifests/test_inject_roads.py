"""Every road that `podcov inject` is used on, with the real tool of each; what arrives is what the overlay renders."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from podcov import assets
from podcov.edges import project

Documents = dict[tuple[str, str, str], dict]
Run = Callable[..., subprocess.CompletedProcess[str]]

HOOK = """\
  hooks:
    after:
      - host:
          command: [podcov, inject]
          withChange: true
"""
POST_RENDERER = ("--post-renderer", "podcov-inject")
"""Helm 3 finds a command of this name, Helm 4 the plugin"""
JOB_AS_HELM_HOOK = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations:
    helm.sh/hook: post-install
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: migrate
          image: shop-orders
          command: [python3, -m, orders.migrate]
"""
SERVICES = ("catalog.yaml", "orders.yaml", "shipping.yaml")
STRANGER = "# not ours\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: strangers}\ndata: {answer: '42'}\n"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """`run(folder, *command, stdin="", code=0)`; tools find this checkout's podcov, and no plugins or settings of the machine."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    for kind in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"HELM_{kind}_HOME", str(tmp_path / "helm" / kind.lower()))

    def call(folder: Path, *command: str | Path, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*map(str, command)], cwd=folder, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def shop(example: Callable[[str], Path]) -> Path:
    return example("shop")


@pytest.fixture
def overlay(shop: Path) -> Documents:
    """What the other way makes of the same services, today."""
    project.init(shop)
    return by_name(project.kustomize(shop / "podcov/overlay"))


@pytest.fixture
def documented(root: Path) -> Callable[[str], str]:
    """`documented("profiles:")`: the block of docs/inject.md that begins with this line."""
    blocks = re.findall(r"```yaml\n(.*?)```", (root / "docs/inject.md").read_text(), re.DOTALL)
    return lambda first: next(block for block in blocks if block.startswith(f"{first}\n"))


def by_name(text: str) -> Documents:
    """Documents by kind, namespace and name; each must be there once."""
    found = [document for document in yaml.safe_load_all(text) if document]
    keys = [(d["kind"], d["metadata"].get("namespace", ""), d["metadata"]["name"]) for d in found]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, found, strict=True))


def chart(shop: Path, extra: Mapping[str, str] | None = None) -> Path:
    """The shop's manifests as a Helm chart."""
    templates = shop / "chart/templates"
    templates.mkdir(parents=True)
    (shop / "chart/Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 0.1.0\n")
    for name in SERVICES:
        (templates / name).write_text((shop / "k8s" / name).read_text())
    for name, text in (extra or {}).items():
        (templates / name).write_text(text)
    return shop / "chart"


def test_a_pipe(shop: Path, run: Run, overlay: Documents) -> None:
    base = run(shop, "kubectl", "kustomize", "k8s").stdout
    once = run(shop, "podcov", "inject", stdin=base).stdout
    assert by_name(once) == overlay
    assert run(shop, "podcov", "inject", stdin=once).stdout == once


@pytest.mark.parametrize(
    "paths", [["k8s"], ["plain"], ["plain/*.yaml"], ["plain/orders.yaml", "./plain/catalog.yaml", "plain/s*"]]
)
def test_files_and_folders_instead_of_stdin(shop: Path, run: Run, overlay: Documents, paths: list[str]) -> None:
    """A folder with a kustomization is rendered. What else lies among plain manifests is left alone."""
    (shop / "plain").mkdir()
    for name in SERVICES:
        shutil.copy(shop / "k8s" / name, shop / "plain")
    (shop / "plain/NOTES.txt").write_text("[no: YAML")
    assert by_name(run(shop, "podcov", "inject", *paths).stdout) == overlay


@pytest.mark.parametrize(
    "manifests", ["kustomize:\n    paths: [k8s]", "rawYaml: [k8s/catalog.yaml, k8s/orders.yaml, k8s/shipping.yaml]"]
)
def test_skaffold_s_render_hook(shop: Path, run: Run, overlay: Documents, manifests: str) -> None:
    skaffold = shop / "skaffold.yaml"
    head = skaffold.read_text().partition("manifests:")[0]
    skaffold.write_text(f"{head}manifests:\n  {manifests}\n{HOOK}")
    assert by_name(rendered_by_skaffold(shop, run)) == overlay


def test_skaffold_s_profile_as_documented(shop: Path, run: Run, overlay: Documents, documented: Callable[[str], str]) -> None:
    skaffold = shop / "skaffold.yaml"
    skaffold.write_text(skaffold.read_text().partition("profiles:")[0] + documented("profiles:"))
    assert by_name(rendered_by_skaffold(shop, run, "--profile", "coverage")) == overlay


def test_skaffold_s_render_hook_twice(shop: Path, run: Run, overlay: Documents) -> None:
    skaffold = shop / "skaffold.yaml"
    head = skaffold.read_text().partition("manifests:")[0]
    again = HOOK.partition("after:\n")[2]
    skaffold.write_text(f"{head}manifests:\n  kustomize:\n    paths: [k8s]\n{HOOK}{again}")
    assert by_name(rendered_by_skaffold(shop, run)) == overlay


def test_skaffold_calls_it_for_each_module_and_one_without_services_stays_as_it_is(
    shop: Path, run: Run, overlay: Documents
) -> None:
    """What podcov has to say of that module must not get into the manifests, which Skaffold reads from the same pipe."""
    skaffold = shop / "skaffold.yaml"
    head = skaffold.read_text().partition("manifests:")[0]
    (shop / "other.yaml").write_text(STRANGER)
    other = f"apiVersion: skaffold/v4beta11\nkind: Config\nmetadata: {{name: other}}\nmanifests:\n  rawYaml: [other.yaml]\n{HOOK}"
    skaffold.write_text(f"{head}manifests:\n  kustomize:\n    paths: [k8s]\n{HOOK}---\n{other}")
    stranger = by_name(STRANGER)
    assert by_name(rendered_by_skaffold(shop, run)) == overlay | stranger


def rendered_by_skaffold(folder: Path, run: Run, *arguments: str) -> str:
    output = folder / "rendered.yaml"
    run(folder, "skaffold", "render", "--offline", "--digest-source=none", "--output", output, *arguments)
    return output.read_text()


def test_what_podcov_refuses_in_skaffold_s_hook_is_seen(shop: Path, run: Run) -> None:
    """Skaffold itself says no more than `exit status 2`."""
    skaffold = shop / "skaffold.yaml"
    skaffold.write_text(f"{skaffold.read_text().partition('manifests:')[0]}manifests:\n  kustomize:\n    paths: [k8s]\n{HOOK}")
    config = shop / "podcov.yaml"
    config.write_text(config.read_text().replace("    source: [orders]\n", "    source: [orders]\n    container: app\n"))
    done = run(shop, "skaffold", "render", "--offline", "--digest-source=none", code=2)
    assert "there is no container 'app' in deployment/orders" in done.stderr


def test_helm_3_s_post_renderer(shop: Path, run: Run, overlay: Documents) -> None:
    render = ("helm", "template", "shop", chart(shop), *POST_RENDERER)
    assert by_name(run(shop, *render).stdout) == overlay


def test_helm_3_keeps_its_hooks_to_itself(shop: Path, run: Run) -> None:
    """They come out without coverage, because nobody but Helm ever sees them."""
    add_migration(shop)
    folder = chart(shop, {"migrate.yaml": JOB_AS_HELM_HOOK})
    render = ("helm", "template", "shop", folder, *POST_RENDERER)
    done = by_name(run(shop, *render).stdout)
    assert done["Job", "", "migrate"] == yaml.safe_load(JOB_AS_HELM_HOOK)


@pytest.fixture
def plugin(run: Run, shop: Path) -> None:
    """The plugin for Helm 4, installed as docs/inject.md says."""
    folder = run(shop, "podcov", "inject", "--helm-plugin").stdout.strip()
    assert Path(folder) == assets.overlay_folder("helm-plugin")
    run(shop, "helm4", "plugin", "install", folder)


@pytest.mark.usefixtures("plugin")
def test_helm_4_s_plugin(shop: Path, run: Run, overlay: Documents) -> None:
    assert by_name(run(shop, "helm4", "template", "shop", chart(shop), *POST_RENDERER).stdout) == overlay


@pytest.mark.usefixtures("plugin")
def test_helm_4_s_plugin_takes_arguments(shop: Path, run: Run, overlay: Documents) -> None:
    folder = chart(shop)
    config = ("--post-renderer-args", "-c", "--post-renderer-args", shop / "podcov.yaml")
    command = ("helm4", "template", "shop", folder, *POST_RENDERER, *config)
    assert by_name(run(shop.parent, *command).stdout) == overlay


@pytest.mark.usefixtures("plugin")
def test_helm_4_gives_its_hooks_too(shop: Path, run: Run, overlay: Documents) -> None:
    add_migration(shop)
    folder = chart(shop, {"migrate.yaml": JOB_AS_HELM_HOOK})
    done = by_name(run(shop, "helm4", "template", "shop", folder, *POST_RENDERER).stdout)
    job = done.pop(("Job", "", "migrate"))
    assert job["spec"]["template"]["spec"]["initContainers"][0]["name"] == "podcov-courier"
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install"
    assert done == overlay


@pytest.mark.usefixtures("plugin")
def test_what_podcov_refuses_in_helm_4_is_seen(shop: Path, run: Run) -> None:
    """Helm itself says no more than `exited with error`."""
    config = shop / "podcov.yaml"
    config.write_text(config.read_text().replace("    source: [orders]\n", "    source: [orders]\n    container: app\n"))
    done = run(shop, "helm4", "template", "shop", chart(shop), *POST_RENDERER, code=1)
    assert "there is no container 'app' in deployment/orders" in done.stderr


def add_migration(shop: Path) -> None:
    """The Job as a service, in podcov.yaml."""
    config = shop / "podcov.yaml"
    config.write_text(config.read_text().replace("tests:\n", "  migrate:\n    workload: job/migrate\n\ntests:\n", 1))


def test_kustomize_s_function(shop: Path, run: Run, overlay: Documents, documented: Callable[[str], str]) -> None:
    """As a transformer of a kustomization on top of the base."""
    write_function(shop, documented)
    build = ("kustomize", "build", "--enable-alpha-plugins", "--enable-exec", "covered")
    assert by_name(run(shop, *build).stdout) == overlay


def test_kustomize_s_function_beneath_another_overlay(shop: Path, run: Run, documented: Callable[[str], str]) -> None:
    """Names that are changed outside are changed in what podcov added, too."""
    write_function(shop, documented)
    (shop / "staging").mkdir()
    (shop / "staging/kustomization.yaml").write_text("resources: [../covered]\nnamespace: staging\nnameSuffix: -two\n")
    done = by_name(run(shop, "kustomize", "build", "--enable-alpha-plugins", "--enable-exec", "staging").stdout)
    maps = {name for kind, namespace, name in done if kind == "ConfigMap" and namespace == "staging"}
    pod = done["Deployment", "staging", "orders-two"]["spec"]["template"]["spec"]
    (volume,) = (v for v in pod["volumes"] if v["name"] == "podcov-wrapper")
    assert maps
    assert {source["configMap"]["name"] for source in volume["projected"]["sources"]} == maps


def write_function(shop: Path, documented: Callable[[str], str]) -> None:
    """The two files that docs/inject.md shows."""
    (shop / "covered").mkdir()
    for name in ("covered/kustomization.yaml", "covered/coverage.yaml"):
        (shop / name).write_text(documented(f"# {name}"))


def test_tilt_s_k8s_yaml(shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODCOV", "1")
    by_overlay = deployed_by_tilt(shop, run)
    tiltfile = shop / "Tiltfile"
    lines = [line for line in tiltfile.read_text().splitlines() if not line.startswith(("#", "load("))]
    piped = "k8s_yaml(local(['podcov', 'inject'], stdin=kustomize('k8s'), quiet=True, echo_off=True))"
    tiltfile.write_text("\n".join(lines).replace("k8s_yaml(kustomize('k8s'))", piped))
    by_pipe = deployed_by_tilt(shop, run)
    assert by_pipe == {name: documents for name, documents in by_overlay.items() if name != "coverage"}


def deployed_by_tilt(shop: Path, run: Run) -> dict[str, list[dict]]:
    result = json.loads(run(shop, "tilt", "alpha", "tiltfile-result").stdout)
    yamls = {manifest["Name"]: manifest["DeployTarget"].get("yaml", "") for manifest in result["Manifests"]}
    return {name: sorted(yaml.safe_load_all(text), key=str) for name, text in yamls.items()}


# What passes through, and what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["shop", "."])
def test_nothing_in_nothing_out_with_a_podcov_yaml_and_without(shop: Path, run: Run, folder: str) -> None:
    done = run(shop.parent / folder, "podcov", "inject", stdin="")
    assert done.stdout == ""
    assert "stdin: it is empty" in done.stderr


def test_a_podcov_yaml_that_is_named_has_to_be_there(shop: Path, run: Run) -> None:
    done = run(shop, "podcov", "inject", "-c", "podcov.yml", stdin=STRANGER, code=2)
    assert done.stdout == ""
    assert "podcov.yml: there is no such file" in done.stderr


def test_without_a_podcov_yaml_services_are_found_as_init_would_find_them(shop: Path, run: Run, overlay: Documents) -> None:
    (shop / "podcov.yaml").unlink()
    base = run(shop, "kubectl", "kustomize", "k8s").stdout
    found = by_name(run(shop, "podcov", "inject", stdin=base).stdout)
    for workload in (("Deployment", "", "catalog"), ("Deployment", "", "orders")):
        pods = [documents[workload]["spec"]["template"]["spec"] for documents in (found, overlay)]
        assert pods[0]["containers"] == pods[1]["containers"]
        assert pods[0]["initContainers"] == pods[1]["initContainers"]


@pytest.mark.parametrize("skaffold", ["", "apiVersion: skaffold/v1\nkind: Config\n"])
def test_a_podcov_yaml_that_names_no_build_file_has_the_usual_ones_asked(shop: Path, run: Run, skaffold: str) -> None:
    """`podcov attach` writes such a one. What nobody names and cannot be read is passed by; then the Dockerfiles are a guess."""
    (shop / "podcov.yaml").write_text("version: 1\nservices: {orders: {workload: deployment/orders}}\n")
    if skaffold:
        (shop / "skaffold.yaml").write_text(skaffold)
    done = run(shop, "podcov", "inject", "k8s/orders.yaml", code=2 if skaffold else 0)
    assert ("is but guessed (orders/Dockerfile, by its name)" in done.stderr) == bool(skaffold)
    assert ("podcov-courier" in done.stdout) != bool(skaffold)


def test_without_a_podcov_yaml_and_without_services_it_refuses(tmp_path: Path, run: Run) -> None:
    done = run(tmp_path, "podcov", "inject", stdin=STRANGER, code=2)
    assert done.stdout == ""
    assert "no service" in done.stderr


def test_manifests_without_services_pass_byte_for_byte_and_it_says_what_it_did_not_find(shop: Path, run: Run) -> None:
    done = run(shop, "podcov", "inject", stdin=STRANGER)
    assert done.stdout == STRANGER
    assert "catalog, orders, shipping: not in stdin" in done.stderr


def test_manifests_that_run_into_each_other_are_refused(shop: Path, run: Run) -> None:
    """A YAML reader takes the last of doubled keys in silence, and the first workload would be lost."""
    both = (shop / "k8s/orders.yaml").read_text().split("---\n")[0] + STRANGER
    done = run(shop, "podcov", "inject", stdin=both, code=2)
    assert done.stdout == ""
    assert f"stdin:{both[: both.rindex('kind:')].count(chr(10)) + 1}: document 1: `kind` stands twice" in done.stderr


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("bad.yaml", f"{STRANGER}---\nkind: [\n", "bad.yaml:8: this is no YAML"),
        ("nowhere", "", "nowhere: there is no such file"),
        ("chart", "", "chart: it is a Helm chart"),
    ],
)
def test_files_that_are_no_manifests_are_refused(shop: Path, run: Run, path: str, text: str, said: str) -> None:
    chart(shop)
    if text:
        (shop / path).write_text(text)
    done = run(shop, "podcov", "inject", path, code=2)
    assert done.stdout == ""
    assert said in done.stderr


def test_what_is_not_yaml_is_refused_with_its_line(shop: Path, run: Run) -> None:
    done = run(shop, "podcov", "inject", stdin=f"{STRANGER}---\nkind: [\n", code=2)
    assert done.stdout == ""
    assert "stdin:8: this is no YAML" in done.stderr


def test_what_is_yaml_and_no_manifest_is_refused(shop: Path, run: Run) -> None:
    done = run(shop, "podcov", "inject", stdin=f"{STRANGER}---\nrendering...\n", code=2)
    assert done.stdout == ""
    assert "stdin:6: document 2: this is no manifest: 'rendering...'" in done.stderr


@pytest.mark.usefixtures("run")
def test_what_is_not_utf_8_is_refused_with_its_line(shop: Path) -> None:
    given = STRANGER.encode() + b"# caf\xe9\n"
    done = subprocess.run(["podcov", "inject"], cwd=shop, input=given, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"stdin:6: this is no YAML: byte 0xe9 is not UTF-8" in done.stderr


@pytest.mark.usefixtures("run")
def test_a_script_that_joins_both_outputs_gets_manifests_and_nothing_else(shop: Path) -> None:
    joined = subprocess.run(
        ["podcov", "inject"], cwd=shop, input=STRANGER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert joined.stdout == STRANGER

"""What the real Skaffold and the real Tilt make of what `podcov init` writes; neither needs a cluster for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from podcov import assets
from podcov.edges import project
from podcov.generate.skaffold import document as skaffold_file
from podcov.generate.tilt import tiltfile

Example = Callable[[str], Path]
Write = Callable[[Mapping[str, str]], Path]

HEAD = "apiVersion: skaffold/v4beta11\nkind: Config\n"
BASE = "  kustomize: {paths: [k8s]}\n"
PODCOV_YAML = """\
version: 1
services:
  one: {workload: deployment/one, command: [python3, -m, one]}
  two: {workload: deployment/two, command: [python3, -m, two]}
generate: {by: inject}
"""


def deployment(name: str) -> str:
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: {name}, image: shop/{name}}}]}}
"""


@pytest.fixture(autouse=True)
def podcov_on_the_path(tools: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hooks call this checkout's; Helm has no plug-ins and settings of the machine's."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    for kind in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"HELM_{kind}_HOME", str(tmp_path / "helm" / kind.lower()))


def skaffold(folder: Path, *arguments: str) -> str:
    """What Skaffold renders, and nothing that it says beside."""
    output = folder.with_name("rendered.yaml")
    command = ["skaffold", "render", "--offline", "--digest-source=none", "--output", str(output), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return output.read_text()


def tilt(folder: Path) -> dict:
    """What Tilt makes of the Tiltfile."""
    done = subprocess.run(["tilt", "alpha", "tiltfile-result"], cwd=folder, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def effective(folder: Path, *arguments: str) -> dict[str, dict]:
    """What Skaffold makes of its file and a profile, by the modules' names, in the order of their deployment."""
    command = ["skaffold", "diagnose", "--yaml-only", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return {(d.get("metadata") or {}).get("name", ""): d for d in yaml.safe_load_all(done.stdout)}


def covered(rendered: str) -> dict[str, bool]:
    """Which Deployments have coverage in them."""
    found = [d for d in yaml.safe_load_all(rendered) if d and d["kind"] == "Deployment"]
    return {d["metadata"]["name"]: "podcov-courier" in str(d["spec"]["template"]["spec"].get("initContainers")) for d in found}


def with_profiles(folder: Path, by: str) -> None:
    """Write the profile into skaffold.yaml and all that it requires."""
    texts = skaffold_file.with_profiles(
        skaffold_file.read_all(project.DiskProject(folder), "skaffold.yaml"),
        name="coverage",
        base="k8s",
        overlay="podcov/overlay",
        config="podcov.yaml",
        by=by,  # type: ignore[arg-type]
    )
    for path, text in texts.items():
        (folder / path).write_text(text)


def resources(result: dict) -> dict[str, dict]:
    return {manifest["Name"]: manifest for manifest in result["Manifests"]}


@pytest.mark.parametrize("name", ["hello", "shop"])
def test_without_the_profile_skaffold_renders_byte_for_byte_what_it_did(name: str, fresh: Example) -> None:
    folder = fresh(name)
    before = skaffold(folder)
    project.init(folder)
    assert skaffold(folder) == before


def test_with_the_profile_skaffold_renders_the_overlay_and_nothing_twice(example: Example) -> None:
    folder = example("shop")
    rendered = list(yaml.safe_load_all(skaffold(folder, "--profile", "coverage")))
    assert rendered == list(yaml.safe_load_all(project.kustomize(folder / "podcov/overlay")))


def test_with_the_profile_raw_yaml_of_the_base_is_not_rendered_twice(fresh: Example) -> None:
    folder = fresh("shop")
    path = folder / "skaffold.yaml"
    path.write_text(
        path.read_text().replace(
            "  kustomize:\n    paths:\n      - k8s\n", "  rawYaml:\n    - k8s/catalog.yaml\n    - k8s/orders.yaml\n"
        )
    )
    project.init(folder)
    rendered = list(yaml.safe_load_all(skaffold(folder, "--profile", "coverage")))
    assert rendered == list(yaml.safe_load_all(project.kustomize(folder / "podcov/overlay")))


def test_the_courier_s_image_is_replaced_with_the_service_s(example: Example, tmp_path: Path) -> None:
    builds = tmp_path / "builds.json"
    services = ("catalog", "orders", "shipping")
    tags = {f"shop-{name}": f"registry/{name}:v1@sha256:{number:064}" for number, name in enumerate(services, 1)}
    builds.write_text(json.dumps({"builds": [{"imageName": name, "tag": tag} for name, tag in tags.items()]}))
    rendered = skaffold(example("shop"), "--profile", "coverage", "--build-artifacts", str(builds))
    pods = [d["spec"]["template"]["spec"] for d in yaml.safe_load_all(rendered) if d["kind"] == "Deployment"]
    assert {(p["initContainers"][0]["image"], p["containers"][0]["image"]) for p in pods} == {(tag, tag) for tag in tags.values()}


@pytest.mark.parametrize("by", ["overlay", "inject"])
@pytest.mark.parametrize(
    "said",
    [
        f"manifests:\n{BASE}",
        "manifests:\n  kustomize: {paths: [k8s], buildArgs: [--enable-helm]}\ndeploy:\n  kubectl: {}\n",
        f"manifests:\n{BASE}  hooks:\n    before: [{{host: {{command: [echo, 1]}}}}]\n"
        "    after: [{host: {command: [echo, 2]}}]\n",
        f"manifests:\n{BASE}deploy:\n  kubectl:\n    defaultNamespace: mine\n    flags: {{apply: [--server-side]}}\n"
        "    hooks: {before: [{host: {command: [echo, 1]}}]}\n",
        f"manifests:\n{BASE}  rawYaml: [more/*.yaml]\ndeploy:\n  statusCheck: false\n"
        "  kubectl: {hooks: {after: [{host: {command: [echo, 1]}}]}}\n",
        f"manifests:\n{BASE}profiles:\n- name: mine\n  manifests: {{kustomize: {{paths: [other]}}}}\n",
    ],
)
def test_all_that_the_user_says_in_the_same_places_is_kept(said: str, by: str, write: Write) -> None:
    folder = write({"skaffold.yaml": f"{HEAD}{said}", "k8s/kustomization.yaml": "", "other/x": "", "more/a.yaml": ""})
    before = effective(folder)[""]
    with_profiles(folder, by)
    assert effective(folder)[""] == before

    after = effective(folder, "--profile", "coverage")[""]
    manifests, deploy = after["manifests"], after["deploy"]
    assert deploy["kubectl"]["hooks"]["after"].pop() == {"host": {"command": ["podcov", "hook", "skaffold-after-deploy"]}}
    if by == "inject":
        assert manifests["hooks"]["after"].pop() == {"host": {"command": ["podcov", "inject"], "withChange": True}}
    else:
        paths = manifests["kustomize"]["paths"]
        manifests["kustomize"]["paths"] = [path.replace("podcov/overlay", "k8s") for path in paths]
    assert without_empty(after) == without_empty(before)


def without_empty(value: object) -> object:
    if isinstance(value, dict):
        kept = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [])}
    return value


MODULES = {
    "podcov.yaml": PODCOV_YAML,
    "skaffold.yaml": f"{HEAD}metadata: {{name: all}}\nrequires:\n  - path: two\n  - path: one/skaffold.yaml\n    configs: [one]\n"
    f"---\n{HEAD}metadata: {{name: other}}\nmanifests: {{rawYaml: [other.yaml]}}\n",
    "one/skaffold.yaml": f"{HEAD}metadata: {{name: base}}\nmanifests: {{rawYaml: [strange.yaml]}}\n"
    f"deploy: {{kubectl: {{}}}}\n---\n"
    f"{HEAD}metadata: {{name: one}}\nrequires: [{{configs: [base]}}]\n"
    "manifests: {kustomize: {paths: [k8s]}}\ndeploy: {kubectl: {}}\n",
    "two/skaffold.yaml": f"{HEAD}metadata: {{name: two}}\nmanifests: {{rawYaml: ['*.k8s.yaml']}}\ndeploy: {{kubectl: {{}}}}\n",
    "one/strange.yaml": deployment("strange"),
    "one/k8s/one.yaml": deployment("one"),
    "one/k8s/kustomization.yaml": "resources: [one.yaml]\n",
    "two/two.k8s.yaml": deployment("two"),
    "other.yaml": deployment("other"),
}


def test_every_module_gets_its_profile_and_the_last_that_is_deployed_runs_the_tests(write: Write) -> None:
    folder = write(MODULES)
    before = list(effective(folder))
    with_profiles(folder, "inject")
    modules = effective(folder, "--profile", "coverage")
    assert list(modules) == before == ["two", "base", "one", "all", "other"]
    hooks = {name: m["deploy"].get("kubectl", {}).get("hooks", {}).get("after", []) for name, m in modules.items()}
    assert {name: len(after) for name, after in hooks.items() if after} == {"one": 1}
    assert Path(hooks["one"][0]["host"]["dir"]) == folder


def test_modules_are_rendered_with_coverage_where_they_are_measured(write: Write) -> None:
    folder = write(MODULES)
    before = skaffold(folder)
    with_profiles(folder, "inject")
    assert skaffold(folder) == before
    everything = covered(skaffold(folder, "--profile", "coverage"))
    assert everything == {"one": True, "two": True, "strange": False, "other": False}
    assert covered(skaffold(folder, "--profile", "coverage", "--module", "two")) == {"two": True}


def test_a_module_is_rendered_with_coverage_from_its_own_folder_too(write: Write) -> None:
    folder = write(MODULES)
    with_profiles(folder, "inject")
    assert covered(skaffold(folder / "two", "--profile", "coverage")) == {"two": True}


CHART = {
    "podcov.yaml": PODCOV_YAML,
    "charts/one/Chart.yaml": "apiVersion: v2\nname: one\nversion: 1.0.0\n",
    "charts/one/values.yaml": "replicas: 1\n",
    "charts/one/templates/one.yaml": deployment("one").replace(
        "spec:\n  selector", "spec:\n  replicas: {{ .Values.replicas }}\n  selector"
    ),
}
RELEASES = "helm: {releases: [{name: one, chartPath: charts/one, setValues: {replicas: 2}}]}"


@pytest.mark.parametrize("place", ["manifests", "deploy"])
def test_charts_are_rendered_with_coverage(place: str, write: Write) -> None:
    folder = write({**CHART, "skaffold.yaml": f"{HEAD}{place}: {{{RELEASES}}}\n"})
    before = skaffold(folder)
    assert covered(before) == {"one": False}
    with_profiles(folder, "inject")
    assert skaffold(folder) == before
    assert covered(skaffold(folder, "--profile", "coverage")) == {"one": True}


def test_releases_that_helm_installs_have_podcov_as_post_renderer(write: Write) -> None:
    text = f"{HEAD}deploy:\n  {RELEASES[:-1]}, flags: {{upgrade: [--atomic]}}}}\n"
    folder = write({**CHART, "skaffold.yaml": text})
    with_profiles(folder, "inject")
    helm = effective(folder, "--profile", "coverage")[""]["deploy"]["helm"]
    assert helm["flags"] == {
        "install": ["--post-renderer=podcov-inject"],
        "upgrade": ["--atomic", "--post-renderer=podcov-inject"],
    }
    assert helm["hooks"]["after"][0]["host"]["command"] == ["podcov", "hook", "skaffold-after-deploy"]
    assert [release["name"] for release in helm["releases"]] == ["one"]


def test_why_podcov_cannot_inject_is_said_and_nothing_is_rendered(write: Write) -> None:
    folder = write({**MODULES, "skaffold.yaml": f"{HEAD}manifests: {{rawYaml: [other.yaml]}}\n"})
    with_profiles(folder, "inject")
    (folder / "podcov.yaml").write_text("version: 1\nservises: {}\n")
    command = ["skaffold", "render", "--offline", "--digest-source=none", "--profile", "coverage"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "servises" in done.stderr
    assert "kind: Deployment" not in done.stdout


def test_tilt_makes_the_same_resources_as_before_unless_coverage_is_on(fresh: Example) -> None:
    folder = fresh("shop")
    before = tilt(folder)
    project.init(folder)
    after = tilt(folder)
    assert resources(after).keys() == resources(before).keys()
    for name, resource in resources(before).items():
        assert resources(after)[name]["DeployTarget"]["yaml"] == resource["DeployTarget"]["yaml"]
        assert resources(after)[name]["ResourceDependencies"] == resource["ResourceDependencies"]


def test_tilt_renders_the_overlay_while_coverage_is_on(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = example("shop")
    monkeypatch.setenv("PODCOV", "1")
    made = resources(tilt(folder))
    for name in ("catalog", "orders"):
        (deployment,) = (d for d in yaml.safe_load_all(made[name]["DeployTarget"]["yaml"]) if d["kind"] == "Deployment")
        assert deployment["spec"]["template"]["spec"]["initContainers"][0]["name"] == "podcov-courier"


def test_words_in_skaffold_yaml_are_what_skaffold_takes_them_for(write: Write) -> None:
    release = "{name: y, chartPath: ./chart, namespace: n, setValues: {on: yes, off: 'no', octal: 017, really: true}}"
    text = f"apiVersion: skaffold/v4beta11\nkind: Config\nmanifests: {{helm: {{releases: [{release}]}}}}\n"
    folder = write({"skaffold.yaml": text})
    told = subprocess.run(["skaffold", "diagnose", "--yaml-only"], cwd=folder, capture_output=True, text=True, check=True).stdout
    (said,) = yaml.safe_load(told)["manifests"]["helm"]["releases"]
    ((release,),) = (sources.helm for sources in skaffold_file.read(text, path="skaffold.yaml").sources)
    assert (release.name, release.namespace, dict(release.settings)) == (said["name"], said["namespace"], said["setValues"])


def test_tilt_finds_podcov_s_folder_whatever_it_is_called(fresh: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fresh("hello")
    (folder / "podcov.yaml").write_text(
        "version: 1\nservices: {hello: {workload: deployment/hello, source: [src], entry: environment, sidecar: false}}\n"
        "tests: {command: ['true']}\n"
        'generate: {kustomize: k8s, tiltfile: Tiltfile, overlay: "it\'s \\"ours\\"/overlay"}\n'
    )
    project.init(folder)
    monkeypatch.setenv("PODCOV", "1")
    assert "coverage" in resources(tilt(folder))


def test_tilt_runs_the_tests_when_asked_and_after_the_services(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = example("shop")
    monkeypatch.setenv("PODCOV", "1")
    coverage = resources(tilt(folder))["coverage"]
    update = coverage["DeployTarget"]["UpdateCmdSpec"]
    assert update["args"][:3] == ["podcov", "hook", "tilt-coverage"]
    assert update["dir"] == str(folder)
    assert sorted(coverage["ResourceDependencies"]) == ["catalog", "orders", "shipping"]
    manual_and_not_at_start = 2
    assert coverage["TriggerMode"] == manual_and_not_at_start


TILT = """\
docker_build('shop/one', 'one')
docker_build('shop/two', 'two')
k8s_yaml(['one.yaml', 'other.yaml'])
k8s_yaml(local('cat two.yaml', quiet=True), allow_duplicates=True)
k8s_resource('one', port_forwards=8080)
"""


@pytest.fixture
def tilted(write: Write) -> Callable[[str], Path]:
    """A project that Tilt deploys, with podcov in it by `inject`."""

    def make(text: str) -> Path:
        files = {f"{name}.yaml": deployment(name) for name in ("one", "two", "other")}
        files |= {f"{name}/Dockerfile": "FROM scratch\n" for name in ("one", "two")}
        folder = write(
            {
                **CHART,
                **files,
                "Tiltfile": text,
                "podcov.yaml": PODCOV_YAML.replace("inject}", "inject, tiltfile: Tiltfile, manifests: [one.yaml, two.yaml]}"),
            }
        )
        project.init(folder)
        return folder

    return make


def couriers(made: dict[str, dict], name: str) -> list[str]:
    (found,) = (d for d in yaml.safe_load_all(made[name]["DeployTarget"]["yaml"]) if d["kind"] == "Deployment")
    return [container["name"] for container in found["spec"]["template"]["spec"].get("initContainers") or ()]


def test_tilt_puts_coverage_into_whatever_is_given_to_k8s_yaml(
    tilted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tilted(TILT)
    plain = resources(tilt(folder))
    monkeypatch.setenv("PODCOV", "1")
    made = resources(tilt(folder))
    assert {name: couriers(made, name) for name in ("one", "two", "other")} == {
        "one": ["podcov-courier"],
        "two": ["podcov-courier"],
        "other": [],
    }
    assert made.keys() - plain.keys() == {"coverage", "uncategorized"}
    maps = [d["metadata"]["name"] for d in yaml.safe_load_all(made["uncategorized"]["DeployTarget"]["yaml"])]
    assert all(name.startswith("podcov-") for name in maps)
    assert sorted(made["coverage"]["ResourceDependencies"]) == ["one", "two"]


def test_tilt_puts_coverage_into_what_included_files_give_too(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "Tiltfile": "include('one/Tiltfile')\nload('./lib.tilt', 'deploy')\ndeploy('two.yaml')\n",
        "one/Tiltfile": "docker_build('shop/one', '.')\nk8s_yaml('one.yaml')\n",
        "lib.tilt": "def deploy(path):\n    k8s_yaml(path)\n",
    }
    files = {"one/one.yaml": deployment("one"), "two.yaml": deployment("two"), "one/Dockerfile": "FROM scratch\n"}
    folder = write({**texts, **files, "podcov.yaml": PODCOV_YAML})
    read = tiltfile.read_all(project.DiskProject(folder), "Tiltfile")
    written = tiltfile.with_loads(read, base="", overlay="", podcov="podcov/Tiltfile", by="inject")
    own = assets.render("init/Tiltfile.j2", by="inject", root="..", workloads=["one", "two"])
    write({**written, "podcov/Tiltfile": own})
    monkeypatch.setenv("PODCOV", "1")
    made = resources(tilt(folder))
    assert {name: couriers(made, name) for name in ("one", "two")} == {"one": ["podcov-courier"], "two": ["podcov-courier"]}


def test_without_the_switch_tilt_deploys_exactly_what_it_did(tilted: Callable[[str], Path]) -> None:
    folder = tilted(TILT)
    after = resources(tilt(folder))
    (folder / "Tiltfile").write_text(TILT)
    before = resources(tilt(folder))
    assert {name: r["DeployTarget"]["yaml"] for name, r in after.items()} == {
        name: r["DeployTarget"]["yaml"] for name, r in before.items()
    }


def test_tilt_watches_what_it_did_and_podcov_yaml(tilted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tilted(TILT)
    plain = set(tilt(folder)["ConfigFiles"])
    monkeypatch.setenv("PODCOV", "1")
    assert set(tilt(folder)["ConfigFiles"]) - plain == {str(folder / "podcov.yaml")}


def test_tilt_renders_charts_with_coverage(tilted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tilted("yaml = helm('charts/one', name='one', set=['replicas=3'])\nk8s_yaml(yaml)\n")
    monkeypatch.setenv("PODCOV", "1")
    assert couriers(resources(tilt(folder)), "one") == ["podcov-courier"]


def test_tilt_says_why_podcov_cannot_inject(tilted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tilted(TILT)
    (folder / "podcov.yaml").write_text("version: 1\nservises: {}\n")
    monkeypatch.setenv("PODCOV", "1")
    done = subprocess.run(["tilt", "alpha", "tiltfile-result"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "servises" in done.stdout + done.stderr

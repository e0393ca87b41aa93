"""What the overlay renders with the real kustomize: the base, the intended additions, and nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from podcov.edges import project
from podcov.errors import ManifestError
from podcov.generate.coverage import verify
from podcov.generate.kubernetes import kubernetes_yaml

Documents = dict[str, dict]
MOUNTS = [
    {"mountPath": "/podcov/data", "name": "podcov-data"},
    {"mountPath": "/podcov/wrapper", "name": "podcov-wrapper", "readOnly": True},
]
DOCKERFILE = 'FROM python:3.13-slim\nWORKDIR /app\nCOPY . .\nCMD ["python3", "app.py"]\n'
SKAFFOLD = """\
apiVersion: skaffold/v4beta11
kind: Config
build:
  artifacts:
    - image: app
      context: app
manifests:
  kustomize:
    paths: [k8s]
"""


def podcov_yaml(settings: str) -> str:
    """For one service of these settings."""
    service = f"services:\n  app: {{workload: deployment/app, {settings}}}\n"
    return f"version: 1\n{service}generate: {{kustomize: k8s, skaffold: skaffold.yaml}}\n"


def deployment(containers: str, *, pod: str = "", kind: str = "Deployment", name: str = "app") -> str:
    """A workload; `containers` and `pod` (what else its pod has) are YAML, indented from zero."""
    inner = "".join(f"      {line}\n" for line in f"{pod}containers:\n{containers}".splitlines())
    labels = f"{{app: {name}}}"
    return (
        f"apiVersion: apps/v1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n  selector:\n    matchLabels: {labels}\n"
        f"  template:\n    metadata:\n      labels: {labels}\n    spec:\n{inner}"
    )


@pytest.fixture
def service(write: Callable[[Mapping[str, str]], Path]) -> Callable[..., Path]:
    """A project with one Deployment, of the given YAML, and one image that is built here."""

    def make(manifest: str, **more: str) -> Path:
        files = {
            "k8s/kustomization.yaml": "resources: [app.yaml]\n",
            "k8s/app.yaml": manifest,
            "app/Dockerfile": DOCKERFILE,
            "app/app.py": "print('hello')\n",
            "skaffold.yaml": SKAFFOLD,
        }
        return write({**files, **{name.replace("__", "/"): text for name, text in more.items()}})

    return make


def pod(documents: Documents, name: str = "Deployment/app") -> dict:
    return documents[name]["spec"]["template"]["spec"]


def names(items: list[dict]) -> list[str]:
    return [item["name"] for item in items]


def value(container: dict, name: str) -> str | None:
    return next((v.get("value") for v in container["env"] if v["name"] == name), None)


def without_coverage(documents: Documents, containers: Mapping[str, str | None]) -> Documents:
    """Takes out what is intended, and only that. `containers`: which are measured, and their command in the base as JSON."""
    plain = copy.deepcopy({name: d for name, d in documents.items() if not name.startswith("ConfigMap/podcov-")})
    for document in plain.values():
        if document["kind"] not in ("Deployment", "StatefulSet"):
            continue
        own = document["metadata"]["annotations"]
        del own["podcov/original"]
        if not own:
            del document["metadata"]["annotations"]
        template = document["spec"]["template"]
        spec = template["spec"]
        annotations = template["metadata"].get("annotations", {})
        if annotations.pop("kubectl.kubernetes.io/default-container", None) and not annotations:
            del template["metadata"]["annotations"]
        assert spec["initContainers"].pop(0)["name"] == "podcov-courier"
        volumes = [volume for volume in names(spec["volumes"]) if volume.startswith("podcov-")]
        assert names(spec["volumes"][: len(volumes)]) == volumes
        assert volumes in (["podcov-data", "podcov-wrapper"], ["podcov-data"])  # what is built with podcov in it needs no wrapper
        del spec["volumes"][: len(volumes)]
        for container in spec["containers"]:
            if container["name"] in containers:
                _undo(container, containers[container["name"]], MOUNTS[: len(volumes)])
        for key in ("initContainers", "volumes"):
            if not spec[key]:
                del spec[key]
    return plain


def _undo(container: dict, command: str | None, mounts: list[dict]) -> None:
    container["env"] = [v for v in container["env"] if not v["name"].startswith("PODCOV_")]
    assert container["volumeMounts"][: len(mounts)] == mounts
    del container["volumeMounts"][: len(mounts)]
    if mounts == MOUNTS:
        del container["command"]
    if command:
        container["command"] = json.loads(command)
    for key in ("env", "volumeMounts"):
        if not container[key]:
            del container[key]


@pytest.mark.parametrize("name", ["hello", "shop"])
def test_the_overlay_of_an_example_is_its_base_and_coverage(name: str, root: Path, render: Callable[[Path], Documents]) -> None:
    folder = root / "examples" / name
    rendered = render(folder / "podcov" / "overlay")
    assert without_coverage(rendered, {"hello": None, "orders": None, "catalog": None, "shipping": None}) == render(
        folder / "k8s"
    )


@pytest.mark.parametrize("name", ["hello", "shop"])
def test_the_overlay_of_an_example_is_what_init_writes(name: str, root: Path) -> None:
    assert project.init(root / "examples" / name, check=True).changes == ()


@pytest.mark.parametrize("name", ["hello", "shop"])
def test_injection_makes_the_same_as_the_overlay_names_of_config_maps_included(name: str, root: Path) -> None:
    """hello's ConfigMaps hold compiled tracers, too, which Kustomize breaks into lines of base64."""
    folder = root / "examples" / name
    injected, _ = project.inject(folder / "podcov.yaml", project.kustomize(folder / "k8s"), name="base")

    def objects(text: str) -> dict[tuple[str, str], dict]:
        return {(d["kind"], d["metadata"]["name"]): d for d in kubernetes_yaml.load(text, name=name)}

    assert objects(injected) == objects(project.kustomize(folder / "podcov" / "overlay"))


@pytest.mark.parametrize("name", ["hello", "shop"])
def test_without_a_podcov_yaml_init_arrives_at_the_same_overlay(name: str, example: Callable[[str], Path]) -> None:
    folder = example(name)
    (folder / "podcov.yaml").unlink()
    assert [change.path for change in project.init(folder).changes] == ["podcov.yaml"]


def test_the_command_is_the_image_s_behind_the_bootstrap(root: Path, render: Callable[[Path], Documents]) -> None:
    orders = pod(render(root / "examples" / "shop" / "podcov" / "overlay"), "Deployment/orders")["containers"][0]
    bootstrap = (root / "wrapper" / "python" / "bootstrap.py").read_text()
    own = ["gunicorn", "--bind", "0.0.0.0:8080", "--worker-tmp-dir", "/dev/shm", "--workers", "2", "orders.app:app"]
    assert orders["command"] == ["python3", "-c", bootstrap, *own]


def test_the_wrapper_is_in_an_optional_config_map_that_kubectl_can_apply(root: Path, render: Callable[[Path], Documents]) -> None:
    documents = render(root / "examples" / "hello" / "podcov" / "overlay")
    wrapper = documents["ConfigMap/podcov-wrapper"]
    assert {"sitecustomize.py", "podcov_courier.py"} <= wrapper["data"].keys()
    assert wrapper["metadata"]["labels"] == {"app.kubernetes.io/part-of": "podcov", "podcov/wrapper": "true"}
    assert all(len(json.dumps(documents[name])) < 200_000 for name in documents)
    sources = pod(documents, "Deployment/hello")["volumes"][1]["projected"]["sources"]
    assert {source["configMap"]["name"] for source in sources} == {
        d["metadata"]["name"] for d in documents.values() if d["kind"] == "ConfigMap"
    }
    assert all(source["configMap"]["optional"] for source in sources)


def test_the_courier_has_the_service_s_image_and_its_security_context(root: Path, render: Callable[[Path], Documents]) -> None:
    spec = pod(render(root / "examples" / "shop" / "podcov" / "overlay"), "Deployment/orders")
    courier, container = spec["initContainers"][0], spec["containers"][0]
    assert courier["restartPolicy"] == "Always"
    assert (courier["image"], courier["securityContext"]) == (container["image"], container["securityContext"])
    assert courier["resources"]["requests"]
    assert courier["volumeMounts"] == MOUNTS


def test_init_containers_and_sidecars_that_are_not_ours_stay_as_they_are_and_in_order(
    service: Callable[..., Path], render: Callable[[Path], Documents]
) -> None:
    folder = service(
        deployment(
            "- {name: proxy, image: envoyproxy/envoy:v1, args: [-c, /etc/envoy.yaml]}\n"
            "- {name: app, image: app}\n"
            "- {name: logs, image: fluent/fluent-bit:3}\n",
            pod="initContainers:\n- {name: migrate, image: app, command: [python3, go.py]}\n- {name: wait, image: busybox}\n",
        )
    )
    project.init(folder)
    rendered = render(folder / "podcov" / "overlay")
    assert names(pod(rendered)["initContainers"]) == ["podcov-courier", "migrate", "wait"]
    assert names(pod(rendered)["containers"]) == ["proxy", "app", "logs"]
    assert without_coverage(rendered, {"app": None}) == render(folder / "k8s")


def test_two_services_in_one_pod_share_one_courier(service: Callable[..., Path], render: Callable[[Path], Documents]) -> None:
    folder = service(
        deployment(
            "- {name: web, image: app, command: [python3, web.py]}\n- {name: worker, image: app, command: [python3, work.py]}\n"
        )
    )
    project.init(folder)
    spec = pod(render(folder / "podcov" / "overlay"))
    assert names(spec["initContainers"]) == ["podcov-courier"]
    assert [value(c, "PODCOV_CONTAINER") for c in spec["containers"]] == ["web", "worker"]
    assert [c["command"][-1] for c in spec["containers"]] == ["web.py", "work.py"]
    written = (folder / "podcov.yaml").read_text()
    assert "app-web:" in written
    assert "container: worker" in written


def test_args_without_a_command_follow_the_image_s_entrypoint(
    service: Callable[..., Path], render: Callable[[Path], Documents]
) -> None:
    folder = service(
        deployment('- {name: app, image: app, args: [--port, "80"]}\n'),
        app__Dockerfile='FROM python:3.13\nENTRYPOINT ["python3", "-m", "app"]\nCMD ["--port", "1"]\n',
    )
    project.init(folder)
    container = pod(render(folder / "podcov" / "overlay"))["containers"][0]
    assert container["command"][3:] == ["python3", "-m", "app"]
    assert container["args"] == ["--port", "80"]


def test_words_of_a_dockerfile_reach_the_container_as_they_are(
    service: Callable[..., Path], render: Callable[[Path], Documents]
) -> None:
    folder = service(
        deployment("- {name: app, image: app}\n"), app__Dockerfile="FROM python:3.13\nCMD echo $HOME $(hostname) $$\n"
    )
    project.init(folder)
    container = pod(render(folder / "podcov" / "overlay"))["containers"][0]
    # Kubernetes makes $ of $$, and leaves alone a $ before anything but another one or a bracket.
    assert container["command"][3:] == ["/bin/sh", "-c", "echo $$HOME $$(hostname) $$$$"]


ENVIRONMENT = (
    "- name: app\n  image: app\n  env:\n"
    "  - {name: HOME_DIR, value: /srv}\n"
    "  - {name: PYTHONPATH, value: $(HOME_DIR)/lib}\n"
    "  - {name: TOKEN, valueFrom: {secretKeyRef: {name: token, key: token}}}\n"
)
BY_ENVIRONMENT = podcov_yaml("entry: environment")


def test_by_the_entrypoint_a_container_s_own_environment_is_untouched(
    service: Callable[..., Path], render: Callable[[Path], Documents]
) -> None:
    folder = service(deployment(ENVIRONMENT))
    project.init(folder)
    rendered = render(folder / "podcov" / "overlay")
    assert without_coverage(rendered, {"app": None}) == render(folder / "k8s")


def test_by_the_environment_a_container_s_own_module_path_comes_behind_ours_and_keeps_its_place(
    service: Callable[..., Path], render: Callable[[Path], Documents]
) -> None:
    folder = service(deployment(ENVIRONMENT), **{"podcov.yaml": BY_ENVIRONMENT})
    project.init(folder)
    container = pod(render(folder / "podcov" / "overlay"))["containers"][0]
    assert "command" not in container
    assert value(container, "PYTHONPATH") == "/podcov/data/wrapper:/podcov/wrapper:$(HOME_DIR)/lib"
    assert [n for n in names(container["env"]) if not n.startswith("PODCOV_")] == ["HOME_DIR", "PYTHONPATH", "TOKEN"]
    assert container["env"][2] == {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}}


def test_by_the_environment_the_image_s_own_module_path_is_kept(
    service: Callable[..., Path], render: Callable[[Path], Documents]
) -> None:
    folder = service(
        deployment("- {name: app, image: app}\n"),
        **{"podcov.yaml": BY_ENVIRONMENT, "app/Dockerfile": f"{DOCKERFILE}ENV PYTHONPATH=/app/lib\n"},
    )
    project.init(folder)
    container = pod(render(folder / "podcov" / "overlay"))["containers"][0]
    assert value(container, "PYTHONPATH") == "/podcov/data/wrapper:/podcov/wrapper:/app/lib"


def test_a_module_path_from_elsewhere_cannot_be_extended_by_environment(service: Callable[..., Path]) -> None:
    manifest = deployment(
        "- name: app\n  image: app\n  env:\n  - {name: PYTHONPATH, valueFrom: {configMapKeyRef: {name: paths, key: python}}}\n"
    )
    with pytest.raises(ManifestError, match="PYTHONPATH comes from elsewhere") as caught:
        project.init(service(manifest, **{"podcov.yaml": BY_ENVIRONMENT}))
    assert "entry: entrypoint" in caught.value.hint


def test_no_sidecar_where_none_is_wanted(service: Callable[..., Path], render: Callable[[Path], Documents]) -> None:
    config = podcov_yaml("sidecar: false")
    folder = service(deployment("- {name: app, image: app}\n"), **{"podcov.yaml": config})
    project.init(folder)
    document = render(folder / "podcov" / "overlay")["Deployment/app"]
    assert "initContainers" not in document["spec"]["template"]["spec"]
    assert "annotations" not in document["spec"]["template"]["metadata"]


@pytest.mark.parametrize(("limit", "volume"), [("1Gi", {"medium": "Memory", "sizeLimit": "64Mi"}), ("128Mi", {}), ("64M", {})])
def test_data_are_in_memory_only_where_the_limit_has_room_for_them(
    limit: str, volume: dict, service: Callable[..., Path], render: Callable[[Path], Documents]
) -> None:
    folder = service(deployment(f"- {{name: app, image: app, resources: {{limits: {{memory: {limit}}}}}}}\n"))
    project.init(folder)
    assert pod(render(folder / "podcov" / "overlay"))["volumes"][0]["emptyDir"] == volume


def test_the_courier_knows_the_pod_s_grace_period(service: Callable[..., Path], render: Callable[[Path], Documents]) -> None:
    folder = service(deployment("- {name: app, image: app}\n", pod="terminationGracePeriodSeconds: 5\n"))
    project.init(folder)
    assert value(pod(render(folder / "podcov" / "overlay"))["initContainers"][0], "PODCOV_GRACE") == "5"


def test_an_annotation_for_the_default_container_is_the_user_s(
    service: Callable[..., Path], render: Callable[[Path], Documents]
) -> None:
    manifest = deployment("- {name: app, image: app}\n").replace(
        "labels: {app: app}\n    spec",
        "labels: {app: app}\n      annotations: {kubectl.kubernetes.io/default-container: x}\n    spec",
    )
    folder = service(manifest)
    project.init(folder)
    assert render(folder / "podcov" / "overlay")["Deployment/app"]["spec"]["template"]["metadata"]["annotations"] == {
        "kubectl.kubernetes.io/default-container": "x"
    }


def test_stateful_sets_and_namespaces(write: Callable[[Mapping[str, str]], Path], render: Callable[[Path], Documents]) -> None:
    one, two = (
        deployment("- {name: app, image: app}\n", kind="StatefulSet").replace("name: app\n", f"name: app\n  namespace: {n}\n", 1)
        for n in "ab"
    )
    folder = write(
        {
            "k8s/kustomization.yaml": "resources: [a.yaml, b.yaml]\n",
            "k8s/a.yaml": one,
            "k8s/b.yaml": two,
            "app/Dockerfile": DOCKERFILE,
            "app/app.py": "",
            "skaffold.yaml": SKAFFOLD,
        }
    )
    project.init(folder)
    rendered = project.kustomize(folder / "podcov" / "overlay")
    documents = kubernetes_yaml.load(rendered, name="rendered")
    for namespace in "ab":
        here = {
            d["kind"]: d for d in documents if d["metadata"]["namespace"] == namespace and "tracers" not in d["metadata"]["name"]
        }
        sources = here["StatefulSet"]["spec"]["template"]["spec"]["volumes"][1]["projected"]["sources"]
        assert sources[0]["configMap"]["name"] == here["ConfigMap"]["metadata"]["name"]
        assert here["ConfigMap"]["metadata"]["name"] != "podcov-wrapper"
    assert "a-statefulset-app:" in (folder / "podcov.yaml").read_text()


def test_branch_mode_and_packages_reach_the_container(service: Callable[..., Path], render: Callable[[Path], Documents]) -> None:
    config = podcov_yaml("packages: [one, two]") + "mode: branch\n"
    folder = service(deployment("- {name: app, image: app}\n"), **{"podcov.yaml": config})
    project.init(folder)
    rendered = render(folder / "podcov" / "overlay")
    container = pod(rendered)["containers"][0]
    assert (value(container, "PODCOV_MODE"), value(container, "PODCOV_PACKAGES")) == ("branch", "one,two")
    assert any("cp313-x86_64-gnu" in name for name in rendered["ConfigMap/podcov-tracers"]["binaryData"])


def test_an_overlay_that_would_change_more_is_refused() -> None:
    base = deployment("- {name: app, image: app}\n")
    measured = {("apps", "Deployment", "", "app"): ("app",)}
    verify.only_adds_coverage(base, base, {})
    with pytest.raises(ManifestError, match=r"Deployment/app\.spec\.template\.spec\.containers.*becomes"):
        verify.only_adds_coverage(base, base.replace("image: app", "image: other"), {})
    with pytest.raises(ManifestError, match=r"Deployment/app: .* becomes nothing"):
        verify.only_adds_coverage(base, "", measured)


def test_an_overlay_that_reaches_less_or_more_is_refused() -> None:
    base = deployment("- {name: app, image: app}\n")
    with pytest.raises(ManifestError, match="Deployment/app lacks coverage"):
        verify.only_adds_coverage(base, base, {("apps", "Deployment", "", "app"): ("app",)})
    with_coverage = base.replace("metadata:\n  name: app", "metadata:\n  name: app\n  annotations: {podcov/original: '{}'}")
    with pytest.raises(ManifestError, match="Deployment/app gets coverage"):
        verify.only_adds_coverage(base, with_coverage, {})

"""`podcov init` on a project on disk: same input, same bytes; what people wrote stays theirs; errors say what to do."""

from __future__ import annotations

import hashlib
import re
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from podcov.edges import project
from podcov.errors import ConfigError, DriftError, ManifestError
from podcov.generate.api import Asked

Example = Callable[[str], Path]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", ["hello", "shop"])
def test_from_nothing_it_arrives_at_the_example(name: str, fresh: Example, root: Path) -> None:
    folder = fresh(name)
    project.init(folder)
    gold = contents(root / "examples" / name)
    made = contents(folder)
    del made["podcov.yaml"], gold["podcov.yaml"]
    assert made == {path: gold[path] for path in made}


def test_twice_gives_the_same_bytes_and_changes_nothing(fresh: Example) -> None:
    folder = fresh("shop")
    project.init(folder)
    before = contents(folder)
    assert project.init(folder).changes == ()
    assert contents(folder) == before
    project.init(folder, check=True)


def test_what_it_does_not_own_stays_byte_for_byte(fresh: Example) -> None:
    folder = fresh("shop")
    before = contents(folder)
    project.init(folder)
    after = contents(folder)
    own = {path for path in after if path.startswith("podcov") or path.endswith(".podcov")}
    assert {path for path in before if before[path] != after[path]} == {"skaffold.yaml", "Tiltfile"}
    assert after.keys() - before.keys() == own
    for path in ("skaffold.yaml", "Tiltfile"):
        theirs = after[path].decode()
        begin, end = theirs.index("# >>> podcov"), theirs.index("# <<< podcov\n") + len("# <<< podcov\n")
        rest = (theirs[:begin].rstrip(" ") + theirs[end:]).replace("profiles:\n", "").lstrip("\n")
        assert rest == before[path].decode()


def test_a_first_podcov_yaml_says_what_was_found(fresh: Example) -> None:
    folder = fresh("shop")
    findings = project.init(folder).findings
    said = yaml.safe_load((folder / "podcov.yaml").read_text())
    assert said["services"] == {
        "catalog": {"workload": "deployment/catalog", "source": ["catalog"]},
        "orders": {"workload": "deployment/orders", "source": ["orders"]},
        "shipping": {"language": "go", "workload": "deployment/shipping", "source": ["shipping"], "binary": "/shipping"},
    }
    assert said["tests"]["command"][-1] == "tests/integration"
    assert [forward["resource"] for forward in said["port_forwards"]] == ["service/catalog", "service/orders", "service/shipping"]
    assert [(f.subject, f.decided) for f in findings] == [
        ("k8s", "coverage comes by an overlay"),
        ("deployment/catalog catalog", "entered in front of its image's command"),
        ("deployment/orders orders", "entered in front of its image's command"),
        ("deployment/shipping shipping", "recorded by a toolchain with podcov in it"),
    ]


def test_podcov_yaml_is_the_user_s(example: Example) -> None:
    folder = example("shop")
    path = folder / "podcov.yaml"
    path.write_text(path.read_text().replace("workload: deployment/orders", "workload: deployment/orders\n    mode: branch"))
    before = path.read_bytes()
    project.init(folder)
    assert path.read_bytes() == before
    assert "value: branch" in (folder / "podcov/overlay/deployment-orders.yaml").read_text()


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("orders/Dockerfile", '"2"', '"4"'),
        ("k8s/catalog.yaml", "runAsNonRoot", "runAsUser"),
        ("podcov.yaml", "source: [orders]", "sidecar: false"),
    ],
)
def test_check_names_what_drifted_and_writes_nothing(path: str, old: str, new: str, example: Example) -> None:
    folder = example("shop")
    changed = folder / path
    changed.write_text(changed.read_text().replace(old, new).replace("runAsUser: true", "runAsUser: 1000"))
    before = contents(folder)
    if path == "k8s/catalog.yaml":  # nothing that the overlay depends on
        project.init(folder, check=True)
    else:
        with pytest.raises(
            DriftError, match=r"^podcov/SHA256SUMS: is out of date\npodcov/overlay/deployment-orders.yaml: is out of date$"
        ):
            project.init(folder, check=True)
    assert contents(folder) == before


def test_another_compressor_is_no_drift(example: Example) -> None:
    """zlib's output differs between machines; SHA256SUMS is written with what one of them made."""
    folder = example("hello")
    tracer = next((folder / "podcov/overlay/tracers").glob("*.z"))
    before = hashlib.sha256(tracer.read_bytes()).hexdigest()
    tracer.write_bytes(zlib.compress(zlib.decompress(tracer.read_bytes()), 1))
    sums = folder / "podcov/SHA256SUMS"
    sums.write_text(sums.read_text().replace(before, hashlib.sha256(tracer.read_bytes()).hexdigest()))
    assert project.init(folder, check=True).changes == ()


def test_check_names_what_is_missing(example: Example) -> None:
    folder = example("hello")
    (folder / "podcov/overlay/wrapper/sitecustomize.py").unlink()
    with pytest.raises(DriftError, match=r"^podcov/overlay/wrapper/sitecustomize.py: is missing$"):
        project.init(folder, check=True)
    project.init(folder)
    project.init(folder, check=True)


@pytest.mark.parametrize(
    "path", ["podcov/overlay/deployment-hello.yaml", "podcov/overlay/wrapper/sitecustomize.py", "podcov/Tiltfile"]
)
def test_a_generated_file_that_was_edited_by_hand_is_not_overwritten_unasked(path: str, example: Example) -> None:
    folder = example("hello")
    edited = folder / path
    edited.write_text(edited.read_text() + "# mine\n")
    before = contents(folder)
    with pytest.raises(DriftError, match=f"{path}: was edited by hand") as caught:
        project.init(folder)
    assert "--force" in caught.value.hint
    assert contents(folder) == before
    project.init(folder, force=True)
    assert "# mine" not in edited.read_text()
    project.init(folder, check=True)


@pytest.mark.parametrize("path", ["skaffold.yaml", "Tiltfile"])
def test_a_marked_block_that_was_edited_by_hand_is_not_overwritten_unasked(path: str, example: Example) -> None:
    folder = example("hello")
    edited = folder / path
    gold = edited.read_text()
    edited.write_text(gold.replace("# `", "# mine `"))
    with pytest.raises(DriftError, match=f"{path}: podcov's marked block was edited by hand"):
        project.init(folder)
    assert "mine" in edited.read_text()
    project.init(folder, force=True)
    assert edited.read_text() == gold


def test_a_file_of_the_user_s_in_the_way_is_not_overwritten_unasked(fresh: Example) -> None:
    folder = fresh("hello")
    (folder / "podcov").mkdir()
    (folder / "podcov/Tiltfile").write_text("print('mine')\n")
    with pytest.raises(DriftError, match="podcov/Tiltfile: was edited by hand"):
        project.init(folder)


def test_what_is_not_needed_any_more_is_removed(example: Example) -> None:
    folder = example("shop")
    path = folder / "podcov.yaml"
    text = path.read_text()
    start, end = text.index("  orders:\n"), text.index("tests:\n")
    path.write_text(text[:start] + text[end:])
    project.init(folder)
    assert not (folder / "podcov/overlay/deployment-orders.yaml").exists()
    assert "deployment-orders" not in (folder / "podcov/overlay/kustomization.yaml").read_text()
    project.init(folder, check=True)


def test_sha256sum_agrees_with_the_list_of_generated_files(example: Example) -> None:
    folder = example("hello") / "podcov"
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    listed = {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert listed | {"SHA256SUMS"} == contents(folder).keys()


def test_a_container_that_does_not_exist_is_named_with_those_that_do(example: Example) -> None:
    folder = example("shop")
    path = folder / "podcov.yaml"
    path.write_text(path.read_text().replace("workload: deployment/orders", "workload: deployment/orders\n    container: ordres"))
    with pytest.raises(
        ManifestError,
        match=r"^podcov\.yaml:\d+: services\.orders\.container: there is no container 'ordres' in deployment/orders",
    ) as caught:
        project.init(folder)
    assert caught.value.hint == "there are: orders."


def test_a_workload_that_does_not_exist_is_named_with_those_that_do(example: Example) -> None:
    folder = example("shop")
    path = folder / "podcov.yaml"
    path.write_text(path.read_text().replace("deployment/orders", "statefulset/orders"))
    with pytest.raises(ManifestError, match="there is no statefulset/orders in the manifests") as caught:
        project.init(folder)
    line = path.read_text().splitlines().index("    workload: statefulset/orders") + 1
    assert caught.value.message.startswith(f"podcov.yaml:{line}: services.orders.workload: ")
    assert caught.value.hint == "there are: deployment/catalog, deployment/orders, deployment/shipping."


def test_a_manifest_that_is_no_yaml_is_named_with_its_line(example: Example) -> None:
    folder = example("shop")
    path = folder / "k8s/orders.yaml"
    path.write_text(path.read_text().replace("  replicas: 2\n", "  replicas: 2: 3\n"))
    with pytest.raises(ManifestError, match=r"^k8s/orders\.yaml:6: this is no YAML: mapping values are not allowed here$"):
        project.init(folder)


def test_what_kustomize_refuses_is_said_in_its_words(example: Example) -> None:
    folder = example("shop")
    (folder / "k8s/kustomization.yaml").write_text("resources: [catalog.yaml, nowhere.yaml]\n")
    with pytest.raises(ManifestError, match=r"k8s: kubectl kustomize: .*nowhere\.yaml"):
        project.init(folder)


def test_a_podcov_yaml_that_is_wrong_is_named_with_its_line(example: Example) -> None:
    folder = example("hello")
    (folder / "podcov.yaml").write_text("version: 1\nservices:\n  hello:\n    worklod: deployment/hello\n")
    with pytest.raises(ConfigError, match=r"podcov\.yaml:4: "):
        project.init(folder)


def test_an_unknown_command_is_asked_for(example: Example) -> None:
    folder = example("hello")
    (folder / "Dockerfile").write_text("FROM company/runtime\nCOPY src .\n")
    with pytest.raises(ManifestError, match="no command, and that of image hello is not known") as caught:
        project.init(folder)
    assert "`command:`" in caught.value.hint
    path = folder / "podcov.yaml"
    path.write_text(path.read_text().replace("source: [src]", "source: [src]\n    command: [python3, hello.py]"))
    project.init(folder)
    patch = yaml.safe_load((folder / "podcov/overlay/deployment-hello.yaml").read_text())
    assert patch["spec"]["template"]["spec"]["containers"][0]["command"][-2:] == ["python3", "hello.py"]


def test_a_folder_without_a_base_is_told_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"there are no manifests: no kustomization\.yaml, no Chart\.yaml") as caught:
        project.init(tmp_path)
    assert "podcov init FOLDER" in caught.value.hint


def test_a_manifest_that_is_no_yaml_is_named_where_there_is_no_other(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web\n")
    (tmp_path / "settings.yaml").write_text("colours: [red\n")
    with pytest.raises(ManifestError, match=r"\n  web\.yaml:4: this is no YAML: .*; correct that line") as caught:
        project.init(tmp_path)
    assert "settings.yaml" not in caught.value.message


DEPLOYMENT = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n"
    "    spec: {containers: [{name: web, image: web, command: [python3, web.py]}]}\n"
)
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
BROKEN_SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web\n"
BROKEN_JSON = '{"apiVersion": "v1", "kind": "Service", "metadata":\n'
TEMPLATE = "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Release.Name }}}\n{{- end }}\n"


def in_project(folder: Path, **files: str) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.mark.parametrize(("manifest", "rendered"), [("web.yaml", "web.yaml"), ("k8s/web.yaml", "k8s")])
@pytest.mark.parametrize(
    ("name", "text", "place"),
    [("service.yaml", BROKEN_SERVICE, "service.yaml:4"), ("other/service.json", BROKEN_JSON, "other/service.json:2")],
)
def test_a_broken_manifest_beside_good_ones_is_named(
    manifest: str, rendered: str, name: str, text: str, place: str, tmp_path: Path
) -> None:
    folder = in_project(tmp_path, **{manifest: DEPLOYMENT, name: text})
    found, unread, *_ = project.init(folder).findings
    assert (found.subject, unread.subject, unread.decided, unread.level) == (rendered, place, "left out", "warning")
    assert unread.found.startswith("this is no YAML: ")
    assert "correct that line" in unread.why


@pytest.mark.parametrize(
    ("name", "text", "line", "found"),
    [
        ("service.yaml", TEMPLATE, 5, "this is no YAML: "),
        ("values.yaml", "image: [a\nreplicas: 3\n", 2, "this is no YAML: "),
        ("values.yaml", "image: a\nreplicas: 3\n", 1, "document 1: this is no manifest: "),
        ("values.yaml", "image: a # of kind: and apiVersion:\n", 1, "document 1: this is no manifest: "),
        ("values.yaml", "hpa: {apiVersion: autoscaling/v2, kind: x}\n", 1, "document 1: this is no manifest: "),
        ("values.yaml", "# apiVersion: v1\nhpa:\n  apiVersion: v2\n  kind: x: y\n", 4, "this is no YAML: "),
    ],
)
@pytest.mark.parametrize("asked", [(), ("k8s",)])
def test_what_lies_among_manifests_and_is_none_is_named_and_left_out(
    asked: tuple[str, ...], name: str, text: str, line: int, found: str, tmp_path: Path
) -> None:
    folder = in_project(tmp_path, **{"k8s/web.yaml": DEPLOYMENT, f"k8s/{name}": text})
    _, unread, *_ = project.init(folder, Asked(asked)).findings
    assert (unread.subject, unread.decided, unread.level) == (f"k8s/{name}:{line}", "left out", "warning")
    assert unread.found.startswith(found)
    assert yaml.safe_load((folder / "podcov.yaml").read_text())["generate"]["manifests"] == ["k8s/web.yaml"]
    assert project.init(folder, check=True).changes == ()


def test_a_manifest_that_came_after_init_listed_those_beside_it_is_named_on_each_run(tmp_path: Path) -> None:
    folder = in_project(tmp_path, **{"k8s/web.yaml": DEPLOYMENT, "k8s/values.yaml": "image: a\n"})
    project.init(folder)
    in_project(
        folder, **{"k8s/new.yaml": DEPLOYMENT.replace("web", "new"), "k8s/service.yaml": SERVICE, "k8s/old.yaml": BROKEN_SERVICE}
    )
    for check in (True, False):
        found = project.init(folder, check=check).findings
        assert [(f.subject, f.decided, f.level) for f in found] == [
            ("k8s/new.yaml", "left out", "warning"),
            ("k8s/old.yaml:4", "left out", "warning"),
        ]
    config = folder / "podcov.yaml"
    config.write_text(re.sub(r"( *- )k8s/web\.yaml\n", r"\g<0>\1k8s/new.yaml\n", config.read_text()))
    assert [f.subject for f in project.init(folder).findings] == ["k8s/old.yaml:4"]


@pytest.mark.parametrize("manifests", ["k8s", "k8s/*.yaml"])
def test_a_manifest_that_came_after_init_named_its_folder_is_rendered(manifests: str, tmp_path: Path) -> None:
    folder = in_project(tmp_path, **{"k8s/web.yaml": DEPLOYMENT})
    project.init(folder, Asked((manifests,)))
    in_project(folder, **{"k8s/new.yaml": DEPLOYMENT.replace("web", "new")})
    assert project.init(folder, check=True).findings == ()


@pytest.mark.parametrize("text", [TEMPLATE, "image: [a\nreplicas: 3\n"])
def test_what_is_no_manifest_and_lies_elsewhere_is_none_of_init_s_concern(text: str, tmp_path: Path) -> None:
    folder = in_project(tmp_path, **{"k8s/web.yaml": DEPLOYMENT, "settings.yaml": text})
    assert [finding.subject for finding in project.init(folder).findings] == ["k8s", "deployment/web web"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("values.yaml", "image: a\n", r"k8s/values\.yaml:1: document 1: this is no manifest: "),
        ("web.yaml", f"{DEPLOYMENT}---\nvalues: [a]\n", r"k8s/web\.yaml:7: document 2: this is no manifest: "),
        ("web.yaml", f"{DEPLOYMENT}status: {{}}\nstatus: {{}}\n", r"k8s/web\.yaml:8: `status` stands twice"),
    ],
)
def test_what_no_cluster_would_take_is_named_with_its_file(name: str, text: str, said: str, tmp_path: Path) -> None:
    folder = in_project(tmp_path, **{"k8s/a.yaml": SERVICE, "k8s/web.yaml": DEPLOYMENT})
    project.init(folder)
    in_project(tmp_path, **{f"k8s/{name}": text})
    with pytest.raises(ManifestError, match=rf"^{said}"):
        project.init(folder)


BROKEN_DEPLOYMENT = DEPLOYMENT.replace("{name: web}", "\n  name: b\n  annotations: {owner: {{ x }}}\n   labels: {}", 1)


@pytest.mark.parametrize("asked", [(), ("k8s",)])
def test_a_workload_that_cannot_be_read_is_not_left_out_whatever_fills_it_in(asked: tuple[str, ...], tmp_path: Path) -> None:
    folder = in_project(tmp_path, **{"k8s/a.yaml": DEPLOYMENT, "k8s/b.yaml": BROKEN_DEPLOYMENT})
    with pytest.raises(ManifestError, match=r"^k8s/b\.yaml:\d: this is no YAML: ") as caught:
        project.init(folder, Asked(asked))
    assert "name the manifests beside it: `podcov init FILE FILE`" in caught.value.hint
    project.init(folder, Asked(("k8s/a.yaml",)))
    assert yaml.safe_load((folder / "podcov.yaml").read_text())["generate"]["manifests"] == ["k8s/a.yaml"]


def test_a_workload_that_cannot_be_read_and_lies_elsewhere_is_named_whatever_fills_it_in(tmp_path: Path) -> None:
    folder = in_project(tmp_path, **{"k8s/a.yaml": DEPLOYMENT, "other/b.yaml": BROKEN_DEPLOYMENT})
    _, unread, *_ = project.init(folder).findings
    assert (unread.subject.partition(":")[0], unread.decided, unread.level) == ("other/b.yaml", "left out", "warning")


BY_SKAFFOLD = {
    "skaffold.yaml": "apiVersion: skaffold/v4beta11\nkind: Config\nmanifests: {rawYaml: [k8s/web.yaml, k8s/service.yaml]}\n"
}


@pytest.mark.parametrize(
    ("more", "text", "place"),
    [
        (BY_SKAFFOLD, BROKEN_SERVICE, r"k8s/service\.yaml:4"),
        (BY_SKAFFOLD, TEMPLATE, r"k8s/service\.yaml:5"),
        ({}, BROKEN_SERVICE, r"k8s/service\.yaml:4"),
    ],
)
def test_a_manifest_that_is_to_be_rendered_and_cannot_be_read_is_an_error(
    more: dict[str, str], text: str, place: str, tmp_path: Path
) -> None:
    folder = in_project(tmp_path, **{"k8s/web.yaml": DEPLOYMENT, "k8s/service.yaml": text}, **more)
    with pytest.raises(ManifestError, match=rf"^{place}: this is no YAML: "):
        project.init(folder)


def test_a_tiltfile_that_cannot_be_read_is_named_where_nothing_else_renders(tmp_path: Path) -> None:
    (tmp_path / "Tiltfile").write_text("docker_build('a', 'a'\nk8s_yaml('a.yaml')\n")
    with pytest.raises(ManifestError, match=r"\n  Tiltfile: line 1: a text that podcov cannot read; what it builds"):
        project.init(tmp_path)


def test_a_base_outside_the_project(example: Example, tmp_path: Path) -> None:
    folder = example("hello")
    (folder / "k8s").rename(tmp_path / "manifests")
    for name in ("podcov.yaml", "skaffold.yaml", "Tiltfile"):
        path = folder / name
        path.write_text(path.read_text().replace("kustomize: k8s", "kustomize: ../manifests").replace("- k8s", "- ../manifests"))
    project.init(folder)
    project.kustomize(folder / "podcov/overlay")
    project.init(folder, check=True)


@pytest.mark.parametrize(("copy", "warned"), [("orders/ /srv", True), ("lib /srv", False)])
def test_a_context_above_the_project_takes_its_results_with_its_folder(copy: str, warned: bool, tmp_path: Path) -> None:
    image = "{image: web, context: .., docker: {dockerfile: orders/Dockerfile}}"
    skaffold = (
        f"apiVersion: skaffold/v4beta11\nkind: Config\nbuild: {{artifacts: [{image}]}}\nmanifests: {{rawYaml: [web.yaml]}}\n"
    )
    in_project(tmp_path, **{"lib/a.py": "", "orders/web.yaml": DEPLOYMENT, "orders/skaffold.yaml": skaffold})
    folder = in_project(tmp_path / "orders", Dockerfile=f"FROM python:3.13\nCOPY {copy}\n")
    found = [f.subject for f in project.init(folder).findings if ".podcov" in f.found]
    assert found == (["../.dockerignore"] if warned else [])

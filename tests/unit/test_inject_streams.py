"""Streams of manifests through `podcov inject`: what is not concerned comes out as it went in, the rest once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_project import MemoryProject
from podcov.config import parse
from podcov.errors import ManifestError
from podcov.generate.coverage import instrument
from podcov.generate.coverage.entering import Surroundings
from podcov.generate.coverage.inject import Injector
from podcov.generate.images.commands import nowhere
from podcov.generate.images.dockerfile import Image
from podcov.generate.kubernetes import kubernetes_yaml

CONFIG = parse("version: 1\nservices:\n  orders: {workload: deployment/orders, container: app}\n")
STRANGERS = (
    "# Source: chart/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  text: |\n    ---\n    kind: x\n",
    "apiVersion: v1   # ümläüt 𝄞\nkind:   Secret\nmetadata:\n    name: b\ntype: 'Opaque'\n\n\n",
    '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c"}}\n',
    "apiVersion: v1\r\nkind: ServiceAccount\r\nmetadata: {name: d}\r\n",
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: f}\n...\n",
    "apiVersion: acme.example/v1\nkind: Deployment\nmetadata: {name: orders}\nspec: {template: {spec: {containers: [{}]}}}\n",
    "apiVersion: acme.example/v1\nkind: Microservice\nmetadata: {name: g, annotations: text}\nspec: {ports: [80], selector: x}\n",
    "apiVersion: acme.example/v1\nkind: Note\nmetadata: text\nspec: [1]\n",
    "# nothing but a comment\n",
    "\n",
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other}\nspec: {template: {spec: {containers: [{name: app}]}}}\n",
    "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: e}, spec: {containers: [{name: app}]}}\n",
)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
ORDERS = st.builds(
    lambda value, number, as_json: (json.dumps if as_json else yaml.safe_dump)(orders(value, number)),
    TEXT,
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["0644", "yes", "1e3", "2024-01-01"]),
    st.booleans(),
)


def orders(value: str, other: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "python:3.13", "command": ["python3", value], "env": [{"name": "A", "value": value}]}
    pod = {"containers": [container, {"name": "beside", "image": "x"}]}
    metadata = {"name": "orders", "annotations": {"own": value}}
    template = {"metadata": {"labels": {"app": "orders"}}, "spec": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "other": other, "spec": {"template": template}}


def inject(text: str) -> str:
    injector = Injector(
        CONFIG, Surroundings(MemoryProject(), (), nowhere), lambda minors: {f"tracer.{m}": b"\xff" for m in minors}
    )
    return injector.text(text, name="stdin")[0]


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[str], str]:
    """The strangers of a stream, and the stream, in which `orders` stands among them."""
    before, after = draw(st.lists(st.sampled_from(STRANGERS), max_size=3)), draw(st.lists(st.sampled_from(STRANGERS), max_size=3))
    documents = [*before, draw(ORDERS) + "\n", *after]
    beginning = draw(st.sampled_from(["", "---\n", "# of the whole\n---\n", "%YAML 1.1\n---\n"]))
    separator = draw(st.sampled_from(["---\n", "--- # more\n"]))
    return [*before, *after], beginning + separator.join(documents)


@settings(max_examples=150)
@given(streams())
def test_strangers_stay_byte_for_byte_and_nothing_else_is_lost_or_added(found: tuple[list[str], str]) -> None:
    strangers, stream = found
    out = inject(stream)
    for text in (text for text in strangers if "kind" in text):
        assert text.rstrip("\n") in out
    documents = kubernetes_yaml.load(out, name="out")
    ours = [d for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"].startswith("podcov-")]
    assert ours
    rest = [instrument.remove(d) for d in documents if d not in ours]
    assert rest == kubernetes_yaml.load(stream, name="stream")
    assert sum(instrument.is_instrumented(d) for d in documents) == 1


@settings(max_examples=60)
@given(streams())
def test_twice_is_once_byte_for_byte(found: tuple[list[str], str]) -> None:
    once = inject(found[1])
    assert inject(once) == once


@settings(max_examples=60)
@given(st.lists(st.sampled_from(STRANGERS)), st.sampled_from(["---\n", "--- # more\n"]))
def test_a_stream_of_strangers_is_not_touched(strangers: list[str], separator: str) -> None:
    stream = separator.join(strangers)
    assert inject(stream) == stream
    assert "".join(piece.text for piece in kubernetes_yaml.split(stream, name="stream")) == stream


def test_kustomize_s_list_keeps_its_own_annotations_and_gets_the_config_maps_as_items() -> None:
    item = orders("x", 1)
    item["metadata"]["annotations"]["internal.config.kubernetes.io/id"] = "1"
    given = {"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", "items": [item], "functionConfig": {"a": "b"}}
    (out,) = kubernetes_yaml.load(inject(yaml.safe_dump(given)), name="out")
    *maps, deployment = out["items"]
    assert {m["kind"] for m in maps} == {"ConfigMap"}
    assert deployment["metadata"]["annotations"]["internal.config.kubernetes.io/id"] == "1"
    assert {**out, "items": [instrument.remove(deployment)]} == given


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: A\n---\nkind: [\n", "stdin:4: this is no YAML"),
        ("kind: A\n---\n# c\nwords\n", "stdin:2: document 2: this is no manifest: 'words'"),
        ("kind: A\n---\n- kind: B\n", "stdin:2: document 2: this is no manifest"),
        ("kind: A\nmetadata: {}\nkind: B\n", "stdin:3: document 1: `kind` stands twice"),
        ("kind: A\n---\nkind: B\ndata:\n  x: |\n    kind: y\nkind: C\n", "stdin:7: document 2: `kind` stands twice"),
    ],
)
def test_what_is_refused_is_named_by_document_and_line(text: str, said: str) -> None:
    with pytest.raises(ManifestError) as error:
        inject(text)
    assert error.value.message.startswith(said)
    assert error.value.hint or "no YAML" in said


def deployment(namespace: str, image: str = "python:3.13") -> str:
    place = f", namespace: {namespace}" if namespace else ""
    containers = f"[{{name: app, image: {image}, command: [python3, a.py]}}]"
    return (
        f"---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: orders{place}}}\n"
        f"spec: {{template: {{spec: {{containers: {containers}}}}}}}\n"
    )


@pytest.mark.parametrize("spaces", [("", ""), ("blue", "blue")])
def test_of_two_of_one_name_none_is_taken_for_the_other(spaces: tuple[str, str]) -> None:
    with pytest.raises(ManifestError, match=r"deployment/orders.* is in the manifests twice"):
        inject(deployment(spaces[0]) + deployment(spaces[1], "python:3.12"))


def test_of_two_namespaces_one_has_to_be_said() -> None:
    with pytest.raises(ManifestError, match=r"may be any of deployment/orders in blue .* deployment/orders in green") as caught:
        inject(deployment("blue") + deployment("green"))
    assert "`namespace`" in caught.value.hint


@pytest.mark.parametrize(
    ("container", "problem"),
    [
        ("{name: app, image: x, command: python app.py}", "command is not a list of texts"),
        ("{name: app, image: x, command: [python, 8080]}", "command is not a list of texts"),
        ("{name: app, image: x, env: {A: b}}", "env is not a list of mappings with a name"),
        ("{name: app, image: x, env: [{value: b}]}", "env is not a list of mappings with a name"),
        ("{image: x}", "containers is not a list of mappings with a name"),
    ],
)
def test_what_kubernetes_would_refuse_is_named(container: str, problem: str) -> None:
    text = deployment("").replace("{name: app, image: python:3.13, command: [python3, a.py]}", container)
    with pytest.raises(ManifestError, match=f"^stdin:1: deployment/orders: .*{problem}"):
        inject(text)


def test_a_key_that_stands_twice_in_what_is_changed_is_named_with_its_line() -> None:
    text = "# first\n" + deployment("").replace("command: [python3, a.py]", "command: [python3, a.py], env: [], env: []")
    with pytest.raises(ManifestError, match=r"^stdin:6: `env` stands twice$"):
        inject(text)


def test_what_is_written_anew_has_the_line_ends_of_the_stream() -> None:
    out = inject(deployment("").replace("\n", "\r\n"))
    assert out.count("\n") == out.count("\r\n")
    assert "podcov-courier" in out


def test_an_injected_workload_whose_config_maps_are_missing_gets_them() -> None:
    once = inject(deployment(""))
    workload = once[once.rindex("---\n") :]
    assert inject(workload) == once


BY_ENVIRONMENT = parse("version: 1\nservices:\n  orders: {workload: deployment/orders, entry: environment, sidecar: false}\n")
CERTAIN = Image("", env={"PYTHONPATH": "/app"}, said_by="docker has the image")


@pytest.mark.parametrize(
    ("container", "image", "said"),
    [
        ("", None, "an image that is not known"),
        ("", CERTAIN, ""),
        (", env: [{name: PYTHONPATH, value: /own}]", None, ""),
        (", env: [{name: PYTHONPATH, value: /own}], envFrom: [{configMapRef: {name: c}}]", CERTAIN, ""),
        (", envFrom: [{configMapRef: {name: c}}]", CERTAIN, "variables by envFrom"),
        (", envFrom: [{secretRef: {name: s}, prefix: PYTHON}]", CERTAIN, "variables by envFrom"),
        (", envFrom: [{secretRef: {name: s}, prefix: APP_}]", CERTAIN, ""),
        (", envFrom: []", CERTAIN, ""),
    ],
)
def test_a_pythonpath_that_ours_may_hide_is_warned_of(container: str, image: Image | None, said: str) -> None:
    text = deployment("").replace("python:3.13", f"acme/orders:1{container}")
    injector = Injector(BY_ENVIRONMENT, Surroundings(MemoryProject(), (), lambda _: image), lambda minors: {})
    warnings = [f for f in injector.text(text, name="stdin")[1] if f.level == "warning"]
    assert [(f.subject, f.found) for f in warnings] == ([("deployment/orders app", said)] if said else [])
    assert all("PYTHONPATH" in f.why and "`command`" in f.why for f in warnings)


def test_a_command_is_not_taken_from_a_dockerfile_that_is_a_guess() -> None:
    known = Surroundings(MemoryProject({"Dockerfile": 'FROM python:3.13\nCMD ["python3", "a.py"]\n'}), (), nowhere)
    text = deployment("").replace(", command: [python3, a.py]", "").replace("python:3.13", "acme/orders:1")
    with pytest.raises(ManifestError, match=r"image acme/orders:1 is but guessed \(Dockerfile, the only one here\)"):
        Injector(CONFIG, known, lambda minors: {}).text(text, name="stdin")
    itself = Image("", entrypoint=(), cmd=("python3", "a.py"), said_by="docker has the image")
    confirmed = Injector(CONFIG, replace(known, lookup=lambda _: itself), lambda minors: {})
    assert "a.py" in confirmed.text(text, name="stdin")[0]

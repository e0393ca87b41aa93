"""What is added to a workload and taken off again: idempotent, exact, and only where it is meant."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podcov.config import Dump, Service
from podcov.errors import ManifestError
from podcov.generate.coverage import instrument
from podcov.generate.images.dockerfile import Image
from podcov.generate.kubernetes import manifests
from podcov.generate.languages.entered import Entered

Document = dict[str, Any]
MAPS = {"python": ("podcov-wrapper-abc", "podcov-tracers-def"), "hand": ("podcov-hand-ghi",)}

names = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
variables = st.sampled_from(["PYTHONPATH", "HOME", "DEBUG", "DATABASE_URL", "PODCOV_MODE", "GOCOVERDIR", "A", "B", "C"])


def maybe(key: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    """A mapping with this key, or without it."""
    return st.one_of(st.just({}), st.fixed_dictionaries({key: values}))


def merged(*parts: st.SearchStrategy[Document]) -> st.SearchStrategy[Document]:
    return st.tuples(*parts).map(lambda found: {key: value for part in found for key, value in part.items()})


values = st.one_of(
    st.fixed_dictionaries({"value": st.one_of(texts, st.sampled_from(["/tmp/coverage", "/elsewhere", "$(HOME)/cover"]))}),
    st.fixed_dictionaries({"valueFrom": st.fixed_dictionaries({"configMapKeyRef": st.just({"name": "settings", "key": "a"})})}),
)
environments = st.lists(st.tuples(variables, values), max_size=5).map(lambda found: [{"name": n, **v} for n, v in found])
mount_paths = st.one_of(
    names.map(lambda name: f"/mnt/{name}"), st.sampled_from(["/tmp/coverage", "/tmp/", "/tmp/coverage/deeper"])
)
mounts = st.lists(mount_paths, unique=True, max_size=2).map(
    lambda ps: [{"name": f"v{n}", "mountPath": p} for n, p in enumerate(ps)]
)
commands = st.lists(st.one_of(texts, st.sampled_from(["python3", "$(A)", "$$x", "-c"])), min_size=1, max_size=4)


def containers(name: str) -> st.SearchStrategy[Document]:
    return merged(
        st.just({"name": name, "image": f"registry.example/{name}:1"}),
        maybe("command", st.one_of(commands, st.just([]))),
        maybe("args", commands),
        maybe("env", st.one_of(environments, st.sampled_from([None, []]))),
        maybe("envFrom", st.just([{"configMapRef": {"name": "more"}}])),
        maybe("volumeMounts", st.one_of(mounts, st.sampled_from([None, []]))),
        maybe("securityContext", st.just({"runAsNonRoot": True})),
        maybe("imagePullPolicy", st.just("Always")),
        maybe("resources", st.just({"limits": {"memory": "128Mi"}})),
        maybe("ports", st.just([{"containerPort": 8080}])),
        maybe("readinessProbe", st.just({"httpGet": {"path": "/", "port": 8080}})),
    )


def lists_of(make: Any, smallest: int) -> st.SearchStrategy[list[Document]]:
    return st.lists(names, unique=True, min_size=smallest, max_size=3).flatmap(lambda ns: st.tuples(*map(make, ns)).map(list))


pods = merged(
    lists_of(containers, 1).map(lambda found: {"containers": found}),
    maybe("initContainers", st.one_of(lists_of(lambda n: containers(f"init-{n}"), 0), st.none())),
    maybe("volumes", st.one_of(st.lists(names, unique=True, max_size=2).map(lambda ns: [{"name": n} for n in ns]), st.none())),
    maybe("restartPolicy", st.sampled_from(["Always", "Never", "OnFailure"])),
    maybe("terminationGracePeriodSeconds", st.integers(0, 90)),
    maybe("hostNetwork", st.booleans()),
)
annotations = st.one_of(st.dictionaries(names, texts, max_size=2), st.none(), st.just({instrument.DEFAULT_CONTAINER: "app"}))
own_metadata = merged(st.just({"name": "shop"}), maybe("namespace", names), maybe("annotations", annotations))
template_metadata = maybe(
    "metadata", st.one_of(st.none(), merged(maybe("labels", st.just({"a": "b"})), maybe("annotations", annotations)))
)


def workload(kind: str) -> st.SearchStrategy[Document]:
    template = merged(template_metadata, pods.map(lambda pod: {"spec": pod}))
    head = st.just({"apiVersion": "batch/v1" if "Job" in kind else "apps/v1", "kind": kind})
    if kind == "Pod":
        return merged(head, own_metadata.map(lambda m: {"metadata": m}), pods.map(lambda pod: {"spec": pod}))
    if kind == "CronJob":
        spec = template.map(lambda t: {"schedule": "@daily", "jobTemplate": {"spec": {"template": t}}})
    else:
        spec = merged(maybe("replicas", st.integers(0, 5)), template.map(lambda t: {"template": t}))
    return merged(head, own_metadata.map(lambda m: {"metadata": m}), spec.map(lambda s: {"spec": s}))


workloads = st.sampled_from(sorted(manifests.POD_TEMPLATES)).flatmap(workload)


def pod_of(document: Mapping[str, Any]) -> Any:
    template: Any = document
    for key in manifests.template_path(document):
        template = template[key]
    return template["spec"]


def entered(document: Document, chosen: Sequence[int], *services: Service, image: Image | None = None) -> list[Entered]:
    """The chosen containers, each as the service in its turn."""
    found = manifests.of_document(document)
    assert found is not None
    own = ("python3", "app.py")
    return [
        Entered(services[index % len(services)], container, "line", container.command or own, image)
        for index, container in enumerate(found.containers)
        if index in chosen
    ]


SERVICES = st.sampled_from(
    [
        Service("orders"),
        Service("orders", sidecar=False),
        Service("orders", entry="environment"),
        Service("orders", entry="environment", sidecar=False, packages=("shop",)),
        Service("orders", "go", binary="/app"),
        Service("orders", "go", binary="/app", sidecar=False),
        Service("orders", "go", dump=Dump("signal"), architecture="arm64"),
        Service("orders", "go", dump=Dump("killswitch", folder="/tmp/coverage/")),
        Service("orders", "go", dump=Dump("killswitch"), command=("/loop.sh", "-v"), sidecar=False),
        Service("orders", "go", dump=Dump("exit", source="nodes")),
    ]
)
PODS = st.lists(SERVICES, min_size=1, max_size=3)
"""the services of a pod, container by container"""
IMAGES = st.sampled_from([None, Image("python", entrypoint=("python3",), env={"PYTHONPATH": "/srv"})])
CHOICES = st.sets(st.integers(0, 2), min_size=1)
REPLICAS = st.sampled_from([None, 1, 3])


def instrumented(
    document: Document, chosen: set[int], services: Sequence[Service], image: Image | None, replicas: int | None
) -> Document | None:
    """None where it is refused: a PYTHONPATH that comes from elsewhere cannot be extended, a second GOCOVERDIR cannot be."""
    group = entered(document, sorted({0, *chosen}), *services, image=image)
    if any(e.service.dump and e.service.dump.by != "killswitch" and _writes_elsewhere(e.container.env) for e in group):
        with pytest.raises(ManifestError, match=r"dump\.folder: it is /tmp/coverage, and the manifest's GOCOVERDIR is /"):
            instrument.instrument(document, group, MAPS, replicas=replicas)
        return None
    if any(e.service.entry == "environment" and _cannot_be_extended(e.container.env) for e in group):
        with pytest.raises(ManifestError, match=r"PYTHONPATH comes from elsewhere|stands twice in env"):
            instrument.instrument(document, group, MAPS, replicas=replicas)
        return None
    return instrument.instrument(document, group, MAPS, replicas=replicas)


def _writes_elsewhere(environment: Sequence[Mapping[str, Any]]) -> bool:
    own = next((str(v.get("value") or "") for v in environment if v["name"] == "GOCOVERDIR"), "")
    return own.startswith("/") and "$" not in own and own.rstrip("/") != "/tmp/coverage"


def _cannot_be_extended(environment: Sequence[Mapping[str, Any]]) -> bool:
    found = [v["name"] for v in environment]
    elsewhere = any(v["name"] == "PYTHONPATH" and "valueFrom" in v for v in environment)
    return elsewhere or ("PYTHONPATH" in found and len(set(found)) < len(found))


@settings(max_examples=150)
@given(workloads, CHOICES, PODS, IMAGES, REPLICAS)
def test_removal_gives_back_the_input(
    document: Document, chosen: set[int], services: Sequence[Service], image: Image | None, replicas: int | None
) -> None:
    before = copy.deepcopy(document)
    result = instrumented(document, chosen, services, image, replicas)
    assert document == before
    if result is not None:
        assert instrument.is_instrumented(result)
        assert json.dumps(instrument.remove(result), sort_keys=True) == json.dumps(document, sort_keys=True)


@settings(max_examples=100)
@given(workloads, CHOICES, PODS, IMAGES, REPLICAS)
def test_twice_is_once(
    document: Document, chosen: set[int], services: Sequence[Service], image: Image | None, replicas: int | None
) -> None:
    once = instrumented(document, chosen, services, image, replicas)
    if once is not None:
        group = entered(instrument.remove(once), sorted({0, *chosen}), *services, image=image)
        assert json.dumps(instrument.instrument(once, group, MAPS, replicas=replicas)) == json.dumps(once)


@settings(max_examples=100)
@given(workloads, CHOICES, PODS, IMAGES)
def test_nothing_but_the_named_containers_changes(
    document: Document, chosen: set[int], services: Sequence[Service], image: Image | None
) -> None:
    result = instrumented(document, chosen, services, image, None)
    if result is None:
        return
    before, after = pod_of(document), pod_of(result)
    measured = {0, *chosen}
    for index, (left, right) in enumerate(zip(before["containers"], after["containers"], strict=True)):
        if index in measured:
            changed = {key for key in {*left, *right} if left.get(key) != right.get(key)}
            assert changed <= {"command", "args", "env", "volumeMounts"}
            assert {v["name"]: v for v in right["env"]}.keys() >= {v["name"] for v in left.get("env") or ()}
        else:
            assert left == right
    measuring = {index: services[index % len(services)] for index in range(len(before["containers"])) if index in measured}
    ours = len({_recorder(index, service) for index, service in measuring.items() if service.sidecar})
    assert (after.get("initContainers") or [])[ours:] == (before.get("initContainers") or [])
    own = [volume for volume in after["volumes"] if not volume["name"].startswith("podcov-")]
    assert own == (before.get("volumes") or [])
    rest = {"containers", "initContainers", "volumes"}
    assert {k: v for k, v in after.items() if k not in rest} == {k: v for k, v in before.items() if k not in rest}


def _recorder(container: int, service: Service) -> tuple[str, int]:
    """A program in Go that podcov records is of one image, and each container here has its own."""
    if service.language == "python":
        return "wrapper", 0
    return ("itself", 0) if service.dump else ("program", container)


@settings(max_examples=100)
@given(workloads, CHOICES, PODS, IMAGES)
def test_a_pod_template_shows_whether_it_has_coverage(
    document: Document, chosen: set[int], services: Sequence[Service], image: Image | None
) -> None:
    after = instrumented(document, chosen, services, image, None)
    if after is not None:
        assert instrument.traces(after) != instrument.traces(document)
        assert instrument.traces(instrument.remove(after)) == instrument.traces(document)


@pytest.mark.parametrize("first", [Service("front", "go", binary="/app"), Service("front")])
def test_a_pod_template_shows_which_version_of_coverage_it_has(first: Service) -> None:
    template = {"spec": {"containers": [{"name": "front", "image": "x"}, {"name": "back", "image": "y"}]}}
    document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": {"template": template}}
    group = entered(document, [0, 1], first, Service("back"))
    now, later = ({**MAPS, "python": (name,)} for name in ("podcov-wrapper-abc", "podcov-wrapper-xyz"))
    deployed = instrument.instrument(document, group, now)
    assert instrument.traces(deployed) != instrument.traces(instrument.instrument(document, group, later))

    copied = copy.deepcopy(deployed)
    copied["metadata"] = {"name": "shop", "annotations": {"example.com/copied": "yes"}}
    for container in pod_of(copied)["containers"]:
        container["env"].append({"name": "OPERATOR_CONDITION_NAME", "value": "shop.v1"})
        container["terminationMessagePath"] = "/dev/termination-log"
    pod_of(copied)["volumes"].append({"name": "ca", "projected": {"sources": [{"configMap": {"name": "ca"}}]}})
    assert instrument.traces(copied) == instrument.traces(deployed), "of what others add nothing counts"


def test_what_was_changed_since_stays_changed() -> None:
    document = deployment(replicas=2)
    result = instrument.instrument(document, entered(document, [0], Service("orders")), MAPS, replicas=1)
    pod = pod_of(result)
    result["spec"]["replicas"] = 5
    pod["containers"][0]["env"].append({"name": "NEW", "value": "1"})
    pod["containers"][0]["command"] = ["python3", "other.py"]
    pod["containers"].append({"name": "late", "image": "late"})
    plain = instrument.remove(result)
    assert plain["spec"]["replicas"] == 5
    assert pod_of(plain)["containers"] == [
        {"name": "app", "image": "app", "command": ["python3", "other.py"], "env": [{"name": "NEW", "value": "1"}]},
        {"name": "late", "image": "late"},
    ]


def test_a_variable_that_somebody_set_since_stays_as_they_set_it() -> None:
    document = deployment()
    pod_of(document)["containers"][0]["env"] = [{"name": "PYTHONPATH", "value": "/app"}, {"name": "A", "value": "1"}]
    result = instrument.instrument(document, entered(document, [0], Service("orders", entry="environment")), MAPS)
    pod_of(result)["containers"][0]["env"][0]["value"] = "/new"
    assert pod_of(instrument.remove(result))["containers"][0]["env"] == [
        {"name": "PYTHONPATH", "value": "/new"},
        {"name": "A", "value": "1"},
    ]


def deployment(**spec: Any) -> Document:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "orders"},
        "spec": {**spec, "template": {"metadata": {}, "spec": {"containers": [{"name": "app", "image": "app"}]}}},
    }


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"containers": 1}', '{"containers": {"app": 2}}', "null"])
def test_a_damaged_annotation_is_named(text: str) -> None:
    document = deployment()
    document["metadata"]["annotations"] = {instrument.ORIGINAL: text}
    with pytest.raises(ManifestError, match=r"^deployment/orders: the annotation podcov/original is damaged"):
        instrument.remove(document)


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        ({"containers": [{"name": "podcov-courier", "image": "x"}]}, "there is a container podcov-courier already"),
        ({"initContainers": [{"name": "podcov-courier", "image": "x"}]}, "there is a container podcov-courier already"),
        ({"volumes": [{"name": "podcov-data"}]}, "there is a volume podcov-data already"),
        (
            {"containers": [{"name": "app", "image": "app", "volumeMounts": [{"name": "x", "mountPath": "/podcov/data/"}]}]},
            "container app has something mounted at /podcov/data",
        ),
    ],
)
def test_what_stands_in_the_way_is_refused(pod: Document, found: str) -> None:
    document = deployment()
    pod_of(document).update(pod)
    with pytest.raises(ManifestError) as caught:
        instrument.instrument(document, entered(document, [0], Service("orders")), MAPS)
    assert caught.value.message == f"deployment/orders: {found}"


@pytest.mark.parametrize(("kind", "waits"), [("Job", True), ("CronJob", True), ("Deployment", False), ("Pod", False)])
def test_the_courier_of_what_comes_to_an_end_waits_to_be_collected(kind: str, waits: bool) -> None:
    pod: Document = {"containers": [{"name": "app", "image": "app"}], **({"restartPolicy": "Never"} if waits else {})}
    template = {"spec": pod}
    spec = {"Pod": pod, "CronJob": {"jobTemplate": {"spec": {"template": template}}}}.get(kind, {"template": template})
    document = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "seed"}, "spec": spec}
    courier = pod_of(instrument.instrument(document, entered(document, [0], Service("seed")), MAPS))["initContainers"][0]
    assert {"name": "PODCOV_WAIT", "value": "always"} in courier["env"] or not waits
    assert waits == any(v["name"] == "PODCOV_WAIT" for v in courier["env"])

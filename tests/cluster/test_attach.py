"""`podcov attach` and `podcov detach` on workloads that run, with no more rights than the Roles that ship."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from custom_kinds import defined
from podcov.edges import configuration
from podcov.edges.cluster import access as cluster_access
from podcov.edges.cluster.api import Api, Json, Resource
from podcov.edges.cluster.attach import Attachments
from podcov.edges.cluster.owners import CONFIG_MAPS
from podcov.edges.cluster.targets import Selection
from podcov.edges.project import injector
from podcov.generate.coverage.inject import Injected

pytestmark = pytest.mark.cluster

APP = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit()); print('up', flush=True)\nwhile True: time.sleep(.1)"

VOLATILE = ("resourceVersion", "generation", "managedFields")
"""What the API server itself counts in an object's metadata."""
CONTROLLERS_OWN = {"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"}
"""Annotations in which controllers count the changes of a template."""


@pytest.fixture
def space(namespace: Any, root: Path) -> Any:
    """A namespace in which podcov may attach, too."""
    return allow_attach(namespace, root)


def allow_attach(namespace: Any, root: Path) -> Any:
    """As docs/rbac.md tells to."""
    namespace.kubectl("apply", "--filename", root / "overlays/rbac/attach.yaml")
    account = f"--serviceaccount={namespace.name}:podcov"
    namespace.kubectl("create", "rolebinding", "podcov-attach", "--role", "podcov-attach", account)
    return namespace


@pytest.fixture
def image(cluster: Any) -> str:
    return str(cluster.image("python:3.13"))


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """`project(deployment="orders", ...)`: a folder whose podcov.yaml has a service for each workload, by KIND=NAME."""

    def write(*workloads: str, **settings: Any) -> Path:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        services = {text.replace("/", "-"): {"workload": text, "container": "app"} for text in workloads}
        (folder / "podcov.yaml").write_text(yaml.safe_dump({"version": 1, "services": services, **settings}))
        return folder

    return write


def template(image: str, name: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "app", "image": image, "command": ["python3", "-c", APP]}
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 5, "containers": [container], **spec},
    }


def workload(kind: str, image: str, name: str = "orders", **spec: Any) -> dict[str, Any]:
    pods = template(image, name)
    head = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "labels": {"team": "shop"}}}
    if kind == "CronJob":
        pods["spec"]["restartPolicy"] = "Never"
        job = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": pods}}}
        return {**head, "apiVersion": "batch/v1", "spec": {**job, **spec}}
    selector = {"matchLabels": {"app": name}}
    extra = {"serviceName": name} if kind == "StatefulSet" else {}
    return {**head, "spec": {"selector": selector, "template": pods, **extra, **spec}}


def deploy(space: Any, *manifests: Mapping[str, Any]) -> None:
    space.apply(*manifests)
    for manifest in manifests:
        by_hand = manifest["spec"].get("updateStrategy", {}).get("type") == "OnDelete"
        if manifest["kind"] in ("Deployment", "StatefulSet", "DaemonSet") and not by_hand:
            space.kubectl("rollout", "status", f"{manifest['kind']}/{manifest['metadata']['name']}", "--timeout=110s")


def podcov(space: Any, command: str, *arguments: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = space.podcov(command, "--namespace", space.name, *arguments, cwd=cwd, check=check)
    return done


def steady(document: Mapping[str, Any]) -> dict[str, Any]:
    """An object without its status and what the API server and controllers count in it."""
    kept: dict[str, Any] = deepcopy(dict(document))
    del kept["status"]
    for name in VOLATILE:
        kept["metadata"].pop(name, None)
    annotations = kept["metadata"].pop("annotations", {})
    if others := {name: value for name, value in annotations.items() if name not in CONTROLLERS_OWN}:
        kept["metadata"]["annotations"] = others
    return kept


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "CronJob"])
def test_after_attach_and_detach_the_live_object_equals_the_one_before(
    space: Any, image: str, project: Callable[..., Path], kind: str
) -> None:
    reference = f"{kind.lower()}/orders"
    folder = project(reference)
    deploy(space, workload(kind, image))
    before = space.get(reference, "--show-managed-fields")

    attached = podcov(space, "attach", reference, cwd=folder)

    assert f"attached: {reference} in namespace {space.name}: app" in attached.stdout
    live = space.get(reference)
    assert steady(live) != steady(before)
    assert "podcov/original" in live["metadata"]["annotations"]
    if kind != "CronJob":
        pods = space.get("pods", "--selector", "app=orders")["items"]
        assert {p["spec"]["initContainers"][0]["name"] for p in pods if "deletionTimestamp" not in p["metadata"]} == {
            "podcov-courier"
        }

    detached = podcov(space, "detach", cwd=folder)

    assert f"detached: {reference} in namespace {space.name}" in detached.stdout
    after = space.get(reference, "--show-managed-fields")
    assert steady(after) == steady(before)
    assert "podcov" not in {entry["manager"] for entry in after["metadata"]["managedFields"]}
    assert space.get("configmaps", "--selector", "podcov/wrapper")["items"] == []


class TestEditsInBetween:
    def test_are_kept(self, space: Any, image: str, project: Callable[..., Path]) -> None:
        folder = project("deployment/orders")
        deploy(space, workload("Deployment", image))
        before = space.get("deployment/orders")
        podcov(space, "attach", cwd=folder)
        space.kubectl("set", "env", "deployment/orders", "GREETING=hello")
        space.kubectl("scale", "deployment/orders", "--replicas=2")
        podcov(space, "detach", "deployment/orders", cwd=folder)
        after = steady(space.get("deployment/orders"))
        container = after["spec"]["template"]["spec"]["containers"][0]
        assert container.pop("env") == [{"name": "GREETING", "value": "hello"}]
        assert after["spec"].pop("replicas") == 2
        assert after == without(steady(before), "spec", "replicas")

    def test_of_who_applies_server_side_do_not_conflict_after_detach(
        self, space: Any, image: str, project: Callable[..., Path]
    ) -> None:
        folder = project("deployment/orders")
        manifest = workload("Deployment", image)

        def apply(check: bool = True) -> str:
            text = yaml.safe_dump(manifest)
            return str(space.kubectl("apply", "--server-side", "--filename", "-", stdin=text, check=check))

        apply()
        podcov(space, "attach", cwd=folder)
        podcov(space, "detach", cwd=folder)
        manifest["spec"]["template"]["spec"]["containers"][0]["command"][-1] += "\n"
        assert "serverside-applied" in apply()

    def test_at_the_same_moment_are_not_lost(self, space: Any, image: str, project: Callable[..., Path]) -> None:
        folder = project("deployment/orders")
        deploy(space, workload("Deployment", image))
        before = space.get("deployment/orders")
        edits: list[str] = []
        for command, attached in {"attach": True, "detach": False}.items():
            with edits_until(space, edits, attached=attached):
                podcov(space, command, cwd=folder)
        after = steady(space.get("deployment/orders"))
        assert after["metadata"]["annotations"].pop("edit") == edits[-1]
        assert after == steady(before)


@contextmanager
def edits_until(space: Any, edits: list[str], *, attached: bool) -> Iterator[None]:
    """Has somebody annotate deployment/orders again and again until it is attached, or is not any more. Notes what they wrote.

    No longer than that: a controller whose writes of the status lose against edits without a pause backs off for minutes.
    """
    over = threading.Event()

    def edit() -> None:
        while not over.is_set():
            edits.append(str(len(edits)))
            change = ("annotate", "deployment/orders", "--overwrite", f"edit={edits[-1]}", "--output", "json")
            if ("podcov/original" in json.loads(space.kubectl(*change))["metadata"]["annotations"]) == attached:
                return

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        yield
    finally:
        over.set()
        editor.join()


def without(document: dict[str, Any], *path: str) -> dict[str, Any]:
    inner: Any = document
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return document


class TestReplicas:
    def test_are_set_and_put_back(self, space: Any, image: str, project: Callable[..., Path]) -> None:
        folder = project("deployment/orders")
        deploy(space, workload("Deployment", image, replicas=2))
        before = space.get("deployment/orders")
        podcov(space, "attach", "--replicas", "1", cwd=folder)
        assert space.get("deployment/orders")["status"]["readyReplicas"] == 1
        podcov(space, "detach", cwd=folder)
        assert steady(space.get("deployment/orders")) == steady(before)

    def test_that_an_autoscaler_would_set_again_are_warned_of(self, space: Any, image: str, project: Callable[..., Path]) -> None:
        folder = project("deployment/orders")
        deploy(space, workload("Deployment", image, replicas=2))
        space.kubectl("autoscale", "deployment", "orders", "--min=2", "--max=3", "--cpu-percent=50")
        told = podcov(space, "attach", "--replicas", "1", "--dry-run", cwd=folder)
        assert "horizontalpodautoscaler/orders scales it" in told.stderr
        assert "horizontalpodautoscaler" not in podcov(space, "attach", "--dry-run", cwd=folder).stderr


class TestTwice:
    def test_is_once(self, space: Any, image: str, project: Callable[..., Path]) -> None:
        folder = project("deployment/orders")
        deploy(space, workload("Deployment", image))
        before = space.get("deployment/orders")
        podcov(space, "attach", cwd=folder)
        once = space.get("deployment/orders")
        again = podcov(space, "attach", cwd=folder)
        assert f"nothing to change: deployment/orders in namespace {space.name}" in again.stdout
        assert space.get("deployment/orders")["metadata"]["generation"] == once["metadata"]["generation"]
        podcov(space, "detach", cwd=folder)
        assert "nothing to detach" in podcov(space, "detach", cwd=folder).stdout
        assert steady(space.get("deployment/orders")) == steady(before)

    def test_with_other_settings_brings_it_up_to_date(self, space: Any, image: str, project: Callable[..., Path]) -> None:
        folder = project("deployment/orders")
        deploy(space, workload("Deployment", image))
        before = space.get("deployment/orders")
        podcov(space, "attach", cwd=folder)
        project("deployment/orders", mode="branch")
        podcov(space, "attach", cwd=folder)
        container = space.get("deployment/orders")["spec"]["template"]["spec"]["containers"][0]
        assert {"name": "PODCOV_MODE", "value": "branch"} in container["env"]
        podcov(space, "detach", cwd=folder)
        assert steady(space.get("deployment/orders")) == steady(before)


def test_a_dry_run_shows_the_difference_and_changes_nothing(space: Any, image: str, project: Callable[..., Path]) -> None:
    folder = project("deployment/orders")
    deploy(space, workload("Deployment", image))
    before = space.get("deployment/orders")
    told = podcov(space, "attach", "--dry-run", cwd=folder)
    assert "--- a/deployment/orders.yaml\n+++ b/deployment/orders.yaml" in told.stdout
    assert re.search(r"^\+ +- name: podcov-courier$", told.stdout, re.MULTILINE)
    assert f"would be attached: deployment/orders in namespace {space.name}: app" in told.stdout
    assert "would be made: configmap/podcov-wrapper-" in told.stdout
    answer = json.loads(podcov(space, "attach", "--dry-run", "--json", cwd=folder).stdout)
    (seen,) = answer["workloads"]
    assert (answer["dry_run"], seen["workload"], seen["containers"], seen["changed"]) == (
        True,
        "deployment/orders",
        ["app"],
        True,
    )
    after = space.get("deployment/orders")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert steady(after) == steady(before)
    assert space.get("configmaps", "--selector", "podcov/wrapper")["items"] == []


class TestTargets:
    def test_are_found_by_labels_by_helm_release_and_by_their_pods(
        self, space: Any, image: str, project: Callable[..., Path]
    ) -> None:
        folder = project("deployment/orders", "statefulset/db")
        orders, db, other = (
            workload("Deployment", image),
            workload("StatefulSet", image, "db"),
            workload("Deployment", image, "other"),
        )
        db["metadata"]["labels"] = {"tier": "data"}
        orders["metadata"]["annotations"] = {"meta.helm.sh/release-name": "shop"}
        deploy(space, orders, db, other)

        def found(*arguments: str) -> list[str]:
            answer = podcov(space, "attach", "--dry-run", "--json", *arguments, cwd=folder)
            return [seen["workload"] for seen in json.loads(answer.stdout)["workloads"]]

        pod = space.get("pods", "--selector", "app=orders")["items"][0]["metadata"]["name"]
        assert found() == ["deployment/orders", "statefulset/db"]
        assert found("--selector", "tier=data") == ["statefulset/db"]
        assert found("--helm", "shop") == ["deployment/orders"]
        assert found(f"pod/{pod}", "deploy/orders") == ["deployment/orders"]
        assert found("--selector", "team=shop") == ["deployment/orders"], "others are left as they are"

        helm = podcov(space, "attach", "--dry-run", "--helm", "shop", cwd=folder)
        assert "installed by Helm, release shop" in helm.stderr
        assert "helm upgrade" in helm.stderr

    def test_are_looked_for_where_podcov_yaml_says_that_they_are(
        self, space: Any, image: str, project: Callable[..., Path]
    ) -> None:
        folder = project("deployment/orders", namespace=space.name)
        deploy(space, workload("Deployment", image))
        for target in ((), ("deploy/orders",), ("--selector", "team=shop")):
            answer = json.loads(space.podcov("attach", "--dry-run", "--json", *target, cwd=folder).stdout)
            assert [(w["workload"], w["namespace"]) for w in answer["workloads"]] == [("deployment/orders", space.name)]

    def test_a_job_of_a_cron_job_is_changed_there(self, space: Any, image: str, project: Callable[..., Path]) -> None:
        folder = project("cronjob/orders")
        space.apply(workload("CronJob", image))
        space.kubectl("create", "job", "now", "--from", "cronjob/orders")
        told = podcov(space, "attach", "job/now", cwd=folder)
        assert "attached: cronjob/orders" in told.stdout
        assert "kubectl create job NAME --from cronjob/orders" in told.stderr

    def test_that_are_not_there_are_named_beside_those_that_are(
        self, space: Any, image: str, project: Callable[..., Path]
    ) -> None:
        folder = project("deployment/orders")
        nothing = refused(space, "attach", cwd=folder)
        assert f"there is no deployment/orders in namespace {space.name}" in nothing
        assert "there is no workload at all: is this the right namespace?" in nothing
        deploy(space, workload("Deployment", image, "other"))
        assert "there are: deployment/other" in refused(space, "attach", cwd=folder)
        labels = refused(space, "attach", "--selector", "app=none", cwd=folder)
        assert f"no workload in namespace {space.name} has the labels app=none" in labels
        assert "deployment/other (team=shop)" in labels
        assert "has the Helm release shop" in refused(space, "attach", "--helm", "shop", cwd=folder)

    def test_of_an_unknown_kind_or_without_a_service_are_refused(
        self, space: Any, image: str, project: Callable[..., Path]
    ) -> None:
        folder = project("deployment/orders")
        deploy(space, workload("Deployment", image, "other"))
        assert "write KIND/NAME" in refused(space, "attach", "other", cwd=folder)
        error = refused(space, "attach", "deployment/other", cwd=folder)
        assert f"podcov.yaml has no service whose workload is deployment/other in namespace {space.name}" in error
        assert "services: {other: {workload: deployment/other}}" in error

    @pytest.mark.parametrize("kind", ["Job", "Pod"])
    def test_that_nobody_can_change_are_refused_with_how_to_make_them_anew(
        self, space: Any, image: str, project: Callable[..., Path], kind: str
    ) -> None:
        pods = template(image, "once", restartPolicy="Never")
        head = {"metadata": {"name": "once"}, "kind": kind, "apiVersion": "batch/v1" if kind == "Job" else "v1"}
        space.apply({**head, "spec": {"template": pods} if kind == "Job" else pods["spec"]})
        reference = f"{kind.lower()}/once"
        error = refused(space, "attach", reference, cwd=project(reference))
        assert "Kubernetes does not let what it runs be changed any more" in error
        assert f"kubectl delete {reference}" in error

    def test_without_the_role_the_role_is_named(self, namespace: Any, image: str, project: Callable[..., Path]) -> None:
        deploy(namespace, workload("Deployment", image))
        error = refused(namespace, "attach", cwd=project("deployment/orders"))
        assert f"forbidden: get on deployments in namespace '{namespace.name}'" in error
        assert "overlays/rbac/attach.yaml" in error


def refused(space: Any, *arguments: str, cwd: Path) -> str:
    done = podcov(space, *arguments, cwd=cwd, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


@pytest.fixture
def refuse(cluster: Any, space: Any, wait_until: Callable[..., object]) -> Iterator[Callable[[str], None]]:
    """`refuse(expression)`: has the API server refuse changes of deployment/second in the namespace where that is false."""
    name = f"{space.name}-second"
    api, label = "admissionregistration.k8s.io/v1", {"matchLabels": {"kubernetes.io/metadata.name": space.name}}

    def set_up(expression: str) -> None:
        rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}
        policy = {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": label},
            "validations": [{"expression": f"object.metadata.name != 'second' || ({expression})", "message": "it is frozen"}],
        }
        binding = {"policyName": name, "validationActions": ["Deny"]}
        for kind, spec in (("ValidatingAdmissionPolicy", policy), ("ValidatingAdmissionPolicyBinding", binding)):
            manifest = {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}
            cluster.run("kubectl", "apply", "--filename", "-", stdin=json.dumps(manifest))
        touch = ("kubectl", "--namespace", space.name, "annotate", "--overwrite", "deployment/second", "touched=yes")
        wait_until(lambda: cluster.run(*touch, check=False).returncode, 60, "the policy is in force")

    yield set_up
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        cluster.run("kubectl", "delete", kind, name, "--ignore-not-found")


class TestWhatKubernetesRefuses:
    TWO = ("deployment/first", "deployment/second")

    def test_leaves_nothing_behind_where_it_is_refused_when_it_is_tried(
        self, space: Any, image: str, tmp_path: Path, refuse: Callable[[str], None]
    ) -> None:
        deploy(space, workload("Deployment", image, "first"), workload("Deployment", image, "second"))
        refuse("false")
        error = refused(space, "attach", *self.TWO, cwd=tmp_path)
        assert "Kubernetes does not take the change" in error
        assert "it is frozen" in error
        assert not (tmp_path / "podcov.yaml").exists()
        assert space.get("configmaps", "--selector", "podcov/wrapper")["items"] == []
        assert "podcov/original" not in space.get("deployment/first")["metadata"].get("annotations", {})

    def test_all_the_same_is_told_with_what_stays_and_clean_takes_that_back(
        self, space: Any, image: str, tmp_path: Path, refuse: Callable[[str], None]
    ) -> None:
        deploy(space, workload("Deployment", image, "first"), workload("Deployment", image, "second"))
        before = space.get("deployment/first")
        refuse("has(request.dryRun) && request.dryRun")
        error = refused(space, "attach", *self.TWO, cwd=tmp_path)
        assert "it is frozen" in error
        stays = f"what was done before stays: deployment/first in namespace {space.name} with coverage, configmap/podcov-"
        assert stays in error
        assert "`podcov clean` takes back what stays" in error
        told = podcov(space, "clean", cwd=tmp_path).stdout
        assert f"detached: deployment/first in namespace {space.name}" in told
        assert steady(space.get("deployment/first")) == steady(before)
        assert space.get("configmaps", "--selector", "podcov/wrapper")["items"] == []


class _DeletedMeanwhile(Api):
    """A cluster in which somebody removes the wrapper in the moment in which a workload is about to name it."""

    async def patch_object(self, resource: Resource, namespace: str, name: str, operations: Any, *, dry_run: bool = False) -> Any:
        for found in await self.list_objects(CONFIG_MAPS, namespace, "podcov/wrapper") if not dry_run else ():
            await self.delete_object(CONFIG_MAPS, namespace, found["metadata"]["name"])
        return await super().patch_object(resource, namespace, name, operations, dry_run=dry_run)


def test_a_wrapper_that_was_removed_while_attach_patched_is_there_again(
    space: Any, image: str, project: Callable[..., Path]
) -> None:
    folder = project("deployment/orders", namespace=space.name)
    deploy(space, workload("Deployment", image))
    settings = configuration.read(folder / "podcov.yaml")

    def inject(document: Json) -> Injected:
        return injector(folder, settings).documents([document], name="the cluster")

    async def attach() -> None:
        access = await cluster_access.find(environ=space.cluster.env)
        async with _DeletedMeanwhile(access) as api:
            attachments = Attachments(api, lambda _: None)
            targets = await attachments.targets.find(space.name, Selection(("deployment/orders",)))
            await attachments.attach(targets, inject, seconds=90)

    asyncio.run(attach())
    there = {found["metadata"]["name"] for found in space.get("configmaps", "--selector", "podcov/wrapper")["items"]}
    volumes = space.get("deployment/orders")["spec"]["template"]["spec"]["volumes"]
    named = {s["configMap"]["name"] for v in volumes for s in v.get("projected", {}).get("sources", ()) if "configMap" in s}
    assert named
    assert named <= there


class TestPodsThatNobodyReplaces:
    @pytest.mark.parametrize(("kind", "spec"), [("ReplicaSet", {}), ("StatefulSet", {"updateStrategy": {"type": "OnDelete"}})])
    def test_are_left_to_the_user(
        self, space: Any, image: str, project: Callable[..., Path], kind: str, spec: dict[str, Any]
    ) -> None:
        reference = f"{kind.lower()}/orders"
        folder = project(reference)
        deploy(space, workload(kind, image, **spec))
        before = space.get(reference)
        told = podcov(space, "attach", cwd=folder)
        command = f"kubectl delete pods --selector 'app=orders' --namespace {space.name}"
        assert f"its pods are replaced when they are deleted: `{command}`" in told.stderr
        podcov(space, "detach", cwd=folder)
        assert steady(space.get(reference)) == steady(before)


class TestPodsThatDoNotGetReady:
    PICKY = (
        "import os, socket, sys; sys.exit('no room for podcov') if 'PODCOV_DATA' in os.environ else None\n"
        "door = socket.create_server(('', 8080))\n"
    )

    def picky(self, kind: str, image: str) -> dict[str, Any]:
        """A workload whose app ends where it finds podcov."""
        made = workload(kind, image)
        (container,) = made["spec"]["template"]["spec"]["containers"]
        container["command"][-1] = self.PICKY + APP
        # Without a probe a container is ready until it has ended, and a StatefulSet replaces the pod that it meets ready.
        container["readinessProbe"] = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
        return made

    @pytest.fixture
    def attach_until_it_fails(self, space: Any, wait_until: Callable[..., str]) -> Callable[[Path], str]:
        """`attach_until_it_fails(folder)`: what attach says. It is told to wait anew where the container took longer to end."""

        def attach(folder: Path) -> str:
            error = refused(space, "attach", "--timeout", "15", cwd=folder)
            return error if "exit code" in error else ""

        return lambda folder: wait_until(lambda: attach(folder), 240, "the container has ended")

    def test_are_explained_and_detach_takes_it_back(
        self, space: Any, image: str, project: Callable[..., Path], attach_until_it_fails: Callable[[Path], str]
    ) -> None:
        folder = project("deployment/orders")
        deploy(space, self.picky("Deployment", image))
        before = space.get("deployment/orders")

        error = attach_until_it_fails(folder)

        assert (
            f"deployment/orders in namespace {space.name} did not get ready within 15 s: 0 of 1 pods are new and ready" in error
        )
        assert "container app: " in error
        assert "exit code 1" in error
        assert "its log ends with: no room for podcov" in error
        assert f"`podcov detach deployment/orders --namespace {space.name}` takes it back" in error
        podcov(space, "detach", cwd=folder)
        assert steady(space.get("deployment/orders")) == steady(before)
        assert space.get("configmaps", "--selector", "podcov/wrapper")["items"] == []

    def test_of_a_stateful_set_have_to_be_deleted_and_the_command_is_told(
        self, space: Any, image: str, project: Callable[..., Path], attach_until_it_fails: Callable[[Path], str]
    ) -> None:
        folder = project("statefulset/orders")
        deploy(space, self.picky("StatefulSet", image))
        before = space.get("statefulset/orders")
        attach_until_it_fails(folder)
        error = refused(space, "detach", "--timeout", "5", cwd=folder)
        command = f"kubectl delete pod orders-0 --namespace {space.name}"
        assert f"a StatefulSet keeps a pod that never got ready, whatever its template says next: `{command}`" in error
        assert "what podcov changed is taken back" in error
        space.kubectl("delete", "pod", "orders-0")
        podcov(space, "detach", "statefulset/orders", cwd=folder)
        assert steady(space.get("statefulset/orders")) == steady(before)
        assert space.get("configmaps", "--selector", "podcov/wrapper")["items"] == []

    def test_because_kubernetes_makes_none_are_explained_before_the_time_is_over(
        self, space: Any, image: str, project: Callable[..., Path]
    ) -> None:
        folder = project("deployment/orders")
        deploy(space, workload("Deployment", image))
        space.kubectl("create", "quota", "full", "--hard", "pods=1")
        # Before the pods are counted, each new one is refused for that, and the ReplicaSet goes on saying so.
        space.kubectl("wait", "--for=jsonpath={.status.used.pods}=1", "quota/full", "--timeout=110s")
        error = refused(space, "attach", "--timeout", "600", cwd=folder)
        assert "did not get ready and will not" in error
        assert "exceeded quota: full" in error


@pytest.mark.parametrize("helm", ["helm", "helm4"])
def test_a_release_of_helm_is_attached_detached_and_upgraded_after_that(
    space: Any, image: str, project: Callable[..., Path], tmp_path: Path, helm: str
) -> None:
    folder = project("deployment/orders")
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    manifest = workload("Deployment", image)
    (chart / "templates/orders.yaml").write_text(yaml.safe_dump(manifest))
    homes = {f"HELM_{kind}_HOME": str(tmp_path / f"helm-{kind.lower()}") for kind in ("DATA", "CACHE", "CONFIG")}

    def run(verb: str) -> None:
        space.cluster.run(helm, verb, "shop", chart, "--namespace", space.name, "--wait", "--timeout", "110s", env=homes)

    run("install")
    before = space.get("deployment/orders")
    told = podcov(space, "attach", "--helm", "shop", cwd=folder)
    assert "deployment/orders: installed by Helm, release shop: patched" in told.stderr
    podcov(space, "detach", "--helm", "shop", cwd=folder)
    assert steady(space.get("deployment/orders")) == steady(before)

    manifest["spec"]["template"]["spec"]["containers"][0]["command"][-1] += "\n"
    (chart / "templates/orders.yaml").write_text(yaml.safe_dump(manifest))
    run("upgrade")
    assert space.get("deployment/orders")["spec"]["template"]["spec"]["containers"][0]["command"][-1].endswith("\n")


class TestOperators:
    @pytest.fixture
    def shop(self, space: Any, define: Callable[..., None]) -> dict[str, Any]:
        """The owner reference of a custom resource that is there."""
        define(group="example.com", version="v1", kind="Shop", plural="shops")
        space.apply({"apiVersion": "example.com/v1", "kind": "Shop", "metadata": {"name": "main"}})
        uid = space.get("shop/main")["metadata"]["uid"]
        return {"apiVersion": "example.com/v1", "kind": "Shop", "name": "main", "uid": uid, "controller": True}

    def test_that_would_undo_a_patch_are_named(
        self, space: Any, image: str, project: Callable[..., Path], shop: dict[str, Any]
    ) -> None:
        folder = project("deployment/orders")
        owned = workload("Deployment", image)
        owned["metadata"]["ownerReferences"] = [shop]
        text = yaml.safe_dump(owned)
        space.kubectl("apply", "--server-side", "--field-manager", "shop-operator", "--filename", "-", stdin=text)
        before = space.get("deployment/orders")
        error = refused(space, "attach", cwd=folder)
        assert f"deployment/orders in namespace {space.name} is made by shop.example.com/main" in error
        assert "its pod template is written by shop-operator: that would undo a patch" in error
        assert "podcov attach --force" in error
        assert space.get("deployment/orders")["spec"] == before["spec"]

        podcov(space, "attach", "--force", cwd=folder)
        assert space.get("deployment/orders")["spec"] != before["spec"]
        podcov(space, "detach", cwd=folder)
        assert steady(space.get("deployment/orders")) == steady(before)

    @pytest.mark.parametrize(
        ("settings", "sidecars"),
        [
            pytest.param({}, ["podcov-courier"], id="with the wrapper"),
            pytest.param({"language": "go", "binary": "/app", "sidecar": False}, [], id="without wrapper and sidecar"),
        ],
    )
    def test_that_the_lifecycle_manager_installed_are_changed_in_its_version(
        self,
        space: Any,
        image: str,
        project: Callable[..., Path],
        lifecycle_manager: Callable[..., None],
        settings: dict[str, Any],
        sidecars: list[str],
    ) -> None:
        folder = project(services={"orders": {"workload": "deployment/orders", "container": "app", **settings}})
        lifecycle_manager(workload("Deployment", image)["spec"])
        before = space.get("clusterserviceversion/shop.v1")
        deployed = space.get("deployment/orders")

        attached = podcov(space, "attach", cwd=folder)

        line = f"attached: deployment/orders in namespace {space.name} (in clusterserviceversion/shop.v1): app"
        assert line in attached.stdout
        live = space.get("deployment/orders", "--show-managed-fields")
        pods = live["spec"]["template"]["spec"]
        assert "PODCOV_DATA" in {variable["name"] for variable in pods["containers"][0].get("env", ())}, "it was waited for"
        assert [sidecar["name"] for sidecar in pods.get("initContainers", ())] == sidecars
        assert "podcov" not in {entry["manager"] for entry in live["metadata"]["managedFields"]}, "only the version was changed"

        podcov(space, "detach", cwd=folder)

        assert in_between(space.get("clusterserviceversion/shop.v1")) == in_between(before)
        assert steady(space.get("deployment/orders"))["spec"] == steady(deployed)["spec"]


def in_between(document: dict[str, Any]) -> dict[str, Any]:
    return steady({"status": {}, **document})


@pytest.fixture
def define(cluster: Any, wait_until: Callable[..., object]) -> Iterator[Callable[..., None]]:
    """`define(group=..., version=..., kind=..., plural=...)`: a kind that the cluster has until the test ends."""
    with ExitStack() as kinds:
        yield lambda **kind: kinds.enter_context(defined(cluster, wait_until, **kind))


@pytest.fixture
def lifecycle_manager(space: Any, define: Callable[..., None]) -> Iterator[Callable[..., None]]:
    """`lifecycle_manager(spec)` installs the Deployment `orders` as the Operator Lifecycle Manager does, and keeps it as its
    ClusterServiceVersion says, with that one's annotations in the pod template, until the test ends. It is in no hurry: what
    changes is followed two seconds later."""
    define(group="operators.coreos.com", version="v1alpha1", kind="ClusterServiceVersion", plural="clusterserviceversions")
    over = threading.Event()
    threads: list[threading.Thread] = []

    def look() -> Any:
        return space.get("clusterserviceversion/shop.v1")

    def reconcile(version: Any) -> None:
        metadata, (installed,) = version["metadata"], version["spec"]["install"]["spec"]["deployments"]
        owner = {"apiVersion": version["apiVersion"], "kind": version["kind"], "name": metadata["name"], "uid": metadata["uid"]}
        spec = deepcopy(installed["spec"])
        own = spec["template"]["metadata"].get("annotations", {})
        spec["template"]["metadata"]["annotations"] = {**metadata["annotations"], **own}
        head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "orders", "ownerReferences": [owner]}}
        text = yaml.safe_dump({**head, "spec": spec})
        space.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager", "olm", "--filename", "-", stdin=text)

    def keep_reconciling() -> None:
        version = look()
        while not over.wait(2):
            reconcile(version)
            version = look()

    def install(spec: dict[str, Any]) -> None:
        strategy = {"strategy": "deployment", "spec": {"deployments": [{"name": "orders", "spec": spec}]}}
        head = {"apiVersion": "operators.coreos.com/v1alpha1", "kind": "ClusterServiceVersion"}
        metadata = {"name": "shop.v1", "annotations": {"olm.operatorGroup": "global"}}
        text = yaml.safe_dump({**head, "metadata": metadata, "spec": {"install": strategy}})
        space.kubectl("create", "--filename", "-", stdin=text)
        reconcile(look())
        space.kubectl("rollout", "status", "deployment/orders", "--timeout=110s")
        threads.append(threading.Thread(target=keep_reconciling))
        threads[-1].start()

    yield install
    over.set()
    for thread in threads:
        thread.join()


def test_attach_run_and_detach_give_the_numbers_of_the_overlay(space: Any, root: Path, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shutil.copytree(root / "examples/shop", shop, ignore=shutil.ignore_patterns(".podcov", "__pycache__"))
    base = {"BASE": space.cluster.image("python:3.13"), "GO": space.cluster.image("golang:1.26")}
    space.skaffold("run", "--profile", "coverage", cwd=shop, env=base)
    by_overlay = json.loads((shop / ".podcov/runs/latest/summary.json").read_text())
    space.skaffold("delete", "--profile", "coverage", cwd=shop, env=base)

    # What is in Go has to be built for it: these images are deployed as if podcov were not there.
    images = shop / "images.json"
    images.write_text(space.skaffold("build", "--quiet", "--profile", "coverage", cwd=shop, env=base).stdout)
    space.skaffold("deploy", "--build-artifacts", images, cwd=shop, env=base)
    before = space.get("deployments")["items"]
    podcov(space, "attach", cwd=shop)
    run = podcov(space, "run", "--json", cwd=shop)
    podcov(space, "detach", cwd=shop)

    by_attach = json.loads(run.stdout)
    assert by_attach["ledger"]["complete"]
    assert by_attach["ledger"]["targets"] == by_overlay["ledger"]["targets"]
    assert by_attach["services"] == by_overlay["services"]
    assert by_attach["total"] == by_overlay["total"]
    assert [steady(after) for after in space.get("deployments")["items"]] == [steady(document) for document in before]


def test_without_podcov_yaml_three_commands_are_everything(restricted_namespace: Any, root: Path, tmp_path: Path) -> None:
    space = allow_attach(restricted_namespace, root)
    shop = tmp_path / "shop"
    left_out = shutil.ignore_patterns("podcov", ".podcov", "podcov.yaml", "__pycache__")
    shutil.copytree(root / "examples/shop", shop, ignore=left_out)
    skaffold = shop / "skaffold.yaml"
    skaffold.write_text(skaffold.read_text().partition("# >>> podcov")[0])
    (shop / "tests/integration/test_shipping.py").unlink()
    space.skaffold("run", cwd=shop, env={"BASE": space.cluster.image("python:3.13"), "GO": space.cluster.image("golang:1.26")})
    before = space.get("deployments")["items"]

    attached = podcov(space, "attach", "deployment/orders", "deployment/catalog", cwd=shop)
    run = podcov(space, "run", "--json", "--", "python3", "-m", "pytest", "-q", "tests/integration", cwd=shop)
    podcov(space, "detach", cwd=shop)

    assert "wrote podcov.yaml" in attached.stderr
    told = json.loads(run.stdout)
    assert told["ledger"]["complete"]
    assert {name: service["percent"] > 0 for name, service in told["services"].items()} == {"catalog": True, "orders": True}
    assert [steady(after) for after in space.get("deployments")["items"]] == [steady(document) for document in before]

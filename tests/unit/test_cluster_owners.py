"""Whose a workload is: where it has to be patched, who would undo that, and what they are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from podcov.edges.cluster import owners
from podcov.edges.cluster.owners import CSV, WORKLOADS, Owner
from podcov.errors import ManifestError, UsageError
from podcov.generate.coverage.instrument import ORIGINAL


def deployment(name: str = "orders", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", **metadata},
        "spec": {"template": {"spec": {"containers": [{"name": "app"}]}}},
    }


def owned_by(api_version: str, kind: str, name: str, *, controller: bool = True) -> dict[str, Any]:
    return {"ownerReferences": [{"apiVersion": api_version, "kind": kind, "name": name, "controller": controller}]}


class TestTargets:
    @pytest.mark.parametrize(
        "text",
        [
            "deployment/orders",
            "Deployment/orders",
            "deploy/orders",
            "deployments/orders",
            "deployment.apps/orders",
            "deployments.v1.apps/orders",
        ],
    )
    def test_are_named_as_for_kubectl(self, text: str) -> None:
        assert owners.target(text) == (WORKLOADS["Deployment"], "orders")

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("sts/x", "StatefulSet"),
            ("ds/x", "DaemonSet"),
            ("rs/x", "ReplicaSet"),
            ("replicasets/x", "ReplicaSet"),
            ("cj/x", "CronJob"),
            ("job/x", "Job"),
            ("po/x", "Pod"),
        ],
    )
    def test_may_be_of_every_kind_with_a_pod_template(self, text: str, kind: str) -> None:
        assert owners.target(text) == (WORKLOADS[kind], "x")

    @pytest.mark.parametrize("text", ["orders", "service/orders", "deployment/", "/orders", "", "rollout.argoproj.io/orders"])
    def test_of_another_kind_are_refused_with_what_to_write(self, text: str) -> None:
        with pytest.raises(UsageError) as caught:
            owners.target(text)
        assert caught.value.message == f"target {text!r}: {caught.value.message.partition(': ')[2]}"
        assert "write KIND/NAME with one of: deployment, statefulset, daemonset" in caught.value.hint

    def test_are_the_same_however_they_are_written(self) -> None:
        assert owners.same("deploy/orders", "deployments.apps/orders")
        assert not owners.same("deploy/orders", "statefulset/orders")
        assert not owners.same("rollout/orders", "deployment/orders")


class TestOwners:
    def test_nobody_owns_what_somebody_deployed(self) -> None:
        assert owners.owner(deployment()) is None

    def test_is_the_controller(self) -> None:
        found = owners.owner(deployment(**owned_by("batch/v1", "CronJob", "report")))
        assert found == Owner("batch/v1", "CronJob", "report")
        assert found.resource == WORKLOADS["CronJob"]

    def test_one_that_is_no_controller_is_there_for_garbage_collection_only(self) -> None:
        assert owners.owner(deployment(**owned_by("v1", "ConfigMap", "settings", controller=False))) is None

    def test_the_lifecycle_manager_reconciles_without_calling_itself_a_controller(self) -> None:
        found = owners.owner(deployment(**owned_by("operators.coreos.com/v1alpha1", CSV.kind, "etcd.v1", controller=False)))
        assert found is not None
        assert found.resource == CSV

    def test_a_kind_of_the_same_name_in_another_group_is_another_kind(self) -> None:
        found = owners.owner(deployment(**owned_by("apps.kruise.io/v1beta1", "StatefulSet", "db")))
        assert found is not None
        assert found.resource is None

    def test_another_version_of_a_known_group_is_the_same_kind(self) -> None:
        assert Owner("apps/v1beta2", "Deployment", "x").resource == WORKLOADS["Deployment"]


class TestRefusals:
    def refusal(self, api_version: str, kind: str, **metadata: Any) -> UsageError:
        document = deployment(**owned_by(api_version, kind, "main"), **metadata)
        above = owners.owner(document)
        assert above is not None
        with pytest.raises(UsageError) as caught:
            owners.refuse_owner(document, above)
        return caught.value

    def test_name_the_owner_and_who_writes_the_template(self) -> None:
        fields: dict[str, Any] = {"f:spec": {"f:template": {"f:spec": {}}}}
        managed = [
            {"manager": "strimzi-cluster-operator", "fieldsV1": fields},
            {"manager": "kube-controller-manager", "fieldsV1": {"f:status": {}}},
            {"manager": "podcov", "fieldsV1": fields},
        ]
        error = self.refusal("kafka.strimzi.io/v1beta2", "Kafka", managedFields=managed)
        assert error.message == (
            "deployment/orders in namespace shop is made by kafka.kafka.strimzi.io/main, "
            "its pod template is written by strimzi-cluster-operator: that would undo a patch"
        )

    @pytest.mark.parametrize(
        ("api_version", "kind", "command"),
        [
            (
                "kafka.strimzi.io/v1beta2",
                "Kafka",
                "kubectl annotate kafka.kafka.strimzi.io/main strimzi.io/pause-reconciliation=true",
            ),
            (
                "kibana.k8s.elastic.co/v1",
                "Kibana",
                "kubectl annotate kibana.kibana.k8s.elastic.co/main eck.k8s.elastic.co/managed=false",
            ),
            (
                "monitoring.coreos.com/v1",
                "Prometheus",
                'kubectl patch prometheus.monitoring.coreos.com/main --type merge --patch \'{"spec": {"paused": true}}\'',
            ),
        ],
    )
    def test_say_how_a_known_operator_is_paused(self, api_version: str, kind: str, command: str) -> None:
        assert self.refusal(api_version, kind).hint == f"pause it with `{command} --namespace shop`, then `podcov attach --force`"

    def test_say_where_the_template_of_a_rollout_stands(self) -> None:
        assert "the manifest that rollout.argoproj.io/main is from through `podcov inject`" in (
            self.refusal("argoproj.io/v1alpha1", "Rollout").hint
        )

    def test_say_what_to_do_about_an_unknown_operator(self) -> None:
        hint = self.refusal("example.com/v1", "Shop").hint
        assert "shop.example.com/main" in hint
        assert "`podcov attach --force`" in hint
        assert "`podcov inject`" in hint

    def test_a_group_that_only_ends_in_the_same_letters_is_unknown(self) -> None:
        assert "stop the operator" in self.refusal("notstrimzi.io/v1", "Kafka").hint

    @pytest.mark.parametrize(("kind", "noun"), [("Job", "is a Job"), ("Pod", "is a pod that nothing controls")])
    def test_of_what_nobody_can_change_say_how_to_make_it_anew(self, kind: str, noun: str) -> None:
        document = {**deployment("migrate"), "kind": kind}
        with pytest.raises(UsageError) as caught:
            owners.refuse_immutable(document)
        assert noun in caught.value.message
        assert f"kubectl delete {kind.lower()}/migrate" in caught.value.hint
        assert "podcov inject | kubectl apply -f -" in caught.value.hint

    def test_what_can_be_changed_is_not_refused(self) -> None:
        owners.refuse_immutable(deployment())


def csv(**annotations: str) -> dict[str, Any]:
    spec = {"replicas": 1, "template": {"spec": {"containers": [{"name": "manager"}]}}}
    return {
        "apiVersion": CSV.api_version,
        "kind": CSV.kind,
        "metadata": {"name": "etcd.v1", "namespace": "shop", **({"annotations": annotations} if annotations else {})},
        "spec": {"install": {"strategy": "deployment", "spec": {"deployments": [{"name": n, "spec": spec} for n in ("a", "b")]}}},
    }


class TestClusterServiceVersions:
    def test_hold_deployments(self) -> None:
        inner = owners.workload_in(csv(), "b")
        assert (inner["kind"], inner["metadata"], inner["spec"]["replicas"]) == (
            "Deployment",
            {"name": "b", "namespace": "shop"},
            1,
        )

    def test_a_change_is_put_back_in_its_place_and_remembered_by_name(self) -> None:
        inner = json.loads(json.dumps(owners.workload_in(csv(), "b")))
        inner["spec"]["replicas"] = 2
        inner["metadata"]["annotations"] = {ORIGINAL: "was 1"}
        changed = owners.with_workload(csv(olm="kept"), inner)
        replicas = [d["spec"]["replicas"] for d in changed["spec"]["install"]["spec"]["deployments"]]
        assert replicas == [1, 2]
        assert changed["metadata"]["annotations"]["olm"] == "kept"
        assert owners.attached(changed) == ["b"]
        assert owners.workload_in(changed, "b")["metadata"]["annotations"] == {ORIGINAL: "was 1"}
        assert "annotations" not in owners.workload_in(changed, "a")["metadata"]

    @pytest.mark.parametrize("annotations", [{}, {"olm": "kept"}])
    def test_what_is_taken_back_leaves_nothing(self, annotations: dict[str, str]) -> None:
        before = csv(**annotations)
        inner = json.loads(json.dumps(owners.workload_in(before, "b")))
        inner["metadata"]["annotations"] = {ORIGINAL: "note"}
        changed = owners.with_workload(before, inner)
        after = owners.with_workload(changed, owners.workload_in(before, "b"))
        assert after["spec"] == before["spec"]
        assert after["metadata"].get("annotations", {}) == annotations

    def test_a_deployment_that_is_not_in_it_is_refused_with_those_that_are(self) -> None:
        with pytest.raises(UsageError) as caught:
            owners.workload_in(csv(), "c")
        assert caught.value.message == "clusterserviceversion/etcd.v1 in namespace shop installs no Deployment c"
        assert caught.value.hint == "it installs: a, b"

    @pytest.mark.parametrize("text", ["{", "[]"])
    def test_a_damaged_memory_is_an_error(self, text: str) -> None:
        with pytest.raises(ManifestError, match="is damaged"):
            owners.workload_in(csv(**{ORIGINAL: text}), "a")


class TestAttached:
    def test_is_what_has_the_annotation(self) -> None:
        assert owners.attached(deployment(annotations={ORIGINAL: "{}"})) == ["orders"]
        assert owners.attached(deployment()) == []

    def test_a_replica_set_has_a_copy_of_its_deployments_annotation(self) -> None:
        copied = {**deployment(annotations={ORIGINAL: "{}"}, **owned_by("apps/v1", "Deployment", "orders")), "kind": "ReplicaSet"}
        assert owners.attached(copied) == []

    def test_what_a_paused_operator_owns_counts(self) -> None:
        assert owners.attached(deployment(annotations={ORIGINAL: "{}"}, **owned_by("example.com/v1", "Shop", "x"))) == ["orders"]

    def test_a_copy_of_a_version_in_another_namespace_does_not_count(self) -> None:
        note = {ORIGINAL: json.dumps({"a": "note"})}
        assert owners.attached(csv(**note)) == ["a"]
        copied = csv(**note)
        copied["metadata"]["labels"] = {"olm.copiedFrom": "operators"}
        assert owners.attached(copied) == []


class TestReverters:
    def found(self, **metadata: Any) -> list[tuple[str, str]]:
        return [(f.found, f.why) for f in owners.reverters(deployment(**metadata))]

    def test_nobody(self) -> None:
        assert self.found(labels={"app.kubernetes.io/instance": "orders"}) == []

    @pytest.mark.parametrize(
        "metadata",
        [
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/orders"}},
            {"labels": {"argocd.argoproj.io/instance": "shop"}},
            {"labels": {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "argocd"}},
            {
                "labels": {"app.kubernetes.io/instance": "shop"},
                "managedFields": [{"manager": "argocd-controller", "fieldsV1": {"f:spec": {"f:template": {}}}}],
            },
        ],
    )
    def test_argo_cd(self, metadata: dict[str, Any]) -> None:
        ((found, why),) = self.found(**metadata)
        assert found == "deployed by Argo CD, application shop"
        assert "argocd app set shop --sync-policy none" in why

    def test_argo_cd_outside_its_own_namespace(self) -> None:
        ((found, _),) = self.found(annotations={"argocd.argoproj.io/tracking-id": "teams_shop:apps/Deployment:shop/orders"})
        assert found == "deployed by Argo CD, application teams/shop"

    def test_flux_by_kustomization(self) -> None:
        labels = {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "teams"}
        ((found, why),) = self.found(labels=labels)
        assert found == "deployed by Flux, kustomization shop"
        assert "flux suspend kustomization shop --namespace teams" in why

    def test_flux_by_helm_release_and_not_helm_as_well(self) -> None:
        labels = {"helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": "teams"}
        ((_, why),) = self.found(labels=labels, annotations={"meta.helm.sh/release-name": "shop"})
        assert "flux suspend helmrelease shop --namespace teams" in why

    def test_helm(self) -> None:
        ((found, why),) = self.found(annotations={"meta.helm.sh/release-name": "shop"})
        assert found == "installed by Helm, release shop"
        assert "helm upgrade" in why
        assert "post-renderer" in why

    def test_an_owner_that_does_not_call_itself_a_controller(self) -> None:
        ((found, _),) = self.found(**owned_by("example.com/v1", "Shop", "main", controller=False))
        assert found == "it belongs to shop.example.com/main"


class TestReleases:
    def test_by_annotation_or_by_labels(self) -> None:
        by_labels = {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "Helm"}
        assert owners.in_release(deployment(annotations={"meta.helm.sh/release-name": "shop"}), "shop")
        assert owners.in_release(deployment(labels=by_labels), "shop")
        assert not owners.in_release(deployment(labels=by_labels), "other")
        assert not owners.in_release(deployment(labels={"app.kubernetes.io/instance": "shop"}), "shop")


class TestAutoscalers:
    def test_the_one_that_scales_it_is_named(self) -> None:
        scalers = [
            {"metadata": {"name": n}, "spec": {"minReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": n}}}
            for n in ("orders", "catalog")
        ]
        (finding,) = owners.autoscaled(deployment(), scalers)
        assert finding.found == "horizontalpodautoscaler/orders scales it"
        assert "at least 2" in finding.why
        assert finding.level == "warning"

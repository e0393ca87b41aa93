"""Pods as the API server tells of them: whose they are, where their courier is, every start of their containers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.config import COURIER_CONTAINER, Dump, Service
from podcov.edges.cluster import pods as cluster_pods
from podcov.edges.cluster.table import PodTable
from podcov.errors import UsageError
from podcov.platform import DELETED, ContainerStart

DATA = [{"name": "podcov-data", "mountPath": "/podcov/data"}]
WEB = Service(name="web", workload="deployment/web", container="app")


def moment(minute: int) -> str:
    return f"2024-05-01T10:{minute:02}:00Z"


def seconds(minute: int) -> float:
    return datetime(2024, 5, 1, 10, minute, tzinfo=UTC).timestamp()


def running(restart: int = 0, minute: int = 0, last: dict[str, Any] | None = None, name: str = "app") -> dict[str, Any]:
    return {
        "name": name,
        "restartCount": restart,
        "containerID": f"containerd://{name}-{restart}",
        "state": {"running": {"startedAt": moment(minute)}},
        "lastState": {"terminated": last} if last else {},
    }


def ended(restart: int, begin: int, end: int, reason: str = "Error", code: int = 1, name: str = "app") -> dict[str, Any]:
    return {
        "containerID": f"containerd://{name}-{restart}",
        "startedAt": moment(begin),
        "finishedAt": moment(end),
        "reason": reason,
        "exitCode": code,
    }


def terminated(restart: int, begin: int, end: int, reason: str = "Error", code: int = 1) -> dict[str, Any]:
    return {
        "name": "app",
        "restartCount": restart,
        "containerID": f"containerd://app-{restart}",
        "state": {"terminated": ended(restart, begin, end, reason, code)},
    }


def waiting(reason: str, restart: int = 0, last: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "name": "app",
        "restartCount": restart,
        "containerID": f"containerd://app-{restart}" if last else "",
        "state": {"waiting": {"reason": reason}},
        "lastState": {"terminated": last} if last else {},
    }


def pod(
    *statuses: dict[str, Any],
    name: str = "web-5d4f-x1",
    owner: tuple[str, str] | None = ("ReplicaSet", "web-5d4f"),
    version: int = 1,
    phase: str = "Running",
    ready: bool = True,
    deleting: bool = False,
    node: str = "node-1",
    unscheduled: str = "",
    sandbox: bool = True,
    first: tuple[dict[str, Any], ...] = (),
    sidecar: bool = False,
    more_sidecars: tuple[str, ...] = (),
    containers: tuple[str, ...] = ("app", "proxy"),
    restart_policy: str = "Always",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> cluster_pods.Pod:
    return cluster_pods.parse(
        {
            "metadata": {
                "namespace": "shop",
                "name": name,
                "uid": f"uid-of-{name}",
                "resourceVersion": str(version),
                "labels": {"pod-template-hash": "5d4f", **(labels or {})},
                "annotations": annotations,
                "ownerReferences": [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else None,
                **({"deletionTimestamp": moment(30)} if deleting else {}),
            },
            "spec": {
                "nodeName": node,
                "restartPolicy": restart_policy,
                "containers": [{"name": c, "volumeMounts": DATA if c == "app" else None} for c in containers],
                "initContainers": [
                    {"name": "migrate"},
                    *({"name": name, "restartPolicy": "Always"} for name in more_sidecars),
                    *([{"name": COURIER_CONTAINER, "restartPolicy": "Always", "volumeMounts": DATA}] if sidecar else []),
                ],
            },
            "status": {
                "phase": phase,
                "conditions": [
                    {"type": "Ready", "status": str(ready)},
                    {"type": "PodReadyToStartContainers", "status": str(sandbox)},
                    *([{"type": "PodScheduled", "status": "False", "reason": unscheduled}] if unscheduled else []),
                ],
                "containerStatuses": list(statuses),
                "initContainerStatuses": [*first, *([running(name=COURIER_CONTAINER)] if sidecar else [])],
            },
        }
    )


def table(*services: Service) -> PodTable:
    services = services or (WEB,)
    return PodTable(services, {s.name: ("shop",) for s in services})


def brief(start: ContainerStart) -> tuple[int, float | None, float | None, str]:
    return start.restart, start.started, start.finished, start.ended


def starts(*observations: cluster_pods.Pod) -> list[tuple[int, float | None, float | None, str]]:
    pods = table()
    for observed in observations:
        pods.observe(observed)
    return [brief(start) for start in pods.starts()]


class TestWhosePodItIs:
    @pytest.mark.parametrize(
        ("workload", "name", "owner"),
        [
            ("deployment/web", "web-5d4f-x1", ("ReplicaSet", "web-5d4f")),
            ("deploy/web", "web-5d4f-x1", ("ReplicaSet", "web-5d4f")),
            ("Deployment/web", "web-5d4f-x1", ("ReplicaSet", "web-5d4f")),
            ("replicaset/web-5d4f", "web-5d4f-x1", ("ReplicaSet", "web-5d4f")),
            ("statefulset/db", "db-0", ("StatefulSet", "db")),
            ("daemonset/agent", "agent-x", ("DaemonSet", "agent")),
            ("job/once", "once-x", ("Job", "once")),
            ("cronjob/nightly", "nightly-28571-x", ("Job", "nightly-28571")),
            ("pod/alone", "alone", None),
        ],
    )
    def test_a_workload_owns_its_pods(self, workload: str, name: str, owner: tuple[str, str] | None) -> None:
        assert cluster_pods.selects(Service(name="s", workload=workload), pod(name=name, owner=owner))

    @pytest.mark.parametrize(
        ("workload", "owner"),
        [
            ("deployment/web", ("ReplicaSet", "web-api-5d4f")),
            ("deployment/web", ("ReplicaSet", "web-77aa")),
            ("deployment/web", ("StatefulSet", "web")),
            ("deployment/web", None),
            ("statefulset/web", ("ReplicaSet", "web")),
            ("cronjob/nightly", ("Job", "nightly-by-hand")),
            ("job/once", ("Job", "once-more")),
        ],
    )
    def test_a_similar_name_is_another_workload(self, workload: str, owner: tuple[str, str] | None) -> None:
        assert not cluster_pods.selects(Service(name="s", workload=workload), pod(owner=owner))

    def test_a_selector_takes_the_place_of_the_workload(self) -> None:
        service = Service(name="s", workload="deployment/other", selector="app=web,tier!=test")
        assert cluster_pods.selects(service, pod(labels={"app": "web"}))
        assert not cluster_pods.selects(service, pod(labels={"app": "web", "tier": "test"}))

    def test_a_pattern_is_of_whole_names(self) -> None:
        service = Service(name="s", pods="web-*-x?")
        assert cluster_pods.selects(service, pod())
        assert not cluster_pods.selects(service, pod(name="web-5d4f-x1-old"))
        assert not cluster_pods.selects(service, pod(name="other-web-5d4f-x1"))

    def test_a_pattern_may_match_pods_without_the_container(self) -> None:
        service = Service(name="s", pods="web-*", container="other")
        assert cluster_pods.services_of([service], pod()) == {}

    def test_what_measures_itself_needs_no_volume_of_podcov(self) -> None:
        proxy = Service(name="s", workload="deployment/web", container="proxy")
        assert not cluster_pods.instrumented({"proxy": proxy}, pod())
        assert cluster_pods.instrumented({"proxy": replace(proxy, dump=Dump("signal"))}, pod())

    @pytest.mark.parametrize("workload", ["web", "deployment/", "gateway/web", ""])
    def test_what_names_no_workload_is_refused_by_its_key(self, workload: str) -> None:
        with pytest.raises(UsageError, match=r"^services\.web\.workload: "):
            cluster_pods.criterion(Service(name="web", workload=workload))


class TestWhereTheCourierIs:
    def test_in_the_sidecar_for_all_services_of_the_pod(self) -> None:
        services = (WEB, Service(name="proxy", workload="deployment/web", container="proxy"))
        found = pod(sidecar=True)
        address = cluster_pods.address_of(cluster_pods.services_of(services, found), found)
        assert (address.container, address.sidecar, address.containers) == (COURIER_CONTAINER, True, ("app", "proxy"))
        assert (address.service, address.name, address.pod_uid) == ("web", "shop/web-5d4f-x1", "uid-of-web-5d4f-x1")

    def test_without_a_sidecar_in_the_service_itself(self) -> None:
        address = cluster_pods.address_of(cluster_pods.services_of((WEB,), pod()), pod())
        assert (address.container, address.sidecar, address.containers) == ("app", False, ("app",))

    def test_the_container_is_the_default_one_or_the_first_where_none_is_named(self) -> None:
        service = Service(name="web", workload="deployment/web")
        annotation = {"kubectl.kubernetes.io/default-container": "proxy"}
        assert list(cluster_pods.services_of((service,), pod())) == ["app"]
        assert list(cluster_pods.services_of((service,), pod(annotations=annotation))) == ["proxy"]

    def test_a_container_that_does_not_exist_is_named_with_those_that_do(self) -> None:
        with pytest.raises(UsageError, match=r"services\.web\.container: shop/web-5d4f-x1 has no container 'ap'") as caught:
            cluster_pods.services_of((Service(name="web", workload="deployment/web", container="ap"),), pod())
        assert caught.value.hint == "its containers: app, proxy"

    def test_a_service_may_itself_be_a_sidecar_but_never_the_courier(self) -> None:
        as_sidecar = Service(name="web", workload="deployment/web", container="proxy")
        found = pod(sidecar=True, containers=("app",), more_sidecars=("proxy",))
        assert list(cluster_pods.services_of((as_sidecar,), found)) == ["proxy"]
        with pytest.raises(UsageError):
            cluster_pods.services_of((Service(name="web", workload="deployment/web", container=COURIER_CONTAINER),), found)

    def test_a_selector_may_match_pods_that_run_something_else(self) -> None:
        service = Service(name="web", selector="pod-template-hash", container="other")
        assert cluster_pods.services_of((service,), pod()) == {}

    def test_a_pod_without_the_data_volume_does_not_carry_podcov(self) -> None:
        assert cluster_pods.instrumented({"app": WEB}, pod())
        assert not cluster_pods.instrumented({"proxy": WEB}, pod())


class TestStarts:
    def test_a_running_container(self) -> None:
        assert starts(pod(running(minute=3))) == [(0, seconds(3), None, "")]

    def test_one_that_waits_for_its_first_start_says_what_for(self) -> None:
        assert starts(pod(waiting("ImagePullBackOff"))) == [(0, None, None, "ImagePullBackOff")]

    def test_one_without_any_status_is_expected_all_the_same(self) -> None:
        assert starts(pod(phase="Pending", ready=False)) == [(0, None, None, "")]

    def test_a_restart_keeps_the_start_before_it(self) -> None:
        again = running(1, minute=5, last=ended(0, 1, 4, "OOMKilled", 137))
        assert starts(pod(again)) == [(0, seconds(1), seconds(4), "OOMKilled"), (1, seconds(5), None, "")]

    def test_a_program_that_is_not_in_the_image_is_told_from_one_that_ended(self) -> None:
        message = 'exec: "/nowhere": stat /nowhere: no such file or directory'
        absent = waiting("CrashLoopBackOff", 1, last=ended(1, 5, 5, "StartError", 128) | {"message": message})
        crashed = waiting("CrashLoopBackOff", 1, last=ended(1, 5, 6, code=2))
        said = [
            pod(status).statuses["app"].not_running(ended="see its log", absent="name another") for status in (absent, crashed)
        ]
        assert said == [
            f"its container app does not run, its program could not be started: {message}; name another",
            "its container app does not run, it ended with exit code 2: see its log",
        ]

    @pytest.mark.parametrize(
        ("message", "quoted"),
        [
            ("flag provided but not defined: -podcov-courier\nUsage of /app:\n", "-podcov-courier Usage of /app:)"),
            ("unknown flag" + "\n  -flag string" * 99 + "\nport is taken", " -flag string port is taken)"),
        ],
    )
    def test_what_it_said_is_quoted_where_its_status_has_it(self, message: str, quoted: str) -> None:
        status = waiting("CrashLoopBackOff", 1, last=ended(1, 5, 6, code=2) | {"message": message})
        said = pod(status).statuses["app"].not_running(ended="see its log", absent="name another")
        assert said.startswith(f"its container app does not run, it ended with exit code 2: see its log (it said: {message[:12]}")
        assert said.endswith(quoted)
        assert len(said) < 500

    def test_a_crash_loop_counts_the_start_that_ended_once(self) -> None:
        back_off = waiting("CrashLoopBackOff", 1, last=ended(1, 5, 6))
        first = running(1, minute=5, last=ended(0, 1, 4))
        assert starts(pod(first, version=1), pod(back_off, version=2)) == [
            (0, seconds(1), seconds(4), "Error"),
            (1, seconds(5), seconds(6), "Error"),
        ]

    def test_starts_between_two_looks_are_listed_as_unseen(self) -> None:
        before, after = running(0, minute=1), running(3, minute=9, last=ended(2, 7, 8))
        assert starts(pod(before, version=1), pod(after, version=2)) == [
            (0, seconds(1), seconds(7), "unseen"),
            (1, None, seconds(7), "unseen"),
            (2, seconds(7), seconds(8), "Error"),
            (3, seconds(9), None, ""),
        ]

    def test_an_older_observation_changes_nothing(self) -> None:
        over = pod(terminated(0, 1, 4, "Completed", 0), version=2)
        assert starts(over, pod(running(minute=1), version=1)) == [(0, seconds(1), seconds(4), "Completed")]

    def test_what_was_killed_is_told_from_what_ended(self) -> None:
        pods = table()
        again = running(1, minute=5, last=ended(0, 1, 4, "Error", 137))
        pods.observe(pod(again))
        assert [start.killed for start in pods.starts()] == [True, False]

    def test_a_reason_that_the_kubelet_leaves_out_is_the_exit_code(self) -> None:
        assert starts(pod(terminated(0, 1, 4, "", 3)))[0][3] == "exit code 3"

    def test_a_pod_that_is_deleted_while_it_runs_keeps_its_starts(self) -> None:
        pods = table()
        pods.observe(pod(running(minute=1)))
        pods.forget("uid-of-web-5d4f-x1")
        assert [brief(s) for s in pods.starts()] == [(0, seconds(1), None, DELETED)]

    @given(st.lists(st.integers(0, 12), min_size=1, max_size=8))
    def test_every_start_up_to_the_latest_is_listed_once(self, restarts: list[int]) -> None:
        observed = [
            pod(running(n, minute=2 * n + 1, last=ended(n - 1, 2 * n - 1, 2 * n) if n else None), version=i)
            for i, n in enumerate(sorted(restarts), start=1)
        ]
        assert [restart for restart, *_ in starts(*observed)] == list(range(max(restarts) + 1))


def awaited(*observations: cluster_pods.Pod, gone: bool = False) -> list[bool]:
    pods = table()
    for observed in observations:
        pods.observe(observed)
    if gone:
        pods.remove(observations[-1])
    return [start.awaited for start in pods.starts()]


def without_trace() -> dict[str, Any]:
    """What is said in the end of a container that had not begun when its pod was deleted."""
    return {"name": "app", "restartCount": 0, "state": {"terminated": {"reason": "ContainerStatusUnknown", "exitCode": 137}}}


def migrating(status: dict[str, Any]) -> dict[str, Any]:
    return status | {"name": "migrate"}


def killed_first() -> dict[str, Any]:
    """An init container that its pod's deletion ended."""
    return migrating(terminated(0, 1, 2, code=137))


class TestWhatHasNotBegun:
    @pytest.mark.parametrize(
        ("observed", "expected"),
        [
            pytest.param(pod(phase="Pending", ready=False), True, id="no status yet"),
            pytest.param(pod(waiting("PodInitializing")), True, id="initializing"),
            pytest.param(pod(waiting("ContainerCreating")), True, id="creating"),
            pytest.param(pod(waiting("PodInitializing"), first=(migrating(running()),)), True, id="what comes before it runs"),
            pytest.param(pod(without_trace(), deleting=True), True, id="no trace of it"),
            pytest.param(pod(running()), False, id="running"),
            pytest.param(pod(terminated(0, 1, 2)), False, id="ended"),
            pytest.param(pod(waiting("ImagePullBackOff")), False, id="no image"),
            pytest.param(pod(waiting("CreateContainerConfigError")), False, id="no configuration"),
            pytest.param(pod(waiting("CrashLoopBackOff", 1, last=ended(1, 5, 6))), False, id="ran before"),
            pytest.param(pod(without_trace() | {"containerID": "containerd://app-0"}), False, id="its trace was lost"),
            pytest.param(pod(waiting("ContainerCreating", 1, last=ended(0, 5, 6))), False, id="ran before, and is made anew"),
            pytest.param(pod(phase="Pending", unscheduled="Unschedulable"), False, id="no room"),
            pytest.param(
                pod(waiting("PodInitializing"), first=(migrating(waiting("CrashLoopBackOff", 1, last=ended(1, 5, 6))),)),
                False,
                id="what comes before it fails",
            ),
            pytest.param(
                pod(waiting("PodInitializing"), first=(migrating(waiting("ErrImagePull")),)), False, id="no image for that"
            ),
        ],
    )
    def test_is_told_from_what_cannot_begin_and_what_ran(self, observed: cluster_pods.Pod, expected: bool) -> None:
        assert awaited(observed)[-1] is expected

    def test_what_keeps_a_pod_from_starting_is_said(self) -> None:
        failing = migrating(waiting("CrashLoopBackOff", 1, last=ended(1, 5, 6)))
        assert starts(pod(first=(failing,)))[0][3] == "its init container migrate: CrashLoopBackOff"
        assert starts(pod(unscheduled="Unschedulable"))[0][3] == "Unschedulable"

    def test_why_it_could_not_begin_outlives_its_pod(self) -> None:
        observed = pod(waiting("ErrImagePull"), version=1), pod(without_trace(), version=2, deleting=True)
        assert (starts(*observed)[0][3], awaited(*observed)) == ("ErrImagePull", [False])

    def test_it_may_begin_after_all(self) -> None:
        assert awaited(pod(waiting("ContainerCreating"), version=1), pod(running(), version=2)) == [False]

    def test_a_pod_that_goes_in_good_order_is_known_to_its_end(self) -> None:
        first = pod(waiting("ContainerCreating"), version=1, phase="Pending")
        last = pod(without_trace(), version=2, deleting=True, phase="Failed")
        assert awaited(first, last, gone=True) == [True]
        assert awaited(pod(phase="Pending", node=""), gone=True) == [True]

    def test_one_that_is_deleted_by_force_may_have_run_something(self) -> None:
        """The API server tells of the deletion, and then that it is done; the node has no say."""
        creating = waiting("ContainerCreating")
        observed = pod(creating, version=1, phase="Pending"), pod(creating, version=2, phase="Pending", deleting=True)
        assert awaited(*observed, gone=True) == [False]
        assert awaited(observed[0], gone=True) == [False]

    @pytest.mark.parametrize(
        "last",
        [
            pytest.param(pod(without_trace(), version=2, phase="Failed", deleting=True), id="its node says so"),
            pytest.param(pod(version=2, phase="Pending", node=""), id="it never had a node"),
        ],
    )
    def test_a_list_without_it_does_not_tell_what_it_ran_in_the_end_and_its_last_state_does(self, last: cluster_pods.Pod) -> None:
        pods = table()
        pods.observe(pod(version=1, phase="Pending", node=""))
        pods.forget("uid-of-web-5d4f-x1")
        assert [(start.awaited, start.ended) for start in pods.starts()] == [(False, DELETED)]
        assert pods.remove(last) == []
        assert [start.awaited for start in pods.starts()] == [True]

    def test_what_comes_before_it_is_ended_with_its_pod_and_has_not_failed(self) -> None:
        observed = (
            pod(waiting("PodInitializing"), version=1, phase="Pending", first=(migrating(running()),)),
            pod(waiting("PodInitializing"), version=2, phase="Pending", first=(migrating(running()),), deleting=True),
            pod(waiting("PodInitializing"), version=3, phase="Pending", first=(killed_first(),), deleting=True),
            pod(waiting("PodInitializing"), version=4, phase="Failed", first=(killed_first(),), deleting=True, sandbox=False),
        )
        assert awaited(*observed, gone=True) == [True]

    @pytest.mark.parametrize("app", [waiting("PodInitializing"), without_trace()], ids=["waits for its turn", "no trace of it"])
    def test_what_had_failed_before_it_had_failed_all_the_same(self, app: dict[str, Any]) -> None:
        missing = migrating(waiting("ErrImagePull"))
        observed = (
            pod(waiting("PodInitializing"), version=1, phase="Pending", first=(missing,)),
            pod(waiting("PodInitializing"), version=2, phase="Pending", first=(missing,), deleting=True),
            pod(app, version=3, phase="Failed", first=(migrating(without_trace()),), deleting=True),
        )
        assert awaited(*observed, gone=True) == [False]
        assert starts(*observed)[0][3] == "its init container migrate: ErrImagePull"


class TestEvents:
    def events(self, *observations: cluster_pods.Pod) -> list[str]:
        pods = table()
        return [event.kind for observed in observations for event in pods.observe(observed)]

    def test_a_pod_starts_gets_ready_ends_and_goes(self) -> None:
        pods = table()
        states = [
            pod(waiting("ContainerCreating"), version=1, phase="Pending", ready=False),
            pod(running(), version=2, ready=False),
            pod(running(), version=3),
            pod(running(), version=4, deleting=True),
            pod(terminated(0, 1, 2), version=5, deleting=True, phase="Failed", ready=False),
        ]
        kinds = [[event.kind for event in pods.observe(state)] for state in states]
        assert kinds == [[], ["started"], ["ready"], ["ending"], ["ended"]]
        assert [event.kind for event in pods.forget(states[0].uid)] == ["gone"]
        assert pods.forget(states[0].uid) == []
        assert pods.observe(pod(running(), version=9)) == []
        assert pods.entries() == []

    def test_it_is_ready_again_after_a_restart_even_if_it_never_seemed_unready(self) -> None:
        again = running(1, minute=5, last=ended(0, 1, 4))
        assert self.events(pod(running(), version=1), pod(again, version=2), pod(again, version=3)) == [
            "started",
            "ready",
            "ready",
        ]

    def test_with_a_sidecar_it_has_started_once_the_courier_runs(self) -> None:
        assert self.events(pod(waiting("PodInitializing"), sidecar=True, ready=False)) == ["started"]

    @pytest.mark.parametrize(
        ("policy", "code", "is_ending"),
        [("Never", 0, True), ("Never", 1, True), ("OnFailure", 0, True), ("OnFailure", 1, False), ("Always", 0, False)],
    )
    def test_a_jobs_pod_ends_with_its_containers_while_the_courier_waits(self, policy: str, code: int, is_ending: bool) -> None:
        over = pod(
            terminated(0, 1, 2, "x", code), sidecar=True, containers=("app",), restart_policy=policy, ready=False, version=2
        )
        assert ("ending" in self.events(over)) is is_ending

    def test_pods_of_the_past_are_left_out_for_good(self) -> None:
        pods = table()
        old = pod(running(), deleting=True)
        pods.leave_out([old])
        assert pods.observe(old) == []
        assert pods.forget(old.uid) == []
        assert pods.entries() == []
        assert pods.starts() == []

    def test_pods_of_others_and_of_other_namespaces_are_none_of_ours(self) -> None:
        pods = table()
        assert pods.observe(pod(running(), owner=("ReplicaSet", "api-5d4f"))) == []
        elsewhere = PodTable((WEB,), {"web": ("test",)})
        assert elsewhere.observe(pod(running())) == []
        assert pods.entries() == elsewhere.entries() == []


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/tmp/coverage", "/var/coverage"),
        ("/tmp/coverage/deep", "/var/coverage/deep"),
        ("/tmp/coverage2", ""),
        ("/data/coverage", "/srv/data/inside/coverage"),
        ("/elsewhere", ""),
    ],
)
def test_a_folder_of_a_container_is_one_of_the_node_where_a_host_path_is_mounted(folder: str, expected: str) -> None:
    mounts = [
        {"name": "coverage", "mountPath": "/tmp/coverage"},
        {"name": "data", "mountPath": "/data/", "subPath": "inside"},
        {"name": "none", "mountPath": "/elsewhere"},
    ]
    volumes = [
        {"name": "coverage", "hostPath": {"path": "/var/coverage"}},
        {"name": "data", "hostPath": {"path": "/srv/data/"}},
        {"name": "none", "emptyDir": {}},
    ]
    spec = {"nodeName": "worker", "containers": [{"name": "app", "volumeMounts": mounts}], "volumes": volumes}
    pod = cluster_pods.parse({"metadata": {"namespace": "shop", "name": "a", "uid": "u"}, "spec": spec})
    assert (pod.node, pod.node_folder("app", folder)) == ("worker", expected)


def test_what_stays_on_the_node_outlives_the_pod_as_a_sidecar_s_data_do() -> None:
    spec = {"containers": [{"name": "app"}]}
    pod = cluster_pods.parse({"metadata": {"namespace": "shop", "name": "a", "uid": "u"}, "spec": spec})
    claimed = {"app": Service("storage", dump=Dump("exit", source="nodes"))}
    address = cluster_pods.address_of(claimed, pod)
    assert (address.sidecar, address.container) == (True, "app")
    assert cluster_pods.instrumented(claimed, pod)

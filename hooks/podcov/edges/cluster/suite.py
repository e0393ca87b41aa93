"""Tests that are a program inside the cluster: a Job that is made of an image, or a command in a pod that runs already.

What they print goes to standard error as it comes; how they ended is their exit code.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import aiohttp

from podcov.config import SuiteJob, Tests, is_courier_container
from podcov.edges.cluster import access as cluster_access
from podcov.edges.cluster import pods as cluster_pods
from podcov.edges.cluster.api import Api, Failed, Forbidden, Json, Resource
from podcov.edges.cluster.exec import STATUS, STDERR, STDOUT, parse_status
from podcov.edges.suite import TIMED_OUT
from podcov.errors import ClusterError

UNKNOWN = 125
"""exit code of tests whose own cannot be known: their pod was taken away, or the connection to them broke"""
CONTAINER = "tests"
_START_SECONDS = 300.0
"""that the pod of a Job has until its container runs: a node may have to be made for it, and the image pulled"""
_PROMPT_SECONDS = 3.0
"""within which Kubernetes makes a Job's pod unless something keeps it from that"""
_POLL, _LATE_POLL = 0.25, 1.0
_SILENT_SECONDS = 60.0
"""that the API server may give no answer while the tests run, as one that is replaced meanwhile does"""
_REMEMBERED_SECONDS = 3600
"""after which Kubernetes removes a finished Job whose run was killed before it could"""
_HOPELESS = frozenset(
    {
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""why a container waits that will not run without somebody doing something"""
_NEVER_RAN = frozenset({"StartError", "ContainerCannotRun"})
_OVER = ("Succeeded", "Failed")
_JOBS = Resource("batch/v1", "jobs", "Job")
_EVENTS = Resource("v1", "events", "Event")


async def run(tests: Tests, command: Sequence[str], env: Mapping[str, str], *, context: str, namespace: str, run_id: str) -> int:
    """Runs the tests to their end; their exit code, TIMED_OUT, or UNKNOWN.

    `namespace` is where they are if `tests` name none; empty: the context's own. When we are cancelled, a Job is removed; what
    was executed inside a pod goes on. Raises ClusterError where they cannot begin.
    """
    async with _connect(context) as api:
        place = tests.namespace or namespace or api.access.namespace
        try:
            async with asyncio.timeout(tests.timeout):
                if tests.job:
                    return await _run_job(api, place, manifest(tests.job, command, env, f"podcov-tests-{run_id}", tests.timeout))
                return await _run_inside(api, place, tests, command, env)
        except TimeoutError:
            goes_on = "" if tests.job else f"; what was executed in {tests.inside} may go on"
            _say(f"the tests took longer than {tests.timeout:g} s{goes_on}")
            return TIMED_OUT


@asynccontextmanager
async def _connect(context: str) -> AsyncIterator[Api]:
    access = await cluster_access.find(context)
    async with Api(access) as api:
        try:
            yield api
        except Failed as failure:
            raise ClusterError(
                f"the tests cannot be run in context {access.context!r}: {failure}",
                hint="`kubectl cluster-info` asks the same server",
            ) from failure


# A Job


def manifest(job: SuiteJob, command: Sequence[str], env: Mapping[str, str], name: str, seconds: float | None) -> dict[str, Any]:
    """The Job that runs the tests once. Kubernetes itself ends it after `seconds`, should nobody be left to do so."""
    container: dict[str, Any] = {"name": CONTAINER, "image": job.image}
    if command:
        container["command"] = list(command)
    if env:
        container["env"] = [{"name": key, "value": value} for key, value in env.items()]
    pod: dict[str, Any] = {"restartPolicy": "Never", "containers": [container]}
    if job.service_account:
        pod["serviceAccountName"] = job.service_account
    if job.pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret} for secret in job.pull_secrets]
    labels = {"app.kubernetes.io/part-of": "podcov", "app.kubernetes.io/component": "tests"}
    spec: dict[str, Any] = {
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": _REMEMBERED_SECONDS,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    if seconds is not None:
        spec["activeDeadlineSeconds"] = max(1, round(seconds)) + round(_START_SECONDS)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": labels}, "spec": spec}


async def _run_job(api: Api, namespace: str, job: Json) -> int:
    name = job["metadata"]["name"]
    await api.create_object(_JOBS, namespace, job)
    try:
        pod = await _begun(api, namespace, name)
        return await _follow(api, namespace, pod["metadata"]["name"])
    finally:
        try:
            await api.delete_object(_JOBS, namespace, name, with_dependents=True)
        except (Failed, Forbidden) as error:  # what the tests covered is still to be collected
            _say(f"job/{name} in namespace {namespace} could not be removed: {error}")


async def _begun(api: Api, namespace: str, job: str) -> Json:
    """The Job's pod, once its container runs or has run. Raises ClusterError where it will not."""
    loop = asyncio.get_running_loop()
    begun, said = loop.time(), ""
    while True:
        pods, _ = await api.list_pods(namespace, f"job-name={job}")
        pod = pods[0] if pods else None
        if pod and has_run(pod):
            return pod
        late = loop.time() > begun + _PROMPT_SECONDS
        waits_for = _waits_for(pod) if pod else (await _events(api, namespace, job) if late else "")
        if waits_for and waits_for != said:
            _say(f"job/{job} waits: {waits_for}")
            said = waits_for
        if loop.time() > begun + _START_SECONDS:
            _refuse(namespace, job, f"did not begin within {_START_SECONDS:g} s: {said or 'Kubernetes does not say why'}")
        await asyncio.sleep(_LATE_POLL if late else _POLL)


def has_run(pod: Json) -> bool:
    """Raises ClusterError where the container waits for what nobody will bring, or its program is not there."""
    state = _state(pod)
    reason = (state.get("waiting") or state.get("terminated") or {}).get("reason", "")
    if ("waiting" in state and reason in _HOPELESS) or ("terminated" in state and reason in _NEVER_RAN):
        why = next(iter(state.values())).get("message", "")
        _refuse(pod["metadata"]["namespace"], pod["metadata"]["labels"]["job-name"], f"cannot be run: {reason}: {why}")
    return "running" in state or "terminated" in state


def _waits_for(pod: Json) -> str:
    unmet = [c.get("message", "") for c in (pod.get("status") or {}).get("conditions") or () if c["status"] == "False"]
    return next((text for text in unmet if text and "ContainersNotReady" not in text and "unready" not in text), "")


async def _events(api: Api, namespace: str, job: str) -> str:
    """Why there is no pod, where we may know: a quota, an admission webhook, an account that does not exist."""
    try:
        events = await api.list_objects(_EVENTS, namespace)
    except Forbidden:
        return ""
    ours = [e for e in events if e["involvedObject"].get("name") == job and e.get("type") == "Warning"]
    return str(ours[-1].get("message", "")) if ours else ""


def _refuse(namespace: str, job: str, why: str) -> NoReturn:
    raise ClusterError(
        f"the tests of job/{job} in namespace {namespace}: their container {why}",
        hint="look at tests.job and tests.command in podcov.yaml; the nodes must be able to pull the image",
    )


def _state(pod: Json) -> Json:
    """`{running|waiting|terminated: ...}` of the tests' container; empty where nothing is known of it yet."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((status.get("state") or {} for status in statuses if status["name"] == CONTAINER), {})


async def _follow(api: Api, namespace: str, pod: str) -> int:
    """Prints what the container prints until it has ended; its exit code."""
    printed_until = said = ""
    while True:
        seen, since = printed_until, f"{printed_until[:19]}Z" if printed_until else ""  # whole seconds are all that can be asked
        try:
            async for line in api.follow_log(namespace, pod, CONTAINER, since=since):
                moment, _, text = line.decode(errors="replace").partition(" ")
                if moment > seen:
                    printed_until = moment
                    _print(text)
        except (Failed, Forbidden) as failure:
            if str(failure) != said:  # how the tests end counts, whether or not their log can be had
                said = str(failure)
                _say(f"pod/{pod}: {said}")
        await asyncio.sleep(_POLL)
        document = await _look(api, namespace, pod)
        if document is None:
            _say(f"pod/{pod} was taken away while the tests ran; how they ended is unknown")
            return UNKNOWN
        if terminated := _state(document).get("terminated"):
            return int(terminated["exitCode"])


async def _look(api: Api, namespace: str, pod: str) -> Json | None:
    """The pod; None where it is gone, or was ended whole and nothing tells of its container.

    Raises Failed where the server gives no answer for too long.
    """
    end = asyncio.get_running_loop().time() + _SILENT_SECONDS
    while True:
        try:
            document = await api.pod(namespace, pod)
            break
        except Failed:
            if asyncio.get_running_loop().time() > end:
                raise
            await asyncio.sleep(_POLL)
    if document and "terminated" not in _state(document) and (document.get("status") or {}).get("phase") in _OVER:
        return None
    return document


# Inside a pod


async def _run_inside(api: Api, namespace: str, tests: Tests, command: Sequence[str], env: Mapping[str, str]) -> int:
    pod, container = await _place(api, namespace, tests)
    words = [*(("env", *(f"{key}={value}" for key, value in env.items())) if env else ()), *command]
    async with api.exec(namespace, pod, container, words, stdin=False) as websocket:
        status = await _print_streams(websocket)
    try:
        code, message = parse_status(status)
    except ValueError:
        _say(f"the connection to the tests in {namespace}/{pod}/{container} broke; how they ended is unknown, and they may go on")
        return UNKNOWN
    if code is None:
        raise not_begun(f"{namespace}/{pod}/{container}", command, env, message.strip())
    return code


def not_begun(where: str, command: Sequence[str], env: Mapping[str, str], why: str) -> ClusterError:
    """Names no values of variables: there may be passwords among them, and what CI prints is read by many."""
    return ClusterError(
        f"the tests cannot be started in {where}: {' '.join(command)}: {why}",
        hint="look at tests.command in podcov.yaml" + ("; tests.env needs `env` in the image" if env else ""),
    )


async def _print_streams(websocket: aiohttp.ClientWebSocketResponse) -> bytes:
    """Prints what comes until the end; the final status, empty where it did not come."""
    status = b""
    async for message in websocket:
        if message.type is aiohttp.WSMsgType.BINARY and message.data:
            channel, data = message.data[0], message.data[1:]
            if channel in (STDOUT, STDERR):
                _print(data.decode(errors="replace"))
            elif channel == STATUS:
                status += data
    return status


async def _place(api: Api, namespace: str, tests: Tests) -> tuple[str, str]:
    """The pod and container that the tests are executed in. Raises ClusterError where there is none."""
    workload = cluster_pods.workload(tests.inside, where="tests.inside")
    documents, _ = await api.list_pods(namespace)
    ours = [pod for pod in map(cluster_pods.parse, documents) if workload.owns(pod) and not pod.ending]
    chosen = next((pod for pod in sorted(ours, key=lambda pod: (not pod.ready, pod.name)) if pod.phase == "Running"), None)
    if chosen is None:
        raise ClusterError(
            f"tests.inside: no pod of {workload} runs in namespace {namespace}"
            + (f"; {ours[0].name} is {ours[0].phase}" if ours else ""),
            hint="tests.namespace says where it is; `kubectl get pods` shows what is there",
        )
    present = [c.name for c in chosen.containers if not is_courier_container(c.name)]
    container = tests.container or chosen.default_container or present[0]
    if container not in present:
        raise ClusterError(
            f"tests.container: {namespace}/{chosen.name} has no container {container!r}",
            hint=f"its containers: {', '.join(present)}",
        )
    return chosen.name, container


def _print(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _say(text: str) -> None:
    _print(f"podcov {text}\n")

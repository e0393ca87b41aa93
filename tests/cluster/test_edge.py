"""The cluster platform against a real cluster, with no more rights than the Roles that ship."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from podcov.config import COURIER_CONTAINER, Config, Generate, PortForward, Service
from podcov.edges.cluster import access as cluster_access
from podcov.edges.cluster.api import Api, Failed
from podcov.edges.cluster.platform import ClusterPlatform
from podcov.errors import ClusterError, Exit, NoDataError, UsageError
from podcov.platform import CourierAddress, CourierAnswer, CourierUnreachable

pytestmark = pytest.mark.cluster

WEB = Service(name="web", workload="deployment/web", container="app")

COURIER = """
import os, random, sys, time
command, *arguments = sys.argv[1:]
if command == "bytes":
    sys.stdout.buffer.write(random.Random(int(arguments[1])).randbytes(int(arguments[0])))
elif command == "echo":
    sys.stdout.buffer.write(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())))
elif command == "sleep":
    time.sleep(float(arguments[0]))
elif command == "name":
    print(os.environ["HOSTNAME"])
else:
    sys.exit("no such command: " + command)
"""
"""Says what the tests want to hear, through the real exec."""

APP = """
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/exit":
            os._exit(3)
        if self.path == "/oom":
            bytearray(os.urandom(1)) * (1 << 30)
        body = os.environ["HOSTNAME"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 200
Server(("", 8080), Handler).serve_forever()
"""


def pod_spec(image: str, *, sidecar: bool = False, data: bool = True) -> dict[str, Any]:
    """A pod with an HTTP server and podcov's volumes."""
    mounts = [{"name": "wrapper", "mountPath": "/podcov/wrapper"}]
    if data:
        mounts.append({"name": "data", "mountPath": "/podcov/data"})
    courier = {
        "name": COURIER_CONTAINER,
        "image": image,
        "restartPolicy": "Always",
        "command": ["python3", "-c", "import signal, sys; signal.signal(15, lambda *_: sys.exit()); signal.pause()"],
        "volumeMounts": mounts,
    }
    return {
        "terminationGracePeriodSeconds": 5,
        "initContainers": [courier] if sidecar else [],
        "containers": [
            {
                "name": "app",
                "image": image,
                "command": ["python3", "-c", APP],
                "ports": [{"name": "http", "containerPort": 8080}],
                # A busy server is ready all the same.
                "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 10},
                "resources": {"limits": {"memory": "200Mi"}},
                "volumeMounts": mounts,
            }
        ],
        "volumes": [
            {"name": "wrapper", "configMap": {"name": "podcov-wrapper", "optional": True}},
            {"name": "data", "emptyDir": {}},
        ],
    }


def workload(
    kind: str, spec: dict[str, Any], *, name: str = "web", replicas: int = 1, labels: dict[str, str] | None = None
) -> dict[str, Any]:
    selector = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": {**selector, **(labels or {})}}, "spec": spec},
            **({"serviceName": name} if kind == "StatefulSet" else {}),
        },
    }


def config_map(courier: str = COURIER) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "podcov-wrapper"},
        "data": {"podcov_courier.py": courier},
    }


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
}


@pytest.fixture
def space(namespace: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A namespace in which this process, too, is the account `podcov`."""
    monkeypatch.setenv("KUBECONFIG", str(namespace.folder / "podcov.kubeconfig"))
    return namespace


@pytest.fixture
def image(cluster: Any) -> str:
    return str(cluster.image("python:3.13"))


def deploy(space: Any, *manifests: dict[str, Any]) -> None:
    """Applies, and waits until everything is rolled out."""
    space.apply(*manifests)
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "StatefulSet"):
            space.kubectl("rollout", "status", f"{manifest['kind']}/{manifest['metadata']['name']}", "--timeout=110s")


def platform_of(space: Any, *services: Service, forwards: Sequence[PortForward] = (), **options: Any) -> ClusterPlatform:
    config = Config(services=services or (WEB,), port_forwards=tuple(forwards))
    return ClusterPlatform(config, namespaces=(space.name,), **options)


def use(platform: ClusterPlatform, work: Callable[[ClusterPlatform], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with platform:
            return await work(platform)

    return asyncio.run(main())


async def until(look: Callable[[], Awaitable[Any]], what: str, seconds: float = 120) -> Any:
    """Polls, bounded."""
    end = time.monotonic() + seconds
    while not (seen := await look()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.1)
    return seen


CLIENTS = ThreadPoolExecutor(100)


async def get(url: str) -> str:
    """What the service answers; each request is a connection of its own."""

    def fetch() -> str:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return str(answer.read().decode())

    return await asyncio.get_running_loop().run_in_executor(CLIENTS, fetch)


class TestAddresses:
    def test_all_replicas_with_their_sidecars(self, space: Any, image: str) -> None:
        deploy(space, config_map(), workload("Deployment", pod_spec(image, sidecar=True), replicas=2))
        addresses = use(platform_of(space), lambda p: p.addresses())
        names = sorted(pod["metadata"]["name"] for pod in space.get("pods")["items"])
        assert [address.name for address in addresses] == [f"{space.name}/{name}" for name in names]
        assert {(a.container, a.sidecar, a.containers, a.service) for a in addresses} == {
            (COURIER_CONTAINER, True, ("app",), "web")
        }

    def test_only_pods_of_the_run_of_tilt_or_of_the_selector(self, space: Any, image: str) -> None:
        spec = pod_spec(image)
        services = tuple(Service(name=n, workload=f"deployment/{n}", container="app") for n in ("old", "new", "tilted"))
        deploy(
            space,
            config_map(),
            workload("Deployment", spec, name="old", labels={"skaffold.dev/run-id": "run-1"}),
            workload("Deployment", spec, name="new", labels={"skaffold.dev/run-id": "run-2"}),
            workload("Deployment", spec, name="tilted", labels={"app.kubernetes.io/managed-by": "tilt"}),
        )

        def found(**options: Any) -> list[str]:
            return [a.service for a in use(platform_of(space, *services, **options), lambda p: p.addresses())]

        assert found() == ["new", "old", "tilted"]
        assert found(run_id="run-2") == ["new"]
        assert found(tilt=True) == ["tilted"]
        assert found(selector="app in (old, tilted),skaffold.dev/run-id") == ["old"]

    def test_no_pod_says_where_it_looked_and_what_is_there(self, space: Any, image: str) -> None:
        nothing = use_failing(NoDataError, platform_of(space), lambda p: p.addresses())
        assert nothing.exit_code == Exit.NO_DATA
        assert f"namespace {space.name}" in nothing.message
        assert "web (deployment/web)" in nothing.message
        assert "there is no pod at all" in nothing.message
        deploy(space, config_map(), workload("Deployment", pod_spec(image), name="other"))
        others = use_failing(NoDataError, platform_of(space, run_id="r1"), lambda p: p.addresses())
        assert "label selector 'skaffold.dev/run-id=r1'" in others.message
        assert f"pods there: {space.name}/other-" in others.message

    def test_pods_without_the_profile_are_no_data(self, space: Any, image: str) -> None:
        deploy(space, workload("Deployment", pod_spec(image, data=False)))
        error = use_failing(NoDataError, platform_of(space), lambda p: p.addresses())
        assert f"none of the 1 pods carries podcov, such as {space.name}/web-" in error.message
        assert "--profile coverage" in error.hint
        plain = Config(services=(WEB,), generate=Generate(by="inject", manifests=("k8s",)))
        error = use_failing(NoDataError, ClusterPlatform(plain, namespaces=(space.name,)), lambda p: p.addresses())
        assert "`podcov inject k8s | kubectl apply -f -`" in error.hint
        assert "skaffold" not in error.hint

    def test_a_container_that_does_not_exist_is_named(self, space: Any, image: str) -> None:
        deploy(space, config_map(), workload("Deployment", pod_spec(image)))
        misspelt = Service(name="web", workload="deployment/web", container="ap")
        error = use_failing(UsageError, platform_of(space, misspelt), lambda p: p.addresses())
        assert "has no container 'ap'" in error.message
        assert error.hint == "its containers: app"


def use_failing(kind: type[Exception], platform: ClusterPlatform, work: Callable[[ClusterPlatform], Awaitable[Any]]) -> Any:
    with pytest.raises(kind) as caught:
        use(platform, work)
    return caught.value


class TestCalls:
    def test_200_answers_of_2_megabytes_arrive_undamaged(self, space: Any, image: str) -> None:
        deploy(space, config_map(), workload("Deployment", pod_spec(image, sidecar=True), replicas=2))
        size = 2_000_000

        async def work(platform: ClusterPlatform) -> list[bool]:
            addresses = await platform.addresses()

            async def one(seed: int) -> bool:
                answer = await platform.call(addresses[seed % 2], ["bytes", str(size), str(seed % 5)])
                return answer == CourierAnswer(0, expected[seed % 5], "")

            return await asyncio.gather(*(one(seed) for seed in range(200)))

        expected = [random.Random(seed).randbytes(size) for seed in range(5)]
        assert use(platform_of(space), work) == [True] * 200

    def test_input_arrives_framed_and_whole(self, space: Any, image: str) -> None:
        deploy(space, config_map(), workload("Deployment", pod_spec(image)))
        data = random.Random(1).randbytes(3_000_000)

        async def work(platform: ClusterPlatform) -> CourierAnswer:
            (address,) = await platform.addresses()
            return await platform.call(address, ["echo"], data)

        answer = use(platform_of(space), work)
        assert hashlib.sha256(answer.stdout).digest() == hashlib.sha256(data).digest()

    def test_what_the_courier_says_when_it_fails_is_passed_on(self, space: Any, image: str) -> None:
        deploy(space, config_map(), workload("Deployment", pod_spec(image)))

        async def work(platform: ClusterPlatform) -> CourierAnswer:
            (address,) = await platform.addresses()
            return await platform.call(address, ["fly"])

        assert use(platform_of(space), work) == CourierAnswer(1, b"", "no such command: fly\n")

    def test_an_interpreter_that_is_not_there_is_replaced_by_one_that_is(self, space: Any, image: str) -> None:
        deploy(space, config_map(), workload("Deployment", pod_spec(image)))
        service = Service(name="web", workload="deployment/web", container="app", interpreter="/opt/python9")

        async def work(platform: ClusterPlatform) -> list[CourierAnswer]:
            (address,) = await platform.addresses()
            return [await platform.call(address, ["name"]) for _ in range(2)]

        assert [answer.exit_code for answer in use(platform_of(space, service), work)] == [0, 0]

    def test_a_missing_wrapper_is_told_from_a_missing_interpreter(self, space: Any, image: str) -> None:
        deploy(space, workload("Deployment", pod_spec(image)))
        error = unreachable(space, ["name"])
        assert "ConfigMap" in error.reason
        assert not error.gone

    def test_a_pod_that_was_deployed_without_the_profile_is_said_to_be(self, space: Any, image: str) -> None:
        services = tuple(Service(name=name, workload=f"deployment/{name}", container="app") for name in ("web", "plain"))
        deploy(
            space,
            config_map(),
            workload("Deployment", pod_spec(image)),
            workload("Deployment", pod_spec(image, data=False), name="plain"),
        )

        async def work(platform: ClusterPlatform) -> tuple[CourierUnreachable, CourierAnswer]:
            plain, web = await platform.addresses()
            with pytest.raises(CourierUnreachable) as caught:
                await platform.call(plain, ["name"])
            return caught.value, await platform.call(web, ["name"])

        error, answer = use(platform_of(space, *services), work)
        assert "deployed without the coverage profile" in error.reason
        assert answer.exit_code == 0

    def test_no_answer_in_time_is_said(self, space: Any, image: str) -> None:
        deploy(space, config_map(), workload("Deployment", pod_spec(image)))
        assert unreachable(space, ["sleep", "60"], seconds=1).reason == "no answer to 'sleep' within 1 s"

    def test_calls_that_wait_do_not_keep_others_from_being_made(self, space: Any, image: str) -> None:
        waiting = COURIER.replace('"sleep"', '"wait"')
        deploy(space, config_map(waiting), workload("Deployment", pod_spec(image)))

        async def work(platform: ClusterPlatform) -> CourierAnswer:
            (address,) = await platform.addresses()
            waits = [asyncio.create_task(platform.call(address, ["wait", "100"], seconds=120)) for _ in range(20)]
            await asyncio.sleep(0)  # each of them has begun, before another asks
            try:
                answer = await platform.call(address, ["name"], seconds=90)
                assert not any(wait.done() for wait in waits), "it did not wait for them"
                return answer
            finally:
                for wait in waits:
                    wait.cancel()
                await asyncio.gather(*waits, return_exceptions=True)

        assert use(platform_of(space), work).exit_code == 0

    def test_a_pod_that_is_deleted_in_the_middle_of_a_call(self, space: Any, image: str) -> None:
        deploy(space, config_map(), workload("Deployment", pod_spec(image)))

        async def work(platform: ClusterPlatform) -> CourierUnreachable:
            (address,) = await platform.addresses()
            call = asyncio.create_task(platform.call(address, ["sleep", "100"], seconds=120))
            await until(lambda: running(platform, address, call), "the call has begun")
            space.kubectl("delete", "pod", address.pod, "--grace-period=1", "--wait=false")
            with pytest.raises(CourierUnreachable):
                await call

            async def gone() -> CourierUnreachable | None:
                try:
                    await platform.call(address, ["name"])
                except CourierUnreachable as error:
                    return error if error.gone else None
                return None

            return await until(gone, "the pod is known to be gone")

        assert use(platform_of(space), work).gone

    def test_a_stateful_pod_of_the_same_name_is_not_mistaken_for_the_old_one(self, space: Any, image: str) -> None:
        deploy(space, config_map(), workload("StatefulSet", pod_spec(image), name="db"))
        service = Service(name="db", workload="statefulset/db", container="app")

        async def work(platform: ClusterPlatform) -> tuple[CourierUnreachable, CourierAnswer]:
            (old,) = await platform.addresses()
            space.kubectl("delete", "pod", old.pod)

            async def replaced() -> CourierAddress | None:
                addresses = await platform.addresses()
                return addresses[0] if addresses and addresses[0].pod_uid != old.pod_uid else None

            new = await until(replaced_or_none(replaced), "the new pod is there")
            space.kubectl("wait", "--for=condition=Ready", f"pod/{new.pod}", "--timeout=110s")
            with pytest.raises(CourierUnreachable) as caught:
                await platform.call(old, ["name"])
            return caught.value, await platform.call(new, ["name"])

        error, answer = use(platform_of(space, service), work)
        assert error.gone
        assert answer.stdout == b"db-0\n"


def replaced_or_none(look: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """Between the old pod and the new one there is none, which is NoDataError."""

    async def patient() -> Any:
        try:
            return await look()
        except NoDataError:
            return None

    return patient


async def running(platform: ClusterPlatform, address: CourierAddress, call: asyncio.Task[CourierAnswer]) -> bool:
    """Another call has come and gone while `call` was under way."""
    answer = await platform.call(address, ["name"])
    return answer.exit_code == 0 and not call.done()


def unreachable(space: Any, arguments: list[str], seconds: float = 60) -> CourierUnreachable:
    async def work(platform: ClusterPlatform) -> CourierUnreachable:
        (address,) = await platform.addresses()
        with pytest.raises(CourierUnreachable) as caught:
            await platform.call(address, arguments, seconds=seconds)
        return caught.value

    error: CourierUnreachable = use(platform_of(space), work)
    return error


class TestStarts:
    def test_restarts_and_an_oom_kill_are_all_seen(self, space: Any, image: str) -> None:
        deploy(space, config_map(), SERVICE, workload("Deployment", pod_spec(image, sidecar=True)))
        forward = PortForward("deployment/web", 8080)

        async def work(platform: ClusterPlatform) -> list[tuple[int, str]]:
            async with platform.forwards() as environment:
                for path, restarts in (("/exit", 1), ("/oom", 2)):
                    with pytest.raises(OSError, match=r"emote end closed|reset by peer"):
                        await get(environment["WEB_URL"] + path)

                    async def again(wanted: int = restarts) -> bool:
                        return any(s.restart == wanted and s.started for s in await platform.starts())

                    await until(again, f"restart {restarts}")
            starts = await platform.starts()
            assert all(s.container == "app" and s.service == "web" and s.started for s in starts)
            assert all((s.finished is None) == (not s.ended) for s in starts)
            return [(s.restart, s.ended) for s in starts]

        assert use(platform_of(space, forwards=[forward]), work) == [(0, "Error"), (1, "OOMKilled"), (2, "")]

    def test_a_pod_that_never_starts_is_expected_and_says_why(self, space: Any, image: str) -> None:
        space.apply(config_map(), workload("Deployment", pod_spec(image + "-of-nobody")))

        async def work(platform: ClusterPlatform) -> Any:
            async def stuck() -> Any:
                starts = await platform.starts()
                return starts if starts and starts[0].ended in ("ErrImagePull", "ImagePullBackOff") else None

            return await until(stuck, "the image cannot be pulled")

        (start,) = use(platform_of(space), work)
        assert (start.started, start.container_id) == (None, "")


class TestWatch:
    def test_a_pod_that_comes_and_one_that_goes(self, space: Any, image: str) -> None:
        deploy(space, config_map(), workload("Deployment", pod_spec(image)))

        async def work(platform: ClusterPlatform) -> tuple[list[str], list[str], list[str]]:
            (old,) = await platform.addresses()
            space.kubectl("delete", "pod", old.pod, "--wait=false")
            events: dict[str, list[str]] = {}
            async with asyncio.timeout(120):
                async for event in platform.watch():
                    events.setdefault(event.address.pod_uid, []).append(event.kind)
                    if "gone" in events.get(old.pod_uid, ()) and any("ready" in kinds for kinds in events.values()):
                        break
            (new,) = events.keys() - {old.pod_uid}
            ended = [s.ended for s in await platform.starts() if s.address == old]
            return events[old.pod_uid], events[new], ended

        of_old, of_new, ended = use(platform_of(space), work)
        assert [of_old[0], of_old[-1]] == ["ending", "gone"]
        assert of_new == ["started", "ready"]
        assert ended[0] in ("Completed", "Error", "deleted")

    def test_pods_that_were_ending_before_the_run_are_left_out(self, space: Any, image: str) -> None:
        spec = pod_spec(image)
        spec["containers"][0]["command"] = [
            "python3",
            "-c",
            "import signal; signal.signal(15, lambda *_: 0)\nwhile 1: signal.pause()",
        ]
        spec["containers"][0].pop("readinessProbe")
        deploy(space, config_map(), workload("Deployment", spec | {"terminationGracePeriodSeconds": 120}))
        (old,) = space.get("pods")["items"]
        space.kubectl("delete", "pod", old["metadata"]["name"], "--wait=false")
        space.kubectl("rollout", "status", "deployment/web", "--timeout=110s")

        async def work(platform: ClusterPlatform) -> list[str]:
            assert any(pod["metadata"]["uid"] == old["metadata"]["uid"] for pod in space.get("pods")["items"])
            return [address.pod_uid for address in await platform.addresses()]

        uids = use(platform_of(space), work)
        space.kubectl("delete", "pod", old["metadata"]["name"], "--grace-period=1", "--wait=false")
        assert len(uids) == 1
        assert uids != [old["metadata"]["uid"]]

    @pytest.mark.parametrize("too_long", [False, True], ids=["short", "too-long-to-resume"])
    def test_what_happens_while_the_connection_is_down_is_not_missed(
        self, space: Any, image: str, monkeypatch: pytest.MonkeyPatch, too_long: bool
    ) -> None:
        deploy(space, config_map(), workload("Deployment", pod_spec(image)))

        async def main() -> tuple[str, str]:
            access = await cluster_access.find()
            async with cuttable(access.server) as proxy:
                monkeypatch.setenv("KUBECONFIG", str(through(proxy, space)))
                async with platform_of(space) as platform:
                    (old,) = await platform.addresses()
                    await proxy.cut()
                    space.kubectl("delete", "pod", old.pod)
                    if too_long:
                        # What the server keeps for resuming lasts minutes: pretend that they have passed.
                        platform._versions[space.name] = "1"
                    await proxy.mend()
                    async with asyncio.timeout(120):
                        async for event in platform.watch():
                            if event.kind == "gone":
                                return event.address.pod, old.pod
            raise AssertionError("the watch ended")

        gone, old = asyncio.run(main())
        assert gone == old

    def test_a_version_that_is_too_old_is_reported_as_such(self, space: Any) -> None:
        async def main() -> int:
            async with Api(await cluster_access.find()) as api:
                with pytest.raises(Failed) as caught:
                    async for _ in api.watch_pods(space.name, "", "1"):
                        pass
                return caught.value.status

        assert asyncio.run(main()) == 410


class Proxy:
    """Carries TCP connections to the API server, until it is told to drop them and to take no more."""

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.writers: set[asyncio.StreamWriter] = set()
        self.server: asyncio.Server | None = None
        self.port = 0

    async def mend(self) -> None:
        self.server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self.server
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        pair = {writer, far_writer}
        self.writers |= pair
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except ConnectionError:
            pass
        finally:
            self.writers -= pair
            for end in pair:
                end.transport.abort()

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def cuttable(server: str) -> AsyncIterator[Proxy]:
    host, _, port = server.removeprefix("https://").partition(":")
    proxy = Proxy(host, int(port))
    await proxy.mend()
    try:
        yield proxy
    finally:
        await proxy.cut()


def through(proxy: Proxy, space: Any) -> Path:
    """The account's kubeconfig, by way of the proxy."""
    document = yaml.safe_load((space.folder / "podcov.kubeconfig").read_text())
    document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    path: Path = space.folder / "proxied.kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


class TestForwards:
    def test_a_service_is_reached_by_its_named_port_over_many_connections(self, space: Any, image: str) -> None:
        deploy(space, config_map(), SERVICE, workload("Deployment", pod_spec(image), replicas=2))

        async def work(platform: ClusterPlatform) -> set[str]:
            async with platform.forwards() as environment:
                assert environment["WEB_HOST"] == "127.0.0.1"
                return set(await asyncio.gather(*(get(environment["WEB_URL"]) for _ in range(100))))

        pods = {pod["metadata"]["name"] for pod in space.get("pods")["items"]}
        answered = use(platform_of(space, forwards=[PortForward("service/web", 80)]), work)
        assert len(answered) == 1, "it stays with one pod while that is ready"
        assert answered <= pods

    @pytest.mark.parametrize("replicas", [1, 2])
    def test_when_its_pod_goes_away_another_answers(self, space: Any, image: str, replicas: int) -> None:
        deploy(space, config_map(), SERVICE, workload("Deployment", pod_spec(image), replicas=replicas))

        async def work(platform: ClusterPlatform) -> tuple[str, list[str]]:
            async with platform.forwards() as environment:
                first = await get(environment["API_URL"])
                space.kubectl("delete", "pod", first, "--wait=false")

                async def another() -> bool:
                    with suppress(OSError):  # it ended while it was asked
                        return await get(environment["API_URL"]) != first
                    return False

                await until(another, "another pod answers")
                return first, [await get(environment["API_URL"]) for _ in range(20)]

        first, later = use(platform_of(space, forwards=[PortForward("deployment/web", 8080, name="api")]), work)
        assert first not in later

    def test_a_service_or_port_that_does_not_exist(self, space: Any, image: str) -> None:
        deploy(space, config_map(), SERVICE, workload("Deployment", pod_spec(image)))
        missing = use_failing(UsageError, platform_of(space, forwards=[PortForward("service/wbe", 80)]), opened)
        assert f"there is no service/wbe in namespace '{space.name}'" in missing.message
        wrong = use_failing(UsageError, platform_of(space, forwards=[PortForward("service/web", 8080)]), opened)
        assert wrong.hint == "its ports: 80"


async def opened(platform: ClusterPlatform) -> None:
    async with platform.forwards():
        pass


class TestRefusals:
    """Each says which verb on which resource was refused, and which of the shipped files grants it."""

    @pytest.fixture
    def account(self, space: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., object]) -> Callable[..., None]:
        """`account("pods=get,list,watch", ...)`: from then on this process has these rights and no others."""

        def become(*rights: str) -> None:
            for number, right in enumerate(rights):
                resources, _, verbs = right.partition("=")
                name = f"limited-{number}"
                space.kubectl("create", "role", name, f"--resource={resources}", f"--verb={verbs}")
                space.kubectl("create", "rolebinding", name, f"--role={name}", f"--serviceaccount={space.name}:limited")
                asked = ("auth", "can-i", verbs.split(",")[-1], resources, f"--as=system:serviceaccount:{space.name}:limited")
                wait_until(lambda asked=asked: space.kubectl(*asked, check=False).strip() == "yes", 60, "the role is in force")
            document = yaml.safe_load((space.folder / "podcov.kubeconfig").read_text())
            document["users"][0]["user"]["token"] = space.kubectl("create", "token", "limited").strip()
            path = space.folder / "limited.kubeconfig"
            path.write_text(yaml.safe_dump(document))
            monkeypatch.setenv("KUBECONFIG", str(path))

        space.kubectl("create", "serviceaccount", "limited")
        return become

    @pytest.mark.parametrize(("rights", "verb"), [((), "list"), (("pods=get,list",), "watch")])
    def test_looking_for_pods(self, space: Any, account: Callable[..., None], rights: tuple[str, ...], verb: str) -> None:
        account(*rights)
        error = use_failing(ClusterError, platform_of(space), lambda p: p.addresses())
        assert f"forbidden: {verb} on pods in namespace '{space.name}'" in error.message
        assert "overlays/rbac/podcov.yaml" in error.hint

    def test_exec(self, space: Any, image: str, account: Callable[..., None]) -> None:
        deploy(space, config_map(), workload("Deployment", pod_spec(image)))
        account("pods=get,list,watch")

        async def work(platform: ClusterPlatform) -> None:
            (address,) = await platform.addresses()
            await platform.call(address, ["name"])

        error = use_failing(ClusterError, platform_of(space), work)
        assert f"forbidden: get and create on pods/exec in namespace '{space.name}'" in error.message
        assert "overlays/rbac/podcov.yaml" in error.hint

    @pytest.mark.parametrize(
        ("resource", "port", "refused"),
        [("service/web", 80, "get on services"), ("deployment/web", 8080, "get and create on pods/portforward")],
    )
    def test_port_forwards(
        self, space: Any, image: str, account: Callable[..., None], resource: str, port: int, refused: str
    ) -> None:
        deploy(space, config_map(), SERVICE, workload("Deployment", pod_spec(image)))
        account("pods=get,list,watch")
        error = use_failing(ClusterError, platform_of(space, forwards=[PortForward(resource, port)]), opened)
        assert f"forbidden: {refused} in namespace '{space.name}'" in error.message
        assert "overlays/rbac/portforward.yaml" in error.hint

    def test_a_token_that_is_not_accepted(self, space: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", str(changed(space, lambda d: d["users"][0]["user"].update(token="nonsense"))))
        error = use_failing(ClusterError, platform_of(space), lambda p: p.addresses())
        assert "does not accept the credentials of context" in error.message

    def test_a_server_that_does_not_answer(self, space: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        server = "https://127.0.0.1:9"
        monkeypatch.setenv("KUBECONFIG", str(changed(space, lambda d: d["clusters"][0]["cluster"].update(server=server))))
        error = use_failing(ClusterError, platform_of(space), lambda p: p.addresses())
        assert "no answer from context" in error.message
        assert server in error.message

    def test_a_context_that_does_not_exist(self, space: Any) -> None:
        error = use_failing(ClusterError, platform_of(space, context="elsewhere"), lambda p: p.addresses())
        assert "there is no context 'elsewhere'" in error.message


def changed(space: Any, change: Callable[[Any], object]) -> Path:
    """The account's kubeconfig with something wrong in it."""
    document = yaml.safe_load((space.folder / "podcov.kubeconfig").read_text())
    change(document)
    path: Path = space.folder / "changed.kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_rights_that_ship_are_the_rights_that_are_used(space: Any) -> None:
    """The account of these tests may do what the Roles say, and nothing else."""

    def may(*question: str) -> bool:
        done = space.cluster.run(
            "kubectl",
            "auth",
            "can-i",
            *question,
            "--namespace",
            space.name,
            f"--as=system:serviceaccount:{space.name}:podcov",
            check=False,
        )
        return bool(done.stdout.strip() == "yes")

    assert all(may(verb, "pods") for verb in ("get", "list", "watch"))
    assert all(may(verb, "pods", f"--subresource={what}") for verb in ("get", "create") for what in ("exec", "portforward"))
    assert not any(may(verb, "pods") for verb in ("create", "delete", "patch"))
    assert not any(may("get", resource) for resource in ("secrets", "configmaps", "deployments", "nodes"))

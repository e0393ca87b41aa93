"""The few requests that podcov makes to an API server, and what each refusal means.

JSON comes out as it was sent; `pods` makes values of it. All methods raise ClusterError for what the user has to mend
(not authenticated, not allowed), and `Failed` for what may pass, or is about one pod only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from socket import SHUT_RDWR, socket
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.stream import WsApiClient
from kubernetes.aio.stream.ws_client import get_websocket_url

from podcov.edges.cluster.access import Access
from podcov.errors import ClusterError

Json = Mapping[str, Any]

REQUEST_SECONDS = 30.0
WATCH_SECONDS = 60
"""A watch is begun anew after this time, so that a connection that died unnoticed costs no more than this."""
HEARTBEAT_SECONDS = 20.0
"""Between pings on websockets: balancers in between drop what is idle, typically after a minute."""
_CLOSING_SECONDS = 1.0
_INTERNAL_ERROR = 500
"""what a kubelet answers to an exec in a container that does not run, and an API server that does not reach the kubelet"""
_LONGEST_LOG_SECONDS = 24 * 3600.0
"""A log is followed for as long as the container runs; who follows asks again after this time."""
CHANNELS = "v4.channel.k8s.io"
"""The websocket protocol of exec and port-forward: each frame begins with the number of its channel."""

FIELD_MANAGER = "podcov"
"""Whose changes these are, in `managedFields`."""

_ROLES = {
    "pods": "podcov.yaml",
    "pods/exec": "podcov.yaml",
    "pods/portforward": "portforward.yaml",
    "services": "portforward.yaml",
    "create jobs": "suite.yaml",
    "delete jobs": "suite.yaml",
}
"""by resource, or by verb and resource"""
_ROLE_OF_THE_OTHERS = "attach.yaml"


class Failed(Exception):
    """The API server did not do it, or could not be reached."""

    def __init__(self, reason: str, *, status: int = 0, by_node: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        """HTTP status; 0 where the connection failed"""
        self.by_node = by_node
        """the pod's node was reached, and refused"""


class Forbidden(ClusterError):
    """RBAC does not allow it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects, and where the API server has them."""

    api_version: str
    plural: str
    kind: str

    def path(self, namespace: str, name: str = "") -> str:
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" + (f"/{name}" if name else "")


_PODS = Resource("v1", "pods", "Pod")
_SERVICES = Resource("v1", "services", "Service")


@dataclass(frozen=True, slots=True)
class _Action:
    """What a request asks for, in the words of RBAC."""

    verbs: str
    resource: str
    namespace: str


class _WebSockets(WsApiClient):  # type: ignore[misc]
    """Hands out the websocket itself, for messages of any size and through the same TLS name as every other request."""

    async def request(
        self,
        method: str,  # noqa: ARG002
        url: str,
        query_params: object = None,  # noqa: ARG002
        headers: Mapping[str, str] | None = None,
        post_params: object = None,  # noqa: ARG002
        body: object = None,  # noqa: ARG002
        _preload_content: bool = False,
        _request_timeout: object = None,
    ) -> Any:
        if self.rest_client.pool_manager is None:
            self.rest_client.pool_manager = self.rest_client._create_pool_manager()
        return self.rest_client.pool_manager.ws_connect(
            get_websocket_url(url),
            headers=headers,
            protocols=(CHANNELS,),
            heartbeat=self.heartbeat,
            max_msg_size=0,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSING_SECONDS),
            server_hostname=self.configuration.tls_server_name,
        )


class _Sockets:
    """All that connections were made through. TLS says goodbye in the background, and nothing else waits for that.

    They are noted where they are made: a request that is cancelled before its answer shows its connection to nobody.
    """

    def __init__(self) -> None:
        self._made: list[socket] = []

    def serve(self, client: ApiClient) -> None:
        """Has all connections of `client` made through these; before its first."""
        rest = client.rest_client
        rest._create_connector = lambda: aiohttp.TCPConnector(limit=rest.maxsize, ssl=rest.ssl_context, socket_factory=self._make)

    def _make(self, address: aiohttp.AddrInfoType) -> socket:
        family, kind, protocol, *_ = address
        made = socket(family, kind, protocol)
        self._made = [*(known for known in self._made if known.fileno() != -1), made]
        return made

    async def end(self) -> None:
        """Ends those that are left; returns when they are closed, or after _CLOSING_SECONDS."""
        for known in self._made:
            with suppress(OSError):
                known.shutdown(SHUT_RDWR)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_SECONDS):
                while any(known.fileno() != -1 for known in self._made):  # noqa: ASYNC110 (nobody tells)
                    await asyncio.sleep(0.005)


class Api:
    """One API server, as one user. An async context manager: it holds connections."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._sockets = _Sockets()
        try:
            self._rest = ApiClient(access.configuration)
            self._websockets = _WebSockets(access.configuration, heartbeat=HEARTBEAT_SECONDS)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"context {access.context!r}: its certificates cannot be used: {error}",
                hint="check it with `kubectl get pods`",
            ) from error
        self._sockets.serve(self._rest)
        self._sockets.serve(self._websockets)

    @property
    def access(self) -> Access:
        return self._access

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._websockets.close()
        await self._rest.close()
        await self._sockets.end()

    async def list_pods(self, namespace: str, selector: str = "") -> tuple[list[Json], str]:
        """The pods, and the resource version from which a watch goes on."""
        request = self._request("GET", _PODS.path(namespace), _selected(selector))
        document = await self._document(_Action("list", "pods", namespace), request)
        return list(document.get("items") or ()), document["metadata"]["resourceVersion"]

    async def pod(self, namespace: str, name: str) -> Json | None:
        """None where there is none of this name."""
        return await self.get_object(_PODS, namespace, name)

    async def service(self, namespace: str, name: str) -> Json | None:
        """None where there is none of this name."""
        return await self.get_object(_SERVICES, namespace, name)

    async def watch_pods(self, namespace: str, selector: str, version: str) -> AsyncGenerator[tuple[str, Json], None]:
        """What happens after `version`: (`ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK`, the pod).

        First yields (`WATCHING`, {}) when the server has accepted. Ends after WATCH_SECONDS, to be begun anew from the last
        version seen. Raises Failed with status 410 where `version` is too old for that.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        request = self._request(
            "GET", _PODS.path(namespace), {**_selected(selector), **query}, seconds=WATCH_SECONDS + REQUEST_SECONDS
        )
        async with self._response(_Action("watch", "pods", namespace), request) as response:
            yield "WATCHING", {}
            async for line in _lines(response.content):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise Failed(status.get("message") or "the watch was ended", status=status.get("code") or 0)
                yield event["type"], event["object"]

    async def get_object(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """None where there is none of this name, or no such kind."""
        return await self._if_there(
            _Action("get", resource.plural, namespace), self._request("GET", resource.path(namespace, name))
        )

    async def list_objects(self, resource: Resource, namespace: str, selector: str = "") -> list[Json]:
        """Each with its kind, which the server leaves out in lists. Empty, too, where the server has no such kind."""
        action = _Action("list", resource.plural, namespace)
        found = await self._if_there(action, self._request("GET", resource.path(namespace), _selected(selector))) or {}
        return [{"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in found.get("items") or ()]

    async def list_namespaces(self) -> list[str]:
        """All of the cluster, by name."""
        found = await self._document(_Action("list", "namespaces", ""), self._request("GET", "/api/v1/namespaces"))
        return [item["metadata"]["name"] for item in found["items"]]

    async def list_custom_kinds(self) -> list[Resource]:
        """Those that namespaces have and that can be listed, but Kubernetes' own; each in one version.

        A group whose server does not answer is left out.
        """
        action = _Action("get", "/apis", "")
        groups = (await self._document(action, self._request("GET", "/apis")))["groups"]
        found: dict[tuple[str, str], Resource] = {}
        for group in (group for group in groups if not _is_kubernetes_own(group["name"])):
            for version in (v["groupVersion"] for v in (group["preferredVersion"], *group["versions"])):
                try:
                    listed = await self._document(action, self._request("GET", f"/apis/{version}"))
                except Failed:
                    continue  # an extension of the API that is down has no objects to show either
                for kind in listed["resources"]:
                    if kind["namespaced"] and "list" in kind["verbs"] and "/" not in kind["name"]:
                        found.setdefault((group["name"], kind["name"]), Resource(version, kind["name"], kind["kind"]))
        return list(found.values())

    async def create_object(self, resource: Resource, namespace: str, document: Json, *, dry_run: bool = False) -> bool:
        """False where there is one of this name already."""
        request = self._request("POST", resource.path(namespace), _changing(dry_run), document)
        try:
            await self._document(_Action("create", resource.plural, namespace), request)
        except Failed as failure:
            if failure.status == 409:
                return False
            raise
        return True

    async def patch_object(
        self, resource: Resource, namespace: str, name: str, operations: Sequence[Json], *, dry_run: bool = False
    ) -> Json:
        """Applies a JSON patch; returns what the object is then.

        Raises Failed with status 409 where the patch sets an outdated resource version.
        """
        request = self._request(
            "PATCH", resource.path(namespace, name), _changing(dry_run), list(operations), "application/json-patch+json"
        )
        return await self._document(_Action("patch", resource.plural, namespace), request)

    async def delete_object(self, resource: Resource, namespace: str, name: str, *, with_dependents: bool = False) -> bool:
        """False where there was none of this name. A Job's pods stay unless they are to go `with_dependents`."""
        action = _Action("delete", resource.plural, namespace)
        query = {"propagationPolicy": "Background"} if with_dependents else {}
        return await self._if_there(action, self._request("DELETE", resource.path(namespace, name), query)) is not None

    async def pod_log(self, namespace: str, pod: str, container: str, *, lines: int, previous: bool = False) -> str:
        """The last lines that a container printed, or its previous start did."""
        query = {"container": container, "tailLines": str(lines), **({"previous": "true"} if previous else {})}
        request = self._request("GET", _PODS.path(namespace, f"{pod}/log"), query)
        async with self._response(_Action("get", "pods/log", namespace), request) as response:
            return (await response.read()).decode(errors="replace")

    async def follow_log(self, namespace: str, pod: str, container: str, *, since: str = "") -> AsyncGenerator[bytes, None]:
        """What a container prints, line by line, each with its time and a blank in front, until it ends or the server does.

        `since` is an RFC 3339 time; lines of that second come again. The last line may lack its newline.
        """
        query = {"container": container, "follow": "true", "timestamps": "true", **({"sinceTime": since} if since else {})}
        request = self._request("GET", _PODS.path(namespace, f"{pod}/log"), query, seconds=_LONGEST_LOG_SECONDS)
        async with self._response(_Action("get", "pods/log", namespace), request) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line + b"\n"
            if rest:
                yield rest

    def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, stdin: bool
    ) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """A websocket to a command in a container, without a terminal."""
        streams = {"stdin": stdin, "stdout": True, "stderr": True, "tty": False}
        query = [("container", container), *(("command", part) for part in command)]
        query += [(stream, str(wanted).lower()) for stream, wanted in streams.items()]
        return self._websocket(_Action("get and create", "pods/exec", namespace), _PODS.path(namespace, f"{pod}/exec"), query)

    def portforward(self, namespace: str, pod: str, port: int) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """A websocket to a port of a pod."""
        path = _PODS.path(namespace, f"{pod}/portforward")
        return self._websocket(_Action("get and create", "pods/portforward", namespace), path, [("ports", str(port))])

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        seconds: float = REQUEST_SECONDS,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        response: aiohttp.ClientResponse = await _send(
            self._rest, method, path, list((query or {}).items()), headers, body=body, seconds=seconds
        )
        return response

    async def _if_there(self, action: _Action, request: Any) -> Json | None:
        try:
            return await self._document(action, request)
        except Failed as failure:
            if failure.status == 404:
                return None
            raise

    async def _document(self, action: _Action, request: Any) -> Json:
        async with self._response(action, request) as response:
            document: Json = json.loads(await response.read())
            return document

    @asynccontextmanager
    async def _response(self, action: _Action, request: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._translated(action):
            response = await request
            async with response:
                if response.status >= 400:
                    raise self._refusal(action, response.status, _message(await response.read()))
                yield response

    @asynccontextmanager
    async def _websocket(
        self, action: _Action, path: str, query: Sequence[tuple[str, str]]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self._translated(action):
            websocket = await (await _send(self._websockets, "GET", path, query, {"Accept": "*/*"}))
        try:
            yield websocket
        finally:
            await websocket.close()

    @asynccontextmanager
    async def _translated(self, action: _Action) -> AsyncIterator[None]:
        try:
            yield
        except aiohttp.WSServerHandshakeError as error:
            raise self._refusal(action, error.status, "", by_node=_is_of_a_node(error)) from error
        except ApiException as error:
            raise self._refusal(action, error.status or 0, str(error.reason)) from error
        except aiohttp.ClientConnectorError as error:
            raise Failed(f"cannot reach {self._access.server}: {error}") from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Failed(f"the connection to {self._access.server} broke: {error or type(error).__name__}") from error

    def _refusal(self, action: _Action, status: int, message: str, *, by_node: bool = False) -> Exception:
        if status == 401:
            return ClusterError(
                f"{self._access.server} does not accept the credentials of context {self._access.context!r}",
                hint="log in anew, or have a new token made; `kubectl auth whoami` shows who you are",
            )
        if status == 403:
            return self._forbidden(action, message)
        return Failed(f"{action.verbs} {action.resource}: {status} {message}".rstrip(), status=status, by_node=by_node)

    def _forbidden(self, action: _Action, message: str) -> Forbidden:
        if action.namespace:
            role = _ROLES.get(f"{action.verbs} {action.resource}") or _ROLES.get(action.resource, _ROLE_OF_THE_OTHERS)
            where = f"namespace {action.namespace!r}"
            hint = f"overlays/rbac/{role} holds the Role that allows it; docs/rbac.md says how to bind it"
        else:
            where = "the whole cluster"
            hint = "that takes a ClusterRole, such as administrators have; or name a namespace"
        return Forbidden(
            f"forbidden: {action.verbs} on {action.resource} in {where} (context {self._access.context!r})"
            + (f": {message}" if message else ""),
            hint=hint,
        )


async def _send(
    client: ApiClient,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    *,
    body: object = None,
    seconds: float = REQUEST_SECONDS,
) -> Any:
    """What the client's `request` returns, sent with the user's credentials.

    The client has a class for each group of the API, which is not used: importing one takes longer than all of podcov does.
    """
    serialized = await client.param_serialize(
        method, path, query_params=list(query), header_params=dict(headers), body=body, auth_settings=["BearerToken"]
    )
    return (await client.call_api(*serialized, _preload_content=False, _request_timeout=seconds)).response


def _selected(selector: str) -> dict[str, str]:
    return {"labelSelector": selector} if selector else {}


def _changing(dry_run: bool) -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}


def _is_of_a_node(refusal: aiohttp.WSServerHandshakeError) -> bool:
    """A kubelet's refusal comes as its text, which cannot be had here; one of the API server, which did not reach it, is JSON."""
    kind = refusal.headers.get("Content-Type", "") if refusal.headers else ""
    return refusal.status == _INTERNAL_ERROR and not kind.startswith("application/json")


def _is_kubernetes_own(group: str) -> bool:
    """`apps`, `rbac.authorization.k8s.io`; projects beside it have groups such as `jobset.x-k8s.io`."""
    return "." not in group or (group.endswith(".k8s.io") and not group.endswith(".x-k8s.io"))


def _message(body: bytes) -> str:
    """What a refusal says: the API server's `Status`, else the text of whatever stands before it."""
    text = body.decode(errors="replace").strip()
    try:
        document = json.loads(text)
    except ValueError:
        return text[:200]
    return str(document.get("message", "")) if isinstance(document, dict) else text[:200]


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length; `StreamReader.readline` refuses those beyond its buffer."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line

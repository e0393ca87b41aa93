"""Asking engines and registries what an image runs.

A small registry speaks the documented protocol; programs stand in for docker and its credential helpers, and answer as those do.
What the real ones say is in tests/cluster/test_images.py.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from podcov.edges.images import credentials
from podcov.edges.images.credentials import Login
from podcov.edges.images.lookup import ImageLookup
from podcov.generate.images.commands import Unknown
from podcov.generate.images.dockerfile import Image

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.distribution.manifest."
CONFIG = {"Entrypoint": ["tini", "--"], "Cmd": ["python3", "app.py"], "Env": ["A=1"], "User": "1000"}


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Registry:
    """A registry of one repository, `team/app`. Requests are those that it got, as `GET /v2/...`."""

    port: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    """from a tag to its manifest's digest"""
    contents: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """from a digest to media type and content"""
    challenge: str = ""
    """what an unauthorized answer carries; `{root}` is this registry's address"""
    authorization: str = ""
    """the header that it wants"""
    tokens: dict[str, object] = field(default_factory=lambda: {"token": "t0ken"})
    odd: Callable[[web.Request], web.StreamResponse | None] = lambda _: None
    """answers in the registry's place"""
    requests: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    def push(self, content: object, media_type: str, *tags: str) -> str:
        encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = digest_of(encoded)
        self.contents[digest] = (media_type, encoded)
        self.tags.update(dict.fromkeys(tags, digest))
        return digest

    def push_image(self, config: object, *tags: str, media_type: str = f"{DOCKER}v2+json") -> str:
        blob = self.push({"architecture": "amd64", "os": "linux", "config": config}, "application/octet-stream")
        return self.push(
            {"schemaVersion": 2, "mediaType": media_type, "config": {"digest": blob}, "layers": []}, media_type, *tags
        )

    @property
    def name(self) -> str:
        return f"localhost:{self.port}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        if (odd := self.odd(request)) is not None:
            return odd
        if request.path == "/token":
            form = dict(await request.post())
            self.logins.append(f"{request.headers.get('Authorization', '')} {form}".strip())
            return web.json_response(self.tokens)
        if self.authorization and request.headers.get("Authorization") != self.authorization:
            challenge = self.challenge.replace("{root}", f"http://{self.name}")
            return web.Response(status=401, headers={"WWW-Authenticate": challenge} if challenge else {})
        kind, _, version = request.path.removeprefix("/v2/team/app/").partition("/")
        media_type, content = self.contents.get(self.tags.get(version, version), ("", b""))
        if not content or (kind == "manifests" and media_type not in request.headers["Accept"]):
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        return web.Response(body=content, headers={"Content-Type": media_type, "Docker-Content-Digest": digest_of(content)})


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Serves in a thread of its own, since whoever asks does so in another."""
    made, ready, loop = Registry(), threading.Event(), asyncio.new_event_loop()

    async def answer(request: web.Request) -> web.StreamResponse:
        return await made.answer(request)

    async def serve() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.port = runner.addresses[0][1]
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    yield made
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without engines, logins and proxies, to which tests add some."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "docker").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return Machine(tmp_path)


@dataclass(frozen=True)
class Machine:
    folder: Path

    def program(self, name: str, script: str) -> None:
        file = self.folder / "bin" / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def logins(self, **config: object) -> None:
        (self.folder / "docker" / "config.json").write_text(json.dumps(config))


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def reason(answer: Image | Unknown) -> str:
    assert isinstance(answer, Unknown), answer
    return answer.reason


def test_a_tag_is_asked_for(registry: Registry) -> None:
    registry.push_image(CONFIG, "v1")
    answer = ImageLookup()(f"{registry.name}/team/app:v1")
    assert answer == Image(
        "",
        entrypoint=("tini", "--"),
        cmd=("python3", "app.py"),
        env={"A": "1"},
        user="1000",
        said_by=f"the registry {registry.name} says so",
    )


def test_without_a_tag_it_is_latest_and_a_digest_wins(registry: Registry) -> None:
    registry.push_image({"Cmd": ["latest"]}, "latest")
    digest = registry.push_image({"Cmd": ["digest"]})
    lookup = ImageLookup()
    assert lookup(f"{registry.name}/team/app").command == ("latest",)  # type: ignore[union-attr]
    assert lookup(f"{registry.name}/team/app:latest@{digest}").command == ("digest",)  # type: ignore[union-attr]


@pytest.mark.parametrize("media_type", [f"{OCI}index.v1+json", f"{DOCKER}list.v2+json"])
@pytest.mark.parametrize(
    ("platforms", "machine_name", "chosen"),
    [
        (["linux/arm64", "linux/amd64"], "x86_64", "linux/amd64"),
        (["linux/amd64", "linux/arm64"], "aarch64", "linux/arm64"),
        (["linux/arm64", "linux/amd64"], "riscv64", "linux/amd64"),
        (["windows/amd64", "linux/s390x", "unknown/unknown"], "x86_64", "linux/s390x"),
    ],
)
def test_of_several_platforms_it_is_this_machine_s(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, media_type: str, platforms: list[str], machine_name: str, chosen: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine_name)
    listed = []
    for name in platforms:
        system, architecture = name.split("/")
        digest = registry.push_image({"Cmd": [name]}, media_type=f"{OCI}manifest.v1+json")
        listed.append({"digest": digest, "platform": {"os": system, "architecture": architecture}})
    registry.push({"schemaVersion": 2, "manifests": listed}, media_type, "v1")
    assert ImageLookup()(f"{registry.name}/team/app:v1").command == (chosen,)  # type: ignore[union-attr]


BEARER = 'Bearer realm="{root}/token",service="reg",scope="repository:team/app:pull"'


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_a_token_is_fetched_without_a_login_where_there_is_none(registry: Registry, key: str) -> None:
    registry.push_image(CONFIG, "v1")
    registry.challenge, registry.authorization, registry.tokens = BEARER, "Bearer t0ken", {key: "t0ken"}
    assert isinstance(ImageLookup()(f"{registry.name}/team/app:v1"), Image)
    assert registry.logins == ["{}"]
    assert registry.requests == [
        "GET /v2/team/app/manifests/v1",
        "GET /token?scope=repository:team/app:pull&service=reg",
        "GET /v2/team/app/manifests/v1",
        f"GET /v2/team/app/blobs/{next(iter(registry.contents))}",
    ]


def test_a_token_is_fetched_with_the_login_that_docker_keeps(registry: Registry, machine: Machine) -> None:
    registry.push_image(CONFIG, "v1")
    registry.challenge, registry.authorization = BEARER, "Bearer t0ken"
    machine.logins(auths={f"http://{registry.name}/v1/": {"auth": basic("me", "se:cret")}})
    assert isinstance(ImageLookup()(f"{registry.name}/team/app:v1"), Image)
    assert registry.logins == [f"Basic {basic('me', 'se:cret')} {{}}"]


def test_an_identity_token_is_exchanged(registry: Registry, machine: Machine) -> None:
    registry.push_image(CONFIG, "v1")
    registry.challenge, registry.authorization = BEARER, "Bearer t0ken"
    machine.logins(auths={registry.name: {"auth": basic("x", ""), "identitytoken": "long"}})
    assert isinstance(ImageLookup()(f"{registry.name}/team/app:v1"), Image)
    wanted = {"scope": "repository:team/app:pull", "service": "reg", "grant_type": "refresh_token", "client_id": "podcov"}
    assert registry.logins == [str({**wanted, "refresh_token": "long"})]


def test_a_registry_that_wants_a_password_gets_it(registry: Registry, machine: Machine) -> None:
    registry.push_image(CONFIG, "v1")
    registry.challenge, registry.authorization = 'Basic realm="here"', f"Basic {basic('me', 'secret')}"
    assert reason(ImageLookup()(f"{registry.name}/team/app:v1")).endswith("has no such image, or wants a login (`docker login`)")
    machine.logins(auths={registry.name: {"auth": basic("me", "secret")}})
    assert isinstance(ImageLookup()(f"{registry.name}/team/app:v1"), Image)


def test_the_password_does_not_follow_a_redirect(registry: Registry, machine: Machine) -> None:
    registry.push_image(CONFIG, "v1")
    registry.challenge, registry.authorization = 'Basic realm="here"', f"Basic {basic('me', 'secret')}"
    machine.logins(auths={registry.name: {"auth": basic("me", "secret")}})
    elsewhere: list[str] = []

    def storage(request: web.Request) -> web.StreamResponse | None:
        if "/blobs/" in request.path and request.host == registry.name:
            raise web.HTTPFound(f"http://127.0.0.1:{registry.port}/stored/{request.path.rpartition('/')[2]}")
        if request.path.startswith("/stored/"):
            elsewhere.append(request.headers.get("Authorization", ""))
            return web.Response(body=registry.contents[request.path.rpartition("/")[2]][1])
        return None

    registry.odd = storage
    assert isinstance(ImageLookup()(f"{registry.name}/team/app:v1"), Image)
    assert elsewhere == [""]


def raw(body: bytes, status: int = 200) -> Callable[[web.Request], web.StreamResponse]:
    return lambda _: web.Response(body=body, status=status)


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (raw(b"", 404), "has no such image"),
        (raw(b"", 403), "has no such image, or wants a login (`docker login`)"),
        (raw(b"", 401), "has no such image, or wants a login (`docker login`)"),
        (raw(b"", 429), "answers with status 429"),
        (raw(b"", 500), "answers with status 500"),
        (raw(b"<html>a portal</html>"), "answers what no registry would"),
        (raw(b"[]"), "answers what no registry would"),
        (raw(b"[" * 100_000), "answers what no registry would"),
        (raw(b" " * (4 * 2**20 + 1)), "answers what no registry would"),
        (raw(b'{"schemaVersion": 1, "history": []}'), "has the image in a format that is no image's, or is older than 2016"),
        (raw(b'{"config": {"digest": 5}}'), "has the image in a format that is no image's, or is older than 2016"),
        (raw(b'{"manifests": 5}'), "has the image for no Linux"),
        (raw(b'{"manifests": [5, {"platform": 5}, {"platform": {"os": "linux"}}]}'), "has the image for no Linux"),
        (raw(b'{"config": {"digest": "sha256:00"}}'), "answers something else than sha256:00"),
    ],
)
def test_every_odd_answer_is_a_reason(registry: Registry, odd: Callable[[web.Request], web.StreamResponse], why: str) -> None:
    registry.odd = odd
    assert reason(ImageLookup()(f"{registry.name}/team/app:v1")) == f"the registry {registry.name} {why}"


@pytest.mark.parametrize(
    ("challenge", "tokens", "why"),
    [
        ('Bearer realm="ftp://elsewhere/token"', {}, "sends logins to ftp://elsewhere/token, which is not safe"),
        ("Bearer nonsense", {}, "sends logins to nowhere, which is not safe"),
        (BEARER, {"expires_in": 5}, "answers what no registry would"),
        (BEARER, {"token": "another"}, "has no such image, or wants a login (`docker login`)"),
        ("Negotiate", {}, "has no such image, or wants a login (`docker login`)"),
    ],
)
def test_every_odd_challenge_is_a_reason(registry: Registry, challenge: str, tokens: dict[str, object], why: str) -> None:
    registry.challenge, registry.authorization, registry.tokens = challenge, "Bearer t0ken", tokens
    assert reason(ImageLookup()(f"{registry.name}/team/app:v1")) == f"the registry {registry.name} {why}"


def test_a_registry_that_never_answers_is_waited_for_once(registry: Registry) -> None:
    asked = threading.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    registry.answer = silent  # type: ignore[method-assign]
    lookup = ImageLookup(seconds=0.2)
    first = reason(lookup(f"{registry.name}/team/app:v1"))
    assert first == f"the registry {registry.name} did not answer within 0.2 seconds"
    asked.clear()
    assert reason(lookup(f"{registry.name}/team/other:v1")) == first
    assert not asked.is_set()


def test_nobody_listens() -> None:
    assert reason(ImageLookup()("localhost:1/team/app")) == "the registry localhost:1 cannot be reached"


def test_another_machine_s_registry_is_asked_with_https_only(registry: Registry) -> None:
    registry.push_image(CONFIG, "v1")
    assert reason(ImageLookup()(f"localhost.localdomain:{registry.port}/team/app:v1")).endswith("cannot be reached")
    assert registry.requests == []


def test_the_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(2**16).splitlines()[0])
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        answer = ImageLookup()("registry.example/team/app")
        thread.join(10)
    assert reason(answer) == "the registry registry.example cannot be reached"
    assert asked == [b"CONNECT registry.example:443 HTTP/1.1"]


def test_what_is_no_name_is_nobody_s(machine: Machine) -> None:
    machine.program("docker", f"touch {machine.folder}/asked")
    assert reason(ImageLookup()("--help")) == "'--help' is no image name"
    assert not (machine.folder / "asked").exists()


def test_each_image_is_asked_for_once(registry: Registry) -> None:
    registry.push_image(CONFIG, "v1")
    lookup = ImageLookup()
    answers = [lookup(f"{registry.name}/team/app:{tag}") for tag in ("v1", "v1", "v2", "v2")]
    assert len(registry.requests) == 3
    assert answers[0] is answers[1]
    assert answers[2] is answers[3]


INSPECTED = json.dumps([{"Id": "sha256:1", "Config": CONFIG}])


@pytest.mark.parametrize("program", ["docker", "podman"])
def test_an_engine_of_this_machine_is_asked_first(registry: Registry, machine: Machine, program: str) -> None:
    machine.program(program, f'[ "$*" = "image inspect {registry.name}/team/app:v1" ] && echo \'{INSPECTED}\'')
    answer = ImageLookup()(f"{registry.name}/team/app:v1")
    assert isinstance(answer, Image)
    assert (answer.command, answer.said_by) == (("tini", "--", "python3", "app.py"), f"{program} has the image")
    assert registry.requests == []


@pytest.mark.parametrize(
    "script",
    [
        "echo []; echo 'Error: No such image' >&2; exit 1",
        "echo nonsense",
        "echo []",
        "echo '[{}]'",
        "echo '[{\"Config\": 5}]'",
        "echo 5",
    ],
)
def test_an_engine_that_does_not_have_it_leaves_it_to_the_next(registry: Registry, machine: Machine, script: str) -> None:
    registry.push_image(CONFIG, "v1")
    machine.program("docker", script)
    answer = ImageLookup()(f"{registry.name}/team/app:v1")
    assert isinstance(answer, Image)
    assert answer.said_by == f"the registry {registry.name} says so"


HELPER = 'read server; [ "$1 $server" = "get {server}" ] && echo \'{answer}\''


@pytest.mark.parametrize(
    ("registry_name", "config", "server", "login"),
    [
        ("ghcr.io", {"auths": {"ghcr.io": {"auth": basic("me", "secret")}}}, "", Login("me", "secret")),
        ("ghcr.io", {"auths": {"https://ghcr.io/v2/": {"auth": basic("me", "secret")}}}, "", Login("me", "secret")),
        ("docker.io", {"auths": {"https://index.docker.io/v1/": {"auth": basic("me", "secret")}}}, "", Login("me", "secret")),
        ("ghcr.io", {"auths": {"ghcr.io": {"auth": "", "identitytoken": "t"}}}, "", Login(token="t")),
        ("ghcr.io", {"auths": {"quay.io": {"auth": basic("me", "secret")}}}, "", None),
        ("ghcr.io", {"credsStore": "test"}, "ghcr.io", Login("helper", "password")),
        ("docker.io", {"credsStore": "test"}, "https://index.docker.io/v1/", Login("helper", "password")),
        ("ghcr.io", {"credHelpers": {"ghcr.io": "test"}, "credsStore": "none"}, "ghcr.io", Login("helper", "password")),
        ("ghcr.io", {"credHelpers": {"quay.io": "test"}}, "quay.io", None),
        ("ghcr.io", {"credsStore": "test", "auths": {"ghcr.io": {}}}, "quay.io", None),
        ("ghcr.io", {"credsStore": "none", "auths": {"ghcr.io": {"auth": basic("me", "secret")}}}, "", Login("me", "secret")),
        ("ghcr.io", {"auths": {"ghcr.io": {"auth": "%%%"}}}, "", None),
        ("ghcr.io", {"auths": {"ghcr.io": 5}, "credsStore": 5, "credHelpers": []}, "", None),
        ("ghcr.io", [], "", None),
    ],
)
def test_logins_that_docker_keeps(machine: Machine, registry_name: str, config: Any, server: str, login: Login | None) -> None:
    (machine.folder / "docker" / "config.json").write_text(json.dumps(config))
    answer = json.dumps({"ServerURL": server, "Username": "helper", "Secret": "password"})
    machine.program("docker-credential-test", HELPER.replace("{server}", server).replace("{answer}", answer))
    assert credentials.login(registry_name) == login


@pytest.mark.parametrize(
    ("answer", "login"),
    [
        ('echo \'{"Username": "<token>", "Secret": "t"}\'', Login(token="t")),
        ("echo credentials not found in native keychain; exit 1", None),
        ("echo nonsense", None),
        ("echo '{}'", None),
    ],
)
def test_answers_of_helpers(machine: Machine, answer: str, login: Login | None) -> None:
    machine.logins(credsStore="test")
    machine.program("docker-credential-test", answer)
    assert credentials.login("ghcr.io") == login


def test_no_docker_at_all_is_no_login(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert credentials.login("ghcr.io") is None
    (machine.folder / "docker" / "config.json").write_text("nonsense")
    assert credentials.login("ghcr.io") is None


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(Login("me", "secret", "secret"))

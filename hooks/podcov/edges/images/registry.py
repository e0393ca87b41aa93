"""A small client of the OCI distribution API: from an image's name to its configuration, a few kilobytes in all."""

from __future__ import annotations

import asyncio
import hashlib
import json
import platform
import re
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from podcov.edges.images.credentials import Login
from podcov.generate.images import config as image_config
from podcov.generate.images.commands import Unknown
from podcov.generate.images.dockerfile import Image
from podcov.generate.images.names import DOCKER_HUB, Reference

_HUB_API = "registry-1.docker.io"
_LOCAL = ("localhost", "127.0.0.1", "::1")
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_LARGEST_ANSWER = 4 * 2**20
"""bytes; what registries themselves take for a manifest"""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CHALLENGE = re.compile(r"(?P<scheme>Bearer|Basic)\s+(?P<rest>[^\n]*)", re.IGNORECASE)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class _SaysNothingError(Exception):
    """The answer is not what was asked for; the text says why, for people."""


async def image(reference: Reference, login: Login | None, *, seconds: float) -> Image | Unknown:
    """What the registry says of an image, for this machine's platform where it has several. Never raises."""
    who = f"the registry {reference.registry}"
    try:
        async with asyncio.timeout(seconds), aiohttp.ClientSession(headers={"User-Agent": "podcov"}) as session:
            config = await _Registry(session, reference, login, who).config()
    except _SaysNothingError as error:
        return Unknown(str(error))
    except TimeoutError:
        return Unknown(f"{who} did not answer within {seconds:g} seconds", silent=True)
    except (aiohttp.ClientError, OSError):
        return Unknown(f"{who} cannot be reached", silent=True)
    return image_config.read(config, said_by=f"{who} says so")


class _Registry:
    """One image of one registry."""

    def __init__(self, session: aiohttp.ClientSession, reference: Reference, login: Login | None, who: str) -> None:
        self._session, self._reference, self._login, self._who = session, reference, login, who
        host = urlsplit(f"//{reference.registry}").hostname
        self._scheme = "http" if host in _LOCAL else "https"
        api = _HUB_API if reference.registry == DOCKER_HUB else reference.registry
        self._root = f"{self._scheme}://{api}/v2/{reference.repository}"
        self._authorization: dict[str, str] = {}

    async def config(self) -> Mapping[str, Any]:
        """The `config` of the image's configuration."""
        manifest = await self._document("manifests", self._reference.version)
        if "manifests" in manifest:
            manifest = await self._document("manifests", self._for_this_machine(manifest["manifests"]))
        blob = manifest.get("config")
        digest = blob.get("digest") if isinstance(blob, dict) else None
        if not isinstance(digest, str):
            raise _SaysNothingError(f"{self._who} has the image in a format that is no image's, or is older than 2016")
        document = await self._document("blobs", digest)
        config = document.get("config")
        return config if isinstance(config, dict) else {}

    def _for_this_machine(self, manifests: Any) -> str:
        listed = [m for m in manifests if isinstance(m, dict)] if isinstance(manifests, list) else []
        of_linux = {_platform(m): str(m.get("digest", "")) for m in reversed(listed) if _platform(m).startswith("linux/")}
        machine = platform.machine()
        wanted = (f"linux/{_ARCHITECTURES.get(machine, machine)}", "linux/amd64", *of_linux)
        digest = next((of_linux[name] for name in wanted if of_linux.get(name)), "")
        if not digest:
            raise _SaysNothingError(f"{self._who} has the image for no Linux")
        return digest

    async def _document(self, kind: str, version: str) -> Mapping[str, Any]:
        content = await self._get(f"{self._root}/{kind}/{version}")
        algorithm, _, digest = version.partition(":")
        if algorithm == "sha256" and hashlib.sha256(content).hexdigest() != digest:
            raise _SaysNothingError(f"{self._who} answers something else than {version}")
        return self._mapping(content)

    def _mapping(self, content: bytes) -> Mapping[str, Any]:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise _SaysNothingError(f"{self._who} answers what no registry would")
        return document

    async def _get(self, url: str) -> bytes:
        status, content, challenge = await self._request(url)
        if status == 401 and not self._authorization:
            self._authorization = await self._authorize(challenge)
            status, content, _ = await self._request(url)
        if status == 200:
            return content
        raise _SaysNothingError(self._refusal(status))

    async def _request(self, url: str) -> tuple[int, bytes, str]:
        """Status, content and challenge. A redirect, as registries give for blobs, goes without our authorization elsewhere."""
        headers = {"Accept": _MANIFESTS, **self._authorization}
        async with self._session.get(url, headers=headers, proxy=_proxy(url)) as response:
            content = await self._content(response) if response.status == 200 else b""
            return response.status, content, "\n".join(response.headers.getall("WWW-Authenticate", ()))

    async def _content(self, response: aiohttp.ClientResponse) -> bytes:
        content = b""
        async for chunk in response.content.iter_chunked(2**16):
            content += chunk
            if len(content) > _LARGEST_ANSWER:
                raise _SaysNothingError(f"{self._who} answers what no registry would")
        return content

    def _refusal(self, status: int) -> str:
        match status:
            case 401 | 403:
                return f"{self._who} has no such image, or wants a login (`docker login`)"
            case 404:
                return f"{self._who} has no such image"
        return f"{self._who} answers with status {status}"

    async def _authorize(self, challenge: str) -> dict[str, str]:
        """The header that the challenge of an unauthorized answer asks for. Empty where there is nothing to answer it with."""
        found = {m["scheme"].lower(): dict(_PARAMETER.findall(m["rest"])) for m in _CHALLENGE.finditer(challenge)}
        if "bearer" in found:
            token = await self._token(found["bearer"])
            return {"Authorization": f"Bearer {token}"}
        if "basic" in found and self._login and self._login.user:
            return {"Authorization": aiohttp.encode_basic_auth(self._login.user, self._login.password)}
        return {}

    async def _token(self, asked: Mapping[str, str]) -> str:
        realm = asked.get("realm", "")
        if not realm.startswith(("https://", f"{self._scheme}://")):
            raise _SaysNothingError(f"{self._who} sends logins to {realm or 'nowhere'}, which is not safe")
        service, scope = asked.get("service", ""), asked.get("scope") or f"repository:{self._reference.repository}:pull"
        wanted = {"scope": scope, **({"service": service} if service else {})}
        method, headers, form = "GET", {}, None
        if self._login and self._login.token:
            method = "POST"
            form = {**wanted, "grant_type": "refresh_token", "client_id": "podcov", "refresh_token": self._login.token}
        elif self._login:
            headers["Authorization"] = aiohttp.encode_basic_auth(self._login.user, self._login.password)
        parameters = None if form else wanted
        request = self._session.request(method, realm, params=parameters, data=form, headers=headers, proxy=_proxy(realm))
        async with request as response:
            if response.status != 200:
                raise _SaysNothingError(self._refusal(response.status))
            document = self._mapping(await self._content(response))
        token = document.get("token") or document.get("access_token")
        if not isinstance(token, str):
            raise _SaysNothingError(f"{self._who} answers what no registry would")
        return token


def _platform(manifest: Mapping[str, Any]) -> str:
    of = manifest.get("platform")
    return f"{of.get('os')}/{of.get('architecture')}" if isinstance(of, dict) else ""


def _proxy(url: str) -> str | None:
    """As curl and docker have it: HTTPS_PROXY and its like, and NO_PROXY; never for this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in _LOCAL or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)

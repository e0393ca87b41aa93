"""The logins that Docker keeps for registries: in its `config.json`, or with the helpers that this names."""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podcov.generate.images.names import DOCKER_HUB

_HUB_KEY = "https://index.docker.io/v1/"
"""what Docker itself calls its hub where it keeps logins"""
_HUB_HOSTS = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")
_HELPER_SECONDS = 3.0
_TOKEN_USER = "<token>"  # noqa: S105 no password: helpers say with it that the secret is an identity token


@dataclass(frozen=True, slots=True)
class Login:
    """`token` is an identity token, which some registries give out in place of a password."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def login(registry: str) -> Login | None:
    """The login for a registry; None where there is none, or where the helper that has it does not give it out."""
    config = _docker_config()
    helper = _mapping(config.get("credHelpers")).get(registry) or config.get("credsStore")
    if isinstance(helper, str) and helper:
        found = _from_helper(helper, _HUB_KEY if registry == DOCKER_HUB else registry)
        if found:
            return found
    for key, entry in _mapping(config.get("auths")).items():
        if _host(key) == registry and isinstance(entry, dict) and (kept := _kept(entry)):
            return kept
    return None


def _docker_config() -> Mapping[str, Any]:
    folder = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    try:
        return _mapping(json.loads(Path(folder, "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _from_helper(name: str, server: str) -> Login | None:
    command = [f"docker-credential-{name}", "get"]
    try:
        done = subprocess.run(command, input=server.encode(), capture_output=True, timeout=_HELPER_SECONDS, check=True)
        answer = _mapping(json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    user, secret = str(answer.get("Username", "")), str(answer.get("Secret", ""))
    if not secret:
        return None
    return Login(token=secret) if user == _TOKEN_USER else Login(user, secret)


def _kept(entry: Mapping[str, Any]) -> Login | None:
    if token := entry.get("identitytoken"):
        return Login(token=str(token))
    try:
        user, colon, password = base64.b64decode(str(entry.get("auth", ""))).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Login(user, password.strip("\0")) if colon else None


def _host(key: str) -> str:
    host = key.partition("://")[2] or key
    host = host.partition("/")[0]
    return DOCKER_HUB if host in _HUB_HOSTS else host


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

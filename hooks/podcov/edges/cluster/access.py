"""Getting to a cluster: which kubeconfig, context, credentials and namespace, and what to do where one of them is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio import config as kubeconfig
from kubernetes.aio.client import Configuration

from podcov.errors import ClusterError

IN_CLUSTER = "in-cluster"
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Access:
    """A way into one cluster."""

    configuration: Any
    """the client's `Configuration`"""
    context: str
    namespace: str
    """the context's own; `default` where it has none"""

    @property
    def server(self) -> str:
        return str(self.configuration.host)


@dataclass(frozen=True, slots=True)
class _Context:
    namespace: str
    user: Mapping[str, Any]


async def find(context: str = "", environ: Mapping[str, str] = os.environ) -> Access:
    """The cluster of `context`, of the current one where that is empty, or the one that this process runs in.

    Raises ClusterError where there is no kubeconfig, no such context, or it cannot be used.
    """
    paths = _candidates(environ)
    present = [path for path in paths if path.is_file()]
    if not present:
        if not context and environ.get("KUBERNETES_SERVICE_HOST") and (_SERVICE_ACCOUNT / "token").is_file():
            return _in_cluster()
        raise _no_kubeconfig(paths, environ)
    contexts, current = _read(present)
    chosen = context or current
    if not chosen:
        raise ClusterError(
            f"{_names(present)}: no context is current", hint=f"name one with --context: {_names(contexts) or 'there is none'}"
        )
    if chosen not in contexts:
        raise ClusterError(
            f"{_names(present)}: there is no context {chosen!r}",
            hint=f"contexts: {_names(contexts) or 'none'}; name one with --context, or `context` in podcov.yaml",
        )
    return Access(await _load(present, chosen, contexts[chosen]), chosen, contexts[chosen].namespace or "default")


def _candidates(environ: Mapping[str, str]) -> list[Path]:
    if listed := environ.get("KUBECONFIG"):
        return [Path(path).expanduser() for path in listed.split(os.pathsep) if path]
    return [Path(environ.get("HOME") or "~").expanduser() / ".kube" / "config"]


def _no_kubeconfig(paths: Sequence[Path], environ: Mapping[str, str]) -> ClusterError:
    origin = "named by KUBECONFIG" if environ.get("KUBECONFIG") else "KUBECONFIG is not set"
    return ClusterError(
        f"no kubeconfig: {_names(paths)} does not exist ({origin})",
        hint="set KUBECONFIG to the cluster's file; where `kubectl get pods` works, podcov does; "
        "without a cluster, `platform: local` in podcov.yaml runs the services here",
    )


def _in_cluster() -> Access:
    configuration = _configuration()
    try:
        kubeconfig.load_incluster_config(client_configuration=configuration)
        namespace = (_SERVICE_ACCOUNT / "namespace").read_text().strip()
    except (kubeconfig.ConfigException, OSError) as error:
        raise ClusterError(f"the pod's service account cannot be used: {error}", hint="set KUBECONFIG instead") from error
    return Access(configuration, IN_CLUSTER, namespace)


def _read(paths: Sequence[Path]) -> tuple[dict[str, _Context], str]:
    """The contexts of all files, and the current one. As for kubectl, what comes first wins."""
    contexts: dict[str, _Context] = {}
    references: dict[str, tuple[str, str]] = {}
    users: dict[str, Mapping[str, Any]] = {}
    current = ""
    for path in paths:
        document = _document(path)
        current = current or document.get("current-context") or ""
        for user in document.get("users") or ():
            users.setdefault(user["name"], user.get("user") or {})
        for context in document.get("contexts") or ():
            body = context.get("context") or {}
            references.setdefault(context["name"], (body.get("namespace") or "", body.get("user") or ""))
    for name, (namespace, user_name) in references.items():
        contexts[name] = _Context(namespace, users.get(user_name, {}))
    return contexts, current


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unusable([path], error) from error
    if not isinstance(document, dict) or not all(_is_named_list(document.get(key)) for key in ("contexts", "users", "clusters")):
        raise _unusable([path], "it is no kubeconfig")
    return document


def _is_named_list(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value))


async def _load(paths: Sequence[Path], context: str, chosen: _Context) -> Any:
    configuration = _configuration()
    try:
        loader = await kubeconfig.load_kube_config(
            config_file=os.pathsep.join(map(str, paths)),
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except (kubeconfig.ConfigException, OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise _unusable(paths, error, context) from error
    if "exec" in chosen.user:
        if not configuration.api_key and not configuration.cert_file:
            command = (chosen.user["exec"] or {}).get("command")
            raise _unusable(paths, f"its credential plugin {command!r} gave no credentials", context)
        configuration.refresh_api_key_hook = _refresher(loader)
    if configuration.proxy:
        # The REST calls take the proxy from the configuration, the websockets only from their session.
        configuration.client_session_kwargs = {"proxy": configuration.proxy}
    return configuration


def _refresher(loader: Any) -> Any:
    async def refresh(configuration: Any) -> None:
        # Without an expiry the plugin would be run before every request.
        if hasattr(loader, "exec_plugin_expiry"):
            await loader.load_from_exec_plugin()
            configuration.api_key["BearerToken"] = loader.token

    return refresh


def _configuration() -> Any:
    configuration = Configuration()
    # As strict as kubectl: Python 3.13 refuses authorities that lack a key usage, as many clusters' own do.
    configuration.disable_strict_ssl_verification = True
    configuration.connection_pool_maxsize = 0
    return configuration


def _unusable(paths: Sequence[Path], why: object, context: str = "") -> ClusterError:
    where = f"{_names(paths)}, context {context!r}" if context else _names(paths)
    return ClusterError(f"{where}: cannot be used: {why}", hint="check it with `kubectl config view` and `kubectl get pods`")


def _names(things: Iterable[object]) -> str:
    return ", ".join(map(str, things))

"""Which cluster is meant, and what people are told where it cannot be found."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from podcov.edges.cluster import access as cluster_access
from podcov.edges.cluster.access import Access
from podcov.errors import ClusterError, Exit

USERS: dict[str, dict[str, Any]] = {"somebody": {"token": "secret"}}


def kubeconfig(
    path: Path,
    *contexts: str,
    current: str = "",
    namespace: str = "",
    users: dict[str, dict[str, Any]] | None = None,
    **cluster: Any,
) -> Path:
    """A kubeconfig whose contexts all lead to a cluster of the same name."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "contexts": [{"name": c, "context": {"cluster": c, "user": "somebody", "namespace": namespace}} for c in contexts],
        "clusters": [{"name": c, "cluster": {"server": f"https://{c}.example:6443", **cluster}} for c in contexts],
        "users": [{"name": name, "user": user} for name, user in (users or USERS).items()],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def find(*paths: Path, context: str = "", **environ: str) -> Access:
    return asyncio.run(cluster_access.find(context, {"KUBECONFIG": os.pathsep.join(map(str, paths)), **environ}))


def refusal(*paths: Path, context: str = "", **environ: str) -> ClusterError:
    with pytest.raises(ClusterError) as caught:
        find(*paths, context=context, **environ)
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.hint
    return caught.value


def test_the_current_context_its_server_token_and_namespace(tmp_path: Path) -> None:
    access = find(kubeconfig(tmp_path / "config", "dev", "prod", current="dev", namespace="shop"))
    assert (access.context, access.server, access.namespace) == ("dev", "https://dev.example:6443", "shop")
    assert access.configuration.api_key == {"BearerToken": "Bearer secret"}


def test_a_named_context_wins_and_default_is_the_namespace_of_one_without(tmp_path: Path) -> None:
    access = find(kubeconfig(tmp_path / "config", "dev", "prod", current="dev"), context="prod")
    assert (access.context, access.server, access.namespace) == ("prod", "https://prod.example:6443", "default")


def test_of_several_files_the_first_that_says_something_wins(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "first", "dev", current="dev")
    second = kubeconfig(tmp_path / "second", "prod", current="prod")
    assert find(tmp_path / "missing", first, second).context == "dev"
    assert find(first, second, context="prod").server == "https://prod.example:6443"


def test_the_file_in_the_home_folder_is_the_default(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", "dev", current="dev")
    assert find(HOME=str(tmp_path)).context == "dev"


def test_no_kubeconfig_names_where_it_was_looked_for(tmp_path: Path) -> None:
    named = refusal(tmp_path / "nowhere")
    assert named.message == f"no kubeconfig: {tmp_path}/nowhere does not exist (named by KUBECONFIG)"
    unset = refusal(HOME=str(tmp_path))
    assert unset.message == f"no kubeconfig: {tmp_path}/.kube/config does not exist (KUBECONFIG is not set)"
    assert "platform: local" in unset.hint


def test_no_such_context_names_those_that_there_are(tmp_path: Path) -> None:
    error = refusal(kubeconfig(tmp_path / "config", "dev", "prod", current="dev"), context="pord")
    assert error.message == f"{tmp_path}/config: there is no context 'pord'"
    assert "contexts: dev, prod" in error.hint


def test_no_current_context(tmp_path: Path) -> None:
    error = refusal(kubeconfig(tmp_path / "config", "dev"))
    assert error.message == f"{tmp_path}/config: no context is current"
    assert "--context: dev" in error.hint


@pytest.mark.parametrize("text", ["", "just text", "a: [", "contexts: [{context: {}}]", "contexts: 5", "\x00"])
def test_what_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    assert refusal(tmp_path / "config").message.startswith(f"{tmp_path}/config: cannot be used: ")


def test_a_cluster_that_is_not_there_and_a_certificate_that_is_missing(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", "dev", current="dev", **{"certificate-authority": "nowhere.crt"})
    assert "nowhere.crt" in refusal(path).message
    document = yaml.safe_load(path.read_text())
    document["clusters"] = []
    path.write_text(yaml.safe_dump(document))
    assert refusal(path).message.startswith(f"{path}, context 'dev': cannot be used: ")


def plugin(folder: Path, script: str) -> dict[str, dict[str, Any]]:
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"somebody": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(path)}}}


def test_a_credential_plugin_is_asked(tmp_path: Path) -> None:
    answer = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "fresh"}}'
    users = plugin(tmp_path, f"echo '{answer}'")
    access = find(kubeconfig(tmp_path / "config", "dev", current="dev", users=users))
    assert access.configuration.api_key == {"BearerToken": "Bearer fresh"}


def test_a_credential_plugin_that_fails_is_named(tmp_path: Path) -> None:
    users = plugin(tmp_path, "exit 3")
    error = refusal(kubeconfig(tmp_path / "config", "dev", current="dev", users=users))
    assert f"its credential plugin '{tmp_path}/plugin' gave no credentials" in error.message

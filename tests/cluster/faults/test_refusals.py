"""What podcov cannot do anything with: an exit code, and a message that says what, where, and what to do."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml


def told(app: Any, expected: int, *parts: str, env: Mapping[str, str] | None = None) -> None:
    result = app.run("true", env=env)
    message = " ".join(result.stderr.split())
    assert result.exit_code == expected, result
    assert [part for part in parts if part not in message] == [], message


@pytest.mark.deployed("present")
class TestRefusals:
    def test_no_pod(self, app: Any) -> None:
        app.configure(service={"workload": "deployment/absent"}, port_forwards=[])
        told(
            app,
            5,
            f"namespace {app.space.name}",
            "looked for present (deployment/absent)",
            f"pods there: {app.space.name}/",
            "`kubectl get pods --show-labels`",
        )

    def test_a_container_that_does_not_exist(self, app: Any) -> None:
        app.configure(service={"container": "ap"})
        told(app, 2, "services.present.container", f"{app.space.name}/{app.pod()} has no container 'ap'", "its containers: app")

    def test_a_port_in_use(self, app: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            app.configure(port_forwards=[{"resource": f"deployment/{app.name}", "port": 8080, "local_port": port}])
            told(app, 2, str(port), "in use")

    @pytest.mark.parametrize(
        ("rights", "refused", "role"),
        [
            ("get", "list on pods", "overlays/rbac/podcov.yaml"),
            ("get,list,watch", "get and create on pods/exec", "overlays/rbac/podcov.yaml"),
        ],
    )
    def test_forbidden(self, app: Any, rights: str, refused: str, role: str, tmp_path: Path) -> None:
        kubeconfig = limited(app.space, rights, tmp_path)
        done = app.space.cluster.run(
            *(Path(sys.executable).parent / "podcov", "run", "-n", app.space.name, "--", "true"),
            cwd=app.folder,
            env={"KUBECONFIG": str(kubeconfig)},
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert f"forbidden: {refused} in namespace '{app.space.name}'" in done.stderr
        assert role in done.stderr


def limited(space: Any, verbs: str, folder: Path) -> Path:
    """The kubeconfig of an account that may do only this with pods."""
    account = "only-" + verbs.replace(",", "-")
    space.kubectl("create", "serviceaccount", account)
    space.kubectl("create", "role", account, "--resource=pods", f"--verb={verbs}")
    space.kubectl("create", "rolebinding", account, f"--role={account}", f"--serviceaccount={space.name}:{account}")
    config = yaml.safe_load((space.folder / "podcov.kubeconfig").read_text())
    config["users"][0]["user"]["token"] = space.kubectl("create", "token", account).strip()
    path = folder / "limited.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path

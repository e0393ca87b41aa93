"""The cluster is what the other tests take it for: what they find is then about podcov."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

SERVER = """
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(sys.argv[1].encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
CLIENT = """
import os, time, urllib.request
while True:
    try:
        print(urllib.request.urlopen(f"http://{os.environ['SERVER_SERVICE_HOST']}:80", timeout=10).read().decode())
        break
    except OSError:
        time.sleep(0.1)
"""
SIDECAR = """
import signal
def tell(*_):
    print(open("/shared/app").read())
    raise SystemExit
signal.signal(signal.SIGTERM, tell)
open("/shared/ready", "w").close()
while True:
    signal.pause()
"""
WITHOUT_PRIVILEGES = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec},
    }


def container(name: str, image: str, *arguments: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": image, "command": ["python3", "-c", *arguments], **more}


@pytest.mark.parametrize("version", ["3.11", "3.13", "3.14"])
def test_each_python_is_pulled_from_the_registry_and_reached_by_exec(cluster: Any, namespace: Any, version: str) -> None:
    namespace.apply(pod("sleeper", container("app", cluster.image(f"python:{version}"), "import time; time.sleep(3600)")))
    namespace.kubectl("wait", "--for=condition=Ready", "pod/sleeper", "--timeout=110s")

    answer = namespace.kubectl("exec", "sleeper", "--", "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")

    assert answer.strip() == version


def test_a_pod_reaches_another_through_a_service(cluster: Any, namespace: Any, wait_until: Callable[..., object]) -> None:
    image = cluster.image("python:3.13")
    service = {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]}
    namespace.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"}, "spec": service})
    probe = {"httpGet": {"port": 8080}, "periodSeconds": 1}
    namespace.apply(pod("server", container("app", image, SERVER, "hello from a pod", readinessProbe=probe)))
    namespace.kubectl("wait", "--for=condition=Ready", "pod/server", "--timeout=110s")

    # A ready pod may have no route to it yet: the client asks until it has.
    namespace.apply(pod("client", container("app", image, CLIENT), restartPolicy="Never"))
    wait_until(lambda: namespace.kubectl("logs", "client", check=False).strip() == "hello from a pod", 120, "the Service answers")


def test_a_restricted_namespace_refuses_a_privileged_pod_and_runs_an_unprivileged_one(
    cluster: Any, restricted_namespace: Any
) -> None:
    image = cluster.image("python:3.13")
    refused = cluster.run(
        *("kubectl", "--namespace", restricted_namespace.name, "apply", "--filename", "-"),
        stdin=json.dumps(pod("greedy", container("app", image, "pass"))),
        check=False,
    )
    assert 'violates PodSecurity "restricted' in refused.stderr

    modest = container("app", image, "import os; print(os.getuid())", securityContext=WITHOUT_PRIVILEGES)
    restricted_namespace.apply(pod("modest", modest, restartPolicy="Never"))
    restricted_namespace.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/modest", "--timeout=110s")
    assert restricted_namespace.kubectl("logs", "modest").strip() == "65532"


def test_a_native_sidecar_starts_before_the_app_and_outlives_it(cluster: Any, namespace: Any) -> None:
    image = cluster.image("python:3.13")
    volume = {"volumes": [{"name": "shared", "emptyDir": {}}], "restartPolicy": "Never"}
    mounts = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    sidecar = container("sidecar", image, SIDECAR, restartPolicy="Always", **mounts)
    sidecar["startupProbe"] = {"exec": {"command": ["python3", "-c", "open('/shared/ready')"]}, "periodSeconds": 1}
    sidecar["startupProbe"] |= {"timeoutSeconds": 10, "failureThreshold": 100}
    app = container("app", image, "open('/shared/ready'); open('/shared/app', 'w').write('the app is done')", **mounts)
    namespace.apply(pod("pair", app, initContainers=[sidecar], **volume))
    namespace.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/pair", "--timeout=110s")

    assert namespace.kubectl("logs", "pair", "--container", "sidecar").strip() == "the app is done"


def test_the_bare_image_has_python_and_what_the_examples_need_and_no_other_command(cluster: Any, namespace: Any) -> None:
    look = """
import flask, importlib.util, os, shutil, sqlite3, ssl
folders = [folder for folder in ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin") if os.path.isdir(folder)]
commands = {name for folder in folders for name in os.listdir(folder) if not name.startswith("python3")}
print(commands, importlib.util.find_spec("coverage"))
"""
    namespace.apply(pod("bare", container("app", cluster.image("python:bare"), look), restartPolicy="Never"))
    namespace.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/bare", "--timeout=110s")

    assert namespace.kubectl("logs", "bare").strip() == "set() None"


def test_podcov_has_only_the_rights_that_it_ships(cluster: Any, namespace: Any) -> None:
    def may(verb: str, resource: str) -> str:
        kind, _, part = resource.partition("/")
        asked = ("auth", "can-i", verb, kind, f"--subresource={part}", f"--as=system:serviceaccount:{namespace.name}:podcov")
        return namespace.kubectl(*asked, check=False).strip()

    assert [may("list", "pods"), may("create", "pods/exec"), may("create", "pods/portforward")] == ["yes"] * 3
    assert [may("delete", "pods"), may("get", "secrets"), may("list", "deployments")] == ["no"] * 3


def test_go_finds_the_standard_library_compiled_with_podcov_in_its_toolchain_and_without(cluster: Any, root: Any) -> None:
    """Else each build of an image would take minutes."""
    steps = [
        "mkdir /app && cd /app",
        """echo 'package main; import _ "net/http"; func main() {}' >main.go""",
        "go mod init example.com/app",
        "go build -x . 2>/plain",
        "sh /podcov/install",
        "go build -x . 2>/recording",
        "grep --count /compile /plain /recording",
    ]
    recipe = f"FROM {cluster.image('golang:1.26')}\nCOPY . /podcov\nRUN {' && '.join(steps)}\n"
    built = cluster.run("docker", "build", "--no-cache", "--file", "-", root / "wrapper" / "go", stdin=recipe)
    compiled = re.findall(r"/(?:plain|recording):\d+", built.stdout)
    assert compiled == ["/plain:1", "/recording:1"], "the program's own package and no other"


def test_an_image_that_docker_builds_needs_no_network_for_what_the_examples_require(
    cluster: Any, namespace: Any, root: Any
) -> None:
    for dockerfile in sorted((root / "examples").rglob("Dockerfile")):
        if "podcov" in dockerfile.relative_to(root).parts:
            continue  # what podcov derived of one of the others
        python, go = cluster.image("python:3.13"), cluster.image("golang:1.26")
        given = {"BASE": go if "ARG BASE=golang" in dockerfile.read_text() else python, "GO": go, "RUNTIME": python}
        options = [word for name, image in given.items() for word in ("--build-arg", f"{name}={image}")]
        cluster.run("docker", "build", "--quiet", "--network", "none", *options, dockerfile.parent)


def test_a_second_up_leaves_the_running_cluster_alone(cluster: Any, root: Any) -> None:
    before = cluster.run("kubectl", "get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}").stdout

    cluster.run(root / "tests" / "cluster" / "cluster", "up")

    assert cluster.run("kubectl", "get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}").stdout == before

"""Waits until every Service of the namespace can be reached from every pod: that a pod is ready says nothing of the routes to it.

The namespace is in PODCOV_TEST_NAMESPACE, a kubeconfig that may look into it in PODCOV_TEST_KUBECONFIG.
"""

from __future__ import annotations

import json
import os
import subprocess

REACH = """
import os, socket, sys, time
end = time.monotonic() + 60
for name in sys.argv[1:]:
    prefix = name.upper().replace("-", "_") + "_SERVICE_"
    while True:
        try:
            socket.create_connection((os.environ[prefix + "HOST"], os.environ[prefix + "PORT"]), 5).close()
            break
        except OSError as error:
            if time.monotonic() > end:
                sys.exit("%s cannot be reached: %s" % (name, error))
            time.sleep(0.1)
"""


def kubectl(*arguments: str) -> str:
    where = ("--kubeconfig", os.environ["PODCOV_TEST_KUBECONFIG"], "--namespace", os.environ["PODCOV_TEST_NAMESPACE"])
    return subprocess.run(["kubectl", *where, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def containers() -> dict[str, str]:
    """The name of each pod, and that of its first container."""
    pods = json.loads(kubectl("get", "pods", "--output", "json"))["items"]
    living = (pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
    return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["name"] for pod in living}


def main() -> None:
    services = kubectl("get", "services", "--output", "jsonpath={.items[*].metadata.name}").split()
    for pod, container in containers().items():
        kubectl("exec", pod, "--container", container, "--", "python3", "-c", REACH, *services)


if __name__ == "__main__":
    main()

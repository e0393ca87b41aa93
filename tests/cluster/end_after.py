"""Runs the command given, then ends every container of the namespace by SIGTERM: what they run at their end counts too.

Kubernetes starts them again. The namespace is in PODCOV_TEST_NAMESPACE, a kubeconfig that may do so in PODCOV_TEST_KUBECONFIG.
"""

from __future__ import annotations

import os
import subprocess
import sys

END = "import os, signal; os.kill(1, signal.SIGTERM)"
RESTARTED = "jsonpath={.status.containerStatuses[0].restartCount}=1"


def kubectl(*arguments: str) -> str:
    where = ("--kubeconfig", os.environ["PODCOV_TEST_KUBECONFIG"], "--namespace", os.environ["PODCOV_TEST_NAMESPACE"])
    return subprocess.run(["kubectl", *where, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    subprocess.run(sys.argv[1:], check=True)
    pods = kubectl("get", "pods", "--output", "name").split()
    for pod in pods:
        container = kubectl("get", pod, "--output", "jsonpath={.spec.containers[0].name}")
        kubectl("exec", pod, "--container", container, "--", "python3", "-c", END)
    kubectl("wait", f"--for={RESTARTED}", *pods, "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", *pods, "--timeout=60s")


if __name__ == "__main__":
    main()

"""Runs the command given, then ends every container of the namespace by SIGTERM: what they run at their end counts too.

Kubernetes starts them again. For where the namespace is, see `reach_services.py`.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import reach_services
from reach_services import kubectl

END = (Path(__file__).parent / "end_when_idle.py").read_text()
RESTARTED = "jsonpath={.status.containerStatuses[0].restartCount}=1"


def main() -> None:
    reach_services.main()
    subprocess.run(sys.argv[1:], check=True)
    containers = reach_services.containers()
    for pod, container in containers.items():
        with suppress(subprocess.CalledProcessError):  # what ends the container is killed with it
            kubectl("exec", pod, "--container", container, "--", "python3", "-c", END)
    pods = [f"pod/{pod}" for pod in containers]
    kubectl("wait", f"--for={RESTARTED}", *pods, "--timeout=120s")
    kubectl("wait", "--for=condition=Ready", *pods, "--timeout=120s")


if __name__ == "__main__":
    main()

"""`end_pods.py SELECTOR ENDING...`: has one pod of the service end in each of these ways, and waits until all have."""

from __future__ import annotations

import sys
from contextlib import suppress
from http.client import HTTPException

import go_pods

RESTARTS = ".status.containerStatuses[0].restartCount"
LIVES_ON = ("exec", "stuck")
DELETED = "stop"


def main(selector: str, *endings: str) -> None:
    ended = dict(zip(endings, go_pods.pods(selector), strict=True))
    for ending, pod in ended.items():
        end(pod, ending)
    for ending in endings:
        if ending not in (*LIVES_ON, DELETED):
            go_pods.wait_for(ended[ending], RESTARTS, "1")
    # A container that ends a second time is kept waiting before it is started again.
    again = ended["exit"]
    go_pods.kubectl("wait", "--for=condition=Ready", f"pod/{again}", "--timeout=120s")
    end(again, "exit")
    go_pods.replace(selector, [ended[DELETED]])
    go_pods.wait_for(again, RESTARTS, "2")


def end(pod: str, ending: str) -> None:
    """Asks it to; it may end before it has answered."""
    with go_pods.forwarded(pod, 8080) as address, suppress(OSError, HTTPException):
        go_pods.status(f"{address}/end?how={ending}")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""For scripts that are the tests of a run, and for the tests themselves: asks the pods of a service one by one.

The namespace is in PODCOV_TEST_NAMESPACE, a kubeconfig that may look into it in PODCOV_TEST_KUBECONFIG.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def kubectl(*arguments: str) -> str:
    return subprocess.run(["kubectl", *where(), *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def where() -> list[str]:
    return ["--kubeconfig", os.environ["PODCOV_TEST_KUBECONFIG"], "--namespace", os.environ["PODCOV_TEST_NAMESPACE"]]


def pods(selector: str) -> list[str]:
    """The names of those that are not ending."""
    found: list[dict[str, Any]] = json.loads(kubectl("get", "pods", "--selector", selector, "--output", "json"))["items"]
    return sorted(pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"])


@contextmanager
def forwarded(pod: str, port: int, *options: str) -> Iterator[str]:
    """The address at which a port of the pod can be reached; `options` say which namespace, by default `where`."""
    command = ["kubectl", *(options or where()), "port-forward", f"pod/{pod}", f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forwarder:
        try:
            said = forwarder.stdout.readline() if forwarder.stdout else ""
            found = re.search(r"127\.0\.0\.1:(\d+)", said)
            assert found, f"no port was forwarded: {said}"
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            forwarder.terminate()


def ask(addresses: Sequence[str], questions: Sequence[str]) -> list[int]:
    """Asks one service after the other, in turns; the status of each answer."""
    return [status(addresses[number % len(addresses)] + question) for number, question in enumerate(questions)]


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return int(error.code)


def replace(selector: str, deleted: Sequence[str]) -> None:
    """Deletes pods, and waits until those that take their places are ready; the old ones may still be ending."""
    wanted = len(pods(selector))
    kubectl("delete", "pod", *deleted, "--wait=false")
    end = time.monotonic() + 120
    while len(there := pods(selector)) < wanted or set(there) & set(deleted):
        if time.monotonic() > end:
            raise TimeoutError(f"{wanted} pods of {selector} are wanted: there are {there}")
        time.sleep(0.2)
    kubectl("wait", "--for=condition=Ready", *(f"pod/{pod}" for pod in there), "--timeout=120s")


def wait_for(pod: str, path: str, value: str, seconds: float = 180) -> None:
    """Until a field of the pod, as a JSONPath, has that value; a pod that is gone has none."""
    end = time.monotonic() + seconds
    while (seen := kubectl("get", "pod", pod, "--ignore-not-found", "--output", f"jsonpath={{{path}}}")) != value:
        if time.monotonic() > end:
            raise TimeoutError(f"{pod}: {path} is {seen!r} instead of {value!r}")
        time.sleep(0.2)

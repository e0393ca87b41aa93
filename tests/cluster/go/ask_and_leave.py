"""`ask_and_leave.py SELECTOR PORT QUESTION...`: asks the pods of a service in turns, and leaves them running."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import go_pods


def main(selector: str, port: str, *questions: str) -> None:
    with ExitStack() as forwards:
        addresses = [forwards.enter_context(go_pods.forwarded(pod, int(port))) for pod in go_pods.pods(selector)]
        print(dict(zip(questions, go_pods.ask(addresses, questions), strict=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])

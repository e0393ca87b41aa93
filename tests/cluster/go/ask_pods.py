"""`ask_pods.py SELECTOR PORT QUESTION...`: asks the pods of a service in turns, then deletes them.

Any answer will do. What they run when they are told to end counts too.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

import go_pods


def main(selector: str, port: str, *questions: str) -> None:
    pods = go_pods.pods(selector)
    with ExitStack() as forwards:
        addresses = [forwards.enter_context(go_pods.forwarded(pod, int(port))) for pod in pods]
        print(dict(zip(questions, go_pods.ask(addresses, questions), strict=True)))
    go_pods.replace(selector, pods)


if __name__ == "__main__":
    main(*sys.argv[1:])

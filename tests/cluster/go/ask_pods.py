"""`ask_pods.py [--delete] SELECTOR PORT QUESTION...`: asks the pods of a service in turns; any answer will do.

With `--delete`, they are deleted then: what they run when they are told to end counts, too.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

import go_pods


def main(arguments: list[str]) -> None:
    delete = arguments[0] == "--delete"
    selector, port, *questions = arguments[delete:]
    pods = go_pods.pods(selector)
    with ExitStack() as forwards:
        addresses = [forwards.enter_context(go_pods.forwarded(pod, int(port))) for pod in pods]
        print(dict(zip(questions, go_pods.ask(addresses, questions), strict=True)))
    if delete:
        go_pods.replace(selector, pods)


if __name__ == "__main__":
    main(sys.argv[1:])

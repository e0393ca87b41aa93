"""The word of a command that names its program: behind launchers, and a shell that does nothing but start it. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from posixpath import basename, isabs, join
from typing import Final, NamedTuple


class _Launcher(NamedTuple):
    """A program that starts another one. `valued` are its options that take a word, `operands` the number of its own words."""

    valued: tuple[str, ...] = ()
    operands: int = 0


_LAUNCHERS: Final[Mapping[str, _Launcher]] = {
    "tini": _Launcher(("-p", "-e")),
    "tini-static": _Launcher(("-p", "-e")),
    "docker-init": _Launcher(("-p", "-e")),
    "dumb-init": _Launcher(("-r", "--rewrite")),
    "catatonit": _Launcher(),
    "env": _Launcher(("-u", "--unset", "-C", "--chdir")),
    "exec": _Launcher(("-a",)),
    "gosu": _Launcher(operands=1),
    "su-exec": _Launcher(operands=1),
    "nice": _Launcher(("-n", "--adjustment")),
    "nohup": _Launcher(),
    "setsid": _Launcher(),
    "stdbuf": _Launcher(("-i", "-o", "-e")),
    "timeout": _Launcher(("-k", "--kill-after", "-s", "--signal"), operands=1),
}
SHELLS: Final = ("sh", "bash", "ash", "dash")
_TAKES_A_SCRIPT: Final = re.compile(r"-[a-z]*c")
_OPERATORS: Final = re.compile(r"[;&|\n`]|\$\(")
_EXEC: Final = re.compile(r"(?:^|[\s;&|({])exec\s+(?!\d*[<>])(?P<command>[^;&|\n)]+)")
_CHANGES_FOLDER: Final = re.compile(r"(?:^|[\s;&|({])(?:cd|pushd)\s+(?P<folder>[^\s;&|]+)")
_ASSIGNMENT: Final = re.compile(r"\w+=")
_SPLIT_STRING: Final = re.compile(r"(?:-[iv0]*S|--split-string(?:=|$))(?P<string>.*)", re.DOTALL)
"""the option by which `env` takes a string apart: what it gets as one word, as from the first line of a script"""


def program_word(words: Sequence[str]) -> str:
    """The program as the command names it; empty where that cannot be told."""
    while launcher := _LAUNCHERS.get(basename(words[0])) if words else None:
        words = _behind(launcher, _taken_apart(words[1:]) if basename(words[0]) == "env" else words[1:])
    if not words:
        return ""
    if basename(words[0]) in SHELLS:
        at = next((n for n, word in enumerate(words) if n and _TAKES_A_SCRIPT.fullmatch(word)), len(words))
        return _of_script(words[at + 1], words[at + 2 :]) if at + 1 < len(words) else words[0]
    return words[0]


def _behind(launcher: _Launcher, words: Sequence[str]) -> Sequence[str]:
    """What is left without the launcher's own options, variables and operands."""
    at = 0
    while at < len(words) and (words[at].startswith("-") or "=" in words[at]):
        at += 1
        if words[at - 1] == "--":
            break
        if words[at - 1] in launcher.valued:
            at += 1
    return words[at + launcher.operands :]


def _taken_apart(words: Sequence[str]) -> Sequence[str]:
    """What `env` makes of its words, with a string for `-S` among its options; none where that has an escape of its own."""
    at = 0
    while at < len(words) and words[at] != "--" and (words[at].startswith("-") or "=" in words[at]):
        if split := _SPLIT_STRING.fullmatch(words[at]):
            string, behind = (split["string"], at + 1) if split["string"] else (" ".join(words[at + 1 : at + 2]), at + 2)
            inside = [] if "\\" in string else _split(string)
            return _taken_apart([*inside, *words[behind:]]) if inside else ()
        at += 2 if words[at] in _LAUNCHERS["env"].valued else 1
    return words


def _split(string: str) -> list[str]:
    """As a shell would; none where a quote is never closed."""
    try:
        return shlex.split(string)
    except ValueError:
        return []


def _of_script(script: str, given: Sequence[str]) -> str:
    """The one program that a script of a shell becomes, or all that it runs; `given` are its `$0`, `$1` and so on."""
    found = [match["command"] for match in _EXEC.finditer(script)]
    if not found and _OPERATORS.search(script):
        return ""
    programs = {_of_line(line, given) for line in found or [script]}
    program = programs.pop() if len(programs) == 1 else ""
    changed = _CHANGES_FOLDER.search(script)
    if changed is None or "/" not in program or isabs(program):
        return program
    return join(changed["folder"], program) if isabs(changed["folder"]) else ""


def _of_line(line: str, given: Sequence[str]) -> str:
    words = _split(line)
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    passed_on = {"$@": given[1:], "$*": given[1:], "$0": given}
    return program_word([*passed_on[words[0]], *words[1:]] if words and words[0] in passed_on else words)

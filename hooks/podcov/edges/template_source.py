"""Where a template's files come from: a folder, or a git repository that the user's own git fetches."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from podcov.errors import NewError
from podcov.generate.new import File

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
_SCP = re.compile(r"(?:[\w.-]+@)?[\w.-]+:(?!//)")
_SECRET = re.compile(r"(?<=://)(?!git@)[^/\s]*@")
"""All that stands before a host: a token may stand there as the user's name. `git` is everybody's name with ssh."""
_LEFT_OUT = (".git", "__pycache__", ".DS_Store")
_EXAMPLE = "https://git.example.org/team/templates.git//python@v2"


@dataclass(frozen=True, slots=True)
class Source:
    """A place in a git repository: `URL@REF//FOLDER`, or `URL//FOLDER@REF`. `ref` empty: the repository's own default."""

    url: str
    ref: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """The files by their path in the template. `commit`: the one that they are of, empty for a folder."""

    files: Mapping[str, File]
    commit: str = ""


def fetch(place: str) -> Template:
    """Read the template at `place`. Raises NewError: where there is none, and with what git said."""
    if Path(place).is_dir():
        return Template(read_folder(Path(place), named=place))
    if not _SCHEME.match(place) and not _SCP.match(place):
        raise NewError(
            f"--template {place}: there is no such folder, and it is not the URL of a git repository",
            hint=f"name a folder, or a URL such as {_EXAMPLE}.",
        )
    return _clone(parse(place), without_secret(place))


def without_secret(text: str) -> str:
    """A text, with users, passwords and tokens of the URLs in it left out: for messages and results."""
    return _SECRET.sub("...@", text)


def parse(place: str) -> Source:
    """Take a URL with its optional `@REF` and `//FOLDER` apart; a user's name before the host is none of them."""
    start = _SCHEME.match(place) or _SCP.match(place)
    head = place[: start.end()] if start else ""
    rest = place[len(head) :]
    if head.endswith("://"):
        host, slash, rest = rest.partition("/")
        head += host + slash
    repository, _, folder = rest.partition("//")
    repository, _, ref = repository.partition("@")
    if "@" in folder:
        folder, _, ref = folder.partition("@")
    return Source(head + repository, ref, folder.strip("/"))


def read_folder(folder: Path, *, named: str = "") -> dict[str, File]:
    """Every file beneath `folder`; `named` is what errors call it. Raises NewError for what is neither file nor folder."""
    files: dict[str, File] = {}
    for current, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in sorted([*names, *(f for f in folders if (Path(current) / f).is_symlink())]):
            path = Path(current) / name
            if name not in _LEFT_OUT and not name.endswith(".pyc"):
                files[path.relative_to(folder).as_posix()] = _file(path, f"{named or folder}/{path.relative_to(folder)}")
    return files


def _file(path: Path, named: str) -> File:
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):
        what = "a symbolic link" if stat.S_ISLNK(mode) else "no ordinary file"
        raise NewError(f"{named}: is {what}", hint="put a copy of the file there: a template is files and folders.")
    return File(path.read_bytes(), bool(mode & stat.S_IXUSR))


def _clone(source: Source, place: str) -> Template:
    """Only the commit that is asked for, without what any of the machine's git settings would do to the files."""
    if source.ref.startswith("-") or source.url.startswith("-"):
        raise NewError(f"--template {place}: no branch, tag or commit begins with a hyphen", hint=f"for example {_EXAMPLE}.")
    with tempfile.TemporaryDirectory(prefix="podcov-template-") as scratch:
        checkout = Path(scratch)
        _git(checkout, place, "init", "--quiet", "--template=")
        _git(checkout, place, "fetch", "--quiet", "--depth=1", "--no-tags", "--", source.url, source.ref or "HEAD")
        _git(checkout, place, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        commit = _git(checkout, place, "rev-parse", "HEAD").strip()
        folder = checkout / source.folder
        if not folder.resolve().is_relative_to(checkout.resolve()) or not folder.is_dir():
            there = sorted(p.name for p in checkout.iterdir() if p.is_dir() and p.name not in _LEFT_OUT)
            raise NewError(
                f"--template {place}: there is no folder {source.folder} in commit {commit[:12]}",
                hint=f"its folders are: {', '.join(there)}." if there else "it has no folders: leave // and what follows out.",
            )
        return Template(read_folder(folder, named=place), commit)


def _git(folder: Path, place: str, *arguments: str) -> str:
    # A password that is not known is an error: nobody sees the prompt while the output is read.
    env = {name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")}
    command = ["git", "-c", "core.autocrlf=false", "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env={**env, "GIT_TERMINAL_PROMPT": "0"}, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise NewError(
            f"--template {place}: git cannot be run: {error.strerror}", hint="install git, or name a folder."
        ) from error
    if done.returncode:
        said = without_secret(" ".join(done.stderr.replace("fatal: ", "").split())) or f"exit code {done.returncode}"
        raise NewError(
            f"--template {place}: git {arguments[0]}: {said}",
            hint=f"try `git ls-remote {parse(place).url}`: it lists the branches and tags that can stand behind @.",
        )
    return done.stdout

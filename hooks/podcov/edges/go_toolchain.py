"""A Go toolchain on this machine that records: a copy of the user's own, kept in their cache, with podcov in it.

For what builds without a container (ko, a script, a laptop). Theirs is never written to; `wrapper/go/install` makes the copy.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from podcov import assets
from podcov.errors import UsageError

COVER = ("-cover",)
"""what a build needs beside the toolchain"""
_COVERING = "podcov"
"""the folder of a copy with the `go` that is called: it covers whatever GOFLAGS say; as `go1.26.3`, too, which Go looks for"""
_UNUSED = 24 * 3600
"""seconds after which the copy of an earlier podcov is no build's any more"""


def ensure(go: str | None = None, *, directory: Path | None = None, env: Mapping[str, str] | None = None) -> Path:
    """The GOROOT of a copy, with podcov in it, of the toolchain that `go` is in `directory`; made where it is not there yet.

    Which toolchain that is, is `go`'s own to say: a module's `go` and `toolchain` lines and GOTOOLCHAIN may choose another
    than the installed one. `go` is a program's name or path, `directory` the current one by default, `env` this process's own.

    Raises UsageError where there is no such program, where it says that it cannot work there, and for a version that podcov
    does not know.
    """
    goroot = Path(_go_env(go or "go", "GOROOT", directory, env))
    folder = cache_folder(os.environ if env is None else env)
    if goroot.parent == folder:  # within `podcov go`
        return goroot
    copy = folder / _name(goroot)
    with _alone(folder):
        if not _whole(copy):
            _make(copy, goroot)
        os.utime(copy)
        _clean(folder, copy)
    return copy


def environment(
    copy: Path | None, base: Mapping[str, str], flags: Sequence[str] = COVER, *, directory: Path | None = None
) -> dict[str, str]:
    """`base`, changed so that `go` is the toolchain in `copy` and builds with `flags` behind the user's own GOFLAGS.

    Theirs are those of `base`, else of `go env -w`; where a script sets them anew, `flags` are added to those. Without a copy
    `go` stays what it is, and such a script has the last word. A program that calls another `go`,
    by its path, gets the one in `copy` too: by GOROOT where that is of the same version, else by GOTOOLCHAIN, which then looks
    for one of that version on the PATH.
    Raises UsageError where Go cannot say what its GOFLAGS are.
    """
    changed = dict(base)
    if copy is not None:
        folders = (copy / _COVERING, copy / "bin")
        changed["GOROOT"] = str(copy)
        changed["PODCOV_GOFLAGS"] = " ".join(flags)
        changed["GOTOOLCHAIN"] = _version(copy)
        changed["PATH"] = os.pathsep.join(filter(None, (*map(str, folders), base.get("PATH", ""))))
    changed["GOFLAGS"] = _merged(_go_env("go", "GOFLAGS", directory, changed), flags)
    return changed


def cache_folder(env: Mapping[str, str]) -> Path:
    """Where the copies are kept."""
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache", "podcov", "go")


def _go_env(go: str, name: str, directory: Path | None, env: Mapping[str, str] | None) -> str:
    searched = (os.environ if env is None else env).get("PATH")
    program = shutil.which(go, path=searched)
    if program is None:
        raise UsageError(
            f"{go}: there is no such program on the PATH",
            hint="install Go 1.20 or newer: a service is built by the toolchain of this machine, with podcov in a copy of it.",
        )
    done = subprocess.run([program, "env", name], cwd=directory, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(
            f"{program} env {name}: {done.stderr.strip() or f'exit code {done.returncode}'}",
            hint=f"`go env` has to work in {(directory or Path()).resolve()} first.",
        )
    return done.stdout.strip()


def _merged(own: str, flags: Sequence[str]) -> str:
    """Theirs as they are written, quotes and all. Go knows `--cover` and `-cover=true` as `-cover`."""
    present = {f"-{word.lstrip('-').removesuffix('=true')}" for word in own.split()}
    return " ".join([*([own] if own else []), *(flag for flag in flags if flag not in present)])


def _name(goroot: Path) -> str:
    return f"{_version(goroot).replace('/', '_')}-{_wrapper_digest()}-{_place(goroot)}"


def _version(goroot: Path) -> str:
    """Such as `go1.26.3`; `go` where the toolchain does not say, which `wrapper/go/install` then refuses."""
    version = goroot / "VERSION"
    words = version.read_text(encoding="utf-8").split() if version.is_file() else []
    return words[0] if words else "go"


def _place(goroot: Path) -> str:
    return hashlib.sha256(os.fsencode(goroot)).hexdigest()[:8]


def _wrapper_digest() -> str:
    wrapper = assets.wrapper_folder("go")
    digest = hashlib.sha256()
    for path in (
        wrapper / "cover",
        wrapper / "install",
        *sorted(path for path in (wrapper / "dropin").rglob("*") if path.is_file()),
    ):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(wrapper).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process at a time makes and removes copies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _whole(copy: Path) -> bool:
    """Most of a copy are links into the original, which may have been removed and may be back."""
    return copy.is_dir() and all(entry.exists() for entry in copy.iterdir())


def _make(copy: Path, goroot: Path) -> None:
    shutil.rmtree(copy, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=copy.parent) as scratch:
        fresh = Path(scratch, "go")
        _run_script("install", "--copy", str(fresh), str(goroot))
        (fresh / _COVERING).mkdir()
        (fresh / _COVERING / _version(fresh)).symlink_to("go")
        _run_script("cover", "--into", str(fresh / _COVERING), str(copy / "bin" / "go"), *COVER)
        fresh.rename(copy)


def _run_script(name: str, *arguments: str) -> None:
    """One of `wrapper/go`. Raises UsageError with what it said."""
    command = ["sh", str(assets.wrapper_folder("go") / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(
            done.stderr.strip().removeprefix("podcov: ") or f"{' '.join(command)}: exit code {done.returncode}",
            hint="GOTOOLCHAIN=go1.26.0, say, in the environment chooses a version that podcov knows.",
        )


def _clean(folder: Path, current: Path) -> None:
    """Remove the copies of this toolchain that an earlier podcov made, and what was left where one was killed."""
    place = current.name.rpartition("-")[2]
    earlier = (entry for entry in folder.glob(f"*-{place}") if entry != current)
    unused = (entry for entry in earlier if time.time() - entry.stat().st_mtime > _UNUSED)
    for entry in (*folder.glob(".new-*"), *unused):
        shutil.rmtree(entry, ignore_errors=True)

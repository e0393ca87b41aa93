"""How many bytes leave the pods of one build: what podcov moves, and a copy of every pod's folder of coverage."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from go_data import COVERED, SERVICE
from interpreters import ROOT
from peers import PLAIN
from podcov.config import Dump, Service
from podcov.dumps import Hands, HandsError, Listed, Start
from podcov.dumps.host_courier import HostCourier
from podcov.dumps.metas import Metas
from podcov.edges.cluster.hands import parse_list, parse_tar
from podcov.formats.bundle import read_bundle
from podcov.formats.courier import status_of
from side_by_side import SCHEMA, Column, Sample, compare, kept, plain_values, positive, table

COLUMNS = (Column("bytes", "times fewer bytes", kept("bytes"), digits=1),)
HAND = ROOT / "wrapper" / "hand" / f"hand-{platform.machine()}"
CONTAINER = "service"
MARK = ("mark", "benchmark", "tests")


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="podcov-go-bytes-") as scratch:
        plain, recording = _build(Path(scratch), options.packages)
        folders = _pods(Path(scratch, "plain"), plain, "GOCOVERDIR", options)
        volumes = _pods(Path(scratch, "recorded"), recording, "PODCOV_DATA", options)
        measures = {
            PLAIN: lambda: _copied(folders),
            "tar, compressed": lambda: _copied(folders, "-z"),
            "podcov, recorded": lambda: _recorded(recording, volumes),
            "podcov, by signal": lambda: _by_signal(folders),
        }
        samples: dict[str, list[Sample]] = {}
        for name, measure in measures.items():
            print(f"  {name}", file=sys.stderr)
            samples[name] = [{"bytes": measure()}]
    comparison = compare(samples, COLUMNS)
    if options.json:
        results = [{"what": f"{options.pods} pods", "peers": plain_values(comparison)}]
        print(json.dumps({"schema": SCHEMA, "rounds": 1, "results": results}, indent=1))
    else:
        print(table(f"{options.pods} pods", comparison, COLUMNS))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--pods", type=positive, default=500, help="folders of data, each of one process")
    parser.add_argument(
        "--runs", type=positive, default=50, help="processes that really run; their data are used again and again"
    )
    parser.add_argument("--packages", default=COVERED, help="what is covered, as -coverpkg has it")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    return parser.parse_args()


def _build(scratch: Path, packages: str) -> tuple[Path, Path]:
    """The service, by the toolchain that is there, and by a copy of it with podcov in it."""
    source, toolchain = scratch / "service", scratch / "toolchain"  # apart: -coverpkg=./... means all that lies beside
    source.mkdir()
    (source / "go.mod").write_text("module example.com/service\n\ngo 1.20\n")
    (source / "main.go").write_text(SERVICE)
    print("  building the service, and a toolchain with podcov in it", file=sys.stderr)
    subprocess.run(["sh", ROOT / "wrapper" / "go" / "install", "--copy", toolchain], check=True, stderr=subprocess.DEVNULL)
    environment = {name: value for name, value in os.environ.items() if name != "GOROOT"} | {"GOTOOLCHAIN": "local"}
    for go, name in (("go", "plain"), (str(toolchain / "bin" / "go"), "recording")):
        build = [go, "build", "-cover", "-covermode=atomic", f"-coverpkg={packages}", "-o", scratch / f"{name}-service", "."]
        subprocess.run(build, cwd=source, env=environment, check=True, stderr=subprocess.DEVNULL)
    return scratch / "plain-service", scratch / "recording-service"


def _pods(folder: Path, service: Path, variable: str, options: argparse.Namespace) -> list[Path]:
    """A folder a pod, with what processes left that had differently much to do."""
    pods = [folder / f"pod-{number}" for number in range(options.pods)]
    for number, pod in enumerate(pods):
        if number >= options.runs:
            shutil.copytree(pods[number % options.runs], pod)
            continue
        pod.mkdir(parents=True)
        environment = {**os.environ, variable: str(pod), "PODCOV_CONTAINER": CONTAINER}
        subprocess.run([service, str(number)], env=environment, stderr=subprocess.DEVNULL, check=True)
    return pods


def _copied(folders: Sequence[Path], *options: str) -> int:
    """What people do: an archive of each folder, through `kubectl exec`."""
    return sum(len(_said(["tar", "-c", *options, "-C", str(folder), "."])) for folder in folders)


# What podcov records --------------------------------------------------------------------------------------------------


def _recorded(binary: Path, volumes: Sequence[Path]) -> int:
    """A whole run as a Collector has it: each courier is asked for a mark, a dump and a pull, one of them for the meta-data."""
    moved = 0
    digests: dict[str, Path] = {}
    for volume in volumes:
        moved += sum(len(_courier(binary, volume, *command)) for command in (("lease", "60"), MARK, ("dump",)))
        pulled = _courier(binary, volume, "pull")
        moved += len(pulled) + len(_courier(binary, volume, "release"))
        [target] = status_of(read_bundle(pulled).manifest).targets
        digests |= {source.digest: volume for source in target.sources if source.digest}
    for digest, volume in digests.items():
        wanted = json.dumps([digest]).encode()
        framed = b"%d\n%s" % (len(wanted), wanted)
        moved += len(framed) + len(_courier(binary, volume, "sources", stdin=framed))
    if len(digests) != 1:
        sys.exit(f"the pods of one build have {len(digests)} meta-data")
    return moved


def _courier(binary: Path, volume: Path, *command: str, stdin: bytes = b"") -> bytes:
    environment = {"PODCOV_DATA": str(volume), "PODCOV_CONTAINER": CONTAINER}
    return _said([str(binary), "--podcov-courier", *command], environment, stdin)


# What measures itself -------------------------------------------------------------------------------------------------


class LocalHands:
    """podcov's real hand, run here, and how much it said. All that a pull of an ended process asks of `podcov.dumps.Hands`."""

    def __init__(self) -> None:
        self.moved = 0
        self.read_files: set[str] = set()

    async def starts(self, container: str) -> Sequence[Start]:
        return (Start(0, f"containerd://{container}", began=0.0, finished=time.time()),)

    async def list(self, _: str, folder: str) -> Sequence[Listed]:
        return parse_list(self._hand("list", folder))

    async def read(self, _: str, folder: str, names: Sequence[str]) -> Mapping[str, bytes]:
        if not names:
            return {}
        found = {file.name: content for file, content in parse_tar(self._hand("tar", *(f"{folder}/{name}" for name in names)))}
        self.read_files |= found.keys()
        return {name: found[base] for name in names if (base := name.rpartition("/")[2]) in found}

    async def inspect(self, container: str, _: str) -> bytes:
        raise HandsError(f"{container} has ended")

    def _hand(self, *words: str) -> bytes:
        said = _said([str(HAND), *words], fails=True)
        self.moved += len(said)
        return said


def _by_signal(folders: Sequence[Path]) -> int:
    """A pull of each pod once its processes have written; all of what they wrote has to come."""

    async def pull_all() -> int:
        metas, moved = Metas(), 0
        for folder in folders:
            hands = LocalHands()
            service = Service(CONTAINER, language="go", dump=Dump("signal", folder=str(folder)))
            courier = HostCourier(cast(Hands, hands), {CONTAINER: service}, metas, time.time)
            answer = await courier.answer(("pull",))
            if answer.exit_code:
                sys.exit(answer.stderr)
            if missing := {path.name for path in folder.glob("covcounters.*")} - hands.read_files:
                sys.exit(f"{len(missing)} files of {folder.name} were not pulled")
            moved += hands.moved
        return moved

    return asyncio.run(pull_all())


def _said(
    command: Sequence[str], environment: Mapping[str, str] | None = None, stdin: bytes = b"", *, fails: bool = False
) -> bytes:
    """`fails`: whether it may, as the hand does where one of several files is missing."""
    done = subprocess.run(command, env=environment, input=stdin, capture_output=True, check=False)
    if done.returncode and not fails:
        sys.exit(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


if __name__ == "__main__":
    main()

"""Go processes that measure themselves: whatever their dumps hold, what a run ran is reported, and not what an earlier run ran.

A real program, built in each mode, writes its counters as the apps of the tutorials do, clearing them or not. Only an older Go
lets a running program write them in other modes than atomic.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from podcov import languages
from podcov.config import Service
from podcov.formats import go_profile
from podcov.formats.records import parse_target
from podcov.languages import Converted, Observed, ServiceData, Target, number_epochs
from podcov.model import FileCoverage
from podcov.raw import digest_of
from podcov.reports import go_profiles

PROGRAM = """\
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime/coverage"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch lines.Text() {
		case "one":
			one()
		case "two":
			two()
		case "dump":
			fmt.Println(coverage.WriteCountersDir(os.Getenv("GOCOVERDIR")))
		case "clear":
			fmt.Println(coverage.ClearCounters())
		}
	}
}

func one() int {
	return 1
}

func two() int {
	return 2
}
"""
ONE, TWO = 27, 31
"""lines with the bodies of these functions"""
PROCESS = "7-70-aaaaaaaa"
START = b'{"protocol": 1, "language": "go", "pid": %d, "start_time": 70, "state": "recording", "recording": "dumped"}\n'
TEST = 'package main\n\nimport "testing"\n\nfunc TestOnce(t *testing.T) { main() }\n'
OLDER = "go1.20.14"
KINDS = [("atomic", True), ("atomic", False), ("count", False), ("set", False)]


@dataclass(frozen=True)
class Build:
    folder: Path
    binary: Path
    mode: str

    def run(self, data: Path, *orders: str) -> list[bytes]:
        """What a process wrote at each `dump`, and at its end."""
        data.mkdir()
        text = "".join(f"{order}\n" for order in orders)
        environment = {**os.environ, "GOCOVERDIR": str(data)}
        subprocess.run([self.binary], input=text, text=True, env=environment, capture_output=True, check=True)
        files = sorted(data.glob("covcounters.*"), key=lambda file: int(file.name.rpartition(".")[2]))
        return [file.read_bytes() for file in files]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Build]:
    builds: dict[str, Build] = {}

    def of(mode: str) -> Build:
        if mode not in builds:
            folder = tmp_path_factory.mktemp(mode)
            (folder / "go.mod").write_text("module example.com/dumper\n\ngo 1.20\n")
            (folder / "main.go").write_text(PROGRAM)
            command = ["nice", "go", "build", "-cover", f"-covermode={mode}", "-o", "dumper", "."]
            toolchain = {} if mode == "atomic" else {"GOTOOLCHAIN": OLDER}
            subprocess.run(command, cwd=folder, env={**os.environ, "GOFLAGS": "-buildvcs=false"} | toolchain, check=True)
            builds[mode] = Build(folder, folder / "dumper", mode)
        return builds[mode]

    return of


def pulled(dumps: Sequence[tuple[int, bytes]], metas: Path, runs: Sequence[str]) -> Target:
    """A target folder as the host's courier makes one of these dumps, each of an epoch; `runs` began the epochs from 1 on."""
    files = {f"{PROCESS}.start": START % 7, "epochs": epochs(runs)}
    for number, (epoch, content) in enumerate(dumps):
        files[f"{PROCESS}.{epoch}.{number}.covcounters"] = content
    meta = meta_of(metas)
    return Target("shop/pod/app", parse_target(files), {(meta.name, 1, 0): digest_of(meta.read_bytes())}, files)


def epochs(runs: Sequence[str]) -> bytes:
    return "".join(f"{number}\t{run}\t\t{number}\n" for number, run in enumerate(runs, 1)).encode()


def meta_of(folder: Path) -> Path:
    (meta,) = folder.glob("covmeta.*")
    return meta


def data(folder: Path, metas: Sequence[Path], *targets: Target) -> ServiceData:
    """These targets, the sources in `folder`, and the meta-data in the folders `metas`."""
    sources = [folder / "go.mod", folder / "main.go"]
    texts = {digest_of(file.read_bytes()): file.read_bytes() for file in (*sources, *map(meta_of, metas))}
    local = {file.name: digest_of(file.read_bytes()) for file in sources}
    numbering = number_epochs((target.records for target in targets), "run")
    return ServiceData(Service("app", language="go"), targets, numbering, local, text=texts.get)


def convert(build: Build, metas: Path, *targets: Target) -> Converted:
    return languages.of("go").convert(data(build.folder, [metas], *targets), {})


def observed(build: Build, metas: Path, target: Target) -> Observed:
    counted = (0, *target.records.epochs_of("run"))
    return languages.of("go").observe(target, counted, data(build.folder, [metas], target).text)[PROCESS]


def covered(converted: Converted, *lines: int) -> list[bool]:
    (file,) = converted.files
    return [line in file.covered_lines for line in lines]


def hits(file: FileCoverage, line: int) -> int:
    """Of the only block there."""
    (region,) = (region for region in file.regions if region.start[0] <= line <= region.end[0])
    return region.hits


@pytest.mark.parametrize(("mode", "clears"), KINDS)
def test_what_an_earlier_run_ran_is_not_this_runs(mode: str, clears: bool, build: Callable[[str], Build], tmp_path: Path) -> None:
    built, clear = build(mode), ["clear"] * clears
    start, earlier, run, _ = built.run(tmp_path / "d", "dump", *clear, "one", "dump", *clear, "two", "dump", *clear)
    target = pulled([(0, start), (1, earlier), (2, run)], tmp_path / "d", ["earlier", "run"])
    converted = convert(built, tmp_path / "d", target)
    assert covered(converted, ONE, TWO) == [False, True]
    assert not converted.failures


@pytest.mark.parametrize(("mode", "clears"), [kind for kind in KINDS if kind[0] != "set"])
def test_hits_of_several_dumps_add_up(mode: str, clears: bool, build: Callable[[str], Build], tmp_path: Path) -> None:
    built, clear = build(mode), ["clear"] * clears
    start, first, second, _ = built.run(tmp_path / "d", "dump", *clear, "two", "dump", *clear, "two", "two", "dump", *clear)
    target = pulled([(0, start), (1, first), (1, second)], tmp_path / "d", ["run"])
    (file,) = convert(built, tmp_path / "d", target).files
    assert hits(file, TWO) == 3


@pytest.mark.parametrize(
    ("mode", "runs", "said"),
    [
        ("atomic", ["earlier", "run"], ("", "")),
        ("count", ["earlier", "run"], ("", "its counters (-covermode=count) cannot be cleared")),
        ("set", ["run", "run"], ("", "its counters (-covermode=set) cannot be cleared")),
        ("set", ["earlier", "run"], ("not-atomic", "build it with -covermode=atomic, or restart its pods before a run")),
    ],
)
def test_the_ledger_says_what_cannot_be_cleared(
    mode: str, runs: list[str], said: tuple[str, str], build: Callable[[str], Build], tmp_path: Path
) -> None:
    built = build(mode)
    start, first, second, _ = built.run(tmp_path / "d", "dump", "one", "dump", "one", "dump")
    target = pulled([(0, start), (1, first), (2, second)], tmp_path / "d", runs)
    seen = observed(built, tmp_path / "d", target)
    assert seen.hits
    assert (seen.slug, said[1] in (seen.reason or seen.note)) == (said[0], True)


def test_a_process_that_wrote_nothing_failed(build: Callable[[str], Build], tmp_path: Path) -> None:
    built = build("atomic")
    built.run(tmp_path / "d")
    seen = observed(built, tmp_path / "d", pulled([], tmp_path / "d", ["run"]))
    assert (seen.slug, seen.hits) == ("no-data", False)
    assert "GOCOVERDIR" in seen.reason


def test_a_damaged_dump_is_named_and_the_rest_is_counted(build: Callable[[str], Build], tmp_path: Path) -> None:
    built = build("atomic")
    start, run, _ = built.run(tmp_path / "d", "dump", "clear", "two", "dump")
    target = pulled([(0, start), (1, run), (1, run[:-5])], tmp_path / "d", ["run"])
    seen = observed(built, tmp_path / "d", target)
    assert seen.hits
    (damage,) = seen.damage
    assert damage.startswith(f"{PROCESS}.1.2.covcounters: byte {len(run) - 16 - 5}: there is no footer: the file is cut off")
    assert covered(convert(built, tmp_path / "d", target), ONE, TWO) == [False, True]


def test_counters_without_their_meta_data_are_a_failure(build: Callable[[str], Build], tmp_path: Path) -> None:
    built = build("atomic")
    start, _ = built.run(tmp_path / "d", "dump")
    target = replace(pulled([(0, start)], tmp_path / "d", ["run"]), digests={})
    converted = convert(built, tmp_path / "d", target)
    assert not converted.files
    (failure,) = converted.failures
    assert "which says what the counters of 1 processes mean, could not be had" in failure


def test_of_programs_of_different_modes_is_known_whether_blocks_ran(build: Callable[[str], Build], tmp_path: Path) -> None:
    targets = []
    for mode, order in (("count", "one"), ("set", "two")):
        folder = tmp_path / mode
        targets.append(pulled([(0, *build(mode).run(folder, order))], folder, ["run"]))
    both = data(build("set").folder, [tmp_path / "count", tmp_path / "set"], *targets)
    converted = languages.of("go").convert(both, {})
    assert covered(converted, ONE, TWO) == [True, True]
    assert {file.counting for file in converted.files} == {"set"}
    (warning,) = converted.warnings
    assert warning == "app: some of its programs count in mode count and some in set; reported is only whether blocks ran"


def test_a_profile_of_each_life_of_a_test_binary_counts(tmp_path: Path) -> None:
    """As killswitches have it: a text profile of each process."""
    for name, text in (("go.mod", "module example.com/dumper\n\ngo 1.20\n"), ("main.go", PROGRAM), ("main_test.go", TEST)):
        (tmp_path / name).write_text(text)
    command = ["nice", "go", "test", "-c", "-cover", "-covermode=count", "-coverpkg=./...", "-o", "app.test", "."]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "GOFLAGS": "-buildvcs=false"}, check=True)
    files = {"epochs": epochs(["run"])}
    for pid, orders in ((7, "one\n"), (8, "two\none\n")):
        life = [tmp_path / "app.test", f"-test.coverprofile={pid}.out"]
        subprocess.run(life, cwd=tmp_path, input=orders, text=True, capture_output=True, check=True)
        files[f"{pid}-70-aaaaaaaa.start"] = START % pid
        files[f"{pid}-70-aaaaaaaa.1.0.profile"] = (tmp_path / f"{pid}.out").read_bytes()
    converted = languages.of("go").convert(data(tmp_path, [], Target("shop/pod/app", parse_target(files), {}, files)), {})
    assert not converted.failures
    (file,) = converted.files
    assert (hits(file, ONE), hits(file, TWO)) == (2, 1)
    merged = go_profile.merge({str(pid): go_profile.parse((tmp_path / f"{pid}.out").read_bytes()) for pid in (7, 8)})
    assert go_profiles.profile(converted.files) == merged
    assert [function.name for function in file.functions] == ["main", "one", "two"]

"""Go's coverage data read without Go: of random programs and runs, the same text to the byte as Go's own tools print.

The programs are made by a seeded generator and built by the real toolchain, each build once; the runs are random.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from podcov.errors import MergeError
from podcov.formats import go_counters, go_meta, go_profile, go_tables, report_json
from podcov.formats.go_builds import Gathered, gather
from podcov.formats.go_coverage import GoCoverage, combine
from podcov.formats.go_fit import misfit
from podcov.formats.go_meta import GoFunction
from podcov.formats.go_regions import Place, file_coverages
from podcov.model import Epoch, Report, total
from podcov.schemas import schema

OLDER = ("go1.20.14", "go1.22.12", "go1.23.12", "go1.24.9", "go1.25.3")
"""From the first Go with this format on; the go command fetches them."""

MODES = ("set", "count", "atomic")


# Random programs


class Program:
    """A module with packages that call those before them, and two commands that use all of them."""

    packages = ("store", "store/index", "price", "cart-items", "api")

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.callable: list[str] = []
        """functions of earlier packages, as one would call them"""
        self.labels = 0

    def write(self) -> Path:
        self._put("go.mod", "module example.com/shop\n\ngo 1.20\n")
        for package in self.packages:
            name = package.rpartition("/")[2].replace("-", "")
            functions = [f"F{number}" for number in range(self.random.randint(3, 6))]
            for file in ("first", "second"):
                own = functions[::2] if file == "first" else functions[1::2]
                self._put(f"{package}/{file}.go", self._file(name, file, own))
            self.callable += [f"{name}.{function}" for function in functions]
        self._put("constants/constants.go", 'package constants\n\nconst Answer = 42\n\nvar Names = []string{`func f() {`, "}"}\n')
        self._put("store/linux_only.go", "//go:build !extra\n\npackage store\n\nfunc Platform() int { return 1 }\n")
        self._put("store/extra.go", "//go:build extra\n\npackage store\n\nfunc Platform() int {\n\tx := 2\n\treturn x\n}\n")
        for command in ("server", "worker"):
            self._put(f"cmd/{command}/main.go", self._main(command))
        self._put("api/api_test.go", TEST_FILE)
        return self.folder

    def _put(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def _imports(self, body: str) -> str:
        names = {package.rpartition("/")[2].replace("-", ""): package for package in self.packages}
        used = [f'\t{name} "example.com/shop/{path}"\n' for name, path in names.items() if f"{name}." in body]
        return "import (\n" + "".join(used) + ")\n\n" if used else ""

    def _file(self, package: str, file: str, functions: Sequence[str]) -> str:
        body = "\n".join([SHAPES.replace("NAME", file.capitalize()), *(self._function(name) for name in functions)])
        return f"package {package}\n\n{self._imports(body)}{body}"

    def _function(self, name: str) -> str:
        statements = "".join(self._statement(1) for _ in range(self.random.randint(1, 4)))
        return f"func {name}(n int) int {{\n\tif n <= 0 {{\n\t\treturn 1\n\t}}\n{statements}\treturn n\n}}\n"

    def _statement(self, depth: int) -> str:
        kinds = [self._assign, self._call]
        if depth < 4:
            kinds += [self._if, self._for, self._switch, self._select, self._closure, self._deferred, self._goto]
        text = self.random.choice(kinds)(depth)
        return textwrap.indent(text, "\t") if depth == 1 else text

    def _block(self, depth: int) -> str:
        inside = "".join(self._statement(depth + 1) for _ in range(self.random.randint(0, 2)))
        return "{\n" + textwrap.indent(inside, "\t") + "}"

    def _test(self) -> str:
        return f"n%{self.random.randint(2, 5)} == {self.random.randint(0, 2)}"

    def _assign(self, depth: int) -> str:
        return f"n += {self.random.randint(0, 3)}\n" * self.random.randint(1, 3)

    def _call(self, depth: int) -> str:
        if not self.callable:
            return self._assign(depth)
        return f"_ = {self.random.choice(self.callable)}(n / {self.random.randint(6, 9)})\n"

    def _if(self, depth: int) -> str:
        text = f"if {self._test()} {self._block(depth)}"
        if self.random.random() < 0.5:
            text += f" else if m := n + 1; m%3 == 1 {self._block(depth)}"
        if self.random.random() < 0.5:
            text += f" else {self._block(depth)}"
        return text + "\n"

    def _for(self, depth: int) -> str:
        label = self._label()
        return self.random.choice(
            (
                f"for i := 0; i < n%3; i++ {self._block(depth)}\n",
                f"for range []int{{1, 2}} {self._block(depth)}\n",
                f"{label}:\n\tfor {{\n\t\tfor n%2 == 0 {{\n\t\t\tn++\n\t\t\tbreak {label}\n\t\t}}\n\t\tbreak {label}\n\t}}\n",
            )
        )

    def _label(self) -> str:
        self.labels += 1
        return f"label{self.labels}"

    def _switch(self, depth: int) -> str:
        middle = "\tfallthrough\n" if self.random.random() < 0.3 else ""
        return (
            f"switch n % 4 {{\ncase 0: {self._block(depth)}\ncase 1:\n\tn++\n{middle}"
            f"case 2, 3:\n{self._statement(depth + 1)}default:\n}}\n"
        )

    def _select(self, depth: int) -> str:
        return f"select {{\ncase <-make(chan int):\n\tn--\ndefault:\n{self._statement(depth + 1)}}}\n"

    def _closure(self, depth: int) -> str:
        return f"func(m int) {{\n\tif m > 5 {{\n\t\treturn\n\t}}\n\tn += m\n}}(n % 9)\nfunc() {self._block(depth)}()\n"

    def _deferred(self, depth: int) -> str:
        return f"func() {{\n\tdefer func() {{ _ = recover() }}()\n\tif {self._test()} {{\n\t\tpanic(n)\n\t}}\n\tn++\n}}()\n"

    def _goto(self, depth: int) -> str:
        label = self._label()
        return f"{{\n\tif {self._test()} {{\n\t\tgoto {label}\n\t}}\n\tn++\n{label}:\n\tn++\n}}\n"

    def _main(self, command: str) -> str:
        calls = "".join(f"\tcase {i}:\n\t\t{call}(n)\n" for i, call in enumerate(self.callable))
        own = {"server": "store.FirstShapes(n)", "worker": "api.SecondShapes(n)"}[command]
        first = {"server": "price.F0(3)", "worker": "store.F0(3)"}[command]
        body = (
            MAIN.replace("FIRST", first).replace("COUNT", str(len(self.callable) + 1)).replace("CALLS", calls).replace("OWN", own)
        )
        return (
            'package main\n\nimport "os"\nimport "strconv"\nimport "example.com/shop/constants"\n\n' + self._imports(body) + body
        )


MAIN = """\
func init() { FIRST }

func main() {
	for _, argument := range os.Args[1:] {
		n, err := strconv.Atoi(argument)
		if err != nil {
			os.Exit(3)
		}
		run(n + constants.Answer)
	}
}

func run(n int) {
	_ = store.Platform()
	switch n % COUNT {
CALLS
	default:
		OWN
	}
}
"""

SHAPES = """\
// func commented() {}

/* func commented() {
} */

type NAMEPair[K comparable, V any] struct {
	values map[K]V
	run    func(K) V
}

func (p *NAMEPair[K, V]) Put(key K, value V) {
	if p.values == nil {
		p.values = map[K]V{}
	}
	p.values[key] = value
}

func (NAMEPair[K, V]) Empty() {}

type NAMEKind int

func (k NAMEKind) String() string {
	if k == 0 {
		return `func raw() {
}`
	}
	return "}\\"{"
}

var NAMELiteral = func(n int) (r struct{ ok bool }) {
	if n > 50 {
		r.ok = true
	}
	return
}

var NAMEInBrackets = map[string]func() int{
	"one": func() int { return 1 },
}

func init() { _ = NAMELiteral(7) }

func init() {}

func _() { panic("never") }

func NAMEMap[T, R any](
	values []T,
	each func(T) R,
) (mapped []R) {
	for _, value := range values {
		mapped = append(mapped, each(value))
	}
	return
}

func NAMEAnonymous() struct{ a, b int } { return struct{ a, b int }{1, 2} }

func NAMEInterface(x interface{ String() string }) interface {
	String() string
} {
	return x
}

func NAMEShapes(n int) int {
	var pair NAMEPair[string, int]
	pair.Put("n", n)
	pair.Empty()
	done := make(chan int)
	go func() { done <- len(NAMEMap([]int{1, n}, func(v int) NAMEKind { return NAMEKind(v) })) }()
	switch kind := any(n).(type) {
	case int:
		n += kind
	case string:
		n--
	}
	x := '}'
	_ = x
	for n > 300 {
		n /= 2
		if n%7 == 0 {
			goto out
		}
	}
out:
	return n + <-done + NAMEAnonymous().a
}
"""

TEST_FILE = """\
package api

import "testing"

func TestFirst(t *testing.T) { FirstShapes(700) }

func TestSecond(t *testing.T) {
	for n := 0; n < 20; n++ {
		F0(n)
		F1(n * 3)
	}
}
"""


# The real tools


def go(*arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    own = {"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false", "GOWORK": "off", **(environment or {})}
    done = subprocess.run(
        ["nice", "go", *arguments], cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def covdata(command: str, folders: Iterable[Path], *options: str) -> str:
    where = ",".join(map(str, folders))
    return go("tool", "covdata", command, f"-i={where}", *options, folder=Path("/"))


def textfmt(folders: Iterable[Path], scratch: Path) -> bytes:
    covdata("textfmt", folders, f"-o={scratch / 'profile'}")
    return (scratch / "profile").read_bytes()


def build(program: Path, into: Path, *options: str, environment: Mapping[str, str] | None = None) -> Path:
    into.mkdir()
    go("build", "-cover", "-coverpkg=./...", *options, "-o", f"{into}/", "./cmd/...", folder=program, environment=environment)
    return into


def run(binaries: Path, folder: Path, chance: random.Random, commands: Sequence[str] = ("server", "worker")) -> Path:
    """A few processes with random input, some of which end by os.Exit, leave their data in one folder: what a pod would have."""
    folder.mkdir(parents=True)
    for command in commands:
        for _ in range(chance.randint(1, 3)):
            arguments = [str(chance.randint(0, 400)) for _ in range(chance.randint(0, 5))] + ["exit"] * chance.randint(0, 1)
            done = subprocess.run([binaries / command, *arguments], env={**os.environ, "GOCOVERDIR": str(folder)}, check=False)
            assert done.returncode == (3 if "exit" in arguments else 0)
    return folder


def contents(folders: Iterable[Path]) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for folder in folders for file in folder.iterdir()}


def read(*folders: Path) -> Gathered:
    gathered = gather(contents(folders))
    assert not gathered.damage
    return gathered


def same_as_go(coverage: GoCoverage, folders: Sequence[Path], scratch: Path) -> None:
    assert go_profile.dump(coverage.profile) == textfmt(folders, scratch)
    assert go_tables.percent(coverage) == covdata("percent", folders)
    assert go_tables.functions(coverage) == covdata("func", folders)
    assert go_tables.packages(coverage) == covdata("pkglist", folders)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("go-data")


@pytest.fixture(scope="module")
def program(scratch: Path) -> Path:
    return Program(20, scratch / "program").write()


@pytest.fixture(scope="module")
def counting(program: Path, scratch: Path) -> Path:
    """The commands, built to count."""
    return build(program, scratch / "counting", "-covermode=count")


@pytest.fixture(scope="module")
def pods(counting: Path, scratch: Path) -> list[Path]:
    """The data of four pods that ran them."""
    chance = random.Random(4)
    return [run(counting, scratch / "pods" / str(number), chance) for number in range(4)]


# The promises


@pytest.mark.parametrize("mode", MODES)
def test_random_programs_and_runs_give_the_text_that_gos_tools_print(mode: str, tmp_path: Path) -> None:
    chance = random.Random(mode)
    program = Program(chance.randrange(10**6), tmp_path / "program").write()
    binaries = build(program, tmp_path / "binaries", f"-covermode={mode}")
    folders = [run(binaries, tmp_path / f"pod-{number}", chance) for number in range(5)]
    for some in (folders[:1], folders[1:3], folders):
        gathered = read(*some)
        assert {gathered_build.meta.mode for gathered_build in gathered.builds} == {mode}
        same_as_go(combine(gathered.builds), some, tmp_path)


@pytest.mark.parametrize("version", OLDER)
def test_data_of_older_versions_of_go_are_read(version: str, program: Path, tmp_path: Path) -> None:
    chance = random.Random(version)
    binaries = build(program, tmp_path / "binaries", "-covermode=atomic", environment={"GOTOOLCHAIN": version})
    folders = [run(binaries, tmp_path / f"pod-{number}", chance) for number in range(2)]
    same_as_go(combine(read(*folders).builds), folders, tmp_path)


def test_counters_for_each_function_are_read(program: Path, tmp_path: Path) -> None:
    """The go command never asks for them, but the format has them."""
    wrapper = tmp_path / "perfunc"
    wrapper.write_text(
        '#!/bin/sh\nfor word; do case "$before" in -pkgcfg) sed -i s/perblock/perfunc/ "$word";; esac; before=$word; done\n'
        'case "$word" in -V=full) "$@" | sed "s/$/ perfunc/"; exit;; esac\nexec "$@"\n'
    )
    wrapper.chmod(0o755)
    binaries = build(program, tmp_path / "binaries", "-covermode=count", f"-toolexec={wrapper}")
    folders = [run(binaries, tmp_path / f"pod-{number}", random.Random(number)) for number in range(2)]
    gathered = read(*folders)
    assert {gathered_build.meta.granularity for gathered_build in gathered.builds} == {"perfunc"}
    same_as_go(combine(gathered.builds), folders, tmp_path)


def test_sources_fit_the_blocks_that_were_made_of_them_and_no_others(program: Path, pods: list[Path]) -> None:
    """Every file of the program; and each with a line more or less, wherever that moves a block."""
    chance = random.Random(8)
    for name, functions in functions_by_file(combine(read(*pods).builds)).items():
        source = (program / name.removeprefix("example.com/shop/")).read_bytes()
        assert misfit(source, functions) == ""
        lines = source.split(b"\n")
        last = max(block.start_line for function in functions for block in function.blocks)
        for at in chance.sample(range(last - 1), min(last - 1, 15)):
            assert misfit(b"\n".join([*lines[:at], b"", *lines[at:]]), functions)
            assert misfit(b"\n".join([*lines[:at], *lines[at + 1 :]]), functions)


def functions_by_file(coverage: GoCoverage) -> dict[str, list[GoFunction]]:
    files: dict[str, list[GoFunction]] = {}
    for counted in coverage.packages:
        for function in counted.package.functions:
            files.setdefault(function.file, []).append(function)
    return files


def test_functions_are_those_of_go_tool_cover_without_a_toolchain(program: Path, pods: list[Path], tmp_path: Path) -> None:
    profile = combine(read(*pods).builds).profile
    (tmp_path / "cover.out").write_bytes(go_profile.dump(profile))
    sources = {f"example.com/shop/{file.relative_to(program)}": file.read_bytes() for file in program.rglob("*.go")}
    assert go_tables.declared_functions(profile, sources) == go(
        "tool", "cover", f"-func={tmp_path / 'cover.out'}", folder=program
    )


def test_what_go_merged_is_read_and_what_we_merge_is_read_by_go(pods: list[Path], tmp_path: Path) -> None:
    ours, gos, combined = (tmp_path / name for name in ("ours", "gos", "combined"))
    for folder in (ours, gos, combined):
        folder.mkdir()
    gathered = read(*pods)
    for merged in gathered.builds:
        shutil.copy(merged.name, ours)
        name = f"covcounters.{merged.meta.hash}.0.0"
        (ours / name).write_bytes(go_counters.dump(merged.counter_file()))
    covdata("merge", pods, f"-o={gos}")
    covdata("merge", pods, f"-o={combined}", "-pcombine")
    expected = textfmt(pods, tmp_path)
    for folder in (ours, gos, combined):
        assert textfmt([folder], tmp_path) == expected
        assert go_profile.dump(combine(read(folder).builds).profile) == expected
    said = [without_names(covdata("debugdump", [folder])) for folder in (ours, gos)]
    assert said[0] == said[1], "annotations, counters and functions"
    assert [own.annotations for own in gathered.builds] == [own.annotations for own in read(gos).builds]


def without_names(dump: str) -> list[str]:
    """What `debugdump` says, but for the command and the files that it begins with."""
    lines = [line for line in dump.splitlines() if not line.startswith(("/*", " *"))]
    return [line.partition("GOOS")[2] if line.startswith("data file") else line for line in lines]


@pytest.mark.parametrize("command", ["subtract", "intersect"])
def test_what_go_subtracted_or_intersected_is_read(command: str, counting: Path, tmp_path: Path) -> None:
    """Of one build only: with several, that command panics in Go 1.26."""
    folders = [run(counting, tmp_path / f"pod-{number}", random.Random(number), ["server"]) for number in range(2)]
    out = tmp_path / "out"
    out.mkdir()
    covdata(command, folders, f"-o={out}")
    same_as_go(combine(read(out).builds), [out], tmp_path)


def test_selected_packages_are_read(pods: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    covdata("merge", pods, f"-o={out}", "-pkg=example.com/shop/store,example.com/shop/api")
    coverage = combine(read(out).builds)
    same_as_go(coverage, [out], tmp_path)
    assert [counted.package.path for counted in coverage.packages] == ["example.com/shop/api", "example.com/shop/store"]


@pytest.mark.parametrize("big_endian", [False, True])
def test_raw_counters_are_read_as_go_reads_them(big_endian: bool, pods: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "raw"
    shutil.copytree(pods[0], out)
    for file in out.glob("covcounters.*"):
        counters = go_counters.parse(file.read_bytes())
        file.write_bytes(go_counters.dump(replace(counters, flavor="raw", big_endian=big_endian)))
    assert textfmt([out], tmp_path) == textfmt(pods[:1], tmp_path)
    same_as_go(combine(read(out).builds), [out], tmp_path)


SEGMENTS = """\
package main

import (
	"internal/coverage"
	"internal/coverage/encodecounter"
	"os"
)

type visitor uint32

func (v visitor) VisitFuncs(f encodecounter.CounterVisitorFn) error {
	for i := uint32(0); i < uint32(v); i++ {
		if err := f(300*i, i, []uint32{uint32(v), 1 << (i * 7), 0, 4294967295}); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	flavor := coverage.CtrULeb128
	if os.Args[1] == "raw" {
		flavor = coverage.CtrRaw
	}
	w := encodecounter.NewCoverageDataWriter(os.Stdout, flavor)
	args := map[string]string{"argc": "1", "argv0": "server", "GOOS": "linux"}
	if err := w.Write([16]byte{1, 2, 3}, args, visitor(3)); err != nil {
		panic(err)
	}
	for i := 0; i < 4; i++ {
		if err := w.AppendSegment(map[string]string{"argc": "0"}, visitor(i)); err != nil {
			panic(err)
		}
	}
}
"""


@pytest.mark.parametrize("flavor", ["raw", "uleb"])
def test_segments_that_gos_own_writer_appends_are_read(flavor: str, scratch: Path, tmp_path: Path) -> None:
    writer = scratch / "segments"
    if not writer.exists():
        source, overlay = tmp_path / "main.go", tmp_path / "overlay.json"
        source.write_text(SEGMENTS)
        place = f"{go('env', 'GOROOT', folder=tmp_path).strip()}/src/cmd/podcovsegments/main.go"
        overlay.write_text(json.dumps({"Replace": {place: str(source)}}))
        go("build", f"-overlay={overlay}", "-o", str(writer), "cmd/podcovsegments", folder=tmp_path)
    written = subprocess.run([writer, flavor], capture_output=True, check=True).stdout
    file = go_counters.parse(written)
    assert (file.meta_hash, file.flavor) == ("01020300000000000000000000000000", flavor)
    assert [segment.arguments for segment in file.segments] == [("server",), (), (), (), ()]
    for segment, count in zip(file.segments, (3, 0, 1, 2, 3), strict=True):
        assert [(of.package, of.function, list(of.counters)) for of in segment.functions] == [
            (300 * i, i, [count, 1 << (i * 7), 0, 4294967295]) for i in range(count)
        ]


def test_builds_of_different_modes_have_percents_but_no_sum(pods: list[Path], program: Path, tmp_path: Path) -> None:
    binaries = build(program, tmp_path / "binaries", "-covermode=set")
    folders = [pods[0], run(binaries, tmp_path / "pod", random.Random(1))]
    builds = read(*folders).builds
    with pytest.raises(MergeError, match=r"set: .*covmeta.*; count: .*covmeta") as raised:
        combine(builds)
    assert "-covermode" in raised.value.hint
    coverage = combine(builds, mode="set")
    assert go_tables.percent(coverage) == covdata("percent", folders)
    assert go_tables.functions(coverage) == covdata("func", folders)


def test_builds_with_other_files_of_a_package_are_put_together(pods: list[Path], program: Path, tmp_path: Path) -> None:
    binaries = build(program, tmp_path / "binaries", "-covermode=count", "-tags=extra")
    folders = [*pods, run(binaries, tmp_path / "pod", random.Random(2))]
    coverage = combine(read(*folders).builds)
    same_as_go(coverage, folders, tmp_path)
    files = {block.file for block in coverage.profile.counts}
    assert {"example.com/shop/store/linux_only.go", "example.com/shop/store/extra.go"} <= files


def test_builds_of_different_sources_are_named(pods: list[Path], program: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(program, changed)
    file = changed / "price" / "first.go"
    file.write_text(file.read_text() + "\nfunc Later() int { return 1 }\n")
    builds = read(*pods).builds
    others = read(run(build(changed, tmp_path / "binaries", "-covermode=count"), tmp_path / "pod", random.Random(3))).builds
    with pytest.raises(MergeError) as raised:
        combine((*builds, *others))
    message = raised.value.message
    assert "package example.com/shop/price" in message
    assert "the blocks of example.com/shop/price/first.go differ" in message
    assert any(own.name in message for own in builds)
    assert any(own.name in message for own in others)
    assert combine(others).packages, "each alone is reported"


def test_profiles_of_test_binaries_are_merged_as_their_data_are(program: Path, tmp_path: Path) -> None:
    options = ("-cover", "-covermode=count", "-coverpkg=./...")
    go("test", "-c", *options, "-o", str(tmp_path / "api.test"), "./api", folder=program)
    folders, profiles = [], {}
    for name in ("First", "Second"):
        folder, profile = tmp_path / name, tmp_path / f"{name}.out"
        folder.mkdir()
        words = (f"-test.run={name}", f"-test.coverprofile={profile}", f"-test.gocoverdir={folder}")
        subprocess.run([tmp_path / "api.test", *words], cwd=program / "api", check=True, capture_output=True)
        folders.append(folder)
        profiles[str(profile)] = go_profile.parse(profile.read_bytes(), name=str(profile))
        assert go_profile.dump(profiles[str(profile)]) == profile.read_bytes()
    merged = go_profile.merge(profiles)
    assert go_profile.dump(merged) == textfmt(folders, tmp_path)
    assert merged == combine(read(*folders).builds).profile


def test_the_model_has_gos_numbers(pods: list[Path]) -> None:
    coverage = combine(read(*pods).builds)
    files = file_coverages({0: coverage}, "shop", lambda file: Place(file.removeprefix("example.com/shop/"), "", "missing"))
    numbers = total(files)
    assert covdata("func", pods).split()[-1] == f"{numbers.percent:.1f}%"
    for line in covdata("percent", pods).splitlines():
        _, package, _, *said = line.split("\t")
        if said and said[0]:
            own = total(file for file in files if file.package == package)
            assert said[0] == f"coverage: {own.percent:.1f}% of statements"


def test_the_model_is_written_and_read_as_report_json(pods: list[Path]) -> None:
    epochs = {number: combine(read(pod).builds) for number, pod in enumerate(pods)}
    files = file_coverages(
        epochs, "shop", lambda file: Place(file.removeprefix("example.com/shop/"), f"sha256:{'00' * 32}", "local")
    )
    report = Report("run-1", tuple(map(Epoch, epochs)), files, ("shop",))
    written = report_json.dump(report)
    Draft202012Validator(schema("report-1")).validate(json.loads(written))
    assert report_json.load(written) == report
    hits = {(region.start, region.hits) for file in files for region in file.regions if region.covered}
    everything = combine(read(*pods).builds).profile
    assert hits == {(block.start, count) for block, count in everything.counts.items() if count}


def test_a_file_that_is_cut_off_is_named_and_the_rest_is_merged(pods: list[Path], tmp_path: Path) -> None:
    files = contents(pods)
    expected = [name for name in files if "covcounters" in name]
    victim = expected[3]
    for size in (0, 1, 31, 40, len(files[victim]) // 2, len(files[victim]) - 1):
        gathered = gather({**files, victim: files[victim][:size]})
        (damage,) = gathered.damage
        assert damage.startswith(f"{victim}: byte ")
        assert sum(own.processes for own in gathered.builds) == len(expected) - 1
        assert combine(gathered.builds) == combine(gather({n: d for n, d in files.items() if n != victim}).builds)


def test_a_build_is_known_by_the_first_bytes_of_its_meta_data(pods: list[Path]) -> None:
    for file in pods[0].glob("covmeta.*"):
        data = file.read_bytes()
        known = go_meta.identity(data[:40])
        assert (f"covmeta.{known.hash}", known.size) == (file.name, len(data))


def test_what_the_manual_says_works(pods: list[Path], root: Path, tmp_path: Path) -> None:
    manual = (root / "docs" / "go-data.md").read_text()
    code = manual.partition("```python\n")[2].partition("```")[0]
    for number, pod in enumerate(pods):
        shutil.copytree(pod, tmp_path / "coverdata" / f"pod-{number}")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == covdata("percent", pods)
    assert (tmp_path / "cover.out").read_bytes() == textfmt(pods, tmp_path)


def test_the_benchmark_compares_with_gos_tool(root: Path) -> None:
    """What it measures is not asserted: it is a matter of the machine."""
    options = ("--pods", "3", "--runs", "2", "--rounds", "1", "--cold-rounds", "0", "--packages", "./...", "--json")
    command = [sys.executable, str(root / "benchmarks" / "go_data.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (result,) = document["results"]
    assert (document["schema"], result["what"].partition(",")[0]) == ("podcov/benchmark/1", "warm")
    assert "podcov, in a run" in result["peers"]
    assert all(set(columns) == {"speed", "cpu"} for columns in result["peers"].values())

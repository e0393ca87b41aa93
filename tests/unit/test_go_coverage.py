"""Go's data put together: of processes, builds and packages, whatever the order; what is damaged is named and left out."""

from __future__ import annotations

import contextlib
import struct
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.errors import DamagedError, MergeError, NoDataError
from podcov.formats import go_counters, go_meta, go_profile, go_tables
from podcov.formats.go_builds import Gathered, gather
from podcov.formats.go_bytes import WORD, encode_string_table, encode_uleb
from podcov.formats.go_counters import CounterFile, Segment
from podcov.formats.go_coverage import combine
from podcov.formats.go_meta import GoFunction, GoPackage, Meta
from podcov.formats.go_profile import LARGEST, Block, Mode, dump
from podcov.formats.go_regions import Place, block_of, file_coverages, region
from podcov.model import Function, Region

GOLD = Path(__file__).parent / "gold" / "go"
MODES: tuple[Mode, ...] = get_args(Mode)
Counts = Mapping[tuple[int, int], Sequence[int]]


# Meta-data files as Go writes them


def encode_meta(meta: Meta) -> bytes:
    packages = [encode_package(package) for package in meta.packages]
    strings = encode_string_table(("",))
    first = 56 + 16 * len(packages) + len(strings)
    sizes = [len(package) for package in packages]
    offsets = [first + sum(sizes[:number]) for number in range(len(sizes))]
    mode, granularity = MODES.index(meta.mode) + 1, ("perblock", "perfunc").index(meta.granularity) + 1
    header = struct.pack(
        "<4sIQQ16sIIBB6x",
        *(b"\0cvm", 1, first + sum(sizes), len(packages), bytes.fromhex(meta.hash)),
        *(56 + 16 * len(packages), len(strings), mode, granularity),
    )
    return header + struct.pack(f"<{2 * len(sizes)}Q", *offsets, *sizes) + strings + b"".join(packages)


def encode_package(package: GoPackage) -> bytes:
    texts = [package.name, package.path, package.module, *(text for of in package.functions for text in (of.name, of.file))]
    strings = {text: index for index, text in enumerate(dict.fromkeys(("", *texts)))}
    table = encode_string_table(tuple(strings))
    functions = [encode_function(function, strings) for function in package.functions]
    first = 44 + 4 * len(functions) + len(table)
    size = first + sum(map(len, functions))
    offsets = [first + sum(map(len, functions[:number])) for number in range(len(functions))]
    indexes = (strings[package.name], strings[package.path], strings[package.module])
    header = struct.pack("<IIII16s4xII", size, *indexes, bytes.fromhex(package.digest), len(strings), len(functions))
    return header + struct.pack(f"<{len(offsets)}I", *offsets) + table + b"".join(functions)


def encode_function(function: GoFunction, strings: Mapping[str, int]) -> bytes:
    places = (number for block in function.blocks for number in block[1:])
    numbers = (len(function.blocks), strings[function.name], strings[function.file], *places, function.literal)
    return b"".join(map(encode_uleb, map(int, numbers)))


# A small build


def function(name: str, file: str, *lines: int, literal: bool = False) -> GoFunction:
    return GoFunction(name, file, literal, tuple(Block(file, line, 2, line + 1, 3, 2) for line in lines))


CART = "example.com/shop/cart/cart.go"
EXTRA = "example.com/shop/cart/extra.go"
MAIN = "example.com/shop/main.go"

META = Meta(
    "0a" * 16,
    "count",
    "perblock",
    (
        GoPackage(
            "example.com/shop/cart",
            "cart",
            "example.com/shop",
            "01" * 16,
            (
                function("*Cart.Add", CART, 10, 300, 20),
                function("init", CART, 400),
                function("func.L9.C3", CART, 500, literal=True),
            ),
        ),
        GoPackage("example.com/shop/names", "names", "example.com/shop", "02" * 16, ()),
        GoPackage("example.com/shop", "main", "example.com/shop", "03" * 16, (function("main", MAIN, 5),)),
    ),
)
FUNCTIONS = [(p, f) for p, package in enumerate(META.packages) for f, _ in enumerate(package.functions)]


def process(counts: Counts, *, build: Meta = META, flavor: go_counters.Flavor = "uleb", split: bool = False) -> bytes:
    """The counter file of a process; `split`: each function in a segment of its own."""
    segments = []
    words = array(WORD)
    for (package, number), own in counts.items():
        words.extend((len(own), package, number, *own))
        if split:
            segments.append(Segment({"GOOS": "linux"}, words))
            words = array(WORD)
    if not split or not segments:
        segments.append(Segment({"GOOS": "linux"}, words))
    return go_counters.dump(CounterFile(build.hash, tuple(segments), flavor))


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    number = st.one_of(st.integers(0, 3), st.integers(0, LARGEST))
    reached = draw(st.lists(st.sampled_from(FUNCTIONS), unique=True))
    sizes = {(p, f): len(META.packages[p].functions[f].blocks) for p, f in reached}
    return {key: draw(st.lists(number, min_size=size, max_size=size)) for key, size in sizes.items()}


def files_of(processes: Iterable[bytes], build: Meta = META) -> dict[str, bytes]:
    files = {f"pod-{number}/covcounters.{build.hash}.1.{number}": data for number, data in enumerate(processes)}
    return {f"pod-0/covmeta.{build.hash}": encode_meta(build), **files}


def one_by_one(processes: Sequence[Counts], mode: Mode) -> dict[tuple[int, int], list[int]]:
    """The plainest possible sum."""
    sums: dict[tuple[int, int], list[int]] = {}
    for counted in processes:
        for key, own in counted.items():
            before = sums.get(key, [0] * len(own))
            sums[key] = [go_profile.add(mode, *pair) for pair in zip(before, own, strict=True)]
    return sums


def gathered_counts(gathered: Gathered) -> dict[tuple[int, int], list[int]]:
    (build,) = gathered.builds
    return {key: list(own) for key, own in build.counts.items()}


# Reading meta-data


def test_meta_data_are_read() -> None:
    assert go_meta.parse(encode_meta(META)) == META
    assert go_meta.identity(encode_meta(META)[:40]) == (META.hash, len(encode_meta(META)))


@pytest.mark.parametrize("version", ["1.20", "1.26"])
def test_what_go_wrote_becomes_what_go_prints(version: str) -> None:
    files = {file.name: file.read_bytes() for file in (GOLD / version).iterdir()}
    gathered = gather(files)
    assert (gathered.damage, gathered.ignored) == ((), ("profile.txt",))
    assert [build.processes for build in gathered.builds] == [3]
    assert dump(combine(gathered.builds).profile) == files["profile.txt"]


def test_the_same_package_of_two_versions_of_go_is_one() -> None:
    files = {str(file): file.read_bytes() for file in GOLD.rglob("cov*")}
    coverage = combine(gather(files).builds)
    single = combine(gather({name: data for name, data in files.items() if "1.26" in name}).builds)
    assert coverage.profile.counts == {block: 2 * count for block, count in single.profile.counts.items()}


@given(st.integers(0, len(encode_meta(META)) - 1))
def test_meta_data_that_are_cut_off_anywhere_say_so(size: int) -> None:
    with pytest.raises(DamagedError, match=r"^covmeta: byte \d+: "):
        go_meta.parse(encode_meta(META)[:size])


@pytest.mark.parametrize(
    ("change", "byte", "what"),
    [
        (lambda data: b"\0cwm" + data[4:], 0, "no meta-data file"),
        (lambda data: data[:4] + b"\2" + data[5:], 4, "version 2"),
        (lambda data: data + b"x", 8, "should have"),
        (lambda data: data[:16] + b"\xff\xff" + data[18:], 16, "no room for 65535 packages"),
        (lambda data: data[:48] + b"\4" + data[49:], 48, "counter mode 4"),
        (lambda data: data[:49] + b"\0" + data[50:], 49, "granularity 0"),
    ],
)
def test_what_is_wrong_with_meta_data_is_named_with_its_byte(change: Callable[[bytes], bytes], byte: int, what: str) -> None:
    with pytest.raises(DamagedError, match=what) as raised:
        go_meta.parse(change(encode_meta(META)), name="covmeta.ab")
    assert raised.value.message.startswith(f"covmeta.ab: byte {byte}: ")


# Adding processes


@pytest.mark.parametrize("mode", MODES)
@given(st.lists(counts(), max_size=5), st.booleans(), st.sampled_from(["raw", "uleb"]))
def test_processes_are_added_as_if_one_by_one(mode: Mode, some: list[Counts], split: bool, flavor: go_counters.Flavor) -> None:
    build = replace(META, mode=mode)
    gathered = gather(files_of((process(own, flavor=flavor, split=split) for own in some), build))
    assert not gathered.damage
    assert gathered_counts(gathered) == one_by_one(some, mode)


@given(st.lists(counts(), min_size=2, max_size=3))
def test_the_order_of_processes_does_not_matter(some: list[Counts]) -> None:
    results = [combine(gather(files_of(map(process, order))).builds) for order in permutations(some)]
    assert all(result == results[0] for result in results)


@given(st.lists(counts(), min_size=2, max_size=4), st.data())
def test_processes_may_be_merged_in_groups(some: list[Counts], data: st.DataObject) -> None:
    """What was merged is written, read and merged again."""
    cut = data.draw(st.integers(1, len(some) - 1))
    groups = [gather(files_of(map(process, group))).builds[0] for group in (some[:cut], some[cut:])]
    again = gather(files_of(go_counters.dump(group.counter_file()) for group in groups))
    assert combine(again.builds) == combine(gather(files_of(map(process, some))).builds)


@given(st.lists(counts(), max_size=3))
def test_adding_sets_twice_changes_nothing(some: list[Counts]) -> None:
    build = replace(META, mode="set")
    once = gather(files_of(map(process, some), build))
    twice = gather(files_of(map(process, [*some, *some]), build))
    assert gathered_counts(twice) == gathered_counts(once)


def test_what_processes_have_in_common_is_kept() -> None:
    def said(annotations: Mapping[str, str]) -> bytes:
        return go_counters.dump(CounterFile(META.hash, (Segment(annotations),)))

    linux = {"GOOS": "linux", "GOARCH": "amd64", "argc": "1", "argv0": "shop"}
    for other, common in (
        (linux, linux),
        ({**linux, "GOARCH": "arm64"}, {"GOOS": "linux", "argc": "1", "argv0": "shop"}),
        ({**linux, "argc": "2", "argv1": "x"}, {"GOOS": "linux", "GOARCH": "amd64"}),
        ({}, {}),
    ):
        (build,) = gather(files_of([said(linux), said(other)])).builds
        assert build.annotations == common


# What is damaged


def test_damaged_files_are_named_and_the_rest_is_added() -> None:
    good = process({(0, 0): [1, 2, 3]})
    files = {
        **files_of([good]),
        "pod-1/covcounters.a.1.1": good[:-1],
        "pod-1/covcounters.b.1.1": process({(0, 0): [1, 2]}),
        "pod-1/covcounters.c.1.1": process({(2, 0): [7], (7, 1): [1]}),
        "pod-1/covcounters.d.1.1": process({(0, 0): [1, 2, 3]}, build=replace(META, hash="ff" * 16)),
        "pod-1/covmeta.e": b"",
        "pod-1/tmp.covcounters.f.1.1": b"1234",
        "pod-1/metafiles.txt": b"",
    }
    gathered = gather(files)
    assert gathered_counts(gathered) == {(0, 0): [1, 2, 3]}, "also of a file that is half right, nothing is added"
    assert gathered.ignored == ("pod-1/metafiles.txt",)
    start = len(process({}))
    meta = f"pod-0/covmeta.{META.hash}"
    assert sorted(gathered.damage) == [
        f"pod-1/covcounters.a.1.1: byte {len(good) - 17}: there is no footer: the file is cut off, or was still being written",
        f"pod-1/covcounters.b.1.1: byte {start - 16}: function 0 of package 0 with 2 counters is not in {meta}",
        f"pod-1/covcounters.c.1.1: byte {start - 12}: function 1 of package 7 with 1 counters is not in {meta}",
        f"pod-1/covcounters.d.1.1: byte 8: its meta-data, covmeta.{'ff' * 16}, are not here or cannot be read",
        "pod-1/covmeta.e: byte 0: the magic number needs 4 bytes, and there are 0 left",
        "pod-1/tmp.covcounters.f.1.1: byte 4: the process was stopped while it wrote this",
    ]


def test_files_are_known_by_their_content_whatever_their_names() -> None:
    gathered = gather({"a": encode_meta(META), "b.1.covcounters": process({(2, 0): [4]}), "c": b"", "tmp.d": b"\0cv"})
    assert (gathered.damage, gathered.ignored) == ((), ("c", "tmp.d"))
    assert gathered_counts(gathered) == {(2, 0): [4]}


def test_one_whole_copy_of_the_meta_data_is_enough() -> None:
    files = files_of([process({(2, 0): [1]})])
    whole = encode_meta(META)
    files |= {f"a/covmeta.{META.hash}": whole[:-5], f"z/covmeta.{META.hash}": whole, f"zz/covmeta.{META.hash}": whole[:-5]}
    gathered = gather(files)
    assert [damage.partition(":")[0] for damage in gathered.damage] == [f"a/covmeta.{META.hash}", f"zz/covmeta.{META.hash}"]
    assert gathered_counts(gathered) == {(2, 0): [1]}


def test_nothing_gathered_cannot_be_combined() -> None:
    with pytest.raises(NoDataError):
        combine(gather({}).builds)


ORIGINAL = {str(file.relative_to(GOLD)): file.read_bytes() for file in sorted(GOLD.rglob("cov*"))}
edits = st.tuples(st.sampled_from(sorted(ORIGINAL)), st.integers(0, 600), st.integers(0, 4), st.binary(max_size=4))


@given(st.lists(edits, min_size=1, max_size=5))
def test_whatever_became_of_the_bytes_something_is_reported_and_nothing_crashes(
    changes: list[tuple[str, int, int, bytes]],
) -> None:
    files = dict(ORIGINAL)
    for name, at, removed, added in changes:
        files[name] = files[name][:at] + added + files[name][at + removed :]
    gathered = gather(files)
    named = {damage.partition(": ")[0] for damage in gathered.damage}
    assert named <= set(files)
    with contextlib.suppress(MergeError, NoDataError):
        coverage = combine(gathered.builds)
        go_profile.parse(dump(coverage.profile))
        for table in (go_tables.percent, go_tables.functions, go_tables.packages):
            table(coverage)
        file_coverages({0: coverage}, "shop", lambda file: Place(file, "", "missing"))


# Putting builds together

OTHER = "0b" * 16


def other_build(*functions: GoFunction, mode: Mode = "count") -> Meta:
    package = replace(META.packages[0], digest="04" * 16, functions=functions)
    return Meta(OTHER, mode, "perblock", (META.packages[2], package))


def both(other: Meta, counted: Counts) -> Gathered:
    ours = files_of([process({(0, 0): [1, 0, 2], (2, 0): [1]})])
    return gather({**ours, **{f"other/{name}": data for name, data in files_of([process(counted, build=other)], other).items()}})


def test_packages_are_put_together_by_path_and_blocks() -> None:
    """Another order, other numbers, a file more: a build with another tag."""
    other = other_build(*reversed(META.packages[0].functions), function("extra", EXTRA, 3))
    coverage = combine(both(other, {(0, 0): [5], (1, 2): [10, 20, 30], (1, 3): [9]}).builds)
    counted = {(block.file, block.start_line): count for block, count in coverage.profile.counts.items()}
    assert counted == {
        (CART, 10): 11,
        (CART, 300): 20,
        (CART, 20): 32,
        (CART, 400): 0,
        (CART, 500): 0,
        (EXTRA, 3): 9,
        (MAIN, 5): 6,
    }
    assert [of.package.path for of in coverage.packages] == sorted(package.path for package in META.packages)


@pytest.mark.parametrize(
    "functions",
    [
        (function("*Cart.Add", CART, 10, 300, 21), *META.packages[0].functions[1:]),
        META.packages[0].functions[:2],
        (*META.packages[0].functions, function("later", CART, 600)),
    ],
)
def test_packages_of_different_sources_are_named(functions: tuple[GoFunction, ...]) -> None:
    builds = both(other_build(*functions), {}).builds
    for order in permutations(builds):
        with pytest.raises(MergeError) as raised:
            combine(order)
        message = raised.value.message
        assert message.startswith("package example.com/shop/cart is not the same in ")
        assert message.endswith(f"the blocks of {CART} differ")
        assert all(build.name in message for build in builds)


def test_builds_of_different_modes_are_named() -> None:
    builds = both(other_build(*META.packages[0].functions, mode="set"), {(0, 0): [1]}).builds
    with pytest.raises(MergeError, match=r"set: other/pod-0/covmeta.*; count: pod-0/covmeta"):
        combine(builds)
    whether = combine(builds, mode="set")
    assert set(whether.profile.counts.values()) == {0, 1}


def test_builds_of_different_granularity_are_named() -> None:
    builds = both(replace(other_build(*META.packages[0].functions), granularity="perfunc"), {}).builds
    with pytest.raises(MergeError, match=r"perblock: .*covmeta.*; perfunc: .*covmeta"):
        combine(builds)


# podcov's model


def test_files_become_regions_with_the_epochs_that_ran_them() -> None:
    def counted(counts: Counts) -> bytes:
        return process(counts)

    epochs = {
        epoch: combine(gather(files_of([counted(own)])).builds)
        for epoch, own in {0: {(0, 0): [1, 0, 0]}, 2: {(0, 0): [2, 1, 0], (2, 0): [1]}}.items()
    }
    cart, main = file_coverages(epochs, "shop", lambda file: Place(file.removeprefix("example.com/shop/"), "sha256:aa", "local"))
    assert (cart.path, cart.package, cart.language, cart.mode) == ("cart/cart.go", "example.com/shop/cart", "go", "line")
    assert cart.regions[:3] == (
        Region((10, 2), (11, 2), 2, 3, (0, 2)),
        Region((20, 2), (21, 2), 2, 0, ()),
        Region((300, 2), (301, 2), 2, 1, (2,)),
    )
    assert cart.functions == (Function("*Cart.Add", 10, 301), Function("init", 400, 401))
    assert (cart.numbers.statements, cart.numbers.covered, main.numbers.percent) == (10, 4, 100.0)


@pytest.mark.parametrize(
    ("end", "inclusive"),
    [((7, 9), (7, 8)), ((7, 1), (6, 0)), ((3, 5), (3, 4))],
)
def test_ends_are_inclusive_in_the_model(end: tuple[int, int], inclusive: tuple[int, int]) -> None:
    block = Block("a.go", 3, 5, *end, 1)
    assert region(block, 0, ()).end == inclusive
    assert block_of("a.go", region(block, 0, ())) == block

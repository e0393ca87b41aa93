"""What one service's raw hits become: which files count, in which epochs, from which text, and what is said of them."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from platform import python_version

import pytest
from podcov.config import Service
from podcov.edges.analysis import Analyst
from podcov.errors import MappingError, UsageError
from podcov.formats.analysis import FileAnalysis
from podcov.formats.records import CodeEntry, EpochRecord, FileEntry, Kind, ProcessRecords, StartRecord, TargetRecords
from podcov.languages import Converted, Selection, ServiceData, Target, number_epochs, of
from podcov.model import Epoch, FileCoverage

Texts = Mapping[str, str]
Convert = Callable[[ServiceData, Iterable[str]], Converted]

CART = "def add(n):\n    if n:\n        return n\n    return 0\n"
HOST = ".".join(python_version().split(".")[:2])


def digest(text: str) -> str:
    return "sha256:" + sha256(text.encode()).hexdigest()


def line(index: int, number: int) -> int:
    return Kind.LINE << 61 | index << 40 | number


def arc(index: int, start: int, end: int) -> int:
    return Kind.ARC << 61 | index << 40 | (start & 0xFFFFF) << 20 | end & 0xFFFFF


def process(paths: Iterable[str], epochs: Mapping[int, Iterable[int]], **start: object) -> ProcessRecords:
    """A process that loaded the files of these container paths; they have the indexes 1, 2, ..."""
    record = StartRecord(7, 70, **{"version": f"{HOST}.0", "mode": "line", **start})  # type: ignore[arg-type]
    files = {index: FileEntry(index, 10, 5, path) for index, path in enumerate(paths, 1)}
    return ProcessRecords("7-70-aaaaaaaa", record, files, {}, {e: array("Q", words) for e, words in epochs.items()})


def target(processes: Iterable[ProcessRecords], texts: Texts, epochs: Iterable[EpochRecord] = ()) -> Target:
    """A target whose files held these texts, by container path."""
    records = TargetRecords(0, tuple(epochs), tuple(processes))
    return Target("ns/pod/web", records, {(path, 10, 5): digest(text) for path, text in texts.items()})


def service(targets: Iterable[Target], local: Texts, **more: object) -> ServiceData:
    found = tuple(targets)
    settings = {"service": Service("web"), "root": "/project", **more}
    numbering = number_epochs((t.records for t in found), "run")
    digests = {path: digest(text) for path, text in local.items()}
    return ServiceData(targets=found, epochs=numbering, local=digests, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def convert(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Convert:
    """Converts with tables of this interpreter for all texts given."""
    analyst = Analyst(root / "wrapper/python/podcov_analysis.py", tmp_path_factory.mktemp("cache"))

    def convert(data: ServiceData, texts: Iterable[str]) -> Converted:
        by_digest = {digest(text): text.encode() for text in texts}
        language = of("python")
        return language.convert(data, asyncio.run(analyst.tables(language.needs(data), by_digest.get)))

    return convert


def covered(files: Iterable[FileCoverage]) -> dict[str, list[int]]:
    return {f.path: sorted(f.covered_lines) for f in files}


def test_lines_that_ran_in_any_process_and_target_are_covered(convert: Convert) -> None:
    one = target([process(["/app/cart.py"], {0: [line(1, 1), line(1, 2)]})], {"/app/cart.py": CART})
    other = target([process(["/srv/cart.py"], {0: [line(1, 4)]})], {"/srv/cart.py": CART})
    converted = convert(service([one, other], {"web/cart.py": CART}), [CART])
    (cart,) = converted.files
    assert (cart.service, cart.path, cart.origin, cart.package, cart.mode) == ("web", "web/cart.py", "local", "web", "line")
    assert cart.recorded_paths == ("/app/cart.py", "/srv/cart.py")
    assert sorted(cart.covered_lines) == [1, 2, 4]
    assert [f.name for f in cart.functions] == ["add"]
    assert (cart.numbers.statements, cart.numbers.covered) == (4, 3)


def test_only_start_up_and_this_run_s_epochs_count(convert: Convert) -> None:
    marks = [EpochRecord(1, "earlier", "tests", 10), EpochRecord(2, "run", "tests", 20)]
    words = {0: [line(1, 1)], 1: [line(1, 2)], 2: [line(1, 4)]}
    data = service([target([process(["/app/cart.py"], words)], {"/app/cart.py": CART}, marks)], {"cart.py": CART})
    (cart,) = convert(data, [CART]).files
    assert {r.start[0]: r.epochs for r in cart.regions if r.covered} == {1: (0,), 4: (1,)}


def test_a_file_that_ran_only_in_an_earlier_run_is_not_there(convert: Convert) -> None:
    marks = [EpochRecord(1, "earlier", "tests", 10), EpochRecord(2, "run", "tests", 20)]
    data = service([target([process(["/app/x.py"], {1: [line(1, 1)]})], {"/app/x.py": CART}, marks)], {"x.py": CART})
    assert convert(data, [CART]).files == ()
    assert covered(convert(replace(data, selection=Selection(unloaded=("x.py",))), [CART]).files) == {"x.py": []}


def test_targets_count_their_epochs_differently_and_the_report_once() -> None:
    old = TargetRecords(0, (EpochRecord(1, "earlier", "", 1), EpochRecord(2, "run", "a", 5), EpochRecord(3, "run", "b", 9)), ())
    new = TargetRecords(0, (EpochRecord(1, "run", "b", 10),), ())
    numbering = number_epochs([new, old], "run")
    assert numbering.epochs == (Epoch(0), Epoch(1, "run", "a"), Epoch(2, "run", "b"))
    assert numbering.counted(old) == {0: 0, 2: 1, 3: 2}
    assert numbering.counted(new) == {0: 0, 1: 2}


def test_a_label_may_come_again() -> None:
    records = TargetRecords(0, (EpochRecord(1, "run", "a", 5), EpochRecord(2, "run", "a", 9)), ())
    assert number_epochs([records], "run").counted(records) == {0: 0, 1: 1, 2: 2}


def test_a_changed_checkout_is_reported_from_the_text_that_ran(convert: Convert) -> None:
    main = "import cart\n"
    ran = process(["/app/cart.py", "/app/main.py"], {0: [line(1, 1), line(2, 1)]})
    data = service([target([ran], {"/app/cart.py": CART, "/app/main.py": main})], {"cart.py": "# shorter\n", "main.py": main})
    converted = convert(data, [CART, main])
    cart = converted.files[0]
    assert (cart.path, cart.origin, cart.digest, cart.numbers.statements) == ("cart.py", "recorded", digest(CART), 4)
    assert converted.warnings == ("cart.py: is not the text that ran (/app/cart.py); reported from that text",)


def test_files_that_nothing_loaded_count_with_nothing_covered(convert: Convert) -> None:
    unused = "def never():\n    pass\n"
    data = service(
        [target([process(["/app/cart.py"], {0: [line(1, 1)]})], {"/app/cart.py": CART})],
        {"cart.py": CART, "unused.py": unused, "elsewhere.py": "x = 1\n"},
        selection=Selection(unloaded=("cart.py", "unused.py")),
    )
    converted = convert(data, [CART, unused])
    assert covered(converted.files) == {"cart.py": [1], "unused.py": []}
    assert converted.files[1].numbers.statements == 2


def test_a_file_that_nothing_loaded_and_nobody_can_parse_is_named(convert: Convert) -> None:
    old = "print 'two'\n"
    data = service(
        [target([process([], {})], {})], {"old.py": old}, selection=Selection(unloaded=("old.py",)), default_minor=HOST
    )
    converted = convert(data, [old])
    assert converted.files == ()
    assert converted.warnings[0].startswith("old.py: left out, for nothing loaded it and it cannot be parsed: ")


def test_a_service_without_any_process_is_read_with_the_default_version(convert: Convert) -> None:
    data = service([], {"cart.py": CART}, selection=Selection(unloaded=("cart.py",)), default_minor=HOST)
    assert covered(convert(data, [CART]).files) == {"cart.py": []}
    assert convert(replace(data, default_minor=""), []).files == ()


def test_the_configuration_narrows_what_counts(convert: Convert) -> None:
    texts = {"/app/cart.py": CART, "/app/api.py": CART + "\n", "/v/site-packages/lib/a.py": CART + "\n\n"}
    ran = process(list(texts), {0: [line(1, 1), line(2, 1), line(3, 1)]})
    data = service([target([ran], texts)], {"shop/cart.py": CART, "api/api.py": texts["/app/api.py"]})

    def reported(**selection: tuple[str, ...]) -> list[str]:
        narrowed = replace(data, selection=Selection(**selection), service=Service("web", packages=("lib",)))
        return [f.path for f in convert(narrowed, texts.values()).files]

    assert reported() == ["api/api.py", "shop/cart.py", "site-packages/lib/a.py"]
    assert reported(folders=("/project/shop",)) == ["shop/cart.py", "site-packages/lib/a.py"]
    assert reported(packages=("shop",)) == ["shop/cart.py", "site-packages/lib/a.py"]
    assert reported(omit=(r".*/api/.*",)) == ["shop/cart.py", "site-packages/lib/a.py"]
    assert reported(omit=(r".*/site-packages/.*", r".*/cart\.py")) == ["api/api.py"]
    assert reported(include=(r"/project/.*",)) == ["api/api.py", "shop/cart.py"]


def test_scripts_that_an_installer_made_are_nobody_s_source(convert: Convert) -> None:
    ran = process(["/usr/local/bin/gunicorn", "/app/serve"], {0: [line(1, 1), line(2, 1)]})
    texts = {"/usr/local/bin/gunicorn": "import sys\n", "/app/serve": "import os\n"}
    assert covered(convert(service([target([ran], texts)], {"bin/serve": "import os\n"}), texts.values()).files) == {
        "bin/serve": [1]
    }


def test_a_text_that_ran_and_cannot_be_had_is_a_failure(convert: Convert) -> None:
    ran = process(["/app/gone.py", "/app/idle.py"], {0: [line(1, 1)]})
    data = service([replace(target([ran], {}), digests={("/app/gone.py", 10, 5): None})], {})
    converted = convert(data, [])
    assert converted.failures == (
        "ns/pod/web: /app/gone.py: ran, but its source could not be had, so that nothing can be said about it",
    )


def test_code_whose_file_never_existed_is_a_warning(convert: Convert) -> None:
    made_up = replace(process([], {0: [line(1, 1)]}), files={1: FileEntry(1, -1, -1, "/app/template.py")})
    converted = convert(service([target([made_up], {})], {}), [])
    assert converted.failures == ()
    assert len(converted.warnings) == 1


def test_a_text_that_ran_and_cannot_be_analysed_is_a_failure(convert: Convert) -> None:
    odd = "print 'two'\n"
    data = service([target([process(["/app/odd.py"], {0: [line(1, 1)]})], {"/app/odd.py": odd})], {})
    assert "/app/odd.py: ran, but cannot be analysed: " in convert(data, [odd]).failures[0]


def test_a_text_that_is_not_in_the_run_s_folder_any_more_is_a_failure(convert: Convert) -> None:
    data = service([target([process(["/app/lost.py"], {0: [line(1, 1)]})], {"/app/lost.py": "lost = 1\n"})], {})
    assert "its text is not in the run's folder" in convert(data, []).failures[0]


def test_processes_that_did_not_record_are_the_ledger_s(convert: Convert) -> None:
    plain = process(["/app/cart.py"], {0: [line(1, 1)]}, state="unsupported")
    torn = replace(plain, start=None)
    assert convert(service([target([plain, torn], {"/app/cart.py": CART})], {"cart.py": CART}), []).files == ()


def test_branches_are_reported_where_every_process_recorded_them(convert: Convert) -> None:
    ran = process(
        ["/app/cart.py"], {0: [arc(1, -1, 1), arc(1, 1, -1), arc(1, -1, 2), arc(1, 2, 3), arc(1, 3, -1)]}, mode="branch"
    )
    both = [target([ran], {"/app/cart.py": CART})]
    (cart,) = convert(service(both, {"cart.py": CART}), [CART]).files
    assert [(a.from_line, a.to, a.covered, a.epochs) for a in cart.arcs] == [(2, 3, True, (0,)), (2, 4, False, ())]
    assert (cart.mode, cart.numbers.partial_branches) == ("branch", 1)

    mixed = [*both, target([process(["/app/cart.py"], {0: [line(1, 4)]})], {"/app/cart.py": CART})]
    converted = convert(service(mixed, {"cart.py": CART}), [CART])
    assert (converted.files[0].mode, converted.files[0].arcs, sorted(converted.files[0].covered_lines)) == (
        "line",
        (),
        [1, 2, 3, 4],
    )
    assert converted.warnings == ("web: some processes recorded lines and some branches; reported without branches",)


def test_code_that_an_import_hook_rewrote_counts_its_lines_and_is_named(convert: Convert) -> None:
    words = [Kind.LINE << 61 | 2 << 40 | 2, Kind.BRANCH << 61 | 2 << 40 | 4 << 20 | 8, Kind.RETURN << 61 | 2 << 40 | 12]
    rewritten = replace(process(["/app/cart.py"], {0: words}, mode="branch"), codes={2: CodeEntry(2, 1, 1, "00000000", "add")})
    converted = convert(service([target([rewritten], {"/app/cart.py": CART})], {"cart.py": CART}), [CART])
    assert covered(converted.files) == {"cart.py": [2]}
    assert not any(a.covered for a in converted.files[0].arcs)
    assert converted.warnings == (
        f"/app/cart.py: what ran of add is not what Python {HOST} compiles from that text (an import hook?): "
        "its lines count, its branches are not known",
    )


def test_two_local_files_of_the_same_text_are_an_error_of_that_service(convert: Convert) -> None:
    data = service([target([process(["/app/x.py"], {0: [line(1, 1)]})], {"/app/x.py": CART})], {"a/x.py": CART, "b/x.py": CART})
    with pytest.raises(MappingError, match="web: files that ran equal several local files"):
        convert(data, [CART])
    told = replace(data, service=Service("web", paths={"/app": "b"}))
    assert covered(convert(told, [CART]).files) == {"b/x.py": [1]}


def test_blank_files_are_reported_without_statements(convert: Convert) -> None:
    ran = process(["/app/shop/__init__.py", "/app/main.py"], {0: [line(1, 1), line(2, 1)]})
    data = service(
        [target([ran], {"/app/shop/__init__.py": "", "/app/main.py": "import shop\n"})],
        {"web/shop/__init__.py": "", "web/main.py": "import shop\n", "api/shop/__init__.py": ""},
    )
    converted = convert(data, ["", "import shop\n"])
    assert {f.path: f.numbers.statements for f in converted.files} == {"web/main.py": 1, "web/shop/__init__.py": 0}


def test_a_text_that_two_versions_ran_is_analysed_by_both_and_reported_once() -> None:
    """What counts as a statement may differ between them."""
    ran = [process(["/app/x.py"], {0: [line(1, number)]}, version=version) for number, version in ((1, "3.11.7"), (2, "3.14.0"))]
    data = service([target(ran, {"/app/x.py": CART})], {"x.py": CART})
    old, new = of("python").needs(data)
    assert [need.minor for need in (old, new)] == ["3.11", "3.14"]
    tables = {old: FileAnalysis(statements=frozenset({1, 3})), new: FileAnalysis(statements=frozenset({1, 2, 3}))}
    (file,) = of("python").convert(data, tables).files
    assert [(r.start[0], r.covered) for r in file.regions] == [(1, True), (2, True), (3, False)]


def test_a_language_that_nobody_knows_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'cobol' is not known"):
        of("cobol")

"""Every report of one small run, as people get it. `PODCOV_UPDATE_GOLD=1` writes the gold files anew: read what changed."""

from __future__ import annotations

import io
import json
import os
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import coverage
import pytest
from coverage.results import display_covered
from hypothesis import given
from hypothesis import strategies as st
from podcov import config
from podcov.formats import summary
from podcov.ledger import Ledger, ProcessEntry, TargetEntry
from podcov.model import Arc, Epoch, FileCoverage, Function, Numbers, Region, Report
from podcov.reports import WRITERS, facts, html_lines, wording, write_all
from podcov.reports.material import Material
from podcov.reports.terminal import print_report
from podcov.schemas import schema

GOLD = Path(__file__).parent / "gold" / "reports"

APP = """\
import money

def price(item, rebate=None):
    total = money.add(
        item.net,
        item.tax,
    )
    if rebate:
        total -= rebate
    for extra in item.extras:
        total += extra
    return total

def page():
    return "<script>alert('app')</script>"
if __name__ == "__main__":  # pragma: no cover
    page()
"""
MONEY = "def add(a, b):\n    return a + b\ndef sub(a, b):\n    return a - b\n"
RUN = "20260102-030405"


def python(first: int, last: int = 0, epochs: tuple[int, ...] = ()) -> Region:
    return Region((first, 0), (last or first, 0), hits=int(bool(epochs)), epochs=epochs)


APP_FILE = FileCoverage(
    service="orders",
    path="orders/app.py",
    language="python",
    digest=f"sha256:{'a' * 64}",
    origin="local",
    mode="branch",
    regions=(
        python(1, epochs=(0,)),
        python(3, epochs=(0,)),
        python(4, 7, epochs=(1,)),
        python(8, epochs=(1,)),
        python(9),
        python(10, epochs=(1,)),
        python(11, epochs=(1,)),
        python(12, epochs=(1,)),
        python(14, epochs=(0,)),
        python(15),
    ),
    arcs=(Arc(8, 9), Arc(8, 10, 1, (1,)), Arc(10, 11, 1, (1,)), Arc(10, 12)),
    functions=(Function("price", 3, 12), Function("page", 14, 15)),
    excluded=(16, 17),
    package="orders",
    recorded_paths=("/app/orders/app.py",),
)
MONEY_FILE = FileCoverage(
    service="orders",
    path="common/money.py",
    language="python",
    digest=f"sha256:{'b' * 64}",
    origin="recorded",
    mode="branch",
    regions=(python(1, epochs=(0,)), python(2, epochs=(1,)), python(3, epochs=(0,)), python(4)),
    functions=(Function("add", 1, 2), Function("sub", 3, 4)),
    package="common",
    recorded_paths=("/app/common/money.py",),
)
OTHER_MONEY = replace(
    MONEY_FILE,
    service="stock",
    regions=(python(1, epochs=(0,)), python(2), python(3, epochs=(0,)), python(4, epochs=(1,))),
)
EMPTY_FILE = FileCoverage("stock", "stock/__init__.py", "python", f"sha256:{'c' * 64}", "local", "branch", ())
REPORT = Report(
    run=RUN,
    epochs=(Epoch(0), Epoch(1, RUN)),
    files=(APP_FILE, MONEY_FILE, OTHER_MONEY, EMPTY_FILE),
    services=("orders", "stock", "idle"),
    warnings=("common/money.py: the checkout has another text; reported from what ran",),
)
WORKER = ProcessEntry("17-4711-0badcafe", ("python", "-m", "orders"), "collected", recording="mapped")
COMPLETE = Ledger((TargetEntry("orders", "shop/orders-1/app", "t1", "collected", processes=(WORKER,)),))
SILENT = replace(WORKER, id="18-4712", state="failed", reason="it never answered")
IDLE = replace(WORKER, state="empty", note="saved 2 s ago")
INCOMPLETE = Ledger(
    targets=(
        replace(COMPLETE.targets[0], processes=(WORKER, SILENT)),
        TargetEntry("stock", "shop/stock-1/app", "t2", "failed", "the pod is gone <script>x</script>", "lost", 2, "deleted"),
        TargetEntry("stock", "shop/stock-2/app", "t3", "empty", processes=(IDLE,)),
        TargetEntry("stock", "shop/stock-3/app", "t4", "empty", "it had not begun", "not-begun"),
    ),
    services_without_targets=("idle",),
    unreported=("orders/lost.py: its source could not be had",),
)
SOURCES = {APP_FILE.digest: APP, MONEY_FILE.digest: MONEY, EMPTY_FILE.digest: ""}


def summed(ledger: Ledger) -> dict[str, object]:
    return summary.build(
        REPORT,
        ledger,
        run=RUN,
        platform="kubernetes",
        git={"commit": "0123456789abcdef", "branch": "main", "dirty": True},
        tests={"command": ["pytest", "-k", "not slow"], "exit_code": 1, "seconds": 2.0},
        exit={"code": 1, "reason": "tests"},
    )


def material(ledger: Ledger = INCOMPLETE, report: Report = REPORT) -> Material:
    return Material(report, ledger, summed(ledger), SOURCES.get, Path("/project"))


def check_gold(name: str, text: str) -> None:
    gold = GOLD / name
    if os.environ.get("PODCOV_UPDATE_GOLD"):
        gold.parent.mkdir(parents=True, exist_ok=True)
        gold.write_text(text, encoding="utf-8")
    assert text == gold.read_text(encoding="utf-8"), f"{name} differs; if that is meant, run with PODCOV_UPDATE_GOLD=1"


def printed(report: Report, ledger: Ledger, **options: bool) -> str:
    out = io.StringIO()
    print_report(report, ledger, out, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "ledger", "options"),
    [
        ("terminal.txt", COMPLETE, {}),
        ("terminal-incomplete.txt", INCOMPLETE, {}),
        ("terminal-files.txt", COMPLETE, {"files": True}),
        ("terminal-missing.txt", INCOMPLETE, {"show_missing": True}),
    ],
)
def test_the_table_on_the_terminal(name: str, ledger: Ledger, options: dict[str, bool]) -> None:
    check_gold(name, printed(REPORT, ledger, **options))


@pytest.mark.parametrize(("name", "ledger"), [("summary.md", COMPLETE), ("summary-incomplete.md", INCOMPLETE)])
def test_the_markdown_summary(name: str, ledger: Ledger, tmp_path: Path) -> None:
    (path,) = WRITERS["markdown"](material(ledger), tmp_path)
    check_gold(name, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["coverage.xml", "lcov.info", "coverage.json"])
def test_the_formats_of_coverage_py(name: str, tmp_path: Path) -> None:
    written = write_all(["xml", "lcov", "json"], REPORT, COMPLETE, summed(COMPLETE), SOURCES.get, tmp_path, root=tmp_path)
    assert {path.name for path in written} == {"coverage.xml", "lcov.info", "coverage.json"}
    text = (tmp_path / name).read_text(encoding="utf-8")
    text = re.sub(r'(<coverage version=|"version": )"[^"]+"', r'\1"X"', text)
    text = text.replace(f"readthedocs.io/en/{coverage.__version__}", "readthedocs.io/en/X")
    check_gold(name, re.sub(r'(timestamp"?[=:] ?)"[^"]+"', r'\1"X"', text))


def test_without_a_terminal_there_are_no_colours_and_nothing_is_cut_off() -> None:
    long_path = "/".join(["a-rather-long-folder-name"] * 20) + "/app.py"
    text = printed(replace(REPORT, files=(replace(APP_FILE, path=long_path),)), COMPLETE, files=True)
    assert long_path in text
    assert "\x1b" not in text


def test_the_ledger_stands_under_every_table() -> None:
    for ledger in (COMPLETE, INCOMPLETE, Ledger()):
        text = printed(REPORT, ledger)
        assert text.index("TOTAL") < text.index("Ledger: ") < text.index("  targets ") < text.index("  processes ")


def test_a_ledger_of_nothing_is_never_called_complete(tmp_path: Path) -> None:
    nothing = material(Ledger(), Report(RUN, (), ()))
    assert "Ledger: EMPTY" in printed(nothing.report, nothing.ledger)
    for name, path in (("markdown", "summary.md"), ("html", "html/index.html")):
        WRITERS[name](nothing, tmp_path)
        text = (tmp_path / path).read_text(encoding="utf-8").lower()
        assert "ledger empty" in text or "ledger: empty" in text
        assert "ledger complete" not in text


def test_every_failure_is_named_with_its_reason() -> None:
    text = printed(REPORT, INCOMPLETE)
    assert "failed: shop/orders-1/app, process 18 (python -m orders): it never answered" in text
    assert "failed: shop/stock-1/app (restart 2): the pod is gone" in text
    assert "failed: service idle: no pod or process of it was ever seen" in text
    assert "note: 1 process: saved 2 s ago" in text
    assert "note: 1 container: it had not begun" in text


def test_what_comes_from_containers_cannot_write_to_the_terminal() -> None:
    evil = replace(WORKER, argv=("x\x1b[31m[bold]y\n",), state="failed", reason="\x07a\udce9[/bold]")
    text = printed(REPORT, Ledger((replace(COMPLETE.targets[0], processes=(evil,)),)))
    assert "process 17 (x\\x1b[31m[bold]y\\n): \\x07a\\udce9[/bold]" in text


def test_branch_columns_stand_there_only_where_branches_were_recorded() -> None:
    lines = tuple(replace(f, mode="line", arcs=()) for f in REPORT.files)
    assert "BrPart" in printed(REPORT, COMPLETE)
    assert "BrPart" not in printed(replace(REPORT, files=lines), COMPLETE)


@given(st.integers(0, 3), st.floats(0, 100))
def test_percentages_are_rounded_as_coverage_py_rounds_them(precision: int, value: float) -> None:
    assert wording.percent(value, precision) == f"{display_covered(value, precision)}%"


def test_nothing_that_can_be_covered_is_not_100_percent() -> None:
    assert wording.percent(Numbers().percent) == "n/a"
    assert "TOTAL        0     0    n/a" in printed(Report("r", (), ()), Ledger())


def test_facts_leave_out_what_is_not_known() -> None:
    bare = summary.build(REPORT, COMPLETE, run=RUN, platform="local", git=None, tests=None, exit={"code": 0, "reason": ""})
    assert facts.facts(bare) == [("run", RUN), ("platform", "local"), ("exit code", "0")]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (None, "pytest did not end in 2.0 s"),
        (0, "pytest passed in 2.0 s"),
        (1, "pytest failed with exit code 1 in 2.0 s"),
        (130, "pytest was interrupted by SIGINT, exit code 130, in 2.0 s"),
        (137, "pytest failed with exit code 137 in 2.0 s"),
        (143, "pytest was interrupted by SIGTERM, exit code 143, in 2.0 s"),
    ],
)
def test_facts_tell_tests_that_failed_from_those_that_somebody_interrupted(code: int | None, told: str) -> None:
    tests = {"command": ["pytest"], "exit_code": code, "seconds": 2.0}
    assert ("tests", told) in facts.facts({"tests": tests})


def test_podcov_yaml_allows_exactly_the_reports_that_there_are() -> None:
    assert set(schema("podcov-yaml-1")["properties"]["reports"]["items"]["enum"]) == set(WRITERS)
    assert set(config.Config(()).reports) <= set(WRITERS)


class Page(HTMLParser):
    """What is on a page: elements by id, all links, all text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.classes: dict[str, str] = {}
        self.links: list[str] = []
        self.rows: dict[int, str] = {}
        self._row = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "tr":
            identity = found.get("id") or ""
            self._row = int(identity[1:]) if re.fullmatch(r"L\d+", identity) else 0
        if identity := found.get("id"):
            self.classes[identity] = found.get("class") or ""
        for name in ("href", "src"):
            if target := found.get(name):
                self.links.append(target)

    def handle_data(self, data: str) -> None:
        if self._row:
            self.rows[self._row] = self.rows.get(self._row, "") + data


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (index,) = WRITERS["html"](material(), tmp_path)
    return index.parent


def page_of(site: Path, name: str) -> Path:
    (found,) = (site / "files").glob(f"{re.sub('[^A-Za-z0-9]+', '-', name).strip('-')}-*.html")
    return found


def test_every_line_of_a_page_is_marked_with_what_it_did(site: Path) -> None:
    page = Page(page_of(site, "orders/app.py"))
    states = {number: page.classes[f"L{number}"] for number in range(1, 18)}
    assert {n for n, state in states.items() if state == "missing"} == {9, 15}
    assert {n for n, state in states.items() if state == "partial"} == {8, 10}
    assert {n for n, state in states.items() if state == "startup"} == {1, 3, 14}
    assert {n for n, state in states.items() if state == "ran"} == {4, 5, 6, 7, 11, 12}
    assert {n for n, state in states.items() if state == "excluded"} == {16, 17}
    for number, state in states.items():
        symbol = html_lines.SYMBOLS[state]  # type: ignore[index]
        assert symbol in page.rows[number], "the colour alone must not say it"


def test_lines_say_in_words_when_they_ran_and_where_they_never_went(site: Path) -> None:
    rows = Page(page_of(site, "orders/app.py")).rows
    assert "line 4 ran in the tests" in rows[4]
    assert "line 1 ran only at start-up" in rows[1]
    assert "line 9 never ran" in rows[9]
    assert "line 8 never jumped to line 9" in rows[8]
    assert "line 10 never jumped to line 12" in rows[10]


def test_what_a_source_or_a_reason_holds_is_text_and_never_runs(site: Path) -> None:
    app = page_of(site, "orders/app.py").read_text(encoding="utf-8")
    assert "<script>alert" not in app
    assert "<script>alert('app')</script>" in Page(page_of(site, "orders/app.py")).rows[15]
    index = (site / "index.html").read_text(encoding="utf-8")
    assert "<script>x" not in index
    assert "the pod is gone &lt;script&gt;x&lt;/script&gt;" in index


def test_the_ledger_is_on_the_front_page(site: Path, tmp_path: Path) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    assert "Ledger incomplete" in index
    for failure in wording.failures(INCOMPLETE):
        assert failure.where in index
    for target in INCOMPLETE.targets:
        assert target.name in index
    WRITERS["html"](material(COMPLETE), tmp_path)
    assert "Ledger complete" in (tmp_path / "html" / "index.html").read_text(encoding="utf-8")


def test_pages_of_an_incomplete_run_say_so_too(site: Path) -> None:
    assert "../index.html#ledger" in Page(page_of(site, "orders/app.py")).links


def test_a_text_that_is_not_the_checkouts_is_said_to_be_so(site: Path) -> None:
    assert "This is the text that the run was made with" in page_of(site, "common/money.py").read_text(encoding="utf-8")
    assert "This is the text that ran" not in page_of(site, "orders/app.py").read_text(encoding="utf-8")


def test_a_file_of_several_services_has_one_page_with_what_any_of_them_ran(site: Path) -> None:
    page = Page(page_of(site, "common/money.py"))
    assert [page.classes[f"L{n}"] for n in range(1, 5)] == ["startup", "ran", "startup", "ran"]


def test_the_front_page_shows_the_numbers_of_the_summary(site: Path) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    total = summed(INCOMPLETE)["total"]
    assert isinstance(total, dict)
    assert f'aria-label="{wording.percent(total["percent"])} covered"' in index
    assert f"<dd>{total['statements']}</dd>" in index


def test_all_links_lead_somewhere_within_the_folder(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) == 4
    for path in pages:
        page = Page(path)
        for link in page.links:
            if link.startswith("data:"):
                continue
            target, _, anchor = link.partition("#")
            found = (path.parent / target).resolve() if target else path
            assert found.is_file(), f"{path.name}: {link}"
            assert found.is_relative_to(site)
            if anchor:
                assert anchor in Page(found).classes, f"{path.name}: {link}"


def test_the_pages_ask_nothing_of_any_network(site: Path) -> None:
    for path in site.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"https?://|url\(|@import", text), path.name


def test_an_unknown_text_shows_its_lines_without_it(tmp_path: Path) -> None:
    WRITERS["html"](replace(material(), sources=lambda _: None), tmp_path)
    page = Page(page_of(tmp_path / "html", "orders/app.py"))
    assert page.classes["L9"] == "missing"
    assert max(page.rows) == 17
    assert page.classes["L17"] == "excluded"


def test_the_report_of_an_earlier_run_in_the_folder_is_replaced(tmp_path: Path) -> None:
    WRITERS["html"](material(), tmp_path)
    WRITERS["html"](material(report=replace(REPORT, files=(APP_FILE,))), tmp_path)
    assert len(list((tmp_path / "html" / "files").iterdir())) == 1


def test_the_same_run_gives_the_same_pages(tmp_path: Path) -> None:
    def written(folder: Path) -> dict[str, bytes]:
        WRITERS["html"](material(), folder)
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert written(tmp_path / "one") == written(tmp_path / "two")


def test_blocks_that_share_a_line_mark_it_as_partial() -> None:
    blocks = (Region((1, 1), (3, 9), statements=2, hits=5, epochs=(1,)), Region((3, 9), (5, 2), statements=1))
    f = FileCoverage("s", "main.go", "go", f"sha256:{'d' * 64}", "local", "line", blocks)
    views = html_lines.line_views(f, "func main() {\n\ta()\n\tif b {\n\t\tc()\n\t}\n}\n", (Epoch(1, RUN, "checkout"),))
    assert [v.state for v in views] == ["ran", "ran", "partial", "missing", "missing", "none"]
    assert views[0].title == "line 1 ran in checkout, 5 times"
    assert views[2].title == "part of line 3 ran in checkout, 5 times"


def test_lines_are_split_where_editors_and_interpreters_split_them() -> None:
    text = 'a = "\x0c\u2028"\r\nb = """\n\n"""\n\n'
    f = replace(EMPTY_FILE, regions=(python(1), python(2, 4)))
    assert len(html_lines.line_views(f, text, ())) == 5


def line_texts(text: str) -> list[str]:
    views = html_lines.line_views(EMPTY_FILE, text, ())
    return [re.sub(r"<[^>]+>", "", str(v.code)) for v in views]


@given(st.text(st.sampled_from("ab<>&'\"\n\t #\\{}()"), max_size=60))
def test_highlighting_keeps_every_line_as_it_was(text: str) -> None:
    expected = text.split("\n")
    if not expected[-1]:
        expected.pop()
    assert [unescape(line) for line in line_texts(text)] == expected


def test_two_texts_of_one_path_are_reported_on_their_own(tmp_path: Path) -> None:
    other = replace(APP_FILE, digest=f"sha256:{'e' * 64}", origin="recorded")
    both = material(report=replace(REPORT, files=(other, APP_FILE)))
    assert {both.name(f) for f in both.files} == {"orders/app.py", "orders/app.py@eeeeeeee"}
    assert both.name(APP_FILE) == "orders/app.py"
    WRITERS["html"](both, tmp_path)
    assert len(list((tmp_path / "html" / "files").iterdir())) == 2


def test_names_that_are_not_utf8_can_be_reported(tmp_path: Path) -> None:
    odd = replace(APP_FILE, path="caf\udce9/app.py", recorded_paths=("/caf\udce9",))
    for name in ("html", "xml", "lcov", "json", "markdown"):
        assert WRITERS[name](material(report=Report("r", (), (odd,))), tmp_path)
    assert "caf\\udce9/app.py" in json.loads((tmp_path / "coverage.json").read_text(encoding="utf-8"))["files"]

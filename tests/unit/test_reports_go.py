"""Go's own profiles and page, made of the model: nothing of them is lost on the way through it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st
from podcov.formats import go_profile, report_json
from podcov.formats.go_profile import Block, Mode, Profile
from podcov.formats.go_regions import region
from podcov.ledger import Ledger
from podcov.model import Epoch, FileCoverage, Region, Report
from podcov.raw import digest_of
from podcov.reports import WRITERS, go_html, go_profiles
from podcov.reports.html_lines import line_views
from podcov.reports.lines import covered_lines, statement_lines
from podcov.reports.material import Material

TEXT = """\
package cart

func Add(n int) int {
	if n > 1 {
		return n
	}
	return len("<ü>")
}
"""
NAME = "example.com/shop/cart/cart.go"
BODY, THEN, REST = Block(NAME, 3, 21, 4, 11, 1), Block(NAME, 4, 11, 6, 3, 1), Block(NAME, 7, 2, 7, 20, 1)


def file(counts: dict[Block, int], service: str = "shop", mode: Mode = "count", **more: Any) -> FileCoverage:
    regions = tuple(sorted(region(block, count, (1,) if count else ()) for block, count in counts.items()))
    known = FileCoverage(service, "cart/cart.go", "go", digest_of(TEXT.encode()), "local", "line", regions, counting=mode)
    return replace(known, recorded_paths=(NAME,), **more)


def material(*files: FileCoverage, text: str = TEXT) -> Material:
    services = tuple(dict.fromkeys(f.service for f in files))
    report = Report("run", (Epoch(0), Epoch(1, "run")), files, services)
    return Material(report, Ledger(), {}, lambda _: text, Path("/work"))


RAN = {BODY: 3, THEN: 0, REST: 3}


def read(path: Path) -> Profile:
    return go_profile.parse(path.read_bytes())


def test_services_have_a_profile_each_and_one_together(tmp_path: Path) -> None:
    both = material(file(RAN), file({BODY: 2, THEN: 2, REST: 0}, "worker"))
    assert WRITERS["go"](both, tmp_path) == (tmp_path / "go.txt", tmp_path / "go.html")
    assert read(tmp_path / "go.txt") == Profile("count", {BODY: 5, THEN: 2, REST: 3})
    assert {path.name: read(path).counts[BODY] for path in (tmp_path / "go").iterdir()} == {"shop.out": 3, "worker.out": 2}


def test_of_services_that_count_and_others_is_known_whether_blocks_ran(tmp_path: Path) -> None:
    WRITERS["go"](material(file(RAN), file({BODY: 1, THEN: 1, REST: 0}, "worker", "set")), tmp_path)
    assert read(tmp_path / "go.txt") == Profile("set", {BODY: 1, THEN: 1, REST: 1})
    assert read(tmp_path / "go" / "shop.out").mode == "count"


def test_profiles_of_services_that_are_gone_do_not_stay(tmp_path: Path) -> None:
    WRITERS["go"](material(file(RAN, "old")), tmp_path)
    WRITERS["go"](material(file(RAN)), tmp_path)
    assert [path.name for path in (tmp_path / "go").iterdir()] == ["shop.out"]


def test_without_a_service_in_go_there_is_nothing(tmp_path: Path) -> None:
    assert WRITERS["go"](material(file(RAN, language="python")), tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


POSITIONS = st.tuples(st.integers(1, 9), st.integers(1, 9))


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    """Also empty ones, and ones that end before the first column of a line."""
    start, end = sorted((draw(POSITIONS), draw(POSITIONS)))
    return Block(NAME, *start, *end, draw(st.integers(0, 3)))


@given(st.dictionaries(blocks(), st.integers(0, go_profile.LARGEST), min_size=1), st.sampled_from(get_args(Mode)))
def test_the_model_keeps_every_block_of_a_profile(counts: dict[Block, int], mode: Mode) -> None:
    known = {block: min(count, 1) if mode == "set" else count for block, count in counts.items()}
    report = material(file(known, mode=mode)).report
    again = report_json.load(report_json.dump(report))
    assert again == report
    assert go_profiles.profile(again.files) == Profile(mode, known)


def test_the_page_has_every_file_and_needs_nothing_else(tmp_path: Path) -> None:
    other = file(RAN, path="cart/<b>.go", digest=digest_of(b""))
    WRITERS["go"](material(file(RAN), other), tmp_path)
    page = (tmp_path / "go.html").read_text()
    assert re.findall(r"<option [^>]*>(.*?)</option>", page) == ["cart/&lt;b&gt;.go (66.7%)", "cart/cart.go (66.7%)"]
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    shown = re.findall(r"<code>(.*?)</code>", page)
    text = [unescape(re.sub("<[^>]*>", "", line)) for line in shown]
    assert text == TEXT.splitlines() * 2


def test_the_page_says_of_its_numbers_whether_they_are_of_all_files_or_of_the_chosen_one(tmp_path: Path) -> None:
    other = file({BODY: 3, THEN: 3, REST: 3}, path="cart/all.go")
    WRITERS["go"](material(file(RAN), other), tmp_path)
    page = (tmp_path / "go.html").read_text()
    assert re.findall(r'data-statements="(.*?)"', page) == ["this file: 3 of 3 statements", "this file: 2 of 3 statements"]
    header = " ".join(re.sub("<[^>]*>", " ", page[page.index("</select>") : page.index("</header>")]).split())
    assert re.search(r"all files 83%.* all files: 5 of 6 statements", header), header


def test_the_page_shows_blocks_as_they_begin_and_end_in_lines() -> None:
    lines = list(go_html.coloured(TEXT, file(RAN).regions))
    assert lines[0] == "package cart"
    ran = '<span class="ran" title="ran 3 times">'
    assert lines[2] == f"func Add(n int) int {ran}{{</span>"
    assert lines[3] == f'\t{ran}if n &gt; 1 </span><span class="missed" title="never ran">{{</span>'
    assert lines[6] == f"\t{ran}return len(&#34;&lt;ü&gt;&#34;)</span>"
    assert lines[7] == "}"


def test_the_page_says_where_a_text_is_not_known(tmp_path: Path) -> None:
    known = material(file(RAN))
    go_html.write(replace(known, sources=lambda _: None), known.files, tmp_path / "go.html")
    assert "The text that ran is not known" in (tmp_path / "go.html").read_text()


def test_blocks_share_lines_also_where_each_has_one_statement() -> None:
    """They are no statements with whole lines: the line with the `if` ran, and what it opens did not."""
    shop = file(RAN)
    assert statement_lines(shop) == {3, 4, 5, 6, 7}
    assert covered_lines(shop) == {3, 4, 7}
    states = [view.state for view in line_views(shop, TEXT, (Epoch(0), Epoch(1)))]
    assert states == ["none", "none", "ran", "partial", "missing", "missing", "ran", "none"]


def test_one_line_statements_are_as_they_were() -> None:
    python = replace(file(RAN), regions=(Region((1, 0), (3, 0), hits=1), Region((2, 0), (2, 0))))
    assert (statement_lines(python), covered_lines(python)) == ({1, 2}, {1})


def test_line_based_reports_have_the_lines_of_blocks(tmp_path: Path) -> None:
    """A line ran if one of the blocks on it did; no interpreter reads a file in Go."""
    both = material(file(RAN), replace(file(RAN), path="app.py", language="python", regions=(Region((1, 0), (2, 0), hits=1),)))
    for name in ("lcov", "xml", "json"):
        WRITERS[name](both, tmp_path)
    records = (tmp_path / "lcov.info").read_text().split("end_of_record\n")
    (cart,) = (record for record in records if "SF:cart/cart.go" in record)
    assert re.findall(r"DA:(\d+),(\d+)", cart) == [("3", "1"), ("4", "1"), ("5", "0"), ("6", "0"), ("7", "1")]
    document = json.loads((tmp_path / "coverage.json").read_text())
    assert document["files"]["cart/cart.go"]["missing_lines"] == [5, 6]
    assert set(document["files"]) == {"app.py", "cart/cart.go"}
    assert 'filename="cart/cart.go"' in (tmp_path / "coverage.xml").read_text()

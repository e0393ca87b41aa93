"""Reading back what processes left: everything that is whole is read, everything that is not is named."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.formats.records import (
    CodeEntry,
    EpochRecord,
    FileEntry,
    Kind,
    ProcessRecords,
    parse_start,
    parse_target,
    signed20,
    split,
)

NAME = "12-3456-0a1b2c3d"
START = {
    "protocol": 1,
    "language": "python",
    "pid": 12,
    "ppid": 1,
    "start_time": 3456,
    "parent": None,
    "time": 1_700_000_000_000_000_000,
    "executable": "/usr/bin/python3.13",
    "argv": ["python3", "-m", "app"],
    "implementation": "cpython",
    "version": "3.13.5",
    "state": "recording",
    "reason": None,
    "recording": "mapped",
    "mode": "line",
    "save_interval": None,
    "epoch": 0,
}

Entry = tuple[str, ...]


def word(kind: int, index: int, value: int) -> int:
    return kind << 61 | index << 40 | value


def line(index: int, number: int) -> int:
    return word(Kind.LINE, index, number)


def mark(epoch: int) -> int:
    return word(Kind.MARK, 0, epoch)


def hits(words: Sequence[int], *, epoch: int = 0, flags: int = 0, saved_at: int = 0, unused: int = 0) -> bytes:
    header = struct.pack("<8sIIQ40x", b"PODCOVH1", flags, epoch, saved_at)
    return header + struct.pack(f"<{len(words)}Q", *words) + bytes(8 * unused)


def table(entries: Sequence[Entry], *, unused: int = 64) -> bytes:
    texts = ["\x1f".join(entry).encode("utf-8", "surrogateescape") for entry in entries]
    return b"PODCOVT1" + b"".join(struct.pack("<I", len(text)) + text for text in texts) + bytes(unused)


def start(**changes: object) -> bytes:
    return json.dumps(START | changes).encode() + b"\n"


def the_process(**pieces: bytes) -> ProcessRecords:
    pieces.setdefault("start", start())
    (process,) = parse_target({f"{NAME}.{suffix}": data for suffix, data in pieces.items()}).processes
    return process


def words_of(process: ProcessRecords) -> Mapping[int, list[int]]:
    return {epoch: list(words) for epoch, words in process.epochs.items()}


APP = ("F", "120", "1700000000000000000", "/app/main.py")
MAIN = ("C", "1", "7", "00c0ffee", "main.<locals>.inner")


def test_a_whole_process_is_read() -> None:
    process = the_process(
        codes=table([APP, MAIN]),
        hits=hits([line(1, 3), line(2, 4), mark(1), line(1, 9)], flags=5, saved_at=77, unused=10),
        end=b"",
    )
    assert process.damage == ()
    assert process.id == NAME
    assert process.start is not None
    assert process.start.argv == ("python3", "-m", "app")
    assert process.start.minor == "3.13"
    assert process.files == {1: FileEntry(1, 120, 1_700_000_000_000_000_000, "/app/main.py")}
    assert process.files[1].key == ("/app/main.py", 120, 1_700_000_000_000_000_000)
    assert process.codes == {2: CodeEntry(2, 1, 7, "00c0ffee", "main.<locals>.inner")}
    assert words_of(process) == {0: [line(1, 3), line(2, 4)], 1: [line(1, 9)]}
    assert (process.volume_full, process.stopped_by_error, process.values_left_out) == (True, False, True)
    assert process.saved_at == 77
    assert process.ended


@pytest.mark.parametrize(
    ("flag", "name"), [(1, "volume_full"), (2, "stopped_by_error"), (4, "values_left_out"), (8, "trace_replaced")]
)
def test_each_flag_has_a_name(flag: int, name: str) -> None:
    process = the_process(hits=hits([], flags=flag))
    names = ("volume_full", "stopped_by_error", "values_left_out", "trace_replaced")
    assert [each for each in names if getattr(process, each)] == [name]


def test_the_first_words_belong_to_the_epoch_in_the_header() -> None:
    process = the_process(codes=table([APP]), hits=hits([line(1, 3), mark(6), line(1, 4)], epoch=5))
    assert words_of(process) == {5: [line(1, 3)], 6: [line(1, 4)]}


def test_unused_words_are_skipped_wherever_they_are() -> None:
    process = the_process(codes=table([APP]), hits=hits([0, line(1, 3), 0, 0, mark(1), 0, line(1, 4), 0]))
    assert words_of(process) == {0: [line(1, 3)], 1: [line(1, 4)]}
    assert process.damage == ()


def test_words_that_look_like_a_mark_across_their_border_are_no_mark() -> None:
    lower = line(1, 0x80_0000_0000)  # its bytes are 00 00 00 00 80 ...
    process = the_process(codes=table([APP]), hits=hits([line(1, 1), lower, line(1, 2)]))
    assert words_of(process) == {0: [line(1, 1), lower, line(1, 2)]}


def test_an_index_that_is_not_in_the_table_is_damage_and_the_rest_is_read() -> None:
    process = the_process(codes=table([APP]), hits=hits([line(1, 3), line(9, 1), line(9, 2), line(1, 4)]))
    assert words_of(process) == {0: [line(1, 3), line(1, 4)]}
    assert process.damage == (f"{NAME}.hits: 2 words of kind 1 and index 9, which is not in the table",)


@pytest.mark.parametrize("kind", [0, 6, 7])
def test_a_kind_that_this_version_does_not_know_is_damage(kind: int) -> None:
    process = the_process(codes=table([APP]), hits=hits([line(1, 3), word(kind, 1, 5)]))
    assert words_of(process) == {0: [line(1, 3)]}
    assert len(process.damage) == 1


@pytest.mark.parametrize(
    ("pieces", "damage"),
    [
        ({"start": b'{"protocol": 1, "pi'}, "start: is torn"),
        ({"start": b""}, "start: is torn"),
        ({"start": b"[\n"}, "start: is no JSON"),
        ({"start": b"[]\n"}, "start: is no JSON object"),
        ({"start": start(pid="12")}, "start: has pid: '12'"),
        ({"start": start(argv=[1])}, "start: has argv: [1]"),
        ({"start": start(protocol=2)}, "start: has protocol 2, this podcov reads 1"),
        ({"hits": b"PODCOVH1"}, "hits: is cut off in its header, at byte 8"),
        ({"hits": hits([])[:8].replace(b"1", b"2") + bytes(56)}, "hits: begins with b'PODCOVH2'"),
        ({"hits": hits([line(1, 1)]) + b"\1", "codes": table([APP])}, "hits: ends in the middle of a word, at byte 73"),
        ({"codes": b"PODCOVT2"}, "codes: begins with b'PODCOVT2'"),
        ({"codes": table([APP], unused=0)[:-3]}, "codes: is cut off in an entry"),
        ({"codes": table([APP], unused=0) + b"\7"}, "codes: is cut off between two entries"),
        ({"codes": table([("X", "1")])}, "codes: entry 1 makes no sense"),
        ({"codes": table([("F", "many", "1", "/app/x.py")])}, "codes: entry 1 makes no sense"),
        ({"codes": table([APP, ("C", "1", "7", "nohex", "main")])}, "codes: entry 2 makes no sense"),
        (
            {"codes": table([APP, ("C", "5", "7", "00c0ffee", "main")])},
            "codes: entry 2 (main) belongs to entry 5, which is no file",
        ),
    ],
)
def test_what_is_damaged_is_named(pieces: Mapping[str, bytes], damage: str) -> None:
    (found,) = the_process(**pieces).damage
    assert found.startswith(f"{NAME}.{damage}")


def test_a_process_whose_start_record_is_missing_is_read_all_the_same() -> None:
    (process,) = parse_target({f"{NAME}.codes": table([APP]), f"{NAME}.hits": hits([line(1, 3)])}).processes
    assert process.start is None
    assert process.damage == (f"{NAME}.start: is missing",)
    assert words_of(process) == {0: [line(1, 3)]}


def test_what_a_newer_protocol_left_is_not_guessed_at() -> None:
    process = the_process(start=start(protocol=2), codes=table([APP]), hits=hits([line(1, 3)]))
    assert (process.start, process.files, process.epochs) == (None, {}, {})


def test_a_process_that_has_run_nothing_yet_is_not_damaged() -> None:
    assert the_process().damage == ()
    assert the_process(hits=bytes(4096), codes=bytes(4096)).damage == ()
    assert the_process(hits=hits([], unused=500), codes=table([])).damage == ()


def test_processes_are_in_the_order_of_their_start() -> None:
    names = ["9-300-00000000", "10-200-00000000", "10-200-ffffffff", "100-200-00000000"]
    target = parse_target({f"{name}.start": start() for name in names})
    assert [p.id for p in target.processes] == ["10-200-00000000", "10-200-ffffffff", "100-200-00000000", "9-300-00000000"]


def test_other_files_are_left_alone() -> None:
    assert parse_target({f"{NAME}.hits.tmp": b"x", "core": b"x", f"{NAME}.sock": b""}).processes == ()


def test_epochs_and_the_runs_that_began_them() -> None:
    target = parse_target({"epoch": b"3\n", "epochs": b"1\tr1\tfirst\t10\n2\tr2\t\t20\n3\tr1\tagain\t30\n"})
    assert target.epoch == 3
    assert target.epochs == (EpochRecord(1, "r1", "first", 10), EpochRecord(2, "r2", "", 20), EpochRecord(3, "r1", "again", 30))
    assert target.epochs_of("r1") == (1, 3)
    assert [target.overtaken_by(run) for run in ("r1", "r2", "r3")] == ["r2", "r1", ""]


def test_a_run_that_marked_before_this_one_has_not_overtaken_it() -> None:
    target = parse_target({"epoch": b"2\n", "epochs": b"1\tr1\tfirst\t10\n2\tr2\t\t20\n"})
    assert [target.overtaken_by(run) for run in ("r1", "r2")] == ["r2", ""]
    assert target.damage == ()


def test_a_torn_line_of_epochs_is_named() -> None:
    target = parse_target({"epoch": b"two\n", "epochs": b"1\tr1\tfirst\t10\n2\tr2"})
    assert [e.number for e in target.epochs] == [1]
    assert target.damage == ("epoch: holds b'two\\n' instead of a number", "epochs: line 2 is torn: '2\\tr2'")


def test_names_that_are_not_utf8_survive() -> None:
    path = b"/app/caf\xe9.py".decode("utf-8", "surrogateescape")
    assert the_process(codes=table([("F", "1", "2", path)])).files[1].path == path


def test_a_separator_in_a_path_stays_in_it() -> None:
    assert the_process(codes=table([("F", "1", "2", "/app/a\x1fb.py")])).files[1].path == "/app/a\x1fb.py"


def test_words_are_taken_apart() -> None:
    assert split(word(Kind.BRANCH, 0x1FFFFF, 0xFFFFFFFFFF)) == (Kind.BRANCH, 0x1FFFFF, 0xFFFFFFFFFF)
    assert split(line(3, 14)) == (Kind.LINE, 3, 14)
    assert (signed20(7), signed20(-7 & 0xFFFFF)) == (7, -7)


file_entries = st.tuples(
    st.just("F"), st.integers(-1, 2**40).map(str), st.integers(-1, 2**62).map(str), st.builds("/{}".format, st.text(max_size=12))
)
code_entries = st.tuples(
    st.just("C"),
    st.just("1"),
    st.integers(0, 99999).map(str),
    st.integers(0, 2**32 - 1).map("{:08x}".format),
    st.text(max_size=12),
)
tables = st.tuples(file_entries, st.lists(st.one_of(file_entries, code_entries), max_size=6)).map(lambda t: [t[0], *t[1]])
kinds = st.sampled_from([Kind.LINE, Kind.BRANCH, Kind.RETURN, Kind.ARC])
values = st.integers(0, 2**40 - 1)


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Entry], dict[int, list[int]], list[int]]:
    """A table, the words of each epoch, and the log that they make: marks between, unused words anywhere."""
    entries = draw(tables)
    indexes = st.integers(1, len(entries))
    epochs = {
        number: draw(st.lists(st.builds(word, kinds, indexes, values), max_size=8))
        for number in range(draw(st.integers(0, 3)) + 1)
    }
    log: list[int] = []
    for number, words in epochs.items():
        if number:
            log.append(mark(number))
        for each in words:
            log += [0] * draw(st.integers(0, 2)) + [each]
    return entries, epochs, log


@given(logs(), st.integers(0, 5))
def test_what_is_written_is_read(written: tuple[list[Entry], dict[int, list[int]], list[int]], unused: int) -> None:
    entries, epochs, log = written
    process = the_process(codes=table(entries), hits=hits(log, unused=unused))
    assert process.damage == ()
    assert words_of(process) == epochs
    assert [process.files[i].path if i in process.files else process.codes[i].name for i in range(1, len(entries) + 1)] == [
        entry[-1] for entry in entries
    ]


@given(logs(), st.data())
def test_nothing_that_is_cut_off_anywhere_is_fatal(
    written: tuple[list[Entry], dict[int, list[int]], list[int]], data: st.DataObject
) -> None:
    entries, epochs, log = written
    whole = {"start": start(), "codes": table(entries), "hits": hits(log)}
    cut = {suffix: content[: data.draw(st.integers(0, len(content)))] for suffix, content in whole.items()}
    process = the_process(**cut)
    for number, words in process.epochs.items():
        kept = iter(epochs[number])
        assert all(each in kept for each in words), "only words that were written, in their order"


@given(st.dictionaries(st.sampled_from(["start", "hits", "codes", "end"]), st.binary(max_size=300)))
def test_no_bytes_whatever_are_fatal(pieces: Mapping[str, bytes]) -> None:
    parse_target(
        {f"{NAME}.{suffix}": data for suffix, data in pieces.items()} | {"epoch": pieces.get("hits", b"0"), "epochs": b"x"}
    )


@given(st.binary(max_size=200))
def test_bytes_behind_good_headers_are_not_fatal(noise: bytes) -> None:
    process = the_process(codes=table([APP], unused=0) + noise, hits=hits([line(1, 1)]) + noise)
    assert process.epochs[0][0] == line(1, 1)


def test_a_start_record_alone_can_be_read() -> None:
    assert parse_start(start(recording="saved", save_interval=2)).save_interval == 2
    with pytest.raises(ValueError, match="torn"):
        parse_start(start()[:-1])


def test_hundreds_of_thousands_of_words_are_read() -> None:
    words = [line(1 + n % 2, n) for n in range(300_000)]
    process = the_process(codes=table([APP, APP]), hits=hits(words))
    assert list(process.epochs[0]) == words

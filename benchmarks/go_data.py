"""How long it takes to make one text profile of the Go coverage data of many pods: podcov, and Go's own tool."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from peers import PLAIN
from side_by_side import SCHEMA, Column, Comparison, Sample, by_turns, compare, kept, positive, table
from textfmt import textfmt

COLUMNS = (
    Column("speed", "times as fast", kept("seconds")),
    Column("cpu", "times less CPU", kept("cpu")),
)
COVERED = (
    "./...,bufio,crypto/tls,crypto/x509,encoding/...,fmt,io,mime/...,net,net/http/...,net/url,reflect,strconv,text/template/..."
)
TEXTFMT = Path(__file__).with_name("textfmt.py")

SERVICE = """\
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"text/template"
)

var page = template.Must(template.New("page").Parse("{{range $k, $v := .}}{{$k}}={{$v}} {{end}}"))

func handle(w http.ResponseWriter, r *http.Request) {
	var order map[string]any
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	page.Execute(w, order)
}

func main() {
	server := httptest.NewServer(http.HandlerFunc(handle))
	defer server.Close()
	requests, _ := strconv.Atoi(os.Args[1])
	for i := 0; i < requests; i++ {
		body := fmt.Sprintf(`{"id": %d, "lines": [1, 2.5, {"text": "%s"}]}`, i, strings.Repeat("x", i))
		answer, err := http.Post(server.URL, "application/json", strings.NewReader(body[:len(body)-i%3]))
		if err == nil {
			io.Copy(os.Stderr, answer.Body)
			answer.Body.Close()
		}
	}
}
"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="podcov-go-data-") as scratch:
        folders = _pods(Path(scratch), options)
        profile = textfmt(folders)
        what = f"{options.pods} pods, {profile.count(b':')} blocks"
        results = {f"warm, {what}": _warm(Path(scratch), folders, options.rounds)}
        if options.cold_rounds:
            results[f"cold, {what}"] = _cold(Path(scratch), folders, options.cold_rounds)
    if options.json:
        print(
            json.dumps(
                {"schema": SCHEMA, "rounds": options.rounds, "results": [_plain(*item) for item in results.items()]}, indent=1
            )
        )
    else:
        print("\n\n".join(table(title, comparison, COLUMNS) for title, comparison in results.items()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--rounds", type=positive, default=10, help="how often each peer has its turn, after a warm-up")
    parser.add_argument("--cold-rounds", type=int, default=1, help="the same with empty caches; 0: leave that out")
    parser.add_argument("--pods", type=positive, default=500, help="folders of data, each of one process")
    parser.add_argument(
        "--runs", type=positive, default=50, help="processes that really run; their data are used again and again"
    )
    parser.add_argument("--packages", default=COVERED, help="what is covered, as -coverpkg has it")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    return parser.parse_args()


def _pods(scratch: Path, options: argparse.Namespace) -> list[str]:
    """Processes that had differently much to do."""
    (scratch / "service").mkdir()
    (scratch / "service" / "go.mod").write_text("module example.com/service\n\ngo 1.20\n")
    (scratch / "service" / "main.go").write_text(SERVICE)
    print("  building the service", file=sys.stderr)
    build = ["go", "build", "-cover", "-covermode=atomic", f"-coverpkg={options.packages}", "-o", "service", "."]
    subprocess.run(build, cwd=scratch / "service", check=True, stderr=subprocess.DEVNULL)
    folders: list[str] = []
    for number in range(options.pods):
        folder = scratch / f"pod-{number}"
        if number < options.runs:
            folder.mkdir()
            command = [scratch / "service" / "service", str(number)]
            subprocess.run(command, env={**os.environ, "GOCOVERDIR": str(folder)}, stderr=subprocess.DEVNULL, check=True)
        else:
            shutil.copytree(folders[number % options.runs], folder)
        folders.append(str(folder))
    return folders


def _warm(scratch: Path, folders: list[str], rounds: int) -> Comparison:
    """Everything was run before, so that it is compiled and in the caches."""
    covdata = scratch / "covdata"
    subprocess.run(["go", "build", "-o", covdata, "cmd/covdata"], check=True)
    out = scratch / "profile"
    go = ["textfmt", f"-i={','.join(folders)}", f"-o={out}"]
    commands = {
        PLAIN: ["go", "tool", "covdata", *go],
        "covdata, without the go command": [str(covdata), *go],
        "podcov, a process of its own": [sys.executable, str(TEXTFMT), str(out), *folders],
    }
    expected = textfmt(folders)
    measures: dict[str, Callable[[], Sample]] = {
        name: partial(_run, command, {}, out, expected) for name, command in commands.items()
    }
    measures["podcov, in a run"] = partial(_convert, folders, out)
    return compare(by_turns(measures, rounds), COLUMNS)


def _cold(scratch: Path, folders: list[str], rounds: int) -> Comparison:
    """A machine that has the go command and podcov, and never used either: no build cache, no bytecode."""
    samples: dict[str, list[Sample]] = {PLAIN: [], "podcov, a process of its own": []}
    out = scratch / "profile"
    expected = textfmt(folders)
    for number in range(rounds):
        print(f"  cold round {number + 1} of {rounds}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=scratch) as empty:
            go = ["go", "tool", "covdata", "textfmt", f"-i={','.join(folders)}", f"-o={out}"]
            samples[PLAIN].append(_run(go, {"GOCACHE": f"{empty}/go"}, out, expected))
            python = [sys.executable, str(TEXTFMT), str(out), *folders]
            samples["podcov, a process of its own"].append(
                _run(python, {"PYTHONPYCACHEPREFIX": f"{empty}/python"}, out, expected)
            )
    return compare(samples, COLUMNS)


def _run(command: list[str], environment: Mapping[str, str], out: Path, expected: bytes) -> Sample:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env={**os.environ, **environment}, check=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if out.read_bytes() != expected:
        sys.exit(f"{command[0]} wrote another profile than podcov")
    return {"seconds": seconds, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def _convert(folders: list[str], out: Path) -> Sample:
    cpu, began = time.process_time(), time.perf_counter()
    out.write_bytes(textfmt(folders))
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


def _plain(what: str, comparison: Comparison) -> dict[str, object]:
    peers = {
        name: {key: {"median": of.median, "low": of.low, "high": of.high} for key, of in spreads.items()}
        for name, spreads in comparison.items()
        if name != PLAIN
    }
    return {"what": what, "peers": peers}


if __name__ == "__main__":
    main()

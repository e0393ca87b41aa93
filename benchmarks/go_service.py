"""What a Go service pays: throughput, CPU, memory and start-up, built plain, with -cover, and with podcov in the toolchain."""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from interpreters import ROOT
from peers import AGAIN, PLAIN
from side_by_side import SCHEMA, Column, Sample, added, arguments, by_turns, compare, kept, plain_values, positive, table, times

SERVING = (
    Column("throughput", "throughput kept", kept("seconds")),
    Column("cpu", "CPU a request, times plain", times("cpu")),
    Column("memory", "memory, times plain", times("memory")),
)
STARTING = (
    Column("milliseconds_added", "added ms", added("milliseconds"), digits=2),
    Column("cpu", "CPU, times plain", times("cpu")),
)
CONNECTIONS = 4
SERVICE = """\
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
)

type line struct {
	Name   string
	Amount int
	Price  float64
}

func total(lines []line) (sum float64) {
	for _, l := range lines {
		price := l.Price
		if l.Amount > 10 {
			price *= 0.9
		}
		for i := 0; i < l.Amount; i++ {
			if i%2 == 0 {
				sum += price
			} else {
				sum += price * 0.99
			}
		}
	}
	return sum
}

func handle(w http.ResponseWriter, r *http.Request) {
	var lines []line
	if err := json.NewDecoder(r.Body).Decode(&lines); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sort.Slice(lines, func(i, j int) bool { return lines[i].Name < lines[j].Name })
	fmt.Fprintf(w, "%.2f\\n", total(lines))
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	panic(http.Serve(listener, http.HandlerFunc(handle)))
}

func load(address string, requests, connections int) {
	things := strings.Repeat(`{"Name": "thing", "Amount": 40, "Price": 2.5},`, 19)
	order := "[" + things + `{"Name": "last", "Amount": 3, "Price": 1}]`
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	var done sync.WaitGroup
	for c := 0; c < connections; c++ {
		done.Add(1)
		go func() {
			defer done.Done()
			for i := 0; i < requests/connections; i++ {
				answer, err := client.Post("http://"+address, "application/json", strings.NewReader(order))
				if err != nil || answer.StatusCode != http.StatusOK {
					panic(fmt.Sprint("no answer: ", err))
				}
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		}()
	}
	done.Wait()
}

func main() {
	switch os.Args[1] {
	case "serve":
		serve()
	case "load":
		requests, _ := strconv.Atoi(os.Args[3])
		connections, _ := strconv.Atoi(os.Args[4])
		load(os.Args[2], requests, connections)
	}
}
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to build the service, and the environment that it then runs in."""

    name: str
    binary: Path
    environment: Mapping[str, str]
    data: Path | None = None
    """where it leaves what it ran"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="podcov-go-service-") as scratch:
        peers = _peers(Path(scratch))
        with _services(peers) as services:
            measures = {p.name: partial(_serving, peers[0].binary, *services[p.name], options.requests) for p in peers}
            serving = compare(by_turns(measures, options.rounds), SERVING)
        starts = {p.name: partial(_starting, p, options.starts) for p in peers}
        starting = compare(by_turns(starts, options.rounds), STARTING)
        _check_recorded(peers)
    if options.json:
        results = [{"what": "serving", "peers": plain_values(serving)}, {"what": "starting", "peers": plain_values(starting)}]
        print(json.dumps({"schema": SCHEMA, "rounds": options.rounds, "results": results}, indent=1))
    else:
        print(table("a handler", serving, SERVING), table("a start", starting, STARTING), sep="\n\n")


def _options() -> argparse.Namespace:
    parser = arguments(__doc__ or "", rounds=10, of_interpreters=False)
    parser.add_argument("--requests", type=positive, default=8000, help="that each peer serves in a round")
    parser.add_argument("--starts", type=positive, default=40, help="starts of each peer in a round, of which the median counts")
    return parser.parse_args()


def _peers(scratch: Path) -> list[Peer]:
    (scratch / "go.mod").write_text("module example.com/service\n\ngo 1.20\n")
    (scratch / "main.go").write_text(SERVICE)
    print("  building the service, and a toolchain with podcov in it", file=sys.stderr)
    subprocess.run(["sh", ROOT / "wrapper" / "go" / "install", "--copy", scratch / "go"], check=True, stderr=subprocess.DEVNULL)
    plain = Peer(PLAIN, _build(scratch, "go", "plain"), {})
    peers = [plain, Peer(AGAIN, plain.binary, {})]
    for mode in ("set", "atomic"):
        cover = ["-cover", f"-covermode={mode}"]
        data = scratch / f"go-{mode}-data"
        peers.append(Peer(f"go -cover, {mode}", _build(scratch, "go", f"go-{mode}", *cover), {"GOCOVERDIR": str(data)}, data))
        data = scratch / f"podcov-{mode}-data"
        binary = _build(scratch, str(scratch / "go" / "bin" / "go"), f"podcov-{mode}", *cover)
        peers.append(Peer(f"podcov, {mode}", binary, {"PODCOV_DATA": str(data), "PODCOV_CONTAINER": "service"}, data))
    for peer in peers:
        if peer.data:
            peer.data.mkdir()
    return peers


def _build(scratch: Path, go: str, name: str, *flags: str) -> Path:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    environment.pop("GOROOT", None)
    subprocess.run([go, "build", *flags, "-o", name, "main.go"], cwd=scratch, check=True, env=environment)
    return scratch / name


@contextmanager
def _services(peers: list[Peer]) -> Iterator[dict[str, tuple[int, str]]]:
    """Every peer's service, up all the time: its pid and address."""
    running: list[subprocess.Popen[str]] = []
    found: dict[str, tuple[int, str]] = {}
    try:
        for peer in peers:
            process = subprocess.Popen([peer.binary, "serve"], env=peer.environment, stdout=subprocess.PIPE, text=True)
            running.append(process)
            found[peer.name] = (process.pid, process.stdout.readline().strip() if process.stdout else "")
        yield found
    finally:
        for process in running:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _serving(client: Path, pid: int, address: str, requests: int) -> Sample:
    cpu, began = _cpu(pid), time.perf_counter()
    subprocess.run([client, "load", address, str(requests), str(CONNECTIONS)], check=True, env={})
    return {"seconds": time.perf_counter() - began, "cpu": _cpu(pid) - cpu, "memory": _memory(pid)}


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _starting(peer: Peer, starts: int) -> Sample:
    took = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(starts):
        began = time.perf_counter()
        pid = os.posix_spawn(peer.binary, [str(peer.binary), "nothing"], peer.environment)
        os.waitpid(pid, 0)
        took.append((time.perf_counter() - began) * 1000)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"milliseconds": statistics.median(took), "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def _check_recorded(peers: list[Peer]) -> None:
    """A peer that recorded nothing would be as fast as plain."""
    idle = [peer.name for peer in peers if peer.data and not any(path.is_file() for path in peer.data.rglob("*cov*"))]
    if idle:
        sys.exit(f"recorded nothing: {', '.join(idle)}")


if __name__ == "__main__":
    main()

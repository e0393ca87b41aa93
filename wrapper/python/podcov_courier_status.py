"""What the courier knows of targets and processes, and what it tells them: status, mark, dump. JSON as PROTOCOL.md has it."""

import time

import podcov_courier_census as census
from podcov_courier_sockets import ABSENT, ERROR, GONE, OK, SILENT, Question, ask_all
from podcov_courier_volume import PROTOCOL

PING_SECONDS = 5.0
REGISTERING_SECONDS = 5.0
"""So long after its start record a process may take to listen."""

SILENCE = "did not answer within %g s: is it stopped, or busy in C code that keeps the GIL?"


def document(targets):
    """What `status`, `mark` and `dump` print; also the manifest of a pull."""
    return {"protocol": PROTOCOL, "time": time.time_ns(), "targets": targets}


def status(targets):
    """Every target with its processes, and the interpreters that never registered."""
    return document([_target_status(target) for target in targets])


def mark(volume, run, label, seconds):
    """Begins an epoch in every target."""
    with volume.locked():
        targets = volume.targets()
        epoch = 1 + max((_last_epoch(target) for target in targets), default=0)
        for target in targets:
            target.begin_epoch(epoch, run, label)
        began = time.time_ns()
        recording = [[p for p in target.processes() if p.records] for target in targets]
        answers = iter(ask([p for group in recording for p in group], "mark %d" % epoch, seconds))
        answered = [[_marked(p, next(answers), seconds) for p in group] for group in recording]
    return dict(document([_described(t, epoch, group) for t, group in zip(targets, answered)]), time=began)


def dump(volume, seconds):
    """Makes sure that the records of every process hold everything. Where recording is mapped, they do."""
    targets = volume.targets()
    recording = [[p for p in target.processes() if p.records] for target in targets]
    answers = iter(ask([p for group in recording for p in group if p.saves], "dump", seconds))
    answered = [[_dumped(p, next(answers), seconds) if p.saves else _state(p, "complete") for p in group] for group in recording]
    return document([_described(t, t.epoch(), group) for t, group in zip(targets, answered)])


def ask(processes, request, seconds):
    """The answers of processes, in their order; those that have only just begun are given time to listen."""
    now = time.time_ns()
    return ask_all(
        [
            Question(p.target.path, p.name + ".sock", request, REGISTERING_SECONDS - (now - p.start.get("time", 0)) / 1e9)
            for p in processes
        ],
        seconds,
    )


def _described(target, epoch, processes):
    return {"container": target.container, "start_id": target.start_id, "epoch": epoch, "processes": processes}


def _last_epoch(target):
    return max([target.epoch(), *(epoch["epoch"] for epoch in target.epochs())])


def _state(process, state, reason=""):
    return {"id": process.name, "state": state, "reason": reason}


def _marked(process, answer, seconds):
    if answer.kind == OK:
        return _state(process, "acknowledged")
    if answer.kind == GONE or (answer.kind == ABSENT and not _runs(process)):
        return _state(process, "gone")
    return _state(process, "failed", _why(answer, seconds))


def _dumped(process, answer, seconds):
    if answer.kind == OK or process.ended:
        return _state(process, "complete")
    if answer.kind == GONE or (answer.kind == ABSENT and not _runs(process)):
        interval = process.start.get("save_interval") or 0
        return _state(process, "bounded", "it ended without a last save: at most its last %g s are missing" % interval)
    return _state(process, "failed", _why(answer, seconds))


def _why(answer, seconds):
    if answer.kind == SILENT:
        return SILENCE % seconds
    if answer.kind == ABSENT:
        return "it runs and has no socket"
    return answer.text


def _runs(process):
    """Whether a process without a socket is alive all the same; where nobody can tell, it is taken to be."""
    living = [p for p in process.target.processes() if p.records and p.name != process.name]
    taken = census.take(process.target, living)
    return not taken.taken or any((seen.pid, seen.start_time) == (process.pid, process.start_time) for seen in taken.seen)


def _target_status(target):
    processes = target.processes()
    recording = [p for p in processes if p.records]
    answers = dict(zip((p.name for p in recording), ask(recording, "ping", PING_SECONDS)))
    living = [p for p in recording if answers[p.name].kind == OK]
    taken, strangers = census.unregistered(target, living)
    return {
        "container": target.container,
        "start_id": target.start_id,
        "epoch": target.epoch(),
        "epochs": target.epochs(),
        "processes": [_process_status(p, answers.get(p.name), taken) for p in target.processes()],
        "unregistered": [{"pid": s.pid, "start_time": s.start_time, "argv": s.argv} for s in strangers],
        "scanned": taken.taken,
        "scan_reason": taken.reason,
    }


def _process_status(process, answer, taken):
    alive, reason = _life(process, answer, taken)
    flags, epochs = process.log()
    return {
        "id": process.name,
        "start": process.start,
        "alive": alive,
        "reason": process.problem or reason,
        "ended": process.ended,
        "epochs": epochs,
        "flags": flags,
    }


def _life(process, answer, taken):
    """(alive, why that cannot be known)."""
    kind = answer.kind if answer else ABSENT
    if kind in (OK, ERROR):
        return True, "" if kind == OK else answer.text
    if kind == GONE:
        return False, ""
    if kind == SILENT:
        return None, SILENCE % PING_SECONDS
    if taken.taken:
        return any((seen.pid, seen.start_time) == (process.pid, process.start_time) for seen in taken.seen), ""
    return None, "it has no socket, and %s" % taken.reason

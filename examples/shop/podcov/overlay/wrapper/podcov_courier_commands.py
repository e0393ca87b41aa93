"""The courier's commands: what each reads, does and prints. Results go to stdout, trouble is one line on stderr."""

import io
import json
import os
import runpy
import sys
import time
from collections import namedtuple

import podcov_courier_status as status
from podcov_courier_bundle import pack, write_bundle
from podcov_courier_serve import lease_until, serve, unpack
from podcov_courier_sources import Keeper, sha256
from podcov_courier_volume import PROTOCOL, CourierError, Volume, make_shared_folder, replace_file

ANSWER_SECONDS = "20"
WAIT_STEP_SECONDS = 0.1

Command = namedtuple("Command", "call usage")


def main(arguments):
    """Runs one command; returns the exit code."""
    name, parameters = (arguments[0], arguments[1:]) if arguments else ("", [])
    command = COMMANDS.get(name)
    if command is None:
        return _complain("%r is no command; there are: %s" % (name, ", ".join(COMMANDS)), 2)
    required = [word for word in command.usage.split() if not word.startswith("[")]
    if not len(required) <= len(parameters) <= len(command.usage.split()):
        return _complain("usage: podcov_courier.py %s %s" % (name, command.usage), 2)
    try:
        command.call(Volume(), *parameters)
    except (CourierError, OSError) as error:
        return _complain("%s: %s" % (name, error), 1)
    return 0


def _serve(volume):
    serve(volume)


def _unpack(volume):
    _print({"folder": unpack(volume), "python": ".".join(map(str, sys.version_info[:3]))})


def _status(volume):
    _print(status.status(_existing(volume).targets()))


def _mark(volume, run, label, seconds=ANSWER_SECONDS):
    _print(status.mark(_existing(volume), run, label, _seconds(seconds)))


def _dump(volume, seconds=ANSWER_SECONDS):
    _print(status.dump(_existing(volume), _seconds(seconds)))


def _pull(volume):
    targets = _existing(volume).targets()
    manifest = status.status(targets)
    packed = pack(("targets/%s/%s" % (target.name, name), content) for target in targets for name, content in target.files())
    keeper = Keeper(volume)
    keeper.keep(targets)  # after the tables were read: whatever they name is looked for
    for described, target in zip(manifest["targets"], targets):
        described["sources"] = keeper.describe(target)
    write_bundle(sys.stdout.buffer, manifest, packed)


def _sources(volume):
    try:
        digests = json.loads(_read_frame(sys.stdin.buffer))
    except ValueError as error:
        raise CourierError("its input is no JSON list of digests: %s" % error) from error
    keeper = Keeper(_existing(volume))
    contents = ((digest, keeper.content(digest)) for digest in digests)
    packed = pack(("sources/" + digest, content) for digest, content in contents if content is not None)
    write_bundle(sys.stdout.buffer, {"protocol": PROTOCOL}, packed)


def _lease(volume, seconds):
    duration = _seconds(seconds)
    volume.make()
    until = max(lease_until(volume), time.time_ns() + int(duration * 1e9)) if duration else 0
    volume.write_state("lease", b"%d\n" % until)
    _print({"until": until})


def _wait(volume, seconds):
    deadline = time.monotonic() + _seconds(seconds)
    while not volume.read_state("ended"):
        if time.monotonic() >= deadline:
            break
        time.sleep(WAIT_STEP_SECONDS)
    _print({"ended": bool(volume.read_state("ended"))})


def _release(volume):
    volume.make()
    volume.write_state("released", b"%d\n" % time.time_ns())
    _print({"released": True})


def _run(volume, module):
    """The module's own input is what follows the zip; it may be of any length, because all of it is in one frame."""
    content = io.BytesIO(_read_frame(sys.stdin.buffer))
    sys.path.insert(0, _importable(volume, _read_frame(content)))
    sys.argv = [module]
    sys.stdin = io.TextIOWrapper(content)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _importable(volume, archive):
    """A path that modules of the zip can be imported from; in memory where the system can, for the volume may be full."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("podcov")
        with open(descriptor, "wb", closefd=False) as file:
            file.write(archive)
        return "/proc/self/fd/%d" % descriptor
    folder = os.path.join(volume.courier, "run")
    path = os.path.join(folder, sha256(archive).hexdigest() + ".zip")
    if not os.path.exists(path):
        volume.make()
        make_shared_folder(folder)
        replace_file(path, archive)
    return path


COMMANDS = {
    "serve": Command(_serve, ""),
    "unpack": Command(_unpack, ""),
    "status": Command(_status, ""),
    "mark": Command(_mark, "RUN LABEL [SECONDS]"),
    "dump": Command(_dump, "[SECONDS]"),
    "pull": Command(_pull, ""),
    "sources": Command(_sources, ""),
    "lease": Command(_lease, "SECONDS"),
    "wait": Command(_wait, "SECONDS"),
    "release": Command(_release, ""),
    "run": Command(_run, "MODULE"),
}


def _existing(volume):
    if not os.path.isdir(volume.path):
        raise CourierError("there is no data volume at %s" % volume.path)
    return volume


def _seconds(text):
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise CourierError("%r is no number of seconds" % text)
    return seconds


def _read_frame(stream):
    line = stream.readline(20)
    if not line.rstrip(b"\n").isdigit():
        raise CourierError("its input begins with %r instead of its length" % line)
    content = stream.read(int(line))
    if len(content) != int(line):
        raise CourierError("its input was cut off after %d of %d bytes" % (len(content), int(line)))
    return content


def _print(document):
    sys.stdout.write(json.dumps(dict({"protocol": PROTOCOL}, **document)) + "\n")
    sys.stdout.flush()


def _complain(text, code):
    sys.stderr.write("podcov courier: %s\n" % " ".join(text.split()))
    return code

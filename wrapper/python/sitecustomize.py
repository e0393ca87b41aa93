"""Begins recording in every Python process whose PYTHONPATH has this folder, before any of the app's code runs.

Parses on every Python from 2.7, and whatever goes wrong in here, the app runs as it would without us. Afterwards sys.path is
the app's, our modules are not in sys.modules, and the sitecustomize that the app would have had has run. (`import
sitecustomize` finds this module where there is no other.)
"""

import os
import sys


def _begin():
    here = os.path.dirname(os.path.abspath(__file__))
    environ = os.environ
    own = (here, "/podcov/wrapper", environ.get("PODCOV_DATA", "") + "/wrapper")
    sys.path[:] = [folder for folder in sys.path if folder not in own]
    if environ.get("PODCOV_DATA") and environ.get("PODCOV_OFF") != "1":
        sys.path.insert(0, here)
        try:
            _record(environ)
        finally:
            sys.path.remove(here)
            sys.path_importer_cache.pop(here, None)
            for name in [name for name in sys.modules if name.startswith("podcov_")]:
                del sys.modules[name]


def _record(environ):
    try:
        import podcov_record

        reason = _unsupported(podcov_record)
        if reason:
            raise podcov_record.Unsupported(reason)
        import podcov_process

        podcov_process.start(environ)
    except Exception as error:
        state = getattr(error, "state", "failed")
        reason = str(error) if state == "unsupported" else "%s: %s" % (type(error).__name__, error)
        _say(environ, state, reason)


def _say(environ, state, reason):
    try:
        import podcov_record

        folder = podcov_record.target_folder(environ)
        podcov_record.write(folder, podcov_record.process_name(), state=state, reason=reason)
    except Exception:
        return  # Nowhere to say it: an interpreter without a start record is found by its absence.


def _unsupported(podcov_record):
    version = ".".join(map(str, sys.version_info[:2]))
    if podcov_record.implementation() != "cpython":
        return "%s cannot be measured, only CPython" % podcov_record.implementation()
    if sys.version_info < (3, 11):
        return "Python %s cannot be measured, only 3.11 and later" % version
    if "t" in sys.abiflags:
        return "the free-threaded build of Python %s cannot be measured" % version
    return None


def _go_on():
    """Run the sitecustomize that would have been found without us; Debian and others have one."""
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if not str(error).endswith("No module named sitecustomize") and getattr(error, "name", None) != "sitecustomize":
            raise
        if ours is not None:
            sys.modules["sitecustomize"] = ours


_begin()
_go_on()

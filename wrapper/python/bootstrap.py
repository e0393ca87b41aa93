# Stands inline before a container's own command, `python3 -c <this> COMMAND ...`, which runs whatever goes wrong.
import os
import sys

try:
    folders = os.environ.get("PODCOV_DATA", "/podcov/data") + "/wrapper", os.environ.get("PODCOV_WRAPPER", "/podcov/wrapper")
    path = os.pathsep.join(filter(None, list(filter(os.path.isdir, folders)) + [os.environ.get("PYTHONPATH")]))
    os.environ.update({"PYTHONPATH": path} if path else {})
    os.execvp(sys.argv[1], sys.argv[1:])
except EnvironmentError as error:
    sys.stderr.write("podcov: %s: %s\n" % (sys.argv[1], error.strerror))
    sys.exit(127 if error.errno == 2 else 126)

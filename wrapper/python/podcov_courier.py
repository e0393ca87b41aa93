"""The courier: the one program that talks to the processes of a container and hands out what they recorded.

Called as `<interpreter> -Es podcov_courier.py COMMAND ...`; the commands, and what they print, are in PROTOCOL.md. This file has
to be understood by every Python there is, because the interpreter is the service's own; the rest of the courier needs 3.9.
"""

import sys


def unsupported():
    """Why this interpreter cannot run the courier; empty where it can."""
    if sys.version_info >= (3, 9):
        return ""
    version = ".".join(str(number) for number in sys.version_info[:3])
    return "unsupported: it needs Python 3.9 or later, %s is %s" % (sys.executable or "this one", version)


if __name__ == "__main__":
    reason = unsupported()
    if reason:
        sys.stderr.write("podcov courier: %s\n" % reason)
        sys.exit(2)
    from podcov_courier_commands import main

    sys.exit(main(sys.argv[1:]))

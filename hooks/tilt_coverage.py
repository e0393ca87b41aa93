"""The command of Tilt's coverage resource in a checkout: runs the tests and collects.

`podcov hook tilt-coverage` is the same where podcov is installed.
"""

import sys

from podcov.commands.main import main

main(["hook", "tilt-coverage", *sys.argv[1:]])

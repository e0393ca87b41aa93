"""Skaffold's after-deploy hook in a checkout: runs the tests and collects, once everything is deployed.

`podcov hook skaffold-after-deploy` is the same where podcov is installed.
"""

import sys

from podcov.commands.main import main

main(["hook", "skaffold-after-deploy", *sys.argv[1:]])

"""Coverage in every interpreter of the image."""

import os
import sys

if os.environ.get("COVERAGE_PROCESS_START"):
    try:
        import coverage

        coverage.process_startup()
    except ImportError as error:
        print(error, file=sys.stderr)

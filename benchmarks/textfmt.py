"""Go's coverage data into a text profile by podcov's formats alone: `python textfmt.py OUT FOLDER...`; a peer of go_data.py.

Each folder is a pod's. Like `go tool covdata`, it opens one meta-data file of each name.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable

from podcov.formats import go_profile
from podcov.formats.go_builds import gather
from podcov.formats.go_coverage import combine


def textfmt(folders: Iterable[str]) -> bytes:
    """What `go tool covdata textfmt` writes for these folders."""
    files: dict[str, bytes] = {}
    builds: set[str] = set()
    for folder in folders:
        for entry in os.scandir(folder):
            if entry.name not in builds:
                with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123 (hundreds of small files)
                    files[entry.path] = file.read()
            if entry.name.startswith("covmeta."):
                builds.add(entry.name)
    gathered = gather(files)
    if gathered.damage:
        sys.exit("\n".join(gathered.damage))
    return go_profile.dump(combine(gathered.builds).profile)


if __name__ == "__main__":
    gc.disable()  # all that is made is needed to the end
    with open(sys.argv[1], "wb") as out:  # noqa: PTH123 (pathlib takes longer to load than this to run)
        out.write(textfmt(sys.argv[2:]))

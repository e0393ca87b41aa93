"""Writing bundles: many files in one stream, with sums that show whether all of it arrived."""

import json
import zlib

from podcov_courier_sources import sha256

LEVEL = 1
"""of compression: logs and sources shrink well at once, and the app's container pays for the time"""


def write_bundle(out, manifest, files):
    """Writes (path, content) pairs to a binary stream; the manifest becomes theirs by `files`."""
    entries, pieces = [], []
    for path, content in files:
        packed = zlib.compress(content, LEVEL)
        piece, encoding = (packed, "zlib") if len(packed) < len(content) else (content, "identity")
        pieces.append(piece)
        entries.append(
            {
                "path": path,
                "size": len(content),
                "stored": len(piece),
                "encoding": encoding,
                "sha256": sha256(content).hexdigest(),
            }
        )
    head = json.dumps(dict(manifest, files=entries)).encode()
    total = sha256()
    for piece in (b"podcov-bundle 1 %d\n" % len(head), head, *pieces):
        total.update(piece)
        out.write(piece)
    out.write(b"\nend %s\n" % total.hexdigest().encode())
    out.flush()

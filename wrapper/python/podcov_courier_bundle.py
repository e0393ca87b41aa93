"""Writing bundles: many files in one stream, with sums that show whether all of it arrived."""

import json
import zlib

from podcov_courier_sources import sha256

LEVEL = 1
"""of compression: logs and sources shrink well at once, and the app's container pays for the time"""


def pack(files):
    """(the manifest's `files`, the bytes of each) for (path, content) pairs; small, so that a whole pull fits into memory."""
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
    return entries, pieces


def write_bundle(out, manifest, packed):
    """Writes what `pack` returned to a binary stream, behind a manifest."""
    entries, pieces = packed
    head = json.dumps(dict(manifest, files=entries)).encode()
    total = sha256()
    for piece in (b"podcov-bundle 1 %d\n" % len(head), head, *pieces):
        total.update(piece)
        out.write(piece)
    out.write(b"\nend %s\n" % total.hexdigest().encode())
    out.flush()

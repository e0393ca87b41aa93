"""`go.txt`, `go/<service>.out`, `go.html`: Go's own text profiles, for whatever reads them, and a page as Go's tool makes one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from podcov.formats import go_profile
from podcov.formats.go_profile import Block, Mode, Profile
from podcov.formats.go_regions import block_of
from podcov.model import FileCoverage
from podcov.reports import go_html
from podcov.reports.material import Material

LANGUAGE: Final = "go"
_MODES: Final[tuple[Mode, ...]] = ("set", "count", "atomic")


def write(material: Material, folder: Path) -> tuple[Path, ...]:
    """Write one profile of all services, one of each, and the page. Nothing where no service is in Go."""
    services = {name: profile(files) for name, files in _services(material).items()}
    if not services:
        return ()
    whole = folder / "go.txt"
    whole.write_bytes(go_profile.dump(together(services.values())))
    each = folder / "go"
    each.mkdir(exist_ok=True)
    for old in each.glob("*.out"):
        old.unlink()
    for name, own in services.items():
        (each / f"{name}.out").write_bytes(go_profile.dump(own))
    page = folder / "go.html"
    go_html.write(material, [file for file in material.files if file.language == LANGUAGE], page)
    return (whole, page)


def _services(material: Material) -> dict[str, list[FileCoverage]]:
    services: dict[str, list[FileCoverage]] = {}
    for file in material.report.files:
        if file.language == LANGUAGE:
            services.setdefault(file.service, []).append(file)
    return services


def profile(files: Iterable[FileCoverage]) -> Profile:
    """The files of one service as Go's tools know them."""
    known = list(files)
    mode = common_mode(file.counting or "set" for file in known)
    counts: dict[Block, int] = {}
    for file in known:
        for region in file.regions:
            block = block_of(name_of(file), region)
            counts[block] = go_profile.add(mode, counts.get(block, 0), region.hits)
    return Profile(mode, counts)


def together(profiles: Iterable[Profile]) -> Profile:
    """The profiles of several services. Files that they share from different sources have the blocks of both, as in their
    numbers."""
    known = list(profiles)
    mode = common_mode(own.mode for own in known)
    counts: dict[Block, int] = {}
    for own in known:
        for block, count in own.counts.items():
            counts[block] = go_profile.add(mode, counts.get(block, 0), count)
    return Profile(mode, counts)


def common_mode(modes: Iterable[Mode]) -> Mode:
    """The mode that says least: whether blocks ran is known of all, and how often only where all count."""
    return min(modes, key=_MODES.index)


def name_of(file: FileCoverage) -> str:
    """What Go calls it."""
    return file.recorded_paths[0] if file.recorded_paths else file.path

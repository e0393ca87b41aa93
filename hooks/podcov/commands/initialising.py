"""How `podcov init` is carried out, and what it says of what it found."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from podcov.commands import diffs
from podcov.commands.diffs import Edit
from podcov.config import Config
from podcov.edges import configuration, project
from podcov.errors import UsageError
from podcov.generate import deploying
from podcov.generate.api import Asked, Plan
from podcov.generate.coverage import entering
from podcov.generate.findings import Finding

_UNBOUNDED = 10_000
"""columns where the output is no terminal: nothing is wrapped"""


def init(
    config: Path,
    asked: Asked,
    *,
    adopt: bool,
    dry_run: bool,
    check: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Sets up the project that `config` is to be in. Raises UsageError for options that contradict each other."""
    if config.name != entering.CONFIG:
        raise UsageError(f"{config}: `podcov init` writes {entering.CONFIG}, under that name", hint="name that, or leave -c out")
    if check and dry_run:
        raise UsageError("--check and --dry-run: both write nothing, and say different things", hint="give one of them")
    root = config.resolve().parent
    if not root.is_dir():
        raise UsageError(f"{config}: there is no folder {config.parent}", hint="make it, or name the project's folder")
    above = None if config.is_file() else configuration.above(config)
    try:
        done = (
            project.plan(root, asked, adopt=adopt)
            if dry_run
            else project.init(root, asked, check=check, force=force, adopt=adopt)
        )
    except UsageError as error:
        if above is None:
            raise
        hint = f"for the project of {above}, {configuration.go_to(above)}. Else: {error.hint}"
        raise type(error)(error.message, hint=hint) from None
    if above:
        done = replace(done, findings=(_another(above), *done.findings))
    if as_json:
        click.echo(json.dumps(_document(done, dry_run=dry_run)))
        return
    if not quiet:
        _print_findings((*_adopted(done), *(f for a in done.adoptions for f in a.findings), *done.findings))
    if dry_run:
        diffs.show(_edits(root, done, verbose=verbose))
        if not force:
            diffs.warn_of_hand_edits(done.changes)
    else:
        for line in _written(done, verbose=verbose):
            click.echo(line)
    if not quiet:
        _offer(done)
        _say_next(done, dry_run=dry_run)


def _another(above: Path) -> Finding:
    """Said of a first configuration: its project may be meant to be a part of another."""
    why = f"where that project was meant, {configuration.go_to(above)}"
    return Finding(entering.CONFIG, f"there is one above: {above}", "another one for this folder", why, "warning")


def _adopted(done: Plan) -> Iterator[Finding]:
    """What is replaced, without what stays and is found again in the file as it is left, with another line perhaps."""
    stays = {_without_line(f) for adoption in done.adoptions for f in adoption.findings}
    replaced = (f for adoption in done.adopted for f in adoption.findings_when_replaced)
    return (finding for finding in replaced if _without_line(finding) not in stays)


def _without_line(finding: Finding) -> tuple[str, str]:
    return finding.subject.partition(":")[0], finding.found


def _edits(root: Path, done: Plan, *, verbose: bool) -> Iterator[Edit]:
    """What would change; the files in podcov's own folder only where the user wants to see them."""
    own = f"{posixpath.dirname(done.config.generate.overlay)}/"
    hidden = 0
    for change in done.changes:
        if verbose or not change.path.startswith(own):
            yield Edit(change.path, project.DiskProject(root).read(change.path), change.content)
        else:
            hidden += 1
    if hidden:
        click.echo(f"and {hidden} files of podcov's own in {own}, which --verbose shows", err=True)


def _offer(done: Plan) -> None:
    """What podcov would put in the place of another way of measuring."""
    replaced = [r for adoption in done.adoptions for r in adoption.replaces]
    for adoption in done.adoptions:
        for sentence in adoption.keeps:
            click.echo(f"{adoption.name}: {sentence}", err=True)
    if replaced:
        click.echo("podcov can take over; `podcov init --adopt` makes these changes:", err=True)
        diffs.show((Edit(r.path, done.replaceable[r.path], r.content) for r in replaced), err=True)


def _say_next(done: Plan, *, dry_run: bool) -> None:
    if not done.changes:
        click.echo("everything is up to date")
    elif not dry_run:
        for command in _commands(done.config):
            click.echo(f"next: {command}", err=True)


def _commands(config: Config) -> list[str]:
    """What to type now."""
    return deploying.by_tools(config.generate) or [*deploying.by_hand(config.generate), "podcov run"]


def _written(done: Plan, *, verbose: bool) -> list[str]:
    """A line a file; those of podcov's own folders, which nobody edits, as one line a folder."""
    if verbose:
        return [_line(change.path, change.content is None) for change in done.changes]
    overlay = f"{posixpath.normpath(done.config.generate.overlay)}/"
    lines: dict[str, int] = {}
    for change in done.changes:
        own = change.path.startswith(overlay) and change.content is not None
        line = _line(f"{change.path.rpartition('/')[0]}/", False) if own else _line(change.path, change.content is None)
        lines[line] = lines.get(line, 0) + 1
    return [f"{line} ({count} files)" if line.endswith("/") and count > 1 else line for line, count in lines.items()]


def _line(path: str, removed: bool) -> str:
    return f"{'removed' if removed else 'wrote'} {path}"


def _document(done: Plan, *, dry_run: bool) -> dict[str, object]:
    return {
        "changes": [change.path for change in done.changes],
        "written": not dry_run,
        "findings": [asdict(finding) for finding in done.findings],
        "adoptions": [
            {
                "name": a.name,
                "keeps": list(a.keeps),
                "replaces": [r.path for r in a.replaces],
                "findings": [asdict(f) for f in a.findings],
            }
            for a in done.adoptions
        ],
        "next": _commands(done.config),
    }


def _print_findings(findings: Iterable[Finding]) -> None:
    rows = list(dict.fromkeys(findings))
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("what", "found", "decided", "why"):
        table.add_column(title, overflow="fold")
    for f in rows:
        table.add_row(f.subject, f.found, f.decided, f.why, style="yellow" if f.level == "warning" else "")
    console = Console(stderr=True, highlight=False, emoji=False, markup=False)
    if console.is_terminal:
        console.print(table)
        return
    console.width = _UNBOUNDED
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        click.echo(line.rstrip(), err=True)

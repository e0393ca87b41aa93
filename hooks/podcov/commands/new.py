"""`podcov new`: a new service from a template, coverage wired in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podcov.commands import options
from podcov.config import Service
from podcov.errors import NewError

if TYPE_CHECKING:
    from podcov.edges.new_project import Made


@click.command(short_help="Make a new service, with tests, manifests and coverage.")
@click.argument("name")
@click.option(
    "-l", "--language", default=Service(name="").language, show_default=True, metavar="LANGUAGE", help="As in podcov.yaml."
)
@click.option("-t", "--template", default="", metavar="FOLDER|GIT_URL", help="Your team's own: URL[@REF][//FOLDER], or a folder.")
@click.option(
    "-p", "--port", type=click.IntRange(1024, 65535), default=8080, show_default=True, help="What the service listens on."
)
@click.option("-s", "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A variable of the template; may be repeated.")
@options.output
def new(
    name: str, language: str, template: str, port: int, settings: tuple[str, ...], as_json: bool, quiet: bool, verbose: bool
) -> None:
    """Make the service NAME in a new folder ./NAME: source, tests, Dockerfile, manifests, Skaffold and Tilt files, CI.

    What `podcov init` generates is in it already. Nothing is written where the folder has something in it.
    """
    from podcov import assets
    from podcov.edges import new_project, template_source
    from podcov.edges.template_source import Template
    from podcov.generate import new as generate
    from podcov.generate.new import Wanted

    generate.refuse_name(name)
    folder = Path(name)
    new_project.refuse_folder(folder)
    if not template:
        _refuse_language(language, assets.new_languages())
    wanted = Wanted(name, language, port, _settings(settings))
    source = (
        template_source.fetch(template)
        if template
        else Template(template_source.read_folder(assets.new_template(wanted.language)))
    )
    rendered = generate.render(source.files, wanted)
    made = new_project.make(folder, rendered.files)
    if as_json:
        origin = {"template": template_source.without_secret(template), "commit": source.commit}
        click.echo(json.dumps({"folder": name, "files": made.files, "next": rendered.next, **origin}))
        return
    if not quiet:
        _say(name, made, verbose=verbose)
        click.echo("\n".join(rendered.next))


def _say(name: str, made: Made, *, verbose: bool) -> None:
    lines = [f"wrote {name}/{file}" for file in made.files] if verbose else [f"wrote {name}/ ({len(made.files)} files)"]
    lines += [f"warning: {f.subject}: {f.found}, {f.decided}: {f.why}" for f in made.findings if f.level == "warning"]
    click.echo("\n".join(lines), err=True)


def _refuse_language(language: str, known: Sequence[str]) -> None:
    if language not in known:
        raise NewError(
            f"there is no template for {language}",
            hint=f"there are: {', '.join(known)}. A template of your own is named by --template.",
        )


def _settings(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for setting in given:
        key, equals, value = setting.partition("=")
        if not key or not equals:
            raise NewError(f"--set {setting}: is not KEY=VALUE", hint="for example --set team=payments.")
        found[key] = value
    return found

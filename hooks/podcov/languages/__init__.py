"""Raw hits into coverage: what is particular to one language, behind one small Protocol.

The sequence of calls, for each service of a run (the edges are the pipeline's to call, everything else is pure):

    observed = of(service.language).observe(target, counted, text)  # for the ledger, of each target
    epochs = number_epochs((target.records for all targets of all services), run)
    selections = edges.coverage_config.read(root, services)         # the project's own configuration
    sources = edges.source_files.SourceFiles(root, ...)
    data = ServiceData(service, targets, epochs, sources.digests, selections[service.name], ..., text=text)
    language = of(service.language)
    needs = language.needs(data)                                    # texts that an interpreter has to look at
    tables = await edges.analysis.Analyst(...).tables(needs, text, remote)
    converted = language.convert(data, tables)                      # files, warnings, failures

and then, over all services, `merge.divergent(files)` for more warnings. `convert` has already merged the targets of a service.

A new language is a module that fulfils `Language`, and a line in `_LANGUAGES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from podcov.errors import UsageError
from podcov.languages.contract import Converted, DigestAt, Language, Need, Observed, Selection, ServiceData, Target, Text
from podcov.languages.epochs import Numbering, number_epochs
from podcov.languages.go import Go
from podcov.languages.python import Python

__all__ = [
    "Converted",
    "DigestAt",
    "Language",
    "Need",
    "Numbering",
    "Observed",
    "Selection",
    "ServiceData",
    "Target",
    "Text",
    "number_epochs",
    "of",
]

_LANGUAGES: Final[Mapping[str, Language]] = {
    "go": Go(),
    "python": Python(),
}


def of(name: str) -> Language:
    """The language of that name. Raises UsageError for one that podcov does not know."""
    if name not in _LANGUAGES:
        raise UsageError(f"language {name!r} is not known", hint=f"name one of: {', '.join(sorted(_LANGUAGES))}")
    return _LANGUAGES[name]

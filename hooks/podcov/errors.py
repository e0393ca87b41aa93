"""Every error that podcov reports to people, and the exit code that goes with it.

Only `podcov.commands.main` catches `PodcovError`; everything else lets it pass.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; a failing test suite returns its own instead."""

    OK = 0
    BUG = 1
    USAGE = 2
    INCOMPLETE = 3
    BELOW_THRESHOLD = 4
    NO_DATA = 5


class PodcovError(Exception):
    """Something that the user can act on.

    `message` says what happened and where, `hint` what to do about it, `slug` is a stable name for machines.
    """

    slug = "error"
    exit_code: Exit = Exit.USAGE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PodcovError):
    """Wrong command line, configuration, manifest or environment."""

    slug = "usage"


class ConfigError(UsageError):
    """`podcov.yaml` cannot be understood; the message begins with `FILE:LINE:`."""

    slug = "config"


class ManifestError(UsageError):
    """A manifest, `skaffold.yaml` or `Tiltfile` cannot be understood or does not fit."""

    slug = "manifest"


class DriftError(UsageError):
    """Generated files differ from what would be generated now, or were edited by hand."""

    slug = "drift"


class NewError(UsageError):
    """A new service cannot be made: its name, its folder or the template does not do."""

    slug = "new"


class FilesError(UsageError):
    """The machine refuses a file or folder: it is somebody else's, or the disk is read-only or full."""

    slug = "files"


class MappingError(UsageError):
    """A container's file matches several local files and nothing says which."""

    slug = "mapping"


class ClusterError(UsageError):
    """The cluster cannot be reached, or refuses: no kubeconfig, no such context, forbidden."""

    slug = "cluster"


class NoDataError(PodcovError):
    """Nothing to report on: no pod matched, or nothing was recorded anywhere."""

    slug = "no-data"
    exit_code = Exit.NO_DATA


class DamagedError(PodcovError):
    """A file that podcov wrote or pulled is truncated or not what it says it is."""

    slug = "damaged"
    exit_code = Exit.INCOMPLETE


class MergeError(PodcovError):
    """Coverage data that cannot become one: of different sources, or counted in different ways."""

    slug = "merge"
    exit_code = Exit.INCOMPLETE


class InterpreterError(PodcovError):
    """No interpreter of the version that ran a file can be had to analyse it; another version would say something else."""

    slug = "interpreter"
    exit_code = Exit.INCOMPLETE

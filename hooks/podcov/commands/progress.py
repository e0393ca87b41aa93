"""Progress on stderr: a spinner on a terminal, plain lines elsewhere, nothing where it is not wanted."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape


class ConsoleProgress:
    """Fulfils `podcov.collecting.Progress`. A context manager: the spinner ends with it."""

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._verbose = verbose
        self._status = self._console.status("")
        self._spins = self._console.is_terminal and not quiet

    def step(self, text: str) -> None:
        """What is done now. The test command's own output must not be drawn over, so the spinner pauses for it."""
        if self._spins and not text.startswith("testing"):
            self._status.update(escape(text))
            self._status.start()
            return
        self._status.stop()
        self._console.print(f"[bold]podcov[/] {escape(text)}")

    def note(self, text: str, *, verbose: bool = False) -> None:
        """What happened. `verbose` ones are shown with `-v` only."""
        if self._verbose or not verbose:
            self._console.print(f"[bold]podcov[/] {escape(text)}")

    def __enter__(self) -> ConsoleProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._status.stop()

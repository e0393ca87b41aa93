"""Which files are recorded: the app's own, and the installed packages that it was asked to measure."""

import os

INSTALLED = ("site-packages", "dist-packages")


class Selection:
    """`selection(filename, frame)` is the absolute path that a code object's file is recorded as, or None.

    Recorded are `.py` files and the script that runs, unless they belong to the standard library, to installed packages or to the
    wrapper; and the named packages wherever they are. `packages` is PODCOV_PACKAGES: top-level packages or modules,
    comma-separated.
    """

    def __init__(self, packages, own_folders):
        named = [package.strip().replace(".", "/") for package in packages.split(",") if package.strip()]
        self._named = tuple([package + "/" for package in named] + [package + ".py" for package in named])
        self._library = os.path.dirname(os.__file__) + "/"
        self._own = tuple(folder.rstrip("/") + "/" for folder in own_folders)

    def __call__(self, filename, frame):
        if not filename.endswith(".py") and not self._is_main_script(filename, frame):
            return None
        path = filename if filename.startswith("/") else _from_here(filename)
        if path.startswith(self._own):
            return None
        installed = self._installed_as(path)
        return path if installed is None or installed.startswith(self._named) else None

    def _installed_as(self, path):
        """The part of a path below the folder that modules are installed in; None for a file that is not installed."""
        for folder in INSTALLED:
            _, found, below = path.rpartition("/%s/" % folder)
            if found:
                return below
        return path[len(self._library) :] if path.startswith(self._library) else None

    @staticmethod
    def _is_main_script(filename, frame):
        """Whether this is the script that the interpreter was started with, which may have any name."""
        if frame is None or frame.f_code.co_name != "<module>" or filename.startswith("<"):
            return False
        return frame.f_globals.get("__name__") == "__main__" and os.path.isfile(filename)


def _from_here(filename):
    try:
        return os.path.normpath(os.path.join(os.getcwd(), filename))
    except OSError:
        return filename  # the folder that the app is in has been deleted


def selection_of(environ):
    """The selection that this process's environment asks for."""
    own_folders = {os.path.dirname(__file__), "/podcov/wrapper", environ["PODCOV_DATA"] + "/wrapper"}
    return Selection(environ.get("PODCOV_PACKAGES", ""), own_folders)

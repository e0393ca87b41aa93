"""Whether a Python file is there for coverage.py and for nothing else, so that nobody misses it. Pure."""

from __future__ import annotations

import ast
import re

_IMPORTS = frozenset({"coverage", "os", "sys", "logging"})
_ASKS = ("os.environ.get", "os.getenv", "print", "str")
_HOOKS = ("post_fork", "worker_exit", "child_exit", "worker_int", "worker_abort", "on_exit", "when_ready", "pre_fork")


def starts_coverage_only(text: str) -> bool:
    """Whether a `sitecustomize.py` does nothing but start coverage.py, perhaps where a variable says so."""
    tree = _parsed(text)
    return tree is not None and _is_about_coverage(tree) and "process_startup" in text


def path_file_starts_coverage_only(text: str) -> bool:
    """The same of a `.pth` file: every line is about coverage."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return bool(lines) and all("coverage" in line for line in lines) and "process_startup" in text


def hooks_save_coverage_only(text: str) -> bool:
    """Whether a configuration of gunicorn is hooks around coverage.py, and nothing else."""
    tree = _parsed(text)
    if tree is None or not _is_about_coverage(tree):
        return False
    hooks = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    others = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.Import | ast.ImportFrom | ast.Expr)]
    return bool(hooks) and not others and all(hook.name in _HOOKS for hook in hooks)


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _is_about_coverage(tree: ast.Module) -> bool:
    """It imports coverage, and calls nothing but what comes from there, loggers, and questions about the environment."""
    nodes = list(ast.walk(tree))
    imports = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imports |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)} - {"__future__"}
    own = {"coverage", *(name for node in nodes for name in _bound_to_coverage(node))}
    calls = [ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)]
    sets = any(isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store) for node in nodes)
    foreign = [
        c for c in calls if c not in _ASKS and re.split(r"[.(]", c)[0] not in own and not re.search(r"\blog(?:ger|ging)?\.", c)
    ]
    return "coverage" in imports and imports <= _IMPORTS and not foreign and not sets


def _bound_to_coverage(node: ast.AST) -> list[str]:
    """The variables that a statement gives something of coverage's."""
    if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("coverage."):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []

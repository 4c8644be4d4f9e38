"""Digests of Python code by meaning: canonical syntax trees of a module and of its in-project imports.

Comments, docstrings and formatting do not count; every other edit of a module in the closure does, helpers and
constants included. Imports are followed statically, function-level ones and `import_module("…")` too, but not those in
`if TYPE_CHECKING:` blocks, which never run. The digest of a file is the same on every Python from 3.11 on, which
`ast.dump` is not.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cache import digest
from cache.errors import CacheError
from cache.statcache import StatCache

ENGINE = frozenset({"pipeline", "cache"})
"""Top-level packages that move results about but do not make them; the key's version number stands for them."""

OWN = frozenset({"stages", "models", "faces"})
"""The project's packages that make results."""

_INSTALLED = ("site-packages", "dist-packages")
"""Folders where libraries lie beside the packages that are meant; there only the packages meant count."""

_SKIPPED_FIELDS = frozenset({"ctx", "type_comment", "kind", "type_ignores"})
_HAS_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def tree_digest(source: str) -> str:
    """The digest of a module's canonical syntax tree. SyntaxError where it is not Python."""
    hash_ = digest.hasher()
    for token in _tokens(ast.parse(source)):
        hash_.update(token.encode("utf-8", "surrogatepass") + b"\0")
    return digest.finish(hash_)


def _tokens(node: Any) -> Iterator[str]:
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name in sorted(node._fields):
            value = _field(node, name)
            if name not in _SKIPPED_FIELDS and value not in (None, []):
                yield name
                yield from _tokens(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            yield from _tokens(item)
        yield "]"
    else:
        yield f"{type(node).__name__}:{node!a}"  # what repr escapes depends on a Python's table of characters


def _field(node: ast.AST, name: str) -> Any:
    value: Any = getattr(node, name, None)
    if name == "body" and isinstance(node, _HAS_DOCSTRING) and _is_docstring(value):
        return value[1:]
    if isinstance(node, ast.JoinedStr) and name == "values":
        return [part for part in value if not _is_empty_text(part)]  # Python 3.12 puts some where others put none
    return value


def _is_empty_text(part: ast.expr) -> bool:
    return isinstance(part, ast.Constant) and part.value == ""


def _is_docstring(body: Any) -> bool:
    first = body[0] if body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def imports(source: str, module: str, *, package: bool) -> list[str]:
    """Dotted names that a module may import, relative ones resolved. `package`: the file is an `__init__.py`."""
    here = module.split(".") if package else module.split(".")[:-1]
    found: dict[str, None] = {}
    for node in _running_nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(dict.fromkeys(alias.name for alias in node.names))
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # "from package import name": the name may be a submodule, the resolver knows
            found.update(dict.fromkeys([origin, *(f"{origin}.{alias.name}" for alias in node.names)]))
        elif isinstance(node, ast.Call) and (name := _imported_by_call(node)):
            found[name] = None
    return list(found)


def _running_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            for other in child.orelse:
                yield other
                yield from _running_nodes(other)
            continue
        yield child
        yield from _running_nodes(child)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _imported_by_call(call: ast.Call) -> str:
    """ "package.module" of `import_module("package.module")`, "" of any other call."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = call.args[0] if call.args else None
    text = first.value if isinstance(first, ast.Constant) else None
    return text if name in ("import_module", "__import__") and isinstance(text, str) and text[:1] != "." else ""


class CodeDigests:
    """Closure digests of modules, remembered by stat.

    roots: folders that hold the project's own packages. A module of anywhere else, the standard library and
    installed packages included, is outside and does not count, unless it is named directly in `closure`.
    """

    def __init__(self, cache: StatCache, roots: Iterable[Path]) -> None:
        self._cache = cache
        self._roots = [Path(root) for root in roots]

    def closure(self, modules: Iterable[str]) -> dict[str, str]:
        """Module → digest, for the modules named and everything of the project they import, in order of name."""
        waiting = list(modules)
        packages = OWN | {module.partition(".")[0] for module in waiting}
        roots = [*self._roots]
        for root in map(_root_of, waiting):
            if root is not None and root not in roots:
                roots.append(root)
        found: dict[str, str] = {}
        seen: set[str] = set()
        while waiting:
            module = waiting.pop()
            if module in seen:
                continue
            seen.add(module)
            for name, path in _files_of(module, roots, packages):
                if name not in found:
                    found[name], names = self._facts(name, path)
                    waiting += names
        return dict(sorted(found.items()))

    def file(self, module: str) -> Path | None:
        """Where the code of a module lies."""
        roots = [*self._roots, *filter(None, [_root_of(module)])]
        packages = OWN | {module.partition(".")[0]}
        return next((path for name, path in _files_of(module, roots, packages) if name == module), None)

    def _facts(self, module: str, path: Path) -> tuple[str, list[str]]:
        def compute(file: Path) -> list[Any]:
            source = file.read_text(encoding="utf-8")
            return [tree_digest(source), imports(source, module, package=file.name == "__init__.py")]

        try:
            value, names = self._cache.get(path, compute)
        except SyntaxError as error:
            raise CacheError(f"{path}, line {error.lineno}: {error.msg}. Mend the module and try again.") from error
        return value, names


def _root_of(module: str) -> Path | None:
    """The folder that holds a module's top-level package."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    places = [*(spec.submodule_search_locations or ())]
    place = places[0] if places else spec.origin
    return Path(place).parent if place else None


def _files_of(module: str, roots: list[Path], packages: frozenset[str]) -> Iterator[tuple[str, Path]]:
    """The files that importing a dotted name runs: each package's `__init__.py` on the way, and the module itself."""
    parts = module.split(".")
    if parts[0] in ENGINE or parts[0] in sys.stdlib_module_names:
        return
    for root in roots:
        if root.name in _INSTALLED and parts[0] not in packages:
            continue
        here, found = os.fspath(root), False
        for depth, part in enumerate(parts, start=1):
            here = os.path.join(here, part)
            for candidate in (os.path.join(here, "__init__.py"), f"{here}.py"):
                if os.path.isfile(candidate):
                    found = True
                    yield ".".join(parts[:depth]), Path(candidate)
                    break
        if found:
            return

"""Which edits of code count: the detection matrix, 9 of 9, and what the closure follows."""

from __future__ import annotations

import os
import textwrap
import time
from pathlib import Path

import pytest

from cache.code import CodeDigests, imports, tree_digest
from cache.errors import CacheError
from cache.statcache import StatCache

STAGE = '''
"""The stage."""
from toyproject.helpers import scale

LIMIT = 3

def clip(x):
    return min(x, LIMIT)

def run(x):
    """Do it."""
    # a remark
    return scale(clip(x))
'''
HELPERS = """
def scale(x):
    return 2 * x
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "toyproject"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "stage.py").write_text(STAGE)
    (package / "helpers.py").write_text(HELPERS)
    return package


def digests(project: Path, tmp_path: Path, *modules: str) -> dict[str, str]:
    cache = StatCache(tmp_path / "state", "code")
    found = CodeDigests(cache, [project.parent]).closure(modules or ["toyproject.stage"])
    cache.save()
    return found


CODE_EDITS = [
    ("comment", "stage.py", "# a remark", "# another remark", False),
    ("docstring", "stage.py", '"""Do it."""', '"""Do it well."""', False),
    ("reformat", "stage.py", "return min(x, LIMIT)", "return min(\n        x,\n        LIMIT,\n    )", False),
    ("function body", "stage.py", "return scale(clip(x))", "return scale(clip(x)) + 1", True),
    ("helper in the same module", "stage.py", "min(x, LIMIT)", "max(x, LIMIT)", True),
    ("helper in an imported module", "helpers.py", "2 * x", "3 * x", True),
    ("module constant", "stage.py", "LIMIT = 3", "LIMIT = 4", True),
]


@pytest.mark.parametrize(("edit", "file", "old", "new", "counts"), CODE_EDITS, ids=[e[0] for e in CODE_EDITS])
def test_detection_matrix_code(project, tmp_path, edit, file, old, new, counts) -> None:
    before = digests(project, tmp_path)
    source = (project / file).read_text()
    assert old in source
    (project / file).write_text(source.replace(old, new))
    assert (digests(project, tmp_path) != before) is counts


def test_detection_matrix_input_touched(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("cache.statcache.GRAIN_NS", -(10**12))
    path = tmp_path / "input"
    path.write_bytes(b"data")
    cache = StatCache(tmp_path / "state", "in")
    before = cache.content(path)
    os.utime(path, (time.time() + 5, time.time() + 5))
    assert cache.content(path) == before


def test_detection_matrix_input_edited_with_size_and_mtime_kept(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("cache.statcache.GRAIN_NS", -(10**12))
    path = tmp_path / "input"
    path.write_bytes(b"data")
    cache = StatCache(tmp_path / "state", "in")
    before, stat = cache.content(path), path.stat()
    path.write_bytes(b"date")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cache.content(path) != before


def test_closure_follows_function_level_relative_and_submodule_imports(project, tmp_path) -> None:
    (project / "stage.py").write_text(
        textwrap.dedent("""
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from . import near
        if TYPE_CHECKING:
            from toyproject import unseen
        def run():
            from .deep.inner import thing
            import json, numpy
        """)
    )
    (project / "near.py").write_text("x = 1")
    (project / "unseen.py").write_text("x = 1")
    (project / "deep").mkdir()
    (project / "deep" / "__init__.py").write_text("")
    (project / "deep" / "inner.py").write_text("thing = 1")
    found = digests(project, tmp_path)
    assert list(found) == [
        "toyproject",
        "toyproject.deep",
        "toyproject.deep.inner",
        "toyproject.near",
        "toyproject.stage",
    ]


def test_closures_of_siblings_are_apart(project, tmp_path) -> None:
    for name in ("red", "blue"):
        (project / f"{name}.py").write_text("from toyproject.helpers import scale\nx = 1")
    red = digests(project, tmp_path, "toyproject.red")
    (project / "blue.py").write_text("from toyproject.helpers import scale\nx = 2")
    assert digests(project, tmp_path, "toyproject.red") == red


def test_installed_libraries_are_outside(tmp_path) -> None:
    site = tmp_path / "site-packages"
    for name, text in (("lab_stages", "import giant"), ("giant", "x = 1")):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text(text)
    cache = StatCache(tmp_path / "state", "code")
    assert list(CodeDigests(cache, [site]).closure(["lab_stages"])) == ["lab_stages"]


def test_digest_is_the_same_on_every_python() -> None:
    """Pinned: a new Python that changes it would make every cache of the world stale."""
    source = 'def f(a, *, b: int = 1) -> str:\n    "doc"\n    return f"{a!r:>{b}}" if a else [x async for x in y]\n'
    assert tree_digest(source).partition(":")[2] == PINNED
    assert tree_digest(source.replace('    "doc"\n', "")) == tree_digest(source)


PINNED = "dc35a13c2233a22f9aea8e846a62a237"


def test_a_character_that_only_newer_pythons_know_is_no_difference() -> None:
    """Python 3.13 prints U+2FFC, 3.11 escapes it; the digest knows neither. Pinned on both."""
    assert tree_digest("x = '\u2ffc'").partition(":")[2] == PINNED_CHARACTER


PINNED_CHARACTER = "1df4859d311dd8f6fc038718a2d5f81d"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b\n", ["b"]),
        ("if typing.TYPE_CHECKING:\n    import a\nelif x:\n    import b\n", ["b"]),
        ("if not TYPE_CHECKING:\n    import a\n", ["a"]),
        ('import importlib\nimportlib.import_module("a.b")\n', ["importlib", "a.b"]),
        ("from importlib import import_module\nimport_module(name)\nimport_module()\n", None),
    ],
)
def test_imports_that_run(source, found) -> None:
    assert imports(source, "m", package=False) == (found or ["importlib", "importlib.import_module"])


def test_relative_imports_resolve_from_packages_and_modules() -> None:
    assert "a.b.c" in imports("from . import c", "a.b", package=True)
    assert "a.c" in imports("from . import c", "a.b", package=False)
    assert "a.c.d" in imports("from ..c import d", "a.b.e", package=False)


def test_a_module_with_a_syntax_error_is_named(project, tmp_path) -> None:
    (project / "helpers.py").write_text("def broken(:\n")
    with pytest.raises(CacheError, match=r"helpers\.py, line 1"):
        digests(project, tmp_path)

"""Arrows that import-linter cannot express: the standard library alone, and nothing heavy at the top of a graph."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CONTRACT = sorted((REPOSITORY / "contract").rglob("*.py"))
GRAPHS = sorted((REPOSITORY / "fleet" / "graphs").rglob("*.py"))
LIGHT = {"contract", "fleet", "typing_extensions"}
STANDARD_LIBRARY_ONLY = ("env", "pg", "local_secrets", "ports", "runner", "up", "production")


def imported_roots(path: Path, *, top_level_only: bool) -> set[str]:
    """Root packages a file imports, apart from what stands under `if TYPE_CHECKING:`."""
    tree = ast.parse(path.read_text(), str(path))
    nodes = list(tree.body) if top_level_only else list(ast.walk(tree))
    roots: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            roots.add((node.module or "").split(".")[0])
    return roots


@pytest.mark.parametrize("path", CONTRACT, ids=lambda path: path.name)
def test_contract_uses_the_standard_library_only(path: Path) -> None:
    assert imported_roots(path, top_level_only=False) <= set(sys.stdlib_module_names) | {"contract"}


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_graph_modules_import_nothing_heavy_at_the_top(path: Path) -> None:
    assert imported_roots(path, top_level_only=True) <= set(sys.stdlib_module_names) | LIGHT


@pytest.mark.parametrize("name", STANDARD_LIBRARY_ONLY)
def test_what_starts_the_platform_uses_the_standard_library_only(name: str) -> None:
    roots = imported_roots(REPOSITORY / "platform_site" / f"{name}.py", top_level_only=False)
    assert roots <= set(sys.stdlib_module_names) | {"platform_site"}


def test_contract_is_cheap_to_load() -> None:
    script = (
        "import sys, json, time; before = set(sys.modules); begun = time.perf_counter();"
        "import contract.registry, contract.route_for;"
        "print(json.dumps([time.perf_counter() - begun, len(set(sys.modules) - before)]))"
    )
    output = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    seconds, modules = json.loads(output)
    assert modules < 120, "the contract pulls in too much"
    assert seconds < 1

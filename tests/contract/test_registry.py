"""The registry: unique, cheap to load, and free of everything it must not import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from contract.errors import LangGraphError, kind_for_status
from contract.graph_spec import GraphSpec, assistant_uuid, graph_digest, unique
from contract.registry import GRAPHS
from contract.route_for import (
    DEFAULT_CLASSIFY_WORKER_ASSISTANTS,
    DEFAULT_DISCOVERY_WORKER_ASSISTANTS,
    DEFAULT_EMAIL_WORKER_ASSISTANTS,
)
from contract.shapes import SHAPES

ROOT = Path(__file__).resolve().parent.parent.parent
CONTRACT = sorted((ROOT / "contract").glob("*.py"))


def spec(name: str, module: str = "m", pool: str = "CORE") -> GraphSpec:
    return GraphSpec(name, module, pool=pool, input_shape="probe", description="")


def test_a_duplicate_names_both_owners() -> None:
    with pytest.raises(ValueError, match=r"'x': a\.b \(pool EMAIL\) and c\.d \(pool CORE\)"):
        unique((spec("x", "a.b", "EMAIL"), spec("y"), spec("x", "c.d")))


def test_every_row_has_a_shape_and_a_module_whose_file_is_there() -> None:
    for row in GRAPHS:
        assert row.input_shape in SHAPES
        assert (ROOT / row.source_path).is_file(), row.source_path


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_shape_is_a_schema_that_its_examples_satisfy(name: str) -> None:
    schema = SHAPES[name]
    Draft202012Validator.check_schema(schema)
    examples = schema["examples"]
    assert isinstance(examples, list)
    assert examples
    for example in examples:
        Draft202012Validator(schema).validate(example)


def test_every_pool_has_its_canary() -> None:
    canaries = {row.pool: row for row in GRAPHS if row.assistant_id.startswith("probe_")}
    assert sorted(canaries) == ["CLASSIFY", "CORE", "DISCOVERY", "EMAIL"]
    assert all(row.resumable for row in canaries.values())
    assert SHAPES["probe"]["examples"] == [{"x": 1}]


def test_the_default_lists_are_the_home_pools() -> None:
    for pool, listed in (
        ("EMAIL", DEFAULT_EMAIL_WORKER_ASSISTANTS),
        ("CLASSIFY", DEFAULT_CLASSIFY_WORKER_ASSISTANTS),
        ("DISCOVERY", DEFAULT_DISCOVERY_WORKER_ASSISTANTS),
    ):
        assert listed == {row.assistant_id for row in GRAPHS if row.pool == pool}


def test_a_row_is_immutable_and_its_digest_follows_each_field() -> None:
    row = spec("x")
    with pytest.raises(AttributeError):
        row.pool = "EMAIL"
    assert row == spec("x")
    assert row.digest() == spec("x").digest()
    assert (
        len(
            {
                spec("x").digest(),
                spec("y").digest(),
                spec("x", "n").digest(),
                spec("x", pool="EMAIL").digest(),
            }
        )
        == 4
    )
    assert graph_digest(row, source=b"a", input_schema={}) != graph_digest(row, source=b"b", input_schema={})
    assert graph_digest(row, source=b"a", input_schema={}) != graph_digest(
        row, source=b"a", input_schema={"type": "object"}
    )


def test_the_uuid_is_the_one_a_langgraph_server_derives() -> None:
    assert assistant_uuid("agent") == "fe096781-5601-53d2-b2f6-0d3403f7e9ca"


@pytest.mark.parametrize("path", CONTRACT, ids=lambda path: path.name)
def test_the_contract_imports_the_standard_library_and_itself_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for name in names:
            assert name.split(".")[0] in (sys.stdlib_module_names | {"contract"}) - {
                "os",
                "socket",
                "subprocess",
            }


GUARD = """
import importlib.abc, sys

class Guard(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        root = name.partition('.')[0]
        if root not in {*sys.stdlib_module_names, 'contract', 'org'}:  # copy.py asks for Jython's org
            raise RuntimeError('imported ' + name)

sys.meta_path.insert(0, Guard())
"""


@pytest.mark.parametrize("module", [f"contract.{path.stem}" for path in CONTRACT if path.stem != "__init__"])
def test_it_loads_where_any_graph_django_or_third_party_import_raises(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{GUARD}\nimport {module}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["fleet.graphs.email.compose", "django", "langgraph", "registry_app"])
def test_the_guard_itself_bites(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{GUARD}\nimport {module}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"imported {module.partition('.')[0]}" in done.stderr


def test_loading_it_is_cheap_and_touches_nothing_else() -> None:
    code = (
        "import sys, time; before = set(sys.modules); start = time.process_time()\n"
        "import contract.route_for, contract.registry\n"
        "spent = time.process_time() - start; more = set(sys.modules) - before\n"
        "print(len(more), spent * 1000, *sorted(name for name in more if name.split('.')[0] not in sys.stdlib_module_names))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(3)
    ]
    assert all(name.split(".")[0] == "contract" for name in runs[0][2:])
    assert int(runs[0][0]) <= 65
    assert min(float(run[1]) for run in runs) <= 25


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "auth"), (403, "auth"), (408, "timeout"), (504, "timeout"), (400, "client"), (404, "client"), (409, "client"),
     (422, "client"), (429, "client"), (500, "backend"), (502, "backend"), (503, "backend"), (None, "backend"), (200, "unknown"),
     (302, "unknown"), (600, "unknown")],
)  # fmt: skip
def test_the_kind_of_a_status(status: int | None, kind: str) -> None:
    assert kind_for_status(status) == kind
    error = LangGraphError("no", kind=kind_for_status(status), status=status)
    assert (error.kind, error.status, error.retry_safe) == (kind, status, False)

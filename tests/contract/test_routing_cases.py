"""Replays `routing_cases.json`, the cases that any implementation of the routing contract must pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contract.paths import normalise_path
from contract.route_for import WorkerRoute, build_routes, path_decision, route_for

CASES = json.loads((Path(__file__).parent / "routing_cases.json").read_text(encoding="utf-8"))["cases"]


def worker_route(given: dict[str, Any]) -> WorkerRoute:
    return WorkerRoute(**{**given, "assistants": frozenset(given["assistants"])})


def decide(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    if kind == "route":
        core = worker_route(given["core"]) if given["core"] else None
        made = route_for(given["assistant_id"], [worker_route(route) for route in given["routes"]], core=core)
        return {"pool": made.pool, "url": made.url, "secret": made.secret, "matched": made.matched}
    if kind == "build":
        routes = build_routes(given["mapping"])
        return {
            "routes": [
                {"prefix": r.prefix, "url": r.url, "secret": r.secret, "assistants": sorted(r.assistants)}
                for r in routes
            ]
        }
    if kind == "gate":
        auth = {"has_auth": given["has_auth"], "auth_matches": given["auth_matches"]}
        status, code = path_decision(given["method"], given["path"], **auth)
        return {"status": status, "code": code}
    return {"path": normalise_path(given["raw"])}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    assert decide(case["kind"], case["given"]) == case["expect"]


def test_there_are_enough_cases_and_each_has_its_own_name() -> None:
    assert len(CASES) >= 120
    assert len({case["name"] for case in CASES}) == len(CASES)

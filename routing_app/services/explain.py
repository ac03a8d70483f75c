"""Each step by which a request would be decided. Pure; the steps call the contract, they do not repeat it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from contract.paths import normalise_path
from contract.route_for import CORE, WorkerRoute, path_decision, route_for
from routing_app.services.document import worker_routes

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Step:
    """What was asked, and what came out; `ok` is False where the request stops."""

    name: str
    outcome: str
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    steps: tuple[Step, ...]
    status: int
    code: str
    pool: str = ""
    url: str = ""
    matched: bool = False
    reason: str = ""


def explain(content: Mapping[str, Any], *, assistant_id: str, path: str = "/runs/wait") -> Explanation:
    """The whole decision for a caller whose key is good."""
    normal = normalise_path(path)
    if normal is None:
        refused = Step(
            "Normalise the path", "Refused: two readers could disagree about what it names.", ok=False
        )
        return Explanation((refused,), 400, "BAD_PATH", reason="The path cannot be normalised.")
    status, code = path_decision("POST", normal, has_auth=True, auth_matches=True)
    steps = [
        Step("Normalise the path", normal),
        Step("Path gate", f"{status} {code}", ok=status == 200),
    ]
    if status != 200 or code != CORE or not assistant_id:
        return Explanation(tuple(steps), status, code, reason="Decided by the path alone.")
    return _decide(content, assistant_id, steps)


def _decide(content: Mapping[str, Any], name: str, steps: list[Step]) -> Explanation:
    known = _check_known(content, name)
    steps.append(known)
    if not known.ok:
        return Explanation(tuple(steps), 404, "UNKNOWN_ASSISTANT", reason=known.outcome)
    entry = content["graphs"].get(name)
    if entry is not None and not entry["enabled"]:
        steps.append(Step("Enabled", entry["reason"] or "Disabled.", ok=False))
        return Explanation(tuple(steps), 409, "DISABLED", reason=entry["reason"])
    routes = worker_routes(content["routes"])
    core = worker_routes([content["core"]])[0]
    decision = route_for(name, routes, core=core)
    steps += _route_steps(name, routes, decision.pool if decision.matched else "")
    if not decision.matched:
        listed = name in core.assistants
        text = (
            f"CORE lists {name}."
            if listed
            else "The default. CORE does not list it either, so it may not have it."
        )
        steps.append(Step("CORE", text))
    return Explanation(
        tuple(steps), 200, "ROUTED", decision.pool, decision.url, decision.matched, decision.reason
    )


def _route_steps(name: str, routes: tuple[WorkerRoute, ...], winner: str) -> list[Step]:
    steps = []
    for route in routes:
        if name not in route.assistants:
            text = f"Does not list {name}."
        elif not route.url:
            text = f"Lists {name}, but has no URL: skipped."
        else:
            text = (
                f"Lists {name}: chosen." if route.prefix == winner else f"Lists {name} too, but comes later."
            )
        steps.append(Step(f"Route {route.prefix}", text))
    return steps


def _check_known(content: Mapping[str, Any], name: str) -> Step:
    routes = [*content["routes"], content["core"]]
    known = set(content["graphs"]) | {item for route in routes for item in route["assistants"]}
    if name in known:
        return Step("Known id", f"{name} is known.")
    near = get_close_matches(name, known, n=3)
    hint = f" Near: {', '.join(near)}." if near else ""
    return Step("Known id", f"No registry row and no allowlist knows {name}.{hint}", ok=False)

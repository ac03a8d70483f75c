"""The routing document made ready for requests: every decision is taken once per document, not per request."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract.graph_spec import assistant_uuid
from contract.headers import X_POOL, X_ROUTING_DIGEST, X_ROUTING_VERSION
from contract.route_for import build_routes, route_for
from contract.routing_document import RoutingDocument, core_route, to_mapping
from routing_app.dispatcher.errors import Problem
from routing_app.dispatcher.pool import PoolSpec
from routing_app.dispatcher.shapes import InputShape

if TYPE_CHECKING:
    from collections.abc import Mapping

CORE = "CORE"


@dataclass(frozen=True, slots=True)
class Target:
    """Where one assistant's runs go, and what must hold before they do."""

    assistant_id: str
    uuid: str
    pool: str
    enabled: bool = True
    reason: str = ""
    graph_digest: str = ""
    timeout_s: float | None = None
    shape: InputShape | None = None


class RoutingTable:
    """One published document: targets by name and by UUID, pools by slug."""

    def __init__(self, document: RoutingDocument, environ: Mapping[str, str]) -> None:
        self.version = document["version"]
        self.digest = document["digest"]
        self.version_header = str(self.version).encode()
        self.published_at = document["published_at"]
        self.specs = _pool_specs(document, environ)
        #: By pool: what the dispatcher vouches for in every request that goes there.
        self.vouched = {spec.slug: self._vouched_for(spec) for spec in self.specs}
        self.targets = _targets(document, environ)
        self.by_uuid = {target.uuid: target for target in self.targets.values()}
        self._by_any_id = self.targets | self.by_uuid

    def _vouched_for(self, spec: PoolSpec) -> bytes:
        return spec.proof + (
            f"accept-encoding: identity\r\n{X_POOL}: {spec.slug}\r\n"
            f"{X_ROUTING_VERSION}: {self.version}\r\n{X_ROUTING_DIGEST}: {self.digest}"
        ).encode("latin-1")

    def find(self, assistant_id: str) -> Target:
        """The target of a known, enabled assistant (name or UUID); raises Problem 404 or 403."""
        target = self._by_any_id.get(assistant_id)
        if target is None:
            raise self._unknown(assistant_id)
        if not target.enabled:
            reason = target.reason or "no reason given"
            raise Problem(
                403,
                f"assistant '{target.assistant_id}' is disabled: {reason}",
                kind="client",
                code="DISABLED",
            )
        return target

    def _unknown(self, assistant_id: str) -> Problem:
        shown = assistant_id[:120]
        near = difflib.get_close_matches(shown, self.targets, n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        return Problem(
            404,
            f"no assistant '{shown}' is registered{hint}",
            kind="client",
            code="UNKNOWN_ASSISTANT",
            facts={"near_misses": near},
        )


def _targets(document: RoutingDocument, environ: Mapping[str, str]) -> dict[str, Target]:
    routes = build_routes(to_mapping(document, environ))
    core = core_route(document, environ)
    graphs: Mapping[str, Any] = document["graphs"]
    known = set(graphs).union(*(route["assistants"] for route in document["routes"]))
    known.update(document["core"]["assistants"])
    targets = {}
    for assistant_id in known:
        decision = route_for(assistant_id, routes, core=core)
        facts: Mapping[str, Any] = graphs.get(assistant_id, {})
        schema = facts.get("input_schema")
        targets[assistant_id] = Target(
            assistant_id=assistant_id,
            uuid=assistant_uuid(assistant_id),
            pool=decision.pool,
            enabled=facts.get("enabled", True),
            reason=facts.get("reason") or "",
            graph_digest=facts.get("graph_digest") or "",
            timeout_s=facts.get("timeout_s"),
            shape=InputShape(schema) if schema else None,
        )
    return targets


def _pool_specs(document: RoutingDocument, environ: Mapping[str, str]) -> list[PoolSpec]:
    specs = []
    for route in [document["core"], *document["routes"]]:
        limits: Mapping[str, Any] = route["limits"]
        specs.append(
            PoolSpec(
                slug=route["prefix"],
                urls=tuple(route["urls"] or ([route["url"]] if route["url"] else [])),
                secret=environ.get(route["secret_env"], "") if route["secret_env"] else "",
                concurrency=limits["concurrency"],
                queue=limits["queue"],
                connect_timeout_s=limits["connect_timeout_s"],
                idle_timeout_s=limits["idle_timeout_s"],
                total_timeout_s=limits["total_timeout_s"],
            )
        )
    return specs

"""What the platform says of itself: a few reads of its API, as tools a model may choose between.

Answers are cut down to what a question about the fleet needs: no payload, no input and no secret comes back.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fleet.kit.http import Source, SourceError, connect
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_ITEMS = 40


@dataclass(frozen=True, slots=True)
class Tool:
    """One read. `{argument}` in the path is filled with the quoted argument."""

    path: str
    #: What it answers, and what its argument is; shown to the model.
    about: str
    cut: Callable[[Any], Any]
    #: What an argument looks like; None when it takes none.
    argument: re.Pattern[str] | None = None


def source(env: Mapping[str, str] = os.environ) -> Source:
    """`PLATFORM_URL` and `PLATFORM_API_KEY`, as every call of the fleet to the platform. Raises SourceError without them."""
    base_url, key = env.get("PLATFORM_URL", "").rstrip("/"), env.get("PLATFORM_API_KEY", "")
    if not base_url or not key:
        raise SourceError(
            "the platform", f"needs {'PLATFORM_API_KEY' if base_url else 'PLATFORM_URL'}, which is not set"
        )
    return Source("the platform", base_url, {"x-api-key": key}, concurrency=2, total_timeout_s=8.0, attempts=2)  # fmt: skip


def refusal(name: str, argument: str) -> str:
    """What is wrong with a call a model asks for; "" when it can be made."""
    tool = TOOLS.get(name)
    if tool is None:
        return f"there is no tool {name[:40]!r}; there are {', '.join(TOOLS)}"
    if tool.argument is None:
        return f"{name} takes no argument" if argument else ""
    return (
        "" if tool.argument.fullmatch(argument) else f"{name} does not take {argument[:60]!r}: {tool.about}"
    )


async def read(name: str, argument: str = "") -> Any:
    """The cut answer of a tool. Raises SourceError; a thing that does not exist is an answer, not a failure."""
    tool = TOOLS[name]
    path = tool.path.format(argument=quote(argument, safe=""))
    async with connect(source()) as platform:
        try:
            return tool.cut(await platform.get_json(path))
        except SourceError as failure:
            if failure.status == 404:
                return {"found": False, "asked": argument}
            raise


def _items(*fields: str) -> Callable[[Any], Any]:
    def cut(answer: Any) -> Any:
        items = answer if isinstance(answer, list) else section(answer).get("items")
        rows = [section(item) for item in items] if isinstance(items, list) else []
        kept = [
            {field: _short(row[field]) for field in fields if row.get(field) not in (None, "", [])}
            for row in rows
        ]
        return {"items": kept[:MOST_ITEMS], "count": len(rows)}

    return cut


def _short(value: Any) -> Any:
    """Forty descriptions of a paragraph each would crowd out the rest."""
    return clean(value, 200) if isinstance(value, str) else value


def _fleet(answer: Any) -> Any:
    pools = [
        {
            **{key: pool.get(key) for key in ("slug", "state", "assistants", "active", "queued", "limit")},
            "replicas": len(pool.get("replicas") or []),
        }
        for pool in section(answer).get("pools") or []
    ]
    dispatcher = section(section(answer).get("dispatcher"))
    return {
        "dispatcher_answers": dispatcher.get("answers"),
        "database": dispatcher.get("database"),
        "routing_version": dispatcher.get("routing_version"),
        "published_version": section(answer).get("published_version"),
        "pools": pools,
    }


def _route(answer: Any) -> Any:
    return {key: section(answer).get(key) for key in ("assistant_id", "pool", "status", "code", "reason", "version", "matched")}  # fmt: skip


def _tree(answer: Any) -> Any:
    tree = section(answer)
    kept = ("name", "kind", "status", "pool", "assistant_id", "start", "end", "tokens")
    nodes = [{key: node.get(key) for key in kept} for node in map(section, tree.get("nodes") or [])]
    return {"state": tree.get("state"), "missing": tree.get("missing"), "nodes": nodes[:MOST_ITEMS], "count": len(nodes)}  # fmt: skip


def _ledger(answer: Any) -> Any:
    promises = [section(one) for one in section(answer).get("invariants") or []]
    return {"promises": [{key: one.get(key) for key in ("name", "ok", "count")} for one in promises]}


_GRAPH = re.compile(r"[a-z][a-z0-9_]{0,99}")
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_FILTER = re.compile(r"[\w:.,<>=\" -]{0,200}")
TOOLS: dict[str, Tool] = {
    "fleet": Tool("/api/fleet", "state, load and number of graphs of each pool; dispatcher; database", _fleet),
    "graphs": Tool("/api/registry/graphs", "every graph: pool, enabled, description", _items("assistant_id", "pool", "enabled", "resumable", "description", "disabled_reason")),
    "route": Tool("/api/routing/explain?assistant_id={argument}", "which pool a graph goes to and why; argument: its id", _route, _GRAPH),
    "drift": Tool("/api/routing/drift", "where code, records, draft, live routing and pools disagree", _items("kind", "subject", "message", "remedy")),
    "traces": Tool("/api/traces?limit=40&q={argument}", "newest actions; argument: filter such as status:error or graph:email_compose, or empty", _items("id", "name", "assistant_id", "pools", "status", "start", "end", "runs", "errors", "tokens", "cost"), _FILTER),
    "trace": Tool("/api/traces/{argument}/tree", "the steps of one action; argument: its id", _tree, _ID),
    "findings": Tool("/api/diagnostics/findings", "what is wrong in traces and where", _items("code", "title", "severity", "hop", "assistant_id", "effect", "remedy", "count", "last_seen")),
    "campaigns": Tool("/api/campaigns", "every campaign with its status", _items("slug", "name", "status", "created_at")),
    "ledger": Tool("/api/campaigns/ledger", "whether the campaign engine keeps its promises", _ledger),
    "feedback": Tool("/api/feedback/scores", "mean feedback by group and key", _items("group", "key", "source", "mean", "count")),
}  # fmt: skip


def described() -> dict[str, str]:
    """The tools as a model is told of them."""
    return {name: clean(tool.about) for name, tool in TOOLS.items()}

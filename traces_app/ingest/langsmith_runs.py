"""Runs as LangSmith's API asks for them and shows them: the classic form and v2."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

from traces_app.ingest import langsmith_filter
from traces_app.ingest.http import RefusedError
from traces_app.store import reader
from traces_app.store.writer import project_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from traces_app.rows import RunPayload, RunRow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_LIMIT = 100
_OPEN_MINUTES = 60
_ALWAYS = ("id", "name", "run_type", "trace_id", "start_time", "session_id")
_STATUS = {"ok": "success", "error": "error", "running": "pending"}
#: Runs that are looked at in one go: a page holds whole traces up to this, and a trace with more in pieces.
BITE = 2_000
#: Runs of one trace that are looked at as a whole for what its root or its tree must be.
WHOLE = 20_000
#: How long one request looks for runs that fit.
_LOOK_S = 5.0
# Order and cursor are (first seen, trace id), so pages do not shift while runs arrive.
_TRACES = """
SELECT trace_id::text, seen_at, runs FROM traces_app_tracehead
WHERE project = ANY(%(projects)s) AND (%(seen_at)s::timestamptz IS NULL OR (seen_at, trace_id) < (%(seen_at)s, %(after)s))
ORDER BY seen_at DESC, trace_id DESC LIMIT %(limit)s
"""
_BEFORE_ALL = str(UUID(int=0))
_TRACE = "SELECT trace_id::text, seen_at, runs FROM traces_app_tracehead WHERE trace_id = %s"
#: By the chunk a run began in: what lies together is unpacked once.
_RUNS_OF = """
SELECT min(chunk_id), run_id::text FROM traces_app_runpart WHERE trace_id = %(trace)s GROUP BY run_id
HAVING (min(chunk_id), run_id) > (%(chunk)s, %(run)s) AND (NOT %(roots)s OR bool_and(parent_id IS NULL))
ORDER BY 1, run_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page ended: behind a trace, or inside one behind a run."""

    seen_at: str
    trace_id: str
    chunk_id: int = -(2**63)
    run_id: str = ""

    def __str__(self) -> str:
        inside = f"|{self.chunk_id}|{self.run_id}" if self.run_id else ""
        return f"{self.seen_at}|{self.trace_id}{inside}"


_MARK = re.compile(r"([^|]+)\|([0-9a-f-]{36})(?:\|(-?[0-9]{1,19})\|([0-9a-f-]{36}))?")


class Wanted:
    """The filters of a query body, in the names of either API. Raises `RefusedError` 422."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.ids = _ids(body, "id") or _ids(body, "ids")
        self.trace = next(iter(_ids(body, "trace") or _ids(body, "trace_id")), None)
        self.sessions = _ids(body, "session") or _ids(body, "project_ids")
        self.parent = next(iter(_ids(body, "parent_run")), None)
        self.is_root = body.get("is_root")
        self.run_type = _text(body, "run_type").lower()
        self.error = body.get("error", body.get("has_error"))
        self.since = _time(body, "start_time") or _time(body, "min_start_time")
        self.until = _time(body, "end_time") or _time(body, "max_start_time")
        self.select = _texts(body, "select") or _texts(body, "selects")
        self.limit = _limit(body)
        self.after = _cursor(_text(body, "cursor"))
        self.filter, self.of_root, self.of_tree = (
            langsmith_filter.parse(text) if (text := _text(body, name)) else None
            for name in ("filter", "trace_filter", "tree_filter")
        )

    def load(self, cur: Any, project: str) -> tuple[list[tuple[RunRow, RunPayload]], str | None]:
        """Return the runs that fit, newest first, and the cursor of the next page. `project` "" reads all.

        A page on which nothing fits ends what an SDK reads, so one goes on to the next, for as long as may be waited.
        """
        until = time.monotonic() + _LOOK_S
        rows: list[RunRow] = []
        while not rows:
            found, mark = self._bite(cur, project)
            allowed = self._traces(cur, found)
            rows = [
                r for r in found if self._fits(r) and r.trace_id in allowed and project in {"", r.project}
            ]
            self.after = mark
            if mark is None or time.monotonic() > until:
                break
        if not (mark or self.ids or self.trace):
            rows = rows[: self.limit]
        whole = reader.load_whole(cur, [r.run_id for r in rows])
        payloads = {(r.trace_id, r.run_id): payload for r, payload in whole}
        rows.sort(key=lambda r: r.start or EPOCH, reverse=True)
        return [(r, payloads[r.trace_id, r.run_id]) for r in rows], str(mark) if mark else None

    def _bite(self, cur: Any, project: str) -> tuple[list[RunRow], Mark | None]:
        """Return the next runs to look at and where they end; None behind the last."""
        if self.ids:
            return reader.load_runs_by_id(cur, self.ids), None
        if self.after is not None and self.after.run_id:
            return self._inside(cur, self.after)
        heads = self._heads(cur, project)
        taken: list[Any] = []
        runs = 0
        for head in heads:
            runs += head[2]
            if taken and runs > BITE:
                break
            taken.append(head)
        if not taken:
            return [], None
        trace_id, seen_at, size = taken[-1]
        if size > (BITE if self.of_root is None and self.of_tree is None else WHOLE):
            return self._inside(cur, Mark(seen_at.isoformat(), trace_id, run_id=_BEFORE_ALL))
        more = len(taken) < len(heads) or len(heads) == self.limit
        end = Mark(seen_at.isoformat(), trace_id) if more and not self.trace else None
        return reader.load_runs(cur, [head[0] for head in taken]), end

    def _heads(self, cur: Any, project: str) -> list[Any]:
        """Return the next traces: id, first seen, how many runs."""
        after = self.after
        if self.trace:
            cur.execute(_TRACE, (self.trace,))
            return [] if after else list(cur.fetchall())
        cur.execute("SELECT name FROM traces_app_project WHERE id = ANY(%s::uuid[])", (self.sessions,))
        mine = [name for (name,) in cur.fetchall() if project in {"", name}]
        given = {"projects": mine, "limit": self.limit}
        given |= {"seen_at": after and after.seen_at, "after": after and after.trace_id}
        cur.execute(_TRACES, given)
        return list(cur.fetchall())

    def _inside(self, cur: Any, after: Mark) -> tuple[list[RunRow], Mark | None]:
        """Return some runs of a trace that is too long for one page, by their ids."""
        if self.of_root is not None or self.of_tree is not None:
            raise RefusedError(
                422,
                f"trace_filter, tree_filter: trace {after.trace_id} has more than {WHOLE} runs to look through",
            )
        given = {"trace": after.trace_id, "chunk": after.chunk_id, "run": after.run_id}
        cur.execute(_RUNS_OF, {**given, "roots": self.is_root is True, "limit": BITE})
        found = cur.fetchall()
        rows = [r for r in reader.load_runs_by_id(cur, [f[1] for f in found]) if r.trace_id == after.trace_id]
        if len(found) == BITE:
            return rows, replace(after, chunk_id=found[-1][0], run_id=found[-1][1])
        return rows, None if self.trace else Mark(after.seen_at, after.trace_id)

    def _traces(self, cur: Any, rows: list[RunRow]) -> set[str]:
        """Return the traces whose root fits `trace_filter` and one of whose runs fits `tree_filter`."""
        traces = {r.trace_id for r in rows}
        if self.of_root is None and self.of_tree is None:
            return traces
        whole = reader.load_runs(cur, traces) if self.ids else rows
        if self.of_root is not None:
            traces &= {r.trace_id for r in whole if r.parent_run_id is None and self.of_root(r)}
        if self.of_tree is not None:
            traces &= {r.trace_id for r in whole if self.of_tree(r)}
        return traces

    def _fits(self, run: RunRow) -> bool:
        start = run.start or EPOCH
        return (
            (self.is_root is not True or run.parent_run_id is None)
            and (self.is_root is not False or run.parent_run_id is not None)
            and (not self.run_type or run.run_type == self.run_type)
            and (self.error is None or (run.status == "error") == bool(self.error))
            and (self.parent is None or run.parent_run_id == self.parent)
            and (not self.trace or run.trace_id == self.trace)
            and (self.since is None or start >= self.since)
            and (self.until is None or start <= self.until)
            and (self.filter is None or self.filter(run))
        )


def attachment_text(run_id: str, name: str, until: str) -> str:
    """Return what a key signs to open an attachment for a while; `until` is a minute since 1970."""
    return f"attachment\n{run_id}\n{name}\n{until}"


def _attachments(run: RunRow, key: Any) -> dict[str, str]:
    """The addresses of a run's attachments, which SDKs open without the key that asked for them."""
    until = str(int(time.time()) // 60 + _OPEN_MINUTES)
    addresses = {}
    for name in run.attachments:
        addresses[name] = f"/runs/{run.run_id}/attachments/{quote(name, safe='')}"
        if key is not None:
            addresses[name] += f"?until={until}&mark={key.sign(attachment_text(run.run_id, name, until))}"
    return addresses


def run_json(run: RunRow, payload: RunPayload, key: Any, select: Iterable[str] = ()) -> dict[str, Any]:
    """Return the run as LangSmith's API shows it to a key; of `select` only those fields, and what SDKs cannot do without."""
    shown = {
        "id": run.run_id,
        "trace_id": run.trace_id,
        "parent_run_id": run.parent_run_id,
        "dotted_order": payload.dotted_order or "",
        "name": run.name,
        "run_type": run.run_type,
        "start_time": run.start or EPOCH,
        "end_time": run.end,
        "status": _STATUS[run.status],
        "error": run.error,
        "session_id": project_id(run.project),
        "session_name": run.project,
        "inputs": payload.inputs or {},
        "outputs": payload.outputs,
        "events": payload.events or [],
        "extra": payload.extra or {},
        "serialized": payload.serialized,
        "tags": list(run.tags),
        "prompt_tokens": run.prompt_tokens,
        "completion_tokens": run.completion_tokens,
        "total_tokens": run.total_tokens,
        "total_cost": run.cost,
        "first_token_time": run.first_token,
        "child_run_ids": None,
        "parent_run_ids": [],
        "app_path": f"/traces/{run.trace_id}",
        "s3_urls": {f"attachment.{n}": {"presigned_url": at} for n, at in _attachments(run, key).items()},
    }
    wanted = {*select, *_ALWAYS} if select else shown.keys()
    return {name: value for name, value in shown.items() if name in wanted}


def run_json_v2(
    run: RunRow, payload: RunPayload, key: Any, select: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return the run as the v2 API shows it; `select` holds upper-case names of fields, none means all."""
    latency = (run.end - run.start).total_seconds() if run.start and run.end else None
    classic = run_json(run, payload, key)
    shown = {
        **{name: classic[name] for name in _SAME},
        "run_type": run.run_type.upper(),
        "status": _STATUS[run.status].upper(),
        "project_id": classic["session_id"],
        "is_root": run.parent_run_id is None,
        "latency_seconds": latency,
        "metadata": dict(run.metadata),
        "manifest": payload.serialized,
        "thread_id": run.thread_id,
        "total_cost": None if run.cost is None else float(run.cost),
        "attachments": _attachments(run, key),
        "error_preview": (run.error or "")[:200] or None,
        "inputs_preview": str(payload.inputs)[:200] if payload.inputs else None,
        "outputs_preview": str(payload.outputs)[:200] if payload.outputs else None,
    }
    wanted = {"id", *(name.lower() for name in select)} if select else shown.keys()
    return {name: value for name, value in shown.items() if name in wanted}


_SAME = (
    "id", "trace_id", "name", "start_time", "end_time", "error", "extra", "events", "inputs", "outputs", "tags",
    "parent_run_ids", "dotted_order", "prompt_tokens", "completion_tokens", "total_tokens", "first_token_time",
    "app_path",
)  # fmt: skip


def _ids(body: dict[str, Any], name: str) -> list[str]:
    value = body.get(name)
    values = value if isinstance(value, list) else [] if value is None else [value]
    for one in values:
        if not isinstance(one, str) or not reader.valid_uuid(one):
            raise RefusedError(422, f"{name}: must be a UUID")
    return [str(one).lower() for one in values]


def _texts(body: dict[str, Any], name: str) -> list[str]:
    values = body.get(name) or []
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise RefusedError(422, f"{name}: must be a list of texts")
    return values


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name) or ""
    if not isinstance(value, str):
        raise RefusedError(422, f"{name}: must be a text")
    return value


def _limit(body: dict[str, Any]) -> int:
    limit = body.get("limit") or body.get("page_size") or MAX_LIMIT
    if not isinstance(limit, int) or limit < 1:
        raise RefusedError(422, "limit: must be a whole number from 1")
    return min(limit, MAX_LIMIT)


def _time(body: dict[str, Any], name: str) -> datetime | None:
    text = _text(body, name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError(422, f"{name}: {text[:40]!r} is not a time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _cursor(text: str) -> Mark | None:
    if not text:
        return None
    found = _MARK.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        seen_at, trace_id, chunk_id, run_id = found.groups(default="")
        datetime.fromisoformat(seen_at)
        UUID(trace_id), UUID(run_id or trace_id)
    except ValueError:
        raise RefusedError(422, "cursor: not one of ours") from None
    return Mark(seen_at, trace_id, int(chunk_id or 0), run_id)

"""Ask each replica of a pool what it has loaded, and keep the answer; and which calls it turned away."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx

from registry_app.services import record_pool_report
from routing_app.models import Pool

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

TIMEOUT_S = 3.0
DISPATCHER_S = 2.0
MAX_ANSWER = 2_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What one replica said; `error` is empty when it answered as a pool of ours does."""

    pool: str
    url: str
    graphs: dict[str, str] = field(default_factory=dict)
    error: str = ""


def probe_pools(slugs: Iterable[str] | None = None) -> list[Answer]:
    """Ask every replica of the pools (all enabled ones for None) at once, and record what each said."""
    pools = Pool.objects.filter(enabled=True) if slugs is None else Pool.objects.filter(pk__in=list(slugs))
    targets = _targets(pools)
    if not targets:
        return []
    with ThreadPoolExecutor(max_workers=min(8, len(targets))) as threads:
        answers = list(threads.map(lambda target: ask(*target), targets))
    for answer in answers:
        record_pool_report(pool=answer.pool, url=answer.url, graphs=answer.graphs, error=answer.error)
    return answers


def ask(pool: str, url: str, secret: str) -> Answer:
    """What one replica has loaded; never raises."""
    said = _get(url, secret, "/_ml/graphs")
    if isinstance(said, str):
        return Answer(pool, url, error=said)
    try:
        return Answer(pool, url, graphs=_graphs(said))
    except (KeyError, TypeError):
        return Answer(pool, url, error="is no pool of ours: its answer has another shape")


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call without the pool's secret that a worker turned away. `trace_id`: of the caller's headers, if any."""

    id: str
    pool: str
    replica: str
    at: datetime
    method: str
    path: str
    peer: str
    caller: str
    trace_id: str


def refused_calls() -> list[RefusedCall]:
    """The newest calls that the workers turned away at their doors; those of other servers are not known."""
    targets = _targets(Pool.objects.filter(enabled=True))
    with ThreadPoolExecutor(max_workers=8) as threads:
        told = threads.map(lambda target: (target, _get(target[1], target[2], "/_ml/health")), targets)
    return [call for (pool, url, _), said in told for call in _refused(pool, url, said)]


def _refused(pool: str, url: str, said: Any) -> Iterator[RefusedCall]:
    try:
        for row in said["refused_calls"]["newest"]:
            texts = {name: str(row[name])[:200] for name in ("method", "path", "peer", "caller")}
            trace_id = str(UUID(row["trace_id"])) if row["trace_id"] else ""
            at = datetime.fromisoformat(row["at"])
            yield RefusedCall(str(UUID(row["id"])), pool, url, at, trace_id=trace_id, **texts)
    except (KeyError, TypeError, ValueError):
        return


@cache
def _tls() -> ssl.SSLContext:
    """One for all questions: making it reads every certificate. Nothing else is kept from one replica to the next."""
    return httpx.create_ssl_context(trust_env=False)


def _targets(pools: Iterable[Pool]) -> list[tuple[str, str, str]]:
    """Slug, address and secret of every replica."""
    return [
        (pool.slug, url.rstrip("/"), os.environ.get(pool.secret_env, ""))
        for pool in pools
        for url in pool.base_urls
    ]


def _get(url: str, secret: str, path: str) -> Any:
    """The JSON that a replica answers, or in words why there is none."""
    headers = {"authorization": f"Bearer {secret}", "x-api-key": secret} if secret else {}
    try:
        response = httpx.get(url + path, headers=headers, timeout=TIMEOUT_S, trust_env=False, verify=_tls())
        if response.status_code != 200:
            return f"answered {response.status_code}"
        if len(response.content) > MAX_ANSWER:
            return "answered more than 2 MB"
        return response.json()
    except httpx.TimeoutException:
        return f"no answer in {TIMEOUT_S:.0f} s"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return str(error)[:200] or type(error).__name__
    except ValueError:
        return "is no pool of ours: its answer has another shape"


def dispatcher_state(url: str) -> dict[str, Any] | str:
    """What the dispatcher at `url` says of itself at `/ok`, or why it is not known; never raises."""
    try:
        response = httpx.get(f"{url}/ok", timeout=DISPATCHER_S, trust_env=False, verify=_tls())
        facts = response.json()
    except httpx.TimeoutException:
        return f"The dispatcher gave no answer in {DISPATCHER_S:.0f} s."
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return "The dispatcher cannot be reached."
    return facts if isinstance(facts, dict) and "pools" in facts else "No dispatcher answers at /ok."


def _graphs(answer: Any) -> dict[str, str]:
    """assistant_id → attested digest, "" where the pool says that it cannot run the graph."""
    return {
        str(row["assistant_id"])[:100]: str(row["graph_digest"])[:64] if row.get("ok", True) else ""
        for row in answer["graphs"]
    }

"""Ask each replica of a pool what it has loaded, and keep the answer."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from registry_app.services import record_pool_report
from routing_app.models import Pool

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    targets = [
        (pool.slug, url.rstrip("/"), os.environ.get(pool.secret_env, ""))
        for pool in pools
        for url in pool.base_urls
    ]
    if not targets:
        return []
    with ThreadPoolExecutor(max_workers=min(8, len(targets))) as threads:
        answers = list(threads.map(lambda target: ask(*target), targets))
    for answer in answers:
        record_pool_report(pool=answer.pool, url=answer.url, graphs=answer.graphs, error=answer.error)
    return answers


def ask(pool: str, url: str, secret: str) -> Answer:
    """One replica's answer; never raises."""
    headers = {"authorization": f"Bearer {secret}", "x-api-key": secret} if secret else {}
    try:
        response = httpx.get(
            f"{url}/_ml/graphs", headers=headers, timeout=TIMEOUT_S, follow_redirects=False, trust_env=False
        )
        if response.status_code != 200:
            return Answer(pool, url, error=f"answered {response.status_code}")
        if len(response.content) > MAX_ANSWER:
            return Answer(pool, url, error="answered more than 2 MB")
        return Answer(pool, url, graphs=_graphs(response.json()))
    except httpx.TimeoutException:
        return Answer(pool, url, error=f"no answer in {TIMEOUT_S:.0f} s")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(pool, url, error=str(error)[:200] or type(error).__name__)
    except (ValueError, KeyError, TypeError):
        return Answer(pool, url, error="is no pool of ours: its answer has another shape")


def dispatcher_state(url: str) -> dict[str, Any] | str:
    """What the dispatcher at `url` says of itself at `/ok`, or why it is not known; never raises."""
    try:
        response = httpx.get(f"{url}/ok", timeout=DISPATCHER_S, follow_redirects=False, trust_env=False)
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

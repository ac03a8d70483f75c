"""How many queries each page costs, held to tests/query_counts.json. `UPDATE_QUERY_COUNTS=1` writes it anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.browser.stored import store
from tests.traces.follow_up import conversation_payload, follow_up
from tests.traces.scenes import uid

if TYPE_CHECKING:
    from django.contrib.auth.models import User

BASELINE = Path(__file__).parent.parent / "query_counts.json"
TRACE = uid("web-app")
DRAFT = f"/traces/{TRACE}/runs/{uid('draft llm')}"
PANEL = {"HX-Request": "true", "HX-Target": "traces-panel"}
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "home": ("/", {}),
    "list": ("/traces/", {}),
    "list, filtered": ("/traces/?q=pool:EMAIL+-has:finding", {}),
    "strips": ("/traces/strips", {}),
    "trace": (f"/traces/{TRACE}/", {}),
    "trace, one panel": (f"{DRAFT}?tab=input", PANEL),
    "diagnostics": ("/diagnostics/", {}),
    "how to fix": ("/diagnostics/how-to/two-traces", {}),
    "graphs": ("/registry/", {}),
    "routing": ("/routing/", {}),
    "campaigns": ("/campaigns/", {}),
    "ledger": ("/campaigns/ledger/", {}),
    "feedback": ("/feedback/", {}),
    "fleet": ("/fleet/", {}),
}


def test_no_page_costs_more_queries_than_before(database_url: str, admin_user: User) -> None:
    runs, hops = follow_up()
    store(database_url, runs, hops, {uid("draft llm"): conversation_payload()})
    client = Client()
    client.force_login(admin_user)
    counted = {}
    for name, (path, headers) in PAGES.items():
        client.get(path, headers=headers)  # what is kept between requests is kept now
        cache.clear()
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path, headers=headers).status_code == 200, name
        counted[name] = len(queries)
    if os.environ.get("UPDATE_QUERY_COUNTS"):
        BASELINE.write_text(json.dumps(counted, indent=2) + "\n")
    known = json.loads(BASELINE.read_text())
    grown = {name: (known.get(name), count) for name, count in counted.items() if count > known.get(name, -1)}
    assert not grown, f"(before, now): {grown}; UPDATE_QUERY_COUNTS=1 accepts it"

"""The feedback page: what was said of runs lately, and how sure one can be of the averages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from feedback_app import selectors
from feedback_app.models import Feedback, FeedbackKey
from platform_site.lib.access import needs

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

PAGE_SIZE = 50
WORDS = {"assistant_id": "graph", "prompt_version": "prompt version", "routing_version": "routing version"}
DIMENSIONS: tuple[selectors.Dimension, ...] = get_args(selectors.Dimension)


@login_required
@needs("feedback_app.view_feedback")
@require_GET
def feedback_list(request: HttpRequest) -> HttpResponse:
    """Newest first with a keyset pager; filters and the roll-up's dimension are in the address."""
    wanted = {name: request.GET.get(name, "").strip()[:255] for name in ("key", "source", "by")}
    if grouped := "group" in request.GET:
        wanted["group"] = request.GET["group"][:255]
    by = next((each for each in DIMENSIONS if each == wanted["by"]), DIMENSIONS[0])
    before = parse_before(request.GET.get("before", ""))
    rows = selectors.list_feedback(
        key=wanted["key"],
        source=wanted["source"],
        group=(by, wanted["group"]) if grouped else None,
        before=before,
        limit=PAGE_SIZE + 1,
    )
    rollup = selectors.score_rollup(by=by, key=wanted["key"])
    known = {*FeedbackKey.objects.values_list("key", flat=True), *(row.key for row in rollup), wanted["key"]}
    page: dict[str, Any] = {
        "rows": rows[:PAGE_SIZE],
        "rollup": [(row, behind(row, by)) for row in rollup],
        "wanted": wanted,
        "grouped": grouped,
        "by": by,
        "by_word": WORDS.get(by, by),
        "dimensions": [(each, WORDS.get(each, each)) for each in DIMENSIONS],
        "sources": Feedback.Source.values,
        "keys": sorted(filter(None, known)),
        "newest": f"?{query(wanted)}" if before else "",
        "older": f"?{query(wanted, before=rows[PAGE_SIZE - 1].created_at)}" if len(rows) > PAGE_SIZE else "",
    }
    return render(request, "feedback/list.html", page)


def behind(row: selectors.ScoreRow, by: selectors.Dimension) -> str:
    """The address of the feedback that a mean is of."""
    return "?" + urlencode({"key": row.key, "source": row.source, "by": by, "group": row.group})


def parse_before(raw: str) -> datetime | None:
    """The pager's mark; anything that is no time starts at the newest."""
    try:
        at = datetime.fromisoformat(raw)
    except ValueError:
        return None
    return at if at.tzinfo else timezone.make_aware(at)


def query(wanted: dict[str, str], *, before: datetime | None = None) -> str:
    kept = {name: value for name, value in wanted.items() if value or name == "group"}
    return urlencode(kept | ({"before": before.isoformat()} if before else {}))

"""The feedback page: what was said of runs lately, and how sure one can be of the averages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required, permission_required
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from feedback_app import selectors
from feedback_app.models import Feedback, FeedbackKey

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

PAGE_SIZE = 50
DIMENSIONS: tuple[selectors.Dimension, ...] = get_args(selectors.Dimension)


@login_required
@permission_required("feedback_app.view_feedback", raise_exception=True)
@require_GET
def feedback_list(request: HttpRequest) -> HttpResponse:
    """Newest first with a keyset pager; filters and the roll-up's dimension are in the address."""
    wanted = {name: request.GET.get(name, "").strip()[:180] for name in ("key", "source", "by")}
    by = next((each for each in DIMENSIONS if each == wanted["by"]), DIMENSIONS[0])
    before = parse_before(request.GET.get("before", ""))
    rows = selectors.list_feedback(
        key=wanted["key"], source=wanted["source"], before=before, limit=PAGE_SIZE + 1
    )
    page: dict[str, Any] = {
        "rows": rows[:PAGE_SIZE],
        "rollup": selectors.score_rollup(by=by, key=wanted["key"]),
        "wanted": wanted,
        "by": by,
        "dimensions": DIMENSIONS,
        "sources": Feedback.Source.values,
        "keys": FeedbackKey.objects.all(),
        "newest": f"?{query(wanted)}" if before else "",
        "older": f"?{query(wanted, before=rows[PAGE_SIZE - 1].created_at)}" if len(rows) > PAGE_SIZE else "",
    }
    return render(request, "feedback/list.html", page)


def parse_before(raw: str) -> datetime | None:
    """The pager's mark; anything that is no time starts at the newest."""
    try:
        at = datetime.fromisoformat(raw)
    except ValueError:
        return None
    return at if at.tzinfo else timezone.make_aware(at)


def query(wanted: dict[str, str], *, before: datetime | None = None) -> str:
    kept = {name: value for name, value in wanted.items() if value}
    return urlencode(kept | ({"before": before.isoformat()} if before else {}))

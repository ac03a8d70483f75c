"""The list of actions, its strips, what is newer than it, and help with its filter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.html import escape
from django.views.decorators.http import require_safe

from feedback_app.selectors import score_rollup
from platform_site.lib.htmx import render_page, wants_fragment
from platform_site.lib.show import shown_cost, shown_duration
from traces_app import listing, selectors
from traces_app.charts import strips
from traces_app.charts.lists import duration_bar
from traces_app.filters import FilterError
from traces_app.pages import suggest
from traces_app.stitch import STALL_AFTER
from traces_app.views import asked_number, may_read

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    from feedback_app.selectors import ScoreRow

MAX_FILTER = 2_000
#: Rows of a page; `?limit=` asks for fewer or more.
ROWS = 50
SCORES_SINCE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the list with its drawn duration; what has been quiet for long is called stalled, as in its tree."""

    row: selectors.ActionRow
    status: str
    bar: SafeString


def line_of(row: selectors.ActionRow, now: datetime) -> Line:
    quiet = row.status == "running" and now - row.heard_at > STALL_AFTER
    status = "stalled" if quiet else row.status
    return Line(row, status, duration_bar(row.seconds, status))


@login_required
@may_read
@require_safe
def action_list(request: HttpRequest) -> HttpResponse:
    """Actions, newest first, cut by the filter; everything that shapes it is in the address."""
    query = request.GET.get("q", "").strip()[:MAX_FILTER]
    added = request.GET.get("add", "").strip()[:MAX_FILTER]
    live = request.GET.get("live", "") != "off"
    if added:
        return HttpResponseRedirect(list_href(f"{query} {added}".strip(), live))
    cursor = request.GET.get("cursor", "")[:200]
    page, error = None, None
    try:
        page = selectors.list_actions(q=query, cursor=cursor, limit=asked_number(request, "limit") or ROWS)
    except ValueError as failure:
        error = str(failure)
    top = page.rows[0] if page and page.rows and not cursor else None
    context = {
        "q": query,
        "chips": suggest.chips(query, live),
        "page": page,
        "lines": [line_of(row, timezone.now()) for row in page.rows] if page else [],
        "error": error,
        "first_page": not cursor,
        "fields": suggest.FIELDS_SHOWN,
        "live": live,
        "live_href": list_href(query, not live),
        "list_query": urlencode({"q": query}) if query else "",
        "newest_href": list_href(query, live),
        "older_href": "/traces/?" + urlencode({"q": query, "cursor": page.next_cursor})
        if page and page.next_cursor
        else "",
        "newer_href": "/traces/newer?" + urlencode({"q": query, "cursor": top.cursor})
        if top and live
        else "",
        "strips_href": "/traces/strips?" + urlencode({"q": query}),
    }
    return render_page(request, "traces/list.html", context, partial="rows", status=422 if error else 200)


def list_href(query: str, live: bool = True) -> str:
    pairs = [(name, value) for name, value in (("q", query), ("live", "" if live else "off")) if value]
    return "/traces/" + ("?" + urlencode(pairs) if pairs else "")


@login_required
@may_read
@require_safe
def strip_page(request: HttpRequest) -> HttpResponse:
    """Volume and latency under the list's filter, drawn and as a table."""
    query = request.GET.get("q", "").strip()[:MAX_FILTER]
    try:
        found = listing.strip(query)
    except FilterError as failure:
        context: dict[str, Any] = {"error": str(failure), "q": query}
        return render_page(request, "traces/strips.html", context, partial="drawn", status=422)
    context = drawn(found, query)
    if request.GET.get("cost"):
        context |= {
            "cost": strips.volume(
                [(float(one.cost), 0) for one in found.columns],
                [escape(href) for _, href in context["rows"][::-1]],
                f"Cost over 24 hours: {shown_cost(found.cost)}",
            ),
            "scores": _scores(query),
        }
    return render_page(request, "traces/strips.html", context, partial="drawn")


def drawn(found: listing.Strip, query: str) -> dict[str, Any]:
    """The strips' drawings and figures; each column leads to its rows under the filter."""
    middle, slow, slowest = (shown_duration(seconds) for seconds in found.quantiles)
    hrefs = [list_href(suggest.within(query, one.start, found.width)) for one in found.columns]
    links = [escape(href) for href in hrefs]
    return {
        "q": query,
        "strip": found,
        "rows": [*zip(found.columns, hrefs, strict=True)][::-1],
        "share": found.failed / found.actions if found.actions else None,
        "quantiles": (("p50", middle), ("p95", slow), ("p99", slowest)) if middle else (),
        "volume": strips.volume(
            [(one.actions, one.failed) for one in found.columns],
            links,
            f"Actions over 24 hours: {found.actions}, of them {found.failed} failed",
        ),
        "latency": strips.latency(
            [one.by_latency for one in found.columns],
            links,
            f"Durations over 24 hours: half within {middle}, 99 % within {slowest}",
        ),
        "ticks": (*(column.start for column in found.columns[::18]), found.until),
        "latency_heads": latency_heads(),
        "list_href": list_href(query),
        "table_href": "/traces/strips?" + urlencode({"q": query}),
    }


def _scores(query: str) -> list[ScoreRow]:
    """What became of the runs of the one graph that the filter names."""
    name, _, graph = query.partition(":")
    if name != "assistant":
        return []
    rows = score_rollup(by="assistant_id", since=timezone.now() - SCORES_SINCE)
    return [row for row in rows if row.group == graph]


def latency_heads() -> tuple[str, ...]:
    ends = [shown_duration(end) for end in listing.LATENCY_ENDS]
    return (*(f"under {end}" for end in ends), f"{ends[-1]} and more")


@login_required
@may_read
@require_safe
def newer(request: HttpRequest) -> HttpResponse:
    """The row that says how many actions are held back; 204 while there are none."""
    query = request.GET.get("q", "").strip()[:MAX_FILTER]
    cursor = request.GET.get("cursor", "")[:200]
    try:
        held = listing.newer_than(cursor, query)
    except FilterError as failure:
        return HttpResponse(str(failure), status=422, content_type="text/plain; charset=utf-8")
    if not wants_fragment(request):
        return HttpResponseRedirect(list_href(query))
    if not held:
        return HttpResponse(status=204)
    context = {
        "held": held,
        "many": held > listing.HELD_SHOWN,
        "most": listing.HELD_SHOWN,
        "newest_href": list_href(query),
        "newer_href": request.get_full_path(),
    }
    return render(request, "traces/_held.html", context)


@login_required
@may_read
@require_safe
def suggestions(request: HttpRequest) -> HttpResponse:
    """How the word being written could go on."""
    query = request.GET.get("q", "").strip()[:MAX_FILTER]
    typed = request.GET.get("add", "")[:MAX_FILTER]
    context = {"suggestions": suggest.complete(query, typed)}
    return render(request, "traces/_suggestions.html", context)

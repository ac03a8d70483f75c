"""Two actions side by side: this one, and one that the reader names or a good one of the same graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import render
from django.views.decorators.http import require_safe

from platform_site.lib.show import shown_cost, shown_count, shown_duration
from traces_app import selectors
from traces_app.pages.compare import compare as compared
from traces_app.pages.rows import step_href
from traces_app.pages.sentence import facts_of
from traces_app.views import ANY_ID, may_read

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from traces_app.tree import StitchedTree

#: Newer or older actions looked through for a good one.
LOOKED_THROUGH = 5


@login_required
@may_read
@require_safe
def compare(request: HttpRequest, any_id: str) -> HttpResponse:
    """`?with=` names the other action by any of its ids; without it the newest good one of the same graph is taken."""
    this = _tree(any_id)
    if this is None:
        raise Http404(f"No action has the id {any_id[:128]}.")
    asked = request.GET.get("with", "").strip()[:128]
    other_id = asked or good_sibling(this)
    other = _tree(other_id) if other_id else None
    error = f"No action has the id {asked}." if asked and other is None else ""
    context = {"any_id": any_id, "asked": asked, "error": error, "title": _title(this)}
    if other is not None:
        context |= sides(this, other, f"/traces/{any_id}/", f"/traces/{other_id}/") | {
            "other_id": other_id,
            "swap_href": f"/traces/{other_id}/compare?{urlencode({'with': any_id})}",
        }
    return render(request, "traces/compare.html", context, status=422 if error else 200)


def sides(this: StitchedTree, other: StitchedTree, this_base: str, other_base: str) -> dict[str, Any]:
    """What both sides' steps and facts are drawn from; the bases are the addresses their steps lie under."""
    found = compared(this, other)
    return {
        "this": this,
        "other": other,
        "found": found,
        "facts": facts(this, other),
        "rows": [
            (
                pair,
                step_href(pair.this, this_base) if pair.this else "",
                step_href(pair.other, other_base) if pair.other else "",
            )
            for pair in found.pairs
        ],
    }


def _tree(any_id: str) -> StitchedTree | None:
    return selectors.get_tree(any_id) if ANY_ID.fullmatch(any_id) else None


def good_sibling(tree: StitchedTree) -> str:
    """The newest action of the same graph that ended well and is not this one; "" when there is none."""
    if not tree.story.assistants:
        return ""
    page = selectors.list_actions(
        q=f"assistant:{tree.story.assistants[0]} status:ok -has:error", limit=LOOKED_THROUGH
    )
    return next((row.id for row in page.rows if row.id not in tree.trace_ids), "")


def _title(tree: StitchedTree) -> str:
    return tree.story.assistants[0] if tree.story.assistants else tree.story.action or "The action"


def facts(this: StitchedTree, other: StitchedTree) -> list[tuple[str, str, str]]:
    """(name, of this action, of the other), in the order of the story's facts; rows that neither knows are left out."""
    reads: tuple[tuple[str, Callable[[StitchedTree], str]], ...] = (
        ("State", lambda tree: facts_of(tree).state_text),
        ("Duration", lambda tree: shown_duration(facts_of(tree).duration)),
        ("In LLM calls", lambda tree: shown_duration(facts_of(tree).llm_seconds)),
        ("LLM calls", lambda tree: shown_count(tree.story.llm_calls)),
        ("Tokens", lambda tree: shown_count(tree.story.tokens)),
        ("Cost", lambda tree: shown_cost(tree.story.cost)),
        ("Failed steps", lambda tree: shown_count(tree.story.errors)),
        ("Routing", lambda tree: ", ".join(f"v{one}" for one in tree.story.routing_versions)),
        ("Pools", lambda tree: ", ".join(tree.story.pools)),
    )
    rows = []
    for name, read in reads:
        mine, theirs = read(this), read(other)
        if mine or theirs:
            rows.append((name, mine, theirs))
    return rows

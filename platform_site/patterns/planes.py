"""Examples of the other planes: home, routing, fleet, campaigns, feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from campaigns_app.ledger import Invariant, Violation
from campaigns_app.models import Touch
from campaigns_app.selectors import TimelineEntry
from feedback_app.selectors import ScoreRow
from platform_site import home
from platform_site.patterns.example import MOMENT, Example, Group, at
from platform_site.patterns.trace import feedback, uid
from platform_site.standing import Stitched
from registry_app.drift import Drift
from routing_app.fleet import HoldState, PoolState, ReplicaState
from routing_app.models import DrillReport, RoutingRevision
from routing_app.pages import Cell, DraftPage, PoolLoad, Row
from routing_app.propagation import Serving
from routing_app.selectors import MovedCalls
from routing_app.services.checks import Check
from routing_app.services.document import Change, PoolFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What an operator and publisher may do; readers are shown the reason instead.
ALL = {
    "routing_app": {"change_pool": True, "publish_routing": True, "add_breakerhold": True},
    "campaigns_app": {"change_campaign": True},
}
READER: dict[str, Any] = {"routing_app": {}, "campaigns_app": {}}


def groups() -> Iterator[Group]:
    yield Group(
        "Home",
        "a pool that is well and one that fails; the stitch rate at its goal and below",
        (
            Example(
                "home.html#tiles", {"home": {"tiles": tiles()}, "lanes": {one.slug: one for one in pools()}}
            ),
            Example("home.html#stitched", {"standing": {"stitched": Stitched(1_204, 1_204)}}),
            Example("home.html#stitched", {"standing": {"stitched": Stitched(1_204, 1_122)}}),
        ),
    )
    page = draft((ERROR, WARNING))
    yield Group(
        "Routing",
        "cells listed, added, removed and of a pool that is off; what differs",
        (
            Example("routing/draft.html#matrix", {"page": page, "perms": ALL}),
            Example("routing/_changes.html", {"changes": page.changes}, "Changes"),
        ),
    )
    yield Group(
        "Publish bar",
        "free, and shut with its reason",
        (
            Example("routing/draft.html#publish", {"page": draft(()), "perms": ALL, "nth": "-free"}),
            Example("routing/draft.html#publish", {"page": draft((), 42), "perms": READER, "nth": "-reader"}),
            Example(
                "routing/draft.html#publish", {"page": draft((ERROR,), 43), "perms": ALL, "nth": "-checks"}
            ),
        ),
    )
    yield Group(
        "Checks, preview, drift",
        "passed, to read, to mend",
        (
            Example("routing/_checks.html", {"page": page, "perms": ALL}),
            Example("routing/_checks.html", {"page": draft((WARNING,)), "perms": READER}),
            Example("routing/_checks.html", {"page": draft(()), "perms": READER}),
            Example("routing/_preview.html", {"page": page}),
            Example(
                "routing/_drift.html",
                {"drift": (Drift("unpublished_draft", "", "2 changes of the draft are not live."),)},
            ),
        ),
        wide=False,
    )
    yield Group(
        "Fleet",
        "breakers closed, half-open, open and held; who serves which version; a drill",
        (
            Example("fleet/fleet.html#pools", {"fleet": {"pools": pools()}, "perms": ALL}),
            Example("routing/_serving.html", {"serving": serving(), "live": 42}),
            Example("fleet/_drill.html", {"drill": drill("failed")}, "Drill"),
        ),
    )
    yield Group(
        "Campaigns",
        "a contact's history; promises kept and broken",
        (
            Example("campaigns/enrollment.html#timeline", {"page": {"timeline": timeline()}, "perms": ALL}),
            Example("campaigns/ledger.html#promises", {"invariants": promises()}),
        ),
        wide=False,
    )
    yield Group(
        "Feedback",
        "of a run that came and one that did not; retracted; delivered, waiting, dead; means with intervals",
        (
            Example("feedback/list.html#latest", {"rows": judged(), "newest": "#main"}),
            Example(
                "feedback/list.html#rollup",
                {"rollup": [(one, "#main") for one in scores()], "by_word": "pool"},
            ),
        ),
    )


def tiles() -> tuple[home.Tile, ...]:
    heights = [20 + (place * 37) % 70 for place in range(48)]
    quiet = tuple(home.Bar(place * 2.08, 100 - tall, tall, 0, 0) for place, tall in enumerate(heights))
    bad = tuple(
        home.Bar(place * 2.08, 100 - tall, tall, 100 - tall / 2, tall / 2 if place > 40 else 0)
        for place, tall in enumerate(heights)
    )
    return (
        home.Tile("EMAIL", "healthy", 1_204, 3, 0.0025, 2.4, None, 50, 0, 2, 2, MOMENT, quiet),
        home.Tile("CLASSIFY", "failing", 310, 61, 0.197, 11.0, at(-300), 50, 31, 1, 0, MOMENT, bad),
        home.Tile("DISCOVERY", "unknown", 0, 0, None, None, None, 0, 0, 1, None, None, ()),
    )


ERROR = Check(
    "error",
    "secret",
    "pools.DISCOVERY.secret_env",
    "DISCOVERY has no secret: AGENTIC_SECRET_DISCOVERY is not set.",
)
WARNING = Check("warning", "report", "pools.CLASSIFY", "CLASSIFY did not answer the last time it was asked.")


def draft(checks: tuple[Check, ...], version: int = 41) -> DraftPage:
    slugs = ("EMAIL", "CLASSIFY", "DISCOVERY")

    def row(name: str, calls: int, now: str, then: str, **marks: str) -> Row:
        cells = tuple(
            Cell(slug, marks.get(slug, "") in ("listed", "added"), marks.get(slug, "")) for slug in slugs
        )
        return Row(name, cells, calls, now, then)

    return DraftPage(
        live=RoutingRevision(version=version),
        base_version=version,
        pools=tuple(PoolFacts(slug, enabled=slug != "DISCOVERY") for slug in slugs),
        rows=(
            row("email_compose", 1_204, "EMAIL", "EMAIL", EMAIL="listed"),
            row("tag_reply", 310, "EMAIL", "CLASSIFY", EMAIL="removed", CLASSIFY="added"),
            row("crawl_site", 0, "CORE", "CORE", DISCOVERY="listed"),
        ),
        changes=(
            Change("pools.CLASSIFY.allowlist.tag_reply", None, True),
            Change("pools.EMAIL.allowlist.tag_reply", True, None),
            Change("pools.EMAIL.limits.concurrency", 8, 12),
        ),
        conflicts=(),
        checks=checks,
        moved=(MovedCalls("tag_reply", "EMAIL", "CLASSIFY", 310),),
        loads=(PoolLoad("CORE", 88, 88), PoolLoad("EMAIL", 1_514, 1_204), PoolLoad("CLASSIFY", 0, 310)),
        calls=1_602,
        revisions=(),
        serving=(),
    )


def pools() -> tuple[PoolState, ...]:
    def replica(
        pool: str, breaker: str, *, ok: bool | None = True, error: str = "", hold: HoldState | None = None
    ) -> ReplicaState:
        return ReplicaState(
            f"http://{pool}.internal:8101", breaker, ok, error, MOMENT if breaker else None, 12, 12, hold
        )

    held = HoldState("open", "The vendor moves its database.", "mara", at(3_600))
    return (
        PoolState(
            "EMAIL", True, (replica("email-1", "closed"), replica("email-2", "half-open")), 3, 16, 0, 64, 12
        ),
        PoolState(
            "CLASSIFY",
            True,
            (replica("classify-1", "open", ok=False, error="connection refused"),),
            16,
            16,
            41,
            64,
            12,
        ),
        PoolState(
            "DISCOVERY",
            True,
            (replica("discovery-1", "held open", hold=held), replica("discovery-2", "closed", hold=held)),
            0,
            8,
            0,
            32,
            12,
        ),
        PoolState("RESEARCH", True, (replica("research-1", "", ok=None),), None, 8, None, 32, 12),
        PoolState("ARCHIVE", False, (), None, 8, None, 32, 0),
    )


def serving() -> tuple[Serving, ...]:
    return (
        Serving("dispatcher", "web-1:311", 42, at(-90)),
        Serving("dispatcher", "web-2:298", 41, at(-86_400)),
        Serving("ingest", "web-1:312", 0, at(-4)),
    )


def drill(state: str) -> DrillReport:
    figures = {"calls": 600, "errors": 0, "p50_ms": 8.1, "p99_ms": 21.4}
    return DrillReport(
        state=state,
        requested_by="mara",
        ended_at=MOMENT,
        result={
            "pool": "EMAIL",
            "callers": 64,
            "rate": 20,
            "seconds": 30,
            "load_average": 1.2,
            "calm": {"CLASSIFY": figures, "CORE": figures},
            "faults": [
                {
                    "name": "flood",
                    "how": "64 callers at once",
                    "problems": [],
                    "victims": {"CLASSIFY": figures},
                },
                {
                    "name": "freeze",
                    "how": "the worker is stopped",
                    "problems": ["CORE: p99 grew from 21.4 ms to 912 ms."],
                    "victims": {"CORE": {**figures, "p99_ms": 912.0}},
                },
            ],
        },
    )


def timeline() -> tuple[TimelineEntry, ...]:
    touch = Touch(
        subject="Rollout before March?",
        body="Hi Piotr,\n\ntwo plants before March is doable. Shall we look at your dates on Thursday?\n\nMara",
        langsmith_run_id=uid("compose"),
    )
    return (
        TimelineEntry(at(-90_000), "enrolled", "Enrolled", "by the import of 18 November"),
        TimelineEntry(at(-86_400), "composed", "Step 1 written", touch=touch),
        TimelineEntry(at(-86_390), "sent", "Step 1 sent"),
        TimelineEntry(
            at(-4_000),
            "unknown",
            "Step 2 may have gone out",
            "The connection was lost after the mail.",
            touch,
        ),
        TimelineEntry(at(-1_800), "out_of_office", "Out of office"),
        TimelineEntry(at(-600), "soft_bounce", "Bounced for now", "452 mailbox full"),
        TimelineEntry(
            at(0), "reply", "Replied", "Nothing more goes out.", quote="Thursday at ten is fine.\nPiotr"
        ),
    )


def promises() -> tuple[Invariant, ...]:
    return (
        Invariant("no mail twice", 0, ()),
        Invariant(
            "nothing after a stop",
            1,
            (Violation(uid("touch")[:8], "sent 40 s after the unsubscribe", uid("enrollment")),),
        ),
    )


def judged() -> tuple[Any, ...]:
    return (
        feedback("reply_received", 1.0, "asked for dates", delivery="delivered"),
        feedback("approved", 0.0, delivery="pending", source="api", rater=""),
        feedback("tone", None, value="too formal", delivery="dead", bound=False),
        feedback("approved", 1.0, retracted_at=at(55)),
    )


def scores() -> tuple[ScoreRow, ...]:
    return (
        ScoreRow("reply_received", "outcome", "EMAIL", 1_204, 0.084, 0.07, 0.101),
        ScoreRow("approved", "human", "CORE", 1, 1.0, None, None),
    )

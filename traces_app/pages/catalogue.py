"""The failure catalogue in words: what each finding means, how to mend it, how to see that it is mended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    code: str
    title: str
    means: str
    fix: tuple[str, ...]
    verify: str


CATALOGUE: tuple[Entry, ...] = (
    Entry(
        "two-traces",
        "`traceparent` was stripped on the way",
        "The caller was in one W3C trace and its call arrived in another. The action is whole here, because the dispatch record joins both halves; other tools show two traces.",
        (
            "Find what sits between the caller and the dispatcher: an edge proxy, a gateway, a service mesh.",
            "Let it pass `traceparent`, `tracestate` and `baggage` unchanged.",
        ),
        "Send one call through the proxy and open it: the caller and the dispatcher must be one trace, without this row.",
    ),
    Entry(
        "standalone-root",
        "A pool began a trace of its own",
        "The caller's trace header reached the pool and the graph server did not adopt it. Nothing is lost; unmodified Agent Servers do this.",
        ("Serve the graph through `fleet.kit.serve.served`, or leave it.",),
        "Call the graph with `langsmith-trace` set: its root must name the caller's run as its parent.",
    ),
    Entry(
        "bypassed-dispatcher",
        "A worker was called past the dispatcher",
        "With the pool's secret it ran: no routing decision, key or limit applied to the run, and nothing proves its route. Without the secret it was turned away, and the finding says who tried.",
        (
            "Point the caller at the platform's address: `run_graph`, or any LangGraph SDK.",
            "Close the pool's port to everybody but the dispatcher, and set its secret.",
        ),
        "Call the pool directly without its secret: it must answer 401, and this finding must open within a minute.",
    ),
    Entry(
        "decided-not-executed",
        "What ran is not what was decided",
        "The worker attests another pool or another graph than the live routing chose. The answer came from something nobody published.",
        (
            "Compare the two digests in the row's evidence.",
            "Redeploy the worker from the revision that was published, or publish the routing that matches it.",
        ),
        "Send one call: its route proof must read decided = executed.",
    ),
    Entry(
        "missing-parent",
        "Rows name a parent that never arrived",
        "They are kept under a placeholder and move by themselves when the parent comes.",
        (
            "See whether the process flushes before it exits.",
            "See whether it samples the parent out, or sends it to another endpoint.",
        ),
        "Open the action again a minute later: the placeholder must be gone.",
    ),
    Entry(
        "duplicate-run",
        "The same work arrived twice",
        "Either a caller retried after the first attempt had begun, so that side effects may have happened twice, or one run id was used for two runs.",
        (
            "Make the graph's side effects idempotent.",
            "Retry only what is marked retry-safe, and give each attempt a run id of its own.",
        ),
        "Repeat the call under the same failure: one attempt must be visible.",
    ),
    Entry(
        "exit-before-flush",
        "Something started and never said that it ended",
        "Its process probably ended before its spans were flushed. What came before is kept.",
        (
            "Flush on shutdown: `client.flush()`, `awaitPendingTraceBatches()`.",
            "Stop workers with SIGTERM and leave them time; look at their exit codes.",
        ),
        "Stop a worker while a run is under way: the run must end as an error, not stall.",
    ),
    Entry(
        "clock-skew",
        "A clock disagrees with the dispatcher's",
        "Times are shown as sent; bars under the hop are shifted on to the dispatcher's clock.",
        ("Run time synchronisation (NTP) where the source runs.",),
        "Open a new action of that source: its bars must lie inside their hop.",
    ),
    Entry(
        "failed-graph-200",
        "A pool answered 200 and the graph failed inside",
        "LangGraph reports a failed graph in the body. A caller that looks at the status alone takes it for success.",
        (
            "Read `__error__` in the answer, or use `run_graph`, which raises.",
            "Fix the graph; its error is in the row.",
        ),
        "Call the graph with the same input: it must answer without `__error__`.",
    ),
    Entry(
        "header-family-lost",
        "One family of trace headers was lost or malformed",
        "The call ran without it and is joined through the dispatch record.",
        (
            "Send the headers with `contract.headers.inject` or `RunTree.to_headers()`.",
            "Let proxies pass `langsmith-trace`, `baggage` and `traceparent` unchanged.",
        ),
        "Send one call and open its dispatcher row: dropped headers must be empty.",
    ),
    Entry(
        "parent-cycle",
        "Parents name each other in a ring",
        "The ring is cut at its earliest row, so that every row is shown once.",
        ("Give every span an id of its own, and a parent that started before it.",),
        "Send the action again: no row may carry this finding.",
    ),
)
BY_CODE = {entry.code: entry for entry in CATALOGUE}

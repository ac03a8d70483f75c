"""What holds of the contract for any input."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.headers import (
    Baggage,
    DottedOrder,
    TraceParent,
    inject,
    parse_inbound,
    parse_parent,
)
from contract.paths import normalise_path
from contract.route_for import WorkerRoute, build_routes, path_decision, route_for
from contract.routing_document import (
    RoutingDocumentError,
    canonical_bytes,
    core_route,
    digest,
    parse,
    to_mapping,
)
from routing_app.services.document import GraphFacts, PoolFacts, build_content

IDS = st.text(min_size=0, max_size=8)
ROUTES = st.lists(
    st.builds(
        WorkerRoute,
        prefix=st.sampled_from(["EMAIL", "CLASSIFY", "X"]),
        url=st.sampled_from(["", "http://a", "http://b"]),
        secret=st.text(max_size=4),
        assistants=st.frozensets(IDS, max_size=6),
    ),
    max_size=6,
)
HEADER_NAMES = st.sampled_from(
    ["traceparent", "tracestate", "langsmith-trace", "baggage", "x-request-id", "Traceparent", "x-other"]
)
HEX = "0123456789abcdef"


@given(IDS, ROUTES)
def test_the_first_route_with_a_url_that_lists_the_id_wins_and_core_is_the_default(
    name: str, routes: list[WorkerRoute]
) -> None:
    core = WorkerRoute(prefix="CORE", url="http://core", secret="s", assistants=frozenset())
    decision = route_for(name, routes, core=core)
    able = [route for route in routes if route.url and name in route.assistants]
    expected = able[0] if able else core
    assert (decision.url, decision.secret, decision.matched) == (expected.url, expected.secret, bool(able))
    assert decision.reason


@given(IDS, ROUTES, ROUTES)
def test_routes_after_the_match_change_nothing(
    name: str, routes: list[WorkerRoute], more: list[WorkerRoute]
) -> None:
    decision = route_for(name, routes)
    if decision.matched:
        assert route_for(name, [*routes, *more]) == decision


@given(
    st.dictionaries(
        st.sampled_from(["WORKER_ORDER", "EMAIL_WORKER_URL", "EMAIL_WORKER_ASSISTANTS", "Z"]), st.text()
    )
)
def test_any_mapping_makes_routes_and_no_secret_reaches_a_repr(mapping: dict[str, str]) -> None:
    routes = build_routes({**mapping, "EMAIL_WORKER_SECRET": "hunter2-hunter2"})
    assert "hunter2" not in repr(routes)
    assert "hunter2" not in repr(route_for("x", routes))


@given(st.text(), st.text(), st.booleans(), st.booleans())
def test_the_gate_answers_any_request(method: str, path: str, has_auth: bool, matches: bool) -> None:
    status, code = path_decision(method, path, has_auth=has_auth, auth_matches=matches)
    assert (status, code) in {
        (200, "OK"), (200, "CORE"), (401, "MISSING_AUTH"), (401, "BAD_AUTH"), (403, "INTERNAL_ONLY"), (404, "NOT_FOUND"),
    }  # fmt: skip
    if code == "CORE":
        assert has_auth
        assert matches


@given(st.text())
def test_a_normalised_path_is_normal(raw: str) -> None:
    path = normalise_path(raw)
    if path is None:
        return
    assert path.startswith("/")
    assert "//" not in path
    assert "\\" not in path
    assert not {".", ".."} & {part.partition(";")[0] for part in path.split("/")}
    assert normalise_path(quote(path, safe="/:@!$&'()*+,;=~-._")) == path


@given(
    st.lists(
        st.sampled_from(
            ["/", "%2f", "%2e", ".", "%", "%25", "a", "_ml", "%5c", "\\", "runs", "%00", ";", "é"]
        )
    )
)
def test_no_spelling_of_an_internal_path_passes_the_gate(parts: list[str]) -> None:
    path = normalise_path("/" + "".join(parts))
    if path is not None and path_decision("GET", path, has_auth=True, auth_matches=True)[1] == "CORE":
        assert path.split("/")[1] in ("runs", "threads", "assistants", "linkedin")


@given(st.dictionaries(HEADER_NAMES, st.text() | st.text(alphabet=HEX + "-.TZ=,;%")))
def test_parsing_headers_never_raises_and_what_it_gives_can_be_sent_on(headers: dict[str, str]) -> None:
    inbound = parse_inbound(headers)
    sent = inject(
        traceparent=inbound.traceparent,
        tracestate=inbound.tracestate,
        langsmith_trace=inbound.langsmith_trace,
        baggage=inbound.baggage,
        request_id=inbound.request_id,
    )
    again = parse_inbound(sent)
    assert again.dropped == ()
    assert (again.traceparent, again.langsmith_trace, again.request_id) == (
        inbound.traceparent,
        inbound.langsmith_trace,
        inbound.request_id,
    )
    assert all(value.isascii() and value.isprintable() for value in sent.values())


@given(st.dictionaries(HEADER_NAMES, st.none() | st.integers() | st.binary() | st.lists(st.text())))
def test_values_of_any_type_are_dropped_not_raised(values: dict[str, object]) -> None:
    assert parse_parent(values) is None
    assert parse_inbound(values).traceparent is None  # type: ignore[arg-type]


TRACE_IDS = st.text(HEX, min_size=32, max_size=32).filter(lambda text: text.strip("0"))
SPAN_IDS = st.text(HEX, min_size=16, max_size=16).filter(lambda text: text.strip("0"))
TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(
    st.builds(TraceParent, TRACE_IDS, SPAN_IDS, st.booleans()),
    st.lists(st.tuples(st.datetimes(min_value=datetime(2000, 1, 1)), st.uuids()), min_size=1, max_size=5),  # noqa: DTZ001
    st.builds(
        Baggage,
        project=st.none() | TEXT,
        metadata=st.dictionaries(
            TEXT, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT, max_size=3
        ),
        tags=st.lists(TEXT.filter(lambda tag: "," not in tag), max_size=3).map(tuple),
    ),
)
def test_what_is_injected_is_what_is_parsed(
    parent: TraceParent, runs: list[tuple[datetime, object]], baggage: Baggage
) -> None:
    raw = ".".join(f"{at:%Y%m%dT%H%M%S%f}Z{run}" for at, run in runs)
    order = DottedOrder(raw, str(runs[0][1]), str(runs[-1][1]))
    headers = inject(traceparent=parent, langsmith_trace=order, baggage=baggage, request_id="r-1")
    inbound = parse_inbound(headers)
    assert (inbound.traceparent, inbound.langsmith_trace, inbound.request_id) == (parent, order, "r-1")
    assert inbound.baggage == baggage


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
SLUGS = st.sampled_from(["CORE", "EMAIL", "CLASSIFY", "DISCOVERY", "EXTRA"])
POOLS = st.lists(
    st.builds(
        PoolFacts,
        slug=SLUGS,
        urls=st.lists(st.sampled_from(["http://a:1", "https://b"]), max_size=2, unique=True).map(tuple),
        secret_env=st.sampled_from(["", "S_WORKER_SECRET"]),
        enabled=st.booleans(),
        assistants=st.frozensets(NAMES, max_size=4).map(tuple),
    ),
    unique_by=lambda pool: pool.slug,
)
GRAPHS = st.lists(
    st.builds(GraphFacts, NAMES, SLUGS, enabled=st.booleans()), unique_by=lambda graph: graph.assistant_id
)


@given(POOLS, GRAPHS)
def test_every_draft_is_a_document_that_decides_as_an_environment_does(
    pools: list[PoolFacts], graphs: list[GraphFacts]
) -> None:
    content = build_content(pools, graphs)
    document = parse(
        {**content, "version": 1, "digest": digest(content), "published_at": "2026-11-22T12:00:00+00:00"}
    )
    assert parse(canonical_bytes(document)) == document
    secrets = {"S_WORKER_SECRET": "hunter2"}
    routes, core = build_routes(to_mapping(document, secrets)), core_route(document, secrets)
    assert [route.prefix for route in routes] == [route["prefix"] for route in document["routes"]]
    for graph in graphs:
        decision = route_for(graph.assistant_id, routes, core=core)
        assert decision.pool == document["graphs"][graph.assistant_id]["pool"]
    assert b"hunter2" not in canonical_bytes(document)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_is_no_document_is_refused_with_a_field(value: object) -> None:
    with pytest.raises(RoutingDocumentError) as error:
        parse(value)  # type: ignore[arg-type]
    assert error.value.field


@given(st.binary())
def test_bytes_that_are_no_document_are_refused(raw: bytes) -> None:
    with pytest.raises(RoutingDocumentError):
        parse(raw)

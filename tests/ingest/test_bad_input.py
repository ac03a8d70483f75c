"""Bad input: refused with a clear 4xx or quarantined with its reason; the rest is stored and the process lives."""

from __future__ import annotations

import gzip
import json
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from traces_app.ingest import redact
from traces_app.ingest.http import RefusedError
from traces_app.ingest.multipart import form_parts
from traces_app.ingest.seal import seal
from traces_app.store import reader
from traces_app.store.pack import unpack
from traces_app.store.records import Bundle

from .conftest import INGEST_KEY, Server, wait_until
from .parts import make_part

if TYPE_CHECKING:
    import psycopg

pytestmark = pytest.mark.processes
BOUNDARY = "b0undary"


def run(**given: Any) -> dict[str, Any]:
    run_id = str(uuid.uuid4())
    base = {
        "id": run_id,
        "trace_id": run_id,
        "name": "n",
        "run_type": "chain",
        "start_time": "2026-11-22T10:00:00Z",
    }
    return {**base, **given}


def multipart(*parts: tuple[str, bytes, str], end: bool = True) -> bytes:
    """Parts are (name, body, further header lines)."""
    body = b""
    for name, data, more in parts:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n{more}\r\n'
        body += head.encode() + data + b"\r\n"
    return body + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


def send(http: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return http.post("/langsmith/runs/multipart", content=body, headers={**kind, **headers})


def post(given: dict[str, Any], more: str = "") -> tuple[str, bytes, str]:
    return (f"post.{given['id']}", json.dumps(given).encode(), more)


def stored(cur: psycopg.Cursor[Any], given: dict[str, Any]) -> bool:
    return bool(reader.load_runs_by_id(cur, [given["id"]]))


BAD = {
    "not a uuid": (run(id="x" * 20, trace_id=None), "UUID"),
    "trace not a uuid": (run(trace_id="../../etc"), "trace_id"),
    "year 1": (run(start_time="0001-01-01T00:00:00Z"), "start_time"),
    "time is a word": (run(start_time="yesterday"), "start_time"),
    "huge time": (run(start_time=1e300), "start_time"),
    "unknown type": (run(run_type="<script>"), "run_type"),
    "name is an object": (run(name={"a": 1}), "name"),
    "tags is a text": (run(tags="a"), "tags"),
    "metadata is a list": (run(extra={"metadata": [1]}), "extra.metadata"),
    "metadata too deep to write": (
        run(extra={"metadata": {"x": json.loads("[" * 500 + "]" * 500)}}),
        "extra",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_run_is_quarantined_and_its_neighbour_stored(
    http: httpx.Client, cur: psycopg.Cursor[Any], case: str
) -> None:
    bad, reason = BAD[case]
    good = run()
    assert send(http, multipart(post(bad), post(good))).status_code == 202
    assert stored(cur, good)
    assert reader.load_payload(cur, good["id"]) is not None
    cur.execute("SELECT reason FROM traces_app_quarantine")
    ((found,),) = cur.fetchall()
    assert reason in found
    assert send(http, multipart(post(bad), post(good))).status_code == 202
    cur.execute("SELECT count(*) FROM traces_app_quarantine")
    assert cur.fetchone() == (1,), "a resend adds nothing"


ODD = {
    "1970": run(start_time="1970-01-01T00:00:00Z"),
    "2999": run(start_time="2999-12-31T23:59:59Z"),
    "end before start": run(end_time="2020-01-01T00:00:00Z"),
    "milliseconds": run(end_time=1795363287330),
    "own parent": (lambda r: {**r, "parent_run_id": r["id"]})(run()),
    "nul and markup": run(name="a\0<script>alert(1)</script>", inputs={"x": "\0"}),
    "deep": run(inputs=json.loads("[" * 240 + "]" * 240)),
    "long name": run(name="n" * 100_000),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_only_odd_is_stored(http: httpx.Client, cur: psycopg.Cursor[Any], case: str) -> None:
    assert send(http, multipart(post(ODD[case]))).status_code == 202
    assert stored(cur, ODD[case])
    assert reader.load_payload(cur, ODD[case]["id"]) is not None


@pytest.mark.parametrize(
    "raw",
    [
        b'{"inputs":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"name": "\xff\xfe"}',
        b'{"name": "\\ud800"}',
        b"nul\0",
    ],
)
def test_what_is_no_json_is_quarantined(http: httpx.Client, cur: psycopg.Cursor[Any], raw: bytes) -> None:
    good = run()
    assert send(http, multipart((f"post.{uuid.uuid4()}", raw, ""), post(good))).status_code == 202
    assert stored(cur, good)
    cur.execute("SELECT count(*) FROM traces_app_quarantine")
    assert cur.fetchone() == (1,)


@pytest.mark.parametrize("field", ["inputs", "extra"])
@pytest.mark.parametrize("depth", [250, 1023])
def test_a_value_deeper_than_an_answer_may_be_does_not_close_its_trace(
    http: httpx.Client, cur: psycopg.Cursor[Any], depth: int, field: str
) -> None:
    deep, good = run(), run()
    good["trace_id"] = deep["trace_id"]
    value = (f"post.{deep['id']}.{field}", b'{"a":' + b"[" * depth + b"]" * depth + b"}", "")
    assert send(http, multipart(post(deep), value, post(good))).status_code == 202
    assert [r.run_id for r in reader.load_runs(cur, [deep["trace_id"]])] == [good["id"]]
    assert reader.load_payload(cur, good["id"]) is not None
    cur.execute("SELECT item, reason FROM traces_app_quarantine")
    ((item, reason),) = cur.fetchall()
    assert (item, reason.partition(":")[0]) == (deep["id"], field)


@pytest.mark.parametrize(
    "field", ["cursor", "run_type", "filter", "select", "id", "session", "start_time", "limit"]
)
def test_a_query_of_nonsense_is_refused_by_the_field_s_name(http: httpx.Client, field: str) -> None:
    body = b'{"%s": %s}' % (field.encode(), b"[" * 1000 + b"]" * 1000)
    answer = http.post("/langsmith/runs/query", content=body)
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (422, field)


def test_feedback_is_held_to_its_key_at_this_door_too(http: httpx.Client) -> None:
    run = str(uuid.uuid4())
    refused = http.post("/langsmith/feedback", json={"run_id": run, "key": "reply_received", "score": 9})
    assert (refused.status_code, refused.json()["detail"]) == (422, "score: reply_received is at most 1")
    right = {"run_id": run, "key": "reply_received", "score": 1}
    assert http.post("/langsmith/feedback", json=right).status_code == 200


def test_feedback_with_a_number_beyond_64_bits_is_shown_again(http: httpx.Client) -> None:
    sent = b'{"run_id":"%s","key":"k","value":{"n":%d}}' % (str(uuid.uuid4()).encode(), 2**64)
    made = http.post("/langsmith/feedback", content=sent)
    assert (made.status_code, made.json()["value"]) == (200, {"n": float(2**64)})
    assert http.get(f"/langsmith/feedback/{made.json()['id']}").json()["value"] == {"n": float(2**64)}


def test_an_error_that_is_no_text_is_kept_as_it_was_sent(
    http: httpx.Client, cur: psycopg.Cursor[Any]
) -> None:
    failed, deep = run(), "[" * 1000 + "]" * 1000
    assert (
        send(http, multipart(post(failed), (f"post.{failed['id']}.error", deep.encode(), ""))).status_code
        == 202
    )
    (row,) = reader.load_runs(cur, [failed["trace_id"]])
    assert (row.status, row.error) == ("error", deep)


def test_a_value_as_deep_as_may_be_is_shown_again(http: httpx.Client) -> None:
    deep = run()
    inputs = (f"post.{deep['id']}.inputs", b'{"password": 1, "deep": ' + b"[" * 240 + b"]" * 240 + b"}", "")
    assert send(http, multipart(post(deep), inputs)).status_code == 202
    (shown,) = http.post("/langsmith/runs/query", json={"id": [deep["id"]]}).json()["runs"]
    assert json.dumps(shown["inputs"]["deep"]) == "[" * 240 + "]" * 240
    assert shown["inputs"]["password"] == redact.DEFAULT_REPLACEMENT


@pytest.mark.parametrize("depth", [300, 1000])
def test_deep_feedback_is_refused_and_its_neighbours_stored(
    http: httpx.Client, cur: psycopg.Cursor[Any], depth: int
) -> None:
    good, nested = run(), b"[" * depth + b"]" * depth
    body = b'{"run_id":"%s","key":"k","value":%s}' % (good["id"].encode(), nested)
    answer = http.post("/langsmith/feedback", content=body)
    assert (answer.status_code, "value: " in answer.json()["detail"]) == (422, True)
    assert send(http, multipart((f"feedback.{uuid.uuid4()}", body, ""), post(good))).status_code == 202
    assert stored(cur, good)
    cur.execute("SELECT reason FROM traces_app_quarantine")
    assert ["value: " in reason for (reason,) in cur.fetchall()] == [True]


def test_frames_that_do_not_hold(http: httpx.Client, cur: psycopg.Cursor[Any]) -> None:
    good, wrong = run(), run()
    assert send(http, multipart(post(good), end=False)).status_code == 422
    assert not stored(cur, good), "nothing of a truncated body is kept"
    assert send(http, multipart(post(wrong, "Content-Length: 7\r\n"), post(good))).status_code == 202
    assert (stored(cur, good), stored(cur, wrong)) == (True, False)
    assert send(http, b"no parts").status_code == 422
    assert http.post("/langsmith/runs/multipart", content=b"{}").status_code == 415
    js = run(name="js")
    data = json.dumps(js).encode()
    part = (f"post.{js['id']}", data, f"Content-Type: application/json; length={len(data)}\r\n")
    assert send(http, multipart(part)).status_code == 202
    assert stored(cur, js)


def test_bombs_are_413_and_hurt_nobody(http: httpx.Client, cur: psycopg.Cursor[Any]) -> None:
    zeros = bytes(200 << 20)
    assert send(http, gzip.compress(zeros, 1), **{"content-encoding": "gzip"}).status_code == 413
    bomb = zstandard.ZstdCompressor(level=1).compress(zeros)
    assert send(http, bomb, **{"content-encoding": "zstd"}).status_code == 413
    assert send(http, bomb[:100], **{"content-encoding": "zstd"}).status_code in {400, 422}
    assert send(http, b"x", **{"content-encoding": "br"}).status_code == 415
    good = run()
    assert send(http, gzip.compress(multipart(post(good))), **{"content-encoding": "gzip"}).status_code == 202
    assert stored(cur, good)


def test_refused_before_the_body_is_read(server: Server, http: httpx.Client) -> None:
    nobody = httpx.post(f"{server.langsmith}/runs/multipart", content=b"x")
    assert nobody.status_code == 401
    assert httpx.post(f"{server.url}/otlp/v1/traces", headers={"x-api-key": "no"}).status_code == 401
    assert http.get("/langsmith/nothing").status_code == 404
    assert http.get("/langsmith/runs/batch").status_code == 405

    with socket.create_connection(("127.0.0.1", server.port)) as s:
        head = f"POST /langsmith/runs/batch HTTP/1.1\r\nhost: x\r\nx-api-key: {INGEST_KEY}\r\ncontent-length: 99999999999\r\n\r\n"
        s.sendall(head.encode())
        assert b" 413 " in s.recv(200)


def test_batches_and_single_runs(http: httpx.Client, cur: psycopg.Cursor[Any]) -> None:
    one, two = run(), run()
    patch = {"id": one["id"], "trace_id": one["id"], "end_time": "2026-11-22T10:00:01Z", "outputs": {"a": 1}}
    assert http.post("/langsmith/runs/batch", json={"post": [one], "patch": [patch]}).status_code == 202
    assert http.post("/langsmith/runs", json=two).status_code == 202
    late = {"end_time": "2026-11-22T10:00:02Z", "error": "ValueError"}
    assert http.patch(f"/langsmith/runs/{two['id']}", json=late).status_code == 202
    first, second = reader.load_runs_by_id(cur, [one["id"]]), reader.load_runs_by_id(cur, [two["id"]])
    assert (first[0].status, second[0].status, second[0].error) == ("ok", "error", "ValueError")
    assert http.post("/langsmith/runs", json=run(run_type="x")).status_code == 422
    assert http.post("/langsmith/runs/batch", content=b"{").status_code == 422


def test_threads_look_for_secrets_at_once() -> None:
    rules, secret = redact.Ruleset(), "sk-canary" + "A1b2C3d4" * 4
    text = "word " * 100_000 + secret
    with ThreadPoolExecutor(8) as threads:
        cleaned = list(threads.map(rules.clean_text, [text] * 24))
    assert all(secret not in one for one in cleaned)


def test_secrets_and_canaries_never_reach_the_store(http: httpx.Client, cur: psycopg.Cursor[Any]) -> None:
    from .parts import CANARIES

    secret, token = CANARIES
    text = json.dumps({"password": secret})
    given = run(
        name=f"call {token}",
        inputs={"Password": secret, "deep": [{"note": f"Authorization: Bearer {token}"}], "text": text},
        outputs={"api_key": secret},
        error=f"failed with {token}",
        tags=[token],
        extra={"metadata": {"secret": secret, "kept": "yes"}},
    )
    bad = run(run_type="x", inputs={"password": secret})
    assert send(http, multipart(post(given), post(bad))).status_code == 202
    span = {
        "traceId": uuid.uuid4().hex,
        "spanId": "1" * 16,
        "name": token,
        "startTimeUnixNano": "1",
        "attributes": [
            {"key": "gen_ai.prompt", "value": {"stringValue": text}},
            {"key": "authorization", "value": {"stringValue": secret}},
        ],
    }
    otlp = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    assert http.post("/otlp/v1/traces", json=otlp).status_code == 200
    feedback = {"run_id": given["id"], "key": "k", "comment": token, "value": {"password": secret}}
    assert http.post("/langsmith/feedback", json=feedback).status_code == 200

    everything = ""
    cur.execute("SELECT run_id::text, p::text FROM traces_app_runpart p")
    for run_id, row in cur.fetchall():
        everything += (
            row + repr(reader.load_payload(cur, run_id)) + repr(reader.load_runs_by_id(cur, [run_id]))
        )
    for table in ("traces_app_tracehead", "traces_app_quarantine", "feedback_app_feedback"):
        cur.execute(f"SELECT t::text FROM {table} t")
        everything += repr(cur.fetchall())
    assert "'kept': 'yes'" in everything
    for canary in CANARIES:
        assert canary not in everything


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of([st.from_regex(pattern) for pattern in redact.PATTERNS]))
def test_whatever_a_default_pattern_matches_is_looked_at(text: str) -> None:
    rules = redact.Ruleset()
    assert rules.suspects(json.dumps({"text": text}).encode())
    assert redact.DEFAULT_REPLACEMENT in rules.clean_text(text)


@pytest.mark.parametrize("key", redact.KEYS)
@pytest.mark.parametrize("around", ['{"%s": 1}', '{"%s"\n\t: 1}'])
def test_whatever_key_is_named_is_looked_at_however_deep_its_json_stands(key: str, around: str) -> None:
    text = around % key.title()
    for _ in range(3):
        assert redact.Ruleset().suspects(text.encode())
        text = json.dumps(text)


def test_what_only_begins_like_a_secret_is_passed_over() -> None:
    prose = "A risk-based task-list: the bearer of this, ghp_ or xoxb-1, eyJust so, lsv2_x, AKIA, a secret, a cookie."
    assert not redact.Ruleset().suspects(json.dumps({"text": prose, "token": 1}).encode())


RULES = {
    "begins and ends": (redact.Rule("pattern", r"^4\d{15}$"), {"n": "4111111111111111"}, "4111"),
    "past a line end": (redact.Rule("pattern", r"pin:\s+\d+"), {"n": "pin:\n4711"}, "4711"),
    "other letters": (redact.Rule("key", "пароль"), {"ПАРОЛЬ": "4711"}, "4711"),
    "spelled as numbers": (redact.Rule("key", "pin"), {"inner": r'{"\u0050in": "4711"}'}, "4711"),
    "the default, spelled": (redact.Rule("key", "pin"), {"inner": r'{"pass\u0077ord": "4711"}'}, "4711"),
}


@pytest.mark.parametrize("case", RULES)
def test_a_rule_holds_however_json_writes_what_it_names(case: str) -> None:
    rule, inputs, secret = RULES[case]
    raw = {"inputs": orjson.Fragment(json.dumps(inputs, ensure_ascii=False).encode())}
    bundle = seal(Bundle(parts=[make_part(payload=raw)]), redact.Redactor([rule]))
    (said,) = unpack(bundle.chunks[0].payload)
    assert secret not in json.dumps(said)
    assert redact.DEFAULT_REPLACEMENT in json.dumps(said)


def test_what_is_too_deep_to_be_cleaned_is_withheld_from_its_run_alone() -> None:
    good = make_part()
    deep = orjson.Fragment(b'{"password": "4711", "a": ' + b"[" * 900 + b"]" * 900 + b"}")
    bundle = seal(
        Bundle(parts=[good, make_part(trace_id=good.trace_id, payload={"inputs": deep})]), redact.Redactor()
    )
    whole, withheld = unpack(bundle.chunks[0].payload)
    assert whole == {"inputs": {"q": 1}}
    assert withheld["inputs"] == redact.FAILED


@pytest.mark.parametrize("depth", [300, 1000])
def test_a_text_too_deep_to_be_cleaned_is_withheld(depth: int) -> None:
    text = '{"password": "4711", "a": ' + "[" * depth + "]" * depth + "}"
    assert redact.Ruleset().clean_text(text) == redact.FAILED


@pytest.mark.parametrize("unsayable", ["\ud800", json.loads("[" * 253 + "]" * 253)])
def test_an_item_that_json_cannot_say_leaves_the_others_of_its_trace(unsayable: Any) -> None:
    good = make_part()
    bad = make_part(trace_id=good.trace_id, payload={"inputs": unsayable})
    bundle = seal(Bundle(parts=[bad, good]), redact.Redactor())
    assert bundle.parts == [good]
    assert unpack(bundle.chunks[0].payload) == [{"inputs": {"q": 1}}]
    assert [q.item for q in bundle.quarantined] == [str(uuid.UUID(bytes=bad.run_id))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), junk=st.binary(max_size=40), encoding=st.sampled_from(["", "gzip", "zstd"]))
def test_fuzzed_bodies_never_fail_the_process(
    http: httpx.Client, cut: int, junk: bytes, encoding: str
) -> None:
    given = run(inputs={"a": 1})
    body = multipart(post(given), (f"post.{given['id']}.outputs", b"{}", ""))
    broken = body[:cut] + junk + body[cut + len(junk) :]
    headers = {"content-encoding": encoding} if encoding else {}
    if encoding == "gzip":
        broken = gzip.compress(broken)
    answer = send(http, broken, **headers)
    assert answer.status_code in {202, 400, 413, 415, 422}


@given(st.binary(max_size=300))
def test_form_parts_yields_or_refuses(junk: bytes) -> None:
    body = f"--{BOUNDARY}\r\n".encode() + junk + f"\r\n--{BOUNDARY}--".encode()
    try:
        parts = list(form_parts(body, BOUNDARY.encode()))
    except RefusedError as error:
        status = error.status
    else:
        status = 422 if parts else 0
    assert status == 422


def test_a_value_of_a_hundred_megabytes_is_413_and_hurts_nobody(
    http: httpx.Client, cur: psycopg.Cursor[Any]
) -> None:
    huge = run(inputs={"text": "x" * (100 << 20)})
    assert send(http, multipart(post(huge))).status_code == 413
    packed = zstandard.ZstdCompressor(level=1).compress(multipart(post(huge)))
    assert len(packed) < 1 << 20
    assert send(http, packed, **{"content-encoding": "zstd"}).status_code == 413
    good = run()
    assert send(http, multipart(post(good))).status_code == 202
    assert stored(cur, good)


def test_parents_in_a_circle_are_stored_as_they_were_said(
    http: httpx.Client, cur: psycopg.Cursor[Any]
) -> None:
    root = run()
    a, b = run(trace_id=root["id"]), run(trace_id=root["id"])
    a["parent_run_id"], b["parent_run_id"] = b["id"], a["id"]
    assert http.post("/langsmith/runs/batch", json={"post": [root, a, b]}).status_code == 202
    parents = {r.run_id: r.parent_run_id for r in reader.load_runs(cur, [root["id"]])}
    assert (parents[a["id"]], parents[b["id"]]) == (b["id"], a["id"])
    cur.execute("SELECT runs, root_run_id::text FROM traces_app_tracehead")
    assert cur.fetchall() == [(3, root["id"])]


def test_a_trace_that_grows_without_end_costs_what_it_brings(
    http: httpx.Client, server: Server, cur: psycopg.Cursor[Any]
) -> None:
    """A slice of the million children: a batch to a large trace looks only at the runs it names."""
    root = run()
    before = resident_mb(server)
    for size in (1, 4000, 4000, 4000):
        children = [run(trace_id=root["id"], parent_run_id=root["id"]) for _ in range(size)]
        answer = http.post("/langsmith/runs/batch", json={"post": [root, *children]})
        assert answer.status_code == 202
    cur.execute("SELECT runs FROM traces_app_tracehead")
    assert cur.fetchall() == [(12_002,)]
    assert resident_mb(server) - before < 150


def resident_mb(server: Server) -> float:
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def test_hostile_markup_in_every_field_stays_text(http: httpx.Client, cur: psycopg.Cursor[Any]) -> None:
    hostile = "<script>alert(1)</script>'\"\u202e{{7*7}}"
    given = run(
        name=hostile,
        session_name=hostile,
        tags=[hostile],
        error=hostile,
        inputs={hostile: hostile},
        extra={"metadata": {hostile: hostile, "langgraph.assistant_id": hostile, "ls_model_name": hostile}},
    )
    assert send(http, multipart(post(given))).status_code == 202
    (held,) = reader.load_runs_by_id(cur, [given["id"]])
    assert (held.name, held.project, held.tags, held.error) == (hostile, hostile, (hostile,), hostile)
    assert (held.assistant_id, held.model, held.metadata[hostile]) == (hostile, hostile, hostile)
    answer = http.get(f"/langsmith/runs/{given['id']}")
    assert answer.headers["content-type"] == "application/json"


async def test_too_much_at_once_is_429_with_a_time_to_come_back() -> None:
    from traces_app.ingest.admission import Admission
    from traces_app.ingest.http import Request

    request = Request({}, None, "POST", "/", {"content-length": "60"})  # type: ignore[arg-type]
    admission = Admission(None, max_body=100, max_in_flight=100)  # type: ignore[arg-type]
    with admission.room_for(request):
        with pytest.raises(RefusedError) as refused, admission.room_for(request):
            pass
        assert (refused.value.status, refused.value.retry_after) == (429, 1)
    with admission.room_for(request):
        pass


def test_rules_of_the_table_hold_for_their_project_alone_and_fail_closed(
    http: httpx.Client, cur: psycopg.Cursor[Any]
) -> None:
    cur.execute(
        "INSERT INTO traces_app_redactionrule (kind, expression, project, replacement, enabled) VALUES"
        " ('pattern', 'acct-[0-9]+', 'ruled', '[account]', true), ('pattern', '(', '', 'x', true)"
    )

    def name_in(project: str) -> str:
        given = run(name="pay acct-42", session_name=project)
        assert send(http, multipart(post(given))).status_code == 202
        (held,) = reader.load_runs_by_id(cur, [given["id"]])
        return held.name

    wait_until(lambda: name_in("ruled") == "pay [account]")
    assert name_in("free") == "pay acct-42"


def test_what_cannot_be_redacted_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    from traces_app.ingest.seal import seal
    from traces_app.store.pack import unpack
    from traces_app.store.records import Bundle

    from .parts import make_part

    def broken(_self: object, _value: object) -> None:
        raise RuntimeError("the rules failed")

    monkeypatch.setattr(redact.Ruleset, "clean", broken)
    part = make_part(payload={"inputs": {"password": "canary"}}, name="canary")
    bundle = seal(Bundle(parts=[part]), redact.Redactor())
    assert unpack(bundle.chunks[0].payload) == [{"inputs": redact.FAILED, "outputs": redact.FAILED}]
    assert part.name == redact.FAILED

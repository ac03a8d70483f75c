"""Bad input: refused with a clear 4xx or quarantined with its reason; the rest is stored and the process lives."""

from __future__ import annotations

import gzip
import json
import socket
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from traces_app.ingest.http import RefusedError
from traces_app.ingest.multipart import form_parts
from traces_app.store import reader

from .conftest import INGEST_KEY, Server

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
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_run_is_quarantined_and_its_neighbour_stored(
    http: httpx.Client, cur: psycopg.Cursor[Any], case: str
) -> None:
    bad, reason = BAD[case]
    good = run()
    assert send(http, multipart(post(bad), post(good))).status_code == 202
    assert stored(cur, good)
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
    "deep": run(inputs=json.loads("[" * 500 + "]" * 500)),
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

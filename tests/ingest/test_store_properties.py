"""Any order, any repetition, any grouping of the same messages ends in the same rows."""

from __future__ import annotations

import asyncio
import copy
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from traces_app.store import reader
from traces_app.store.records import Bundle, RunPart, uuid_text
from traces_app.store.sketch import bucket_of, quantile
from traces_app.store.writer import Writer

from .parts import make_part, sealed

if TYPE_CHECKING:
    import pytest

ROOT = bytes(range(16))
CHILD = bytes(range(1, 17))


def messages() -> list[RunPart]:
    """A trace: a root with two patches that differ, an llm child whose patch carries tokens, a stray patch."""
    llm = {"trace_id": ROOT, "parent_id": ROOT, "run_type": "llm"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "model": "m"}
    outputs = {"outputs": {"text": "done"}}
    return [
        make_part(run_id=ROOT, payload={"inputs": {"q": 1}, "outputs": {}, "events": []}),
        make_part(run_id=ROOT, kind=1, end=3_000_000, status=1, payload=outputs, facts={"tags": ["a"]}),
        make_part(
            run_id=ROOT, kind=1, end=4_000_000, status=2, payload={}, facts={"error": "late", "tags": ["b"]}
        ),
        make_part(run_id=CHILD, name="child", **llm),
        make_part(run_id=CHILD, name="", kind=1, end=2_500_000, status=1, **llm, **usage),
        make_part(
            run_id=bytes([9] * 16),
            kind=1,
            trace_id=ROOT,
            parent_id=CHILD,
            end=2_000_000,
            status=1,
            start=None,
        ),
    ]


def digest(cur: psycopg.Cursor[Any]) -> tuple[Any, ...]:
    trace = uuid_text(ROOT)
    runs = reader.load_runs(cur, [trace])
    payloads = [reader.load_payload(cur, r.run_id) for r in runs]
    cur.execute("SELECT to_jsonb(h) - '{day,seen_at,updated_at}'::text[] FROM traces_app_tracehead h")
    heads = cur.fetchall()
    cur.execute(
        "SELECT minute, model, kind, runs, errors, total_tokens, cost, latency FROM traces_app_rollup"
        " WHERE runs <> 0 OR total_tokens <> 0 ORDER BY 1, 2, 3"
    )
    rollups = [(*row[:-1], {i: n for i, n in enumerate(row[-1]) if n}) for row in cur.fetchall()]
    return runs, payloads, heads, rollups


async def write(url: str, groups: list[list[RunPart]], writers: int) -> None:
    conns = [await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in range(writers)]
    makers = [Writer(price=lambda _run: Decimal("0.001")) for _ in range(writers)]
    for at, group in enumerate(groups):
        bundles = [sealed(Bundle(parts=copy.deepcopy(group)))]
        await makers[at % writers].write(conns[at % writers], bundles)
    for conn in conns:
        await conn.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_rows_do_not_depend_on_order_repetition_or_grouping(
    store_url: str, cur: psycopg.Cursor[Any], data: st.DataObject
) -> None:
    parts = messages()
    order = data.draw(st.permutations(range(len(parts))))
    again = data.draw(st.lists(st.sampled_from(order), max_size=6))
    cuts = data.draw(
        st.lists(st.booleans(), min_size=len(order) + len(again), max_size=len(order) + len(again))
    )
    groups: list[list[RunPart]] = [[]]
    for index, cut in zip([*order, *again], cuts, strict=True):
        groups[-1].append(parts[index])
        if cut:
            groups.append([])
    found = []
    for case in ([parts], groups):
        for table in ("runpart", "chunk", "tracehead", "rollup"):
            cur.execute(f"DELETE FROM traces_app_{table}")
        asyncio.run(write(store_url, [g for g in case if g], data.draw(st.integers(1, 2))))
        found.append(digest(cur))
    assert found[0] == found[1]
    runs, payloads = found[0][0], found[0][1]
    root = next(i for i, r in enumerate(runs) if r.run_id == uuid_text(ROOT))
    assert payloads[root].outputs == {
        "text": "done"
    }  # neither the post's {} nor the later patch took it away
    assert (runs[root].status, runs[root].error, set(runs[root].tags)) == ("error", "late", {"a", "b"})


async def test_two_processes_that_meet_a_new_trace_at_once_count_it_once(
    store_url: str, cur: psycopg.Cursor[Any]
) -> None:
    from traces_app.ingest.group_commit import GroupCommit

    parts = messages()
    groups = [GroupCommit(store_url, Writer(price=lambda _run: None)) for _ in range(4)]
    for group in groups:
        await group.start()
    work = [
        g.commit(sealed(Bundle(parts=[copy.deepcopy(p)]))) for _ in range(5) for p in parts for g in groups
    ]
    await asyncio.gather(*work)
    for group in groups:
        await group.stop()
    cur.execute("SELECT runs, open_runs, errors, total_tokens FROM traces_app_tracehead")
    assert cur.fetchall() == [(3, 0, 1, 15)]
    cur.execute("SELECT count(*) FROM traces_app_runpart")
    assert cur.fetchone() == (6,)


async def test_a_patch_that_repeats_its_post_is_stored(store_url: str, cur: psycopg.Cursor[Any]) -> None:
    post = make_part(run_id=ROOT, digest=7)
    patch = make_part(run_id=ROOT, digest=7, kind=1)
    async with await psycopg.AsyncConnection.connect(store_url, autocommit=True) as conn:
        for part in (post, patch):
            assert await Writer(price=lambda _run: None).write(conn, [sealed(Bundle(parts=[part]))]) == 1
    assert reader.load_runs(cur, [uuid_text(ROOT)])


async def test_what_is_at_odds_with_the_store_holds_up_itself_alone(
    store_url: str, cur: psycopg.Cursor[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from traces_app.ingest import group_commit

    monkeypatch.setattr(group_commit, "PATIENCE_S", 0.2)
    stored, other, neighbour = (sealed(Bundle(parts=[make_part(trace_id=ROOT, digest=n)])) for n in range(3))
    other.parts[0].chunk_id = other.chunks[0].chunk_id = stored.chunks[0].chunk_id
    group = group_commit.GroupCommit(store_url, Writer(price=lambda _run: None))
    await group.start()
    await group.commit(stored)
    said = await asyncio.gather(group.commit(other), group.commit(neighbour), return_exceptions=True)
    await group.stop()
    assert [type(one) for one in said] == [group_commit.UnavailableError, type(None)]
    assert len(reader.load_runs(cur, [uuid_text(ROOT)])) == 2


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200))
def test_a_quantile_of_the_sketch_is_at_most_five_percent_off(durations: list[int]) -> None:
    counts = [0] * 200
    for duration in durations:
        counts[bucket_of(duration)] += 1
    true = sorted(durations)[len(durations) // 2 if len(durations) % 2 else (len(durations) - 1) // 2] / 1000
    read = quantile(counts, 0.5)
    assert read is not None
    assert read <= 1.0 if true <= 1 else abs(read - true) / true < 0.06

"""The door of ingest: the same rows through psycopg alone, without Django."""

from __future__ import annotations

import random
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback_app.store import (
    ECHO_MARK,
    UPSERT,
    FeedbackError,
    FeedbackRecord,
    parameters,
    record_from_langsmith,
    upsert_feedback,
)

RUN = "0192f000-0000-7000-8000-000000000001"
ID = "0192f000-0000-7000-8000-0000000000aa"
T0 = datetime(2026, 11, 20, tzinfo=UTC)


def record(**fields: Any) -> FeedbackRecord:
    base = FeedbackRecord(id=ID, run_id=RUN, key="k", score=0.5, created_at=T0, modified_at=T0)
    return replace(base, **fields)


async def stored(conn: psycopg.AsyncConnection[Any]) -> list[Any]:
    cursor = await conn.execute("SELECT score, comment, project FROM feedback_app_feedback ORDER BY id")
    return await cursor.fetchall()


async def test_idempotent_by_id_and_edited_by_the_newest(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        assert await upsert_feedback(conn, [record()]) == {ID: True}
        assert await upsert_feedback(conn, [record()]) == {}
        newer = record(score=0.9, modified_at=T0 + timedelta(seconds=1))
        assert await upsert_feedback(conn, [newer]) == {ID: False}
        assert await upsert_feedback(conn, [record(score=0.1)]) == {}, "an older copy came late"
        assert await stored(conn) == [(0.9, "", "")]


async def test_what_we_delivered_to_ourselves_never_overwrites(database_url: str) -> None:
    late = record(score=0.1, source_metadata={ECHO_MARK: ID}, modified_at=T0 + timedelta(days=1))
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        await upsert_feedback(conn, [record()])
        assert await upsert_feedback(conn, [late]) == {}
        assert await stored(conn) == [(0.5, "", "")]


async def test_another_project_cannot_edit_by_guessing_an_id(database_url: str) -> None:
    theirs = record(score=0.0, project="b", modified_at=T0 + timedelta(days=1))
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        await upsert_feedback(conn, [record(project="a")])
        assert await upsert_feedback(conn, [theirs]) == {}
        assert await stored(conn) == [(0.5, "", "a")]


async def test_any_order_of_edits_ends_in_the_newest(database_url: str) -> None:
    edits = [record(score=index / 10, modified_at=T0 + timedelta(seconds=index)) for index in range(10)]
    for seed in range(20):
        random.Random(seed).shuffle(edits)
        async with await psycopg.AsyncConnection.connect(database_url) as conn:
            for edit in edits:
                await upsert_feedback(conn, [edit])
            assert await stored(conn) == [(0.9, "", "")]
            await conn.rollback()


def test_both_sdks_forms_are_read() -> None:
    """Python sends everything, JavaScript the bare minimum."""
    python = {
        "id": ID,
        "created_at": "2026-11-20T00:00:00Z",
        "run_id": RUN,
        "trace_id": RUN,
        "key": "correct",
        "score": True,
        "feedback_source": {"type": "model", "metadata": {"a": 1}},
        "session_id": None,
    }
    read = record_from_langsmith(python)
    assert (read.score, read.source, read.created_at) == (1.0, "model", T0)
    script = {
        "id": ID,
        "run_id": RUN,
        "trace_id": RUN,
        "key": "correct",
        "score": 0.3,
        "feedback_source": {"type": "api"},
    }
    assert record_from_langsmith(script, now=T0).created_at == T0


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ("id", "run_id", "trace_id", "key", "score", "value", "comment", "feedback_source", "created_at")
        ),
        st.one_of(
            st.none(),
            st.text(),
            st.integers(),
            st.floats(),
            st.booleans(),
            st.just(ID),
            st.lists(st.integers()),
            st.dictionaries(st.text(), st.text()),
        ),
    )
    | st.text()
)
def test_any_body_is_read_or_refused_by_field(body: Any) -> None:
    try:
        read = record_from_langsmith(body)
    except FeedbackError as error:
        refused = error.field
        assert refused in {*body, "id", "run_id", "key"} if isinstance(body, dict) else refused == "feedback"
        return
    assert read.run_id
    assert read.key


def test_the_store_needs_no_django() -> None:
    code = "import feedback_app.store, sys; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(FeedbackError, match="JSON object"):
        record_from_langsmith([])


ROLLUP = "SELECT assistant_id, pool, model, routing_version, key, source, given, scored, score_sum FROM feedback_app_feedbackrollup"
BIND = (
    "UPDATE feedback_app_feedback SET bound_at = now(), assistant_id = 'email_compose', pool = 'EMAIL',"
    " model = 'gpt', routing_version = 3 WHERE bound_at IS NULL"
)
MOVES = st.lists(
    st.tuples(
        st.sampled_from(("put", "bind", "retract", "delete")),
        st.integers(1, 3),
        st.sampled_from((None, 0.1, 0.7, 1.0, 1e300)),
    ),
    max_size=12,
)


async def rollup(conn: psycopg.AsyncConnection[Any]) -> list[Any]:
    await conn.execute("SET CONSTRAINTS feedback_roll_up IMMEDIATE")  # as a commit would
    return await (await conn.execute(ROLLUP)).fetchall()


async def test_a_roll_up_begins_with_the_run_and_follows_an_edit(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        await upsert_feedback(conn, [record(score=0.1)])
        assert await rollup(conn) == [], "whose it is is not known yet"
        await conn.execute(BIND)
        edit = record(score=0.7, modified_at=T0 + timedelta(seconds=1))
        for _ in range(3):
            await upsert_feedback(conn, [edit])
        place = ("email_compose", "EMAIL", "gpt", 3, "k", "api")
        assert await rollup(conn) == [(*place, 1, 1, Decimal("0.7"))]
        await conn.execute("UPDATE feedback_app_feedback SET retracted_at = now()")
        assert await rollup(conn) == [(*place, 0, 0, Decimal(0))]


@given(MOVES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_roll_up_is_what_the_rows_add_up_to(database_url: str, moves: list[Any]) -> None:
    counted = (
        "SELECT count(*), count(*) FILTER (WHERE abs(score) < 1e15), coalesce(sum(score::numeric(38, 12))"
        " FILTER (WHERE abs(score) < 1e15), 0) FROM feedback_app_feedback WHERE retracted_at IS NULL AND bound_at IS NOT NULL"
    )
    summed = "SELECT coalesce(sum(given), 0), coalesce(sum(scored), 0), coalesce(sum(score_sum), 0) FROM feedback_app_feedbackrollup"
    with psycopg.connect(database_url) as conn:
        for step, (move, number, score) in enumerate(moves):
            one = str(uuid.UUID(int=number))
            if move == "put":
                at = T0 + timedelta(seconds=step)
                conn.execute(UPSERT, parameters(record(id=one, score=score, modified_at=at)))
            elif move == "bind":
                conn.execute(BIND)
            elif move == "retract":
                conn.execute("UPDATE feedback_app_feedback SET retracted_at = now() WHERE id = %s", (one,))
            else:
                conn.execute("DELETE FROM feedback_app_feedback WHERE id = %s", (one,))
        conn.execute("SET CONSTRAINTS feedback_roll_up IMMEDIATE")  # as a commit would
        assert conn.execute(summed).fetchone() == conn.execute(counted).fetchone()
        conn.rollback()


def test_transactions_that_meet_in_two_orders_do_not_wait_for_each_other(database_url: str) -> None:
    """One binds and edits feedback of two roll-ups, the other the same two the other way round."""
    ids = [str(uuid.uuid4()) for _ in range(4)]
    place = "UPDATE feedback_app_feedback SET bound_at = now(), assistant_id = %s WHERE id = %s"
    with psycopg.connect(database_url) as one, psycopg.connect(database_url) as two:
        for each in ids:
            one.execute(UPSERT, parameters(record(id=each, score=0.5)))
        one.commit()
        try:
            for conn in (one, two):
                conn.execute("SET LOCAL lock_timeout = '2s'")
            one.execute(place, ("first", ids[0]))
            two.execute(place, ("second", ids[1]))
            one.execute(place, ("second", ids[2]))
            two.execute(place, ("first", ids[3]))
            one.execute("SET CONSTRAINTS ALL IMMEDIATE")  # as far as a commit goes before it lets go
            with ThreadPoolExecutor(1) as beside:
                committed = beside.submit(two.commit)
                with pytest.raises(TimeoutError):
                    committed.result(timeout=0.2)
                one.commit()
                committed.result(timeout=10)
            by_place = (
                "SELECT assistant_id, sum(given) FROM feedback_app_feedbackrollup GROUP BY 1 ORDER BY 1"
            )
            assert one.execute(by_place).fetchall() == [("first", 2), ("second", 2)]
        finally:
            one.rollback()
            two.rollback()
            one.execute("TRUNCATE feedback_app_feedback, feedback_app_feedbackrollup CASCADE")
            one.commit()

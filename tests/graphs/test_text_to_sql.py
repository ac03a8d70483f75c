from __future__ import annotations

import socket

import pytest

from contract.errors import LangGraphError
from contract.shapes import SHAPES
from fleet.graphs.core.text_to_sql import build_graph
from fleet.kit import platform_sql
from fleet.kit.platform_sql import check
from fleet.kit.rules.desk import _QUESTIONS, write_sql

SLOW, WEATHER = SHAPES["text_to_sql"]["examples"]


@pytest.fixture
def tables(db, settings, monkeypatch):
    """The platform's own tables, as Django made them for the tests."""
    from django.db import connection
    from psycopg.conninfo import make_conninfo

    facts = {
        key: value
        for key, value in connection.get_connection_params().items()
        if key in ("host", "port", "user", "password", "dbname")
    }
    monkeypatch.setenv("DATABASE_URL", make_conninfo("", **facts))


async def ask(question):
    return await build_graph().ainvoke({"question": question})


def query(sql):
    return {"decision": "query", "sql": sql, "explanation": "so"}


QUESTIONS = (
    "slowest",
    "cost",
    "tokens",
    "ratings",
    "what failed today?",
    "disabled",
    "which graphs",
    "mails",
    "enrolled",
    "campaigns",
    "pools",
    "runs this week",
)


@pytest.mark.django_db(transaction=True)
async def test_known_questions_run_against_the_real_tables(tables):
    for question in QUESTIONS:
        found = await ask(question)
        assert (found["outcome"], found["explanation"][:6]) == ("answered", "Shows "), question
        assert found["columns"]


def test_every_known_question_passes_the_check():
    for _pattern, sql, _shows in _QUESTIONS:
        assert check(sql.format(where="WHERE status > 1", where_failed="")) == ""


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM graphs",
        "SELECT 1; DROP TABLE x",
        "WITH x AS (DELETE FROM graphs RETURNING 1) SELECT * FROM x",
        "SELECT * FROM registry_app_apikey",
        "SELECT * FROM pg_authid",
        "SELECT * FROM information_schema.tables",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT query_to_xml('select 1', true, true, '')",
        "SELECT current_setting('x')",
        'SELECT * FROM "registry_app_apikey"',
        "SELECT 1 -- comment",
        "SELECT 1 /* comment */",
        "SELECT $$x$$",
        "SELECT E'\\\\x'",
        "COPY graphs TO PROGRAM 'id'",
        "SELECT * INTO x FROM graphs",
        "SELECT * FROM graphs FOR UPDATE",
        "TABLE graphs",
        "SELECT 1) AS a, (SELECT 2",
        "SELECT 1) AS asked; SELECT (1",
        "SELECT ((1)",
        "SELECT user",
        "SELECT current_role",
        "SELECT string_agg(name, '') FROM campaigns",
        "SELECT n.repeat FROM graphs n, repeat('x', 9)",
        "SELECT xpath('/', '<a/>')",
        "SELECT set_config('statement_timeout', '0', true)",
        "SELECT nextval('x')",
        "SELECT public.dblink('x')",
        "SELECT U&'\\0061'",
        "SELECT 1 AS \u0130d",
        "SELECT 'open",
        "",
    ],
)
def test_words_that_are_refused(sql):
    assert check(sql)


@pytest.mark.django_db(transaction=True)
async def test_refused_query_gets_one_repair(tables, model):
    service = model(query("DELETE FROM graphs"), query("SELECT count(*) AS n FROM graphs"))
    found = await ask("how many graphs?")
    assert (found["outcome"], found["rows"]) == ("answered", [[0]])
    assert (
        "delete is not allowed" in service.asked[1].body["messages"][1]["content"] or len(service.asked) == 2
    )
    service = model(query("SELECT nothing FROM graphs"))
    found = await ask("how many graphs?")
    assert (found["outcome"], len(service.asked)) == ("refused", 2)
    assert "nothing" in found["explanation"]


@pytest.mark.django_db(transaction=True)
async def test_table_outside_the_views_is_refused_by_the_plan(tables, model):
    model(query("SELECT * FROM auth_user"))
    found = await ask("who?")
    assert found["outcome"] == "refused"
    assert "auth_user, which is not one of the views" in found["explanation"]


@pytest.mark.django_db(transaction=True)
async def test_long_query_and_long_answer_are_cut_off(tables, model):
    model(query("SELECT n FROM generate_series(1, 100000) AS n"))
    found = await ask("count")
    assert (len(found["rows"]), found["truncated"]) == (200, True)
    model(query("SELECT count(*) FROM generate_series(1, 100000000) AS a, generate_series(1, 1000) AS b"))
    found = await ask("count")
    assert "took longer than 3 s" in found["explanation"]


#: Few rows, much in them: by their number of columns, and by a figure that is short until it is written out.
WIDE = f"WITH w AS (SELECT '{'x' * 1000}' AS t) SELECT {','.join(['t'] * 900)} FROM w, generate_series(1, 20) AS n"
LONG = f"WITH w AS (SELECT 1e100000 AS t) SELECT {','.join(['t'] * 50)} FROM w"
HARMFUL = {
    WIDE: "bytes, more than 1000000",
    LONG: "bytes, more than 1000000",
    "WITH graphs AS (SELECT * FROM auth_user) SELECT * FROM graphs": "auth_user, which is not one of",
    "SELECT (SELECT max(password) FROM auth_user) AS p": "auth_user, which is not one of",
    "SELECT 1 AS n FROM graphs WHERE EXISTS (SELECT 1 FROM auth_user)": "auth_user, which is not one of",
    "SELECT '\0'": "a NUL character",
    "SELECT 1/0": "division by zero",
}


@pytest.mark.django_db(transaction=True)
async def test_queries_made_to_harm_end_as_refused(tables, model):
    for sql, problem in HARMFUL.items():
        model(query(sql), query(sql))
        found = await ask("how many?")
        assert (found["outcome"], found["rows"]) == ("refused", []), sql[:80]
        assert problem in found["explanation"]


async def test_server_that_accepts_and_never_answers_is_left(monkeypatch):
    """As a frozen PostgreSQL does, whose kernel still takes connections."""
    monkeypatch.setattr(platform_sql, "PATIENCE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        port = frozen.getsockname()[1]
        monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{port}/none")
        found = await ask(SLOW["question"])
    assert (found["outcome"], found["partial"]) == ("unanswered", True)
    assert found["missing"] == ["the platform's database: gave no answer within 0.3 s"]


async def test_two_decisions_of_the_model_take_two_paths(model, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    model({"decision": "cannot", "sql": "", "explanation": "no view holds it"})
    assert (await ask("x"))["outcome"] == "cannot"
    model(query("SELECT 1 AS one"))
    found = await ask("x")
    assert (found["outcome"], found["partial"], found["sql"]) == ("unanswered", True, "SELECT 1 AS one")
    assert found["missing"] == ["the platform's database: needs DATABASE_URL, which is not set"]


async def test_database_that_is_away_is_named(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    found = await ask(SLOW["question"])
    assert (found["outcome"], found["partial"]) == ("unanswered", True)
    assert "cannot be reached" in found["missing"][0]


async def test_question_nobody_wrote_a_rule_for_is_honestly_not_answered():
    found = await ask(WEATHER["question"])
    assert (found["outcome"], "set LLM_MODEL" in found["explanation"]) == ("cannot", True)


async def test_empty_question_is_refused():
    with pytest.raises(LangGraphError, match="question: "):
        await ask(" ")


def test_time_in_a_question_becomes_a_bound():
    assert "interval '7 days'" in write_sql({"question": "what failed this week?"})["sql"]

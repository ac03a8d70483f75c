"""`admin_chat` against a platform on loopback that answers in the API's shapes."""

from __future__ import annotations

import json

import pytest

from contract.errors import LangGraphError
from contract.shapes import SHAPES
from fleet.graphs.core.admin_chat import build_graph
from fleet.kit.rules import operator

HEALTHY, WHERE, FAILED, RAIN = SHAPES["admin_chat"]["examples"]
POOL = {"slug": "CORE", "live": True, "replicas": [{"url": "http://x", "breaker": "closed"}], "active": 1, "limit": 64, "queued": 0, "queue": 128, "assistants": 7, "state": "healthy"}  # fmt: skip
API = {
    "/api/fleet": {
        "dispatcher": {"answers": True, "detail": "", "routing_version": 3, "database": "up", "records": {}},
        "published_version": 3,
        "pools": [POOL, {**POOL, "slug": "EMAIL", "state": "down", "assistants": 8}],
        "drill": None,
    },
    "/api/routing/explain": {"version": 3, "assistant_id": "classify_reply", "steps": [], "status": 200, "code": "ROUTED", "pool": "CLASSIFY", "url": "http://x", "matched": True, "reason": "CLASSIFY lists classify_reply"},
    "/api/traces": {"items": [{"id": "01a21921-b263-707a-8225-6878fd8efcbe", "name": "probe_email", "status": "error", "start": "2026-11-26T18:32:48.519Z", "assistant_id": "probe_email", "pools": ["EMAIL"]}], "next_cursor": None, "tail": None, "total_hint": None},
    "/api/diagnostics/findings": {"items": []},
}  # fmt: skip


@pytest.fixture
def platform(loopback, monkeypatch):
    def answer(asked):
        assert (asked.method, asked.headers["x-api-key"]) == ("GET", "key-of-the-pool")
        found = API.get(asked.path)
        return (200, {}, found) if found else (404, {}, {"detail": "no such thing"})

    service = loopback(answer)
    monkeypatch.setenv("PLATFORM_URL", service.base_url)
    monkeypatch.setenv("PLATFORM_API_KEY", "key-of-the-pool")
    return service


async def chat(payload):
    return await build_graph().ainvoke(payload)


def says(decision, tool="", argument="", answer=""):
    return {"decision": decision, "tool": tool, "argument": argument, "answer": answer}


@pytest.mark.parametrize(
    ("question", "tool", "words"),
    [
        (HEALTHY["question"], "fleet", "1 of 2 pools is not healthy: EMAIL is down. CORE serves 7 graphs"),
        (WHERE["question"], "route", "classify_reply runs in pool CLASSIFY: CLASSIFY lists classify_reply (routing version 3)."),
        (FAILED["question"], "traces", "There is 1 failed action: probe_email (1). The newest is probe_email of 2026-11-26 18:32 UTC"),
        ("Which traces were slow?", "traces", "There is 1 action of 5 s and more: probe_email (1)."),
        ("Any findings?", "findings", "Nothing is open"),
        ("What happened in 01a21921-b263-707a-8225-6878fd8efcbe?", "trace", "No action with the id 01a21921"),
    ],
)  # fmt: skip
async def test_offline_answers_say_what_they_read(platform, question, tool, words):
    found = await chat({"question": question})
    assert (found["outcome"], found["sources"][0]["tool"], found["partial"]) == ("answered", tool, False)
    assert found["answer"].startswith(words)


async def test_question_no_read_can_tell_is_honestly_not_answered(platform):
    found = await chat(RAIN)
    assert (found["outcome"], found["sources"], platform.asked) == ("cannot", [], [])
    assert "offline rules" in found["answer"]


async def test_model_reads_until_it_can_answer(platform, model):
    service = model(
        says("read", "fleet"), says("read", "traces", "status:error"), says("answer", answer="EMAIL is down.")
    )
    found = await chat(FAILED)
    assert (found["outcome"], found["answer"]) == ("answered", "EMAIL is down.")
    assert [one["tool"] for one in found["sources"]] == ["fleet", "traces"]
    assert platform.asked[1].query["q"] == "status:error"
    told = json.loads(service.asked[2].body["messages"][1]["content"])
    assert told["reads"][0]["result"]["pools"][1]["state"] == "down"


async def test_two_decisions_of_the_model_take_two_paths(platform, model):
    model(says("cannot", answer="nobody knows"))
    assert (await chat(RAIN))["outcome"] == "cannot"
    assert platform.asked == []
    model(says("read", "fleet"), says("answer", answer="fine"))
    assert (await chat(RAIN))["outcome"] == "answered"
    assert len(platform.asked) == 1


async def test_calls_a_model_makes_up_are_refused_and_told(platform, model):
    service = model(
        says("read", "delete_pool", "EMAIL"),
        says("read", "route", "../../admin"),
        says("read", "fleet"),
        says("read", "fleet"),
        says("answer", answer="done"),
    )
    found = await chat(HEALTHY)
    assert [(one["tool"], one["ok"]) for one in found["sources"]] == [
        ("delete_pool", False),
        ("route", False),
        ("fleet", True),
        ("fleet", False),
    ]
    assert len(platform.asked) == 1
    assert "there is no tool" in service.asked[1].body["messages"][1]["content"]


async def test_model_that_never_stops_reading_is_stopped(platform, model):
    service = model(*(says("read", tool) for tool in ("fleet", "findings", "ledger", "drift", "graphs")))
    found = await chat(HEALTHY)
    assert (found["outcome"], len(service.asked), len(found["sources"])) == ("cannot", 5, 4)


async def test_answer_without_a_read_is_none(platform, model):
    model(says("answer", answer="All is well, trust me."))
    found = await chat(HEALTHY)
    assert (found["outcome"], "trust me" in found["answer"]) == ("cannot", False)


async def test_platform_that_is_away_is_named(monkeypatch):
    monkeypatch.setenv("PLATFORM_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PLATFORM_API_KEY", "key-of-the-pool")
    found = await chat(HEALTHY)
    assert (found["outcome"], found["partial"]) == ("unanswered", True)
    assert found["missing"][0].startswith("the platform: cannot be reached")


async def test_nonsense_twice_is_a_backend_error_and_silence_a_client_error(model):
    model("nonsense")
    with pytest.raises(LangGraphError, match="twice") as caught:
        await chat(HEALTHY)
    assert caught.value.kind == "backend"
    with pytest.raises(LangGraphError, match="question: "):
        await chat({"question": " "})


@pytest.mark.parametrize(
    ("actions", "graphs", "words"),
    [
        (1, 1, "There is 1 action: g0 (1). The newest"),
        (3, 2, "There are 3 actions: g0 (2) and g1 (1). The newest"),
        (40, 2, "The newest 40 actions are of these graphs: g0 (20) and g1 (20). The newest"),
        (40, 8, "The newest 40 actions are of these graphs: g0 (5), g1 (5), g2 (5), g3 (5), g4 (5) and 3 other graphs. The"),
    ],
)  # fmt: skip
def test_offline_words_for_few_and_many_actions(actions, graphs, words):
    rows = [
        {"assistant_id": f"g{n % graphs}", "name": "a", "status": "ok", "id": "i"} for n in range(actions)
    ]
    reads = [{"tool": "traces", "argument": "", "ok": True, "result": {"items": rows}}]
    told = operator.RULES["admin_chat.decide"]({"question": "Which runs were there?", "reads": reads})
    assert told["answer"].startswith(words)

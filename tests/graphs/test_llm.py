from __future__ import annotations

import json
import threading

import pytest
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler

from contract.errors import LangGraphError
from fleet.kit.llm import LLMSettings, ask, chat_model, parse_answer
from fleet.kit.prompts import Prompt, answer_object, choice, text
from fleet.kit.rules import rule_for

PROMPT = Prompt("test.pick", "Pick one.", answer_object(pick=choice("a", "b")))


async def test_real_endpoint_gets_the_prompt_and_its_usage_is_reported(model):
    service = model({"pick": "a"})
    answer = await ask(PROMPT, topic="x")
    assert answer.data == {"pick": "a"}
    assert answer.facts() == {
        "model": "openai:small-1",
        "prompts": {"test.pick": PROMPT.version},
        "usage": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120},
    }
    (asked,) = service.asked
    assert asked.headers["authorization"] == "Bearer sk-loopback-secret"
    assert asked.body["model"] == "small-1"
    assert [message["role"] for message in asked.body["messages"]] == ["system", "user"]
    assert json.loads(asked.body["messages"][1]["content"]) == {"topic": "x"}


async def test_traced_run_names_model_provider_prompt_and_tokens(model):
    model({"pick": "b"})
    collector = RunCollectorCallbackHandler()
    token = var_child_runnable_config.set({"callbacks": [collector]})
    try:
        await ask(PROMPT)
    finally:
        var_child_runnable_config.reset(token)
    (run,) = collector.traced_runs
    assert run.extra is not None
    metadata = run.extra["metadata"]
    assert (run.run_type, run.name) == ("llm", "test.pick")
    assert (metadata["ls_provider"], metadata["ls_model_name"]) == ("openai", "small-1")
    assert metadata["prompt_version"] == PROMPT.version
    assert run.outputs is not None
    usage = run.outputs["generations"][0][0]["message"]["kwargs"]["usage_metadata"]
    assert usage["total_tokens"] == 120
    assert usage["input_token_details"] == {"cache_read": 64}
    assert "sk-loopback-secret" not in run.model_dump_json()


async def test_one_repair_is_asked_for_with_the_reason_and_both_calls_are_counted(model):
    service = model("Sure! I pick c.", '```json\n{"pick": "b"}\n```')
    answer = await ask(PROMPT)
    assert answer.data == {"pick": "b"}
    assert answer.usage["total_tokens"] == 240
    repair = service.asked[1].body["messages"]
    assert [message["role"] for message in repair] == ["system", "user", "assistant", "user"]
    assert "no complete JSON object" in repair[-1]["content"]


async def test_nonsense_twice_is_a_backend_error_and_no_third_call(model):
    service = model({"pick": "z"}, {"pick": 7})
    with pytest.raises(
        LangGraphError, match=r"openai:small-1 gave no usable answer for test.pick, twice: pick"
    ) as caught:
        await ask(PROMPT)
    assert caught.value.kind == "backend"
    assert len(service.asked) == 2


async def test_endpoint_that_fails_once_is_tried_again(model):
    service = model({"pick": "a"})
    good = service.answer
    service.answer = lambda asked: (
        good(asked) if len(service.asked) > 1 else (503, {"retry-after": "0"}, {"error": {}})
    )
    assert (await ask(PROMPT)).data == {"pick": "a"}
    assert len(service.asked) == 2


async def test_refused_key_is_a_backend_error_without_retry_and_without_the_key(model):
    service = model({"pick": "a"})
    service.answer = lambda asked: (
        401,
        {},
        {"error": {"message": "Incorrect API key provided: sk-loopback-secret"}},
    )
    with pytest.raises(LangGraphError) as caught:
        await ask(PROMPT)
    assert (caught.value.kind, caught.value.status) == ("backend", 401)
    assert "sk-loopback-secret" not in str(caught.value)
    assert len(service.asked) == 1


async def test_answer_that_is_no_completion_is_a_backend_error(model):
    service = model("")
    service.answer = lambda asked: (200, {}, {"object": "list", "data": []})
    with pytest.raises(LangGraphError, match="did not answer with a chat completion"):
        await ask(PROMPT)


async def test_slow_endpoint_is_a_timeout(model, monkeypatch):
    release = threading.Event()

    def answer(asked):
        release.wait(10)
        return 200, {}, {}

    service = model({"pick": "a"})
    service.answer = answer
    monkeypatch.setenv("LLM_TIMEOUT_S", "0.3")
    try:
        with pytest.raises(LangGraphError) as caught:
            await ask(PROMPT)
    finally:
        release.set()
    assert caught.value.kind == "timeout"


async def test_missing_provider_package_is_named():
    with pytest.raises(LangGraphError, match="pip install langchain-mistralai"):
        chat_model(LLMSettings(model="mistralai:small"))


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"LLM_MODEL": "gpt"}, "openai:gpt-4.1-mini"),
        ({"LLM_MODEL": "nobody:x"}, "unknown provider 'nobody'"),
        ({"LLM_TIMEOUT_S": "soon"}, "LLM_TIMEOUT_S"),
        ({"LLM_RETRIES": "-1"}, "LLM_RETRIES"),
        ({"LLM_API_KEY_FILE": "/nonexistent/key"}, "LLM_API_KEY_FILE"),
    ],
)
def test_bad_setting_is_named(env, named):
    with pytest.raises(LangGraphError, match=named):
        chat_model(LLMSettings.from_env(env))


def test_key_is_read_from_a_file_and_never_shown(tmp_path):
    (tmp_path / "key").write_text("sk-from-file\n")
    settings = LLMSettings.from_env({"LLM_API_KEY_FILE": str(tmp_path / "key"), "LLM_MODEL": "openai:x"})
    assert settings.api_key == "sk-from-file"
    assert "sk-from-file" not in repr(settings) + repr(chat_model(settings))


async def test_offline_model_says_what_it_is_and_refuses_tasks_it_has_no_rule_for():
    with pytest.raises(LangGraphError, match=r"offline-rules has no rule for 'test.pick'"):
        await ask(PROMPT)
    params = chat_model(LLMSettings())._get_ls_params()
    assert (params["ls_provider"], params["ls_model_name"]) == ("offline", "offline-rules")
    assert rule_for("email.critique") is not None


def test_prompt_version_changes_with_words_and_schema():
    reworded = Prompt("test.pick", "Pick one now.", PROMPT.schema)
    widened = Prompt("test.pick", "Pick one.", answer_object(pick=choice("a", "b", "c")))
    assert len({PROMPT.version, reworded.version, widened.version}) == 3


@pytest.mark.parametrize(
    "answer",
    ["", "no", "[1]", '{"pick": ', '{"pick": "a", "extra": 1}', "{" * 100_000, '"{}"', '{"pick": "\\ud800"}'],
)
def test_unusable_answers_are_refused_with_a_reason(answer):
    data, problem = parse_answer(answer, PROMPT.schema)
    assert data is None
    assert problem


def test_answer_may_be_wrapped_in_chatter():
    schema = answer_object(line=text())
    assert parse_answer('Here you are:\n{"line": "a {b}"} Anything else?', schema) == ({"line": "a {b}"}, "")

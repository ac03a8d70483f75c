"""Ask a language model, whichever the environment names; with none named, the offline rules answer.

`LLM_MODEL` is `<provider>:<model>`. `openai` speaks to any OpenAI-compatible endpoint (`LLM_BASE_URL`); other
providers use their LangChain package when it is installed. langchain is imported on first use.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import LangGraphError
from fleet.kit.state import add_usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

    from fleet.kit.prompts import Prompt
    from fleet.kit.state import Update

OFFLINE = "offline-rules"
#: Provider → (package to install, chat model class in it) for what is not spoken to directly.
LANGCHAIN_PROVIDERS = {
    "anthropic": ("langchain-anthropic", "ChatAnthropic"),
    "google_genai": ("langchain-google-genai", "ChatGoogleGenerativeAI"),
    "mistralai": ("langchain-mistralai", "ChatMistralAI"),
    "bedrock": ("langchain-aws", "ChatBedrockConverse"),
    "ollama": ("langchain-ollama", "ChatOllama"),
}


@dataclass(frozen=True, slots=True)
class LLMSettings:
    """What the environment says about the model."""

    #: `offline-rules` or `<provider>:<model>`.
    model: str = OFFLINE
    base_url: str = "https://api.openai.com/v1"
    api_key: str = field(default="", repr=False)
    #: One call with its retries.
    timeout_s: float = 60.0
    #: Further attempts after the first.
    retries: int = 2
    #: Calls started per second by this process; 0 is no limit.
    requests_per_second: float = 0.0

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> LLMSettings:
        """Read `LLM_*`. Raises LangGraphError naming the variable that cannot be used."""
        default = cls()
        return cls(
            model=env.get("LLM_MODEL", "").strip() or OFFLINE,
            base_url=(env.get("LLM_BASE_URL", "").strip() or default.base_url).rstrip("/"),
            api_key=_secret(env),
            timeout_s=_number(env, "LLM_TIMEOUT_S", default.timeout_s),
            retries=int(_number(env, "LLM_RETRIES", default.retries)),
            requests_per_second=_number(env, "LLM_REQUESTS_PER_SECOND", default.requests_per_second),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A validated answer and what it took to get it."""

    data: dict[str, Any]
    model: str
    prompt: str
    prompt_version: str
    usage: dict[str, int]

    def facts(self) -> Update:
        """The part of a state update that says who answered."""
        return {"model": self.model, "prompts": {self.prompt: self.prompt_version}, "usage": self.usage}


async def ask(prompt: Prompt, **facts: Any) -> Answer:
    """Have the model do `prompt` on `facts`; an answer against the schema gets one chance of repair.

    Raises LangGraphError: `backend` when the model answers nonsense twice or refuses, `timeout` when it is too slow.
    """
    from langchain_core.messages import HumanMessage, SystemMessage

    settings = LLMSettings.from_env(os.environ)
    messages: list[BaseMessage] = [SystemMessage(prompt.system), HumanMessage(prompt.user(facts))]
    usage: dict[str, int] = {}
    problem = ""
    for attempt in (1, 2):
        message = await _invoke(settings, prompt, messages, attempt)
        usage = add_usage(usage, _counts(message))
        text = str(message.text)
        data, problem = parse_answer(text, prompt.schema)
        if data is not None:
            return Answer(data, settings.model, prompt.name, prompt.version, usage)
        repair = f"That answer cannot be used: {problem}. Send the JSON object again, complete and corrected."
        messages += [message, HumanMessage(repair)]
    raise LangGraphError(
        f"{settings.model} gave no usable answer for {prompt.name}, twice: {problem}", kind="backend"
    )


def parse_answer(text: str, schema: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The JSON object in `text` and "", or None and what is wrong with it. Fences and chatter around it are fine."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    start = text.find("{")
    try:
        data, _end = json.JSONDecoder().raw_decode(text[start:] if start >= 0 else text)
    except (ValueError, RecursionError):
        return None, "it holds no complete JSON object"
    if not isinstance(data, dict):
        return None, "it is not a JSON object"
    if not _is_unicode(data):
        return None, "it holds half of a character (a surrogate that stands alone)"
    error = best_match(Draft202012Validator(schema).iter_errors(data))
    if error is None:
        return data, ""
    where = "/".join(str(part) for part in error.absolute_path) or "the object"
    return None, f"{where}: {error.message[:200]}"


def _is_unicode(data: dict[str, Any]) -> bool:
    """False for a text that no answer, checkpoint or trace could carry; JSON can write it, UTF-8 cannot."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=8)
def chat_model(settings: LLMSettings) -> BaseChatModel:
    """The LangChain chat model for `settings`. Raises LangGraphError when it cannot be had, saying what to do."""
    provider, _, name = settings.model.partition(":")
    if settings.model == OFFLINE:
        from fleet.kit.chat_offline import OfflineRules

        return OfflineRules()
    if not name:
        raise LangGraphError(
            f"LLM_MODEL is {settings.model!r}; it has to look like openai:gpt-4.1-mini", kind="backend"
        )
    if provider == "openai":
        from fleet.kit.chat_openai import ChatOpenAICompatible

        return ChatOpenAICompatible.from_settings(settings, name)
    return _langchain_model(settings, provider, name)


def _langchain_model(settings: LLMSettings, provider: str, name: str) -> BaseChatModel:
    if provider not in LANGCHAIN_PROVIDERS:
        known = ", ".join(["openai", *LANGCHAIN_PROVIDERS])
        raise LangGraphError(
            f"LLM_MODEL names the unknown provider {provider!r}; known: {known}", kind="backend"
        )
    package, class_name = LANGCHAIN_PROVIDERS[provider]
    try:
        module = import_module(package.replace("-", "_"))
    except ImportError:
        raise LangGraphError(
            f"LLM_MODEL={settings.model} needs the package {package}, which is not installed: "
            f"pip install {package}, or serve the model behind an OpenAI-compatible endpoint",
            kind="backend",
        ) from None
    model: BaseChatModel = getattr(module, class_name)(
        model=name
    )  # key and host from the package's own variables
    return model


async def _invoke(
    settings: LLMSettings, prompt: Prompt, messages: list[BaseMessage], attempt: int
) -> AIMessage:
    model = chat_model(settings)
    metadata = {"prompt": prompt.name, "prompt_version": prompt.version, "attempt": attempt}
    extra: dict[str, Any] = {"task": prompt.name} if settings.model == OFFLINE else {}
    return await model.ainvoke(messages, {"metadata": metadata, "run_name": prompt.name}, **extra)


def _counts(message: AIMessage) -> dict[str, int]:
    usage = message.usage_metadata
    if usage is None:
        return {}
    return {
        "input_tokens": usage["input_tokens"],
        "output_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
    }


def _secret(env: Mapping[str, str]) -> str:
    path = env.get("LLM_API_KEY_FILE", "").strip()
    if not path:
        return env.get("LLM_API_KEY", "").strip() or env.get("OPENAI_API_KEY", "").strip()
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as failure:
        raise LangGraphError(f"LLM_API_KEY_FILE cannot be read: {failure.strerror}", kind="backend") from None


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    raw = env.get(name, "").strip()
    try:
        value = float(raw) if raw else float(default)
    except ValueError:
        raise LangGraphError(f"{name} is {raw!r}, not a number", kind="backend") from None
    if not 0 <= value < 3600:
        raise LangGraphError(f"{name} is {raw}; it has to be from 0 to 3600", kind="backend")
    return value

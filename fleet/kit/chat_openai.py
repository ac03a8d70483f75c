"""A LangChain chat model for any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import SecretStr

from contract.errors import LangGraphError
from fleet.kit.http import Source, SourceError, connect

if TYPE_CHECKING:
    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models.base import LangSmithParams

    from fleet.kit.llm import LLMSettings

MAX_CALLS_IN_FLIGHT = 16


class ChatOpenAICompatible(BaseChatModel):
    """Chat completions over HTTP: `POST {base_url}/chat/completions`, not streamed."""

    model_name: str
    base_url: str
    api_key: SecretStr
    timeout_s: float
    retries: int

    @classmethod
    def from_settings(cls, settings: LLMSettings, model_name: str) -> ChatOpenAICompatible:
        rate = settings.requests_per_second
        return cls(
            model_name=model_name,
            base_url=settings.base_url,
            api_key=SecretStr(settings.api_key),
            timeout_s=settings.timeout_s,
            retries=settings.retries,
            rate_limiter=InMemoryRateLimiter(requests_per_second=rate) if rate else None,
        )

    @property
    def _llm_type(self) -> str:
        return "openai-compatible"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "openai"
        return params

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return asyncio.run(self._agenerate(messages, stop, **kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        body = {"model": self.model_name, "messages": convert_to_openai_messages(messages), **kwargs}
        if stop:
            body["stop"] = stop
        try:
            async with connect(self._source()) as session:
                answer = await session.post_json("/chat/completions", body, retry_safe=True)
        except SourceError as failure:
            raise LangGraphError(
                str(failure),
                kind="timeout" if failure.timed_out else "backend",
                status=failure.status,
                retry_safe=True,
            ) from None
        return _result(answer, self.model_name)

    def _source(self) -> Source:
        key = self.api_key.get_secret_value()
        return Source(
            name=f"model endpoint for {self.model_name}",
            base_url=self.base_url,
            headers={"authorization": f"Bearer {key}"} if key else {},
            concurrency=MAX_CALLS_IN_FLIGHT,
            connect_timeout_s=5.0,
            total_timeout_s=self.timeout_s,
            attempts=1 + self.retries,
        )


def _result(answer: Any, model_name: str) -> ChatResult:
    try:
        choice = answer["choices"][0]
        content = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise LangGraphError(
            f"the endpoint of {model_name} did not answer with a chat completion", kind="backend"
        ) from None
    facts = {"model_name": answer.get("model", model_name), "finish_reason": choice.get("finish_reason")}
    message = AIMessage(
        content=content if isinstance(content, str) else "",
        usage_metadata=_usage(answer.get("usage")),
        response_metadata=facts,
    )
    return ChatResult(generations=[ChatGeneration(message=message)], llm_output=facts)


def _usage(usage: Any) -> UsageMetadata | None:
    """Token counts as LangChain names them; None when the endpoint reports none (never guessed)."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    counts = UsageMetadata(
        input_tokens=prompt,
        output_tokens=completion,
        total_tokens=_count(usage, "total_tokens") or prompt + completion,
    )
    if cached := _count(usage.get("prompt_tokens_details"), "cached_tokens"):
        counts["input_token_details"] = InputTokenDetails(cache_read=cached)
    if reasoning := _count(usage.get("completion_tokens_details"), "reasoning_tokens"):
        counts["output_token_details"] = OutputTokenDetails(reasoning=reasoning)
    return counts


def _count(counts: Any, key: str) -> int:
    value = counts.get(key) if isinstance(counts, dict) else None
    return value if isinstance(value, int) and value >= 0 else 0

"""The model that answers when none is configured: deterministic rules and templates, and it says so.

It is no language model. It knows the tasks in `fleet.kit.rules` and nothing else; its tokens are words and marks,
counted so that roll-ups of usage work, and they cost nothing.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult

from contract.errors import LangGraphError
from fleet.kit.rules import rule_for

if TYPE_CHECKING:
    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models.base import LangSmithParams

NAME = "offline-rules"
_WORD = re.compile(r"\w+|[^\w\s]")


class OfflineRules(BaseChatModel):
    """Answers `task` (a prompt's name) with its rule, on the facts in the last message."""

    model_name: str = NAME

    @property
    def _llm_type(self) -> str:
        return NAME

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "offline"
        params["ls_model_name"] = NAME
        return params

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        task: str = "",
        **kwargs: Any,
    ) -> ChatResult:
        rule = rule_for(task)
        if rule is None:
            raise LangGraphError(f"offline-rules has no rule for {task!r}: set LLM_MODEL", kind="backend")
        content = json.dumps(rule(json.loads(str(messages[-1].text))), ensure_ascii=False)
        read = sum(len(_WORD.findall(str(message.text))) for message in messages)
        written = len(_WORD.findall(content))
        message = AIMessage(
            content=content,
            usage_metadata=UsageMetadata(
                input_tokens=read, output_tokens=written, total_tokens=read + written
            ),
            response_metadata={"model_name": NAME, "token_unit": "word"},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._generate(messages, stop, **kwargs)  # rules take microseconds: no thread

"""Reads a run's inputs and outputs as a conversation, whatever client wrote them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

ROLES = {
    "human": "human",
    "user": "human",
    "ai": "ai",
    "assistant": "ai",
    "aimessagechunk": "ai",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
TITLES = {"human": "Human", "ai": "Assistant", "system": "System", "tool": "Tool"}
ICONS = {"human": "user", "ai": "bot", "system": "shield", "tool": "wrench"}
MAX_MESSAGES = 200
MAX_DEPTH = 4
#: Text above this many lines is folded behind "Show n more lines".
FOLD_LINES = 8


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `role` is human, ai, system, tool, or other with the client's word as title."""

    role: str
    title: str
    text: str
    note: str = ""
    calls: tuple[ToolCall, ...] = ()

    @property
    def icon(self) -> str:
        return ICONS.get(self.role, "user")

    @property
    def head(self) -> str:
        return "\n".join(self.text.splitlines()[:FOLD_LINES])

    @property
    def rest(self) -> str:
        return "\n".join(self.text.splitlines()[FOLD_LINES:])

    @property
    def rest_lines(self) -> int:
        return max(len(self.text.splitlines()) - FOLD_LINES, 0)


def conversation(inputs: Any, outputs: Any) -> tuple[Message, ...]:
    """Turns sent, then turns answered; empty when neither holds messages."""
    turns = [_message(one) for value in (inputs, outputs) for one in _turns(value, 0)]
    found = [turn for turn in turns if turn is not None]
    return tuple(dict.fromkeys(found))[:MAX_MESSAGES]


def _turns(value: Any, depth: int) -> list[Any]:
    """Find the list of messages in the shapes clients use: messages, generations, choices, prompts."""
    if depth > MAX_DEPTH:
        return []
    if isinstance(value, list):
        return [
            one
            for item in value
            for one in (_turns(item, depth + 1) or ([item] if _is_message(item) else []))
        ]
    if not isinstance(value, dict):
        return []
    if _is_message(value):
        return [value]
    for name in ("messages", "generations", "choices", "message", "output", "input"):
        if name in value and (found := _turns(value[name], depth + 1)):
            return found
    prompts = value.get("prompts")
    if isinstance(prompts, list):
        return [{"role": "user", "content": text} for text in prompts if isinstance(text, str)]
    if isinstance(value.get("text"), str) and depth:
        return [{"role": "assistant", "content": value["text"]}]
    return []


def _is_message(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if value.get("type") == "constructor" and isinstance(value.get("kwargs"), dict):
        return "content" in value["kwargs"]
    return "content" in value and isinstance(value.get("role", value.get("type")), str)


def _message(value: Any) -> Message | None:
    if value.get("type") == "constructor":
        names = value.get("id") or [""]
        fallback = str(names[-1]).removesuffix("Message").removesuffix("MessageChunk")
        value = {"type": fallback, **value["kwargs"]}
    word = str(value.get("role") or value.get("type") or "")
    role = ROLES.get(word.lower(), "other")
    extra = value.get("additional_kwargs")
    more = extra if isinstance(extra, dict) else {}
    calls = tuple(_calls(value.get("tool_calls") or more.get("tool_calls"), value.get("content")))
    text = _text(value.get("content"))
    if not text and not calls:
        return None
    name = value.get("name")
    return Message(role, TITLES.get(role, word or "Message"), text, str(name) if name else "", calls)


def _text(content: Any) -> str:
    """Plain text of a content: a string, or blocks of text, images and the like."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return json.dumps(content, ensure_ascii=False, indent=2)
    return "\n\n".join(part for part in (_block(block) for block in content) if part)


def _block(block: Any) -> str:
    if isinstance(block, str):
        return block
    if not isinstance(block, dict):
        return json.dumps(block, ensure_ascii=False)
    kind = str(block.get("type", ""))
    if isinstance(block.get("text"), str):
        return str(block["text"])
    if kind in ("tool_use", "tool_call"):
        return ""
    return f"[{kind or 'block'}, shown under Raw]"


def _calls(listed: Any, content: Any) -> list[ToolCall]:
    found = [item for item in (listed if isinstance(listed, list) else []) if isinstance(item, dict)]
    if not found and isinstance(content, list):
        found = [
            one for one in content if isinstance(one, dict) and one.get("type") in ("tool_use", "tool_call")
        ]
    calls = []
    for item in found:
        inner = item.get("function")
        function: dict[str, Any] = inner if isinstance(inner, dict) else item
        arguments = function.get("arguments", function.get("args", function.get("input", {})))
        calls.append(ToolCall(str(function.get("name", "")), _pretty(arguments)))
    return calls


def _pretty(arguments: Any) -> str:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return str(arguments)
    return json.dumps(arguments, ensure_ascii=False, indent=2)

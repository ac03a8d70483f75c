"""The `messages` stream modes: tuples as LangGraph emits them, or whole messages that grow chunk by chunk."""

from __future__ import annotations

from typing import Any


class MessageEvents:
    """Turns `(message, metadata)` chunks of one run into its `messages` events."""

    def __init__(self, *, tuples: bool) -> None:
        self._tuples = tuples
        self._seen: dict[str, Any] = {}

    def of(self, chunk: Any) -> list[tuple[str, Any]]:
        """Return the events of one chunk."""
        if self._tuples:
            return [("messages", chunk)]
        message, metadata = chunk
        events: list[tuple[str, Any]] = []
        if message.id in self._seen:
            self._seen[message.id] += message
        else:
            self._seen[message.id] = message
            events.append(("messages/metadata", {message.id: {"metadata": metadata}}))
        return [*events, self._grown(message)]

    def _grown(self, message: Any) -> tuple[str, Any]:
        from langchain_core.messages import BaseMessageChunk, message_chunk_to_message

        whole = message_chunk_to_message(self._seen[message.id])
        partial = isinstance(message, BaseMessageChunk)
        return ("messages/partial" if partial else "messages/complete"), [whole]

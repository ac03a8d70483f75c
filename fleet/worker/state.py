"""The state of a thread as clients read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph.types import Interrupt, StateSnapshot
    from psycopg.rows import DictRow


def thread_config(thread_id: str, checkpoint: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what a graph is told to find a thread's state, the newest without `checkpoint`."""
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **(checkpoint or {})}}


def snapshot_json(snapshot: StateSnapshot) -> dict[str, Any]:
    """Return a checkpointed state."""
    checkpoint, parent = checkpoint_of(snapshot.config), checkpoint_of(snapshot.parent_config)
    return {
        "values": snapshot.values,
        "next": snapshot.next,
        "tasks": [_task_json(task) for task in snapshot.tasks],
        "metadata": snapshot.metadata,
        "created_at": snapshot.created_at,
        "checkpoint": checkpoint,
        "parent_checkpoint": parent,
        "interrupts": [interrupt_json(item) for item in snapshot.interrupts],
        "checkpoint_id": checkpoint["checkpoint_id"] if checkpoint else None,
        "parent_checkpoint_id": parent["checkpoint_id"] if parent else None,
    }


def plain_state(thread: DictRow) -> dict[str, Any]:
    """Return the state of a thread without checkpoints: its last values, and nothing to go on with."""
    return {
        "values": thread["values"] or {},
        "next": [],
        "tasks": [],
        "metadata": thread["metadata"],
        "created_at": thread["state_updated_at"],
        "checkpoint": None,
        "parent_checkpoint": None,
        "interrupts": [],
        "checkpoint_id": None,
        "parent_checkpoint_id": None,
    }


def checkpoint_of(config: Any) -> dict[str, Any] | None:
    """Return the checkpoint a config names, or None."""
    configurable = (config or {}).get("configurable") or {}
    if not configurable.get("thread_id") or not configurable.get("checkpoint_id"):
        return None
    keys = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")
    return {key: configurable[key] for key in keys if key in configurable}


def interrupt_json(interrupt: Interrupt) -> dict[str, Any]:
    return {"id": interrupt.id, "value": interrupt.value}


def open_interrupts(snapshot: StateSnapshot) -> dict[str, list[dict[str, Any]]]:
    """Return the interrupts that wait for an answer, by task."""
    return {
        task.id: [interrupt_json(item) for item in task.interrupts]
        for task in snapshot.tasks
        if task.interrupts
    }


def _task_json(task: Any) -> dict[str, Any]:
    nested = task.state
    is_config = isinstance(nested, dict)
    return {
        "id": task.id,
        "name": task.name,
        "path": task.path,
        "error": task.error,
        "interrupts": [interrupt_json(item) for item in task.interrupts],
        "checkpoint": nested["configurable"] if is_config else None,
        "state": snapshot_json(nested) if nested is not None and not is_config else None,
        "result": getattr(task, "result", None),
    }

"""LangGraph's own RemoteGraph, unmodified, with the dispatcher as its server."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_client, get_sync_client
from langsmith import Client, traceable, tracing_context
from langsmith.run_helpers import get_current_run_tree

from tests.integration.conftest import KEY, Platform, whole_tree

pytestmark = pytest.mark.processes


def on_thread() -> Any:
    return {"configurable": {"thread_id": str(uuid.uuid4())}}


def test_a_remote_graph_is_called_as_a_local_one(platform: Platform) -> None:
    with get_sync_client(url=platform.url, api_key=KEY) as client:
        graph = RemoteGraph("probe_core", sync_client=client)
        assert graph.invoke({"x": 1}) == {"x": 2, "pool": "CORE"}
        assert list(graph.stream({"x": 1}, stream_mode="updates")) == [{"probe": {"x": 2, "pool": "CORE"}}]
        several: list[Any] = list(graph.stream({"x": 1}, stream_mode=["updates", "values"]))
        assert {str(chunk[0]) for chunk in several} == {"updates", "values"}
        with pytest.raises(RemoteException, match="probe was asked to fail"):
            graph.invoke({"fail": True})
        drawn = graph.get_graph()
        assert "probe" in drawn.nodes


async def test_a_remote_graph_keeps_its_state_on_a_thread(platform: Platform) -> None:
    async with get_client(url=platform.url, api_key=KEY) as client:
        graph = RemoteGraph("probe_email", client=client)
        thread = on_thread()
        assert (await graph.ainvoke({"x": 1}, thread))["x"] == 2
        assert (await graph.aget_state(thread)).values["x"] == 2
        await graph.aupdate_state(thread, {"x": 30})
        assert (await graph.aget_state(thread)).values["x"] == 30
        history = [state.values.get("x") async for state in graph.aget_state_history(thread)]
        assert history[0] == 30
        assert 2 in history


def test_a_remote_graph_asks_and_is_answered(platform: Platform, asking: None) -> None:
    with get_sync_client(url=platform.url, api_key=KEY) as client:
        graph = RemoteGraph("asking", sync_client=client)
        thread = on_thread()
        asked = graph.invoke({"x": 3}, thread)
        assert asked["__interrupt__"][0]["value"] == {"question": "is 3 right?"}
        assert graph.get_state(thread).next == ("ask",)
        assert graph.invoke(Command(resume="yes"), thread)["answer"] == "yes"


def test_a_remote_graph_nests_under_its_caller(platform: Platform) -> None:
    tracer = Client(api_url=f"{platform.url}/langsmith", api_key=KEY)
    caller: dict[str, str] = {}

    with get_sync_client(url=platform.url, api_key=KEY) as client:
        graph = RemoteGraph("probe_discovery", sync_client=client, distributed_tracing=True)

        @traceable(name="qualify", client=tracer)
        def qualify() -> Any:
            tree = get_current_run_tree()
            assert tree is not None
            caller["run_id"] = str(tree.id)
            return graph.invoke({"x": 1})

        with tracing_context(enabled=True, client=tracer, project_name="integration"):
            assert qualify()["x"] == 2
    tracer.flush()
    tree = whole_tree(platform, caller["run_id"])
    nodes = {node["id"]: node for node in tree["nodes"]}
    assert [node["name"] for node in tree["nodes"] if node["parent_id"] is None] == ["qualify"]
    assert len(tree["trace_ids"]) == 1
    pool = next(node for node in tree["nodes"] if node["kind"] == "pool")
    assert (pool["assistant_id"], pool["pool"]) == ("probe_discovery", "DISCOVERY")
    assert nodes[pool["parent_id"]]["kind"] == "dispatcher"

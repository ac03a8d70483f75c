"""Threads through the dispatcher: the directory before a run, the binding by the first run, the pool after it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from contract.graph_spec import assistant_uuid
from tests.dispatcher.conftest import KEY, site, until
from tests.dispatcher.database import key_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.dispatcher.conftest import Site

EMAIL = {"assistant_id": "probe_email", "input": {"x": 1}}
CORE = {"assistant_id": "probe_core", "input": {"x": 1}}


@pytest.fixture
async def threaded(database_url: str, data_dir: Path) -> AsyncIterator[Site]:
    async with site(data_dir, database_url) as front:
        await key_row(database_url, KEY, "*")
        await until(lambda: len(front.dispatcher.live.keyring) == 1)
        yield front


async def new_thread(front: Site, **body: object) -> str:
    answer = await front.http.post("/threads", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["thread_id"])


async def test_a_thread_lives_in_the_directory_before_its_first_run(threaded: Site) -> None:
    thread = await new_thread(threaded, metadata={"lead": "ada"})
    found = (await threaded.http.get(f"/threads/{thread}")).json()
    assert found["status"] == "idle"
    assert found["metadata"] == {"lead": "ada"}
    patched = await threaded.http.patch(f"/threads/{thread}", json={"metadata": {"stage": 2}})
    assert patched.json()["metadata"] == {"lead": "ada", "stage": 2}
    search = await threaded.http.post("/threads/search", json={"metadata": {"stage": 2}})
    assert [item["thread_id"] for item in search.json()] == [thread]
    assert search.headers["x-pagination-total"] == "1"
    assert (await threaded.http.post("/threads/count", json={"metadata": {"stage": 3}})).json() == 0
    assert (await threaded.http.get(f"/threads/{thread}/state")).json()["values"] == {}
    assert (await threaded.http.post(f"/threads/{thread}/history", json={})).json() == []
    assert not threaded.email.seen
    assert not threaded.core.seen
    assert (await threaded.http.delete(f"/threads/{thread}")).status_code == 204
    assert (await threaded.http.get(f"/threads/{thread}")).status_code == 404


async def test_the_first_run_binds_the_pool_and_hands_the_thread_over(threaded: Site) -> None:
    thread = await new_thread(threaded, metadata={"lead": "ada"})
    answer = await threaded.http.post(f"/threads/{thread}/runs/wait", json=EMAIL)
    assert answer.json() == {"x": 2}
    assert answer.headers["content-location"].startswith(f"/threads/{thread}/runs/")
    assert threaded.email.threads[thread]["metadata"]["lead"] == "ada"
    assert (await threaded.http.get(f"/threads/{thread}/state")).json()["values"] == {"x": 1}
    elsewhere = await threaded.http.post(f"/threads/{thread}/runs/wait", json=CORE)
    assert elsewhere.status_code == 409
    assert elsewhere.json()["code"] == "OTHER_POOL"
    assert not threaded.core.seen
    by_graph = await threaded.http.post("/threads/search", json={"metadata": {"graph_id": "probe_email"}})
    assert [item["thread_id"] for item in by_graph.json()] == [thread]


async def test_search_by_status_asks_the_pools_first(threaded: Site) -> None:
    thread = await new_thread(threaded)
    await threaded.http.post(f"/threads/{thread}/runs", json=EMAIL)
    threaded.email.threads[thread]["status"] = "busy"
    busy = await threaded.http.post("/threads/search", json={"status": "busy"})
    assert [item["thread_id"] for item in busy.json()] == [thread]
    threaded.email.threads[thread]["status"] = "interrupted"
    assert (await threaded.http.post("/threads/count", json={"status": "busy"})).json() == 0
    assert (await threaded.http.post("/threads/count", json={"status": "interrupted"})).json() == 1


async def test_an_unknown_thread_is_404_unless_it_may_be_made(threaded: Site) -> None:
    thread = str(uuid.uuid4())
    missing = await threaded.http.post(f"/threads/{thread}/runs/wait", json=EMAIL)
    assert missing.status_code == 404
    assert missing.json()["detail"] == "Thread or assistant not found."
    made = await threaded.http.post(f"/threads/{thread}/runs/wait", json=EMAIL | {"if_not_exists": "create"})
    assert made.status_code == 200
    assert (await threaded.http.get(f"/threads/{thread}")).json()["metadata"]["graph_id"] == "probe_email"
    elsewhere = await threaded.http.post(f"/threads/{thread}/runs/wait", json=CORE)
    assert elsewhere.json()["code"] == "OTHER_POOL"


async def test_a_thread_that_was_to_be_made_by_a_run_that_never_began_is_not(threaded: Site) -> None:
    thread = str(uuid.uuid4())
    made = {"if_not_exists": "create"}
    threaded.email.behave = "leave"
    refused = await threaded.http.post(f"/threads/{thread}/runs/wait", json=EMAIL | made)
    assert refused.status_code == 503
    assert (await threaded.http.get(f"/threads/{thread}")).status_code == 404
    assert (await threaded.http.post(f"/threads/{thread}/runs/wait", json=CORE | made)).status_code == 200


@pytest.mark.parametrize("way", ["runs", "runs/wait", "runs/stream"])
async def test_a_first_run_the_pool_refuses_leaves_the_thread_as_it_was(threaded: Site, way: str) -> None:
    there, made = await new_thread(threaded), str(uuid.uuid4())
    threaded.email.behave = "refuse"
    for thread, body in ((there, EMAIL), (made, EMAIL | {"if_not_exists": "create"})):
        refused = await threaded.http.post(f"/threads/{thread}/{way}", json=body)
        assert (refused.status_code, refused.json()["detail"]) == (422, "not this run")
    assert not threaded.email.threads
    assert (await threaded.http.get(f"/threads/{made}")).status_code == 404
    assert (await threaded.http.post(f"/threads/{there}/runs/wait", json=CORE)).json() == {"x": 2}


async def test_a_later_run_the_pool_refuses_leaves_the_thread_bound(threaded: Site) -> None:
    thread = await new_thread(threaded)
    await threaded.http.post(f"/threads/{thread}/runs/wait", json=EMAIL)
    threaded.email.behave = "refuse"
    assert (await threaded.http.post(f"/threads/{thread}/runs/wait", json=EMAIL)).status_code == 422
    assert (await threaded.http.post(f"/threads/{thread}/runs/wait", json=CORE)).json()[
        "code"
    ] == "OTHER_POOL"


async def test_creating_twice_is_409_or_nothing(threaded: Site) -> None:
    thread = await new_thread(threaded)
    assert (await threaded.http.post("/threads", json={"thread_id": thread})).status_code == 409
    again = await threaded.http.post("/threads", json={"thread_id": thread, "if_exists": "do_nothing"})
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/threads", {"thread_id": "not-a-uuid"}, "/thread_id"),
        ("/threads", {"metadata": [1]}, "/metadata"),
        ("/threads", {"metadata": {"a": "\x00"}}, "/metadata"),
        ("/threads/search", {"limit": 0}, "/limit"),
        ("/threads/search", {"status": "odd"}, "/status"),
        ("/threads/search", {"sort_by": "1; drop"}, "/sort_by"),
        ("/threads/not-a-uuid/runs/wait", EMAIL, "/thread_id"),
    ],
)
async def test_bad_thread_input_names_the_field(
    threaded: Site, path: str, body: object, pointer: str
) -> None:
    answer = await threaded.http.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["pointer"] == pointer


async def test_a_stateless_run_can_be_joined_and_found_after_a_restart(threaded: Site) -> None:
    answer = await threaded.http.post("/runs/wait", json=EMAIL)
    joined = await threaded.http.get(answer.headers["location"])
    assert joined.json() == {"joined": True}
    threaded.dispatcher._handlers["threads"]._board.whereabouts._places.clear()  # type: ignore[attr-defined]
    assert (await threaded.http.get(answer.headers["content-location"])).json()["status"] == "success"
    unknown = f"/threads/{uuid.uuid4()}/runs/{uuid.uuid4()}"
    assert (await threaded.http.get(unknown)).status_code == 404


async def test_cancel_many_fans_out(threaded: Site) -> None:
    assert (await threaded.http.post("/runs/cancel", json={"status": "all"})).status_code == 404
    await threaded.http.post("/runs", json=EMAIL)
    assert (await threaded.http.post("/runs/cancel", json={"status": "all"})).status_code == 202
    assert threaded.core.seen[-1].path == threaded.email.seen[-1].path == "/runs/cancel"


async def test_assistants_of_the_whole_fleet(threaded: Site) -> None:
    found = (await threaded.http.post("/assistants/search", json={})).json()
    assert {item["graph_id"] for item in found} == {"probe_core", "probe_email"}
    assert (await threaded.http.post("/assistants/count", json={"graph_id": "probe_core"})).json() == 1
    uid = assistant_uuid("probe_email")
    assert (await threaded.http.get(f"/assistants/{uid}")).json()["graph_id"] == "probe_email"
    assert (await threaded.http.get("/assistants/probe_email")).status_code == 422
    assert (await threaded.http.get(f"/assistants/{uuid.uuid4()}")).status_code == 404
    schemas = await threaded.http.get(f"/assistants/{uid}/schemas")
    assert schemas.headers["x-agentic-pool"] == "EMAIL"
    assert (await threaded.http.post("/assistants", json={})).status_code == 405


async def test_a_batch_is_split_by_pool_and_put_together_in_order(threaded: Site) -> None:
    answer = await threaded.http.post("/runs/batch", json=[EMAIL, CORE, EMAIL])
    assert [run["assistant_id"] for run in answer.json()] == ["probe_email", "probe_core", "probe_email"]
    assert len(threaded.email.seen) == len(threaded.core.seen) == 1
    bad = await threaded.http.post(
        "/runs/batch", json=[EMAIL, {"assistant_id": "probe_core", "input": {"x": "y"}}]
    )
    assert bad.status_code == 422
    assert bad.json()["pointer"] == "/1/input/x"
    threaded.core.behave = "status:500"
    part = (await threaded.http.post("/runs/batch", json=[EMAIL, CORE])).json()
    assert part[0]["run_id"]
    assert part[1]["error"]["kind"] == "backend"


async def test_a_pool_that_does_not_take_the_thread_leaves_it_free(threaded: Site) -> None:
    thread = await new_thread(threaded)
    threaded.email.behave = "status:500"
    refused = await threaded.http.post(f"/threads/{thread}/runs/wait", json=EMAIL)
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert (await threaded.http.post(f"/threads/{thread}/runs/wait", json=CORE)).status_code == 200
    threaded.email.behave = "ok"
    assert (await threaded.http.post(f"/threads/{thread}/runs/wait", json=EMAIL)).json()[
        "code"
    ] == "OTHER_POOL"


async def test_a_thread_that_cannot_be_seeded_is_not_made(threaded: Site) -> None:
    thread = str(uuid.uuid4())
    step = {"thread_id": thread, "metadata": {"graph_id": "probe_email"}, "supersteps": [{"updates": []}]}
    threaded.email.behave = "status:422"
    assert (await threaded.http.post("/threads", json=step)).status_code == 422
    assert (await threaded.http.get(f"/threads/{thread}")).status_code == 404

"""The actions of `make demo`: real clients, real requests, then the stitched tree of one action as text.

Runs beside a platform that is up; talks to it through the dispatcher and the API alone, and reads the tree where the
pages read it.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from contract.registry import GRAPHS
from contract.shapes import SHAPES
from platform_site import env
from platform_site.local_secrets import local_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from platform_site.env import Environment

FROM_EACH_POOL = ("email_compose", "classify_company", "gh_lead_research", "probe_core")
ACROSS_POOLS = "lead_pipeline"
PROJECT = "agentic-sales"
RUN_TIMEOUT_S = 60.0
TREE_TIMEOUT_S = 30.0
CAMPAIGN_TIMEOUT_S = 60.0


class Demo:
    """One demonstration against the platform of this checkout."""

    def __init__(self, environment: Environment) -> None:
        self.url = environment.base_url
        self.data_dir = environment.data_dir
        self.key = (self.data_dir / "api-key").read_text().strip()

    def call_each_pool(self) -> None:
        """An unmodified LangGraph client, one call to each pool; one is streamed."""
        from langgraph_sdk import get_sync_client

        client = get_sync_client(url=self.url, api_key=self.key)
        for assistant in FROM_EACH_POOL:
            begun = time.perf_counter()
            client.runs.wait(None, assistant, input=example(assistant))
            say(f"  {assistant:<18} answered in {time.perf_counter() - begun:.2f} s")
        events = [
            part.event for part in client.runs.stream(None, "email_compose", input=example("email_compose"))
        ]
        say(f"  email_compose      streamed {len(events)} events, the last is {events[-1]}")

    def call_across_pools(self) -> str:
        """A traced caller runs the graph that calls the others; returns the pool's run id."""
        from langsmith import Client, traceable, tracing_context

        from fleet.sdk import run_graph_with_meta

        tracer = Client(api_url=f"{self.url}/langsmith", api_key=local_secrets(self.data_dir)["INGEST_KEY"])

        @traceable(name="research_and_write", run_type="chain", client=tracer)
        def research_and_write(lead: dict[str, Any]) -> tuple[str, Any]:
            result = run_graph_with_meta(ACROSS_POOLS, lead, timeout=RUN_TIMEOUT_S)
            return result.langsmith_run_id, result.output

        with tracing_context(enabled=True, client=tracer, project_name=PROJECT):
            run_id, _ = research_and_write(example(ACROSS_POOLS))
        tracer.flush()
        return run_id

    def call_that_fails(self) -> str:
        """A graph that raises: the caller gets the error, the trace shows the hop."""
        from contract.errors import LangGraphError
        from fleet.sdk import run_graph

        try:
            run_graph("probe_classify", {"fail": True}, timeout=RUN_TIMEOUT_S)
        except LangGraphError as error:
            return f"{error.kind}: {error}"
        raise RuntimeError("probe_classify did not fail when it was told to")

    def campaign(self) -> str:
        """A durable campaign writes one letter through a graph; the reply to it becomes a score of that run."""
        slug = f"demo-{uuid.uuid4().hex[:8]}"
        campaign = {
            "name": "Demonstration",
            "slug": slug,
            "mailbox": "sam@relay.example",
            "product": "Relay",
            "weekdays": list(range(7)),
            "window_start": "00:00",
            "window_end": "23:59:59",
            "steps": [{"delay": 0, "delay_unit": "hours"}, {"delay": 48, "delay_unit": "hours"}],
        }
        person = {"email": f"maya+{slug}@northwind.example", "name": "Maya Laurent", "company": "Northwind"}
        self.api("POST", "/api/campaigns", campaign)
        self.api("POST", f"/api/campaigns/{slug}/enrollments", {"rows": [person]})
        self.api("POST", f"/api/campaigns/{slug}/activate", {})
        touch = wait_for(lambda: self._sent(slug), CAMPAIGN_TIMEOUT_S, "the campaign's letter was not sent")
        reply = {"kind": "reply", "source_event_id": f"demo:{slug}", "touch_id": touch["id"]}
        self.api("POST", "/api/campaigns/events", {**reply, "text": "Sounds good, call me on Thursday."})
        return str(touch["langsmith_run_id"])

    def _sent(self, slug: str) -> dict[str, Any] | None:
        people = self.api("GET", f"/api/campaigns/{slug}/enrollments")
        return next(
            (touch for each in people for touch in each["touches"] if touch["status"] == "sent"), None
        )

    def api(self, method: str, path: str, body: object = None) -> Any:
        """One call of the JSON API. Raises `RuntimeError` with what the platform answered."""
        request = Request(  # noqa: S310 - our own address
            self.url + quote(path, safe="/?=&"),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.load(answer)
        except HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:300]!r}") from error


def example(assistant_id: str) -> dict[str, Any]:
    """The first example of a graph's input shape."""
    spec = next(spec for spec in GRAPHS if spec.assistant_id == assistant_id)
    examples: Any = SHAPES[spec.input_shape]["examples"]
    return dict(examples[0])


def tree_text(run_id: str) -> str:
    """The stitched tree of an action, once it is whole (or as far as it came when the time is up)."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "platform_site.settings")
    import django

    django.setup()
    from traces_app.selectors import get_tree
    from traces_app.text_tree import render

    deadline = time.monotonic() + TREE_TIMEOUT_S
    tree = get_tree(run_id)
    while tree is None or (tree.state != "complete" and time.monotonic() < deadline):
        if time.monotonic() > deadline:
            raise RuntimeError(f"no trace of run {run_id} after {TREE_TIMEOUT_S:.0f} s")
        time.sleep(0.2)
        tree = get_tree(run_id)
    return render(tree)


def wait_for(look: Callable[[], Any], timeout: float, complaint: str) -> Any:
    """The first true answer of `look`. Raises `RuntimeError` with the complaint after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{complaint} within {timeout:.0f} s")
        time.sleep(0.5)
    return found


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    demo = Demo(env.read())
    os.environ["PLATFORM_API_KEY"] = demo.key
    say("\nSending real actions through the dispatcher")
    demo.call_each_pool()
    say(f"  probe_classify     failed on purpose: {demo.call_that_fails()}")
    run_id = demo.call_across_pools()
    say(f"  {ACROSS_POOLS:<18} crossed the pools, run {run_id}")
    letter = demo.campaign()
    say(f"  campaign           sent a letter and got a reply: feedback on run {letter}")
    say(f"\nOne action, one trace\n\n{tree_text(run_id)}")
    say(f"pages    {demo.url}/traces/{run_id}")
    say(f"login    admin, password in {demo.data_dir}/admin-password")
    say(f"key      in {demo.data_dir}/api-key")
    say(
        f"call     curl -s {demo.url}/runs/wait -H \"x-api-key: $(cat '{demo.data_dir}/api-key')\" "
        """-H 'content-type: application/json' -d '{"assistant_id": "probe_email", "input": {"x": 1}}'"""
    )
    say("stop     Ctrl-C\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

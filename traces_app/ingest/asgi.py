"""Ingest as a plain ASGI application: LangSmith's API under `/langsmith`, OTLP/HTTP under `/otlp`. No Django."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from feedback_app.store import upsert_feedback
from platform_site.lib import memory
from traces_app.ingest.admission import Admission, Live
from traces_app.ingest.feedback import FeedbackDoor
from traces_app.ingest.group_commit import GroupCommit, UnavailableError
from traces_app.ingest.http import Answer, Receive, RefusedError, Request, Scope, Send, send_answer
from traces_app.ingest.inflate import inflate, read_body
from traces_app.ingest.langsmith import LangSmithDoor
from traces_app.ingest.langsmith_reads import LangSmithReads
from traces_app.ingest.links import LinkDoor
from traces_app.ingest.otlp import OtlpDoor
from traces_app.ingest.reads import Reads
from traces_app.ingest.reference import Reference
from traces_app.ingest.routes import match
from traces_app.ingest.seal import seal
from traces_app.store.writer import Writer

if TYPE_CHECKING:
    from traces_app.ingest.config import IngestConfig
    from traces_app.store.records import Bundle

log = logging.getLogger(__name__)


class Ingest:
    """One ingest process. `start` before the first request, `stop` to write what waits."""

    def __init__(self, config: IngestConfig, live: Live | None = None) -> None:
        self.config = config
        self.live: Live = live or _live_state(config)
        self._owns_live = live is None
        self.admission = Admission(self.live, config.max_body, config.max_in_flight)
        self.reference = Reference(config.database_url, self.live)
        self.reads = Reads(config.database_url)
        writer = Writer(
            price=self.reference.price, sampled=self.reference.sampled, store_feedback=upsert_feedback
        )
        self.commits = GroupCommit(config.database_url, writer)
        self.langsmith: LangSmithDoor = LangSmithDoor(self)
        self.langsmith_reads: LangSmithReads = LangSmithReads(self)
        self.feedback: FeedbackDoor = FeedbackDoor(self)
        self.links: LinkDoor = LinkDoor(self)
        self.otlp: OtlpDoor = OtlpDoor(self)

    async def start(self) -> None:
        """Follow what is live and begin to write."""
        if self._owns_live:
            await self.live.start()
        await self.reference.start()
        await self.commits.start()

    async def stop(self) -> None:
        """Commit what was accepted, then let go of everything."""
        await self.commits.stop()
        await self.reference.stop()
        await self.reads.stop()
        if self._owns_live:
            await self.live.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        request = Request.of(scope, receive, scope["path"])
        await send_answer(send, await self._answer(request))

    async def _answer(self, request: Request) -> Answer:
        try:
            return await match(self, request)
        except RefusedError as error:
            return Answer.refusal(error)
        except UnavailableError:
            return Answer.refusal(RefusedError(503, "the store is not available", retry_after=1))
        except Exception:  # a sender must never see 500: it would drop what it holds
            log.exception("ingest failed on %s %s", request.method, request.path)
            return Answer.refusal(RefusedError(503, "not stored", retry_after=1))

    async def body(self, request: Request) -> bytes:
        """Return the body of the request, inflated within the budget."""
        raw = await read_body(request, self.config.max_body)
        return inflate(raw, request.headers.get("content-encoding", ""), self.config.max_inflated)

    def seal(self, bundle: Bundle) -> Bundle:
        """Redact and pack, by the rules that hold now."""
        return seal(bundle, self.reference.redactor)

    async def store(self, bundle: Bundle) -> None:
        """Redact, pack and commit; returns when it is durable."""
        await self.commits.commit(self.seal(bundle))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                memory.settle()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _live_state(config: IngestConfig) -> Live:
    from routing_app.live import LiveState

    return LiveState(config.database_url, config.data_dir, "ingest")

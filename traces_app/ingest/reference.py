"""Small tables that ingest keeps in memory and reads again every few seconds: prices, redaction rules, feedback keys."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg

from feedback_app.store import KeyRule
from traces_app.ingest.redact import Redactor, valid_rules

if TYPE_CHECKING:
    from traces_app.ingest.admission import Live
    from traces_app.store.records import RunPart

log = logging.getLogger(__name__)
REFRESH_S = 5.0
_MILLION = Decimal(1_000_000)
_CENTS = Decimal("1e-12")
_DAY_US = 86_400_000_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MAX_FOUND = 10_000  # names of models come from senders


class PriceRow(msgspec.Struct):
    """One row of the price table."""

    model: str
    valid_from: date
    valid_until: date | None
    given: Decimal
    made: Decimal


class Prices:
    """Looks up what tokens cost on a day; the exact name first, then the longest beginning."""

    def __init__(self, rows: list[PriceRow]) -> None:
        self._rows = sorted(
            rows, key=lambda r: (r.model.endswith("*"), -len(r.model), -r.valid_from.toordinal())
        )
        #: What was found for a model on a day (since 1970).
        self._found: dict[tuple[str, int], PriceRow | None] = {}

    def cost(self, run: RunPart) -> Decimal | None:
        """Return the cost of a run in US dollars, None when no price is known."""
        if not run.model:
            return None
        sought = (run.model, (run.start or 0) // _DAY_US)
        if sought not in self._found:
            if len(self._found) >= _MAX_FOUND:
                self._found.clear()
            self._found[sought] = self._find(*sought)
        row = self._found[sought]
        if row is None:
            return None
        tokens = (run.prompt_tokens or 0) * row.given + (run.completion_tokens or 0) * row.made
        return (tokens / _MILLION).quantize(_CENTS)

    def _find(self, model: str, days: int) -> PriceRow | None:
        day = date.fromordinal(_EPOCH_DAY + days)
        for row in self._rows:
            named = model.startswith(row.model[:-1]) if row.model.endswith("*") else model == row.model
            if named and row.valid_from <= day and (row.valid_until is None or day < row.valid_until):
                return row
        return None


class Reference:
    """What the writers look up. Keeps the last good state while the database is away."""

    def __init__(self, database_url: str, live: Live) -> None:
        self._url = database_url
        self._live = live
        self._prices = Prices([])
        self._task: asyncio.Task[None] | None = None
        self.redactor = Redactor()
        self.feedback_keys: dict[str, KeyRule] = {}

    async def start(self) -> None:
        """Read once, then keep reading."""
        await self._refresh()
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def price(self, run: RunPart) -> Decimal | None:
        """Return the cost of a merged llm run."""
        return self._prices.cost(run)

    def sampled(self, trace_id: bytes, assistant_id: str) -> bool:
        """Whether the trace is among those kept in full: the same answer for the same trace and rate."""
        document = self._live.document
        if document is None:
            return True
        graph: dict[str, Any] = document["graphs"].get(assistant_id) or {}
        rate = graph.get("sampling")
        if rate is None:
            rate = document["sampling"]["default"]
        return int.from_bytes(trace_id[-6:], "big") < float(rate) * 2**48

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._refresh()

    async def _refresh(self) -> None:
        try:
            conn = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=2)
            async with conn:
                cur = await conn.execute(
                    "SELECT model, valid_from, valid_until, input_per_million, output_per_million FROM traces_app_price"
                )
                self._prices = Prices([PriceRow(*row) for row in await cur.fetchall()])
                cur = await conn.execute(
                    "SELECT kind, expression, project, replacement FROM traces_app_redactionrule WHERE enabled"
                )
                self.redactor = Redactor(valid_rules(await cur.fetchall()))
                cur = await conn.execute(
                    "SELECT key, kind, minimum, maximum, categories FROM feedback_app_feedbackkey"
                )
                self.feedback_keys = {key: KeyRule(*rule) for key, *rule in await cur.fetchall()}
        except (psycopg.Error, OSError) as error:
            log.warning("prices, redaction rules and feedback keys not read, the last ones stay: %s", error)

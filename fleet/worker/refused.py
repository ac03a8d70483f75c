"""Calls that came without the pool's secret: somebody knows the pool's address and goes past the dispatcher."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from contract.headers import parse_inbound
from fleet.worker.ids import new_id

if TYPE_CHECKING:
    from starlette.types import Scope

_KEPT = 50
_LONGEST = 200


@dataclass
class RefusedCalls:
    """How many there were, and the newest ones, for `/_ml/health`."""

    count: int = 0
    newest: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def note(self, scope: Scope) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        parent = parse_inbound(headers).langsmith_trace
        self.count += 1
        self.newest.append(
            {
                "id": new_id(),
                "at": datetime.now(UTC).isoformat(),
                "method": scope["method"],
                "path": scope["path"][:_LONGEST],
                "peer": scope["client"][0] if scope.get("client") else "",
                "caller": headers.get("user-agent", "")[:_LONGEST],
                "trace_id": parent.trace_id if parent else "",
            }
        )

    def report(self) -> dict[str, Any]:
        return {"count": self.count, "newest": list(self.newest)}

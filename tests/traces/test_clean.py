"""Ten thousand actions without a fault: whatever shape they have, no detector speaks."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

from tests.traces.scenes import LATER, called, hop, run, uid
from traces_app.stitch import stitch

if TYPE_CHECKING:
    from traces_app.rows import DispatchRow, RunRow

COUNT = int(os.environ.get("CLEAN_ACTIONS", "10000"))
POOLS = (("email_compose", "EMAIL"), ("classify_company", "CLASSIFY"), ("probe_core", "CORE"))


def healthy(chosen: random.Random) -> tuple[list[RunRow], list[DispatchRow]]:
    """A caller with up to four calls: waited for, streamed, in the background, refused, or begun by nobody we know."""
    traced = chosen.random() < 0.8
    runs: list[RunRow] = [run("caller", 0, 60)] if traced else []
    hops: list[DispatchRow] = []
    at = 1.0
    for number in range(chosen.randint(1, 4)):
        name = f"call {number}"
        assistant, pool = chosen.choice(POOLS)
        length = chosen.uniform(1.0, 5.0)
        sent: dict[str, Any] = {"assistant_id": assistant, "pool": pool, "run_id": uid(name)}
        if traced:
            sent |= {"ls_trace_id": uid("caller"), "ls_parent_run_id": uid("caller"), "ls_project": "web-app"}
        kind = chosen.choice(("wait", "stream", "background", "refused", "state", "failed"))
        drift = chosen.uniform(-0.4, 0.4)  # clocks of one site
        if kind == "refused":  # before anything began: queue full, unknown id, bad input
            status = chosen.choice((404, 422, 429, 503))
            gone = {**sent, "run_id": "", "status": status, "error_kind": "client", "error": "refused"}
            hops.append(hop(f"refused {number}", at, at + 0.01, **gone))
            hops.append(hop("hop " + name, at + 0.5, at + 0.5 + length, **sent))
            at += 0.5
        elif kind == "state":
            quiet = {**sent, "run_id": "", "method": "GET", "path": "/threads/t/state", "assistant_id": ""}
            hops.append(hop(f"state {number}", at, at + 0.02, **quiet))
            at += 0.1
            continue
        elif kind == "background":
            hops.append(hop("hop " + name, at, at + 0.02, **sent, path="/runs"))
        else:
            hops.append(
                hop(
                    "hop " + name,
                    at,
                    at + length,
                    **sent,
                    path=f"/runs/{'stream' if kind == 'stream' else 'wait'}",
                )
            )
        trace = {} if traced else {"trace_id": uid(name)}
        made = called(name, assistant, pool, at + 0.05 + drift, at + length - 0.05 + drift, **trace)
        if not traced:
            made[0] = run(
                name,
                at + 0.05,
                at + length - 0.05,
                **{"pool": pool, "assistant_id": assistant, "dispatch_id": uid("hop " + name), **trace},
            )
        runs += made
        at += chosen.choice((0.0, length)) + 0.1
    chosen.shuffle(runs)
    chosen.shuffle(hops)
    return runs, hops


def test_no_false_alarm_over_clean_actions() -> None:
    chosen = random.Random(6)
    for number in range(COUNT):
        runs, hops = healthy(chosen)
        found = [(one.code, one.title) for one in stitch(runs, hops, now=LATER).findings]
        assert found == [], f"action {number}: {found}"

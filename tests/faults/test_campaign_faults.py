"""Kill everything at any moment: no contact gets a mail twice or after an answer, and nobody is forgotten.

FAULTS_KILLS and FAULTS_SENDS say how long it goes on; `make faults` asks for 200 kills and 20,000 sends. With
FAULTS_SECONDS it ends after that time at the latest; FAULTS_SEED deals other dice. Every run adds a line to
`.data/faults.jsonl` and prints the sums over all of its lines.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from campaigns_app import webhook
from platform_site import pg
from tests.faults import mailserver
from tests.faults.fire import Fire
from tests.integration.conftest import REPOSITORY, eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.mailserver import Mailserver

pytestmark = pytest.mark.processes

KILLS = int(os.environ.get("FAULTS_KILLS", "6"))
SENDS = int(os.environ.get("FAULTS_SENDS", "20000" if KILLS >= 200 else str(KILLS * 12)))
SECONDS = float(os.environ.get("FAULTS_SECONDS", "inf"))
SEED = int(os.environ.get("FAULTS_SEED", "7"))
TALLIES = REPOSITORY / ".data" / "faults.jsonl"
SECRET = "faults-" + "w" * 32
STEPS = 3
#: Contacts kept on their way, so that every kill meets work, and how many come at a time.
BACKLOG, ARRIVE = (400, 100) if KILLS >= 20 else (20, 10)
#: Longest wait for the instant of the next kill.
PAUSE_S = 0.6
#: Longest a mail that was committed before an answer may still be on its way to the server.
IN_FLIGHT_S = 20.0
ALWAYS = {
    "mailbox": "mara@northbeam.example",
    "weekdays": list(range(7)),
    "window_start": "00:00",
    "window_end": "23:59:59",
    "daily_limit": 1_000_000,
}
RANDOM_INSTANTS = ("jobs", "second jobs", "web", "dispatcher", "pool EMAIL", "postgres", "pool CLASSIFY")
#: Boundaries of a step that the database knows of: what is looked for, and then both job processes are killed.
BOUNDARIES = {
    "claimed": """
        SELECT count(*) > 0 FROM campaigns_app_enrollment e WHERE status = 'active' AND claimed_by <> '' AND NOT EXISTS (
            SELECT FROM campaigns_app_touch t JOIN campaigns_app_step s ON s.id = t.step_id
            WHERE t.enrollment_id = e.id AND s.position = e.position)
    """,
    "composed": "SELECT count(*) > 0 FROM campaigns_app_touch WHERE status = 'composed'",
    "sending": "SELECT count(*) > 0 FROM campaigns_app_touch WHERE status = 'sending'",
    "settled": "SELECT max(sent_at) > now() - interval '20 milliseconds' FROM campaigns_app_touch",
}
#: Longest a boundary is waited for.
BOUNDARY_S = 3.0


@pytest.fixture(scope="module")
def fire() -> Iterator[tuple[Fire, Mailserver]]:
    smtp_port = free_port()
    server, controller = mailserver.serve(smtp_port)
    # Not pytest's own folder: it closes that to the database's user again whenever another run starts.
    with tempfile.TemporaryDirectory(prefix="agentic-sales-") as folder:
        environ = {
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(smtp_port),
            "EMAIL_USE_TLS": "false",
            "CAMPAIGNS_WEBHOOK_SECRET": SECRET,
        }
        running = Fire(Path(folder) / "data", free_port(), environ)
        try:
            running.wait_until_ready()
            yield running, server
        finally:
            running.end()
            controller.stop()


class Outreach:
    """Campaigns under way: people come in, some of them answer, and each is known by address."""

    def __init__(self, fire: Fire, server: Mailserver) -> None:
        self.fire, self.server, self.random = fire, server, random.Random(SEED)
        self.people = 0
        #: Address → when the platform confirmed that it knows of the answer.
        self.stopped: dict[str, float] = {}
        self._seen = 0
        self._delivered: list[dict[str, Any]] = []
        steps = [{"delay": 0, "delay_unit": "hours"} for _ in range(STEPS)]
        writers = [{"assistant_id": "email_compose"}, *[{"assistant_id": "email_followup"}] * (STEPS - 1)]
        own = [step | writer for step, writer in zip(steps, writers, strict=True)]
        for slug, given in (("steps", own), ("threads", steps)):
            fire.call("POST", "/api/campaigns", json={"name": slug, "slug": slug, "steps": given, **ALWAYS})
            fire.call("POST", f"/api/campaigns/{slug}/activate")
        fire.call("PUT", f"/api/campaigns/mailboxes/{ALWAYS['mailbox']}", json={"daily_limit": 1_000_000})

    def feed(self) -> None:
        """Keep the backlog full. Enrolling is repeated when its answer was lost, and enrolls nobody twice."""
        waiting = still_on_their_way(self.fire)
        while waiting < BACKLOG:
            slug = "threads" if self.random.random() < 0.25 else "steps"
            numbers = range(self.people, self.people + ARRIVE)
            people = [{"email": f"p{number}@example.com", "name": f"Person {number}"} for number in numbers]
            self.fire.call("POST", f"/api/campaigns/{slug}/enrollments", json={"rows": people})
            self.people, waiting = self.people + ARRIVE, waiting + ARRIVE

    def answer_some(self) -> None:
        """One in ten mails is answered, by a signed event that is delivered twice; now and then an old one comes again."""
        fresh, self._seen = self.server.accepted[self._seen :], len(self.server.accepted)
        for mail in fresh:
            digest = hashlib.sha256(mail.message_id.encode()).digest()[0]
            if digest >= 26 or mail.recipient in self.stopped:
                continue
            kind = ("reply", "unsubscribe", "hard_bounce")[digest % 3]
            event = {"kind": kind, "source_event_id": mail.message_id, "message_ids": [mail.message_id]}
            for _ in range(2):
                self.deliver(event)
            self.stopped[mail.recipient] = time.time()
            self._delivered.append(event)
            self.deliver(self.random.choice(self._delivered))

    def deliver(self, event: dict[str, Any]) -> None:
        body, at = json.dumps(event).encode(), int(time.time())
        headers = {
            webhook.TIMESTAMP_HEADER: str(at),
            webhook.SIGNATURE_HEADER: webhook.sign(SECRET, at, body),
            "Content-Type": "application/json",
        }
        self.fire.call("POST", "/api/campaigns/webhook", content=body, headers=headers)

    def resolve_unknown(self) -> int:
        """Be the person who looks: the server's log says which unknown mail left."""
        left = {mail.message_id for mail in self.server.accepted}
        unknown = rows(self.fire, "SELECT id, message_id FROM campaigns_app_touch WHERE status = 'unknown'")
        for touch_id, message_id in unknown:
            path = f"/api/campaigns/touches/{touch_id}/resolve"
            self.fire.call("POST", path, json={"sent": message_id in left})
        return len(unknown)


def rows(fire: Fire, query: str) -> list[Any]:
    """The answer of the database, once it is there again."""
    for _ in range(60):
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(pg.url_for(fire.data_dir)) as to:
            return to.execute(query).fetchall()
        time.sleep(0.5)
    raise AssertionError("the database did not come back")


def faults(fire: Fire, server: Mailserver, dice: random.Random) -> Iterator[Any]:
    """Every kind of fault in turn, in an order shuffled anew each round."""
    kinds: list[Any] = [lambda target=target: fire.kill(target) for target in RANDOM_INSTANTS]
    kinds += [lambda at=at: server.arm(at, fire.kill_job_processes) for at in mailserver.MOMENTS]
    kinds += [lambda at=at: kill_at(at, fire, server) for at in BOUNDARIES]
    kinds += [lambda at=at: server.arm_drop(at) for at in ("DATA", "ACCEPTED")]
    while True:
        dice.shuffle(kinds)
        yield from kinds


def kill_at(boundary: str, fire: Fire, server: Mailserver) -> None:
    """Kill both job processes as soon as the database shows a step at this boundary."""
    ends = time.monotonic() + BOUNDARY_S
    with (
        contextlib.suppress(psycopg.Error),
        psycopg.connect(pg.url_for(fire.data_dir), autocommit=True) as to,
    ):
        while time.monotonic() < ends:
            if (found := to.execute(BOUNDARIES[boundary]).fetchone()) and found[0]:
                server.faults[f"kill when {boundary}"] += 1
                fire.kill_job_processes()
                return


def still_on_their_way(fire: Fire) -> int:
    return int(
        rows(fire, "SELECT count(*) FROM campaigns_app_enrollment WHERE status IN ('active', 'parked')")[0][0]
    )


def test_kills_lose_nobody_and_send_nothing_twice(
    fire: tuple[Fire, Mailserver], capsys: pytest.CaptureFixture[str]
) -> None:
    platform, server = fire
    outreach = Outreach(platform, server)
    unknown = 0
    kinds = faults(platform, server, random.Random(SEED))
    began = time.monotonic()

    def enough() -> bool:
        if time.monotonic() - began > SECONDS:
            return True
        return platform.kills.total() >= KILLS and len(server.accepted) >= SENDS

    while not enough():
        outreach.feed()
        outreach.answer_some()
        unknown += outreach.resolve_unknown()
        time.sleep(outreach.random.uniform(0.0, PAUSE_S))  # a random instant, not a wait for something
        if platform.kills.total() * SENDS <= len(server.accepted) * KILLS:  # spread over all sends
            next(kinds)()

    def finished() -> bool:
        nonlocal unknown
        outreach.answer_some()
        unknown += outreach.resolve_unknown()
        return still_on_their_way(platform) == 0

    eventually(finished, within=600)
    sends = Counter(mail.message_id for mail in server.accepted)
    found = {
        "duplicate sends": [each for each, count in sends.items() if count > 1],
        "sends after stop": sends_after_stop(outreach),
        "lost enrollments": lost_enrollments(outreach),
        "broken promises": [
            each["name"]
            for each in platform.call("GET", "/api/campaigns/ledger")["invariants"]
            if not each["ok"]
        ],
    }
    tally = {
        "kills": platform.kills.total(),
        "contacts": outreach.people,
        "sends": len(server.accepted),
        "answers": len(outreach.stopped),
        "unknown resolved": unknown,
        **{name: len(each) for name, each in found.items()},
        "seconds": round(time.monotonic() - began),
    }
    with capsys.disabled():
        print(
            f"\nfaults, seed {SEED}: {tally}\nkilled {dict(platform.kills)}, at the mail server {dict(server.faults)}"
        )
        print(f"all runs of {TALLIES.name}: {kept(tally)}")
    assert not any(found.values()), found
    assert platform.kills, "nothing was killed"


def kept(tally: dict[str, int]) -> dict[str, int]:
    """Add a run to the runs before; the sums over all of them."""
    TALLIES.parent.mkdir(exist_ok=True)
    with TALLIES.open("a") as file:
        file.write(json.dumps({"seed": SEED, **tally}) + "\n")
    runs = [json.loads(line) for line in TALLIES.read_text().splitlines()]
    return {"runs": len(runs), **{name: sum(run.get(name, 0) for run in runs) for name in tally}}


def sends_after_stop(outreach: Outreach) -> list[str]:
    """Mails that reached the server though an answer was known when they were committed, or long after it."""
    committed = rows(
        outreach.fire,
        "SELECT t.message_id FROM campaigns_app_touch t JOIN campaigns_app_touch a USING (enrollment_id) "
        "JOIN campaigns_app_inboundevent i ON i.touch_id = a.id "
        "WHERE i.kind IN ('reply', 'unsubscribe', 'hard_bounce') AND t.sending_at > i.received_at",
    )
    wrong = {message_id for (message_id,) in committed}
    return [
        mail.message_id
        for mail in outreach.server.accepted
        if mail.message_id in wrong or mail.at > outreach.stopped.get(mail.recipient, mail.at) + IN_FLIGHT_S
    ]


def lost_enrollments(outreach: Outreach) -> list[str]:
    """Contacts who neither got every mail nor stopped for a reason the outreach gave."""
    per_person = Counter(mail.recipient for mail in outreach.server.accepted)
    found = dict(
        rows(
            outreach.fire,
            "SELECT c.email, e.status FROM campaigns_app_enrollment e JOIN campaigns_app_contact c ON c.id = e.contact_id",
        )
    )
    lost = []
    for number in range(outreach.people):
        address = f"p{number}@example.com"
        status = found.get(address)
        whole = status == "finished" and per_person[address] == STEPS
        if not whole and not (address in outreach.stopped and status in ENDED_BY_ANSWER):
            lost.append(f"{address}: {status}, {per_person[address]} mails")
    return lost


ENDED_BY_ANSWER = ("replied", "unsubscribed", "bounced", "finished")

"""A real SMTP server with a log of its own: what it accepted is the truth the campaign's claims are held against."""

from __future__ import annotations

import asyncio
import email
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiosmtpd.smtp import SMTP, Envelope, Session

#: Moments of a hand-over at which something may be made to happen, in order.
MOMENTS = ("EHLO", "MAIL", "RCPT", "DATA", "ACCEPTED")


@dataclass(frozen=True)
class Accepted:
    """One mail the server took responsibility for."""

    at: float
    message_id: str
    recipient: str


class Mailserver:
    """Accepts every mail, unless a fault was armed for the next hand-over."""

    def __init__(self) -> None:
        self.accepted: list[Accepted] = []
        self.faults: Counter[str] = Counter()
        self._armed: list[tuple[str, Callable[[], None]]] = []
        self._drop: list[str] = []

    def arm(self, moment: str, what: Callable[[], None]) -> None:
        """Do `what` the next time a hand-over reaches `moment`; one such trap is set at a time."""
        self._armed = [(moment, what)]

    def arm_drop(self, moment: str) -> None:
        """Lose the connection the next time DATA (nothing taken) or ACCEPTED (taken, but not told) is reached."""
        self._drop.append(moment)

    def _reach(self, moment: str) -> None:
        for each in [each for each in self._armed if each[0] == moment][:1]:
            self._armed.remove(each)
            self.faults[f"kill at {moment}"] += 1
            each[1]()

    async def _lose(self, server: SMTP, moment: str) -> None:
        if moment in self._drop:
            self._drop.remove(moment)
            self.faults[f"drop at {moment}"] += 1
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            await asyncio.sleep(3_600)  # ended by the loss of the connection

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self._reach("EHLO")
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        self._reach("MAIL")
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        self._reach("RCPT")
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self._reach("DATA")
        await self._lose(server, "DATA")
        content = envelope.content
        assert isinstance(content, bytes)
        message_id = str(email.message_from_bytes(content)["Message-ID"])
        self.accepted.append(Accepted(time.time(), message_id, envelope.rcpt_tos[0]))
        self._reach("ACCEPTED")
        await self._lose(server, "ACCEPTED")
        return "250 OK"


def serve(port: int) -> tuple[Mailserver, Controller]:
    """A started server; stop the controller when done."""
    handler = Mailserver()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    return handler, controller

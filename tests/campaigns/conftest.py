"""A campaign that may always send, a real SMTP server, and a letter as a graph's run leaves it."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import uuid
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller

from campaigns_app import engine, enrolling, sending, services, writing
from campaigns_app.models import Campaign, Enrollment, Touch
from contract.errors import LangGraphError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiosmtpd.smtp import SMTP, Envelope, Session

ALWAYS: dict[str, Any] = {
    "weekdays": list(range(7)),
    "window_start": dt.time(0, 0),
    "window_end": dt.time(23, 59, 59),
}


class Mailserver:
    """A real SMTP server whose answer to DATA is set by the test."""

    def __init__(self) -> None:
        self.received: list[Envelope] = []
        self.answer = "250 OK"
        self.drop_after_data = False
        self.connections = 0

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.connections += 1
        return responses

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answer.startswith("250"):
            self.received.append(envelope)
        if self.drop_after_data:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            await asyncio.Event().wait()
        return self.answer


@pytest.fixture
def mailserver(settings: Any) -> Iterator[Mailserver]:
    handler = Mailserver()
    with socket.socket() as probe:  # the controller calls back on the port it was given: 0 will not do
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = port
    settings.EMAIL_USE_TLS = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    yield handler
    controller.stop()


@pytest.fixture
def campaign() -> Campaign:
    made = services.create_campaign(
        name="Autumn",
        slug="autumn",
        mailbox="mara@northbeam.example",
        steps=[{"delay": 0, "delay_unit": "hours"}, {"delay": 2, "delay_unit": "hours"}],
        **ALWAYS,
    )
    services.activate(campaign=made)
    return made


def enroll(campaign: Campaign, email: str = "lena@brightwell.example") -> Enrollment:
    report = enrolling.enroll(campaign=campaign, rows=[{"email": email, "name": "Lena"}])
    assert report.errors == ()
    return Enrollment.objects.get(contact__email=email)


def advance(enrollment_id: uuid.UUID, line: sending.Line | None = None) -> None:
    """One enrollment through the stages of a step, as the claim loop takes many."""
    for row in engine.take_up([enrollment_id]):
        if engine.letter_of(row) is None:
            try:
                engine.keep_letters([writing.compose(row)])
            except LangGraphError as error:
                engine.put_back({row.pk: str(error)})
        for touch in engine.commit_to_send([row.pk]):
            with nullcontext(line) if line else closing(sending.Line()) as open_line:
                assert engine.settle({touch: open_line.hand_over(touch)}) == []


def composed(enrollment: Enrollment, position: int = 0) -> Touch:
    """A touch as a graph's run leaves it."""
    step = enrollment.campaign.steps.get(position=position)
    key = writing.touch_key(enrollment, step, "A")
    return Touch.objects.create(
        enrollment=enrollment,
        step=step,
        key=key,
        message_id=f"<{key[:40]}@test>",
        subject="A question",
        body="Hello",
        langsmith_run_id=str(uuid.uuid4()),
    )

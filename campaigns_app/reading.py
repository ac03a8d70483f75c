"""Read a raw answer: which mail it answers, and what it is. Headers decide what they can; a graph reads the rest."""

from __future__ import annotations

import datetime as dt
import email
import re
from dataclasses import dataclass
from email import policy
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError

from campaigns_app.models import InboundEvent
from campaigns_app.replies import settle_message
from fleet.sdk import run_graph_with_meta

if TYPE_CHECKING:
    from email.message import EmailMessage

READER = "classify_reply"
DEADLINE_S = 60.0
MOST_TEXT = 20_000
Kind = InboundEvent.Kind

#: What the graph calls an answer → what the campaign takes it for.
KINDS = {
    "unsubscribe": Kind.UNSUBSCRIBE,
    "hard_bounce": Kind.HARD_BOUNCE,
    "soft_bounce": Kind.SOFT_BOUNCE,
    "out_of_office": Kind.OUT_OF_OFFICE,
}
_MESSAGE_ID = re.compile(r"<[^<>\s]{3,250}>")
_STATUS = re.compile(r"^Status:\s*([45])\.\d{1,3}\.\d{1,3}", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RawMail:
    """What a raw message says of itself."""

    message_ids: tuple[str, ...]
    sender: str
    subject: str
    text: str
    #: Answered by a machine (RFC 3834).
    automatic: bool
    #: "4" or "5" for a delivery report (RFC 3464), else "".
    report: str

    def facts(self) -> dict[str, Any]:
        return {
            "from": self.sender,
            "subject": self.subject,
            "automatic": self.automatic,
            "report": self.report,
        }


def parse(raw: str) -> RawMail:
    """Read an RFC 5322 message. Raises ValidationError (field `raw`) when it answers nothing."""
    message = email.message_from_string(raw, policy=policy.default)
    ids = answered_ids(message)
    if not ids:
        raise ValidationError(
            {"raw": "The message has neither In-Reply-To nor References, and quotes no mail."}
        )
    return RawMail(
        message_ids=ids,
        sender=header(message, "From"),
        subject=header(message, "Subject"),
        text=text_of(message)[:MOST_TEXT],
        automatic=header(message, "Auto-Submitted").lower() not in ("", "no"),
        report=report_of(message),
    )


def answered_ids(message: EmailMessage) -> tuple[str, ...]:
    """Message-IDs a mail answers: In-Reply-To, References from the newest, then those of returned mails."""
    found = _MESSAGE_ID.findall(header(message, "In-Reply-To"))
    found += reversed(_MESSAGE_ID.findall(header(message, "References")))
    for part in message.walk():
        if part is not message and (own := header(part, "Message-ID")):
            found += _MESSAGE_ID.findall(own)
        if part.get_content_type() == "text/rfc822-headers":
            found += _MESSAGE_ID.findall(content(part))
    return tuple(dict.fromkeys(found))[:50]


def report_of(message: EmailMessage) -> str:
    if message.get_content_type() != "multipart/report":
        return ""
    match = next(
        (
            found
            for part in message.walk()
            if part.get_content_type() == "message/delivery-status"
            and (found := _STATUS.search(part.as_string()))
        ),
        None,
    )
    return match[1] if match else ""


def text_of(message: EmailMessage) -> str:
    part = message.get_body(preferencelist=("plain", "html"))
    return content(part) if part is not None else ""


def content(part: Any) -> str:
    """The text of a part; what has no readable text is empty, never an error."""
    try:
        return str(part.get_content()).replace("\x00", "")
    except (KeyError, LookupError, ValueError, UnicodeError):
        return ""


def header(message: Any, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).replace("\x00", "").split())[:2_000]
    except (ValueError, IndexError, LookupError):  # the parser gives up on some hostile headers
        return ""


def read_message(event_id: int) -> None:
    """Find out what a stored message is and act on it. Raises LangGraphError when the graph could not say."""
    event = InboundEvent.objects.select_related("touch__enrollment__campaign").get(pk=event_id)
    if event.kind != Kind.MESSAGE:
        return
    if report := event.mail.get("report"):
        settle_message(event_id, kind=Kind.HARD_BOUNCE if report == "5" else Kind.SOFT_BOUNCE, label="report")
        return
    config = event.touch.enrollment.campaign.run_config
    result = run_graph_with_meta(READER, reader_input(event), timeout=DEADLINE_S, config=config)
    output = result.output if isinstance(result.output, dict) else {}
    label = str(output.get("label") or "")[:40]
    settle_message(
        event_id,
        kind=kind_of(label, automatic=bool(event.mail.get("automatic"))),
        label=label,
        confidence=output.get("confidence"),
        return_date=day(output.get("return_on")),
        langsmith_run_id=result.langsmith_run_id,
        error="",
    )


def reader_input(event: InboundEvent) -> dict[str, object]:
    message = {"from": str(event.mail.get("from") or "")[:400], "subject": event.mail.get("subject") or ""}
    message["body"] = event.text
    return {"message": message, "received_on": event.received_at.date().isoformat()}


def kind_of(label: str, *, automatic: bool) -> Kind:
    """A machine's answer is never a reply, whatever it sounds like (RFC 3834)."""
    kind = KINDS.get(label, Kind.REPLY)
    return Kind.OUT_OF_OFFICE if automatic and kind == Kind.REPLY else kind


def day(value: object) -> dt.date | None:
    try:
        return dt.date.fromisoformat(str(value or ""))
    except ValueError:
        return None

"""Hand one mail to the mail server and say what is known about it afterwards."""

from __future__ import annotations

import contextlib
import enum
import smtplib
from dataclasses import dataclass
from email.utils import quote
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage, get_connection

from campaigns_app.models import Touch, sent_before

UNSUBSCRIBE_SALT = "campaigns.unsubscribe"
#: What a mail server answers to a command it took.
OK = 250


class Kind(enum.Enum):
    SENT = "sent"
    #: The server said no for good; nothing went out.
    REFUSED = "refused"
    #: Nothing went out, trying again later is safe.
    LATER = "later"
    #: The connection was lost after the mail was handed over.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: Kind
    detail: str = ""


class Line:
    """A connection to the mail server, kept open from one mail to the next. Used by one thread at a time."""

    def __init__(self) -> None:
        self._connection: Any = None

    def hand_over(self, touch: Touch) -> Outcome:
        """Send the mail of a touch that is committed to be sent.

        Opening the connection, or finding it alive, comes first and apart: while that fails, provably nothing
        was handed over.
        """
        kept = self._alive()
        if not kept:
            self.close()
            self._connection = get_connection()
            try:
                self._connection.open()
            except (OSError, smtplib.SMTPException) as error:
                self.close()
                return Outcome(Kind.LATER, f"the mail server could not be reached: {error}")
        outcome = self._send(touch)
        if outcome.kind is Kind.SENT:
            return outcome
        self.close()
        # Servers end a connection after so many mails; a new one may take what this one would not.
        return self.hand_over(touch) if kept and outcome.kind is Kind.LATER else outcome

    def _send(self, touch: Touch) -> Outcome:
        try:
            self._connection.send_messages([message_of(touch)])
        except smtplib.SMTPRecipientsRefused as error:
            return refusal(next(iter(error.recipients.values()), (0, b""))[0], error)
        except smtplib.SMTPResponseException as error:
            return refusal(error.smtp_code, error)
        except (OSError, smtplib.SMTPException) as error:
            return Outcome(Kind.UNKNOWN, f"the connection to the mail server was lost: {error}")
        except ValueError as error:  # raised while the mail is made, before anything of it is said
            return Outcome(Kind.REFUSED, f"no mail can be made of this letter: {error}")
        return Outcome(Kind.SENT)

    def _alive(self) -> bool:
        """Whether there is a connection and its server still answers. Other backends than SMTP always do."""
        server = getattr(self._connection, "connection", None)
        if server is None:
            return self._connection is not None
        try:
            return bool(server.noop()[0] == OK)
        except (OSError, smtplib.SMTPException):
            return False

    def close(self) -> None:
        """Hang up. A failing QUIT after the server took a mail changes nothing about the mail."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                connection.close()


def refusal(code: int, error: Exception) -> Outcome:
    """4xx: the server asks to come back later. 5xx: it will never take this mail."""
    return Outcome(Kind.LATER if 400 <= code < 500 else Kind.REFUSED, f"the mail server answered {error}")


def message_of(touch: Touch) -> EmailMessage:
    enrollment = touch.enrollment
    mailbox = enrollment.campaign.mailbox
    link = unsubscribe_url(touch)
    headers = {
        "Message-ID": touch.message_id,
        "List-Unsubscribe": f"<{link}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    if touch.step.same_thread and (earlier := sent_before(enrollment, touch.step)):
        headers["In-Reply-To"] = earlier[-1].message_id
        headers["References"] = " ".join(each.message_id for each in earlier)
    name = quote(mailbox.display_name)
    sender = f'"{name}" <{mailbox.address}>' if name else mailbox.address
    return EmailMessage(
        subject=touch.subject,
        body=f"{touch.body}\n\n--\nTo hear no more from us: {link}\n",
        from_email=sender,
        to=[enrollment.contact.email],
        headers=headers,
    )


def unsubscribe_url(touch: Touch) -> str:
    token = signing.dumps(str(touch.pk), salt=UNSUBSCRIBE_SALT)
    return f"{settings.PUBLIC_URL}/campaigns/unsubscribe/{token}/"


def touch_id_of(token: str) -> str:
    """The touch an unsubscribe token was made for. Raises django.core.signing.BadSignature."""
    return str(signing.loads(token, salt=UNSUBSCRIBE_SALT))

"""Enroll contacts from rows: what is wrong with a row is reported by number and field, the others go on."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Lower
from django.utils import timezone

from campaigns_app.models import Contact, Enrollment, Suppression
from campaigns_app.planning import resting_status, window_of
from campaigns_app.schedule import next_due
from campaigns_app.services import validate_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from campaigns_app.models import Campaign, Step

COLUMNS = ("email", "name", "title", "company", "timezone", "facts", "notes")
MOST_ROWS = 10_000
MOST_BYTES = 5_000_000
BATCH = 500

Outcome = Literal["enrolled", "already", "refused", "elsewhere"]


@dataclass(frozen=True, slots=True)
class RowReport:
    """What became of one row. `elsewhere`: the contact is active in another campaign, and nobody said to go on."""

    number: int
    email: str
    outcome: Outcome
    field: str = ""
    message: str = ""

    def __str__(self) -> str:
        return f"row {self.number}: {self.field}: {self.message}"


@dataclass(frozen=True, slots=True)
class EnrollReport:
    rows: tuple[RowReport, ...]

    def count(self, outcome: Outcome) -> int:
        return sum(row.outcome == outcome for row in self.rows)

    @property
    def enrolled(self) -> int:
        return self.count("enrolled")

    @property
    def already(self) -> int:
        return self.count("already")

    @property
    def elsewhere(self) -> int:
        return self.count("elsewhere")

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(str(row) for row in self.rows if row.message)


def read_csv(data: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file with a header line; `,` or `;` between cells.

    Raises ValidationError (field `file`) when it is no such file; what is wrong inside a row is found later.
    """
    if len(data) > MOST_BYTES:
        raise ValidationError({"file": f"The file is larger than {MOST_BYTES // 1_000_000} MB."})
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValidationError({"file": f"Line {line} is not UTF-8 text."}) from error
    if "\x00" in text:
        raise ValidationError({"file": f"Line {text[: text.index(chr(0))].count(chr(10)) + 1} holds a NUL."})
    delimiter = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header = [name.strip().lower() for name in reader.fieldnames or ()]
    if "email" not in header or "name" not in header:
        raise ValidationError({"file": "The first line must name the columns email and name."})
    if len(set(header)) != len(header):
        raise ValidationError({"file": "A column is named twice in the first line."})
    reader.fieldnames = header
    try:
        rows = [flat(row) for row in reader]
    except csv.Error as error:
        raise ValidationError({"file": f"Line {reader.reader.line_num}: {error}."}) from error
    if len(rows) > MOST_ROWS:
        raise ValidationError({"file": f"More than {MOST_ROWS:,} rows; split the file."})
    return rows


def flat(row: dict[str | None, str | list[str] | None]) -> dict[str, str]:
    """A row of the reader: cells without a column come under `…`, so that they are refused by name."""
    extra = row.pop(None, None)
    found = {str(name): str(value or "") for name, value in row.items()}
    return {**found, "…": "; ".join(extra)} if isinstance(extra, list) else found


def enroll(
    *, campaign: Campaign, rows: Iterable[Mapping[str, str]], also_elsewhere: bool = False
) -> EnrollReport:
    """Enroll contacts given as rows with `email` and `name`.

    A contact active in another campaign is only enrolled with `also_elsewhere`: ask first.
    """
    first = campaign.steps.order_by("position").first()
    if first is None:
        raise ValidationError({"campaign": "The campaign has no step."})
    numbered = list(enumerate(rows, start=1))
    reports: list[RowReport] = []
    for begin in range(0, len(numbered), BATCH):
        reports += enroll_batch(campaign, first, numbered[begin : begin + BATCH], also_elsewhere)
    return EnrollReport(tuple(reports))


@transaction.atomic
def enroll_batch(
    campaign: Campaign, first: Step, rows: Sequence[tuple[int, Mapping[str, str]]], also_elsewhere: bool
) -> list[RowReport]:
    reports: dict[int, RowReport] = {}
    wanted: dict[str, tuple[int, Contact]] = {}
    for number, row in rows:
        try:
            contact = contact_of(row)
        except ValidationError as error:
            name, texts = next(iter(error.message_dict.items()))
            email = str(row.get("email") or "")[:254]
            reports[number] = RowReport(number, email, "refused", name, " ".join(texts))
            continue
        if contact.email.lower() in wanted:
            reports[number] = RowReport(number, contact.email, "already")
        else:
            wanted[contact.email.lower()] = (number, contact)
    for number, contact, outcome, message in place(campaign, first, wanted, also_elsewhere):
        field = "email" if message else ""
        reports[number] = RowReport(number, contact.email, outcome, field, message)
    return [reports[number] for number, _ in rows]


def place(
    campaign: Campaign, first: Step, wanted: Mapping[str, tuple[int, Contact]], also_elsewhere: bool
) -> list[tuple[int, Contact, Outcome, str]]:
    """Enroll what may be; one line for each contact wanted."""
    refused = Suppression.objects.annotate(at=Lower("email")).filter(at__in=wanted)
    suppressed = set(refused.values_list("at", flat=True))
    new = [contact for at, (_, contact) in wanted.items() if at not in suppressed]
    Contact.objects.bulk_create(new, ignore_conflicts=True)
    stored = {
        each.email.lower(): each for each in Contact.objects.annotate(at=Lower("email")).filter(at__in=wanted)
    }
    here = set(campaign.enrollments.filter(contact__in=stored.values()).values_list("contact_id", flat=True))
    elsewhere = {} if also_elsewhere else active_elsewhere(campaign, stored.values())
    lines: list[tuple[int, Contact, Outcome, str]] = []
    made: list[Enrollment] = []
    for at, (number, given) in wanted.items():
        contact = stored.get(at)
        if at in suppressed or contact is None:
            lines.append((number, given, "refused", "This address is suppressed."))
        elif contact.pk in here:
            lines.append((number, contact, "already", ""))
        elif other := elsewhere.get(contact.pk):
            lines.append((number, contact, "elsewhere", f"Active in the campaign {other} already."))
        else:
            made.append(enrollment_of(campaign, first, contact))
            lines.append((number, contact, "enrolled", ""))
    Enrollment.objects.bulk_create(made, ignore_conflicts=True)
    return lines


def active_elsewhere(campaign: Campaign, contacts: Iterable[Contact]) -> dict[int, str]:
    """Contact id → name of another campaign the contact waits in."""
    rows = (
        Enrollment.objects.filter(contact__in=list(contacts))
        .exclude(campaign=campaign)
        .exclude(status__in=Enrollment.ENDED)
        .values_list("contact_id", "campaign__name")
    )
    return dict(rows)


def enrollment_of(campaign: Campaign, first: Step, contact: Contact) -> Enrollment:
    window = window_of(campaign, contact)
    due = next_due(timezone.now(), delay=first.delay, unit=first.delay_unit, window=window)
    return Enrollment(campaign=campaign, contact=contact, due_at=due, status=resting_status(campaign))


def contact_of(row: Mapping[str, str]) -> Contact:
    """The contact a row describes, not stored. Raises ValidationError naming the column."""
    if unknown := sorted(set(row) - set(COLUMNS)):
        raise ValidationError({unknown[0][:60]: f"Unknown column. Known: {', '.join(COLUMNS)}."})
    values = {name: str(row.get(name) or "").strip() for name in COLUMNS}
    validate_address("email", values["email"])
    contact = Contact(**values)
    contact.clean()
    contact.clean_fields()
    return contact

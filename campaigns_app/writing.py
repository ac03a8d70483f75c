"""What a step becomes for one contact: a graph of the fleet writes the letter, once, and the touch keeps it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError

from campaigns_app.models import Enrollment, Step, Touch, sent_before
from campaigns_app.sequence import write_on_thread
from contract.errors import LangGraphError
from contract.registry import GRAPHS
from contract.shapes import SHAPES
from fleet.sdk import run_graph_with_meta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contract.graph_spec import GraphSpec
    from fleet.sdk import RunResult

COMPOSE_DEADLINE_S = 120.0
WRITING_POOL = "EMAIL"
FIRST_WRITER, NEXT_WRITER = "email_compose", "email_followup"
SEQUENCE_GRAPH = "campaign_sequence"
#: Mails of the thread a graph is shown, the newest.
PREVIOUS_SHOWN = 20


def spec_of(assistant_id: str) -> GraphSpec | None:
    return next((spec for spec in GRAPHS if spec.assistant_id == assistant_id), None)


def fields_of(spec: GraphSpec) -> dict[str, Any]:
    """The fields a graph takes, by name."""
    return dict(SHAPES[spec.input_shape].get("properties", {}))


def requires(spec: GraphSpec, field: str) -> bool:
    return field in SHAPES[spec.input_shape].get("required", ())


def cannot_write(spec: GraphSpec) -> str:
    """Why a graph cannot write the letters of a campaign; "" when it can."""
    given = {"contact", "company", "offer"}
    if spec.pool != WRITING_POOL or not given <= fields_of(spec).keys():
        return f"{spec.assistant_id} writes no letter to a contact"
    wanting = set(SHAPES[spec.input_shape].get("required", ())) - given - {"previous"}
    return f"{spec.assistant_id} needs {min(wanting)}, which a campaign does not know" if wanting else ""


def writers(*, resumable: bool) -> list[GraphSpec]:
    """Graphs that can write for a campaign: those that keep a whole sequence, or those that write one letter."""
    return [spec for spec in GRAPHS if spec.resumable == resumable and not cannot_write(spec)]


def check_steps(steps: Sequence[Step]) -> None:
    """Refuse a step whose graph cannot write its letter. Raises ValidationError naming the step."""
    for number, step in enumerate(steps, start=1):
        spec = spec_of(step.assistant_id)
        if spec is None:
            raise ValidationError({"steps": f"step {number}: no graph is called {step.assistant_id!r}."})
        if why := cannot_write(spec):
            raise ValidationError({"steps": f"step {number}: {why}."})
        if number == 1 and requires(spec, "previous"):
            raise ValidationError(
                {"steps": f"step 1: {step.assistant_id} answers an earlier mail, and there is none."}
            )
        allowed = fields_of(spec).get("tone", {}).get("enum", [])
        if wrong := [each for each in step.variants if each not in allowed]:
            raise ValidationError(
                {"steps": f"step {number}: {wrong[0]!r} is no tone of {step.assistant_id}: {allowed}."}
            )


def check_sequence_graph(assistant_id: str, steps: int) -> None:
    """Refuse a sequence whose graph could not be taken up again after a restart. Raises ValidationError."""
    if not assistant_id:
        return
    spec = spec_of(assistant_id)
    if spec is None:
        raise ValidationError({"sequence_graph": f"No graph is called {assistant_id!r}."})
    if why := cannot_write(spec):
        raise ValidationError({"sequence_graph": f"{why}."})
    if steps > 1 and not spec.resumable:
        raise ValidationError(
            {
                "sequence_graph": f"{assistant_id} is not resumable: it keeps no checkpoints, so a sequence of {steps} "
                "steps would not survive a restart. Choose a resumable graph, or leave it empty."
            }
        )


def variant_of(enrollment: Enrollment, step: Step) -> str:
    """The variant this contact gets, the same one whenever it is asked; "A" when the step has none."""
    if not step.variants:
        return "A"
    digest = hashlib.sha256(f"{enrollment.pk}/{step.position}".encode()).digest()
    return str(sorted(step.variants)[int.from_bytes(digest[:8], "big") % len(step.variants)])


def touch_key(enrollment: Enrollment, step: Step, variant: str) -> str:
    """The idempotency key of one mail: campaign, contact, step and variant."""
    parts = (enrollment.campaign_id, enrollment.contact_id, step.position, variant)
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def compose(enrollment: Enrollment) -> Touch:
    """The touch of the next step as its graph writes it, not stored. Asks the database nothing (`engine.held_rows`).

    Raises:
        LangGraphError: The graph failed, or wrote no letter.
    """
    step = next(each for each in enrollment.campaign.steps.all() if each.position == enrollment.position)
    variant = variant_of(enrollment, step)
    key = touch_key(enrollment, step, variant)
    if graph := enrollment.campaign.sequence_graph:
        result = write_on_thread(graph, enrollment, thread_input(enrollment, variant))
    else:
        result = write_alone(enrollment, step, variant)
    subject, body = mail_of(result.output)
    return Touch(
        enrollment=enrollment,
        step=step,
        variant=variant,
        key=key,
        message_id=f"<{key[:40]}@{settings.MAIL_DOMAIN}>",
        subject=subject,
        body=body,
        langsmith_run_id=result.langsmith_run_id,
        thread_id=str(enrollment.pk),
        request_id=result.request_id,
        pool=result.pool,
        routing_version=result.routing_version,
    )


def write_alone(enrollment: Enrollment, step: Step, variant: str) -> RunResult:
    """One run writes one letter. With every earlier step skipped, a graph that follows up has nothing to follow."""
    assistant_id = step.assistant_id
    previous = previous_mails(enrollment, step)
    spec = spec_of(assistant_id)
    if spec and not previous and requires(spec, "previous"):
        assistant_id, spec = FIRST_WRITER, spec_of(FIRST_WRITER)
    given = graph_input(enrollment, step, variant, fields_of(spec) if spec else {}, previous)
    config = enrollment.campaign.run_config
    return run_graph_with_meta(assistant_id, given, timeout=COMPOSE_DEADLINE_S, config=config)


def graph_input(
    enrollment: Enrollment,
    step: Step,
    variant: str,
    takes: Mapping[str, Any],
    previous: Sequence[Mapping[str, str]],
) -> dict[str, object]:
    """The input of a graph that writes: who writes to whom, about what, after which mails (`contract.shapes`)."""
    given = letter_facts(enrollment)
    if "previous" in takes:
        given["previous"] = list(previous)
    if "last_one" in takes:
        given["last_one"] = all(each.position <= step.position for each in enrollment.campaign.steps.all())
    if step.variants and "tone" in takes:
        given["tone"] = variant
    return given


def thread_input(enrollment: Enrollment, variant: str) -> dict[str, object]:
    """What the thread of an enrollment begins with: the facts of the letters and the days between them."""
    given = letter_facts(enrollment)
    steps = list(enrollment.campaign.steps.all())
    given["waits"] = [step.days for step in steps[1:]]
    if steps and steps[0].variants:
        given["tone"] = variant
    return given


def letter_facts(enrollment: Enrollment) -> dict[str, object]:
    """What may be said: never a colleague's notes."""
    contact, campaign = enrollment.contact, enrollment.campaign
    reader = {"name": contact.name, "email": contact.email}
    if contact.title:
        reader["role"] = contact.title
    company: dict[str, object] = {"name": contact.company or contact.email.partition("@")[2]}
    if facts := [line.strip() for line in contact.facts.splitlines() if line.strip()]:
        company["facts"] = facts[:50]
    offer = {"product": campaign.product or campaign.name}
    if campaign.goal:
        offer["goal"] = campaign.goal
    sender = {"name": campaign.mailbox.display_name} if campaign.mailbox.display_name else {}
    return {"contact": reader, "company": company, "offer": offer, "sender": sender}


def previous_mails(enrollment: Enrollment, step: Step) -> list[dict[str, str]]:
    """The mails that went out before this step, the oldest first."""
    sent = sent_before(enrollment, step)
    return [{"subject": touch.subject, "body": touch.body} for touch in sent[-PREVIOUS_SHOWN:]]


def mail_of(output: object) -> tuple[str, str]:
    """Subject and body of a graph's output; a mail without either is a failure, not an empty mail."""
    values = output if isinstance(output, dict) else {}
    subject = " ".join(str(values.get("subject") or "").split())[:300]
    body = str(values.get("body") or "").strip()
    if not subject or not body:
        missing = "subject" if not subject else "body"
        raise LangGraphError(f"the graph answered without a {missing}", kind="backend")
    return subject, body

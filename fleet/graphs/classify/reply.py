"""classify_reply: what an answer to an outreach mail is, and what the campaign has to do about it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, share, text
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

#: Label → what a campaign does with the contact.
ACTIONS = {
    "interested": "stop",
    "question": "stop",
    "referral": "stop",
    "not_now": "stop",
    "not_interested": "stop",
    "unsubscribe": "suppress",
    "hard_bounce": "suppress",
    "soft_bounce": "retry",
    "out_of_office": "pause",
}

LABEL = Prompt(
    name="classify_reply.label",
    instruction="""Label the answer to a sales e-mail by what its own words (not the quoted mail) say:
    interested: wants to talk or to see more. question: asks something without saying yes or no.
    referral: names someone else to ask. not_now: perhaps later. not_interested: no.
    unsubscribe: wants no more mail, or complains. out_of_office: an automatic answer of someone away.
    hard_bounce: the address does not exist (any more). soft_bounce: a delivery problem that may pass.""",
    schema=answer_object(label=choice(*ACTIONS), confidence=share(), reason=text(400)),
)
RETURN_DATE = Prompt(
    name="classify_reply.return_date",
    instruction="""Read from the automatic answer on which day the person is back at work, as YYYY-MM-DD; the mail came
    on `received_on`. Answer "" when the text names no day.""",
    schema=answer_object(return_on={"type": "string", "pattern": r"^(\d{4}-\d\d-\d\d)?$"}),
)
REFERRAL = Prompt(
    name="classify_reply.referral",
    instruction="""Read from the answer whom to ask instead: name and e-mail address, "" for what the text does not say.""",
    schema=answer_object(name=text(120, min_length=0), email=text(320, min_length=0)),
)


class ReplyInput(TypedDict, total=False):
    message: dict[str, Any]
    received_on: str


class ReplyOutput(ModelFacts, total=False):
    label: str
    confidence: float
    reason: str
    #: stop, suppress, retry or pause.
    action: str
    #: ISO date, "" when unknown; only for out_of_office.
    return_on: str
    #: Only for referral.
    referred_to: dict[str, str]


class ReplyState(ReplyOutput, total=False):
    message: dict[str, Any]
    received_on: str


def _facts(state: ReplyState) -> dict[str, Any]:
    today = datetime.now(UTC).date().isoformat()
    return {"message": state.get("message") or {}, "received_on": state.get("received_on") or today}


async def label(state: ReplyState) -> Update:
    answer = await ask(LABEL, **_facts(state))
    return {**answer.data, "action": ACTIONS[answer.data["label"]], **answer.facts()}


def after_labelling(state: ReplyState) -> Literal["read_return_date", "read_referral", "__end__"]:
    match state["label"]:
        case "out_of_office":
            return "read_return_date"
        case "referral":
            return "read_referral"
        case _:
            return "__end__"


async def read_return_date(state: ReplyState) -> Update:
    answer = await ask(RETURN_DATE, **_facts(state))
    return {"return_on": _real_date(answer.data["return_on"]), **answer.facts()}


async def read_referral(state: ReplyState) -> Update:
    """Keep only what really stands in the mail: a made-up address would be written to."""
    answer = await ask(REFERRAL, **_facts(state))
    body = str((state.get("message") or {}).get("body") or "").lower()
    found = {key: value for key, value in answer.data.items() if value and value.lower() in body}
    return {"referred_to": found, **answer.facts()}


def _real_date(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return ""


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(ReplyState, input_schema=ReplyInput, output_schema=ReplyOutput)
    graph.add_node("label", label)
    graph.add_node("read_return_date", read_return_date)
    graph.add_node("read_referral", read_referral)
    graph.add_edge(START, "label")
    graph.add_conditional_edges("label", after_labelling, ["read_return_date", "read_referral", END])
    graph.add_edge("read_return_date", END)
    graph.add_edge("read_referral", END)
    return graph.compile(checkpointer=checkpointer, name="classify_reply")


graph = served(build_graph)

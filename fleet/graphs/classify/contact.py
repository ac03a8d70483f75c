"""score_contact: what part someone plays in a purchase, and how much a mail to them is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from fleet.kit.addresses import address_facts
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, share, text
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update
from fleet.kit.text import clean

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

#: What each part in a purchase is worth. The model names the part; the sum is ours, so that scores can be compared.
WORTH = {"decision_maker": 1.0, "influencer": 0.7, "user": 0.4, "gatekeeper": 0.25, "outside": 0.0}
WEIGHTS = {"part": 0.55, "relevance": 0.25, "reachability": 0.20}

JUDGE = Prompt(
    name="score_contact.judge",
    instruction="""Name the part this contact plays in buying the offer (a business product when none is given):
    decision_maker: signs or owns the budget. influencer: leads, recommends or champions without owning it. user: would
    work with it. gatekeeper: guards access (assistants, reception, recruiters, procurement clerks). outside: no part
    (students, former staff, investors, press, none known). Rate from 0 to 1 how near their field is to the offer
    (`relevance`) and how well they can be reached (`reachability`), and say why in one sentence.""",
    schema=answer_object(
        label=choice(*WORTH), confidence=share(), relevance=share(), reachability=share(), reason=text(300)
    ),
)
ADDRESS = Prompt(
    name="score_contact.address",
    instruction="""The contact decides. Say in one sentence what to talk about with someone in their role, from the offer.""",
    schema=answer_object(talk_about=text(300)),
)
LEAD_ON = Prompt(
    name="score_contact.lead_on",
    instruction="""The contact does not decide but is near to who does. Give the one question that finds the decision maker.""",
    schema=answer_object(ask_for=text(300)),
)


class ContactInput(TypedDict, total=False):
    contact: dict[str, Any]
    company: dict[str, Any]
    offer: dict[str, Any]


class ContactOutput(ModelFacts, total=False):
    #: decision_maker, influencer, user, gatekeeper or outside.
    label: str
    confidence: float
    #: 0 to 100.
    score: int
    reason: str
    talk_about: str
    ask_for: str


class ContactState(ContactOutput, total=False):
    contact: dict[str, Any]
    company: dict[str, Any]
    offer: dict[str, Any]


def _facts(state: ContactState) -> dict[str, Any]:
    return {
        "contact": state.get("contact") or {},
        "company": state.get("company") or {},
        "offer": state.get("offer") or {},
    }


async def judge(state: ContactState) -> Update:
    """Nobody can be reached without an address, whatever a model says."""
    facts = _facts(state)
    answer = await ask(JUDGE, **facts)
    data = dict(answer.data)
    relevance, reachability = data.pop("relevance"), data.pop("reachability")
    if not address_facts(clean(facts["contact"].get("email"), 320))["valid"]:
        reachability = 0.0
    parts = {"part": WORTH[data["label"]], "relevance": relevance, "reachability": reachability}
    score = (
        0 if data["label"] == "outside" else round(100 * sum(WEIGHTS[part] * parts[part] for part in parts))
    )
    return {**data, "score": score, **answer.facts()}


def after_judging(state: ContactState) -> Literal["plan_talk", "lead_on", "__end__"]:
    match state["label"]:
        case "decision_maker":
            return "plan_talk"
        case "influencer" | "user" | "gatekeeper":
            return "lead_on"
        case _:
            return "__end__"


async def plan_talk(state: ContactState) -> Update:
    answer = await ask(ADDRESS, **_facts(state))
    return {**answer.data, **answer.facts()}


async def lead_on(state: ContactState) -> Update:
    answer = await ask(LEAD_ON, **_facts(state), label=state["label"])
    return {**answer.data, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(ContactState, input_schema=ContactInput, output_schema=ContactOutput)
    graph.add_node("judge", judge)
    graph.add_node("plan_talk", plan_talk)
    graph.add_node("lead_on", lead_on)
    graph.add_edge(START, "judge")
    graph.add_conditional_edges("judge", after_judging, ["plan_talk", "lead_on", END])
    graph.add_edge("plan_talk", END)
    graph.add_edge("lead_on", END)
    return graph.compile(checkpointer=checkpointer, name="score_contact")


graph = served(build_graph)

"""find_decision_maker: who among the known people decides about an offer, how to reach them, or whom to look for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, share, text, texts
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

PICK = Prompt(
    name="find_decision_maker.pick",
    instruction="""Pick from `people` (numbered) who decides about the offer: "found" when one of them likely owns the budget,
    "champion" when none does but one is near to who does, "nobody" when none has a part in it. `person` is the number
    (0 for nobody), `why` rests on the given role.""",
    schema=answer_object(
        verdict=choice("found", "champion", "nobody"),
        person={"type": "integer", "minimum": 0},
        confidence=share(),
        why=text(300),
    ),
)
ROUTE = Prompt(
    name="find_decision_maker.route",
    instruction="""Say in one sentence what to write to this decision maker about, from role and offer, and who else of `people`
    to keep informed (their names).""",
    schema=answer_object(talk_about=text(300), others=texts(5, 120)),
)
LEAD = Prompt(
    name="find_decision_maker.lead_through",
    instruction="""This person does not decide. Give the question to ask them that leads to who does.""",
    schema=answer_object(ask_for=text(300)),
)
SEEK = Prompt(
    name="find_decision_maker.seek",
    instruction="""Nobody known decides about the offer. List the roles that would, in a company of this kind and size, most likely
    first, and where such a person can be found.""",
    schema=answer_object(roles=texts(5, 80), where=texts(4, 200)),
)


class DecisionInput(TypedDict, total=False):
    company: dict[str, Any]
    people: list[dict[str, Any]]
    offer: dict[str, Any]


class DecisionOutput(ModelFacts, total=False):
    #: found, champion or nobody.
    verdict: str
    person: dict[str, Any]
    confidence: float
    why: str
    talk_about: str
    others: list[str]
    ask_for: str
    roles: list[str]
    where: list[str]


class DecisionState(DecisionOutput, total=False):
    company: dict[str, Any]
    people: list[dict[str, Any]]
    offer: dict[str, Any]


def _facts(state: DecisionState) -> dict[str, Any]:
    people = [{"number": n, **one} for n, one in enumerate(state.get("people") or [], 1)]
    return {
        "company": section(state.get("company")),
        "offer": section(state.get("offer")),
        "people": people,
    }


async def pick(state: DecisionState) -> Update:
    """A number that is nobody's is nobody."""
    people = state.get("people") or []
    answer = await ask(PICK, **_facts(state))
    data = answer.data
    known = data["verdict"] != "nobody" and 1 <= data["person"] <= len(people)
    return {
        "verdict": data["verdict"] if known else "nobody",
        "person": people[data["person"] - 1] if known else {},
        "confidence": data["confidence"],
        "why": data["why"],
        **answer.facts(),
    }


def after_picking(state: DecisionState) -> Literal["plan_route", "lead_through", "seek"]:
    match state["verdict"]:
        case "found":
            return "plan_route"
        case "champion":
            return "lead_through"
        case _:
            return "seek"


async def plan_route(state: DecisionState) -> Update:
    answer = await ask(ROUTE, **_facts(state), person=state["person"])
    names = {clean(one.get("name"), 120) for one in state.get("people") or []}
    others = [name for name in answer.data["others"] if name in names and name != state["person"].get("name")]
    return {"talk_about": answer.data["talk_about"], "others": others, **answer.facts()}


async def lead_through(state: DecisionState) -> Update:
    answer = await ask(LEAD, **_facts(state), person=state["person"])
    return {**answer.data, **answer.facts()}


async def seek(state: DecisionState) -> Update:
    answer = await ask(SEEK, **_facts(state))
    return {**answer.data, **answer.facts()}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(DecisionState, input_schema=DecisionInput, output_schema=DecisionOutput)
    graph.add_node("pick", pick)
    graph.add_node("plan_route", plan_route)
    graph.add_node("lead_through", lead_through)
    graph.add_node("seek", seek)
    graph.add_edge(START, "pick")
    graph.add_conditional_edges("pick", after_picking, ["plan_route", "lead_through", "seek"])
    for last in ("plan_route", "lead_through", "seek"):
        graph.add_edge(last, END)
    return graph.compile(checkpointer=checkpointer, name="find_decision_maker")


graph = served(build_graph)

"""classify_company: does a company fit the ideal customer profile? The verdict decides what is worked out next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, share, text, texts
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

#: Used when the caller gives no profile of its own.
DEFAULT_PROFILE: dict[str, Any] = {
    "description": "B2B software companies that sell to other businesses and build with data or AI",
    "industries": ["software", "SaaS", "data", "AI", "logistics technology"],
    "keywords": ["platform", "API", "software", "AI", "data", "automation"],
    "min_employees": 20,
    "max_employees": 2000,
}

JUDGE = Prompt(
    name="classify_company.judge",
    instruction="""Judge whether the company fits the ideal customer profile. "fit" or "not_fit" only when the given
    facts decide it; otherwise "needs_evidence". Give the reasons that decided it and your confidence from 0 to 1.""",
    schema=answer_object(
        verdict=choice("fit", "needs_evidence", "not_fit"), confidence=share(), reasons=texts()
    ),
)
APPROACH = Prompt(
    name="classify_company.approach",
    instruction="""The company fits. From its own facts, say in one sentence which angle a first conversation should
    take, and what the sales team should do next.""",
    schema=answer_object(angle=text(500), next_step=text(200)),
)
QUESTIONS = Prompt(
    name="classify_company.questions",
    instruction="""The facts do not decide whether the company fits the profile. List the questions whose answers
    would, most decisive first; each must be answerable by research.""",
    schema=answer_object(questions=texts(6)),
)


class CompanyInput(TypedDict, total=False):
    company: dict[str, Any]
    profile: dict[str, Any]


class CompanyOutput(ModelFacts, total=False):
    verdict: str
    confidence: float
    reasons: list[str]
    angle: str
    questions: list[str]
    next_step: str


class CompanyState(CompanyOutput, total=False):
    company: dict[str, Any]
    profile: dict[str, Any]


def _facts(state: CompanyState) -> dict[str, Any]:
    return {"company": state.get("company") or {}, "profile": state.get("profile") or DEFAULT_PROFILE}


async def judge(state: CompanyState) -> Update:
    answer = await ask(JUDGE, **_facts(state))
    data = answer.data
    return {
        "verdict": data["verdict"],
        "confidence": data["confidence"],
        "reasons": data["reasons"],
        **answer.facts(),
    }


def after_judging(state: CompanyState) -> Literal["plan_approach", "list_questions", "drop"]:
    match state["verdict"]:
        case "fit":
            return "plan_approach"
        case "needs_evidence":
            return "list_questions"
        case _:
            return "drop"


async def plan_approach(state: CompanyState) -> Update:
    answer = await ask(APPROACH, **_facts(state), reasons=state["reasons"])
    return {"angle": answer.data["angle"], "next_step": answer.data["next_step"], **answer.facts()}


async def list_questions(state: CompanyState) -> Update:
    answer = await ask(QUESTIONS, **_facts(state), reasons=state["reasons"])
    return {
        "questions": answer.data["questions"],
        "next_step": "answer the questions, then judge again",
        **answer.facts(),
    }


def drop(state: CompanyState) -> Update:
    return {
        "next_step": "drop it: "
        + (state["reasons"][0] if state["reasons"] else "it does not fit the profile")
    }


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(CompanyState, input_schema=CompanyInput, output_schema=CompanyOutput)
    graph.add_node("judge", judge)
    graph.add_node("plan_approach", plan_approach)
    graph.add_node("list_questions", list_questions)
    graph.add_node("drop", drop)
    graph.add_edge(START, "judge")
    graph.add_conditional_edges("judge", after_judging, ["plan_approach", "list_questions", "drop"])
    graph.add_edge("plan_approach", END)
    graph.add_edge("list_questions", END)
    graph.add_edge("drop", END)
    return graph.compile(checkpointer=checkpointer, name="classify_company")


graph = served(build_graph)

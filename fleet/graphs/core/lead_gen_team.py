"""lead_gen_team: a supervisor that sends a lead to members of other pools until it is ready, or there is no more to do.

Each member is a graph of its own behind the dispatcher. The supervisor sees what is known and picks who works next;
a member that failed is not asked again.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any

from typing_extensions import TypedDict

from fleet.kit.hop import call_graph
from fleet.kit.llm import ask
from fleet.kit.people import merged
from fleet.kit.prompts import Prompt, answer_object, choice, text
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, extend
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from collections.abc import Callable

    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    Task = Callable[["TeamState"], dict[str, Any]]

MEMBER_S = 60.0
#: Member → what it is for. Its name is the graph's.
MEMBERS = {
    "company_enrichment": "fills what is not known of the company",
    "company_problems": "reads which difficulties the company shows",
    "classify_company": "judges whether the company fits the profile",
    "contact_discovery": "finds people at the company",
    "find_decision_maker": "picks who decides among the people",
    "score_contact": "scores a mail to the decision maker",
    "email_outreach": "writes the first mail",
}
FINISH = "finish"

CHOOSE = Prompt(
    name="lead_gen_team.choose",
    instruction="""You lead a team that takes a company to a first e-mail. From what is `known`, pick the member who should work next,
    or "finish" when the mail is written, when the company does not fit, or when nobody can add anything. Do not pick
    one of `done` again. A mail needs a decision maker; a decision maker needs people.""",
    schema=answer_object(next=choice(*MEMBERS, FINISH), why=text(300)),
)


class TeamInput(TypedDict, total=False):
    company: dict[str, Any]
    profile: dict[str, Any]
    offer: dict[str, Any]
    sender: dict[str, Any]
    people: list[dict[str, Any]]
    texts: list[str]


class TeamOutput(ModelFacts, total=False):
    #: written, not_fit, or incomplete.
    outcome: str
    #: Member → what it answered.
    results: Annotated[dict[str, Any], operator.or_]
    #: One entry a call, as in lead_pipeline, and `why` the supervisor chose it.
    hops: Annotated[list[dict[str, Any]], operator.add]
    reason: str
    missing: Annotated[list[str], extend]
    partial: bool


class TeamState(TeamOutput, total=False):
    company: dict[str, Any]
    profile: dict[str, Any]
    offer: dict[str, Any]
    sender: dict[str, Any]
    people: list[dict[str, Any]]
    texts: list[str]
    next: str


async def supervise(state: TeamState) -> Update:
    """Who works next; one who has worked is not sent out twice, whatever the model says."""
    done = [hop["assistant_id"] for hop in state.get("hops") or []]
    if len(done) == len(MEMBERS):
        return {"next": FINISH, "reason": "every member has worked"}
    answer = await ask(CHOOSE, members=MEMBERS, done=done, known=_known(state))
    chosen = answer.data["next"]
    return {
        "next": FINISH if chosen in done else chosen,
        "reason": clean(answer.data["why"]),
        **answer.facts(),
    }


def after_supervising(state: TeamState) -> str:
    return "close" if state["next"] == FINISH else "work"


async def work(state: TeamState) -> Update:
    member = state["next"]
    output, hop, missing = await call_graph(member, TASKS[member](state), MEMBER_S)
    gaps = missing + [f"{member}: {one}" for one in output.get("missing") or []]
    return {"results": {member: output}, "hops": [{**hop, "why": state["reason"]}], "missing": gaps}


def close(state: TeamState) -> Update:
    results = section(state.get("results"))
    written = bool(section(results.get("email_outreach")).get("body"))
    unfit = section(results.get("classify_company")).get("verdict") == "not_fit"
    outcome = "written" if written else "not_fit" if unfit else "incomplete"
    return {"outcome": outcome, "partial": bool(state.get("missing"))}


def _known(state: TeamState) -> dict[str, Any]:
    """What the supervisor sees: the verdicts and names, not whole results."""
    results = section(state.get("results"))
    return {
        "company": section(state.get("company")),
        "verdict": section(results.get("classify_company")).get("verdict"),
        "people": [clean(one.get("name"), 120) for one in _people(state)],
        "decision_maker": clean(_contact(state).get("name"), 120),
        "mail": bool(section(results.get("email_outreach")).get("body")),
        "missing": state.get("missing") or [],
    }


def _company(state: TeamState) -> dict[str, Any]:
    """The caller's facts, and the difficulties that were found."""
    company = section(state.get("company"))
    results = section(state.get("results"))
    problems = section(results.get("company_problems")).get("problems") or []
    profile = section(section(results.get("company_enrichment")).get("profile"))
    described = company.get("description") or profile.get("summary")
    facts = [*(company.get("facts") or []), *problems]
    return {**company, **({"description": described} if described else {}), "facts": facts[:50]}


def _people(state: TeamState) -> list[dict[str, Any]]:
    found = section(section(state.get("results")).get("contact_discovery")).get("people") or []
    plain = [{key: one[key] for key in ("name", "role", "email") if one.get(key)} for one in found]
    return merged([*(state.get("people") or []), *plain])[:50]


def _contact(state: TeamState) -> dict[str, Any]:
    return section(section(section(state.get("results")).get("find_decision_maker")).get("person"))


def _study(state: TeamState) -> dict[str, Any]:
    return {"company": section(state.get("company")), "texts": state.get("texts") or []}


def _letter(state: TeamState) -> dict[str, Any]:
    parts = {"offer": section(state.get("offer")), "sender": section(state.get("sender"))}
    return {"contact": _contact(state), "company": _company(state), **parts}


#: Member → its input, from what is known.
TASKS: dict[str, Task] = {
    "company_enrichment": _study,
    "company_problems": lambda state: {**_study(state), "offer": section(state.get("offer"))},
    "classify_company": lambda state: {"company": _company(state), "profile": section(state.get("profile"))},
    "contact_discovery": _study,
    "find_decision_maker": lambda state: {
        "company": _company(state),
        "people": _people(state),
        "offer": section(state.get("offer")),
    },
    "score_contact": lambda state: {"contact": _contact(state), "offer": section(state.get("offer"))},
    "email_outreach": _letter,
}


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(TeamState, input_schema=TeamInput, output_schema=TeamOutput)
    graph.add_node("supervise", supervise)
    graph.add_node("work", work)
    graph.add_node("close", close)
    graph.add_edge(START, "supervise")
    graph.add_conditional_edges("supervise", after_supervising, ["work", "close"])
    graph.add_edge("work", "supervise")
    graph.add_edge("close", END)
    return graph.compile(checkpointer=checkpointer, name="lead_gen_team")


graph = served(build_graph)

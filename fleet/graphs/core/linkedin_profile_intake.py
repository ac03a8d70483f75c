"""linkedin_profile_intake: a profile as it was copied becomes a contact and a company other graphs take, and a score.

Nothing enters the records that does not stand in what was given: a made-up address would be written to.
"""

from __future__ import annotations

import json
import operator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.kit.evidence import stands_in
from fleet.kit.hop import call_graph
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, text
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, extend
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

FIELDS = ("name", "role", "company", "location", "email")
SCORE_S = 60.0

READ = Prompt(
    name="linkedin_profile_intake.read",
    instruction="""Read the profile. `decision`: person, organisation (a company's or school's page), or unclear. Give name,
    present role, present company, location and e-mail address as they stand there, "" for what is not said.""",
    schema=answer_object(
        decision=choice("person", "organisation", "unclear"),
        **{field: text(300, min_length=0) for field in FIELDS},
    ),
)


class ProfileInput(TypedDict, total=False):
    profile: dict[str, Any]
    text: str
    offer: dict[str, Any]


class ProfileOutput(ModelFacts, total=False):
    #: taken, incomplete (no name, role or company), or refused (not a person).
    outcome: str
    contact: dict[str, str]
    company: dict[str, str]
    #: The answer of `score_contact`, {} when it was not asked or did not answer.
    scored: dict[str, Any]
    #: Fields a model gave that do not stand in the profile.
    rejected: list[str]
    next_step: str
    hops: Annotated[list[dict[str, Any]], operator.add]
    missing: Annotated[list[str], extend]
    partial: bool


class ProfileState(ProfileOutput, total=False):
    profile: dict[str, Any]
    text: str
    offer: dict[str, Any]
    decision: str


async def read(state: ProfileState) -> Update:
    profile, pasted = section(state.get("profile")), str(state.get("text") or "").strip()
    if not profile and not pasted:
        raise LangGraphError("profile: give a profile, or its text", kind="client")
    answer = await ask(READ, profile=profile, text=pasted[:20_000])
    given = f"{json.dumps(profile, ensure_ascii=False)}\n{pasted}"
    read_fields = {field: clean(answer.data[field], 300) for field in FIELDS}
    rejected = [field for field, value in read_fields.items() if value and not stands_in(value, given)]
    kept = {field: value for field, value in read_fields.items() if value and field not in rejected}
    url = clean(profile.get("url"), 400)
    contact = {field: kept[field] for field in ("name", "role", "email", "location") if field in kept}
    return {
        "decision": answer.data["decision"],
        "contact": {**contact, **({"linkedin": url} if url else {})},
        "company": {"name": kept["company"]} if "company" in kept else {},
        "scored": {},
        "rejected": rejected,
        "missing": [f"the profile names no {field}" for field in ("name", "role", "company") if field not in kept],
        "partial": False,
        **answer.facts(),
    }  # fmt: skip


def after_reading(state: ProfileState) -> Literal["score", "turn_away"]:
    return "score" if state["decision"] == "person" and state["contact"].get("name") else "turn_away"


async def score(state: ProfileState) -> Update:
    """Scored by its own graph in its own pool, through the dispatcher like any other call."""
    question = {
        "contact": {key: state["contact"][key] for key in ("name", "role", "email") if key in state["contact"]},
        "company": state["company"],
        "offer": section(state.get("offer")),
    }  # fmt: skip
    asked = {key: value for key, value in question.items() if value}
    scored, hop, missing = await call_graph("score_contact", asked, SCORE_S)
    whole = not state["missing"]
    return {
        "outcome": "taken" if whole else "incomplete",
        "scored": {key: scored[key] for key in ("label", "score", "reason", "talk_about", "ask_for") if key in scored},
        "next_step": _next_step(state["contact"], scored) if whole else f"find out first: {'; '.join(state['missing'])}",
        "hops": [hop],
        "missing": missing,
        "partial": bool(missing) or not whole,
    }  # fmt: skip


def turn_away(state: ProfileState) -> Update:
    what = {"organisation": "the page of an organisation"}.get(
        state["decision"], "not clearly a person's profile"
    )
    return {"outcome": "refused", "contact": {}, "next_step": f"take nothing: this is {what}"}  # fmt: skip


def _next_step(contact: dict[str, str], scored: dict[str, Any]) -> str:
    if not contact.get("email"):
        return f"find an e-mail address of {contact['name']} (contact_enrich) before a mail is written"
    if scored.get("label") == "outside":
        return f"do not write: {contact['name']} has no part in a purchase"
    return f"hand {contact['name']} to lead_pipeline"


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(ProfileState, input_schema=ProfileInput, output_schema=ProfileOutput)
    graph.add_node("read", read)
    graph.add_node("score", score)
    graph.add_node("turn_away", turn_away)
    graph.add_edge(START, "read")
    graph.add_conditional_edges("read", after_reading, ["score", "turn_away"])
    graph.add_edge("score", END)
    graph.add_edge("turn_away", END)
    return graph.compile(checkpointer=checkpointer, name="linkedin_profile_intake")


graph = served(build_graph)

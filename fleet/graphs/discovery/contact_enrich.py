"""contact_enrich: more about one person, from texts that are really about them; a namesake's facts are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import TypedDict

from contract.errors import LangGraphError
from fleet.kit import github
from fleet.kit.addresses import address_facts
from fleet.kit.evidence import Evidence, collect, found_in, from_search, given, numbered
from fleet.kit.http import connect
from fleet.kit.llm import ask
from fleet.kit.prompts import Prompt, answer_object, choice, text, texts
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, extend
from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

MATCH = Prompt(
    name="contact_enrich.match",
    instruction="""Decide which texts are about this very person: the name and something else (company, role, address, place) have to
    agree. `about` are the ids of those texts. "same" when there is at least one, "namesake" when the texts are about
    others of the name, "unclear" when they do not tell.""",
    schema=answer_object(identity=choice("same", "namesake", "unclear"), about=texts(20, 10)),
)
PROFILE = Prompt(
    name="contact_enrich.profile",
    instruction="""From the texts alone: role, place, and up to six things the person does or cares about, each a quote, word for
    word ("" and an empty list for what they do not say).""",
    schema=answer_object(
        role=text(200, min_length=0), place=text(120, min_length=0), interests=texts(6, 300)
    ),
)


class EnrichInput(TypedDict, total=False):
    contact: dict[str, Any]
    company: dict[str, Any]
    texts: list[str]


class EnrichOutput(ModelFacts, total=False):
    #: same, namesake, unclear, or unknown when there is nothing to read.
    identity: str
    role: str
    place: str
    interests: list[str]
    #: valid, shared, private, of_company: what the address tells by itself.
    address: dict[str, Any]
    sources: list[str]
    missing: Annotated[list[str], extend]
    partial: bool


class EnrichState(EnrichOutput, total=False):
    contact: dict[str, Any]
    company: dict[str, Any]
    texts: list[str]
    evidence: list[Evidence]
    about: list[str]


async def gather(state: EnrichState) -> Update:
    contact, company = section(state.get("contact")), section(state.get("company"))
    name = clean(contact.get("name"), 120)
    if not name:
        raise LangGraphError("contact.name: give the person's name", kind="client")
    readers = [from_search(f'"{name}" {clean(company.get("name"), 120)}')]
    if login := github.login_of(contact.get("github")):
        readers.append(_profile_of(login))
    read, missing = await collect(*readers)
    known = given({}, state.get("texts") or [])
    address = clean(contact.get("email"), 320)
    return {
        "identity": "unknown",
        "address": address_facts(address, clean(company.get("website"), 2_000)) if address else {},
        "evidence": numbered([*known, *read]),
        "sources": [],
        "missing": missing,
        "partial": bool(missing),
    }


async def _profile_of(login: str) -> list[Evidence]:
    async with connect(github.source()) as session:
        person = await github.person(session, login)
    line = ". ".join(filter(None, (person[key] for key in ("name", "bio", "company", "location", "email"))))
    return [Evidence(id="", source="GitHub", url=person["url"], text=line)] if line else []


def after_gathering(state: EnrichState) -> Literal["match_texts", "__end__"]:
    return "match_texts" if state["evidence"] else "__end__"


async def match_texts(state: EnrichState) -> Update:
    facts = {"contact": section(state.get("contact")), "company": section(state.get("company"))}
    answer = await ask(MATCH, **facts, evidence=state["evidence"])
    known = {one["id"] for one in state["evidence"]}
    about = [one for one in answer.data["about"] if one in known]
    identity = answer.data["identity"] if about or answer.data["identity"] != "same" else "unclear"
    return {"identity": identity, "about": about, **answer.facts()}


def after_matching(state: EnrichState) -> Literal["write_profile", "__end__"]:
    return "write_profile" if state["identity"] == "same" else "__end__"


async def write_profile(state: EnrichState) -> Update:
    texts = [one for one in state["evidence"] if one["id"] in state["about"]]
    answer = await ask(PROFILE, contact=section(state.get("contact")), evidence=texts)
    data = answer.data
    return {
        "role": data["role"] if found_in(data["role"], texts) else "",
        "place": data["place"] if found_in(data["place"], texts) else "",
        "interests": [quote for quote in data["interests"] if found_in(quote, texts)],
        "sources": sorted({one["url"] or one["source"] for one in texts}),
        **answer.facts(),
    }


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(EnrichState, input_schema=EnrichInput, output_schema=EnrichOutput)
    graph.add_node("gather", gather)
    graph.add_node("match_texts", match_texts)
    graph.add_node("write_profile", write_profile)
    graph.add_edge(START, "gather")
    graph.add_conditional_edges("gather", after_gathering, ["match_texts", END])
    graph.add_conditional_edges("match_texts", after_matching, ["write_profile", END])
    graph.add_edge("write_profile", END)
    return graph.compile(checkpointer=checkpointer, name="contact_enrich")


graph = served(build_graph)

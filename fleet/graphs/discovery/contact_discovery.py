"""contact_discovery: the people a company shows, from its team pages, the web and what one has, each where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import TypedDict

from fleet.kit import github
from fleet.kit.addresses import address_facts
from fleet.kit.evidence import Evidence, collect, from_search, from_website, given, numbered
from fleet.kit.http import SourceError, connect
from fleet.kit.llm import ask
from fleet.kit.people import proven
from fleet.kit.prompts import Prompt, answer_object, choice, text
from fleet.kit.serve import served
from fleet.kit.state import ModelFacts, Update, extend
from fleet.kit.text import clean, clean_list, section

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

PAGES = ("/team", "/about", "/about-us", "/contact", "/imprint")
_PERSON = answer_object(name=text(120), role=text(200, min_length=0), email=text(320, min_length=0))

READ = Prompt(
    name="contact_discovery.read",
    instruction="""List the people whom the texts name as working at the company, each with role and e-mail address as they stand
    there ("" for what does not). Answer "look_further" when someone with one of the wanted `roles` is still missing,
    else "enough".""",
    schema=answer_object(
        people={"type": "array", "items": _PERSON, "maxItems": 40}, decision=choice("enough", "look_further")
    ),
)


class ContactsInput(TypedDict, total=False):
    company: dict[str, Any]
    texts: list[str]
    roles: list[str]


class ContactsOutput(ModelFacts, total=False):
    #: `name`, `role`, `email`, `address` (what the address tells), `source`, `url`.
    people: list[dict[str, Any]]
    missing: Annotated[list[str], extend]
    partial: bool


class ContactsState(ContactsOutput, total=False):
    company: dict[str, Any]
    texts: list[str]
    roles: list[str]
    evidence: list[Evidence]
    decision: str
    looked: bool


async def gather(state: ContactsState) -> Update:
    company = section(state.get("company"))
    website = clean(company.get("website"), 2_000)
    known = given(company, state.get("texts") or [])
    read, missing = await collect(*([from_website(website, PAGES)] if website else []))
    start: Update = {"people": [], "looked": False, "decision": "look_further"}
    return {**start, "evidence": numbered([*known, *read]), "missing": missing, "partial": bool(missing)}


def after_gathering(state: ContactsState) -> Literal["read", "look_further"]:
    return "read" if state["evidence"] else "look_further"


async def read(state: ContactsState) -> Update:
    """Names, roles and addresses count only as they stand in a text."""
    company = section(state.get("company"))
    roles = clean_list(state.get("roles") or [])
    answer = await ask(READ, company=company, roles=roles, evidence=state["evidence"])
    website = clean(company.get("website"), 2_000)
    people = [
        {**one, "address": address_facts(one["email"], website) if one["email"] else {}}
        for one in proven(answer.data["people"], state["evidence"])
    ]
    return {"people": people, "decision": answer.data["decision"], **answer.facts()}


def after_reading(state: ContactsState) -> Literal["look_further", "__end__"]:
    wanted = state["decision"] == "look_further" and not state["looked"]
    return "look_further" if wanted else "__end__"


async def look_further(state: ContactsState) -> Update:
    """The web, and the public members of the company's organisation on GitHub."""
    company = section(state.get("company"))
    name, roles = clean(company.get("name"), 120), clean_list(state.get("roles") or [])
    readers = [from_search(f"{name} {' '.join(roles[:3]) or 'team leadership'}")]
    if login := github.login_of(company.get("github")):
        readers.append(_from_github(login))
    found, missing = await collect(*readers)
    return {
        "evidence": numbered([*state["evidence"], *found]),
        "looked": True,
        "missing": missing,
        "partial": state["partial"] or bool(missing),
    }


async def _from_github(login: str) -> list[Evidence]:
    """One text a public member: name, bio and address as their profile shows them. Raises SourceError."""
    texts = []
    async with connect(github.source()) as session:
        for member in await github.members(session, login, 5):
            try:
                person = await github.person(session, member)
            except SourceError:
                continue  # the others are still worth reading
            line = ", ".join(
                filter(None, (person["name"], person["bio"], person["company"], person["email"]))
            )
            texts.append(Evidence(id="", source="GitHub", url=person["url"], text=line))
    return [one for one in texts if one["text"]]


def after_looking(state: ContactsState) -> Literal["read", "__end__"]:
    return "read" if state["evidence"] else "__end__"


def build_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(ContactsState, input_schema=ContactsInput, output_schema=ContactsOutput)
    graph.add_node("gather", gather)
    graph.add_node("read", read)
    graph.add_node("look_further", look_further)
    graph.add_edge(START, "gather")
    graph.add_conditional_edges("gather", after_gathering, ["read", "look_further"])
    graph.add_conditional_edges("read", after_reading, ["look_further", END])
    graph.add_conditional_edges("look_further", after_looking, ["read", END])
    return graph.compile(checkpointer=checkpointer, name="contact_discovery")


graph = served(build_graph)

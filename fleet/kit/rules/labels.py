"""Offline rules that label texts by phrase: recruiters, research papers, and the part of a contact in a purchase."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fleet.kit.addresses import address_facts
from fleet.kit.rules.letters import meaning
from fleet.kit.text import clean, section, statements

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

#: Label → phrase. The first label whose phrase stands in a sentence wins, so the special comes before the general.
RECRUITMENT = (
    ("staffing", r"\btemp(?:orary)? (?:staff|workers?|agency|work|labou?r|personnel|nurses|teachers)|\bstaffing (?:agency|company|firm|solutions|services|partner)|labou?r hire|staff leasing|(?:supply|supplies|supplying|provide[sd]?|lend|lends|place|deploy|second)\w* (?:\w+ ){0,4}(?:temps|contractors|temporary|interim|freelancers)|contract(?:or)? staffing|on (?:our|the agency's) payroll|shift workers|umbrella|interim managers|zeitarbeit|\blends? (?:\w+ ){0,3}(?:workers|staff|people)|(?:suppl(?:y|ies)|provides?) (?:seasonal|shift|relief|agency) \w+|we pay them (?:daily|weekly)|\b(?:vetted|relief|bank) (?:\w+ )?staff\b|payroll(?:ing)? (?:for|of) contractors"),
    ("platform", r"\b(?:applicant tracking|ATS\b|job board|jobs? (?:marketplace|site|portal)|recruit(?:ing|ment|er)s? (?:software|platform|app|automation|tool|CRM|SaaS)|hiring (?:software|platform|app|tool|marketplace)|talent (?:marketplace|platform|intelligence)|(?:software|platform|marketplace|app|tool|SaaS)\b.{0,80}\b(?:recruit(?:ers?|ing|ment)|hiring|candidates|applicants|interviews?|job ?seekers)|(?:match(?:es|ing)?|connects?) (?:freelance|\w+ ){0,4}(?:\w+ )?(?:candidates|job ?seekers|freelancers|talent|designers|workers) (?:with|to)|post a (?:shift|job|vacancy|brief)|candidate portals?)"),
    ("agency", r"\b(?:recruit(?:ment|ing) (?:agency|consultan\w+|firm|company|partner|process outsourcing|specialists?|boutique|team for)|headhunt\w+|executive search|search firm|talent (?:partner|search)|RPO\b|retained search|contingen\w+ search|recruiters? (?:for|to)|placement (?:agency|firm)|(?:find|place|recruit|source|hire)s? (?:\w+ ){0,7}for (?:our )?(?:clients|other companies|companies|start-?ups|scale-?ups|firms|businesses|employers|banks|hospitals|law firms)|our clients (?:are )?(?:hire|hiring|employ)|on behalf of (?:our )?client|permanent (?:placements?|recruitment)|career consultants|\b(?:shortlist|present) (?:\w+ ){0,3}candidates|(?:interview|shortlist)\w*,? (?:\w+,? ){0,3}present|no placement|(?:retained|contingent) (?:and \w+ )?assignments|introduce \w+ (?:leaders|experts|talent) to|find their (?:\w+ ){0,3}hires|you pay\b.{0,60}(?:salary|signs))"),
    ("employer", r"\b(?:we(?:'re| are)? (?:currently )?(?:hiring|looking for|recruiting|seeking|growing our team)|join (?:our|the|us)|open (?:roles?|positions?)|our (?:open|current) (?:roles|positions|vacancies)|careers? (?:at|page|with us)|apply (?:now|here|today|by)|you (?:will|have|bring)|vacanc(?:y|ies)|work with us|come (?:and )?work|(?:has|have) .{0,20}(?:openings|vacancies)|apprentice\w*|send (?:us )?your (?:CV|application|r[ée]sum[ée])|applications? (?:are )?open|internships?|(?:PhD|postdoc\w*) positions?|full[- ]time and permanent)"),
)  # fmt: skip
PAPERS = (
    ("survey", r"\b(?:survey|(?:systematic|literature|comprehensive|scoping) review|we review|this review|taxonomy of|overview of|state of the art in|tutorial|reviews? (?:a|two|three|five|ten)? ?(?:decades?|years|work)|screened \d)\b"),
    ("position", r"\b(?:position paper|we (?:argue|contend|call for|advocate|posit)|this (?:essay|perspective|viewpoint)|perspective|should (?:be|not|stop|rethink)|manifesto|rethink(?:ing)? the|considered harmful|call to action|the (?:\w+ )?case (?:for|against)|makes the case|vision (?:for|of)|must become|the community should)\b"),
    ("resource", r"\b(?:(?:new|large[- ]scale|public|open|annotated|multilingual|first|novel|curated)(?: \w+){0,4} (?:data ?set|corpus|benchmark|test suite|collection)|we (?:introduce|present|release|construct|collect|curate|build|contribute)\b[^.]{0,60}\b(?:data ?set|corpus|benchmark|leaderboard|treebank|collection)|(?:a|the) (?:data ?set|corpus|benchmark) (?:of|for|holds|covers)|existing benchmarks|annotated collection|we (?:publish|release|collect) (?:\w+ ){0,3}(?:hours|questions|recordings|transcripts))"),
    ("system", r"\b(?:open[- ]source (?:library|framework|toolkit|system|tool|engine|platform|package)|we (?:present|describe|introduce|built|build|implement|design|deploy)\w*\b[^.]{0,60}\b(?:system|toolkit|library|engine|platform|architecture|infrastructure|database|compiler|runtime|simulator|software|tool|service|pipeline)\b|is an? (?:open[- ]source )?(?:simulator|tool|library|platform|engine|framework|service)|in production|runs entirely in|the library|deployed (?:at|in|to)|demo(?:nstration)? (?:paper|system))"),
    ("study", r"\b(?:empirical(?:ly)? (?:study|analysis|evaluation|investigation|compar\w+|show|find)|we (?:study|investigate|compare|evaluate|examine|measure|analy[sz]e|interview|replicate|reproduce|audit|ask whether|surveyed|find that)|case study|user study|controlled experiment|replication|reproducib\w+|ablation|large-scale analysis|how (?:well|do|much)|does \w+ .{0,40}\?|an analysis of|revisit)"),
    ("method", r"\b(?:we (?:propose|introduce|develop|present|derive|design)|novel|new (?:method|algorithm|approach|model|framework|loss|architecture)|algorithm|outperform\w*|state-of-the-art results|method|approach|technique|fine-tun\w+|this paper (?:introduces|proposes)|(?:objective|initiali[sz]ation|criterion|scheme|recipe|regret)\b|baseline|improves? \w+ by)"),
)  # fmt: skip
_TEMPLATES = {
    "method": "A team could try the method of “{}” on data of its own",
    "system": "A team could run “{}” or build on it",
    "resource": "A team could train or test a system of its own on “{}”",
}
_AVAILABLE = re.compile(r"\b(?:code|data(?: ?set)?|models?|weights|implementation|benchmark|library|toolkit)\b[^.]{0,40}\b(?:available|released?|public\w*|open[- ]source\w*)|open[- ]source|github\.com|we release", re.IGNORECASE)  # fmt: skip
_SECTORS = re.compile(r"\b(?:health ?care|life sciences|fin ?tech|financial services|banking|legal|logistics|engineering|technology|IT|construction|manufacturing|hospitality|retail|energy|education|insurance|pharma|warehousing|public sector|cyber ?security|data|marketing|automotive|aviation|agriculture|food)\b")  # fmt: skip
_ROLES = re.compile(r"\b(?:(?:software |data |machine learning |site |civil |mechanical |electrical |backend |devops )?engineers?|developers?|nurses?|doctors?|teachers?|accountants?|lawyers?|drivers?|welders?|chefs?|designers?|executives?|managers?|directors?|(?:data |business )?analysts?|(?:data |research )?scientists?|sales (?:people|reps|staff)|pickers|electricians?|CFOs?|CTOs?|contractors?)\b", re.IGNORECASE)  # fmt: skip

PARTS = (
    ("outside", r"\b(?:former|ex-|retired|student|intern\b|trainee|investor|journalist|reporter|editor|professor|alumn\w+|open to work|seeking|freelance|board observer|volunteer|venture partner|analyst at \w+ research)"),
    ("gatekeeper", r"\b(?:assistant to|executive assistant|personal assistant|office manager|receptionist|secretary|front desk|recruiter|talent acquisition|procurement (?:officer|clerk|assistant|specialist)|purchasing (?:clerk|assistant)|customer support|help ?desk|administrative|chief of staff's assistant|switchboard|buyer\b)"),
    ("decision_maker", r"\b(?:c[etropmfi]+o\b|cro\b|cmo\b|ciso\b|chief|founder|owner|managing (?:director|partner)|general manager|president|vp\b|svp\b|evp\b|vice[- ]president|head of|director|partner\b|geschäftsführer\w*|proprietor|principal investor)"),
    ("influencer", r"\b(?:lead\b|leader|manager|principal|staff|architect|senior|consultant|advisor|specialist lead|product owner|scrum master|chief of staff|expert|champion|evangelist)"),
    ("user", r"\b\w+"),
)  # fmt: skip
_DEPUTY = re.compile(r"\b(?:deputy|assistant|associate|acting) (?:head|director|vp|vice)|director of first|art director|product director's", re.IGNORECASE)  # fmt: skip


def recruitment(facts: dict[str, Any]) -> dict[str, Any]:
    text = str(facts.get("text") or "")[:20_000]
    lines = statements(text)
    for label, pattern in RECRUITMENT:
        if quote := _first(lines, pattern):
            return {"label": label, "confidence": 0.75 if label != "employer" else 0.6, "evidence": quote}
    return {"label": "none", "confidence": 0.45 if text.strip() else 0.2, "evidence": ""}


def focus(facts: dict[str, Any]) -> dict[str, Any]:
    text = str(facts.get("text") or "")[:20_000]
    # A "data scientist" is a role: no sector called data.
    found = {"sectors": _SECTORS.findall(_ROLES.sub("", text)), "roles": _ROLES.findall(text)}
    return {
        key: list({one.lower(): one for one in reversed(values)}.values())[::-1][:6]
        for key, values in found.items()
    }


def paper(facts: dict[str, Any]) -> dict[str, Any]:
    title, abstract = clean(facts.get("title"), 500), str(facts.get("abstract") or "")[:20_000]
    lines = statements(f"{title}\n{abstract}")
    for label, pattern in PAPERS:
        if quote := _first(lines, pattern):
            return {"label": label, "confidence": 0.7 if label != "method" else 0.55, "evidence": quote}
    return {"label": "study", "confidence": 0.2, "evidence": (lines or ["-"])[0][:300]}


def use(facts: dict[str, Any]) -> dict[str, Any]:
    abstract = str(facts.get("abstract") or "")
    available = "yes" if _AVAILABLE.search(abstract) else "unsaid"
    title = clean(facts.get("title"), 160) or "the paper"
    template = _TEMPLATES.get(clean(facts.get("label")), "A team could read “{}” before it decides")
    return {"use": template.format(title), "available": available}


def part(facts: dict[str, Any]) -> dict[str, Any]:
    """The part a title says; how near it is to the offer by the words they share."""
    contact = section(facts.get("contact"))
    address = address_facts(clean(contact.get("email"), 320))
    role = clean(contact.get("role"), 200)
    label = next((label for label, pattern in PARTS if re.search(pattern, role, re.IGNORECASE)), "outside")
    if label == "decision_maker" and _DEPUTY.search(role):
        label = "influencer"
    reach = 0.0 if not address["valid"] else 0.3 if address["shared"] else 1.0
    offer = {word[:5] for word in re.findall(r"[a-z]{4,}", str(facts.get("offer")).lower())}
    near = {word[:5] for word in re.findall(r"[a-z]{4,}", role.lower())} & offer
    return {
        "label": label,
        "confidence": 0.2 if not role else 0.5 if label == "user" else 0.75,
        "relevance": 1.0
        if near or re.search(r"\b(?:ceo|founder|owner|sales|revenue|growth)", role, re.IGNORECASE)
        else 0.5,
        "reachability": reach,
        "reason": f"the title is {role}" if role else "no role is known",
    }


def address(facts: dict[str, Any]) -> dict[str, Any]:
    contact, offer = section(facts.get("contact")), section(facts.get("offer"))
    return {"talk_about": meaning(clean(contact.get("role"), 120), offer)}


def lead_on(facts: dict[str, Any]) -> dict[str, Any]:
    product = clean(section(facts.get("offer")).get("product"), 80) or "something like this"
    return {"ask_for": f"Who at your company decides about {product}?"}


def _first(lines: list[str], pattern: str) -> str:
    return next((line.strip()[:300] for line in lines if re.search(pattern, line[:1000], re.IGNORECASE)), "")


RULES: dict[str, Rule] = {
    "classify_recruitment.label": recruitment,
    "classify_recruitment.focus": focus,
    "classify_paper.label": paper,
    "classify_paper.use": use,
    "score_contact.judge": part,
    "score_contact.address": address,
    "score_contact.lead_on": lead_on,
}

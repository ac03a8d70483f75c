"""Offline rules of the CORE pool: known questions as SQL, and who of a team works next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fleet.kit.text import clean, section

if TYPE_CHECKING:
    from fleet.kit.rules import Rule

_SINCE = (
    (r"\b(?:today|24 hours|last day)\b", "received_at > now() - interval '1 day'"),
    (r"\b(?:this|last|past) week|7 days\b", "received_at > now() - interval '7 days'"),
    (r"\b(?:last|past) hour\b", "received_at > now() - interval '1 hour'"),
)
#: What is asked → (query over dispatches with `{where}`, what it shows). The first match wins.
_QUESTIONS = (
    (r"\bslow|latency|longest|how long\b", "SELECT assistant_id, count(*) AS runs, round(avg(total_ms)) AS mean_ms, round(max(total_ms)) AS worst_ms FROM dispatches {where} GROUP BY assistant_id ORDER BY mean_ms DESC LIMIT 20", "mean and worst time of each graph in milliseconds, the slowest first"),
    (r"\b(?:cost|spend|spent|expensive|dollars)\b", "SELECT assistant_id, sum(cost) AS cost, sum(total_tokens) AS tokens FROM traces GROUP BY assistant_id ORDER BY cost DESC LIMIT 20", "cost and tokens of each graph"),
    (r"\btokens?\b", "SELECT assistant_id, sum(prompt_tokens) AS prompt, sum(completion_tokens) AS completion FROM traces GROUP BY assistant_id ORDER BY prompt DESC LIMIT 20", "tokens of each graph"),
    (r"\b(?:feedback|scores?|rated|ratings?)\b", "SELECT assistant_id, key, count(*) AS ratings, avg(score) AS mean FROM feedback GROUP BY assistant_id, key ORDER BY ratings DESC LIMIT 20", "feedback by graph and key"),
    (r"\b(?:fail\w*|errors?|broken|went wrong)\b", "SELECT assistant_id, pool, count(*) AS failed FROM dispatches {where_failed} GROUP BY assistant_id, pool ORDER BY failed DESC LIMIT 20", "failed requests by graph"),
    (r"\bdisabled\b", "SELECT assistant_id, home_pool, disabled_reason FROM graphs WHERE NOT enabled ORDER BY assistant_id", "disabled graphs"),
    (r"\b(?:which|list|what) graphs\b|\bgraphs (?:are|in)\b", "SELECT home_pool, count(*) AS graphs FROM graphs GROUP BY home_pool ORDER BY home_pool", "graphs by pool"),
    (r"\b(?:mails?|touch\w*|sent)\b", "SELECT status, count(*) AS mails FROM touches GROUP BY status ORDER BY mails DESC", "mails by status"),
    (r"\b(?:enrol\w*|contacts? in)\b", "SELECT c.name, e.status, count(*) AS contacts FROM enrollments e JOIN campaigns c ON c.id = e.campaign_id GROUP BY c.name, e.status ORDER BY c.name", "enrollments by campaign and status"),
    (r"\bcampaigns?\b", "SELECT name, status, created_at FROM campaigns ORDER BY created_at DESC LIMIT 50", "campaigns"),
    (r"\b(?:pools?)\b", "SELECT pool, count(*) AS requests, round(avg(total_ms)) AS mean_ms FROM dispatches {where} GROUP BY pool ORDER BY requests DESC", "requests by pool"),
    (r"\b(?:runs?|requests?|calls?|traffic|used|often)\b", "SELECT assistant_id, count(*) AS requests FROM dispatches {where} GROUP BY assistant_id ORDER BY requests DESC LIMIT 20", "requests by graph"),
)  # fmt: skip


def write_sql(facts: dict[str, Any]) -> dict[str, Any]:
    """A known question becomes its query; any other is honestly not answered."""
    question = clean(facts.get("question"), 1_000)
    for pattern, sql, shows in _QUESTIONS:
        if re.search(pattern, question, re.IGNORECASE):
            since = next(
                (clause for words, clause in _SINCE if re.search(words, question, re.IGNORECASE)), ""
            )
            failed = " AND ".join(filter(None, ("(status >= 400 OR graph_failed)", since)))
            where = f"WHERE {since}" if since else ""
            query = sql.format(where=where, where_failed=f"WHERE {failed}")
            return {"decision": "query", "sql": " ".join(query.split()), "explanation": f"Shows {shows}."}
    return {
        "decision": "cannot",
        "sql": "",
        "explanation": "offline-rules knows no query for this question; set LLM_MODEL",
    }


def choose_member(facts: dict[str, Any]) -> dict[str, Any]:
    """The order in which a lead ripens, without what is done or cannot be done."""
    known, done = section(facts.get("known")), set(facts.get("done") or [])
    company = section(known.get("company"))
    if known.get("mail"):
        return {"next": "finish", "why": "the mail is written"}
    if known.get("verdict") == "not_fit":
        return {"next": "finish", "why": "the company does not fit the profile"}
    wanted = [
        ("company_enrichment", not company.get("description"), "nothing describes the company"),
        ("company_problems", True, "a mail needs an occasion"),
        ("classify_company", True, "nobody has judged the fit"),
        ("contact_discovery", not known.get("people"), "nobody is known there"),
        ("find_decision_maker", bool(known.get("people")), "someone has to decide"),
        ("score_contact", bool(known.get("decision_maker")), "the contact has no score"),
        ("email_outreach", bool(known.get("decision_maker")), "the lead is ready for a mail"),
    ]
    for member, possible, why in wanted:
        if possible and member not in done:
            return {"next": member, "why": why}
    return {"next": "finish", "why": "nobody can add anything"}


RULES: dict[str, Rule] = {"text_to_sql.write": write_sql, "lead_gen_team.choose": choose_member}

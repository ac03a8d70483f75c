"""The one list of graph identities. Adding a graph is one row here and its module; nothing else is edited."""

from __future__ import annotations

from contract.graph_spec import GraphSpec, unique

GRAPHS: tuple[GraphSpec, ...] = unique(
    (
        GraphSpec(
            "email_compose",
            "fleet.graphs.email.compose",
            pool="EMAIL",
            input_shape="email_compose",
            description="Writes a first outreach e-mail: drafts, criticises the draft, refines it; keeps both versions.",
        ),
        GraphSpec(
            "email_followup",
            "fleet.graphs.email.followup",
            pool="EMAIL",
            input_shape="email_followup",
            description="Writes the next mail of a thread nobody answered, with one thing the earlier mails did not say.",
        ),
        GraphSpec(
            "email_reply",
            "fleet.graphs.email.reply",
            pool="EMAIL",
            input_shape="email_reply",
            description="Reads an answer and decides: a letter (drafted, criticised, refined), silence, or a person.",
        ),
        GraphSpec(
            "email_outreach",
            "fleet.graphs.email.outreach",
            pool="EMAIL",
            input_shape="email_outreach",
            description="Chooses the fact a first mail may rest on, then writes it; holds it when no true opening is there.",
        ),
        GraphSpec(
            "email_opportunity",
            "fleet.graphs.email.opportunity",
            pool="EMAIL",
            input_shape="email_opportunity",
            description="Weighs a published need against the offer, and answers it, asks about it, or leaves it.",
        ),
        GraphSpec(
            "topic_outreach",
            "fleet.graphs.email.topic",
            pool="EMAIL",
            input_shape="topic_outreach",
            description="Writes to each recipient a topic concerns; a long job that streams every letter as it is done.",
        ),
        GraphSpec(
            "campaign_sequence",
            "fleet.graphs.email.sequence",
            pool="EMAIL",
            input_shape="campaign_sequence",
            description="Runs the mails to one contact over weeks, asleep between them until a timer or an answer wakes it.",
            resumable=True,
        ),
        GraphSpec(
            "classify_company",
            "fleet.graphs.classify.company",
            pool="CLASSIFY",
            input_shape="classify_company",
            description="Judges whether a company fits a customer profile: an angle if so, the open questions if undecided.",
        ),
        GraphSpec(
            "classify_reply",
            "fleet.graphs.classify.reply",
            pool="CLASSIFY",
            input_shape="classify_reply",
            description="Labels an answer to an outreach mail and says what the campaign does: stop, pause, suppress.",
        ),
        GraphSpec(
            "score_lead",
            "fleet.graphs.classify.lead",
            pool="CLASSIFY",
            input_shape="score_lead",
            description="Scores a lead from 0 to 100 on fit, authority, timing and reachability, and says what to do next.",
        ),
        GraphSpec(
            "classify_ai_intent",
            "fleet.graphs.classify.ai_intent",
            pool="CLASSIFY",
            input_shape="classify_ai_intent",
            description="Labels whether a company builds, adopts or explores AI, on quotes that stand in the text.",
        ),
        GraphSpec(
            "extract_stack",
            "fleet.graphs.classify.stack",
            pool="CLASSIFY",
            input_shape="extract_stack",
            description="Lists the technologies a text or website shows in use, each with the words that show it.",
        ),
        GraphSpec(
            "classify_recruitment",
            "fleet.graphs.classify.recruitment",
            pool="CLASSIFY",
            input_shape="classify_recruitment",
            description="Labels whether a company recruits for others, lends staff, sells hiring software, or hires for itself.",
        ),
        GraphSpec(
            "classify_recruitment_bulk",
            "fleet.graphs.classify.recruitment_bulk",
            pool="CLASSIFY",
            input_shape="classify_recruitment_bulk",
            description="Labels many rows as classify_recruitment does, a few at once; a row that fails is one failed row.",
        ),
        GraphSpec(
            "classify_paper",
            "fleet.graphs.classify.paper",
            pool="CLASSIFY",
            input_shape="classify_paper",
            description="Labels what a research paper contributes, on a quote, and who could use it.",
        ),
        GraphSpec(
            "score_contact",
            "fleet.graphs.classify.contact",
            pool="CLASSIFY",
            input_shape="score_contact",
            description="Names the part a contact plays in a purchase and scores a mail to them from 0 to 100.",
        ),
        GraphSpec(
            "gh_lead_research",
            "fleet.graphs.discovery.gh_lead_research",
            pool="DISCOVERY",
            input_shape="gh_lead_research",
            description="Reads a company's public work on GitHub as a sales signal, and names the people behind it.",
        ),
        GraphSpec(
            "lead_pipeline",
            "fleet.graphs.core.lead_pipeline",
            pool="CORE",
            input_shape="lead_pipeline",
            description="Takes a company from research over judgement to a first e-mail, each hop a graph in its own pool.",
        ),
        *(
            GraphSpec(
                f"probe_{pool}",
                f"fleet.graphs.{pool}.probe_{pool}",
                pool=pool.upper(),
                input_shape="probe",
                description=f"Canary of the {pool.upper()} pool: adds one, sleeps or fails on demand.",
                resumable=True,
            )
            for pool in ("core", "email", "classify", "discovery")
        ),
    )
)

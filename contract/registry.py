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
            description="Writes a first outreach email to one lead and checks it against the house rules.",
        ),
        GraphSpec(
            "classify_company",
            "fleet.graphs.classify.company",
            pool="CLASSIFY",
            input_shape="classify_company",
            description="Places a company in a segment, with the evidence and a confidence.",
        ),
        GraphSpec(
            "gh_lead_research",
            "fleet.graphs.discovery.gh_lead_research",
            pool="DISCOVERY",
            input_shape="gh_lead_research",
            description="Finds people and companies worth writing to from public GitHub activity.",
        ),
        GraphSpec(
            "lead_pipeline",
            "fleet.graphs.core.lead_pipeline",
            pool="CORE",
            input_shape="lead_pipeline",
            description="Takes one company and contact from classification to a drafted email, across pools.",
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

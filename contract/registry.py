"""The one list of graph identities. Adding a graph is one row here and its module; nothing else is edited."""

from __future__ import annotations

from contract.graph_spec import GraphSpec, unique

#: What graphs of one make have in common, told once.
LETTER = (
    "Draft, critique and the text to send come back. "
    "It reads no source: what is not given is left out of the letter, and claims rest on what is."
)
GIVEN = "It reads no source and judges from what is given alone; the less that is, the lower its confidence."
STUDY = (
    "It reads the website, and searches the web when nothing else is there or the texts do not suffice. "
    "A finding is a quote that stands in a text; a verdict on none is `unproven`, one on no text `unknown`. "
    "A page or search that does not answer is named in `missing`, and the rest is judged without it."
)
HUNT = (
    "It searches, picks among what came, and searches once more with other words when that is too little; "
    "nothing is added to what the source said. A search that fails is named in `missing`, the others count."
)

GRAPHS: tuple[GraphSpec, ...] = unique(
    (
        GraphSpec(
            "email_compose",
            "fleet.graphs.email.compose",
            pool="EMAIL",
            input_shape="email_compose",
            description=(
                "Writes a first outreach e-mail: drafts, criticises the draft, refines it; keeps both versions. "
                "Give it a contact, the company, the offer, the sender and a tone. The draft opens with something "
                "given about the company and closes with one question. " + LETTER
            ),
        ),
        GraphSpec(
            "email_followup",
            "fleet.graphs.email.followup",
            pool="EMAIL",
            input_shape="email_followup",
            description=(
                "Writes the next mail of a thread nobody answered, with one thing the earlier mails did not say. "
                "Give it what email_compose takes and the `previous` mails; `last_one` makes it say goodbye. It keeps "
                "the subject of the thread and stays under 80 words. " + LETTER
            ),
        ),
        GraphSpec(
            "email_reply",
            "fleet.graphs.email.reply",
            pool="EMAIL",
            input_shape="email_reply",
            description=(
                "Reads an answer and decides: a letter (drafted, criticised, refined), silence, or a person. "
                "Give it the message and, in `answers`, what may be said. Silence is for a no and for machines, a "
                "person for contracts, complaints and discounts: then there is no text, only intent and reason. "
                + LETTER
            ),
        ),
        GraphSpec(
            "email_outreach",
            "fleet.graphs.email.outreach",
            pool="EMAIL",
            input_shape="email_outreach",
            description=(
                "Chooses the fact a first mail may rest on, then writes it; holds it when no true opening is there. "
                "Give it contact, company, offer, sender and what happened lately (`signals`). It opens with a "
                "signal, a difficulty or the role; a fact the model names that was not given turns into `hold`, "
                "without a text. " + LETTER
            ),
        ),
        GraphSpec(
            "email_opportunity",
            "fleet.graphs.email.opportunity",
            pool="EMAIL",
            input_shape="email_opportunity",
            description=(
                "Weighs a published need against the offer, and answers it, asks about it, or leaves it. "
                "Give it the text of the need, offer, skills and sender. Points count as met only when they stand in "
                "the text; what is open comes back in `open_points`, and a skip writes nothing. " + LETTER
            ),
        ),
        GraphSpec(
            "topic_outreach",
            "fleet.graphs.email.topic",
            pool="EMAIL",
            input_shape="topic_outreach",
            description=(
                "Writes to each recipient a topic concerns; a long job that streams every letter as it is done. "
                "Give it the topic with its points, the sender and the recipients. One after the other is screened, "
                "with the fact that makes the topic theirs, and written to or left out with the reason. A recipient "
                "the model fails on is left out by name and `partial` says so. Nothing is checkpointed: a job that is "
                "cut off keeps what it streamed and is started again with who is left."
            ),
        ),
        GraphSpec(
            "campaign_sequence",
            "fleet.graphs.email.sequence",
            pool="EMAIL",
            input_shape="campaign_sequence",
            description=(
                "Runs the mails to one contact over weeks, asleep between them until a timer or an answer wakes it. "
                "Give it contact, company, offer, sender and the days to wait. It writes and never sends: the caller "
                "sends, then resumes the thread with a timer or the answer that came. An answer is read and leads to "
                "a letter, to silence, which ends it, or to a person, who takes over. It needs a thread, and its "
                "state outlives restarts; a step whose model fails can be run again."
            ),
            resumable=True,
        ),
        GraphSpec(
            "classify_company",
            "fleet.graphs.classify.company",
            pool="CLASSIFY",
            input_shape="classify_company",
            description=(
                "Judges whether a company fits a customer profile: an angle if so, the open questions if undecided. "
                "Give it what is known of the company and a profile; without one, a profile of B2B software companies "
                "stands in. Back come the verdict (fit, needs_evidence, not_fit) with confidence and reasons, and "
                "what follows from it. " + GIVEN
            ),
        ),
        GraphSpec(
            "classify_reply",
            "fleet.graphs.classify.reply",
            pool="CLASSIFY",
            input_shape="classify_reply",
            description=(
                "Labels an answer to an outreach mail and says what the campaign does: stop, pause, suppress. "
                "Give it the message and the day it came. An absence brings the day of return, a referral the name "
                "and address to ask instead, as far as they stand in the mail. " + GIVEN
            ),
        ),
        GraphSpec(
            "score_lead",
            "fleet.graphs.classify.lead",
            pool="CLASSIFY",
            input_shape="score_lead",
            description=(
                "Scores a lead from 0 to 100 on fit, authority, timing and reachability, and says what to do next. "
                "Give it company, contact, profile and signals. The model rates the four parts, the sum is counted "
                "here; a company outside the profile is cold whatever the rest. Hot leads bring a next step, warm "
                "ones their gaps. " + GIVEN
            ),
        ),
        GraphSpec(
            "classify_ai_intent",
            "fleet.graphs.classify.ai_intent",
            pool="CLASSIFY",
            input_shape="classify_ai_intent",
            description=(
                "Labels whether a company builds, adopts or explores AI, on quotes that stand in the text. "
                "Give it the text and, if known, the company. Back come label, confidence, the quotes and the need "
                "one could speak to; a label whose quotes do not stand in the text is `unproven`. " + GIVEN
            ),
        ),
        GraphSpec(
            "extract_stack",
            "fleet.graphs.classify.stack",
            pool="CLASSIFY",
            input_shape="extract_stack",
            description=(
                "Lists the technologies a text or website shows in use, each with the words that show it. "
                "Give it a text, or a website to read. Names that also mean something else are settled in a second "
                "look; a technology whose quote does not stand in the text is in `rejected`. A website that cannot be "
                "read is named in `missing`, with an empty list."
            ),
        ),
        GraphSpec(
            "classify_recruitment",
            "fleet.graphs.classify.recruitment",
            pool="CLASSIFY",
            input_shape="classify_recruitment",
            description=(
                "Labels whether a company recruits for others, lends staff, sells hiring software, or hires for itself. "
                "Give it the text. Back come label, confidence and the quote; recruiters also bring the sectors and "
                "roles the text names. A label whose quote does not stand in the text is `unproven`. " + GIVEN
            ),
        ),
        GraphSpec(
            "classify_recruitment_bulk",
            "fleet.graphs.classify.recruitment_bulk",
            pool="CLASSIFY",
            input_shape="classify_recruitment_bulk",
            description=(
                "Labels many rows as classify_recruitment does, a few at once; a row that fails is one failed row. "
                "Give it up to 5,000 rows with a text each, and how many to ask at once. Results come back in the "
                "order of the rows with counts by label, and stream batch by batch. Rows the model failed on are "
                "counted in `missing`; when it fails on 24 in a row the rest is not tried."
            ),
        ),
        GraphSpec(
            "classify_paper",
            "fleet.graphs.classify.paper",
            pool="CLASSIFY",
            input_shape="classify_paper",
            description=(
                "Labels what a research paper contributes, on a quote, and who could use it. "
                "Give it title and abstract. The label is method, system, resource, study, survey or position; the "
                "first three bring a use and whether code or data are said to be available. Without a true quote it "
                "is `unproven`. " + GIVEN
            ),
        ),
        GraphSpec(
            "score_contact",
            "fleet.graphs.classify.contact",
            pool="CLASSIFY",
            input_shape="score_contact",
            description=(
                "Names the part a contact plays in a purchase and scores a mail to them from 0 to 100. "
                "Give it the contact, their company and the offer. Decision makers bring what to talk about, others "
                "the question that leads to who decides. Nobody is reachable without a valid address, and who is "
                "outside scores 0, whatever the model says. " + GIVEN
            ),
        ),
        GraphSpec(
            "gh_lead_research",
            "fleet.graphs.discovery.gh_lead_research",
            pool="DISCOVERY",
            input_shape="gh_lead_research",
            description=(
                "Reads a company's public work on GitHub as a sales signal, and names the people behind it. "
                "Give it the organisation. It reads the profile and the liveliest repositories, judges (pursue, "
                "watch, skip) with signals and a hook, and for `pursue` finds who commits most. What GitHub does not "
                "give, for its limit or else, is named in `missing`; without the organisation the verdict is "
                "`unknown`."
            ),
        ),
        GraphSpec(
            "company_enrichment",
            "fleet.graphs.discovery.company_enrichment",
            pool="DISCOVERY",
            input_shape="company_enrichment",
            description=(
                "Fills what is not known of a company from its website and the web, each fact on a quote. "
                "Give it the company and texts one has. `enriched` brings industry, size, place, founding and a "
                "summary, `thin` what to find out next. " + STUDY
            ),
        ),
        GraphSpec(
            "company_problems",
            "fleet.graphs.discovery.company_problems",
            pool="DISCOVERY",
            input_shape="company_problems",
            description=(
                "Reads which difficulties a company shows, and ranks them by what the offer speaks to. "
                "Give it the company, texts and the offer. `clear` brings the ranked difficulties and a sentence to "
                "open with; `none` says that the texts show none. " + STUDY
            ),
        ),
        GraphSpec(
            "product_intel",
            "fleet.graphs.discovery.product_intel",
            pool="DISCOVERY",
            input_shape="product_intel",
            description=(
                "Describes what a company sells, what it can do and what it connects to, on its own words. "
                "Give it the company and texts. A product brings summary, capabilities and integrations, a service "
                "whom it is done for. " + STUDY
            ),
        ),
        GraphSpec(
            "pricing",
            "fleet.graphs.discovery.pricing",
            pool="DISCOVERY",
            input_shape="pricing",
            description=(
                "Lists what a company charges as far as it says so in public, else what to ask its sales people. "
                "Give it the company and texts. `public` brings the plans with prices as written, `on_request` "
                "questions and what drives the price. A price that stands nowhere is left out. " + STUDY
            ),
        ),
        GraphSpec(
            "gtm",
            "fleet.graphs.discovery.gtm",
            pool="DISCOVERY",
            input_shape="gtm",
            description=(
                "Reads how a company goes to market, by product, sales or partners, and how to meet it there. "
                "Give it the company and texts. Back come the verdict, the quotes it rests on, an approach and whom "
                "to contact first. " + STUDY
            ),
        ),
        GraphSpec(
            "positioning",
            "fleet.graphs.discovery.positioning",
            pool="DISCOVERY",
            input_shape="positioning",
            description=(
                "States what a company says it is, for whom and against what, or the gaps its words leave. "
                "Give it the company and texts. `sharp` brings the positioning in one sentence, `blurred` the gaps "
                "and the question each raises. " + STUDY
            ),
        ),
        GraphSpec(
            "deep_icp",
            "fleet.graphs.discovery.deep_icp",
            pool="DISCOVERY",
            input_shape="deep_icp",
            description=(
                "Writes the ideal customer profile that the customers one has already show. "
                "Give it the product and texts about customers. `clear` brings a profile ready for classify_company, "
                "`mixed` the kinds the customers fall into. " + STUDY
            ),
        ),
        GraphSpec(
            "consultancies_enrich",
            "fleet.graphs.discovery.consultancies_enrich",
            pool="DISCOVERY",
            input_shape="consultancies_enrich",
            description=(
                "Reads what a consultancy does and in which sectors, and whether it could sell beside us. "
                "Give it the company, texts and the offer. A consultancy brings the services the offer goes with and "
                "a proposal; a product company ends there. " + STUDY
            ),
        ),
        GraphSpec(
            "company_discovery",
            "fleet.graphs.discovery.company_discovery",
            pool="DISCOVERY",
            input_shape="company_discovery",
            description=(
                "Finds companies that may fit a customer profile with a search of the web, and says why each. "
                "Give it the profile and names of companies that fit. Back come up to ten candidates with address and "
                "reason, best first. It needs BRAVE_API_KEY. " + HUNT
            ),
        ),
        GraphSpec(
            "consultancies_discovery",
            "fleet.graphs.discovery.consultancies_discovery",
            pool="DISCOVERY",
            input_shape="consultancies_discovery",
            description=(
                "Finds consultancies in a field and a region that could sell beside us. "
                "Give it field and region. Back come up to ten candidates with address and reason, best first. It "
                "needs BRAVE_API_KEY. " + HUNT
            ),
        ),
        GraphSpec(
            "youtube_discovery",
            "fleet.graphs.discovery.youtube_discovery",
            pool="DISCOVERY",
            input_shape="youtube_discovery",
            description=(
                "Finds videos in which people of companies talk about a topic, as an occasion to talk. "
                "Give it topic and industry. Back come up to ten videos with channel and reason, best first. It needs "
                "YOUTUBE_API_KEY. " + HUNT
            ),
        ),
        GraphSpec(
            "ashby_discovery",
            "fleet.graphs.discovery.ashby_discovery",
            pool="DISCOVERY",
            input_shape="ashby_discovery",
            description=(
                "Finds which companies hire for what one is looking for, from their public boards on Ashby. "
                "Give it names of companies and words in the titles of jobs. Back come the boards that fit with the "
                "reason; a company without a board is in `missing`. It needs no key. " + HUNT
            ),
        ),
        GraphSpec(
            "contact_discovery",
            "fleet.graphs.discovery.contact_discovery",
            pool="DISCOVERY",
            input_shape="contact_discovery",
            description=(
                "Lists the people a company shows on its pages, the web and GitHub, each where they stand. "
                "Give it the company, texts one has and the roles looked for. The website's team and contact pages "
                "are read first, the web and public members on GitHub when a role is still missing. A name counts "
                "when it stands in a text, so do role and address; two spellings of one person are one, and what an "
                "address tells by itself is said. A source that does not answer is named in `missing`."
            ),
        ),
        GraphSpec(
            "contact_enrich",
            "fleet.graphs.discovery.contact_enrich",
            pool="DISCOVERY",
            input_shape="contact_enrich",
            description=(
                "Learns more about one person from texts that are really about them, never about a namesake. "
                "Give it the contact, the company and texts; it also searches the web and reads the profile on "
                "GitHub. Only texts that agree in name and one more thing count. Back come the identity (same, "
                "namesake, unclear, unknown), role, place and interests as quotes, and what the address tells. A "
                "source that does not answer is named in `missing`."
            ),
        ),
        GraphSpec(
            "find_decision_maker",
            "fleet.graphs.discovery.find_decision_maker",
            pool="DISCOVERY",
            input_shape="find_decision_maker",
            description=(
                "Picks who decides about an offer, else who leads there, else whom to look for. "
                "Give it the company, its people and the offer. `found` brings what to talk about and whom to keep "
                "informed, `champion` the question that leads on, `nobody` roles and places to look. It can pick "
                "nobody who was not given. " + GIVEN
            ),
        ),
        GraphSpec(
            "ashby_ingest",
            "fleet.graphs.discovery.ashby_ingest",
            pool="DISCOVERY",
            input_shape="ashby_ingest",
            description=(
                "Reads a company's job board on Ashby as data, and what its hiring says to who sells to it. "
                "Give it the board and what one is interested in. Back come the jobs, counts by department and "
                "country, and a signal (building, steady, quiet); building brings an opening and who owns the hiring. "
                "A board that cannot be read is named in `missing` and the signal is `unknown`."
            ),
        ),
        GraphSpec(
            "gh_patterns",
            "fleet.graphs.discovery.gh_patterns",
            pool="DISCOVERY",
            input_shape="gh_patterns",
            description=(
                "Reads from files and rhythm of its repositories how a company builds software. "
                "Give it the organisation on GitHub. `consistent` brings what recurs and what is missing, `mixed` the "
                "groups of repositories, `bare` nothing more. A repository whose files cannot be read is named in "
                "`missing` and counted by its language; without the organisation the verdict is `unknown`."
            ),
        ),
        GraphSpec(
            "competitors_team",
            "fleet.graphs.discovery.competitors_team",
            pool="DISCOVERY",
            input_shape="competitors_team",
            description=(
                "Names the competitors of a company, studies each at the same time, and compares. "
                "Give it the company and, if known, its competitors; else they are named from texts and a search, "
                "only as they stand there and each once. Back come overlap and strengths of up to six, and where the "
                "company stands if one is direct. A competitor that cannot be read, or that the model fails on, is "
                "named in `missing` as `unknown`, and the others are still compared."
            ),
        ),
        GraphSpec(
            "lead_pipeline",
            "fleet.graphs.core.lead_pipeline",
            pool="CORE",
            input_shape="lead_pipeline",
            description=(
                "Takes a company from research over judgement to a first e-mail, each hop a graph in its own pool. "
                "Give it company, contact, profile, offer and sender. Research is made when the company has a GitHub "
                "name, a mail is written only when the judgement is `fit`. Back come outcome, what each hop found, "
                "and pool and run of each hop. A hop that fails is named in `missing`; the pipeline goes on with what "
                "is known, or ends `incomplete`."
            ),
        ),
        GraphSpec(
            "text_to_sql",
            "fleet.graphs.core.text_to_sql",
            pool="CORE",
            input_shape="text_to_sql",
            description=(
                "Answers a question about the platform with read-only SQL over views that hold no secret. "
                "Give it the question. The query is checked by its words and by PostgreSQL's plan, runs read-only for "
                "at most 3 s, and brings at most 200 rows with the SQL itself. A bad query is mended once, then "
                "`refused`; a question the views do not hold is `cannot`, and a database that is away is "
                "`unanswered`."
            ),
        ),
        GraphSpec(
            "lead_gen_team",
            "fleet.graphs.core.lead_gen_team",
            pool="CORE",
            input_shape="lead_gen_team",
            description=(
                "A supervisor sends a lead to graphs of other pools until a first mail is written or nothing is left to do. "
                "Give it company, profile, offer, sender, and people and texts one has. Of seven members each works "
                "once at most. Back come outcome (written, not_fit, incomplete), each member's answer, and every hop "
                "with the reason for it. A member that fails is named in `missing`, is not asked again, and the rest "
                "goes on."
            ),
        ),
        GraphSpec(
            "admin_chat",
            "fleet.graphs.core.admin_chat",
            pool="CORE",
            input_shape="admin_chat",
            description=(
                "Answers an operator's question about the fleet by reading the platform's API, and says what it read. "
                "Give it the question and what was asked before. It makes up to four reads and changes nothing; an "
                "answer that rests on no read that worked is none. It needs PLATFORM_URL and PLATFORM_API_KEY; when "
                "the platform does not answer the outcome is `unanswered` and `missing` says why."
            ),
        ),
        GraphSpec(
            "linkedin_post_score",
            "fleet.graphs.core.linkedin_post_score",
            pool="CORE",
            input_shape="linkedin_post_score",
            description=(
                "Scores whether a post is a reason to talk to its author, and writes the comment that starts the talk. "
                "Give it the post as it was copied and the offer; nothing is read from LinkedIn. Back come kind, "
                "score with its parts, the sentence it rests on, and engage with a comment or leave with the reason. "
                "Without a true quote the kind is `unproven` and the score 0."
            ),
        ),
        GraphSpec(
            "linkedin_profile_intake",
            "fleet.graphs.core.linkedin_profile_intake",
            pool="CORE",
            input_shape="linkedin_profile_intake",
            description=(
                "Turns a copied profile into a contact and a company, inventing nothing, and has the contact scored. "
                "Give it the profile or its text, and the offer; nothing is read from LinkedIn. Fields that do not "
                "stand there are in `rejected`, fields the profile lacks in `missing`. The page of an organisation is "
                "refused. When score_contact does not answer the contact is taken without a score, and `partial` says "
                "so."
            ),
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

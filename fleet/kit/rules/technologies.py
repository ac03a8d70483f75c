"""The technologies the offline rules know by name, and how to see one in a text."""

from __future__ import annotations

import re
from functools import lru_cache

#: Category → names, each with other ways to write it after `=`. Found in any case.
_KNOWN = {
    "language": "Python, TypeScript, JavaScript, Kotlin, PHP, Scala, Elixir, C++, C#, F#, Objective-C=ObjC, Haskell, Clojure, Erlang,"
    " Perl, COBOL, Fortran, MATLAB, SQL, Bash, PowerShell, Solidity, Groovy, OCaml, LaTeX, HTML, CSS, VBA, PL/SQL, Golang>Go",
    "framework": "Django, FastAPI, Next.js=nextjs, Node.js=nodejs, Vue=Vue.js=vuejs, Nuxt, Angular=AngularJS, Svelte=SvelteKit, .NET=dotnet,"
    " Spring Boot, Laravel, Symfony, NestJS, Tailwind CSS=Tailwind, jQuery, Flutter, React Native, Redux, Quarkus, ASP.NET, gRPC, GraphQL,"
    " Express.js>Express, expressjs>Express, reactjs>React, React.js>React, Ruby on Rails>Rails, WordPress, Shopify, Magento, Drupal, Electron.js, Three.js",
    "database": "PostgreSQL=Postgres, MySQL, MariaDB, MongoDB=Mongo, Redis, Cassandra, DynamoDB=Dynamo, ClickHouse, Elasticsearch=Elastic Search,"
    " SQL Server=MSSQL, SQLite, CockroachDB, Neo4j, OpenSearch, InfluxDB, TimescaleDB, Couchbase, Firestore, Pinecone, pgvector, Db2, Memcached",
    "cloud": "AWS=Amazon Web Services, Azure, GCP, Google Cloud, Kubernetes=k8s, Docker, Terraform, Cloudflare, Pulumi, OpenShift, Heroku,"
    " DigitalOcean, Vercel, Netlify, Hetzner, OpenStack, VMware, Debian, Ubuntu, Argo CD=ArgoCD, Istio, CloudFormation, nginx",
    "data": "Snowflake, BigQuery, Databricks, Kafka, Airflow, dbt, Apache Spark, PySpark>Apache Spark, Redshift, Fivetran, Hadoop, pandas, NumPy,"
    " Tableau, Power BI=PowerBI, Metabase, Airbyte, Dagster, Prefect, RabbitMQ, Pulsar, Trino, Presto, Polars, DuckDB, Looker, Apache Flink>Flink, Flink",
    "ai": "LangGraph, LangChain, PyTorch, TensorFlow, OpenAI, Anthropic, Hugging Face=HuggingFace, scikit-learn=sklearn, MLflow, Keras, LlamaIndex,"
    " vLLM, Ollama, spaCy, XGBoost, Kubeflow, SageMaker, Vertex AI, OpenCV",
    "tool": "GitHub Actions, GitLab, Jenkins, Datadog, Grafana, Prometheus, Salesforce=SFDC, HubSpot, Jira, Figma, CircleCI, Ansible, Puppet, Sentry,"
    " Confluence, Zendesk, Pipedrive, Marketo, Zapier, Splunk, New Relic, Bitbucket, Cypress, Playwright, Selenium, Odoo, NetSuite, ServiceNow, Airtable, Excel",
}
#: Words that are also something else: only as written here, and only where code is talked about.
AMBIGUOUS = {
    "Go": "language",
    "R": "language",
    "Swift": "language",
    "Rust": "language",
    "Ruby": "language",
    "Java": "language",
    "Rails": "framework",
    "React": "framework",
    "Flask": "framework",
    "Express": "framework",
    "Phoenix": "framework",
    "Spark": "data",
    "Helm": "cloud",
}
_ENDS = r"(?![\w#+]|\.js|-to-)"
#: Right before a name: it is not used, or no longer.
_DENIED = re.compile(
    r"\b(?:no|not(?! only)|never|without|instead of|rather than|unlike|compet\w+ with|replac(?:ed?|ing)|dropp?(?:ed|ing)|left"
    r"|(?:mov|migrat|switch)\w* (?:\w+ )?(?:off|from))\W+(?:(?:use|using|have|need|any|our|old|the|a)\W+){0,2}$",
    re.IGNORECASE,
)
_PAST = re.compile(r"^ (?:was|were) \w+", re.IGNORECASE)
_PLACE = re.compile(r"^ (?:street|road|coast|island|sea|beach|airport|avenue|square)\b", re.IGNORECASE)
_CODE_BEFORE = re.compile(
    r"\b(?:written in|using|code (?:is|in)|knows?|services? in|backend in|apps? in|stack:|on) \W*$",
    re.IGNORECASE,
)
_CODE_AFTER = re.compile(
    r"^\W{0,2}(?:\w+ )?(?:backends?|services?|developers?|engineers?|programming|language|code|clusters?|jobs|charts?|on Rails)\b",
    re.IGNORECASE,
)
_LIST_JOINT = re.compile(r"^(?:\W*|\W*(?:and|or|with|nor|plus|in|on|some|to|&)\W*){1,2}$", re.IGNORECASE)


@lru_cache(maxsize=1)
def _names() -> tuple[tuple[re.Pattern[str], str, str], ...]:
    """(pattern, name, category) for every way to write a name."""
    found = []
    for category, line in _KNOWN.items():
        for entry in line.split(","):
            written, _, means = entry.strip().partition(">")
            first, *others = written.split("=")
            for way in (first, *others):
                pattern = re.compile(rf"(?<![\w.#+/-]){re.escape(way)}{_ENDS}", re.IGNORECASE)
                found.append((pattern, means or first, category))
    return tuple(found)


def certain(text: str) -> list[tuple[str, str, re.Match[str]]]:
    """(name, category, where) of each technology whose name means nothing else, once, in the order of the text."""
    hits = sorted(
        (
            (hit.start(), -len(hit[0]), name, category, hit)
            for pattern, name, category in _names()
            for hit in pattern.finditer(text)
            if not denied(text, hit)
        ),
        key=lambda found: found[:3],
    )
    known: dict[str, tuple[str, str, re.Match[str]]] = {}
    reached = -1
    for start, _length, name, category, hit in hits:
        if start < reached:
            continue  # inside a longer name: SQL in SQL Server
        reached = hit.end()
        known.setdefault(name, (name, category, hit))
    return list(known.values())


def ambiguous(text: str) -> list[str]:
    """The names that stand in the text and may mean something else."""
    return [name for name in AMBIGUOUS if re.search(_alone(name), text)]


def meant(text: str, name: str) -> re.Match[str] | None:
    """Where the text means the technology by an ambiguous name: code beside it, or another technology in the same list."""
    others = [hit for _name, _category, hit in certain(text)]
    for hit in re.finditer(_alone(name), text):
        before, after = text[max(0, hit.start() - 40) : hit.start()], text[hit.end() : hit.end() + 40]
        inside = any(other.start() <= hit.start() < other.end() for other in others)  # Spark in Apache Spark
        if inside or denied(text, hit) or _PLACE.search(after):
            continue
        if _CODE_BEFORE.search(before) or _CODE_AFTER.search(after) or _listed_with(text, hit, others):
            return hit
    return None


def denied(text: str, hit: re.Match[str]) -> bool:
    return bool(
        _DENIED.search(text[max(0, hit.start() - 40) : hit.start()])
        or _PAST.search(text[hit.end() : hit.end() + 20])
    )


def _listed_with(text: str, hit: re.Match[str], others: list[re.Match[str]]) -> bool:
    """Only commas and little words between it and a name, ambiguous or not."""
    near = [*others, *(one for name in AMBIGUOUS for one in re.finditer(_alone(name), text))]
    gaps = [
        text[other.end() : hit.start()] if other.start() < hit.start() else text[hit.end() : other.start()]
        for other in near
        if other.start() != hit.start()
    ]
    return any(len(gap) <= 12 and "." not in gap and _LIST_JOINT.match(gap) for gap in gaps)


def _alone(name: str) -> str:
    return rf"(?<![\w.&/-]){re.escape(name)}(?![\w&]|\.\w|\. [A-Z]\w+ &|-to-)"

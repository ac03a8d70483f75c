"""/api/routing: pools and allowlists of the draft, publish, roll back, explain."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any

from django.http import HttpResponse
from ninja import Header, Path, Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import Field

from contract.routing_document import canonical_bytes
from registry_app.api import Strict
from registry_app.auth import Requires
from routing_app import drift_metrics, selectors
from routing_app.models import Pool, RoutingRevision
from routing_app.probes import probe_pools
from routing_app.services import draft, publish
from routing_app.services.document import LIMITS, moves
from routing_app.services.explain import explain

if TYPE_CHECKING:
    from django.http import HttpRequest

router = Router(tags=["routing"])

READ = Requires("read", "routing_app.view_pool")
WRITE = Requires("routing:write", "routing_app.change_pool")
PUBLISH = Requires("routing:publish", "routing_app.publish_routing")

Slug = Annotated[str, Path(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,30}$")]
IfMatch = Annotated[str, Header(alias="If-Match", max_length=200)]
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]


class PoolIn(Strict):
    position: int = Field(100, ge=0, le=32_767)
    base_urls: list[str] = Field(default_factory=list, max_length=64)
    secret_env: str = Field("", max_length=100)
    enabled: bool = True
    concurrency: int = Field(64, ge=1, le=100_000)
    queue: int = Field(128, ge=0, le=100_000)
    connect_timeout_s: float = Field(2, gt=0, le=86_400)
    idle_timeout_s: float = Field(60, gt=0, le=86_400)
    total_timeout_s: float = Field(600, gt=0, le=86_400)


class AllowlistIn(Strict):
    assistants: list[Annotated[str, Field(max_length=100)]] = Field(max_length=5_000)


class PublishIn(Strict):
    reason: str = Field(min_length=1, max_length=publish.MAX_REASON)
    base_version: int = Field(
        ge=0, le=2**31 - 1, description="The live revision you have seen; 0 before the first."
    )


class RollbackIn(Strict):
    version: int = Field(ge=1, le=2**31 - 1)
    reason: str = Field(min_length=1, max_length=publish.MAX_REASON)


class ResolveIn(Strict):
    decision: str = Field(pattern="^(keep|discard)$")
    live_version: int = Field(ge=1, le=2**31 - 1)


class PublishedOut(Schema):
    version: int
    digest: str


class RevisionOut(PublishedOut):
    reason: str
    author_name: str
    base_version: int
    rollback_of: int | None
    published_at: datetime


@router.get("/pools", auth=READ, summary="The draft's pools in order")
def list_pools(request: HttpRequest) -> dict[str, Any]:
    return {"items": [_pool(pool) for pool in Pool.objects.prefetch_related("allowlist")]}


@router.get("/pools/{slug}", auth=READ, summary="One pool of the draft, with an ETag for If-Match")
def get_pool(request: HttpRequest, slug: Slug, response: HttpResponse) -> dict[str, Any]:
    return _tagged(_pool(Pool.objects.get(pk=slug.upper())), response)


@router.put(
    "/pools/{slug}",
    auth=WRITE,
    response={200: dict, 201: dict},
    summary="Make or replace a pool of the draft",
)
def put_pool(
    request: HttpRequest, slug: Slug, body: PoolIn, response: HttpResponse, if_match: IfMatch = ""
) -> Any:
    _check_match(slug, if_match)
    pool, created = draft.save_pool(slug=slug.upper(), changes=body.model_dump(), actor=_actor(request))
    return Status(201 if created else 200, _tagged(_pool(pool), response))


@router.patch("/pools/{slug}", auth=WRITE, summary="Change some fields of a pool of the draft")
def patch_pool(
    request: HttpRequest, slug: Slug, body: PoolIn, response: HttpResponse, if_match: IfMatch = ""
) -> dict[str, Any]:
    Pool.objects.get(pk=slug.upper())
    _check_match(slug, if_match)
    changes = body.model_dump(exclude_unset=True)
    pool, _ = draft.save_pool(slug=slug.upper(), changes=changes, actor=_actor(request))
    return _tagged(_pool(pool), response)


@router.delete(
    "/pools/{slug}",
    auth=Requires("routing:write", "routing_app.delete_pool"),
    response={204: None},
    summary="Take a pool and its allowlist out of the draft",
)
def delete_pool(request: HttpRequest, slug: Slug, if_match: IfMatch = "") -> Any:
    _check_match(slug, if_match)
    draft.delete_pool(slug=slug.upper(), actor=_actor(request))
    return Status(204, None)


@router.put(
    "/pools/{slug}/allowlist", auth=WRITE, summary="Make a pool's allowlist exactly these ids, in the draft"
)
def put_allowlist(
    request: HttpRequest, slug: Slug, body: AllowlistIn, response: HttpResponse, if_match: IfMatch = ""
) -> dict[str, Any]:
    _check_match(slug, if_match)
    draft.set_allowlist(slug=slug.upper(), assistants=body.assistants, actor=_actor(request))
    return _tagged(_pool(Pool.objects.get(pk=slug.upper())), response)


@router.post("/pools/{slug}/probe", auth=WRITE, summary="Ask the pool's replicas what they have loaded")
def post_probe(request: HttpRequest, slug: Slug) -> dict[str, Any]:
    Pool.objects.get(pk=slug.upper())
    return {"items": [asdict(answer) for answer in probe_pools([slug.upper()])]}


@router.get(
    "/draft", auth=READ, summary="The draft: findings, changes, conflicts, and what it would have done"
)
def get_draft(request: HttpRequest) -> dict[str, Any]:
    live, content = selectors.live_revision(), draft.draft_content()
    moved, unmoved = selectors.preview_calls(content)
    return {
        "base_version": draft.base_version(),
        "live_version": live.version if live else 0,
        "changes": [{**asdict(change), "kind": change.kind} for change in publish.pending_changes(live)],
        "conflicts": [asdict(change) for change in publish.draft_conflicts()],
        "checks": [asdict(check) for check in draft.check_draft()],
        "moves": [
            {"assistant_id": name, "from": before, "to": after}
            for name, before, after in moves(live.document if live else None, content)
        ],
        "last_24h": {"moved": [asdict(item) for item in moved], "unmoved": unmoved},
    }


@router.post(
    "/draft/resolve",
    auth=WRITE,
    response={200: dict, 409: dict},
    summary="Settle a draft on an older revision",
)
def post_resolve(request: HttpRequest, body: ResolveIn) -> Any:
    try:
        publish.resolve_draft(actor=_actor(request), decision=body.decision, live_version=body.live_version)
    except publish.StaleBase as error:
        return Status(409, _stale(error, "live_version"))
    return Status(200, {"base_version": draft.base_version()})


@router.post(
    "/publish",
    auth=PUBLISH,
    response={200: PublishedOut, 409: dict, 422: dict},
    summary="Make the draft live as the next revision",
)
def post_publish(request: HttpRequest, body: PublishIn) -> Any:
    try:
        revision = publish.publish_routing(
            actor=_actor(request), reason=body.reason, base_version=body.base_version
        )
        return Status(200, revision)
    except publish.StaleBase as error:
        return Status(409, _stale(error, "base_version"))
    except publish.ChecksFailed as error:
        errors = [
            {"field": check.field, "message": check.message, "code": check.code} for check in error.errors
        ]
        return Status(422, {"detail": str(error), "field": errors[0]["field"], "errors": errors})


@router.post(
    "/rollback", auth=PUBLISH, response=PublishedOut, summary="Publish an older revision's content anew"
)
def post_rollback(request: HttpRequest, body: RollbackIn) -> Any:
    return publish.rollback(actor=_actor(request), reason=body.reason, version=body.version)


@router.get(
    "/revisions",
    auth=READ,
    response=list[RevisionOut],
    summary="The newest hundred revisions before a number",
)
def list_revisions(
    request: HttpRequest, before: Annotated[int, Query(ge=1, le=2**31 - 1)] = 2**31 - 1
) -> Any:
    return RoutingRevision.objects.filter(version__lt=before).defer("document")[:100]


@router.get("/revisions/{version}", auth=READ, summary="The document as it was published")
def get_revision(request: HttpRequest, version: Version) -> dict[str, Any]:
    document: dict[str, Any] = RoutingRevision.objects.get(version=version).document
    return document


@router.get("/drift", auth=READ, summary="Where code, records, draft, live routing and pools disagree")
def get_drift(request: HttpRequest) -> dict[str, Any]:
    return {"items": [{**asdict(item), "remedy": item.remedy} for item in selectors.current_drift()]}


@router.get("/metrics", auth=READ, summary="Drift by kind, for Prometheus")
def get_metrics(request: HttpRequest) -> HttpResponse:
    text = drift_metrics.render(selectors.current_drift(), publish.live_version())
    return HttpResponse(text, content_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/explain", auth=READ, summary="Each step of a decision, for any revision or the draft")
def get_explain(
    request: HttpRequest,
    assistant_id: Annotated[str, Query(max_length=200)] = "",
    path: Annotated[str, Query(max_length=2_000)] = "/runs/wait",
    version: Annotated[str, Query(pattern=r"^(\d{1,9}|live|draft)$")] = "live",
) -> dict[str, Any]:
    label, content = content_of(version)
    if content is None:
        raise HttpError(404, f"version: there is no revision {version}.")
    found = explain(content, assistant_id=assistant_id, path=path)
    return {"version": label, "assistant_id": assistant_id, "path": path, **asdict(found)}


def content_of(version: str) -> tuple[int | str, dict[str, Any] | None]:
    """The document of a number, of `live` or of `draft`, with what to call it."""
    if version == "draft":
        return "draft", draft.draft_content()
    revision = selectors.revision(None if version == "live" else int(version))
    return (revision.version, revision.document) if revision else (version, None)


def _actor(request: HttpRequest) -> Any:
    return request.auth  # type: ignore[attr-defined]


def _pool(pool: Pool) -> dict[str, Any]:
    return {
        "slug": pool.slug,
        **{name: getattr(pool, name) for name in draft.EDITABLE if name not in LIMITS},
        **{name: getattr(pool, name) for name in LIMITS},
        "assistants": sorted(entry.assistant_id for entry in pool.allowlist.all()),
    }


def _etag(pool: dict[str, Any]) -> str:
    return f'"{sha256(canonical_bytes(pool)).hexdigest()[:32]}"'


def _tagged(pool: dict[str, Any], response: HttpResponse) -> dict[str, Any]:
    response["ETag"] = _etag(pool)
    return pool


def _check_match(slug: str, if_match: str) -> None:
    """Refuse a write over a change its author has not seen."""
    if not if_match:
        return
    pool = Pool.objects.filter(pk=slug.upper()).first()
    if pool is None or if_match not in (_etag(_pool(pool)), "*"):
        raise HttpError(412, "If-Match: the pool has changed since you read it.")


def _stale(error: publish.StaleBase, field: str) -> dict[str, Any]:
    return {
        "detail": str(error),
        "field": field,
        "base_version": error.base_version,
        "live_version": error.live_version,
        "changes": [asdict(change) for change in error.changes],
    }

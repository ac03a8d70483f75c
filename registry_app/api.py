"""/api/registry: graphs, keys, the audit."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from ninja import Path, Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from registry_app.auth import Requires
from registry_app.evaluations import Evaluation, evaluations_of
from registry_app.models import ApiKey, AuditEntry, GraphRecord
from registry_app.services import create_api_key, revoke_api_key, update_graph

if TYPE_CHECKING:
    from django.http import HttpRequest

router = Router(tags=["registry"])

READ = Requires("read", "registry_app.view_graphrecord")
WRITE = Requires("registry:write", "registry_app.change_graphrecord")
KEYS_READ = Requires("*", "registry_app.view_apikey")
KEYS_WRITE = Requires("*", "registry_app.add_apikey")
PAGE = 100

AssistantId = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,99}$")]


class Strict(Schema):
    """A body whose unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class CountOut(Schema):
    right: int
    total: int
    accuracy: float


class EvaluationOut(Schema):
    model: str
    llm: bool = Field(description="False for `offline-rules`: rules written by hand, no language model.")
    held_out: CountOut | None = Field(description="On examples not looked at while the rules were written.")
    tuned: CountOut | None = Field(description="On examples that the rules were written by.")


class GraphOut(Schema):
    assistant_id: str
    pool: str = Field(description="The home pool; what is live stands in the routing document.")
    input_schema: dict[str, Any]
    resumable: bool
    enabled: bool
    description: str
    disabled_reason: str
    notes: str
    timeout_s: float | None
    sampling: float | None
    module: str
    spec_digest: str
    graph_digest: str
    synced_at: datetime
    missing_since: datetime | None
    evaluations: list[EvaluationOut] = Field(
        description="Accuracy per model on labelled examples; empty where nobody labelled any."
    )

    @staticmethod
    def resolve_pool(record: GraphRecord | dict[str, Any]) -> str:
        return record["pool"] if isinstance(record, dict) else record.home_pool

    @staticmethod
    def resolve_evaluations(record: GraphRecord | dict[str, Any]) -> tuple[Evaluation, ...]:
        return evaluations_of(record["assistant_id"] if isinstance(record, dict) else record.pk)


class GraphsOut(Schema):
    items: list[GraphOut]
    count: int


class GraphPatch(Strict):
    enabled: bool | None = None
    disabled_reason: str | None = Field(None, max_length=500)
    notes: str | None = Field(None, max_length=5_000)
    timeout_s: float | None = None
    sampling: float | None = None


class AuditOut(Schema):
    id: int
    at: datetime
    actor: str
    via: str
    request_id: str
    reason: str
    action: str
    model: str
    object_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditPage(Schema):
    items: list[AuditOut]
    next_cursor: int | None


class KeyOut(Schema):
    id: int
    name: str
    prefix: str
    scopes: list[str]
    project: str
    trusted_tracing: bool
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    created_by: str


class NewKey(Strict):
    name: str = Field(min_length=1, max_length=100)
    scopes: list[str] = Field(min_length=1, max_length=20)
    project: str = Field("", max_length=200)
    trusted_tracing: bool = True
    expires_at: datetime | None = None


class IssuedKeyOut(KeyOut):
    key: str = Field(description="The key itself. It is shown this once.")


@router.get("/graphs", auth=READ, response=GraphsOut, summary="Every graph, canaries included")
def list_graphs(request: HttpRequest) -> Any:
    records = list(GraphRecord.objects.filter(missing_since=None))
    return {"items": records, "count": len(records)}


@router.get("/graphs/{assistant_id}", auth=READ, response=GraphOut, summary="One graph")
def get_graph(request: HttpRequest, assistant_id: AssistantId) -> Any:
    return GraphRecord.objects.get(pk=assistant_id)


@router.patch(
    "/graphs/{assistant_id}", auth=WRITE, response=GraphOut, summary="Set operational fields of the draft"
)
def patch_graph(request: HttpRequest, assistant_id: AssistantId, body: GraphPatch) -> Any:
    changes = body.model_dump(exclude_unset=True)
    return update_graph(assistant_id=assistant_id, changes=changes, actor=request.auth)  # type: ignore[attr-defined]


@router.get(
    "/audit",
    auth=Requires("read", "registry_app.view_auditentry"),
    response=AuditPage,
    summary="Who changed what, newest first",
)
def list_audit(
    request: HttpRequest,
    model: Annotated[str, Query(pattern=r"^[a-z_]{0,100}$")] = "",
    object_id: Annotated[str, Query(pattern=r"^[A-Za-z0-9_.\-]{0,200}$")] = "",
    cursor: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Any:
    entries = AuditEntry.objects.order_by("-id")
    if model:
        entries = entries.filter(model=model)
    if object_id:
        entries = entries.filter(object_id=object_id)
    if cursor:
        entries = entries.filter(pk__lt=cursor)
    page = list(entries[: PAGE + 1])
    return {"items": page[:PAGE], "next_cursor": page[PAGE - 1].pk if len(page) > PAGE else None}


@router.get("/keys", auth=KEYS_READ, response=list[KeyOut], summary="Every key's facts, never the key")
def list_keys(request: HttpRequest) -> Any:
    return ApiKey.objects.all()


@router.post("/keys", auth=KEYS_WRITE, response={201: IssuedKeyOut}, summary="Issue a key; it is shown once")
def post_key(request: HttpRequest, body: NewKey) -> Any:
    issued = create_api_key(**body.model_dump(), actor=request.auth)  # type: ignore[attr-defined]
    return Status(201, {**KeyOut.from_orm(issued.key).dict(), "key": issued.raw})


@router.post("/keys/{key_id}/revoke", auth=KEYS_WRITE, response=KeyOut, summary="Revoke a key for good")
def post_revoke(request: HttpRequest, key_id: Annotated[int, Path(ge=1, le=2**62)]) -> Any:
    return revoke_api_key(ApiKey.objects.get(pk=key_id), actor=request.auth)  # type: ignore[attr-defined]

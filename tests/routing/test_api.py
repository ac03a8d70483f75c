"""The JSON API as outside checks and operators' scripts call it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from contract.registry import GRAPHS
from contract.routing_document import digest, parse
from registry_app.evaluations import RECORD
from registry_app.models import ApiKey, AuditEntry
from routing_app.models import Pool, RoutingRevision

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client

    Keyed = Callable[..., Client]

JSON = "application/json"
pytestmark = pytest.mark.usefixtures("live")


def send(client: Client, method: str, path: str, body: object, **headers: str) -> Any:
    return client.generic(method, path, json.dumps(body), content_type=JSON, headers=headers)


def test_the_registry_lists_every_graph_with_a_first_example(keyed: Keyed) -> None:
    items = keyed("read").get("/api/registry/graphs").json()["items"]
    assert {item["assistant_id"] for item in items} == {spec.assistant_id for spec in GRAPHS}
    assert all(item["input_schema"]["examples"] for item in items)
    assert {"assistant_id", "pool", "input_schema", "resumable", "enabled", "description"} <= set(items[0])


def test_the_registry_says_how_often_each_model_is_right(keyed: Keyed) -> None:
    client = keyed("read")
    (rules,) = client.get("/api/registry/graphs/classify_recruitment").json()["evaluations"]
    assert (rules["model"], rules["llm"]) == ("offline-rules", False)
    counts = json.loads(RECORD.read_text())["classify_recruitment"]["offline-rules"]["by_split"]
    for split in ("held_out", "tuned"):
        right, total = counts[split]["right"], counts[split]["total"]
        assert rules[split] == {"right": right, "total": total, "accuracy": round(right / total, 3)}
    assert client.get("/api/registry/graphs/email_compose").json()["evaluations"] == []


def test_allowlist_publish_and_roll_back_through_the_api(keyed: Keyed, email_graphs: list[str]) -> None:
    client = keyed("read", "routing:write", "routing:publish")
    answer = send(client, "PUT", "/api/routing/pools/email/allowlist", {"assistants": email_graphs})
    assert answer.json()["assistants"] == sorted(email_graphs)
    draft = client.get("/api/routing/draft").json()
    assert (draft["base_version"], draft["live_version"]) == (1, 1)
    assert draft["moves"] == [{"assistant_id": "probe_email", "from": "EMAIL", "to": "CORE"}]
    published = send(client, "POST", "/api/routing/publish", {"reason": "drop it", "base_version": 1}).json()
    assert published == {"version": 2, "digest": RoutingRevision.objects.get(version=2).digest}
    assert (
        send(client, "POST", "/api/routing/publish", {"reason": "late", "base_version": 1}).status_code == 409
    )
    back = send(client, "POST", "/api/routing/rollback", {"version": 1, "reason": "again"}).json()
    assert (back["version"], back["digest"]) == (3, RoutingRevision.objects.get(version=1).digest)
    assert (
        AuditEntry.objects.filter(model="routing_app_routingrevision", actor__startswith="key:test").count()
        == 2
    )


def test_the_export_is_a_document_with_an_etag(keyed: Keyed) -> None:
    client = keyed("read")
    answer = client.get("/routing.json")
    document = parse(answer.content)
    assert document["digest"] == digest(document)
    assert b"s" * 40 not in answer.content
    again = client.get("/routing.json", headers={"if-none-match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_export_needs_a_key_with_read(keyed: Keyed, client: Client) -> None:
    assert client.get("/routing.json").status_code == 401
    assert keyed("runs").get("/routing.json").status_code == 403


def test_explaining_names_near_misses_instead_of_falling_to_core(keyed: Keyed) -> None:
    client = keyed("read")
    found = client.get("/api/routing/explain", {"assistant_id": "email_compos"}).json()
    assert (found["status"], found["code"]) == (404, "UNKNOWN_ASSISTANT")
    assert "email_compose" in found["steps"][-1]["outcome"]
    found = client.get("/api/routing/explain", {"assistant_id": "email_compose", "version": "1"}).json()
    assert (found["pool"], found["matched"]) == ("EMAIL", True)
    assert client.get("/api/routing/explain", {"path": "/_ml/health"}).json()["code"] == "INTERNAL_ONLY"
    assert client.get("/api/routing/explain", {"path": "/runs/%2e%2e/_ml"}).json()["code"] == "BAD_PATH"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("PUT", "pools/EMAIL", {"base_urls": ["ftp://x"]}, 422, "base_urls"),
        ("PUT", "pools/EMAIL", {"base_urls": ["http://user:pw@x"]}, 422, "base_urls"),
        ("PUT", "pools/EMAIL", {"base_urls": ["javascript:alert(1)"]}, 422, "base_urls"),
        ("PUT", "pools/EMAIL", {"base_urls": "http://x"}, 422, "base_urls"),
        ("PUT", "pools/EMAIL", {"secret_env": "a b"}, 422, "secret_env"),
        ("PUT", "pools/EMAIL", {"concurrency": 0}, 422, "concurrency"),
        ("PUT", "pools/EMAIL", {"concurrency": 1e400}, 422, "concurrency"),
        ("PUT", "pools/EMAIL", {"colour": "red"}, 422, "colour"),
        ("PUT", "pools/" + "A" * 40, {}, 422, "slug"),
        ("PUT", "pools/EMAIL%00", {}, 404, "path"),
        ("PUT", "pools/EMAIL/allowlist", {"assistants": ["Bad Name"]}, 422, "assistants[0]"),
        ("PUT", "pools/EMAIL/allowlist", {"assistants": ["a\x00b"]}, 422, "assistants[0]"),
        ("PUT", "pools/EMAIL/allowlist", {"assistants": ["a", "a"]}, 422, "assistants[1]"),
        ("PUT", "pools/EMAIL/allowlist", {"assistants": ["a" * 101]}, 422, "assistants.0"),
        ("PUT", "pools/EMAIL/allowlist", {}, 422, "assistants"),
        ("PUT", "pools/NOWHERE/allowlist", {"assistants": []}, 404, "slug"),
        ("POST", "publish", {"reason": "", "base_version": 1}, 422, "reason"),
        ("POST", "publish", {"reason": "a\x00b", "base_version": 1}, 422, "reason"),
        ("POST", "publish", {"reason": "x"}, 422, "base_version"),
        ("POST", "publish", {"reason": "x", "base_version": -1}, 422, "base_version"),
        ("POST", "publish", {"reason": "x", "base_version": "one"}, 422, "base_version"),
        ("POST", "publish", {"reason": "x", "base_version": 9}, 409, "base_version"),
        ("POST", "rollback", {"reason": "x", "version": 99}, 422, "version"),
        ("POST", "rollback", {"reason": "x", "version": 10**30}, 422, "version"),
        ("POST", "draft/resolve", {"decision": "shrug", "live_version": 1}, 422, "decision"),
    ],
)
def test_bad_input_is_refused_with_its_field_and_writes_nothing(
    keyed: Keyed, method: str, path: str, body: object, status: int, field: str
) -> None:
    client = keyed()
    before = (list(Pool.objects.values()), AuditEntry.objects.count())
    answer = send(client, method, f"/api/routing/{path}", body)
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert (list(Pool.objects.values()), AuditEntry.objects.count()) == before


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe", b"null"])
def test_malformed_bodies_are_refused(keyed: Keyed, body: bytes) -> None:
    answer = keyed().post("/api/routing/publish", body, content_type=JSON)
    assert 400 <= answer.status_code < 500
    assert RoutingRevision.objects.count() == 1


def test_a_huge_body_is_refused_with_the_most_it_may_have(keyed: Keyed) -> None:
    body = b'{"reason": "' + b"x" * 10_000_000 + b'"}'
    answer = keyed().post("/api/routing/publish", body, content_type=JSON)
    assert (answer.status_code, answer.json()["field"]) == (413, "body")
    assert "2,621,440 bytes" in answer.json()["detail"]
    assert RoutingRevision.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "position"),
    [
        (b'{"reason": "x",\n "base_version": }', "line 2, column 18"),
        (b"", ""),
        (b'{"reason": "\xff"}', "byte 12"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_refused_with_its_position(keyed: Keyed, body: bytes, position: str) -> None:
    answer = keyed().post("/api/routing/publish", body, content_type=JSON)
    assert answer.status_code == (400 if position else 422)
    assert position in answer.json()["detail"]
    assert answer.json()["field"]


def test_the_description_tells_ids_summaries_and_refusals(keyed: Keyed, client: Client) -> None:
    schema = keyed("read").get("/api/openapi.json").json()
    operations = [item for path in schema["paths"].values() for item in path.values()]
    ids = [item["operationId"] for item in operations]
    assert len(set(ids)) == len(ids)
    assert {"routing_post_publish", "registry_list_graphs"} <= set(ids)
    for item in operations:
        assert {"401", "403"} <= set(item["responses"]), item["operationId"]
        if "requestBody" in item:
            assert {"400", "422"} <= set(item["responses"]), item["operationId"]
    ours = [item for item in operations if item["operationId"].startswith(("routing_", "registry_"))]
    made_up = [
        item["operationId"]
        for item in ours
        if item["summary"] == item["operationId"].partition("_")[2].replace("_", " ").title()
    ]
    assert made_up == []


@pytest.mark.parametrize("path", ["/api/docs", "/api/openapi.json"])
def test_the_description_needs_a_session_or_a_key(
    keyed: Keyed, client: Client, member: Callable[[str], Client], path: str
) -> None:
    assert client.get(path).status_code == 401
    asked = client.get(path, headers={"accept": "text/html,*/*"})
    assert (asked.status_code, asked["Location"]) == (302, f"/login/?next={path}")
    assert keyed("runs").get(path).status_code == 403
    assert keyed("read").get(path).status_code == 200
    assert member("viewer").get(path).status_code == 200


@pytest.mark.parametrize(
    "query", ["assistant_id=%00", "version=0x1", "version=-1", "path=%00", "path=" + "a" * 3_000]
)
def test_explain_answers_any_query(keyed: Keyed, query: str) -> None:
    assert keyed().get(f"/api/routing/explain?{query}").status_code in (200, 422)


def test_a_stale_if_match_is_refused(keyed: Keyed) -> None:
    client = keyed()
    seen = client.get("/api/routing/pools/EMAIL")["ETag"]
    assert (
        send(client, "PATCH", "/api/routing/pools/EMAIL", {"queue": 7}, **{"if-match": seen}).status_code
        == 200
    )
    assert (
        send(client, "PATCH", "/api/routing/pools/EMAIL", {"queue": 8}, **{"if-match": seen}).status_code
        == 412
    )
    assert Pool.objects.get(pk="EMAIL").queue == 7


@pytest.mark.parametrize(("group", "status"), [("viewer", 403), ("operator", 403), ("publisher", 200)])
def test_only_publishers_publish(member: Callable[[str], Client], group: str, status: int) -> None:
    client = member(group)
    client.get("/admin/")
    token = client.get("/admin/password_change/").cookies
    csrf = next(morsel.value for name, morsel in token.items() if name.startswith("csrftoken"))
    answer = send(
        client, "POST", "/api/routing/publish", {"reason": "x", "base_version": 1}, **{"x-csrftoken": csrf}
    )
    assert answer.status_code == status
    assert send(client, "POST", "/api/routing/publish", {"reason": "x", "base_version": 1}).status_code == 403


@pytest.mark.parametrize(("scopes", "status"), [(("read",), 403), (("routing:write",), 200)])
def test_a_key_needs_the_scope(keyed: Keyed, scopes: tuple[str, ...], status: int) -> None:
    assert send(keyed(*scopes), "PATCH", "/api/routing/pools/EMAIL", {"queue": 7}).status_code == status


def test_a_key_is_shown_once_and_can_be_revoked(keyed: Keyed, client: Client) -> None:
    admin = keyed("*")
    made = send(admin, "POST", "/api/registry/keys", {"name": "ci", "scopes": ["read"]}).json()
    assert made["key"].startswith(made["prefix"])
    assert made["key"] not in admin.get("/api/registry/keys").content.decode()
    headers = {"x-api-key": made["key"]}
    assert client.get("/api/registry/graphs", headers=headers).status_code == 200
    assert ApiKey.objects.get(pk=made["id"]).last_used_at is not None
    send(admin, "POST", f"/api/registry/keys/{made['id']}/revoke", {})
    assert client.get("/api/registry/graphs", headers=headers).status_code == 401
    entries = json.dumps(
        list(AuditEntry.objects.filter(model="registry_app_apikey").values("before", "after"))
    )
    assert "key_hash" not in entries
    assert made["key"] not in entries


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "scopes": ["everything"]}, "scopes"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "", "scopes": ["read"]}, "name"),
        ({"name": "a\x07", "scopes": ["read"]}, "name"),
        ({"name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_a_bad_key_request_names_its_field(keyed: Keyed, body: object, field: str) -> None:
    answer = send(keyed(), "POST", "/api/registry/keys", body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_operators_set_only_operational_fields(keyed: Keyed) -> None:
    client = keyed("registry:write", "read")
    path = "/api/registry/graphs/email_compose"
    done = send(client, "PATCH", path, {"enabled": False, "disabled_reason": "quota", "sampling": 0.5}).json()
    assert (done["enabled"], done["disabled_reason"], done["sampling"]) == (False, "quota", 0.5)
    assert send(client, "PATCH", path, {"module": "evil"}).status_code == 422
    assert send(client, "PATCH", path, {"sampling": 7}).json()["field"] == "sampling"
    assert send(client, "PATCH", path, {"enabled": None}).json()["field"] == "enabled"
    assert (
        client.get("/api/registry/audit", {"object_id": "email_compose"}).json()["items"][0]["after"][
            "enabled"
        ]
        is False
    )
    kinds = {item["kind"] for item in client.get("/api/routing/drift").json()["items"]}
    assert {"disabled_but_live", "unpublished_draft"} <= kinds

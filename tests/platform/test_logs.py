from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from platform_site.lib.logs import JsonFormatter, TextFormatter, log_context

if TYPE_CHECKING:
    from django.test import Client

SECRET = "pool-secret-value-1234"


def line(
    message: str, *arguments: object, formatter: type[JsonFormatter] = JsonFormatter, **extra: Any
) -> str:
    record = logging.getLogger("test").makeRecord(
        "test", logging.INFO, __file__, 1, message, arguments, None, extra=extra
    )
    return formatter((SECRET,)).format(record)


def test_ids_of_the_request_are_on_the_line_and_gone_after_it() -> None:
    with log_context(request_id="req-1", trace_id=""):
        inside = json.loads(line("hello"))
    assert inside["request_id"] == "req-1"
    assert "trace_id" not in inside
    assert "request_id" not in json.loads(line("hello"))


@pytest.mark.parametrize(
    "message",
    [
        f"secret is {SECRET}",
        "Authorization: Bearer abc.def-123",
        "api_key=abc.def-123",
        '{"password": "abc.def-123"}',
        "postgresql://app:abc.def-123@db/app",
    ],
)
@pytest.mark.parametrize("formatter", [JsonFormatter, TextFormatter])
def test_credentials_never_reach_a_line(message: str, formatter: type[JsonFormatter]) -> None:
    written = line("%s", message, formatter=formatter)
    assert SECRET not in written
    assert "abc.def-123" not in written


def test_extras_named_like_secrets_are_hidden() -> None:
    written = json.loads(line("call", x_api_key="k", status=200, path="/runs"))
    assert (written["x_api_key"], written["status"], written["path"]) == ("[hidden]", 200, "/runs")


def test_a_well_formed_request_id_is_kept_and_a_hostile_one_replaced(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "platform.request"):
        kept = client.get("/login/?q=private", headers={"x-request-id": "caller-id-0001"})
    assert kept.headers["x-request-id"] == "caller-id-0001"
    assert caplog.messages == ["GET /login/ 200"]
    made = client.get("/login/", headers={"x-request-id": "<script>alert(1)</script>"})
    assert "<" not in made.headers["x-request-id"]

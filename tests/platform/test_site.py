from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from django.test import Client


def test_api_description_and_page_are_served_from_our_own_origin(admin_client: Client) -> None:
    page = admin_client.get("/api/docs").content.decode()
    assert admin_client.get("/api/openapi.json").json()["info"]["title"] == "Agentic sales platform"
    assert "/static/ninja/swagger-ui-bundle.js" in page
    assert "//cdn" not in page


@pytest.mark.parametrize(
    "address",
    ["/feedback/?key=%00", "/campaigns/suppressions/?key=a%00", "/api/feedback?source=x&key=%00"],
)
def test_a_nul_in_a_query_is_refused_by_name(admin_client: Client, address: str) -> None:
    answer = admin_client.get(address)
    assert answer.status_code == 422
    assert "key: holds a NUL" in answer.content.decode()
    assert admin_client.get("/registry/%00/").status_code == 404
    assert admin_client.get("/api/campaigns/%00/enrollments").status_code == 404


def test_database_url_reaches_the_migrated_test_database(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select current_database(), count(*) from django_migrations").fetchone()
    assert row is not None
    assert row[0].startswith("test_")
    assert row[1] > 0

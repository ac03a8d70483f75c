"""The suite that holds our worker and LangGraph's server to one contract, once more through the dispatcher."""

from __future__ import annotations

from collections.abc import Iterator  # noqa: TC003 fixtures are read at run time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client

from tests.integration.conftest import KEY, Platform
from tests.worker.conftest import OPEN, close_clients  # noqa: F401 an autouse fixture
from tests.worker.test_contract import *  # noqa: F403 every test, on the `server` below

pytestmark = pytest.mark.processes


@dataclass(frozen=True)
class Front:
    """The dispatcher in the place of a server; its probe runs in EMAIL, its test graphs in ASKING."""

    url: str
    plain: httpx.Client
    secret: str = KEY
    unknown_name: int = 404

    def client(self) -> Any:
        client = get_client(url=self.url, api_key=self.secret)
        OPEN.append(client.aclose)
        return client

    def http(self) -> httpx.Client:
        return self.plain


@pytest.fixture(scope="module")
def server(platform: Platform, asking: None) -> Iterator[Front]:
    with httpx.Client(base_url=platform.url, headers={"x-api-key": KEY}, timeout=30) as plain:
        yield Front(platform.url, plain)

"""The one way graphs speak HTTP to the outside: limits, retries, size caps and deadlines per source, a cache for all.

httpx is imported on first use, so that a graph module stays cheap to import.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
import zlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from fleet.kit import robots
from fleet.kit.http_cache import Shelf
from fleet.kit.ssrf import UnsafeAddress, resolve_public

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

    import httpx

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
LONGEST_WAIT_S = 2.0  # a source that asks for more patience than this is reported as missing instead
MAX_REDIRECTS = 4
AGENT = "agentic-sales/0.1"
#: Encodings of pages. Python knows more, some of which (punycode) take minutes for a page made to that end.
_CHARSET = re.compile(
    r"charset=[\"']?(utf-?8|utf-?16|us-ascii|latin-?1|iso-8859-\d+|windows-125\d|koi8-[ru]|shift_jis|euc-(?:jp|kr)|gbk|gb2312|gb18030|big5)\b",
    re.IGNORECASE,
)


class SourceError(Exception):
    """A source gave no usable answer. `reason` is one plain sentence and never holds a secret."""

    def __init__(
        self, source: str, reason: str, *, status: int | None = None, timed_out: bool = False
    ) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason
        self.status = status
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class Source:
    """An outside service and how much of it we may use."""

    #: Shown in errors and partial results.
    name: str
    #: Without a trailing slash. Set by the operator, so it may be private; see `guarded`.
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    #: Requests in flight at once, over the whole process.
    concurrency: int = 4
    connect_timeout_s: float = 2.0
    #: Deadline of one call with all its retries and redirects.
    total_timeout_s: float = 10.0
    attempts: int = 3
    max_bytes: int = 4 * 1024 * 1024
    #: True when hosts come from data (a company's website): only public addresses, redirects may change host.
    guarded: bool = False
    #: True for pages that a site serves to browsers: what its robots.txt forbids is not read.
    robots: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer with a status below 400."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def text(self) -> str:
        """In the encoding it names, else UTF-8, else what browsers take old pages for; nothing fails to decode."""
        named = _CHARSET.search(self.headers.get("content-type", ""))
        for encoding in (named[1] if named else "utf-8", "utf-8"):
            try:
                return self.body.decode(encoding)
            except (LookupError, UnicodeError):  # `iso-8859-99` is none
                continue
        return self.body.decode("cp1252", "replace")


class Session:
    """Calls to one source over one connection pool. Made by `connect`."""

    def __init__(self, source: Source, client: httpx.AsyncClient) -> None:
        self._source = source
        self._client = client

    async def get_json(self, path: str, **params: str | int) -> Any:
        return self._decode(await self.call("GET", path, params=params))

    async def post_json(self, path: str, body: Mapping[str, Any], *, retry_safe: bool = False) -> Any:
        return self._decode(await self.call("POST", path, body=body, retry_safe=retry_safe))

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        retry_safe: bool = False,
    ) -> Reply:
        """Send with retries. `retry_safe` says that repeating a POST does no harm. Raises SourceError."""
        import httpx

        content = None if body is None else json.dumps(body).encode()
        attempts = self._source.attempts if retry_safe or method in SAFE_METHODS else 1
        try:
            async with asyncio.timeout(self._source.total_timeout_s), _gate(self._source):
                return await self._call_with_retries(method, path, params or {}, content, attempts)
        except TimeoutError:
            reason = f"gave no answer within {self._source.total_timeout_s:g} s"
            raise SourceError(self._source.name, reason, timed_out=True) from None
        except (httpx.InvalidURL, UnicodeError) as failure:  # given, or where a redirect points to
            raise SourceError(self._source.name, f"has a malformed address ({_brief(failure)})") from None

    async def _call_with_retries(
        self, method: str, path: str, params: Mapping[str, str | int], content: bytes | None, attempts: int
    ) -> Reply:
        for attempt in range(1, attempts + 1):
            wait_s: float | None = _backoff_s(attempt)
            try:
                reply = await self._follow(method, path, params, content)
            except OSError as failure:
                error = SourceError(self._source.name, f"cannot be reached ({_brief(failure)})")
            else:
                if reply.status < 400:
                    return reply
                error = SourceError(self._source.name, _status_reason(reply), status=reply.status)
                wait_s = _wait_for(reply, attempt)
            if wait_s is None or attempt == attempts:
                raise error
            await asyncio.sleep(wait_s)
        raise AssertionError("attempts is at least 1")

    async def _follow(
        self, method: str, path: str, params: Mapping[str, str | int], content: bytes | None
    ) -> Reply:
        import httpx

        url = httpx.URL(self._source.base_url + path if path.startswith("/") else path)
        if params:
            url = url.copy_merge_params(dict(params))
        for _hop in range(MAX_REDIRECTS + 1):
            if self._source.robots and url.path != "/robots.txt":
                await self._heed_robots(url)
            reply = await self._send(method, url, content)
            location = reply.headers.get("location")
            if not (300 <= reply.status < 400 and location):
                return reply
            target = url.join(location)
            if not self._source.guarded and _origin(target) != _origin(url):
                raise SourceError(self._source.name, f"redirects to another host ({target.host})")
            url = target
        raise SourceError(self._source.name, "redirects in circles")

    async def _heed_robots(self, url: httpx.URL) -> None:
        origin = _origin(url)
        rules = _book.find(origin, time.monotonic())
        if rules is None:
            reply = await self._follow(
                "GET", str(url.copy_with(raw_path=b"/robots.txt", fragment=None)), {}, None
            )
            rules = robots.rules_of(reply.status, reply.text())
            _book.keep(origin, rules, time.monotonic())
        if not rules.known:
            raise SourceError(self._source.name, "does not give its robots.txt, so its pages are left alone")
        if not rules.allow(AGENT, str(url)):
            raise SourceError(self._source.name, f"asks robots not to read {url.path}")

    async def _send(self, method: str, url: httpx.URL, content: bytes | None) -> Reply:
        """The cache's answer where it may stand for the source's."""
        key = (tuple(sorted(self._source.headers.items())), str(url))
        if method != "GET":
            if method not in SAFE_METHODS:
                _shelf.drop(key)
            return await self._exchange(method, url, content)
        kept = _shelf.find(key)
        if kept is not None and kept.fresh_until > time.monotonic():
            return kept.reply
        reply = await self._exchange(method, url, None, kept.questions() if kept else None)
        if kept is not None and reply.status == 304:
            return _shelf.renew(key, kept, reply.headers, time.monotonic())
        _shelf.keep(key, reply, time.monotonic())
        return reply

    async def _exchange(
        self, method: str, url: httpx.URL, content: bytes | None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        import httpx

        request = self._client.build_request(method, url, content=content, headers=headers)
        if content is not None:
            request.headers["content-type"] = "application/json"
        try:
            if self._source.guarded:
                await self._pin(request)
            response = await self._client.send(request, stream=True)
            try:
                body = await self._read(response)
            finally:
                await response.aclose()
        except httpx.TransportError as failure:
            raise OSError(_brief(failure)) from failure
        except zlib.error as failure:
            raise SourceError(self._source.name, f"gave a malformed answer ({_brief(failure)})") from failure
        return Reply(str(url), response.status_code, response.headers, body)

    async def _pin(self, request: httpx.Request) -> None:
        """Send to the very address that was checked; TLS still verifies the name."""
        host, port = request.url.host, request.url.port
        if request.url.scheme not in ("http", "https") or not host:
            raise SourceError(self._source.name, "is not an http(s) address")
        try:
            address = await resolve_public(host, port or (443 if request.url.scheme == "https" else 80))
        except UnsafeAddress as refusal:
            raise SourceError(self._source.name, str(refusal)) from None
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)

    async def _read(self, response: httpx.Response) -> bytes:
        """Unpacked no further than the cap: a few KB can hold gigabytes."""
        most = self._source.max_bytes
        packing = response.headers.get("content-encoding", "").strip().lower()
        if packing not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise SourceError(self._source.name, f"answers in an encoding not asked for ({packing[:40]})")
        unpacker = zlib.decompressobj(wbits=47) if packing not in ("", "identity") else None
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += unpacker.decompress(chunk, most + 1 - len(body)) if unpacker else chunk
            if len(body) > most:
                raise SourceError(self._source.name, f"answered with more than {most} bytes")
        return bytes(body)

    def _decode(self, reply: Reply) -> Any:
        if reply.status == 204:
            return None
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError):
            raise SourceError(self._source.name, "did not answer with JSON", status=reply.status) from None


@asynccontextmanager
async def connect(source: Source) -> AsyncIterator[Session]:
    """Open a session with `source`. Proxies of the environment are honoured only for operator-set hosts."""
    import httpx

    timeout = httpx.Timeout(source.total_timeout_s, connect=source.connect_timeout_s)
    async with httpx.AsyncClient(
        headers={"user-agent": AGENT, "accept-encoding": "gzip, deflate", **source.headers},
        timeout=timeout,
        verify=_tls(),
        trust_env=not source.guarded,
        follow_redirects=False,
    ) as client:
        yield Session(source, client)


_shelf = Shelf()
_book = robots.Book()
_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]] = WeakKeyDictionary()


def _gate(source: Source) -> asyncio.Semaphore:
    gates = _gates.setdefault(asyncio.get_running_loop(), {})
    return gates.setdefault(source.name, asyncio.Semaphore(source.concurrency))


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Reading the certificate bundle costs ~20 ms of CPU: once a process, not once a session.
    import httpx

    return httpx.create_ssl_context()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _backoff_s(attempt: int) -> float:
    return random.uniform(0.5, 1.0) * min(LONGEST_WAIT_S, 0.2 * 2.0**attempt)  # noqa: S311 - jitter, no secret


def _wait_for(reply: Reply, attempt: int) -> float | None:
    """Seconds before a next attempt; None when trying again is pointless now."""
    if reply.status not in RETRIED_STATUSES:
        return None
    asked = reply.headers.get("retry-after", "")
    if not asked.isdecimal():
        return _backoff_s(attempt)
    return float(asked) if float(asked) <= LONGEST_WAIT_S else None


def _status_reason(reply: Reply) -> str:
    limited = reply.status == 429 or reply.headers.get("x-ratelimit-remaining") == "0"
    if limited and reply.status in (403, 429):
        return f"refuses more requests for now (HTTP {reply.status}, rate limit)"
    return f"answered HTTP {reply.status}"


def _brief(failure: BaseException) -> str:
    # The number of an error means nothing to who reads a partial result.
    return re.sub(r"^\[Errno -?\d+\] ", "", str(failure) or type(failure).__name__)[:160]

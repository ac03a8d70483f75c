"""Who may call an operation of the API: a session with a permission, or a key with a scope."""

from __future__ import annotations

import hmac
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.auth.views import redirect_to_login
from django.http import JsonResponse
from django.utils import timezone
from ninja.errors import HttpError
from ninja.utils import check_csrf

from platform_site.lib.postgres import prepared_cursor
from registry_app.audit import Actor
from registry_app.keyring import MAX_KEY, hash_key
from registry_app.models import ApiKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LAST_USED_EVERY = timedelta(minutes=1)
#: As it stands: each call of the API asks this, and the ORM takes longer to ask and to read than the database to answer.
_LIVE = """
SELECT name, prefix, scopes, project, key_hash, expires_at, last_used_at FROM registry_app_apikey
WHERE key_hash = %s AND revoked_at IS NULL
"""


class LiveKey(NamedTuple):
    """What a call needs to know of the key it carries."""

    name: str
    prefix: str
    scopes: list[str]
    project: str
    key_hash: str
    expires_at: datetime | None
    last_used_at: datetime | None


class Requires:
    """A ninja `auth`: `Requires("routing:write", "routing_app.change_pool")`. Gives the Actor; 401 or 403 otherwise."""

    def __init__(self, scope: str, permission: str = "") -> None:
        self.scope = scope
        self.permission = permission

    def __call__(self, request: HttpRequest) -> Actor | None:
        raw = key_of(request)
        if raw:
            return self._by_key(raw)
        if request.user.is_authenticated:
            return self._by_session(request)
        return None

    def _by_key(self, raw: str) -> Actor | None:
        key = find_key(raw)
        if key is None:
            return None
        if "*" not in key.scopes and self.scope not in key.scopes:
            raise HttpError(403, f"The key {key.prefix}… lacks the scope {self.scope}.")
        return Actor(f"key:{key.name} ({key.prefix}…)", "api", project=key.project)

    def _by_session(self, request: HttpRequest) -> Actor:
        if request.method not in _SAFE and check_csrf(request):
            raise HttpError(403, "The CSRF token is missing or wrong.")
        if self.permission and not request.user.has_perm(self.permission):
            raise HttpError(403, f"You lack the permission {self.permission}.")
        return Actor.of_request(request, "api")


def for_readers(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Open a view (the API's description) to sessions and to keys with the scope read; a browser is sent to sign in."""
    allowed = Requires("read")

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            if allowed(request) is not None:
                return view(request, *args, **kwargs)
        except HttpError as error:
            return JsonResponse({"detail": str(error)}, status=error.status_code)
        if request.accepts("text/html") and "html" in request.headers.get("Accept", ""):
            return redirect_to_login(request.get_full_path())
        return JsonResponse({"detail": "Sign in, or send an API key with the scope read."}, status=401)

    return guarded


def key_of(request: HttpRequest) -> str:
    """The key a request carries, "" when none: `Authorization: Bearer …` or `x-api-key`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("x-api-key", "").strip()


def find_key(raw: str) -> LiveKey | None:
    """The live key with this value; notes its use at most once a minute."""
    if len(raw) > MAX_KEY:
        return None
    digest, now = hash_key(raw), timezone.now()
    with prepared_cursor() as cursor:
        cursor.execute(_LIVE, [digest])
        row = cursor.fetchone()
    key = LiveKey(*row) if row else None
    if (
        key is None
        or not hmac.compare_digest(key.key_hash, digest)
        or (key.expires_at and key.expires_at <= now)
    ):
        return None
    if key.last_used_at is None or now - key.last_used_at > _LAST_USED_EVERY:
        ApiKey.objects.filter(key_hash=digest).update(last_used_at=now)
    return key

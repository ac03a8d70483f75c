"""Brings a checkout from nothing, or from its last start, to a state the platform can serve from. Idempotent."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

from platform_site.local_secrets import write_private
from platform_site.ports import POOLS, kept_ports, pool_ports

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

logger = logging.getLogger("platform.bootstrap")

ADMIN = "admin"


def migrate() -> None:
    call_command("migrate", interactive=False, verbosity=0)


def set_up_pools(database_url: str) -> None:
    """Create the pools' own schemas, in a process of its own: the web never imports what runs graphs.

    Raises:
        subprocess.CalledProcessError: The set-up failed; it has said why.
    """
    command = [sys.executable, "-m", "fleet.worker.setup"]
    subprocess.run(command, env={**os.environ, "DATABASE_URL": database_url}, check=True)  # noqa: S603 - our own module


def collect_static() -> bool:
    """Collect static files when a source changed since the last time; whether it did."""
    stamp = settings.STATIC_ROOT / ".sources"
    digest = _static_digest()
    if stamp.exists() and stamp.read_text() == digest:
        return False
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(digest)
    return True


def _static_digest() -> str:
    """A digest of name, size and time of every static source: reading them all would cost the time it saves."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list(None):
            entry = storage.path(name)
            facts = (settings.BASE_DIR / entry).stat()
            digest.update(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def ensure_admin(password: str, path: Path) -> None:
    """Make the user `admin` once; a given password is set at each start, a made one is written to `path`."""
    users = get_user_model().objects
    user = users.filter(username=ADMIN).first()
    if user is None:
        made = password or secrets.token_urlsafe(15)
        users.create_superuser(ADMIN, "", made)
        write_private(path, made + "\n")
        logger.info("made the user admin; its password is in %s", path)
    elif password and not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
        write_private(path, password + "\n")


def api_key_of_file(given: str, path: Path) -> str:
    """The full-scope key: the one given, else the one written before, else a new one; written to `path`."""
    known = path.read_text().strip() if path.exists() else ""
    key = given or known or secrets.token_urlsafe(36)
    if key != known:
        write_private(path, key + "\n")
    return key


def pool_urls(environ: Mapping[str, str], data_dir: Path) -> dict[str, str]:
    """Slug → address of each pool: `X_WORKER_URL` when set, else the port this checkout chose for it."""
    kept = kept_ports(data_dir) or pool_ports(data_dir)
    urls = {}
    for pool in POOLS:
        port = environ.get(f"{pool}_POOL_PORT") or kept.get(pool)
        url = environ.get(f"{pool}_WORKER_URL") or (f"http://127.0.0.1:{port}" if port else "")
        if url:
            urls[pool] = url
    return urls

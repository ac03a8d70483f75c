"""What production refuses to start with; each sentence names the variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platform_site.env import Environment

SECRET_KEY_LENGTH = 50


def problems(env: Environment) -> list[str]:
    """Sentences on every unsafe or missing setting; empty when production may start."""
    found = []
    if len(env.secret_key) < SECRET_KEY_LENGTH or len(set(env.secret_key)) < 10:
        found.append(f"SECRET_KEY must be a random text of at least {SECRET_KEY_LENGTH} characters")
    if not env.allowed_hosts or any("*" in host for host in env.allowed_hosts):
        found.append("ALLOWED_HOSTS must list the host names served, without *")
    if not env.database_url:
        found.append("DATABASE_URL must name a PostgreSQL server (the embedded one is for development)")
    if not env.platform_url.startswith("https://"):
        found.append("PLATFORM_URL must be the https:// address of the platform")
    if any(not origin.startswith("https://") for origin in env.csrf_trusted_origins):
        found.append("CSRF_TRUSTED_ORIGINS must be https:// origins")
    return found

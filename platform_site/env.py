"""Every variable the platform reads, typed, in one table; `X_FILE` names a file that holds the value of `X`.

The fields of `Environment` are the table: a field's name in capitals is the variable, its annotation the type.
Standard library only: the process runner reads it before Django is there.
"""

from __future__ import annotations

import os
import sys
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})
REPOSITORY = Path(__file__).resolve().parent.parent


class EnvironmentVariableError(ValueError):
    """A variable holds what it must not; the message names it and never repeats a secret."""


def _var(default: Any, doc: str, *, secret: bool = False, choices: tuple[str, ...] = ()) -> Any:
    return field(
        default=default, repr=not secret, metadata={"doc": doc, "secret": secret, "choices": choices}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the environment says, once read; defaults suit a checkout on a developer's machine."""

    platform_env: str = _var(
        "development",
        "`production` refuses to start with an unsafe setting and serves cookies for HTTPS only",
        choices=("development", "production"),
    )
    platform_role: str = _var(
        "all", "what a web process serves", choices=("all", "web", "dispatcher", "ingest")
    )
    platform_data_dir: Path = _var(Path(".data"), "database, keys, ports and last good routing of a checkout")  # noqa: RUF009
    platform_url: str = _var("", "the platform's own address; empty: `http://127.0.0.1:$PORT`")
    port: int = _var(8000, "port of the platform on 127.0.0.1")
    database_url: str = _var(
        "", "libpq URL of PostgreSQL ≥ 15; empty: the embedded server of the data folder", secret=True
    )
    database_pool_size: int = _var(8, "most database connections of one web process; 0: no pool")
    secret_key: str = _var("", "Django's signing key; empty in development: made once", secret=True)
    allowed_hosts: tuple[str, ...] = _var((), "host names served, by comma; required in production")
    csrf_trusted_origins: tuple[str, ...] = _var((), "origins that may post forms, by comma, with scheme")
    log_level: str = _var("INFO", "least level that is logged", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    log_format: str = _var("json", "`text` is for reading in a terminal", choices=("json", "text"))
    platform_api_key: str = _var(
        "", "becomes a key with every scope at bootstrap; empty: one is made", secret=True
    )
    langsmith_endpoint: str = _var("", "LangSmith API that feedback is delivered to; empty: nowhere")
    langsmith_api_key: str = _var("", "key there", secret=True)
    public_url: str = _var("", "address readers of our mails reach us at; empty: `PLATFORM_URL`")
    email_host: str = _var("", "SMTP server; empty: mails are written to `.data/mails`")
    email_port: int = _var(587, "its port")
    email_host_user: str = _var("", "login there")
    email_host_password: str = _var("", "password there", secret=True)
    email_use_tls: bool = _var(True, "STARTTLS before anything else is said")
    mail_domain: str = _var("agentic-sales.localhost", "right side of the Message-IDs we make")
    campaigns_webhook_secret: str = _var(
        "", "signs provider events at `/api/campaigns/webhook`; empty: none are taken", secret=True
    )
    platform_admin_password: str = _var("", "password of the user admin; empty: one is made", secret=True)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Environment:
        """Read every variable of the table. Raises `EnvironmentVariableError` naming the first bad one."""
        types = get_type_hints(cls)
        return cls(**{item.name: _read(item, types[item.name], environ) for item in fields(cls)})

    @property
    def production(self) -> bool:
        return self.platform_env == "production"

    @property
    def base_url(self) -> str:
        return self.platform_url.rstrip("/") or f"http://127.0.0.1:{self.port}"

    @property
    def data_dir(self) -> Path:
        """The data folder as an absolute path; a relative one counts from the checkout."""
        return (REPOSITORY / self.platform_data_dir).resolve()


def _read(item: Field[Any], kind: Any, environ: Mapping[str, str]) -> Any:
    name = item.name.upper()
    raw = _raw(name, environ)
    if raw is None or (raw == "" and kind is not str):
        return item.default
    try:
        value = _convert(raw, kind)
    except ValueError:
        shown = "" if item.metadata["secret"] else f", not {raw!r}"
        raise EnvironmentVariableError(f"{name} must be {_type_name(kind)}{shown}") from None
    choices = item.metadata["choices"]
    if choices and value not in choices:
        if value == "":
            return item.default
        raise EnvironmentVariableError(f"{name} must be one of {', '.join(choices)}, not {raw!r}")
    return value


def _raw(name: str, environ: Mapping[str, str]) -> str | None:
    path = environ.get(f"{name}_FILE")
    if not path:
        return environ.get(name)
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentVariableError(f"{name}_FILE: cannot read {path}: {type(error).__name__}") from None


def _convert(raw: str, kind: Any) -> Any:
    if kind is bool:
        if raw.lower() not in TRUE | FALSE:
            raise ValueError
        return raw.lower() in TRUE
    if get_args(kind):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    return kind(raw)


def _type_name(kind: Any) -> str:
    if get_args(kind):
        return "list"
    return {int: "a whole number", float: "a number", bool: "true or false", Path: "path", str: "text"}[kind]


def table() -> str:
    """The variables as a Markdown table, for the documentation."""
    types = get_type_hints(Environment)
    rows = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for item in fields(Environment):
        choices = item.metadata["choices"]
        kind = " \\| ".join(f"`{choice}`" for choice in choices) or _type_name(types[item.name])
        default = "" if item.default in ("", (), MISSING) else f"`{item.default}`"
        doc = item.metadata["doc"] + (" (secret)" if item.metadata["secret"] else "")
        rows.append(f"| `{item.name.upper()}` | {kind} | {default} | {doc} |")
    return "\n".join(rows) + "\n"


def read() -> Environment:
    """The environment of this process."""
    return Environment.read(os.environ)


if __name__ == "__main__":
    sys.stdout.write(table())

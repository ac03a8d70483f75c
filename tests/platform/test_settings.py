from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from platform_site.env import Environment, EnvironmentVariableError, table
from platform_site.production import problems

REPOSITORY = Path(__file__).resolve().parents[2]
SAFE = {
    "PLATFORM_ENV": "production",
    "SECRET_KEY": "k3yZ-" + "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL",
    "ALLOWED_HOSTS": "sales.example.com",
    "DATABASE_URL": "postgresql://app@db.example.com/app",
    "PLATFORM_URL": "https://sales.example.com",
}


def test_variables_are_typed_and_name_themselves_when_wrong() -> None:
    env = Environment.read({"PORT": "8123", "ALLOWED_HOSTS": "a.example, b.example", "LOG_LEVEL": ""})
    assert (env.port, env.allowed_hosts, env.log_level) == (8123, ("a.example", "b.example"), "INFO")
    with pytest.raises(EnvironmentVariableError, match="PORT must be a whole number"):
        Environment.read({"PORT": "http"})
    with pytest.raises(EnvironmentVariableError, match="PLATFORM_ROLE must be one of all, web"):
        Environment.read({"PLATFORM_ROLE": "everything"})


def test_secret_comes_from_a_file_and_stays_out_of_repr(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("from-the-file\n")
    env = Environment.read({"SECRET_KEY_FILE": str(path), "SECRET_KEY": "from-the-variable"})
    assert env.secret_key == "from-the-file"
    assert "from-the-file" not in repr(env)
    with pytest.raises(EnvironmentVariableError, match="SECRET_KEY_FILE: cannot read"):
        Environment.read({"SECRET_KEY_FILE": str(tmp_path / "absent")})


def test_table_lists_each_variable() -> None:
    assert "| `PORT` | a whole number | `8000` |" in table()
    assert "(secret)" in next(line for line in table().splitlines() if "`SECRET_KEY`" in line)


def test_production_is_safe_with_every_setting_given() -> None:
    assert problems(Environment.read(SAFE)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "a" * 60),
        ("ALLOWED_HOSTS", ""),
        ("ALLOWED_HOSTS", "*"),
        ("DATABASE_URL", ""),
        ("PLATFORM_URL", "http://sales.example.com"),
        ("CSRF_TRUSTED_ORIGINS", "http://sales.example.com"),
    ],
)
def test_production_names_the_unsafe_variable(name: str, value: str) -> None:
    found = problems(Environment.read({**SAFE, name: value}))
    assert [sentence.split()[0] for sentence in found] == [name]


def django(code: str, extra: dict[str, str]) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in {*SAFE, "CSRF_TRUSTED_ORIGINS"}}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**clean, "DJANGO_SETTINGS_MODULE": "platform_site.settings", **extra},
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_does_not_start_with_an_unsafe_setting() -> None:
    done = django("import django; django.setup()", {**SAFE, "ALLOWED_HOSTS": "*"})
    assert done.returncode != 0
    assert "ImproperlyConfigured: PLATFORM_ENV=production: ALLOWED_HOSTS must list" in done.stderr


def test_production_passes_djangos_own_deployment_checks() -> None:
    code = (
        "import django; django.setup();"
        "from django.core.checks import Tags, run_checks;"
        "print(*(m.id for m in run_checks(tags=[Tags.security], include_deployment_checks=True)));"
        "from django.conf import settings as s;"
        "print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_SSL_REDIRECT)"
    )
    done = django(code, SAFE)
    ids, cookies = done.stdout.splitlines()[-2:]
    assert cookies == "True True True"
    # Whether subdomains are HTTPS only, and in browsers' lists, is for the owner of the domain to say.
    assert set(ids.split()) <= {"security.W005", "security.W021"}

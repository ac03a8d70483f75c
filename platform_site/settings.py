"""Django's settings: one file, every value from `env.py`. Production differs in checks and cookies alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

from platform_site import env, pg
from platform_site.local_secrets import local_secrets
from platform_site.logging import config as logging_config
from platform_site.production import problems

if TYPE_CHECKING:
    from wsgiref.headers import Headers

ENV = env.read()
BASE_DIR = env.REPOSITORY
DATA_DIR = ENV.data_dir

if ENV.production and (found := problems(ENV)):
    raise ImproperlyConfigured("PLATFORM_ENV=production: " + "; ".join(found))

DEBUG = False
SECRET_KEY = ENV.secret_key or local_secrets(DATA_DIR)["SECRET_KEY"]
ALLOWED_HOSTS = list(ENV.allowed_hosts) or ["127.0.0.1", "localhost", "[::1]"]
CSRF_TRUSTED_ORIGINS = list(ENV.csrf_trusted_origins)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
    "procrastinate.contrib.django",
    "platform_site.apps.SignInsConfig",
    "csp",
    "ninja",
    "registry_app",
    "routing_app",
    "feedback_app",
    "traces_app",
    "campaigns_app",
    "platform_site",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "platform_site.middleware.CompressedPages",
    "platform_site.middleware.request_context",
    "platform_site.middleware.without_nul",
    "platform_site.middleware.database_away",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "platform_site.middleware.signed_out",
]

ROOT_URLCONF = "platform_site.urls"
ASGI_APPLICATION = "platform_site.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "platform_site.context.shell",
            ]
        },
    }
]


def _database(url: str, pool_size: int) -> dict[str, Any]:
    """A libpq URL as Django's dictionary; what Django has no name for goes to the driver."""
    parts = conninfo_to_dict(url)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    known = {name: str(parts.pop(key, None) or "") for name, key in names.items()}
    pool = {"pool": {"min_size": 0, "max_size": pool_size, "timeout": 5}} if pool_size else {}
    return {
        "ENGINE": "platform_site.lib.postgres",
        **known,
        "CONN_MAX_AGE": 0,
        "OPTIONS": {**parts, **pool, "prepare_threshold": 1},
    }


DATABASES = {"default": _database(ENV.database_url or pg.url_for(DATA_DIR), ENV.database_pool_size)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "platform_site.formats"

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"


def SERVESTATIC_ADD_HEADERS_FUNCTION(headers: Headers, _path: str, _url: str) -> None:
    """Files go out before Django's middleware, which says so of all else."""
    headers["X-Content-Type-Options"] = "nosniff"


STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # refuses before the password is looked at
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/login/"
CSRF_FAILURE_VIEW = "platform_site.views.csrf_failure"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False  # theirs lets log rows be changed; ours reads them

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = ENV.production
SECURE_HSTS_SECONDS = 31_536_000 if ENV.production else 0
# Two checkouts on one host name must not log each other out.
SESSION_COOKIE_NAME = "sessionid" if ENV.production else f"sessionid_{ENV.port}"
CSRF_COOKIE_NAME = "csrftoken" if ENV.production else f"csrftoken_{ENV.port}"

LANGSMITH_ENDPOINT, LANGSMITH_API_KEY = ENV.langsmith_endpoint.rstrip("/"), ENV.langsmith_api_key
PUBLIC_URL = ENV.public_url.rstrip("/") or ENV.base_url
MAIL_DOMAIN = ENV.mail_domain
CAMPAIGNS_WEBHOOK_SECRET = ENV.campaigns_webhook_secret
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if ENV.email_host else 'filebased'}.EmailBackend"
EMAIL_FILE_PATH = DATA_DIR / "mails"
EMAIL_HOST, EMAIL_PORT, EMAIL_USE_TLS = ENV.email_host, ENV.email_port, ENV.email_use_tls
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = ENV.email_host_user, ENV.email_host_password
EMAIL_TIMEOUT = 20

LOGGING = logging_config(ENV)

PROCRASTINATE_WORKER_DEFAULTS = {
    "delete_jobs": "successful",
    "fetch_job_polling_interval": 1.0,  # retries and scheduled jobs are not announced by NOTIFY
    "update_heartbeat_interval": 2.0,
    "stalled_worker_timeout": 10.0,
}

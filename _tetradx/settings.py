"""Every setting, read once from the environment; README.md lists the variables.

ENVIRONMENT is one of
  production   the default, so that forgetting it weakens nothing; missing values stop the start
  demo         `make run`: as production, but on this machine, with a generated key and demo data
  development  `make dev`: DEBUG and the debug toolbar
  test         `make test`
"""

import math
import os
import re
import secrets
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import environ
from django.core.exceptions import ImproperlyConfigured
from phonenumbers import SUPPORTED_REGIONS

from _tetradx.db.connections import Connection, Cursor

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
VERSION = "1.0.0"

env = environ.Env()

ENVIRONMENT = env.str("ENVIRONMENT", default="production")
if ENVIRONMENT not in {"production", "demo", "development", "test"}:
    raise ImproperlyConfigured(f"ENVIRONMENT is {ENVIRONMENT!r}; see _tetradx/settings.py.")
PRODUCTION = ENVIRONMENT == "production"
DEBUG = ENVIRONMENT == "development"
if PRODUCTION and env.bool("DEBUG", default=False):
    raise ImproperlyConfigured(
        "DEBUG is set: production shows nobody its inside. It is on with ENVIRONMENT=development."
    )


def listed(name: str) -> list[str]:
    """Returns the comma-separated values of NAME."""
    return [value.strip() for value in env.str(name, default="").split(",") if value.strip()]


def origins(name: str) -> list[str]:
    """Returns the origins in NAME. Wildcards are refused: they let in unforeseen origins."""
    values = listed(name)
    for value in values:
        if not re.fullmatch(r"https?://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d+)?", value):
            raise ImproperlyConfigured(
                f"{name}: {value!r} is no origin of the form https://tetradx.example."
            )
    return values


def kept_secret(name: str) -> str:
    """Returns the secret NAME from the environment, else (never in production) from var/."""
    if PRODUCTION or env.str(name, default=""):
        secret = env.str(name)
        if len(secret) < 50:
            raise ImproperlyConfigured(f"{name} is too short: it needs 50 characters or more.")
        # The rule of Django's own check (security.W009), which does not stop the start.
        if PRODUCTION and (len(set(secret)) < 5 or secret.startswith("django-insecure-")):
            raise ImproperlyConfigured(f"{name} can be guessed: generate one, as make env does.")
        return secret
    path = VAR_DIR / name.lower()
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with open(path, "x", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
            file.write(secrets.token_urlsafe(64))
    return path.read_text()


SECRET_KEY = kept_secret("SECRET_KEY")
# What was signed with an earlier key is still believed: docs/operations.md says when to drop it.
SECRET_KEY_FALLBACKS = listed("SECRET_KEY_FALLBACKS")
if any(len(key) < 50 for key in SECRET_KEY_FALLBACKS):
    raise ImproperlyConfigured("SECRET_KEY_FALLBACKS has a key of less than 50 characters.")
JWT_SIGNING_KEY = kept_secret("JWT_SIGNING_KEY")
if JWT_SIGNING_KEY in {SECRET_KEY, *SECRET_KEY_FALLBACKS}:
    raise ImproperlyConfigured("JWT_SIGNING_KEY is SECRET_KEY, too: one leak must not give both.")

LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]
LOOPBACK_ORIGIN = r"^https?://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$"

if PRODUCTION:
    ALLOWED_HOSTS = listed("ALLOWED_HOSTS")
    if not ALLOWED_HOSTS:
        raise ImproperlyConfigured("Set ALLOWED_HOSTS to the host names that are served.")
    if any("*" in host for host in ALLOWED_HOSTS):
        raise ImproperlyConfigured("ALLOWED_HOSTS has a *: name the hosts that are served.")
else:
    ALLOWED_HOSTS = LOOPBACK_HOSTS + listed("ALLOWED_HOSTS")
    host = env.str("HOST", default="127.0.0.1")
    # A demo that listens on every address should be reachable by any of them.
    ALLOWED_HOSTS.append("*" if host in {"0.0.0.0", "::"} else host)  # noqa: S104

INSTALLED_APPS = [
    "authentication.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "import_export",
    "django_otp.plugins.otp_totp",
    "_tetradx",
    "authentication",
    "medics",
    "takeover",
]

MIDDLEWARE = [
    "_tetradx.http.middleware.RequestRecordMiddleware",
    "_tetradx.http.security_headers.SecurityHeadersMiddleware",
    "_tetradx.http.middleware.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "_tetradx.http.middleware.BodyLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

if not PRODUCTION:
    INSTALLED_APPS += ["demo", "benchmarks"]

if ENVIRONMENT == "test":
    # Its command is a part of `make check`.
    INSTALLED_APPS += ["django_migration_linter"]

if DEBUG:
    INSTALLED_APPS += ["debug_toolbar"]
    MIDDLEWARE.insert(3, "debug_toolbar.middleware.DebugToolbarMiddleware")
    # Outside of the toolbar, which sets a Server-Timing header of its own.
    MIDDLEWARE.insert(3, "_tetradx.http.middleware.DevelopmentMiddleware")
    INTERNAL_IPS = ["127.0.0.1", "::1"]
    # So that the page of the API's documentation shows the SQL of the requests that it makes.
    DEBUG_TOOLBAR_CONFIG = {"UPDATE_ON_FETCH": True}

ROOT_URLCONF = "_tetradx.urls"
WSGI_APPLICATION = "_tetradx.wsgi.application"
APPEND_SLASH = False
ADMIN_PATH = env.str("ADMIN_PATH", default="admin/")
if not re.fullmatch(r"([\w-]+/)+", ADMIN_PATH) or ADMIN_PATH.startswith(("api/", "static/")):
    raise ImproperlyConfigured(f"ADMIN_PATH is {ADMIN_PATH!r}; it is of the form admin/.")

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def database() -> dict:
    """DATABASE_URL, or the predecessor's five variables."""
    if url := env.str("DATABASE_URL", default=""):
        # Checked first: the parser prints a URL that it cannot read, with its password.
        if not url.startswith(("postgres://", "postgresql://")):
            raise ImproperlyConfigured(
                "DATABASE_URL is not of the form postgres://user:password@host:5432/name."
            )
        config = env.db("DATABASE_URL")
        # In place of the host there may be a socket's folder, percent-encoded, as in libpq.
        return {**config, "HOST": unquote(config["HOST"])}
    if env.str("DB_NAME", default=""):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": env.str("DB_NAME"),
            "USER": env.str("DB_USER"),
            "PASSWORD": env.str("DB_PASSWORD"),
            "HOST": env.str("DB_HOST"),
            "PORT": env.str("DB_PORT", default="5432"),
        }
    raise ImproperlyConfigured("Set DATABASE_URL, or DB_NAME, DB_USER, DB_PASSWORD and DB_HOST.")


DB_POOLING = env.str("DB_POOLING", default="")
if DB_POOLING not in {"", "transaction"}:
    raise ImproperlyConfigured(f"DB_POOLING is {DB_POOLING!r}; it can be transaction, or empty.")

# The settings of each database session. Times are in milliseconds, 0 means no limit.
DB_SESSION_SETTINGS: dict[str, int | str] = {
    "statement_timeout": env.int("DB_STATEMENT_TIMEOUT_MS", default=30_000),
    "lock_timeout": env.int("DB_LOCK_TIMEOUT_MS", default=10_000),
    "idle_in_transaction_session_timeout": env.int("DB_IDLE_IN_TRANSACTION_MS", default=60_000),
    # The planner overestimates the cost of a search, and would compile it for hundreds of
    # milliseconds to save a few.
    "jit": "off",
}
# After this long the database is considered frozen: it should have cancelled the statement itself
# by then, even after waiting for a PgBouncer session.
DB_UNANSWERED_SECONDS = int(DB_SESSION_SETTINGS["statement_timeout"]) / 1000 + 15
if not DB_SESSION_SETTINGS["statement_timeout"]:
    DB_UNANSWERED_SECONDS = math.inf
DATABASES = {"default": database()}
DATABASES["default"].update(
    # A connection is kept for ten minutes, and checked before a request uses it.
    CONN_MAX_AGE=env.int("CONN_MAX_AGE", default=600),
    CONN_HEALTH_CHECKS=True,
)
DATABASES["default"].setdefault("OPTIONS", {}).update(
    connect_timeout=env.int("DB_CONNECT_TIMEOUT_S", default=10),
    connection_factory=Connection,
    cursor_factory=Cursor,
    # A wait for a database whose machine has vanished ends within half a minute.
    keepalives_idle=10,
    keepalives_interval=5,
    keepalives_count=3,
    tcp_user_timeout=30_000,
    application_name=env.str("DB_APPLICATION_NAME", default="tetradx"),
)
if DB_POOLING:
    # The next transaction may get another session of the pool. So a cursor must not outlive its
    # transaction, and the session's settings belong to the role (set_session_defaults):
    # docs/pgbouncer.md.
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
else:
    DATABASES["default"]["OPTIONS"]["options"] = " ".join(
        f"-c {name}={value}" for name, value in DB_SESSION_SETTINGS.items()
    )
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Only manage.py import_predecessor reads this.
PREDECESSOR_DATABASE_URL = env.str("PREDECESSOR_DATABASE_URL", default="")

REDIS_URL = env.str("REDIS_URL", default="")
# A Redis that is away must not delay the requests that can do without it.
REDIS_TIMEOUTS = {"socket_connect_timeout": 1, "socket_timeout": 1}
CACHES: dict = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 1000},
    }
}
if REDIS_URL:
    CACHES["default"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {**REDIS_TIMEOUTS, "serializer": "_tetradx.cache.serializer.JSONSerializer"},
        # Version 1 was pickled.
        "VERSION": 2,
    }
CACHES["default"]["KEY_PREFIX"] = "tetradx"

AUTH_USER_MODEL = "authentication.User"
AUTHENTICATION_BACKENDS = ["authentication.backends.PhoneNumberBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "authentication.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 8},
    },
    {"NAME": "authentication.password_validation.CharacterKindsValidator"},
    {"NAME": "authentication.password_validation.CommonPasswordValidator"},
]
# The first one hashes; a user who logs in with an older hash gets a new one.
PASSWORD_HASHERS = [
    "authentication.hashers.OneAtATimeArgon2Hasher",
    "authentication.hashers.OneAtATimePBKDF2Hasher",
]
if ENVIRONMENT == "test":
    PASSWORD_HASHERS.insert(0, "django.contrib.auth.hashers.MD5PasswordHasher")

# Whether operators show a code of an authenticator app at the admin site, beside the password.
ADMIN_SECOND_FACTOR = env.bool("ADMIN_SECOND_FACTOR", default=PRODUCTION)
OTP_TOTP_ISSUER = "tetraDX"
# authentication.throttles limits guesses; the library's own limit would lock the owner out.
OTP_TOTP_THROTTLE_FACTOR = 0

# Whether practitioners may register by themselves.
SELF_REGISTRATION = env.bool("SELF_REGISTRATION", default=True)


def limit(name: str, default: int) -> int:
    number = env.int(name, default=default)
    if number < 1:
        raise ImproperlyConfigured(f"{name} is {number}: a limit is 1 or more.")
    return number


# Beyond these rate limits a client gets a 429. Those of one account, in its first day and later:
NEW_ACCOUNT_REFERRALS_PER_HOUR = limit("NEW_ACCOUNT_REFERRALS_PER_HOUR", 60)
NEW_ACCOUNT_REFERRALS_PER_DAY = limit("NEW_ACCOUNT_REFERRALS_PER_DAY", 300)
REFERRALS_PER_HOUR = limit("REFERRALS_PER_HOUR", 300)
REFERRALS_PER_DAY = limit("REFERRALS_PER_DAY", 2_000)
TECHNICIANS_PER_HOUR = limit("TECHNICIANS_PER_HOUR", 100)
# The limit of one referral, its tests included.
STATUS_CHANGES_PER_HOUR = limit("STATUS_CHANGES_PER_HOUR", 60)

# The region whose numbers may be written without a country code (ISO 3166-1).
PHONE_DEFAULT_REGION = env.str("PHONE_DEFAULT_REGION", default="GH")
if PHONE_DEFAULT_REGION not in SUPPORTED_REGIONS:
    raise ImproperlyConfigured(
        f"PHONE_DEFAULT_REGION is {PHONE_DEFAULT_REGION!r}: it takes the two capital letters of a"
        " country, such as GH."
    )

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["authentication.authentication.SessionTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["authentication.permissions.IsSignedIn"],
    "DEFAULT_RENDERER_CLASSES": ["_tetradx.api.renderers.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["_tetradx.api.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "_tetradx.api.negotiation.ContentNegotiation",
    "DEFAULT_SCHEMA_CLASS": "_tetradx.api.schema.EnvelopeSchema",
    # The CORS middleware answers OPTIONS; nobody needs DRF's description of a route.
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "_tetradx.api.error_handlers.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "TEST_REQUEST_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    # The lists' SQL writes times in the same format.
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
    "COERCE_DECIMAL_TO_STRING": False,
    "URL_FORMAT_OVERRIDE": None,
}

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=env.int("ACCESS_TOKEN_MINUTES", default=15)),
    "REFRESH_TOKEN_LIFETIME": timedelta(hours=env.int("REFRESH_TOKEN_HOURS", default=12)),
    # The clocks of two machines differ by a little.
    "LEEWAY": timedelta(seconds=30),
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "AUTH_TOKEN_CLASSES": ["authentication.tokens.AccessToken"],
}

# A session ends so long after its login, however often its tokens are renewed.
SESSION_DAYS = env.int("SESSION_DAYS", default=7)
if SESSION_DAYS < 1:
    raise ImproperlyConfigured("SESSION_DAYS is less than 1: nobody could stay logged in.")
SESSION_LIFETIME = timedelta(days=SESSION_DAYS)

SPECTACULAR_SETTINGS = {
    "TITLE": "tetraDX",
    "DESCRIPTION": "Referrals of patients to the branches of medical laboratories.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/",
    "ENFORCE_NON_BLANK_FIELDS": True,
    "ENUM_NAME_OVERRIDES": {
        "ReferralStatus": "medics.choices.ReferralStatus",
        "TestStatus": "medics.choices.TestStatus",
        "UserType": "authentication.models.UserType",
    },
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": True, "tryItOutEnabled": True},
}

# /metrics exists where one of these is set: it requires the token, and is only at the address.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
if METRICS_TOKEN and len(METRICS_TOKEN) < 20:
    raise ImproperlyConfigured("METRICS_TOKEN is too short: it needs 20 characters or more.")
METRICS_ADDRESS = env.str("METRICS_ADDRESS", default="")
METRICS_HOST, _, METRICS_PORT = METRICS_ADDRESS.rpartition(":")
if METRICS_ADDRESS and not (METRICS_HOST and METRICS_PORT.isdigit()):
    raise ImproperlyConfigured("METRICS_ADDRESS is not of the form host:port.")
METRICS = bool(METRICS_TOKEN or METRICS_ADDRESS)
if METRICS:
    MIDDLEWARE.insert(3, "_tetradx.observability.metrics.MetricsMiddleware")
PROMETHEUS_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

CORS_URLS_REGEX = r"^/api/"
CORS_ALLOWED_ORIGINS = origins("CORS_ALLOWED_ORIGINS")
CORS_ALLOWED_ORIGIN_REGEXES = [] if PRODUCTION else [LOOPBACK_ORIGIN]
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "x-request-id",
]
CORS_EXPOSE_HEADERS = [
    "Content-Disposition",
    "ETag",
    "Idempotent-Replayed",
    "Retry-After",
    "X-Request-ID",
]

DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("MAX_BODY_BYTES", default=1024 * 1024)

# An operator enters password and code again each working day.
SESSION_COOKIE_AGE = 12 * 3600
# Scripts need not read the cookie: forms carry the token.
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "_tetradx.api.error_handlers.csrf_failure"

if PRODUCTION:
    SERVED_OVER_HTTPS = env.bool("SERVED_OVER_HTTPS", default=True)
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=SERVED_OVER_HTTPS)
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=365 * 24 * 3600)
    # Only the domain's owner knows whether its other hosts are served over HTTPS, too: so the check
    # of a deployment does not warn where these are off.
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
    SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=False)
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
    if SECURE_HSTS_PRELOAD and not SECURE_HSTS_INCLUDE_SUBDOMAINS:
        raise ImproperlyConfigured(
            "SECURE_HSTS_PRELOAD is set without SECURE_HSTS_INCLUDE_SUBDOMAINS: browsers preload "
            "whole domains alone."
        )
    SESSION_COOKIE_SECURE = SERVED_OVER_HTTPS
    CSRF_COOKIE_SECURE = SERVED_OVER_HTTPS
    CSRF_TRUSTED_ORIGINS = origins("CSRF_TRUSTED_ORIGINS")
    if env.bool("BEHIND_TLS_PROXY", default=False):
        # Only behind a proxy that sets this header itself on every request.
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static")))
WHITENOISE_USE_FINDERS = DEBUG
# Otherwise each test client would scan all collected files again.
WHITENOISE_AUTOREFRESH = DEBUG or ENVIRONMENT == "test"
# The image holds each file once; elsewhere the next collectstatic would have to copy all again.
WHITENOISE_KEEP_ONLY_HASHED_FILES = PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if ENVIRONMENT in {"development", "test"}
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# A warning is logged for a request that is slower than this, or has so many statements.
SLOW_REQUEST_MS = env.int("SLOW_REQUEST_MS", default=1000)
MANY_QUERIES = env.int("MANY_QUERIES", default=30)
# A request that has run for so long is logged while it still hangs.
REQUEST_DEADLINE_SECONDS = env.float("REQUEST_DEADLINE_SECONDS", default=60)

# The addresses or networks of the proxies whose X-Forwarded-For is trusted.
TRUSTED_PROXIES = listed("FORWARDED_ALLOW_IPS") or ["127.0.0.1", "::1"]
if "*" in TRUSTED_PROXIES:
    raise ImproperlyConfigured(
        "FORWARDED_ALLOW_IPS is *: anybody could claim any address. Name the proxies' networks."
    )

LOG_FORMAT = env.str("LOG_FORMAT", default="text")
LOG_FORMATTERS = {
    "text": "_tetradx.observability.logs.LineFormatter",
    "json": "_tetradx.observability.logs.JsonFormatter",
}
if LOG_FORMAT not in LOG_FORMATTERS:
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}; it is text or json.")
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
# The log of who read which patient's data. The service only starts where it can open the file.
PATIENT_ACCESS_LOG = env.str("PATIENT_ACCESS_LOG", default="")
PATIENT_ACCESS_HANDLER = (
    {"class": "logging.handlers.WatchedFileHandler", "filename": PATIENT_ACCESS_LOG}
    if PATIENT_ACCESS_LOG
    else {"class": "logging.StreamHandler"}
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": LOG_FORMATTERS[LOG_FORMAT]},
        "json": {"()": LOG_FORMATTERS["json"]},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line"},
        "patient_access": {**PATIENT_ACCESS_HANDLER, "formatter": "json"},
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django": {
            "handlers": ["console"],
            "propagate": False,
            "level": env.str("DJANGO_LOG_LEVEL", default="INFO").upper(),
        },
        # This logger warns of every HEAD that Django answers, whose body gunicorn has to drop.
        "gunicorn.http.wsgi": {"level": "ERROR"},
        # runserver's lines hold the query; tetradx.requests logs a line for each request.
        "django.server": {"handlers": ["console"], "propagate": False, "level": "ERROR"},
        # This logger would print the values, patients' data among them; tetradx.sql prints none.
        "django.db.backends": {"level": "INFO"},
        "tetradx.sql": {"level": env.str("DB_LOG_LEVEL", default="INFO").upper()},
        **{
            name: {"level": level.upper()}
            for name, _, level in (pair.partition("=") for pair in listed("LOG_LEVELS"))
        },
        # Logged whatever the levels of the others.
        "tetradx.access": {"handlers": ["patient_access"], "propagate": False, "level": "INFO"},
    },
}

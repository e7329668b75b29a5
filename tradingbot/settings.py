"""Settings, read top to bottom; every variable stands in docs/api.md and .env.example."""

import hashlib
import re
import sys

from django.core.exceptions import ImproperlyConfigured

from tradingbot.env import (
    database,
    email,
    encryption_key,
    envbool,
    envint,
    envjson,
    envlevel,
    envlist,
    envsecret,
    envtext,
    redis_server,
    start_sentry,
)
from tradingbot.secrets import PROJECT, var_dir

BASE_DIR = PROJECT
VAR_DIR = var_dir()
VERSION = "0.1.0"

# --- Secrets -----------------------------------------------------------------------------------
SECRET_KEY = envsecret("SECRET_KEY", VAR_DIR)
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("SECRET_KEY: Expected at least 32 characters.")
# The first key encrypts, all decrypt.
ENCRYPTION_KEYS = [
    encryption_key("ENCRYPTION_KEY", envsecret("ENCRYPTION_KEY", VAR_DIR)),
    *(
        encryption_key("ENCRYPTION_KEYS_RETIRED", text.strip())
        for text in envsecret("ENCRYPTION_KEYS_RETIRED", VAR_DIR, required=False).split(",")
        if text.strip()
    ),
]

# --- Where and how it runs ---------------------------------------------------------------------
DEBUG = envbool("DEBUG")
HTTPS = envbool("HTTPS")
LIVE_TRADING = envbool("LIVE_TRADING")
REDIS_URL = redis_server(envtext("REDIS_URL"))
ALLOWED_HOSTS = envlist("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = envlist("CSRF_TRUSTED_ORIGINS")
CORS_ALLOWED_ORIGINS = envlist("CORS_ALLOWED_ORIGINS")
# Writes over the API, per token; what stops trading is not counted.
API_WRITES_PER_MINUTE = envint("API_WRITES_PER_MINUTE", 120, least=1)
ADMIN_PATH = envtext("ADMIN_PATH", "admin/").strip("/") + "/"
SIGNUP_OPEN = envbool("SIGNUP_OPEN", True)
# How many proxies in front of us append to X-Forwarded-For; 0 = believe only the socket.
TRUSTED_PROXIES = envint("TRUSTED_PROXIES", 0, most=100)
EXCHANGE_OVERRIDES = envjson("EXCHANGE_OVERRIDES")
STRATEGY_MODULES = envlist("STRATEGY_MODULES")
JOURNAL_DEMO_DAYS = envint("JOURNAL_DEMO_DAYS", 7, least=1, most=36_500)
# How often a worker looks whether beat and broker are silent; then it finds exits by itself.
EXITS_SCAN_SECONDS = envint("EXITS_SCAN_SECONDS", 5, least=1)
# So long a run trades on paper before it may be promoted to live.
PROMOTION_MIN_PAPER_DAYS = envint("PROMOTION_MIN_PAPER_DAYS", 7, most=36_500)

# Marks our orders at the exchanges, so that they are known again after a restored backup.
INSTALL_TAG = envtext("INSTALL_TAG") or hashlib.sha256(f"install {SECRET_KEY}".encode()).hexdigest()[:8]
if not re.fullmatch(r"[0-9a-f]{8}", INSTALL_TAG):
    raise ImproperlyConfigured("INSTALL_TAG: Expected 8 hex digits.")

# --- Applications ------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_celery_beat",
    "django_htmx",
    "ninja",
    "tradingbot",
    "bots",
    "strategies",
    "exchanges",
    "accounts",
]
MIDDLEWARE = [
    "tradingbot.middleware.RequestIdMiddleware",
    "tradingbot.middleware.ResponseHeadersMiddleware",
    "tradingbot.json_paths.CorsMiddleware",
    "tradingbot.json_paths.JsonPathMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "tradingbot.middleware.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "tradingbot.urls"
ASGI_APPLICATION = "tradingbot.asgi.application"
WSGI_APPLICATION = "tradingbot.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tradingbot.context.site",
            ],
        },
    }
]

# --- Database, cache, broker -------------------------------------------------------------------
DATABASES = {"default": database(envtext("DATABASE_URL"), VAR_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": 3, "socket_connect_timeout": 3},
    }
    if REDIS_URL
    # Commands that run without `up` do their work in the process itself.
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "tradingbot"}
}

# --- Time and language -------------------------------------------------------------------------
TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en"
USE_I18N = True

# --- Static files ------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# --- Accounts ----------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/app/"
LOGOUT_REDIRECT_URL = "/app/account/login/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# Else somebody whose installation has no mail could never switch the second factor on.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_ADAPTER = "accounts.adapters.MFAAdapter"
MFA_TOTP_ISSUER = "Tradingbot"
PASSWORD_RESET_TIMEOUT = 3600
# Without a mail server the mails are printed to the log: fine on a laptop, told by `doctor`.
vars().update(email(envtext("EMAIL_URL")))
DEFAULT_FROM_EMAIL = envtext("DEFAULT_FROM_EMAIL", "tradingbot@localhost")

# --- Web security ------------------------------------------------------------------------------
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
if HTTPS:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^health$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"

# --- Celery ------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://") or "memory://"
CELERY_TASK_ALWAYS_EAGER = False
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 1000
CELERY_TASK_SOFT_TIME_LIMIT = 45
CELERY_TASK_TIME_LIMIT = 60
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# For ever: a worker that gave up would take the exits' own scan with it.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_CONSUMER = "tradingbot.consumer:SteadyConsumer"
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_BEAT_SCHEDULER = "tradingbot.beat:LeasedScheduler"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "queue_order_strategy": "priority",
    "priority_steps": [0, 3, 6, 9],
}
CELERY_TASK_DEFAULT_QUEUE = "trading"
CELERY_TASK_ROUTES = {"bots.tasks.research_*": {"queue": "research"}}

# --- Logging -----------------------------------------------------------------------------------
LOG_LEVEL = envlevel("LOG_LEVEL", "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"scrub": {"()": "exchanges.scrub.ScrubFilter"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["scrub"], "stream": sys.stderr}
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # ccxt, urllib3 and requests log headers and signed URLs at DEBUG.
    "loggers": {name: {"level": "WARNING"} for name in ("ccxt", "urllib3", "requests", "aiohttp", "asyncio")},
}

# --- Error reports -----------------------------------------------------------------------------
if SENTRY_DSN := envtext("SENTRY_DSN"):
    start_sentry(SENTRY_DSN, VERSION)

"""Django for a proof: production's settings on a database of its own, before anything of Django is imported."""

import os
from pathlib import Path


def prepare(folder: Path, database_url: str = "") -> None:
    """Called first in a fresh process; ``folder`` is where everything of this process lives."""
    from django.conf import settings

    if settings.configured:
        raise RuntimeError("Expected a process in which Django was not set up.")
    (folder / "var" / "static").mkdir(parents=True, exist_ok=True)
    for name in ("REDIS_URL", "EXCHANGE_OVERRIDES", "STRATEGY_MODULES", "HTTPS", "DEBUG", "ENCRYPTION_KEYS_RETIRED"):
        os.environ.pop(name, None)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "tradingbot.settings",
        "SECRET_KEY": "a secret of the proof that nobody has to keep to themselves",
        "ENCRYPTION_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "VAR_DIR": str(folder / "var"),
        "LIVE_TRADING": "on",
        "LOG_LEVEL": "CRITICAL",
        "DATABASE_URL": database_url or f"sqlite:///{folder / 'app.sqlite3'}",
    }
    import django

    django.setup()
    # Forked children bring their own connections; a pool's threads do not survive a fork.
    settings.DATABASES["default"]["OPTIONS"].pop("pool", None)

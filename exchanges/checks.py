"""Configuration mistakes that would otherwise show at trade time."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError

from exchanges.adapters.ccxt_contracts import CONTRACTS
from exchanges.queries import missing_key_ids


def keyring_opens_stored_keys(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Runs with `check --database default` and in `migrate`."""
    try:
        missing = missing_key_ids()
    except DatabaseError:  # the table is not there yet
        return []
    return [
        Error(
            f"{count} stored exchange keys need the encryption key {key_id}, which is not configured.",
            hint="Put the key they were encrypted with into ENCRYPTION_KEYS_RETIRED, then run key_rotate.",
            id="exchanges.E001",
        )
        for key_id, count in sorted(missing.items())
    ]


def overrides_name_known_exchanges(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f"EXCHANGE_OVERRIDES: Expected an object for one of {', '.join(CONTRACTS)}, was {name!r}.",
            id="exchanges.E002",
        )
        for name, value in settings.EXCHANGE_OVERRIDES.items()
        if name not in CONTRACTS or not isinstance(value, dict)
    ]

"""The exchanges app and its configuration checks."""

from django.apps import AppConfig
from django.core.checks import Tags, register


class ExchangesConfig(AppConfig):
    name = "exchanges"

    def ready(self) -> None:
        from exchanges import checks

        register(checks.overrides_name_known_exchanges)
        register(checks.keyring_opens_stored_keys, Tags.database)

"""The strategies app: makes the strategies known when Django starts."""

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import register


class StrategiesConfig(AppConfig):
    name = "strategies"

    def ready(self) -> None:
        from strategies import checks
        from strategies.library.registry import load

        checks.problems.update(load(settings.STRATEGY_MODULES))
        register(checks.strategy_modules_load)

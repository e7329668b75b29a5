from django.apps import AppConfig


class TradingbotConfig(AppConfig):
    name = "tradingbot"

    def ready(self) -> None:
        from tradingbot import checks  # noqa: F401  # it registers itself

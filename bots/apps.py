from django.apps import AppConfig


class BotsConfig(AppConfig):
    name = "bots"

    def ready(self) -> None:
        from bots.queries.runs import trades_by
        from strategies.queries import rules

        rules.users.append(trades_by)

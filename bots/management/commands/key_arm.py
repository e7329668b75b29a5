"""Permit live trading with a key, for a while."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from bots import arming, lifecycle
from bots.management.console import RunCommand
from exchanges.models import ExchangeKey


class Command(RunCommand):
    help = "Permit live trading with one key for a week; --yes at this console is the second factor."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:
        key = ExchangeKey.objects.present().get(pk=options["id"])
        self.confirm(options, f"Let key {key.pk} on {key.exchange} trade real money for {arming.LIFE.days} days?")
        lifecycle.require_live_platform()
        armed = arming.arm(key, "console", self.at(options), CONSOLE)
        told = {"exchange_key_id": key.pk, "armed_until": armed.expires_at}
        self.emit(told, [f"Key {key.pk} may trade live until {armed.expires_at:%Y-%m-%d %H:%M} UTC."])

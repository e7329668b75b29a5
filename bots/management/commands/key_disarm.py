"""Take back the permission to trade live with a key."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from bots import arming
from bots.management.console import RunCommand
from exchanges.models import ExchangeKey


class Command(RunCommand):
    help = "Take back the permission to trade live with one key: its runs send no more entries."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:
        key = ExchangeKey.objects.present().get(pk=options["id"])
        ended = arming.disarm(key, "taken back at the console", self.at(options), CONSOLE)
        told = f"Key {key.pk} is disarmed." if ended else f"Key {key.pk} was not armed."
        self.emit({"exchange_key_id": key.pk, "disarmed": ended}, [told])

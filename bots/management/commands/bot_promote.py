"""Promote a paper run to live."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from bots import promotion
from bots.management.console import RunCommand
from bots.management.live import armed
from bots.queries import runs
from exchanges.models import ExchangeKey


class Command(RunCommand):
    help = "Start a paper run again with real money, when the policy allows it. --yes at this console arms the key."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID")
        parser.add_argument("--key", type=int, required=True, metavar="ID", help="The exchange key to trade with.")

    def handle(self, *args: Any, **options: Any) -> None:
        at, run = self.at(options), runs.run_model(None, options["id"])
        key = ExchangeKey.objects.for_user(run.user).get(pk=options["key"])
        self.confirm(options, f"Trade LIVE on {key.exchange} with {run.capital} {run.quote} of key {key.pk}'s money?")
        with armed(key, at):
            live = promotion.promote(run, key, at, CONSOLE)
        told = f"Run {live.pk} trades live and is {live.status}; paper run {run.pk} is stopping."
        self.emit({"bot_run_id": live.pk, "status": live.status}, [told])

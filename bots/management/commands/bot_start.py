"""Start a run for a user."""

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from accounts import queries as accounts
from accounts.audit import CONSOLE
from bots import lifecycle
from bots.core.limits import EXECUTION, EntryType
from bots.management.arguments import json_object, money
from bots.management.console import RunCommand
from bots.management.live import armed
from bots.models import Mode
from exchanges.models import ExchangeKey


class Command(RunCommand):
    help = "Start a run for a user. With --mode live, --yes at this console arms the key."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument("--strategy", required=True)
        parser.add_argument("--symbol", required=True)
        parser.add_argument("--timeframe", required=True)
        parser.add_argument("--exchange", required=True)
        parser.add_argument("--mode", choices=Mode.values, default=Mode.PAPER.value)
        parser.add_argument("--capital", type=money, required=True, help="In the symbol's quote.")
        parser.add_argument("--params", type=json_object, default={}, metavar="JSON")
        parser.add_argument("--limits", type=json_object, default={}, metavar="JSON")
        parser.add_argument("--entry-type", choices=list(EntryType), help="How entries are sent; market unless given.")
        parser.add_argument("--limit-offset-pct", metavar="PCT", help="How far under the bid a limit entry is put.")
        parser.add_argument("--limit-timeout-seconds", type=int, metavar="S", help="After which it is called back.")
        parser.add_argument("--stop-on-exchange", action="store_true", default=None, help="Let the stop rest there.")
        parser.add_argument("--key", type=int, metavar="ID", help="The exchange key of a live run.")

    def handle(self, *args: Any, **options: Any) -> None:
        at = self.at(options)
        user = accounts.user_by_email(options["email"])
        names = ("strategy", "symbol", "timeframe", "exchange", "capital", "mode", "params", "limits")
        given = {name: options[name] for name in names}
        said = {name: options[name] for name in EXECUTION if options[name] is not None}
        given["limits"] = {**options["limits"], **said}
        wanted = lifecycle.StartRequest(user=user, exchange_key_id=options["key"], **given)
        with self._armed(wanted, at, options):
            run = lifecycle.start(wanted, at, CONSOLE)
        self.emit({"bot_run_id": run.pk, "status": run.status}, [f"Run {run.pk} is {run.status}."])

    def _armed(
        self, wanted: lifecycle.StartRequest, at: datetime, options: dict[str, Any]
    ) -> AbstractContextManager[None]:
        if wanted.mode != Mode.LIVE or wanted.exchange_key_id is None:
            return nullcontext()
        key = ExchangeKey.objects.for_user(wanted.user).present().get(pk=wanted.exchange_key_id)
        self.confirm(options, f"Trade LIVE on {key.exchange} with {wanted.capital} of key {key.pk}'s money?")
        return armed(key, at)
